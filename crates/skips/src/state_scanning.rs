//! The executor of state channels that runs: the kept sets of the reference by the kernel for energies, and
//! the chunked scan over masked inputs.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use importance::{Draw, RandomChannels, StateMoments, StateScore as _, StateWeights};
use models::{
    Dense, Executor, ExecutorError, FfnSite, RecurrentState, StateInputs, StateRows, StateSite,
    Tensor,
};
use sparse::{kept_count, select_top};

use crate::{
    Measuring, Shares, StateMode, StateSelection, StateWindowed, commitment::Source, shares::Tally,
};

/// Chooses the kept channels of all windows, zeroes `B'` and `C'` of the others and scans. Feed-forward
/// blocks are dense. Where a sequence is fed piece by piece, windows count from the first token of each
/// piece.
///
/// A clone is an executor of its own that shares the selection and what was read of the weights: one
/// clone a thread.
pub struct StateScanning {
    shared: Arc<Shared>,
    tally: Tally,
}

struct Shared {
    selection: StateSelection,
    /// Lengths of the weights by site, read when a site is first met.
    weights: Vec<OnceLock<StateWeights>>,
}

impl Clone for StateScanning {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), tally: Tally::default() }
    }
}

impl StateScanning {
    /// Runs a model of `sites` mixers with these kept sets. An executor serves one model.
    ///
    /// # Panics
    /// Where a score looks at gradients: there are none while a text runs.
    pub fn new(selection: StateSelection, sites: usize) -> Self {
        if let StateSelection::Windowed(windowed) = &selection {
            let name = windowed.score.name();
            assert!(!windowed.score.needs_gradients(), "windows have no gradients for `{name}`");
        }
        let weights = (0..sites).map(|_| OnceLock::new()).collect();
        let shared = Arc::new(Shared { selection, weights });
        Self { shared, tally: Tally::default() }
    }
}

impl Shared {
    /// What is known of a site; refuses a state of another size than at the first meeting.
    fn weights(&self, site: &StateSite<'_>) -> Result<&StateWeights, ExecutorError> {
        let found = site.mixer.shape().mixed();
        let refuse = |expected| ExecutorError::StateMismatch { site: site.index, expected, found };
        let known = self.weights.get(site.index).ok_or_else(|| refuse(0))?;
        let weights = known.get_or_init(|| StateWeights::of(site.mixer));
        let expected = weights.read.len();
        if expected == found { Ok(weights) } else { Err(refuse(expected)) }
    }
}

/// One sequence on its way through one mixer.
struct Run<'a> {
    selection: &'a StateSelection,
    weights: &'a StateWeights,
    site: &'a StateSite<'a>,
    /// Rows of the sequence.
    rows: Range<usize>,
    /// Key of the sequence.
    key: u64,
    /// Unmasked `C'` of the sequence.
    reads: Vec<f32>,
    /// What every channel held after the tokens so far, where the tokens of a window wrote all channels.
    energies: Vec<f32>,
    /// The state before the next window; in mode `read` before the sequence.
    state: Vec<f32>,
    moments: StateMoments,
    keys: Vec<u64>,
    shares: Shares,
}

impl Run<'_> {
    fn channels(&self) -> usize {
        self.weights.read.len()
    }

    /// Chooses the sets of all windows and masks the sequence's inputs accordingly.
    fn mask(&mut self, inputs: &mut StateRows) -> Result<(), ExecutorError> {
        let (commitment, mode) = self.selection.commitment();
        let length = self.rows.len();
        if mode == StateMode::Read {
            self.score(inputs, 0..length)?;
        }
        for (index, window) in commitment.windows(length).enumerate() {
            let all_written = match mode {
                StateMode::Read => None,
                StateMode::Write => Some(self.score(inputs, window.clone())?),
            };
            let kept = self.kept(index, &commitment.source(&window, length));
            self.measure(&window, kept.as_deref());
            let in_batch = self.rows.start + window.start..self.rows.start + window.end;
            if let Some(kept) = &kept {
                zero_dropped(&mut inputs.c, in_batch.clone(), kept, self.channels());
            }
            let Some(all_written) = all_written else { continue };
            match &kept {
                None => self.state = all_written,
                Some(kept) => {
                    zero_dropped(&mut inputs.b, in_batch.clone(), kept, self.channels());
                    let (written, steps) = (flags(kept, self.channels()), inputs.steps(in_batch));
                    let mixer = self.site.mixer;
                    mixer.fade_unwritten(&mut self.state, &all_written, &written, steps);
                }
            }
        }
        Ok(())
    }

    /// Energies of the next tokens where they write all channels, and the state after them.
    fn score(
        &mut self,
        inputs: &StateRows,
        window: Range<usize>,
    ) -> Result<Vec<f32>, ExecutorError> {
        let in_batch = self.rows.start + window.start..self.rows.start + window.end;
        let mut state = self.state.clone();
        let energies = self.site.mixer.energies(inputs.writes(in_batch.clone()), &mut state);
        if let Some(at) = energies.iter().position(|energy| !energy.is_finite()) {
            let (row, channel) = (at / self.channels(), at % self.channels());
            let (layer, token, value) = (self.site.layer, in_batch.start + row, energies[at]);
            return Err(ExecutorError::NonFiniteState { layer, token, channel, value });
        }
        self.energies.extend(energies);
        Ok(state)
    }

    /// The kept set of a window; `None` where all channels are kept.
    fn kept(&mut self, window: usize, source: &Source) -> Option<Vec<u32>> {
        let kept = match self.selection {
            StateSelection::All => return None,
            StateSelection::Static(sets) => sets[self.site.index].clone(),
            StateSelection::Windowed(windowed) => match source {
                Source::Calibration => windowed.calibrated[self.site.index].clone(),
                source => self.chosen(windowed, window, source)?,
            },
        };
        (kept.len() < self.channels()).then_some(kept)
    }

    /// The set that a window's scores choose; `None` where all channels are kept.
    fn chosen(
        &mut self,
        windowed: &StateWindowed,
        window: usize,
        source: &Source,
    ) -> Option<Vec<u32>> {
        let channels = self.channels();
        let k = kept_count(channels, windowed.sparsity);
        if k == channels {
            return None;
        }
        let draw = Draw::of_state_window(windowed.seed, self.site.index, self.key, window);
        self.moments.clear();
        let scores = match source {
            Source::Rows(rows) => {
                let of_rows = rows.start * channels..rows.end * channels;
                self.moments.add(&self.energies[of_rows.clone()], &self.reads[of_rows]);
                windowed.score.window_score(self.weights, &self.moments, &draw)
            }
            Source::Random | Source::Calibration => {
                RandomChannels.score(self.weights, &self.moments, &draw)
            }
        };
        let mut kept = Vec::new();
        select_top(&scores, k, &mut self.keys, &mut kept);
        Some(kept)
    }

    fn measure(&mut self, window: &Range<usize>, kept: Option<&[u32]>) {
        let channels = self.channels();
        let of_window = window.start * channels..window.end * channels;
        let rows = self.energies[of_window.clone()].chunks_exact(channels);
        let readout = |e: f32, c: f32| f64::from(e) * f64::from(c).powi(2);
        for (e, c) in rows.zip(self.reads[of_window].chunks_exact(channels)) {
            let all: f64 = e.iter().zip(c).map(|(e, c)| readout(*e, *c)).sum();
            let of_kept =
                |kept: &[u32]| kept.iter().map(|n| *n as usize).map(|n| readout(e[n], c[n])).sum();
            self.shares.entries += channels as u64;
            self.shares.kept += kept.map_or(channels, <[u32]>::len) as u64;
            self.shares.energy += all;
            self.shares.kept_energy += kept.map_or(all, of_kept);
        }
    }
}

fn flags(kept: &[u32], channels: usize) -> Vec<bool> {
    let mut flags = vec![false; channels];
    kept.iter().for_each(|n| flags[*n as usize] = true);
    flags
}

fn zero_dropped(values: &mut [f32], rows: Range<usize>, kept: &[u32], channels: usize) {
    let flags = flags(kept, channels);
    for row in values[rows.start * channels..rows.end * channels].chunks_exact_mut(channels) {
        for (value, kept) in row.iter_mut().zip(&flags) {
            *value = if *kept { *value } else { 0.0 };
        }
    }
}

impl Executor for StateScanning {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let shared = Arc::clone(&self.shared);
        let weights = shared.weights(site)?;
        self.tally.meet(site.index, site.batch);
        let (shape, mut inputs) = (site.mixer.shape(), StateRows::of(inputs));
        for (shares, rows) in self.tally.sequences.iter_mut().zip(site.batch.sequences()) {
            let mut run = Run {
                selection: &shared.selection,
                weights,
                site,
                key: Draw::sequence_key(&site.batch.ids()[rows.clone()]),
                reads: inputs.reads(rows.clone()).to_vec(),
                rows,
                energies: Vec::new(),
                state: past.as_ref().map_or_else(Vec::new, |past| past.state().to_vec()),
                moments: StateMoments::new(shape.mixed(), shape.heads, shape.groups),
                keys: Vec::new(),
                shares: Shares::default(),
            };
            run.mask(&mut inputs)?;
            shares.add(&run.shares);
        }
        Ok(site.mixer.scan(inputs.into_inputs(), site.batch, past))
    }
}

impl Measuring for StateScanning {
    fn take_shares(&mut self) -> Vec<Shares> {
        self.tally.take()
    }
}

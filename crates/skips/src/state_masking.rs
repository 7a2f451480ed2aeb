//! The reference executor of state channels: the recurrence of the specification in plain loops, one token
//! after the other.

use importance::{Draw, RandomChannels, StateMoments, StateScore as _, StateWeights};
use models::{
    Dense, Executor, ExecutorError, FfnSite, MixerShape, RecurrentState, StateInputs, StateRows,
    StateSite, Tensor,
};
use sparse::kept_count;

use crate::{
    Measuring, Shares, StateMode, StateSelection, StateWindowed, commitment::Source,
    masking::largest, shares::Tally,
};

/// Zeroes `B'` and `C'` of what is dropped and steps through the recurrence. Feed-forward blocks are dense.
pub struct StateMasking {
    selection: StateSelection,
    tally: Tally,
}

impl StateMasking {
    /// Runs a model with these kept sets.
    pub fn new(selection: StateSelection) -> Self {
        Self { selection, tally: Tally::default() }
    }

    /// The kept set of every token of one sequence, and what every channel held after it where the tokens
    /// of its window wrote all channels.
    fn run(&self, tokens: &Tokens<'_>, mut state: Memory) -> Vec<(Vec<usize>, Vec<f32>)> {
        let (commitment, mode) = self.selection.commitment();
        let length = tokens.ids.len();
        let (mut kept, mut energies) = (Vec::new(), Vec::new());
        for (window, rows) in commitment.windows(length).enumerate() {
            let mut scored = state.clone();
            for t in rows.clone() {
                scored.step(tokens, t, |_| true);
                energies.push(scored.energies());
            }
            let set = match &self.selection {
                StateSelection::All => (0..tokens.shape().mixed()).collect(),
                StateSelection::Static(sets) => as_set(&sets[tokens.site.index]),
                StateSelection::Windowed(windowed) => match commitment.source(&rows, length) {
                    Source::Calibration => as_set(&windowed.calibrated[tokens.site.index]),
                    source => chosen(windowed, tokens, &energies, window, &source),
                },
            };
            for t in rows {
                state.step(tokens, t, |n| mode == StateMode::Read || set.contains(&n));
                kept.push(set.clone());
            }
        }
        kept.into_iter().zip(energies).collect()
    }
}

fn as_set(set: &[u32]) -> Vec<usize> {
    set.iter().map(|n| *n as usize).collect()
}

/// The set that a window's scores choose.
fn chosen(
    windowed: &StateWindowed,
    tokens: &Tokens<'_>,
    energies: &[Vec<f32>],
    window: usize,
    source: &Source,
) -> Vec<usize> {
    let (site, shape) = (tokens.site, tokens.shape());
    let weights = StateWeights::of(site.mixer);
    let sequence = Draw::sequence_key(tokens.ids);
    let draw = Draw::of_state_window(windowed.seed, site.index, sequence, window);
    let mut moments = StateMoments::new(shape.mixed(), shape.heads, shape.groups);
    let scores = match source {
        Source::Rows(rows) => {
            for t in rows.clone() {
                moments.add(&energies[t], tokens.read(t));
            }
            windowed.score.window_score(&weights, &moments, &draw)
        }
        Source::Random | Source::Calibration => RandomChannels.score(&weights, &moments, &draw),
    };
    largest(&scores, kept_count(shape.mixed(), windowed.sparsity))
}

/// The unmasked inputs of one sequence.
struct Tokens<'a> {
    site: &'a StateSite<'a>,
    ids: &'a [u32],
    inputs: &'a StateRows,
    /// Row of its first token.
    first: usize,
}

impl Tokens<'_> {
    fn shape(&self) -> MixerShape {
        self.site.mixer.shape()
    }

    /// `C'_t`.
    fn read(&self, t: usize) -> &[f32] {
        self.inputs.reads(self.first + t..self.first + t + 1)
    }
}

/// `H[h, p, n]`, in `f64`.
#[derive(Clone)]
struct Memory {
    shape: MixerShape,
    rates: Vec<f32>,
    state: Vec<f64>,
}

impl Memory {
    fn new(site: &StateSite<'_>, past: Option<&RecurrentState>) -> Self {
        let shape = site.mixer.shape();
        let past = past.map_or(&[][..], RecurrentState::state);
        let mut state: Vec<f64> = past.iter().map(|h| f64::from(*h)).collect();
        state.resize(shape.inner() * shape.channels, 0.0);
        Self { shape, rates: site.mixer.decay_rates(), state }
    }

    /// `H[h, p, n] = exp(Δ_h·A_h)·H[h, p, n] + Δ_h·x[h, p]·B'[g, n]`, with `B'` masked.
    fn step(&mut self, tokens: &Tokens<'_>, t: usize, written: impl Fn(usize) -> bool) {
        let token = tokens.inputs.writes(tokens.first + t..tokens.first + t + 1);
        let MixerShape { heads, head_dim, groups, channels } = self.shape;
        for h in 0..heads {
            let dt = f64::from(token.dt[h]);
            let decay = (dt * f64::from(self.rates[h])).exp();
            for p in 0..head_dim {
                for n in 0..channels {
                    let mixed = h / (heads / groups) * channels + n;
                    let b = if written(mixed) { f64::from(token.b[mixed]) } else { 0.0 };
                    let state = &mut self.state[(h * head_dim + p) * channels + n];
                    *state = decay * *state + dt * f64::from(token.x[h * head_dim + p]) * b;
                }
            }
        }
    }

    /// `E[g, n] = Σ_k Σ_p H[h_k, p, n]²`.
    fn energies(&self) -> Vec<f32> {
        let MixerShape { heads, head_dim, groups, channels } = self.shape;
        let mut energies = vec![0.0; groups * channels];
        for h in 0..heads {
            for p in 0..head_dim {
                for n in 0..channels {
                    let state = self.state[(h * head_dim + p) * channels + n];
                    energies[h / (heads / groups) * channels + n] += state * state;
                }
            }
        }
        energies.into_iter().map(|e| e as f32).collect()
    }
}

impl Executor for StateMasking {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        self.tally.meet(site.index, site.batch);
        let channels = site.mixer.shape().mixed();
        let (_, mode) = self.selection.commitment();
        let mut inputs = StateRows::of(inputs);
        for (sequence, rows) in site.batch.sequences().enumerate() {
            let ids = &site.batch.ids()[rows.clone()];
            let tokens = Tokens { site, ids, inputs: &inputs, first: rows.start };
            let run = self.run(&tokens, Memory::new(site, past.as_deref()));
            let shares = &mut self.tally.sequences[sequence];
            for (row, (kept, energies)) in rows.zip(run) {
                shares.entries += channels as u64;
                shares.kept += kept.len() as u64;
                for (n, energy) in energies.into_iter().enumerate() {
                    let at = row * channels + n;
                    let readout = f64::from(energy) * f64::from(inputs.c[at]).powi(2);
                    shares.energy += readout;
                    if kept.contains(&n) {
                        shares.kept_energy += readout;
                        continue;
                    }
                    inputs.c[at] = 0.0;
                    if mode == StateMode::Write {
                        inputs.b[at] = 0.0;
                    }
                }
            }
        }
        Ok(site.mixer.recurrence(inputs.into_inputs(), site.batch, past))
    }
}

impl Measuring for StateMasking {
    fn take_shares(&mut self) -> Vec<Shares> {
        self.tally.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Commitment, Rule};
    use importance::by_state_name;
    use models::{Batch, Device, load};

    /// Keeps the sets of the first site, a selection after the other, on the same inputs.
    struct Sets<'a> {
        selections: &'a [(f64, Commitment, StateMode)],
        score: &'a str,
        kept: Vec<Vec<Vec<usize>>>,
    }

    impl Executor for Sets<'_> {
        fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
            Dense.ffn(site, x)
        }

        fn state(
            &mut self,
            site: &StateSite<'_>,
            inputs: StateInputs,
            _: Option<&mut RecurrentState>,
        ) -> Result<Tensor<2>, ExecutorError> {
            let rows = StateRows::of(inputs.clone());
            let tokens = Tokens { site, ids: site.batch.ids(), inputs: &rows, first: 0 };
            for (sparsity, commitment, mode) in self.selections {
                let masking = StateMasking::new(StateSelection::Windowed(StateWindowed {
                    score: by_state_name(self.score).expect("a known score"),
                    sparsity: *sparsity,
                    commitment: *commitment,
                    seed: 3,
                    calibrated: Vec::new(),
                    mode: *mode,
                }));
                let run = masking.run(&tokens, Memory::new(site, None));
                self.kept.push(run.into_iter().map(|(kept, _)| kept).collect());
            }
            Ok(site.mixer.scan(inputs, site.batch, None))
        }
    }

    /// Kept sets are nested as κ grows: of all windows in mode `read`, whose scores know nothing of the
    /// sets, and of the first in mode `write`, where later windows start from different states.
    #[test]
    fn kept_sets_are_nested() {
        let golden =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
        let model = load(&golden.join("mamba2"), &Device::flex()).expect("a golden model").model;
        let ids: Vec<u32> = (0..23).map(|i| (i * i * 3 + i) % 61).collect();
        let batch = Batch::new([ids.as_slice()]);
        let sparsities = [0.0, 0.2, 0.5, 0.9];
        let rules = [
            Rule::WindowMean,
            Rule::FirstToken,
            Rule::PreviousWindow,
            Rule::Prompt { tokens: 5 },
            Rule::Random,
        ];
        let cases = rules.iter().flat_map(|rule| [1, 4].map(|window| (*rule, window)));
        for ((rule, window), score) in cases.flat_map(|case| ["ghost", "random"].map(|s| (case, s)))
        {
            let commitment = Commitment { window, rule };
            for (mode, nested) in [(StateMode::Read, ids.len()), (StateMode::Write, window)] {
                let selections = sparsities.map(|sparsity| (sparsity, commitment, mode));
                let mut sets = Sets { selections: &selections, score, kept: Vec::new() };
                model.forward(&batch, &mut sets).expect("a forward pass");
                let of_first_site = &sets.kept[..sparsities.len()];
                for pair in of_first_site.windows(2) {
                    for (many, few) in pair[0].iter().zip(&pair[1]).take(nested) {
                        assert!(few.len() < many.len(), "{commitment:?}");
                        assert!(few.iter().all(|n| many.contains(n)), "{commitment:?} {mode:?}");
                    }
                }
            }
        }
    }
}

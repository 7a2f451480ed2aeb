//! Static sets of state channels, and the surgery that makes them real.

use importance::{Calibrating, Calibration, StateScore, StateWeights};
use models::{Batch, Dense, ExecutorError, Mixer, Model};
use rayon::prelude::*;
use sparse::{kept_count, select_top};

/// The kept set of every state site, ascending, by a score over a calibration text of the dense model
/// (one-shot). The channels of all groups of a mixer are ranked together.
pub fn state_sets(
    model: &dyn Model,
    calibration: &Calibration,
    score: &dyn StateScore,
    sparsity: f64,
    seed: u64,
) -> Vec<Vec<u32>> {
    let sites = model.mixers().into_iter().enumerate();
    sites.map(|(site, mixer)| kept_set(mixer, calibration, site, score, sparsity, seed)).collect()
}

/// The same with sequential recalibration: layers in order, each scored on streams that already passed the
/// cut layers below. The residual streams of all windows are kept in memory. `None` where `stop` says so
/// between two layers.
///
/// # Errors
/// As [`Model::start`] and [`Model::through`].
///
/// # Panics
/// Where the score looks at gradients: a layer by itself has no loss.
pub fn recalibrated_state_sets(
    model: &dyn Model,
    windows: &[Vec<u32>],
    score: &dyn StateScore,
    sparsity: f64,
    seed: u64,
    stop: impl Fn() -> bool,
) -> Result<Option<Vec<Vec<u32>>>, ExecutorError> {
    assert!(!score.needs_gradients(), "a layer has no gradients for `{}`", score.name());
    if !score.needs_text() {
        let none = Calibration::of_no_text(model);
        return Ok(Some(state_sets(model, &none, score, sparsity, seed)));
    }
    let mixers = model.mixers();
    let batches: Vec<Batch> = windows.iter().map(|ids| Batch::new([ids.as_slice()])).collect();
    let mut streams =
        batches.par_iter().map(|batch| model.start(batch)).collect::<Result<Vec<_>, _>>()?;
    let mut sets: Vec<Vec<u32>> = Vec::new();
    for layer in 0..model.facts().layers {
        if stop() {
            return Ok(None);
        }
        let layer = layer..layer + 1;
        let calibrated = streams.par_iter().zip(&batches).map(|(x, batch)| {
            let mut calibrating = Calibrating::new();
            let x = model.through(layer.clone(), x.clone(), batch, None, &mut calibrating)?;
            Ok((x, calibrating.finish()))
        });
        let calibrated = calibrated.collect::<Result<Vec<_>, ExecutorError>>()?;
        let (dense, parts): (Vec<_>, Vec<_>) = calibrated.into_iter().unzip();
        let calibration = Calibration::sum(parts);
        let sites = sets.len()..calibration.states().len();
        if sites.is_empty() {
            streams = dense;
            continue;
        }
        // Only the mixers of this layer need to be smaller to go on from here.
        let mut cut: Vec<Mixer> = mixers.iter().map(|mixer| (*mixer).clone()).collect();
        for site in sites {
            let kept = kept_set(mixers[site], &calibration, site, score, sparsity, seed);
            cut[site] = mixers[site].cut(&by_group(mixers[site], &kept));
            sets.push(kept);
        }
        let cut = model.with_mixers(cut);
        streams = streams
            .into_par_iter()
            .zip(&batches)
            .map(|(x, batch)| cut.through(layer.clone(), x, batch, None, &mut Dense))
            .collect::<Result<Vec<_>, _>>()?;
    }
    Ok(Some(sets))
}

fn kept_set(
    mixer: &Mixer,
    calibration: &Calibration,
    site: usize,
    score: &dyn StateScore,
    sparsity: f64,
    seed: u64,
) -> Vec<u32> {
    let scores = calibration.score_state(site, score, &StateWeights::of(mixer), seed);
    let (mut keys, mut kept) = (Vec::new(), Vec::new());
    select_top(&scores, kept_count(scores.len(), sparsity), &mut keys, &mut kept);
    kept
}

/// The model with only the kept channels of every state site; sites without a set are left whole. The same
/// numbers as masking, at the cost of what is left.
///
/// Groups of a mixer that keep different numbers of channels are filled up to the widest, see
/// [`Mixer::cut`].
pub fn cut_states(model: &dyn Model, kept: &[Vec<u32>]) -> Box<dyn Model> {
    let mixers = model.mixers().into_iter().enumerate().map(|(site, mixer)| match kept.get(site) {
        Some(kept) => mixer.cut(&by_group(mixer, kept)),
        None => mixer.clone(),
    });
    model.with_mixers(mixers.collect())
}

/// Channels of every group, from indices `g·N + n`.
fn by_group(mixer: &Mixer, kept: &[u32]) -> Vec<Vec<u32>> {
    let shape = mixer.shape();
    let channels = shape.channels as u32;
    let of_group =
        |group| kept.iter().filter(|n| **n / channels == group).map(|n| *n % channels).collect();
    (0..shape.groups as u32).map(of_group).collect()
}

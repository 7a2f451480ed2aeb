//! Channels of recurrent states: smaller states.

use importance::{Calibration, StateScore, by_state_name};
use models::Model;
use plan::Step;

use super::{Cut, Done, Ground, unknown};
use crate::{CutError, Slim, Watch, channels};

/// See [`channels::cut_states`].
pub(super) struct Channels;

impl Cut for Channels {
    fn kind(&self) -> &'static str {
        "state"
    }

    fn cut(&self, _: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        let all: usize = slim.model.mixers().iter().map(|mixer| mixer.shape().mixed()).sum();
        let left: usize = ground.sets.iter().map(Vec::len).sum();
        let model = channels::cut_states(&*slim.model, ground.sets);
        let storage = slim.storage.after_surgery(&*model);
        let dropped = Some(1.0 - left as f64 / all as f64);
        Ok(Some(Done { slim: Slim { model, storage }, dropped, lacks_units: true }))
    }
}

fn score(step: &Step) -> Result<Box<dyn StateScore>, CutError> {
    let name = step.name("score").unwrap_or_default();
    by_state_name(name).ok_or_else(|| unknown("score", name))
}

/// The kept set of every site by the step's score: over a calibration text, or layer by layer on its
/// windows where the step recalibrates sequentially. None where it was stopped.
///
/// # Errors
/// A score that does not rank channels, or a model that cannot be run on the windows.
pub fn kept_channels(
    step: &Step,
    model: &dyn Model,
    scores: &Calibration,
    windows: &[Vec<u32>],
    seed: u64,
    watch: &Watch<'_>,
) -> Result<Option<Vec<Vec<u32>>>, CutError> {
    let (score, sparsity) = (score(step)?, step.share("sparsity").unwrap_or_default().get());
    if step.name("recalibration") == Some("sequential") {
        let stop = || (watch.stop)();
        let score = score.as_ref();
        return Ok(channels::recalibrated_state_sets(model, windows, score, sparsity, seed, stop)?);
    }
    Ok(Some(channels::state_sets(model, scores, score.as_ref(), sparsity, seed)))
}

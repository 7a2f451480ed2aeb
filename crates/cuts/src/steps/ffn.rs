//! Neurons of feed-forward blocks: smaller matrices.

use importance::{Calibration, by_name};
use models::Model;
use plan::Step;

use super::{Cut, Done, Ground, unknown};
use crate::{CutError, Slim, neurons};

/// See [`neurons::cut`].
pub(super) struct Neurons;

impl Cut for Neurons {
    fn kind(&self) -> &'static str {
        "ffn"
    }

    fn cut(&self, _: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        let all: usize = slim.model.ffns().iter().map(|ffn| ffn.neurons()).sum();
        let left: usize = ground.sets.iter().map(Vec::len).sum();
        let model = neurons::cut(&*slim.model, ground.sets);
        let storage = slim.storage.after_surgery(&*model);
        let dropped = Some(1.0 - left as f64 / all as f64);
        Ok(Some(Done { slim: Slim { model, storage }, dropped, lacks_units: true }))
    }
}

/// The kept set of every site, by the step's score over a calibration text.
///
/// # Errors
/// A score that does not rank neurons.
pub fn kept_neurons(
    step: &Step,
    model: &dyn Model,
    scores: &Calibration,
    seed: u64,
) -> Result<Vec<Vec<u32>>, CutError> {
    let name = step.name("score").unwrap_or_default();
    let score = by_name(name).ok_or_else(|| unknown("score", name))?;
    let sparsity = step.share("sparsity").unwrap_or_default().get();
    Ok(neurons::static_sets(model, scores, score.as_ref(), sparsity, seed))
}

//! Attention heads: smaller attentions.

use importance::{Calibration, by_head_name};
use models::Model;
use plan::Step;

use super::{Cut, Done, Ground, unknown};
use crate::{CutError, Slim, heads};

/// See [`heads::cut_heads`].
pub(super) struct Heads;

impl Cut for Heads {
    fn kind(&self) -> &'static str {
        "heads"
    }

    fn cut(&self, _: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        let attentions = slim.model.attentions();
        let all: usize = attentions.iter().map(|attention| attention.shape().heads).sum();
        let left: usize = ground.sets.iter().map(Vec::len).sum();
        let slim = heads::cut_heads(&slim, ground.sets);
        let dropped = Some(1.0 - left as f64 / all as f64);
        // Hidden vectors and states are whole.
        Ok(Some(Done { slim, dropped, lacks_units: false }))
    }
}

/// The kept heads of every attention, by the step's score over a calibration text.
///
/// # Errors
/// A score that does not rank heads.
pub fn kept_heads(
    step: &Step,
    model: &dyn Model,
    scores: &Calibration,
    seed: u64,
) -> Result<Vec<Vec<u32>>, CutError> {
    let name = step.name("score").unwrap_or_default();
    let score = by_head_name(name).ok_or_else(|| unknown("score", name))?;
    let sparsity = step.share("sparsity").unwrap_or_default().get();
    Ok(heads::head_sets(model, scores, score.as_ref(), sparsity, seed))
}

//! Neurons of feed-forward blocks, skipped per token or window.

use importance::by_name;
use plan::Step;

use super::{Ground, Running, Skip, SkipError, commitment, sparsity, wrong};
use crate::{Selection, Skipping, Windowed};

/// See [`Skipping`].
pub(super) struct Neurons;

impl Skip for Neurons {
    fn kind(&self) -> &'static str {
        "ffn"
    }

    fn executor(&self, step: &Step, ground: Ground<'_>) -> Result<Box<dyn Running>, SkipError> {
        let name = step.name("score").unwrap_or_default();
        let score = by_name(name)
            .ok_or_else(|| wrong(step, format!("score `{name}` does not rank neurons")))?;
        let selection = Selection::Windowed(Windowed {
            score,
            sparsity: sparsity(step),
            commitment: commitment(step)?,
            seed: ground.seed,
            calibrated: ground.sets,
        });
        Ok(Box::new(Skipping::new(selection, ground.model.ffns().len())))
    }
}

//! Attention heads, skipped per token or window.

use plan::Step;

use super::{Ground, Running, Skip, SkipError, commitment, sparsity, wrong};
use crate::{HeadScore, HeadSelection, HeadSkipping};

/// See [`HeadSkipping`].
pub(super) struct Heads;

impl Skip for Heads {
    fn kind(&self) -> &'static str {
        "heads"
    }

    fn executor(&self, step: &Step, ground: Ground<'_>) -> Result<Box<dyn Running>, SkipError> {
        let score = match step.name("score") {
            Some("magnitude") => HeadScore::Magnitude,
            Some("impact") => HeadScore::Impact,
            Some("random") => HeadScore::Random,
            other => {
                let name = other.unwrap_or_default();
                return Err(wrong(step, format!("score `{name}` does not rank heads")));
            }
        };
        let selection = HeadSelection {
            score,
            sparsity: sparsity(step),
            commitment: commitment(step)?,
            seed: ground.seed,
        };
        Ok(Box::new(HeadSkipping::new(selection, ground.model.attentions().len())))
    }
}

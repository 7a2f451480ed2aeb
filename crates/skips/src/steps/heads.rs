//! Attention heads, skipped per token or window.

use plan::Step;

use super::{Ground, Running, Skip, SkipError, commitment, sparsity, wrong};
use crate::{HeadScore, HeadSelection, HeadSkipping, Rule};

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
            Some("taylor") => HeadScore::Taylor,
            Some("random") => HeadScore::Random,
            other => {
                let name = other.unwrap_or_default();
                return Err(wrong(step, format!("score `{name}` does not rank heads")));
            }
        };
        let commitment = commitment(step)?;
        if score == HeadScore::Taylor && commitment.rule != Rule::Calibration {
            return Err(wrong(step, "no token has a gradient by itself".to_owned()));
        }
        let selection =
            HeadSelection { score, sparsity: sparsity(step), commitment, seed: ground.seed };
        let executor = HeadSkipping::new(selection, ground.model.attentions().len());
        Ok(Box::new(executor.with_sets(ground.sets)))
    }
}

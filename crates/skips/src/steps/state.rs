//! Channels of recurrent states, skipped per token or window.

use importance::by_state_name;
use plan::Step;

use super::{Ground, Running, Skip, SkipError, commitment, sparsity, wrong};
use crate::{StateMode, StateScanning, StateSelection, StateWindowed};

/// See [`StateScanning`].
pub(super) struct Channels;

impl Skip for Channels {
    fn kind(&self) -> &'static str {
        "state"
    }

    fn executor(&self, step: &Step, ground: Ground<'_>) -> Result<Box<dyn Running>, SkipError> {
        let name = step.name("score").unwrap_or_default();
        let score = by_state_name(name)
            .ok_or_else(|| wrong(step, format!("score `{name}` does not rank state channels")))?;
        let selection = StateSelection::Windowed(StateWindowed {
            score,
            sparsity: sparsity(step),
            commitment: commitment(step)?,
            seed: ground.seed,
            calibrated: ground.sets,
            mode: match step.name("mode") {
                Some("write") => StateMode::Write,
                _ => StateMode::Read,
            },
        });
        Ok(Box::new(StateScanning::new(selection, ground.model.mixers().len())))
    }
}

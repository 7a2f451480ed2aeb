//! Tokens that are predicted before the last layer.

use plan::Step;

use super::{Ground, Running, Skip, SkipError, wrong};
use crate::{ExitMode, ExitRule, Exiting};

/// See [`Exiting`].
pub(super) struct Exits;

impl Skip for Exits {
    fn kind(&self) -> &'static str {
        "exit"
    }

    fn executor(&self, step: &Step, ground: Ground<'_>) -> Result<Box<dyn Running>, SkipError> {
        let rule = exit_rule(step)
            .ok_or_else(|| wrong(step, "it has neither a threshold nor a patience".to_owned()))?;
        let mode = match step.name("mode") {
            Some("propagate") => ExitMode::Propagate,
            _ => ExitMode::FullContext,
        };
        Ok(Box::new(Exiting::new(rule, mode, ground.model.facts().layers)))
    }
}

/// When a token leaves, by the settings of a step; none where it has none of them.
pub fn exit_rule(step: &Step) -> Option<ExitRule> {
    let confidence = step.threshold("threshold").map(|own| ExitRule::Confidence(own.get()));
    let patience = || step.count("patience").and_then(|count| usize::try_from(count).ok());
    confidence.or_else(|| patience().map(ExitRule::Patience))
}

//! Weights rounded to few bits.

use plan::Step;

use super::{Cut, Done, Ground, count};
use crate::{BitCut, BitMethod, CutError, Rounding, Slim};

/// See [`BitCut::apply`].
pub(super) struct Bits;

impl Cut for Bits {
    fn kind(&self) -> &'static str {
        "bits"
    }

    fn cut(&self, step: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        let method = BitMethod::named(step.name("method").unwrap_or_default())?;
        let rounding = Rounding { bits: count(step, "bits")? as u32, group: count(step, "group")? };
        let cut = BitCut { method, rounding };
        let slim = cut.apply(slim, ground.windows, &ground.watch)?;
        Ok(slim.map(|slim| Done { slim, dropped: None, lacks_units: false }))
    }
}

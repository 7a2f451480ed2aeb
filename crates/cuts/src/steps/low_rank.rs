//! Matrices of low rank.

use plan::Step;

use super::{Cut, Done, Ground, count};
use crate::{CutError, LowRankCut, LowRankMethod, Rounding, Slim};

/// See [`LowRankCut::apply`].
pub(super) struct LowRank;

impl Cut for LowRank {
    fn kind(&self) -> &'static str {
        "low-rank"
    }

    fn cut(&self, step: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        let method = LowRankMethod::named(step.name("method").unwrap_or_default())?;
        let rounding = match step.count("bits") {
            Some(bits) => Some(Rounding { bits: bits as u32, group: count(step, "group")? }),
            None => None,
        };
        let cut = LowRankCut { rounding, ..LowRankCut::new(method, count(step, "rank")?) };
        let slim = cut.apply(slim, ground.windows, &ground.watch)?;
        Ok(slim.map(|slim| Done { slim, dropped: None, lacks_units: false }))
    }
}

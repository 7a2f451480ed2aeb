//! Single entries of the matrices inside the blocks.

use plan::Step;

use super::{Cut, Done, Ground, count};
use crate::{CutError, Pattern, Rounding, Slim, WeightCut, WeightMethod};

/// See [`WeightCut::apply`].
pub(super) struct Weights;

impl Cut for Weights {
    fn kind(&self) -> &'static str {
        "weights"
    }

    fn cut(&self, step: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        let method = WeightMethod::named(step.name("method").unwrap_or_default())?;
        let pattern = match step.pattern("pattern") {
            Some((n, m)) => Pattern::NofM { n: n as usize, m: m as usize },
            None => Pattern::Share(step.share("sparsity").unwrap_or_default().get()),
        };
        let rounding = match step.count("bits") {
            Some(bits) => Some(Rounding { bits: bits as u32, group: count(step, "group")? }),
            None => None,
        };
        let cut = WeightCut { rounding, seed: ground.seed, ..WeightCut::new(method, pattern) };
        let Some(slim) = cut.apply(slim, ground.windows, &ground.watch)? else {
            return Ok(None);
        };
        let matrices = slim.storage.matrices.values();
        let entries: u64 = matrices.clone().map(|m| (m.rows * m.columns) as u64).sum();
        let kept: u64 = matrices.map(|matrix| matrix.kept).sum();
        let dropped = Some(1.0 - kept as f64 / entries as f64);
        Ok(Some(Done { slim, dropped, lacks_units: false }))
    }
}

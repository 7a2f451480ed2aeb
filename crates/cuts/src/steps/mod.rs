//! Steps of a recipe that cut: from their settings to a smaller or plainer model.
//!
//! One file a kind, each beside the file of the same name in `plan`'s kinds; [`ALL`] is the table.

mod bits;
mod ffn;
mod heads;
mod layers;
mod low_rank;
mod rotate;
mod state;
mod weights;

use models::Model;
use plan::Step;

pub use ffn::kept_neurons;
pub use heads::kept_heads;
pub use state::kept_channels;

use crate::{CutError, Slim, Watch};

/// What a cut may look at beside the model that it changes.
pub struct Ground<'a> {
    /// The model as its file has it; none where no step asks for it and it was given to the first cut.
    pub dense: Option<&'a dyn Model>,
    /// Windows of calibration text, token ids; empty where the step needs none.
    pub windows: &'a [Vec<u32>],
    /// The static set of every site, for steps on neurons, state channels and heads; else empty.
    pub sets: &'a [Vec<u32>],
    /// Seed of everything random.
    pub seed: u64,
    /// Who looks on and may stop it.
    pub watch: Watch<'a>,
}

/// A model after a cut.
pub struct Done {
    /// The model and what is stored of it.
    pub slim: Slim,
    /// Share of the units dropped that the step drops: neurons, channels, heads, entries, layers; none where it
    /// drops nothing.
    pub dropped: Option<f64>,
    /// Whether units of a hidden vector or of a state are not there any more.
    pub lacks_units: bool,
}

/// Carries out one kind of cut.
pub trait Cut: Sync {
    /// The name of its kind in `plan`.
    fn kind(&self) -> &'static str;

    /// The model after the step; none where it was stopped. What it takes is freed as soon as it can be.
    ///
    /// # Errors
    /// [`CutError`]: what the model lacks, what the calibration text cannot give.
    fn cut(&self, step: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError>;
}

/// Every cut.
pub const ALL: &[&dyn Cut] = &[
    &ffn::Neurons,
    &state::Channels,
    &heads::Heads,
    &weights::Weights,
    &bits::Bits,
    &rotate::Rotate,
    &layers::Layers,
    &low_rank::LowRank,
];

/// Carries out a step.
///
/// # Errors
/// As [`Cut::cut`], and a kind that is not here.
pub fn apply(step: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
    let name = step.kind().name;
    let cut = ALL.iter().find(|cut| cut.kind() == name);
    cut.ok_or_else(|| unknown("cut", name))?.cut(step, slim, ground)
}

fn unknown(what: &'static str, name: &str) -> CutError {
    CutError::Setting { setting: what, reason: format!("`{name}` is not known here") }
}

/// A whole number of a step, which `plan` has checked to be there.
fn count(step: &Step, setting: &'static str) -> Result<usize, CutError> {
    let count = step.count(setting).and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| CutError::Setting { setting, reason: format!("is missing in `{step}`") })
}

#[cfg(test)]
mod tests {
    use plan::Way;

    use super::*;

    /// Every cut of `plan` is carried out, and nothing else.
    #[test]
    fn both_sides_have_the_same_kinds() {
        let planned = plan::kinds().iter().filter(|kind| kind.way == Way::Cut);
        let planned: Vec<&str> = planned.map(|kind| kind.name).collect();
        let here: Vec<&str> = ALL.iter().map(|cut| cut.kind()).collect();
        assert_eq!(planned, here);
    }
}

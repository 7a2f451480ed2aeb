//! Steps of a recipe that skip: from their settings to the executor that carries them out.
//!
//! One file a kind, each beside the file of the same name in `plan`'s kinds; [`ALL`] is the table.

mod exit;
mod ffn;
mod heads;
mod kv;
mod state;
mod together;

use std::collections::BTreeMap;

use models::Model;
use plan::{Recipe, Step};

pub use exit::exit_rule;
pub use together::Together;

use crate::{Commitment, Measuring, Rule, Selection, Skipping};

/// An executor that can be had once for every thread.
pub trait Running: Measuring + Send + Sync {
    /// Another one that shares what was read of the weights and has measured nothing.
    fn fresh(&self) -> Box<dyn Running>;
}

impl<T: Measuring + Clone + Send + Sync + 'static> Running for T {
    fn fresh(&self) -> Box<dyn Running> {
        Box::new(self.clone())
    }
}

/// What a skip may look at beside its settings.
pub struct Ground<'a> {
    /// The model that will run, already cut.
    pub model: &'a dyn Model,
    /// The static set of every site, where the rule `calibration` asks for it; else empty.
    pub sets: Vec<Vec<u32>>,
    /// Seed of everything random.
    pub seed: u64,
}

/// Carries out one kind of skip.
pub trait Skip: Sync {
    /// The name of its kind in `plan`.
    fn kind(&self) -> &'static str;

    /// The executor of a step.
    ///
    /// # Errors
    /// [`SkipError`]: a score or rule that this part does not have.
    fn executor(&self, step: &Step, ground: Ground<'_>) -> Result<Box<dyn Running>, SkipError>;
}

/// Every skip.
pub const ALL: &[&dyn Skip] =
    &[&ffn::Neurons, &state::Channels, &heads::Heads, &kv::Positions, &exit::Exits];

/// Why a skip cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SkipError {
    /// A kind that nothing here carries out.
    #[error("no skip `{0}` is carried out here")]
    Kind(String),
    /// A setting that is missing or has no meaning for the part.
    #[error("`{step}`: {problem}")]
    Setting {
        /// The step.
        step: String,
        /// What is wrong.
        problem: String,
    },
}

/// The executor of a recipe's skips, on a model that its cuts have changed; that of the dense model where
/// there are none.
///
/// `sets` gives the static sets of a step that holds one (rule `calibration`).
///
/// # Errors
/// As [`Skip::executor`], and what `sets` gives.
pub fn executor<E: From<SkipError>>(
    recipe: &Recipe,
    model: &dyn Model,
    mut sets: impl FnMut(&Step) -> Result<Vec<Vec<u32>>, E>,
) -> Result<Box<dyn Running>, E> {
    let mut executors: BTreeMap<&str, Box<dyn Running>> = BTreeMap::new();
    for step in recipe.skips() {
        let name = step.kind().name;
        let skip = ALL.iter().find(|skip| skip.kind() == name);
        let skip = skip.ok_or_else(|| SkipError::Kind(name.to_owned()))?;
        // Of a score that looks at no text too.
        let is_held = step.name("rule") == Some("calibration");
        let sets = if is_held { sets(step)? } else { Vec::new() };
        let ground = Ground { model, sets, seed: recipe.seed() };
        executors.insert(step.kind().part, skip.executor(step, ground)?);
    }
    // A recipe has at most one skip a part, and one of heads and cache.
    let of_attention = executors.remove("heads").or_else(|| executors.remove("kv"));
    let [neurons, channels, exits] = ["ffn", "state", "layers"].map(|part| executors.remove(part));
    let of_part = [neurons, channels, of_attention, exits];
    Ok(match Together::of(of_part) {
        Some(together) => together,
        None => Box::new(Skipping::new(Selection::All, model.ffns().len())),
    })
}

/// Which tokens share a set.
fn commitment(step: &Step) -> Result<Commitment, SkipError> {
    let count = |name| step.count(name).and_then(|count| usize::try_from(count).ok());
    let rule = match step.name("rule") {
        None => return Ok(Commitment::DYNAMIC),
        Some("window-mean") => Rule::WindowMean,
        Some("first-token") => Rule::FirstToken,
        Some("previous-window") => Rule::PreviousWindow,
        Some("prompt") => {
            let tokens = count("prompt_tokens").unwrap_or(plan::DEFAULT_PROMPT_TOKENS);
            Rule::Prompt { tokens }
        }
        Some("calibration") => Rule::Calibration,
        Some("random") => Rule::Random,
        Some(other) => return Err(wrong(step, format!("rule `{other}` is not known here"))),
    };
    let window = count("window").ok_or_else(|| wrong(step, "it has no window".to_owned()))?;
    Ok(Commitment { window, rule })
}

fn wrong(step: &Step, problem: String) -> SkipError {
    SkipError::Setting { step: step.to_string(), problem }
}

/// κ of a step.
fn sparsity(step: &Step) -> f64 {
    step.share("sparsity").unwrap_or_default().get()
}

#[cfg(test)]
mod tests {
    use plan::Way;

    use super::*;

    /// Every skip of `plan` is carried out, and nothing else.
    #[test]
    fn both_sides_have_the_same_kinds() {
        let planned = plan::kinds().iter().filter(|kind| kind.way == Way::Skip);
        let planned: Vec<&str> = planned.map(|kind| kind.name).collect();
        let here: Vec<&str> = ALL.iter().map(|skip| skip.kind()).collect();
        assert_eq!(planned, here);
    }
}

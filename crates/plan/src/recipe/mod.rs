//! Recipes: what is done to a model, as a list of steps of two kinds, cuts and skips.
//!
//! A *cut* changes the weights once, before the run; a *skip* leaves them alone and decides while the
//! model runs what is not computed. Cuts are applied in order, each on the model as the cuts before it
//! left it; skips come last. `[]` is the dense model. An *observation* changes nothing and measures.
//!
//! Every kind of step is one file of [`kinds`]: its settings in one table, what it needs, its words.
//! Pipelines, `--step`, filters, labels, ids, columns and explanations go through that table, so a new
//! kind is a new file there, a line in [`kinds::ALL`], and a file where it is carried out.

mod error;
mod flat;
mod kind;
pub(crate) mod kinds;
mod read;
mod step;
mod value;

pub(crate) use read::read_recipes;

pub use error::{RecipeError, StepError};
pub use kind::{Kind, Label, Setting, Takes, Way};
pub use step::Step;
pub use value::Value;

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use crate::{Needs, Share, Treatment};

/// Every kind of step, in the order in which they are listed.
pub fn kinds() -> &'static [&'static Kind] {
    kinds::ALL
}

/// What is done to a model: cuts in order, then skips; nothing when dense.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Recipe {
    /// Shared by the cells of a grid, of which there may be a million.
    #[serde(serialize_with = "as_list")]
    steps: Arc<[Step]>,
    seed: u64,
}

fn as_list<S: Serializer>(steps: &Arc<[Step]>, serializer: S) -> Result<S::Ok, S::Error> {
    steps.as_ref().serialize(serializer)
}

/// A recipe as it is written, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    steps: Vec<Step>,
    seed: u64,
}

impl TryFrom<Written> for Recipe {
    type Error = RecipeError;

    fn try_from(written: Written) -> Result<Self, RecipeError> {
        Recipe::new(written.steps, written.seed)
    }
}

impl Recipe {
    /// Checks that the steps can follow each other.
    ///
    /// # Errors
    /// [`RecipeError`]: a cut after a skip, two skips of one part, skips of heads and of the cache together,
    /// an observation beside other steps, a step that needs gradients of a model that is cut already, one
    /// that would fill in zeros.
    pub fn new(steps: Vec<Step>, seed: u64) -> Result<Recipe, RecipeError> {
        for (index, step) in steps.iter().enumerate() {
            let before = &steps[..index];
            if step.way() == Way::Observe && steps.len() > 1 {
                return Err(RecipeError::ObservationInCompany);
            }
            let skips = || before.iter().filter(|step| step.way() == Way::Skip);
            if step.way() == Way::Cut && skips().next().is_some() {
                return Err(RecipeError::CutAfterSkip { step: step.to_string() });
            }
            let part = step.kind().part;
            if step.way() == Way::Skip && skips().any(|other| other.kind().part == part) {
                return Err(RecipeError::TwoSkips { part });
            }
            if step.way() == Way::Skip && skips().any(|other| share_attention(other, step)) {
                return Err(RecipeError::OneAttention);
            }
            if step.needs() == Needs::Gradient && !before.is_empty() {
                return Err(RecipeError::GradientAfterCut { step: step.to_string() });
            }
            let zeros = before.iter().find(|before| (before.kind().leaves_zeros)(before));
            if let Some(zeros) = zeros
                && step.kind().fills_zeros
            {
                let (step, zeros) = (step.to_string(), zeros.to_string());
                return Err(RecipeError::FillsZeros { step, zeros });
            }
        }
        Ok(Recipe { steps: steps.into(), seed })
    }

    /// The model as it is.
    pub fn dense(seed: u64) -> Recipe {
        Recipe { steps: Arc::new([]), seed }
    }

    /// Takes the place of equal steps in memory, where `known` has them.
    pub(crate) fn share(&mut self, known: &mut HashSet<Arc<[Step]>>) {
        match known.get(&self.steps) {
            Some(equal) => self.steps = Arc::clone(equal),
            None => drop(known.insert(Arc::clone(&self.steps))),
        }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Seed of everything random.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The same steps under another seed.
    pub fn with_seed(self, seed: u64) -> Recipe {
        Recipe { seed, ..self }
    }

    /// What changes the weights, in order.
    pub fn cuts(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.way() == Way::Cut)
    }

    /// What decides while the model runs.
    pub fn skips(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.way() == Way::Skip)
    }

    /// What is measured, where nothing is changed.
    pub fn observation(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.way() == Way::Observe)
    }

    /// Whether nothing is done at all.
    pub fn is_dense(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether anything is cut or skipped.
    pub fn changes_anything(&self) -> bool {
        self.steps.iter().any(|step| step.way() != Way::Observe)
    }

    /// Whether a step looks at calibration text before the run.
    pub fn needs_calibration(&self) -> bool {
        self.steps.iter().any(Step::needs_calibration)
    }

    /// The share that folders are named by: that of the last step that has one, else 0.
    pub fn sparsity(&self) -> Share {
        self.steps.iter().rev().find_map(|step| step.share("sparsity")).unwrap_or_default()
    }

    /// The commitment window that folders are named by: that of the last step that has one.
    pub fn window(&self) -> Option<u64> {
        self.steps.iter().rev().find_map(Step::window)
    }

    /// The flat fields that a recipe of one step on neurons or state channels has, or dense; none for
    /// every other recipe.
    pub fn treatment(&self) -> Option<Treatment> {
        match self.steps.as_ref() {
            [] => Some(Treatment::dense(self.seed)),
            [step] => flat::treatment(step, self.seed),
            _ => None,
        }
    }

    /// Its steps as one text, as `--step` takes them, with ` + ` between them; `dense` when there is none.
    pub fn text(&self) -> String {
        if self.steps.is_empty() {
            return "dense".to_owned();
        }
        self.steps.iter().map(Step::to_string).collect::<Vec<_>>().join(" + ")
    }

    /// Its steps as a JSON list of objects with sorted keys.
    pub fn json(&self) -> String {
        json!(self.steps()).to_string()
    }

    /// The words of its steps for a label.
    pub fn label(&self) -> String {
        if self.steps.is_empty() {
            return "dense".to_owned();
        }
        self.steps.iter().map(Step::label).collect::<Vec<_>>().join(" + ")
    }
}

/// Whether two skips both stand in for the attention: heads and cache.
fn share_attention(a: &Step, b: &Step) -> bool {
    let of_attention = |step: &Step| matches!(step.kind().part, "heads" | "kv");
    of_attention(a) && of_attention(b)
}

impl From<Treatment> for Recipe {
    fn from(treatment: Treatment) -> Recipe {
        let steps: Vec<Step> = flat::step(&treatment).into_iter().collect();
        let steps = steps.into();
        Recipe { steps, seed: treatment.seed }
    }
}

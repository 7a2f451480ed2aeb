//! A training recipe: everything that decides the bits of the trained model.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{optimiser::AdamWSettings, penalty::L1Form, schedule::LearningRate};

/// A recipe as `pipelines/train/*.toml` writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the model: its folder.
    pub name: String,
    /// What the model is for, in a sentence; goes into its card.
    pub about: String,
    /// What its card has to say of the results, where they call for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Decides the first parameters.
    pub seed: u64,
    /// The fields of `config.json`, except for those that the tokenizer decides.
    pub config: Map<String, Value>,
    /// The texts.
    pub corpus: Corpus,
    /// How long and how fast.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimiser: AdamWSettings,
    /// The price on hidden activations, where there is one.
    pub l1: Option<L1>,
    /// What is measured on the way.
    pub measure: Measure,
    /// Where the recipe is to be run at several prices, for a curve and not for a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
}

/// The prices of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// λ of each run, in place of `l1.coefficient`.
    pub l1_coefficients: Vec<f64>,
}

/// The texts that are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    /// Seed of the generated corpus.
    pub seed: u64,
    /// Targets of a training sequence; it has one id more.
    pub sequence_tokens: usize,
}

/// Length and pace of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Steps of the optimiser.
    pub steps: usize,
    /// Sequences of a step.
    pub batch_sequences: usize,
    /// Parts that a step's sequences are worked on in, side by side; the sums do not depend on the
    /// number of cores.
    pub shares: usize,
    /// Standard deviation of the first embeddings.
    pub embedding_deviation: f64,
    /// Learning rate.
    pub learning_rate: LearningRate,
}

/// L1 on hidden activations (docs/SPEC.md section 6).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1 {
    /// What the sum is divided by.
    pub form: L1Form,
    /// λ.
    pub coefficient: f64,
    /// First step with a penalty.
    pub start_step: usize,
    /// Steps over which it rises to λ.
    pub warmup_steps: usize,
}

/// Measurements on held-out text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Steps between measurements, and between checkpoints.
    pub every_steps: usize,
    /// Held-out documents of each register.
    pub documents: usize,
    /// Held-out passages of the last-word task.
    pub items: usize,
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No TOML, a field missing or unknown, or a value of the wrong type; says where.
    #[error("{path} is no recipe: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        reason: String,
    },
    /// Values that make no sense; all of them.
    #[error("{path}: {}", mistakes.join("; "))]
    Values {
        /// The file.
        path: PathBuf,
        /// One sentence each.
        mistakes: Vec<String>,
    },
}

/// Fields of `config.json` that follow from the tokenizer.
const DECIDED: [&str; 4] = ["vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"];

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// [`RecipeError`] with every mistake in the values, or the first in the syntax.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text = fs::read_to_string(path)
            .map_err(|source| RecipeError::Io { path: path.to_owned(), source })?;
        let recipe: Self = toml::from_str(&text).map_err(|error| {
            let reason = error.to_string().trim_end().replace('\n', "\n  ");
            RecipeError::Syntax { path: path.to_owned(), reason }
        })?;
        let mistakes = recipe.mistakes();
        match mistakes.is_empty() {
            true => Ok(recipe),
            false => Err(RecipeError::Values { path: path.to_owned(), mistakes }),
        }
    }

    /// The recipe as one line of JSON: what tables and checkpoints carry, and what a checkpoint must
    /// have been made by to be taken up.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether a recipe, as JSON, trains the same weights: all but what is said about them is equal.
    pub(crate) fn trains_what(&self, json: &str) -> bool {
        let bare = |recipe: &Self| Self { about: String::new(), note: None, ..recipe.clone() };
        serde_json::from_str::<Self>(json).is_ok_and(|other| bare(&other) == bare(self))
    }

    /// Targets of the whole run.
    pub(crate) fn tokens(&self) -> usize {
        self.schedule.steps * self.schedule.batch_sequences * self.corpus.sequence_tokens
    }

    /// What would be trained, in a line.
    pub fn summary(&self) -> String {
        let Self { name, schedule, l1, .. } = self;
        let price = match l1 {
            Some(l1) => format!(", L1 {} over {}", l1.coefficient, l1.form),
            None => String::new(),
        };
        let millions = self.tokens() as f64 / 1e6;
        let times = match &self.sweep {
            Some(sweep) => format!(", at each of {} prices", sweep.l1_coefficients.len()),
            None => String::new(),
        };
        format!("{name}: {} steps, {millions:.2} M tokens{price}{times}", schedule.steps)
    }

    fn mistakes(&self) -> Vec<String> {
        let Self { schedule, optimiser, corpus, measure, .. } = self;
        let rate = schedule.learning_rate;
        let mut mistakes: Vec<String> = Vec::new();
        if let Err(error) = plan::check_folder_name(&self.name) {
            mistakes.push(format!("`name`: {error}"));
        }
        let mut require = |holds: bool, what: &str| {
            if !holds {
                mistakes.push(what.to_owned());
            }
        };
        for (field, n) in [
            ("corpus.sequence_tokens", corpus.sequence_tokens),
            ("schedule.steps", schedule.steps),
            ("schedule.batch_sequences", schedule.batch_sequences),
            ("schedule.shares", schedule.shares),
            ("measure.every_steps", measure.every_steps),
            ("measure.documents", measure.documents),
            ("measure.items", measure.items),
        ] {
            require(n > 0, &format!("`{field}` must be 1 or more"));
        }
        require(
            schedule.batch_sequences.is_multiple_of(schedule.shares.max(1)),
            "`schedule.shares` must divide `schedule.batch_sequences`",
        );
        require(
            rate.warmup_steps < schedule.steps,
            "`schedule.learning_rate.warmup_steps` must be below `schedule.steps`",
        );
        require(
            rate.peak > 0.0 && rate.peak.is_finite() && (0.0..=1.0).contains(&rate.final_share),
            "`schedule.learning_rate` needs a `peak` above 0 and a `final_share` from 0 to 1",
        );
        require(
            [optimiser.beta_1, optimiser.beta_2].iter().all(|beta| (0.0..1.0).contains(beta)),
            "`optimiser.beta_1` and `optimiser.beta_2` must be from 0 to below 1",
        );
        require(
            optimiser.epsilon > 0.0 && optimiser.weight_decay >= 0.0 && optimiser.clip_norm > 0.0,
            "`optimiser` needs an `epsilon` and a `clip_norm` above 0 and no negative decay",
        );
        if let Some(l1) = self.l1 {
            require(
                l1.coefficient >= 0.0 && l1.coefficient.is_finite(),
                "`l1.coefficient` must be 0 or more",
            );
        }
        if let Some(sweep) = &self.sweep {
            require(self.l1.is_some(), "`sweep` needs an `[l1]` whose coefficient it replaces");
            let good = |c: &f64| *c >= 0.0 && c.is_finite();
            require(
                !sweep.l1_coefficients.is_empty() && sweep.l1_coefficients.iter().all(good),
                "`sweep.l1_coefficients` must be one or more numbers, 0 or more",
            );
        }
        for field in DECIDED {
            require(
                !self.config.contains_key(field),
                &format!("`config.{field}` follows from the tokenizer: remove it"),
            );
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every committed recipe is one, and all of them have the same budget.
    #[test]
    fn committed_recipes_have_equal_budgets() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/train");
        let mut budgets = Vec::new();
        for entry in fs::read_dir(&folder).expect("the folder of recipes") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|e| e != "toml") {
                continue;
            }
            let recipe = Recipe::read(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(path.file_stem(), Some(recipe.name.as_ref()), "name and file agree");
            budgets.push((recipe.schedule.steps, recipe.schedule.batch_sequences, recipe.corpus));
        }
        assert!(budgets.len() >= 6, "{} recipes", budgets.len());
        assert!(budgets.iter().all(|budget| *budget == budgets[0]), "{budgets:?}");
    }
}

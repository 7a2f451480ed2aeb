//! What travels between `xtask` and `worker` when a recipe's cuts are written as a model of their own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    Calibration, Cell, DEFAULT_CALIBRATION_WINDOW_TOKENS, DeviceName, ModelInput, OrderProvenance,
    OrderedCell, Protocol, Recipe, SlimFormat, Step, TextInput, WorkOrder,
};

/// A recipe whose cuts are written: what `worker slim` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlimRequest {
    /// The model, with its hashes.
    pub model: ModelInput,
    /// What is done to it: cuts only.
    pub recipe: Recipe,
    /// Present when the recipe looks at a text.
    pub calibration: Option<SlimText>,
    /// The folder to be made.
    pub out: PathBuf,
    /// In which form, by its name.
    pub format: SlimFormat,
    /// Whether layers of different widths get that of the widest.
    pub uniform: bool,
    /// Most bytes of one file of weights; none for the usual number.
    pub shard_bytes: Option<u64>,
    /// Where it is computed.
    #[serde(default)]
    pub device: DeviceName,
    /// Who asked.
    pub provenance: OrderProvenance,
    /// Tables of measured cells for the card, Markdown.
    pub measured: Option<String>,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

/// The text that a recipe looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlimText {
    /// The file, with its hash and its name.
    pub text: TextInput,
    /// Windows of it; none means all.
    pub limit: Option<usize>,
    /// Ids in one window; none means 1,024, or what the model has positions for.
    pub window_tokens: Option<usize>,
}

impl SlimRequest {
    /// Why it cannot be carried out, whatever the model.
    ///
    /// # Errors
    /// A recipe that is no checkpoint: a skip, an observation, or nothing at all.
    pub fn check(recipe: &Recipe) -> Result<(), String> {
        if let Some(skip) = recipe.skips().next() {
            return Err(format!(
                "step `{skip}` decides while the model runs, so what it leaves is no checkpoint: leave it \
                 out, and run the written model with it (`cargo xtask cell --model DIR --step …`)"
            ));
        }
        let linear = |step: &&Step| step.name("method") == Some("linearise");
        if let Some(step) = recipe.cuts().find(linear) {
            return Err(format!(
                "step `{step}` puts a linear map in the place of a layer, which no class of transformers and \
                 no GGUF family has: leave it out"
            ));
        }
        if recipe.observation().is_some() {
            return Err(
                "an observation leaves the model as it is: there is nothing to write".to_owned()
            );
        }
        Ok(())
    }

    /// The cut as a cell of a work order, of a model with so many positions; `results` is where scores lie
    /// on the way. Its text is no one's: nothing is measured.
    pub fn order(&self, results: PathBuf, max_positions: usize) -> WorkOrder {
        // Names become folders where scores are stored, so paths will not do.
        const MODEL: &str = "model";
        const TEXT: &str = "calibration";
        let window = |own: &SlimText| {
            let usual = DEFAULT_CALIBRATION_WINDOW_TOKENS.min(max_positions);
            own.window_tokens.unwrap_or(usual)
        };
        let window_tokens = self.calibration.as_ref().map_or(max_positions.min(2), window);
        let calibration = self.calibration.as_ref();
        let cell = Cell {
            model: MODEL.to_owned(),
            dataset: "none".to_owned(),
            protocol: Protocol::Perplexity { window_tokens },
            limit: None,
            offset: None,
            calibration: calibration.map(|own| Calibration {
                dataset: TEXT.to_owned(),
                limit: own.limit,
                window_tokens,
            }),
            recipe: self.recipe.clone(),
            compare: None,
        };
        let text = calibration.map(|own| TextInput { name: TEXT.to_owned(), ..own.text.clone() });
        WorkOrder {
            run: "slim".to_owned(),
            results,
            device: self.device,
            provenance: self.provenance.clone(),
            models: vec![ModelInput { name: MODEL.to_owned(), ..self.model.clone() }],
            texts: text.into_iter().collect(),
            tasks: Vec::new(),
            cells: vec![OrderedCell { id: "slim".to_owned(), cell }],
        }
    }
}

/// What the worker says while it writes: one JSON object a line on its standard output, beside what it says
/// of its [`crate::Event`]s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SlimEvent {
    /// What is being done.
    Phase {
        /// In words.
        message: String,
    },
    /// Weights are being written.
    Writing {
        /// Bytes so far.
        bytes_done: u64,
        /// All of them.
        bytes: u64,
    },
    /// The last line.
    Written(SlimAnswer),
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlimAnswer {
    /// The folder; none where nothing was to be written.
    pub folder: PathBuf,
    /// The form.
    pub format: SlimFormat,
    /// Whether it is only what would be written, as far as that is known before the cuts.
    pub dry_run: bool,
    /// Numbers in the model before the cuts.
    pub parameters_before: u64,
    /// Numbers in all tensors.
    pub parameters: u64,
    /// Bytes of all files but the card.
    pub bytes: u64,
    /// Bytes that storing the recipe takes, by the formula of docs/SPEC.md section 11.
    pub stored_bytes: u64,
    /// Fields of `config.json` that follow from the cut model.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Names of the files.
    pub files: Vec<String>,
    /// What the format could not say as it was meant, and what was done.
    pub notes: Vec<String>,
    /// Seconds of the cuts.
    pub cut_seconds: f64,
    /// Seconds of writing.
    pub write_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(steps: &[&str]) -> Recipe {
        let steps = steps.iter().map(|step| step.parse().unwrap());
        Recipe::new(steps.collect(), 1).unwrap()
    }

    #[test]
    fn only_cuts_are_checkpoints() {
        let cut = "cut=weights,method=magnitude,sparsity=0.5";
        assert_eq!(SlimRequest::check(&recipe(&[cut])), Ok(()));
        assert_eq!(SlimRequest::check(&recipe(&[])), Ok(()));
        let skip = "skip=ffn,score=magnitude,sparsity=0.5";
        let error = SlimRequest::check(&recipe(&[cut, skip])).unwrap_err();
        assert!(error.contains("skip=ffn") && error.contains("no checkpoint"), "{error}");
        let linear = "cut=layers,method=linearise,layer=1,rank=8";
        let error = SlimRequest::check(&recipe(&[cut, linear])).unwrap_err();
        assert!(error.contains("method=linearise") && error.contains("leave it out"), "{error}");
    }
}

//! What `cargo xtask speed` runs side by side: a TOML file of models, each with rows.

use std::{collections::BTreeSet, path::PathBuf};

use serde::Deserialize;

use crate::{Protocol, Recipe, SpeedTokens, Step, WeightType, ZeroEntries};

/// The row that every other one of a model is compared with.
pub const DENSE_ROW: &str = "dense";

/// All models.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedPlan {
    /// One after the other, each with all its rows side by side.
    #[serde(rename = "model")]
    pub models: Vec<SpeedModel>,
}

/// One model with its rows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedModel {
    /// What it is called.
    pub name: String,
    /// A GGUF file or a Hugging Face folder.
    pub path: PathBuf,
    /// The same as a Hugging Face folder, where a peer reads no GGUF.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// The same as a GGUF file in `f32`, for llama.cpp; made of the folder where it is missing.
    #[serde(default)]
    pub gguf: Option<PathBuf>,
    /// A text, for ids and loss; ids are made up without one.
    #[serde(default)]
    pub dataset: Option<PathBuf>,
    /// How its loss is taken.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// Windows of the loss.
    #[serde(default)]
    pub limit: Option<usize>,
    /// The text that cuts look at.
    #[serde(default)]
    pub calibrate: Option<PathBuf>,
    /// Windows of it.
    #[serde(default)]
    pub calibrate_limit: Option<usize>,
    /// How much is timed, where it is not what docs/SPEC.md section 17 says.
    #[serde(default)]
    pub tokens: SpeedTokens,
    /// Who is timed beside.
    #[serde(default)]
    pub peers: Vec<SpeedPeer>,
    /// What is timed; the first is [`DENSE_ROW`].
    #[serde(rename = "row")]
    pub rows: Vec<SpeedRow>,
    /// Ratios that are aimed at.
    #[serde(default, rename = "target")]
    pub targets: Vec<SpeedTarget>,
}

/// A model as it runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedRow {
    /// What it is called.
    pub name: String,
    /// Steps of its recipe, as `--step` takes them.
    #[serde(default)]
    pub steps: Vec<String>,
    /// What matrices are held in.
    #[serde(default)]
    pub weights: WeightType,
    /// What is done with zeros.
    #[serde(default)]
    pub zeros: ZeroEntries,
}

/// Another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SpeedPeer {
    /// PyTorch with transformers.
    #[serde(rename = "transformers")]
    Transformers,
    /// llama.cpp, by llama-cpp-python.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
}

impl SpeedPeer {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transformers => "transformers",
            Self::LlamaCpp => "llama.cpp",
        }
    }
}

/// Tokens per second of a row over those of another one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedTarget {
    /// The row.
    pub of: String,
    /// The other row, or a peer.
    pub over: String,
    /// What is timed.
    pub measure: SpeedMeasure,
    /// The least ratio that is aimed at.
    pub least: f64,
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpeedMeasure {
    /// A prompt in one go.
    Prefill,
    /// Tokens one by one.
    Decode,
}

impl SpeedMeasure {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

impl SpeedPlan {
    /// Reads and checks a file's text.
    ///
    /// # Errors
    /// All that is wrong with it, a line each.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plan: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut problems: Vec<String> = plan.models.iter().flat_map(SpeedModel::problems).collect();
        let mut names = BTreeSet::new();
        let twice = plan.models.iter().filter(|own| !names.insert(own.name.as_str()));
        problems.extend(twice.map(|own| format!("two models are called `{}`", own.name)));
        if problems.is_empty() { Ok(plan) } else { Err(problems.join("\n")) }
    }
}

impl SpeedModel {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut wrong =
            |problem: String| problems.push(format!("model `{}`: {problem}", self.name));
        let first = self.rows.first();
        if first.is_none_or(|row| row.name != DENSE_ROW || !row.is_plain()) {
            wrong(format!("its first row must be `{DENSE_ROW}`, without settings"));
        }
        let mut names: BTreeSet<&str> = self.peers.iter().map(|peer| peer.name()).collect();
        for row in &self.rows {
            if !names.insert(&row.name) {
                wrong(format!("two rows are called `{}`", row.name));
            }
            match row.recipe() {
                Err(problem) => wrong(format!("row `{}`: {problem}", row.name)),
                // Without a dataset ids are made up, those that cuts look at, too.
                Ok(recipe) if recipe.needs_calibration() && self.dataset.is_some() => {
                    if self.calibrate.is_none() {
                        wrong(format!(
                            "row `{}` looks at text: give the model `calibrate`",
                            row.name
                        ));
                    }
                }
                Ok(_) => {}
            }
        }
        for SpeedTarget { of, over, .. } in &self.targets {
            for name in [of, over] {
                if !names.contains(name.as_str()) {
                    wrong(format!("a target names `{name}`, which is no row and no peer"));
                }
            }
        }
        let SpeedTokens { prefill, prompt, decode } = self.tokens;
        if [prefill, prompt, decode].contains(&0) {
            wrong("`tokens`: `prefill`, `prompt` and `decode` are at least 1 each".to_owned());
        }
        if self.peers.contains(&SpeedPeer::LlamaCpp) && self.gguf.is_none() {
            wrong("llama.cpp runs a GGUF file: name it as `gguf`".to_owned());
        }
        if self.dataset.is_some() != self.protocol.is_some() {
            wrong("`dataset` and `protocol` belong together".to_owned());
        }
        if self.protocol.is_some_and(|protocol| protocol.window_tokens().is_none()) {
            wrong("its protocol must be of windows of text, such as ppl-1024".to_owned());
        }
        problems
    }
}

impl SpeedRow {
    fn is_plain(&self) -> bool {
        let SpeedRow { steps, weights, zeros, .. } = self;
        steps.is_empty() && *weights == WeightType::F32 && *zeros == ZeroEntries::Read
    }

    /// What is done to the model.
    ///
    /// # Errors
    /// A step that is none, or steps that may not follow each other.
    pub fn recipe(&self) -> Result<Recipe, String> {
        let steps = self.steps.iter().map(|step| step.parse::<Step>());
        let steps = steps.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let recipe = Recipe::new(steps, 1).map_err(|error| error.to_string())?;
        if recipe.observation().is_some() {
            return Err("what is observed is not timed".to_owned());
        }
        if self.zeros == ZeroEntries::Skip && recipe.skips().next().is_some() {
            return Err("zeros are left out of a model that skips nothing else".to_owned());
        }
        Ok(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_plan_is_right() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/speed.toml");
        let plan = SpeedPlan::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert!(plan.models.iter().any(|model| !model.targets.is_empty()));
    }

    #[test]
    fn every_mistake_is_told() {
        let text = r#"
            [[model]]
            name = "m"
            path = "p"
            dataset = "d"
            target = [{ of = "dense", over = "llama.cpp", measure = "decode", least = 0.9 }]
            [[model.row]]
            name = "half"
            weights = "bf16"
            [[model.row]]
            name = "half"
            steps = ["cut=nothing"]
        "#;
        let problems = SpeedPlan::parse(text).unwrap_err();
        for part in
            ["first row", "two rows", "nothing", "`dense`", "`llama.cpp`", "belong together"]
        {
            assert!(problems.contains(part), "{part} is not in: {problems}");
        }
        assert_eq!(problems.lines().count(), 6, "{problems}");
    }

    /// What would end a run, or a process in it, after minutes.
    #[test]
    fn what_cannot_be_run_is_told_before() {
        let rows = "row = [{ name = \"dense\" }, { name = \"h\", steps = [\"cut=ffn,score=magnitude,sparsity=0.5\"] }]";
        let model = |more: &str| format!("[[model]]\nname = \"m\"\npath = \"p\"\n{more}\n{rows}\n");
        let text = "dataset = \"d\"\nprotocol = \"ppl-64\"";
        for (plan, expected) in [
            (model(text), "row `h` looks at text: give the model `calibrate`"),
            (model("peers = [\"llama.cpp\"]"), "name it as `gguf`"),
            (model("tokens = { prefill = 0, prompt = 1, decode = 1 }"), "at least 1 each"),
            (model("tokens = { prefill = 1, prompt = 1, decode = 0 }"), "at least 1 each"),
            (model("") + &model(""), "two models are called `m`"),
        ] {
            let problems = SpeedPlan::parse(&plan).unwrap_err();
            assert!(problems.contains(expected), "{expected} is not in: {problems}");
            assert_eq!(problems.lines().count(), 1, "{problems}");
        }
        for plan in [model(""), model(&format!("{text}\ncalibrate = \"c\""))] {
            SpeedPlan::parse(&plan).unwrap();
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        let text =
            "[[model]]\nname = \"m\"\npath = \"p\"\nthreads = 2\n[[model.row]]\nname = \"dense\"\n";
        assert!(SpeedPlan::parse(text).unwrap_err().contains("threads"));
    }
}

//! What travels between `xtask` and `worker`: the work order, events, inspections, one-cell requests.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Calibration, Cell, Compare, DeviceName, Inputs, Protocol, Reading, Recipe, TaskName, TimeSteps,
    calibration_window_tokens, cell_id,
};

/// Everything the worker needs for a run; a JSON file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkOrder {
    /// The name of the run.
    pub run: String,
    /// The folder of the run, `results/<run>`.
    pub results: PathBuf,
    /// Where the cells are computed.
    #[serde(default)]
    pub device: DeviceName,
    /// Who made the numbers, for the provenance columns.
    pub provenance: OrderProvenance,
    /// The models that the cells name.
    pub models: Vec<ModelInput>,
    /// The texts that the cells name, calibration texts included.
    pub texts: Vec<TextInput>,
    /// The files that define tasks of a user's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskInput>,
    /// The cells, in the order of the pipeline; those that run on one cut model are done together.
    #[serde(deserialize_with = "with_shared_steps")]
    pub cells: Vec<OrderedCell>,
}

/// Reads cells whose equal recipes are one in memory: of a million cells most share theirs with others.
fn with_shared_steps<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<OrderedCell>, D::Error> {
    struct Cells;

    impl<'de> Visitor<'de> for Cells {
        type Value = Vec<OrderedCell>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of cells")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let (mut cells, mut known) = (Vec::new(), HashSet::new());
            while let Some(mut ordered) = list.next_element::<OrderedCell>()? {
                ordered.cell.recipe.share(&mut known);
                cells.push(ordered);
            }
            Ok(cells)
        }
    }

    deserializer.deserialize_seq(Cells)
}

impl WorkOrder {
    /// The file that defines a task; none where it is one of this project.
    pub fn task(&self, name: TaskName) -> Option<&TaskInput> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// The ids of cells, in their order; none where the order lacks the model or a text of one.
    ///
    /// Cells of one model and text rest on the same inputs, which are found once where they follow each
    /// other.
    pub fn ids_of<'a>(
        &self,
        cells: impl IntoIterator<Item = &'a Cell>,
    ) -> impl Iterator<Item = Option<String>> {
        let mut last: Option<(&Cell, Option<Inputs>)> = None;
        cells.into_iter().map(move |cell| {
            let calibrated = |cell: &'a Cell| cell.calibration.as_ref().map(|own| &own.dataset);
            let rests_on = |cell: &'a Cell| {
                (&cell.model, &cell.dataset, cell.protocol.task(), calibrated(cell))
            };
            if last.as_ref().is_none_or(|(other, _)| rests_on(other) != rests_on(cell)) {
                last = Some((cell, self.inputs_of(cell)));
            }
            let inputs = last.as_ref().and_then(|(_, inputs)| inputs.as_ref());
            inputs.map(|inputs| cell_id(cell, inputs))
        })
    }

    /// What the numbers of a cell rest on; none where the order lacks its model or a text of it.
    pub fn inputs_of(&self, cell: &Cell) -> Option<Inputs> {
        let model = self.models.iter().find(|model| model.name == cell.model)?;
        let text = |name: &str| {
            let text = self.texts.iter().find(|text| text.name == name)?;
            Some(text.reading.identity(&text.sha256))
        };
        let calibration_text = match &cell.calibration {
            Some(calibration) => Some(text(&calibration.dataset)?),
            None => None,
        };
        Some(Inputs {
            weights: model.sha256.clone(),
            tokenizer: model.tokenizer_sha256.clone(),
            text: text(&cell.dataset)?,
            task: cell.protocol.task().and_then(|task| Some(self.task(task)?.sha256.clone())),
            calibration_text,
            code_version: self.provenance.code_version.clone(),
            dtype: "f32".to_owned(),
            device: self.device,
            time_steps: model.time_steps,
        })
    }
}

/// The file that defines a task of a user's own, found and hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskInput {
    /// The name that the protocols of cells have.
    pub name: TaskName,
    /// A TOML file.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Who made the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderProvenance {
    /// `git describe --always --dirty`, or `unknown`.
    pub revision: String,
    /// Digest of the source code that computes numbers.
    pub code_version: String,
    /// The command line that ordered the run.
    pub command: String,
}

/// A model, found and hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInput {
    /// The name used by cells.
    pub name: String,
    /// A GGUF file or a Hugging Face folder.
    pub path: PathBuf,
    /// SHA-256 of the weights, as in [`crate::Inputs::weights`].
    pub sha256: String,
    /// SHA-256 of the tokenizer, as in [`crate::Inputs::tokenizer`].
    pub tokenizer_sha256: String,
    /// Whether nothing but a folder with `config.json` is there: enough to plan, not to run.
    #[serde(default)]
    pub planned: bool,
    /// The folder of the tokenizer where it is not the model's own.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
    /// How the time steps of a Zamba2 model are limited.
    #[serde(default)]
    pub time_steps: TimeSteps,
}

/// A text, found and hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextInput {
    /// The name used by cells.
    pub name: String,
    /// A `.raw`, `.jsonl`, `.jsonl.gz`, `.json.gz` or `.parquet` file.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
    /// How it is read.
    #[serde(default)]
    pub reading: Reading,
}

/// A cell with its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderedCell {
    /// The id, see [`crate::cell_id`].
    pub id: String,
    /// The cell.
    pub cell: Cell,
}

/// What the worker says while it works: one JSON object a line on its standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Work that belongs to no cell: loading weights, calibrating.
    Phase {
        /// What is being done.
        message: String,
    },
    /// A cell begins.
    CellStart {
        /// The cell.
        id: String,
        /// [`Cell::label`].
        label: String,
        /// Windows or items it holds.
        units: u64,
    },
    /// A cell goes on.
    Progress {
        /// The cell.
        id: String,
        /// Windows or items done so far.
        units_done: u64,
        /// Windows or items it holds.
        units: u64,
        /// Tokens read so far.
        tokens_done: u64,
    },
    /// A cell is finished and its file is safely stored.
    CellDone {
        /// The cell.
        id: String,
        /// Wall-clock seconds.
        seconds: f64,
        /// Tokens read per second.
        tokens_per_second: f64,
    },
    /// A cell failed; its failure row is stored and the rest goes on.
    CellFailed {
        /// The cell.
        id: String,
        /// Why, as one chain of causes.
        error: String,
    },
    /// Another worker of the same run finished a cell that was asked for here too.
    CellElsewhere {
        /// The cell.
        id: String,
    },
    /// Nothing can be done until other workers of the same run are through.
    Waiting {
        /// For what and for whom.
        message: String,
    },
    /// The last line.
    End {
        /// Cells finished in this run.
        done: u64,
        /// Cells failed in this run.
        failed: u64,
        /// Whether the run was stopped before all cells were tried.
        stopped: bool,
    },
}

/// What the worker says while it folds the files of a run: one JSON object a line on its standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum CompactEvent {
    /// How much there is to fold.
    Begin {
        /// Partitions with more than one file to fold.
        partitions: u64,
        /// Cells that lie there in files of their own.
        cells: u64,
    },
    /// A partition is done.
    Progress {
        /// Partitions looked at so far.
        partitions_done: u64,
        /// Cells folded so far.
        cells_done: u64,
    },
    /// The last line: what was done.
    End {
        /// Partitions whose files were folded.
        partitions: u64,
        /// Cells that lie in files of many now and did not before.
        cells: u64,
        /// Files that were folded.
        files_before: u64,
        /// Files that they were folded into.
        files_after: u64,
        /// Whether it was stopped before the end.
        stopped: bool,
    },
}

/// What `worker inspect` answers: the size and the cost of an order, without running it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// One entry a model.
    pub models: Vec<ModelInspection>,
    /// One entry a cell, in the order of the work order.
    pub cells: Vec<CellInspection>,
    /// Largest resident memory expected of the worker, in bytes.
    pub peak_memory_bytes: u64,
    /// Seconds expected for all cells.
    pub seconds_expected: f64,
}

/// The size of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInspection {
    /// The name used by cells.
    pub name: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Resident memory expected with this model, in bytes.
    pub peak_memory_bytes: u64,
}

/// The cost of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellInspection {
    /// The cell.
    pub id: String,
    /// Windows or items.
    pub units: u64,
    /// Tokens to read.
    pub tokens: u64,
    /// Whether units and tokens are guessed from the size of the text, for want of a tokenizer.
    #[serde(default)]
    pub guessed: bool,
    /// Floating-point operations for one token.
    pub flops_per_token: f64,
    /// Floating-point operations of the whole cell, whatever machine runs it; cells are shared out by them.
    pub flops_expected: f64,
    /// Seconds expected on this machine.
    pub seconds_expected: f64,
}

/// One cell by hand, without a pipeline or a results folder: what `worker cell` reads, and runs as a work
/// order of one cell in a temporary folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellRequest {
    /// A GGUF file or a Hugging Face folder.
    pub model: PathBuf,
    /// A text file, as in [`TextInput::path`].
    pub dataset: PathBuf,
    /// How it is read.
    #[serde(default)]
    pub reading: Reading,
    /// How the text is turned into numbers.
    pub protocol: Protocol,
    /// The file that defines the task of the protocol, where it is a user's own.
    #[serde(default)]
    pub task: Option<PathBuf>,
    /// What is done to the model.
    pub recipe: Recipe,
    /// With what predictions are compared, beside the text.
    #[serde(default)]
    pub compare: Option<Compare>,
    /// Windows or items; none means all.
    pub limit: Option<usize>,
    /// Windows or items left out at the beginning.
    #[serde(default)]
    pub offset: Option<usize>,
    /// Present when calibration text is given.
    pub calibration: Option<CalibrationText>,
    /// Where it is computed.
    #[serde(default)]
    pub device: DeviceName,
    /// How the time steps of a Zamba2 model are limited.
    #[serde(default)]
    pub time_steps: TimeSteps,
    /// Whether every token is a pass of its own, as in generation.
    #[serde(default)]
    pub decode: bool,
    /// Whether the answer is one JSON object on standard output.
    pub json: bool,
}

impl CellRequest {
    /// The same as a work order, whose results lie in `results`. Its inputs are known by their paths alone:
    /// nothing of it is kept, so nothing is hashed.
    pub fn order(&self, results: PathBuf) -> WorkOrder {
        // Names become folders where scores are stored, so paths will not do.
        const MODEL: &str = "model";
        let text = |name: &str, path: &Path, reading: Reading| TextInput {
            name: name.to_owned(),
            path: path.to_owned(),
            sha256: String::new(),
            reading,
        };
        let dataset = text("text", &self.dataset, self.reading);
        let calibration = self.calibration.as_ref();
        let calibration = calibration.map(|own| (own, text("calibration", &own.path, own.reading)));
        let cell = Cell {
            model: MODEL.to_owned(),
            dataset: dataset.name.clone(),
            protocol: self.protocol,
            limit: self.limit,
            offset: self.offset,
            calibration: calibration.as_ref().map(|(own, text)| Calibration {
                dataset: text.name.clone(),
                limit: own.limit,
                window_tokens: calibration_window_tokens(self.protocol, own.window_tokens),
            }),
            recipe: self.recipe.clone(),
            compare: self.compare,
        };
        let mut texts = vec![dataset];
        texts.extend(calibration.map(|(_, text)| text));
        let task = self
            .protocol
            .task()
            .zip(self.task.clone())
            .into_iter()
            .map(|(name, path)| TaskInput { name, path, sha256: String::new() });
        let unknown = || "unknown".to_owned();
        WorkOrder {
            run: "cell".to_owned(),
            results,
            device: self.device,
            provenance: OrderProvenance {
                revision: unknown(),
                code_version: unknown(),
                command: unknown(),
            },
            models: vec![ModelInput {
                name: MODEL.to_owned(),
                path: self.model.clone(),
                sha256: String::new(),
                tokenizer_sha256: String::new(),
                planned: false,
                tokenizer: None,
                time_steps: self.time_steps,
            }],
            texts,
            tasks: task.collect(),
            cells: vec![OrderedCell { id: "cell".to_owned(), cell }],
        }
    }
}

/// A calibration text given by path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationText {
    /// A text file, as in [`TextInput::path`].
    pub path: PathBuf,
    /// How it is read.
    #[serde(default)]
    pub reading: Reading,
    /// Windows of text used; none means all.
    pub limit: Option<usize>,
    /// Ids in one window, see [`crate::calibration_window_tokens`].
    #[serde(default)]
    pub window_tokens: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_tagged_lines() {
        let event = Event::CellDone { id: "ab".into(), seconds: 1.5, tokens_per_second: 10.0 };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(
            line,
            r#"{"event":"cell_done","id":"ab","seconds":1.5,"tokens_per_second":10.0}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }
}

//! The vocabulary of an experiment: pipeline files, grid cells and their ids, work orders, events.
//!
//! This crate is the bottom of the house: it knows the *names* of models, texts, protocols and
//! policies, and nothing of tensors, tables or processes. A pipeline file (TOML) becomes a
//! validated [`Pipeline`], which lists its [`Cell`]s; a cell together with the hashes of its
//! [`Inputs`] has a canonical id ([`cell_id`]); cells travel to the worker in a [`WorkOrder`], and
//! the worker answers with [`Event`]s.
//!
//! Key decision: everything that a person can get wrong in a pipeline file is found in one pass and
//! reported at once ([`Mistakes`]), each with its line and the nearest valid name.
//!
//! # Example
//!
//! ```
//! use plan::Pipeline;
//!
//! let pipeline = Pipeline::parse(
//!     r#"
//! name = "two"
//! seed = 1
//! [[model]]
//! name = "mine"
//! path = "model.gguf"
//! [[dataset]]
//! name = "text"
//! path = "text.raw"
//! protocol = "ppl-256"
//! [[sweep]]
//! policy = "dynamic"
//! score = "magnitude"
//! sparsity = [0.5, 0.9]
//! "#,
//!     &[],
//! )?;
//! let labels: Vec<String> = pipeline.cells.iter().map(|cell| cell.label()).collect();
//! assert_eq!(labels[0], "mine text ppl-256 dense");
//! assert_eq!(labels[2], "mine text ppl-256 dynamic κ=.9 magnitude");
//! # Ok::<(), plan::Mistakes>(())
//! ```

mod advice;
mod cell;
mod claims;
mod dataset_entry;
pub mod datasets;
mod device;
pub mod exit;
mod filter;
mod folder_name;
mod grouped;
mod hub;
mod locks;
mod model_entry;
mod names;
mod order;
mod pipeline;
mod protocol;
mod reader;
mod reading;
mod recipe;
mod shard;
mod share;
mod slim;
mod speed;
mod speed_plan;
mod sweep;
mod threshold;
mod treatment;
mod treatment_error;
mod treatment_spec;
mod vocabulary;

pub use advice::{
    AdviceAnswer, AdviceCandidate, AdviceJudged, AdviceKeep, AdviceNumber, AdviceRequest,
    AdviceSize, AdviceSpace, AdviceStep, Keep, KeepError, Smallest, Stage, Stretch, Units,
};
pub use cell::{
    Calibration, Cell, DEFAULT_CALIBRATION_WINDOW_TOKENS, Inputs, calibration_window_tokens,
    cell_id, shortest_decimal,
};
pub use claims::{Claim, Claims, Expectation, ModelGroup};
pub use dataset_entry::{CalibrationEntry, DatasetEntry};
pub use device::{DeviceName, UnknownDevice};
pub use filter::{Filter, FilterError};
pub use folder_name::{FolderNameError, LONGEST_FOLDER_NAME, check_folder_name};
pub use grouped::grouped;
pub use hub::{
    DEFAULT_REVISION, FetchAnswer, FetchRequest, HubCache, HubName, HubNameError, RepositoryKind,
    Selection, hub_home,
};
pub use locks::{
    DataLock, LockError, LockedFile, LockedModel, LockedRepository, LockedText, ModelsLock,
    find_repository,
};
pub use model_entry::{HubModel, ModelEntry, ModelSource};
pub use names::{UnknownName, most_alike, nearest};
pub use order::{
    CalibrationText, CellInspection, CellRequest, CompactEvent, Event, Inspection, ModelInput,
    ModelInspection, OrderProvenance, OrderedCell, TaskInput, TextInput, WorkOrder,
};
pub use pipeline::{Pipeline, TaskSource, TextSource};
pub use protocol::{Measure, Protocol, TaskName};
pub use reader::{Mistake, Mistakes};
pub use reading::Reading;
pub use recipe::{
    Kind, Label, Recipe, RecipeError, Setting, Step, StepError, Takes, Value, Way, kinds,
};
pub use shard::{Costed, SLACK, Shard, ShardError, shares};
pub use share::{Share, ShareError};
pub use slim::{SlimAnswer, SlimEvent, SlimRequest, SlimText};
pub use speed::{
    SpeedAsk, SpeedLoss, SpeedReady, SpeedRequest, SpeedTokens, Timed, WeightType, ZeroEntries,
};
pub use speed_plan::{
    DENSE_ROW, SpeedMeasure, SpeedModel, SpeedPeer, SpeedPlan, SpeedRow, SpeedTarget,
};
pub use threshold::Threshold;
pub use treatment::{DEFAULT_DROPPED_WINDOW, DEFAULT_PROMPT_TOKENS, DEFAULT_SAMPLE, Treatment};
pub use treatment_error::TreatmentError;
pub use treatment_spec::TreatmentSpec;
pub use vocabulary::{
    Compare, Mode, Needs, Observation, Part, Policy, Predicate, Recalibration, Rule, Score,
    SlimFormat, TextShape, TimeSteps, Whole,
};

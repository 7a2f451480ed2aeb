//! The state of a run on disk, from which it goes on as if it had never stopped.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use checkpoints::{Dtype, Planned, SafetensorsDraft, float_bytes, in_file_order};
use models::{Device, Parameter, Parameters, Tensor, Values, vector_of};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::{
    optimiser::{Moments, state_of},
    recipe::Recipe,
};

/// What is known of a run besides its tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Steps taken.
    pub(crate) step: usize,
    /// Seconds spent in steps and measurements, over all sittings.
    pub(crate) seconds: f64,
    /// The measurements so far.
    pub(crate) milestones: Vec<Milestone>,
}

/// One measurement, as the card tells it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Milestone {
    /// Steps taken.
    pub step: usize,
    /// Mean loss of the steps since the one before, nats.
    pub train_nats: f64,
    /// Mean loss of held-out documents, nats.
    pub heldout_nats: f64,
    /// Share of held-out last words that are right.
    pub accuracy: f64,
    /// Share of exact zeros among hidden activations.
    pub natural_sparsity: f64,
    /// Neurons that never fired.
    pub dead_neurons: usize,
}

/// Why a checkpoint cannot be written or taken up.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refuses.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a checkpoint, or a damaged one.
    #[error("{path} is no checkpoint: {reason}; remove it to begin anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It was made by another recipe.
    #[error("{path} was made by another recipe; remove it, or give the run another folder")]
    OtherRecipe {
        /// The file.
        path: PathBuf,
    },
}

impl From<files::WriteError> for CheckpointError {
    fn from(error: files::WriteError) -> CheckpointError {
        let files::WriteError { action, path, source } = error;
        CheckpointError::Io { action, path, source }
    }
}

/// Everything a run goes on from.
pub(crate) struct Checkpoint {
    pub(crate) progress: Progress,
    pub(crate) parameters: Parameters,
    pub(crate) moments: Moments,
}

/// A tensor's bytes with its shape and type, before they are laid out in a file.
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// Writes a safetensors file that appears complete or not at all, and the folders above it.
pub(crate) fn write_tensors(
    path: &Path,
    tensors: &BTreeMap<String, Stored>,
    metadata: BTreeMap<&str, String>,
) -> Result<(), CheckpointError> {
    files::create_folders(files::folder_of(path))?;
    let planned = tensors.iter().map(|(name, tensor)| Planned {
        name: name.clone(),
        dtype: tensor.dtype,
        shape: tensor.shape.clone(),
    });
    let mut planned: Vec<Planned> = planned.collect();
    in_file_order(&mut planned);
    let mut draft = SafetensorsDraft::begin(path, &planned, &metadata)?;
    for next in &planned {
        draft.write(&tensors[&next.name].bytes)?;
    }
    Ok(draft.finish()?)
}

/// Writes a file that appears complete or not at all, and the folders above it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    files::create_folders(files::folder_of(path))?;
    Ok(files::write(path, bytes)?)
}

const PARTS: [&str; 3] = ["parameter/", "moment_1/", "moment_2/"];

impl Checkpoint {
    /// Writes it; `recipe` is its JSON, which [`Checkpoint::read`] will compare.
    pub(crate) fn write(&self, path: &Path, recipe: &str) -> Result<(), CheckpointError> {
        let stored = |shape: &[usize], values: &Tensor<1>| Stored {
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            bytes: float_bytes(Dtype::F32, &Values::of(values.clone())),
        };
        let mut tensors = BTreeMap::new();
        for (name, parameter) in &self.parameters {
            let shape = &parameter.shape;
            tensors.insert(format!("{}{name}", PARTS[0]), stored(shape, &parameter.values));
            if let Some(state) = self.moments.get(name) {
                let moments = [&state.momentum.moment_1, &state.momentum.moment_2];
                for (part, moment) in PARTS[1..].iter().zip(moments) {
                    tensors.insert(format!("{part}{name}"), stored(shape, moment));
                }
            }
        }
        let progress = serde_json::to_string(&self.progress).unwrap_or_default();
        let metadata = BTreeMap::from([("recipe", recipe.to_owned()), ("progress", progress)]);
        write_tensors(path, &tensors, metadata)
    }

    /// The checkpoint at `path`, made by this recipe; `None` where there is none.
    pub(crate) fn read(path: &Path, recipe: &Recipe) -> Result<Option<Self>, CheckpointError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(CheckpointError::Io { action: "read", path: path.to_owned(), source });
            }
        };
        let damaged = |reason: String| CheckpointError::Damaged { path: path.to_owned(), reason };
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
        let said = header.metadata().clone().unwrap_or_default();
        if !said.get("recipe").is_some_and(|made_by| recipe.trains_what(made_by)) {
            return Err(CheckpointError::OtherRecipe { path: path.to_owned() });
        }
        let progress = said.get("progress").ok_or_else(|| damaged("no progress".to_owned()))?;
        let progress: Progress =
            serde_json::from_str(progress).map_err(|error| damaged(error.to_string()))?;
        let tensors =
            SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let device = Device::flex();
        let mut parts: [BTreeMap<String, Parameter>; 3] = Default::default();
        for (name, view) in tensors.iter() {
            let part = PARTS.iter().position(|part| name.starts_with(part));
            let part = part.ok_or_else(|| damaged(format!("unknown tensor {name}")))?;
            let (numbers, _) = view.data().as_chunks::<4>();
            let values = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let values = vector_of(values, &device);
            let parameter = Parameter { shape: view.shape().to_vec(), values };
            parts[part].insert(name[PARTS[part].len()..].to_owned(), parameter);
        }
        let [parameters, first, mut second] = parts;
        let mut moments = Moments::new();
        for (name, first) in first {
            let second = second.remove(&name);
            let second = second.ok_or_else(|| damaged(format!("no second moment of {name}")))?;
            moments.insert(name, state_of(progress.step, first.values, second.values));
        }
        Ok(Some(Self { progress, parameters, moments }))
    }
}

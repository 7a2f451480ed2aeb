//! What can go wrong between a path and a model in memory.

use std::path::PathBuf;

/// A model that cannot be loaded, and why.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file or folder cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds no weights that can be read.
    #[error(
        "{path} holds no model: expected a .gguf file, or a folder with config.json and \
         model.safetensors, pytorch_model.bin or the index of their shards"
    )]
    NoModel {
        /// The path that was given.
        path: PathBuf,
    },
    /// A file is not what its name says, or is cut short.
    #[error("{path} is damaged: {reason}; fetch it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A file of a form that is not read.
    #[error("{path}: {reason}; {advice}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
        /// What can be done about it.
        advice: &'static str,
    },
    /// A pickle that holds anything but tensors.
    #[error(
        "{path}: its pickle holds {found}, where only tensors are read; nothing of it was run. \
         If you trust the file, load it with torch and save its tensors as safetensors"
    )]
    ForeignPickle {
        /// The file.
        path: PathBuf,
        /// The function, object or instruction.
        found: String,
    },
    /// A shard of a sharded checkpoint is missing.
    #[error("{index} names shards that are not there: {}; fetch them", missing.join(", "))]
    MissingShards {
        /// The index file.
        index: PathBuf,
        /// All of the missing shards.
        missing: Vec<String>,
    },
    /// The index and a shard disagree.
    #[error(
        "{index} says that {shard} holds tensor `{tensor}`, which it does not; fetch both again"
    )]
    IndexDisagrees {
        /// The index file.
        index: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shard that should hold it.
        shard: String,
    },
    /// A field of the config is absent or has a value that is not supported.
    #[error("{path}: field `{field}`: {reason}")]
    Config {
        /// The config file, or the GGUF file with its metadata.
        path: PathBuf,
        /// The field.
        field: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// An architecture that is not known here.
    #[error(
        "{path}: architecture `{found}` is not supported{}; supported are {}",
        nearest(found, known),
        known.join(", ")
    )]
    UnknownArchitecture {
        /// The config file.
        path: PathBuf,
        /// What it asks for.
        found: String,
        /// What could be loaded.
        known: Vec<&'static str>,
    },
    /// A tensor that the config promises is not there.
    #[error("{path} has no tensor `{tensor}`, which the config asks for")]
    MissingTensor {
        /// Where it was looked for.
        path: PathBuf,
        /// Its name.
        tensor: String,
    },
    /// Tensors that no part of the model uses.
    #[error("{path} holds {} tensors that the config has no place for: {}", tensors.len(), first_few(tensors))]
    UnusedTensors {
        /// The checkpoint.
        path: PathBuf,
        /// Their names.
        tensors: Vec<String>,
    },
    /// Two tensors that should be the same have other values.
    #[error(
        "{path}: tensor `{tensor}` is not the same as `{other}` (at flat index {index}: {found} and \
         {expected}), though {why}"
    )]
    Differs {
        /// The file that holds the tensor.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// What it should be the same as.
        other: String,
        /// Flat index of the first value that differs.
        index: usize,
        /// The value there.
        found: f32,
        /// That of the other.
        expected: f32,
        /// Why they should be the same, and what can be done about it.
        why: &'static str,
    },
    /// Config and tensor disagree.
    #[error("{path}: tensor `{tensor}` has shape {found:?}, but the config says {expected}")]
    Shape {
        /// The file that holds the tensor.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// Its shape, rows first.
        found: Vec<usize>,
        /// The fields and their values.
        expected: String,
    },
    /// A weight is NaN or infinite.
    #[error(
        "{path}: tensor `{tensor}` holds {value} at flat index {index}; the checkpoint is damaged"
    )]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Flat index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A tensor has a number type that is not read.
    #[error("{path}: tensor `{tensor}` has type {dtype}; {known} are read")]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: String,
        /// The types that this format is read in.
        known: &'static str,
    },
}

impl LoadError {
    /// What can be done about quantized weights that are not read.
    pub const UNQUANTIZED: &'static str =
        "use the unquantized weights of the model, or a GGUF file of it";
}

/// The known name that is closest by edit distance, as part of a sentence; nothing where all are far.
fn nearest(found: &str, known: &[&'static str]) -> String {
    let distance =
        |name: &str| strsim::damerau_levenshtein(&found.to_lowercase(), &name.to_lowercase());
    let closest = known.iter().map(|name| (distance(name), name)).min_by_key(|(far, _)| *far);
    match closest {
        Some((far, name)) if 2 * far <= name.chars().count() => {
            format!(", the nearest that is: `{name}`")
        }
        _ => String::new(),
    }
}

fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

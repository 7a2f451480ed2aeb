//! What can go wrong while a model is loaded or run.

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
        "{path} holds no model: expected a .gguf file, or a folder with config.json and *.safetensors"
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
    /// A shard of a sharded checkpoint is missing.
    #[error("{index} names shards that are not there: {}", missing.join(", "))]
    MissingShards {
        /// The index file.
        index: PathBuf,
        /// All of the missing shards.
        missing: Vec<String>,
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
    #[error("{path}: architecture `{found}` is not supported; supported are {}", known.join(", "))]
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
    #[error("{path}: tensor `{tensor}` has type {dtype}; F32, F16 and BF16 are read")]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: String,
    },
}

fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// A block that an executor could not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The activations of a site are NaN or infinite, so nothing can be ranked by them.
    #[error(
        "layer {layer}: activation of neuron {neuron} at token {token} is {value}; the model has overflowed"
    )]
    NonFinite {
        /// Layer of the site.
        layer: usize,
        /// Row of the batch.
        token: usize,
        /// Neuron.
        neuron: usize,
        /// The value.
        value: f32,
    },
    /// The executor was made for another model.
    #[error("site {site} has {found} neurons, but its kept set was chosen for {expected}")]
    SiteMismatch {
        /// Index of the site.
        site: usize,
        /// Neurons the executor knows of.
        expected: usize,
        /// Neurons of the block.
        found: usize,
    },
    /// A sequence that the model has no positions for.
    #[error(
        "a sequence of {tokens} tokens does not fit into the model's {max_positions} positions"
    )]
    TooLong {
        /// Its length, tokens.
        tokens: usize,
        /// What the model can take.
        max_positions: usize,
    },
    /// An id outside of the vocabulary.
    #[error(
        "token id {id} is outside of the vocabulary of {vocabulary}; the tokenizer is of another model"
    )]
    UnknownToken {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
}

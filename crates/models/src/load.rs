//! From a path to a model.

use std::path::Path;

use burn::tensor::Device;

use crate::{
    Model, ModelFacts,
    architectures::{HubConfig, KNOWN, Llama, LlamaConfig, Opt, OptConfig},
    error::LoadError,
    weights::{GgufFile, SafetensorsFolder, Source, Weights},
};

/// A model with what the loader learnt about it.
pub struct LoadedModel {
    /// The model.
    pub model: Box<dyn Model>,
    /// Its sizes.
    pub facts: ModelFacts,
}

enum Config {
    Llama(LlamaConfig),
    Opt(OptConfig),
}

impl Config {
    fn from_hub(config: &HubConfig) -> Result<Self, LoadError> {
        match config.architecture()?.as_str() {
            "LlamaForCausalLM" => Ok(Self::Llama(LlamaConfig::from_hub(config)?)),
            "OPTForCausalLM" => Ok(Self::Opt(OptConfig::from_hub(config)?)),
            found => Err(LoadError::UnknownArchitecture {
                path: config.path().to_owned(),
                found: found.to_owned(),
                known: KNOWN.to_vec(),
            }),
        }
    }

    fn facts(&self) -> ModelFacts {
        match self {
            Self::Llama(config) => config.facts(),
            Self::Opt(config) => config.facts(),
        }
    }
}

fn open(path: &Path) -> Result<(Config, Box<dyn Source>), LoadError> {
    if path.is_dir() {
        let config = path.join("config.json");
        if !config.is_file() {
            return Err(LoadError::NoModel { path: path.to_owned() });
        }
        let config = Config::from_hub(&HubConfig::read(&config)?)?;
        return Ok((config, Box::new(SafetensorsFolder::open(path)?)));
    }
    std::fs::metadata(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    if path.extension().is_none_or(|e| e != "gguf") {
        return Err(LoadError::NoModel { path: path.to_owned() });
    }
    let file = GgufFile::open(path)?;
    Ok((Config::Llama(file.config()?), Box::new(file)))
}

/// Sizes of a model from its config alone; weights are opened but not read.
///
/// # Errors
/// As [`load`], for what the header and the config tell.
pub fn inspect(path: &Path) -> Result<ModelFacts, LoadError> {
    Ok(open(path)?.0.facts())
}

/// Loads a GGUF file or a Hugging Face folder, all weights as `f32`.
///
/// # Errors
/// [`LoadError`] names the file and the field or tensor: nothing missing, nothing left over, every
/// shape as the config says, every weight finite.
pub fn load(path: &Path, device: &Device) -> Result<LoadedModel, LoadError> {
    let (config, source) = open(path)?;
    let facts = config.facts();
    let mut weights = Weights::new(source.as_ref(), device);
    let model: Box<dyn Model> = match config {
        Config::Llama(config) => Box::new(Llama::load(config, &mut weights)?),
        Config::Opt(config) => Box::new(Opt::load(config, &mut weights)?),
    };
    weights.finish()?;
    Ok(LoadedModel { model, facts })
}

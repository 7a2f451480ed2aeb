//! From a path to a model.

use std::path::Path;

use burn::tensor::Device;
use checkpoints::{GgufFile, Source, open_folder};
use serde_json::{Map, Value};

use crate::{
    Model, ModelFacts, Options, Saved,
    architectures::{Blueprint, HubConfig, blueprint, saved_fields},
    error::LoadError,
    weights::{Conversions, Stored, Weights},
};

/// A model with what the loader learnt about it.
pub struct LoadedModel {
    /// The model.
    pub model: Box<dyn Model>,
    /// Its sizes.
    pub facts: ModelFacts,
    /// Parameters that were read.
    pub parameters: usize,
    /// What was done to its weights on their way from the file.
    pub conversions: Conversions,
}

/// What stands at a path: a checked config, and tensors.
type Opened = (Box<dyn Blueprint>, Box<dyn Source>);

fn open(path: &Path, options: Options) -> Result<Opened, LoadError> {
    if path.is_dir() {
        let config = path.join("config.json");
        if !config.is_file() {
            return Err(LoadError::NoModel { path: path.to_owned() });
        }
        let blueprint = blueprint(HubConfig::read(&config)?.with(options))?;
        return Ok((blueprint, open_folder(path)?));
    }
    std::fs::metadata(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    if path.extension().is_none_or(|e| e != "gguf") {
        return Err(LoadError::NoModel { path: path.to_owned() });
    }
    let file = GgufFile::open(path)?;
    let config = HubConfig::from_fields(path, file.fields()?);
    Ok((blueprint(config.with(options))?, Box::new(file)))
}

/// Sizes of a model from a `config.json` alone; no weights need be there.
///
/// # Errors
/// A config that cannot be read or is not supported.
pub fn sizes(config: &Path) -> Result<ModelFacts, LoadError> {
    Ok(blueprint(HubConfig::read(config)?)?.facts())
}

/// Sizes of a model; weights are opened but not read.
///
/// # Errors
/// As [`load`], for what the header and the config tell.
pub fn inspect(path: &Path) -> Result<ModelFacts, LoadError> {
    inspect_with(path, Options::default())
}

/// The same by other rules than the default.
///
/// # Errors
/// As [`inspect`], and a rule that the family does not have.
pub fn inspect_with(path: &Path, options: Options) -> Result<ModelFacts, LoadError> {
    Ok(open(path, options)?.0.facts())
}

/// The `config.json` of a model that was made of the one at `path`: the fields that this one has, with
/// those that `saved` has in their place.
///
/// # Errors
/// A config that cannot be read or is not supported.
pub fn saved_config(path: &Path, saved: &Saved) -> Result<Map<String, Value>, LoadError> {
    let config = match path.is_dir() {
        true => HubConfig::read(&path.join("config.json"))?,
        false => HubConfig::from_fields(path, GgufFile::open(path)?.fields()?),
    };
    saved_fields(config, saved)
}

/// Loads a GGUF file or a Hugging Face folder, all weights as `f32`.
///
/// # Errors
/// [`LoadError`] names the file and the field or tensor: nothing missing, nothing left over, every
/// shape as the config says, every weight finite.
pub fn load(path: &Path, device: &Device) -> Result<LoadedModel, LoadError> {
    load_with(path, device, Options::default())
}

/// The same by other rules than the default.
///
/// # Errors
/// As [`load`], and a rule that the family does not have.
pub fn load_with(path: &Path, device: &Device, options: Options) -> Result<LoadedModel, LoadError> {
    let (blueprint, source) = open(path, options)?;
    let stored = Stored(source.as_ref());
    let mut weights = Weights::new(&stored, device);
    let model = blueprint.load(&mut weights)?;
    let (parameters, conversions) = weights.finish()?;
    Ok(LoadedModel { model, facts: blueprint.facts(), parameters, conversions })
}

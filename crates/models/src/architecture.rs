//! A model before it has weights: what a training run starts from.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;

use crate::{
    Model, ModelFacts, Parameters,
    architectures::{Blueprint, HubConfig, blueprint},
    error::LoadError,
    weights::{Listing, Live, Weights},
};

/// A checked `config.json`.
pub struct Architecture {
    config: PathBuf,
    blueprint: Box<dyn Blueprint>,
}

impl Architecture {
    /// Reads a `config.json`; no weights need be there.
    ///
    /// # Errors
    /// A config that cannot be read or is not supported.
    pub fn read(config: &Path) -> Result<Self, LoadError> {
        let blueprint = blueprint(HubConfig::read(config)?)?;
        Ok(Self { config: config.to_owned(), blueprint })
    }

    /// Its sizes.
    pub fn facts(&self) -> ModelFacts {
        self.blueprint.facts()
    }

    /// The tensors that a checkpoint of it holds: name and shape, rows first.
    ///
    /// # Errors
    /// None that a config which was read could cause.
    pub fn shapes(&self) -> Result<BTreeMap<String, Vec<usize>>, LoadError> {
        let listing = Listing { config: &self.config, shapes: RefCell::default() };
        let mut weights = Weights::new(&listing, &Device::flex());
        self.blueprint.load(&mut weights)?;
        Ok(listing.shapes.into_inner())
    }

    /// The model with these parameters, by reference: on a device with gradients, those of a loss reach
    /// them.
    ///
    /// # Errors
    /// A parameter is missing, left over, or of another shape than the config says.
    pub fn build(
        &self,
        parameters: &Parameters,
        device: &Device,
    ) -> Result<Box<dyn Model>, LoadError> {
        let live = Live { config: &self.config, parameters };
        let mut weights = Weights::new(&live, device);
        let model = self.blueprint.load(&mut weights)?;
        weights.finish()?;
        Ok(model)
    }
}

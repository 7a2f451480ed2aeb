//! In which layer every site stands.

use burn::tensor::Tensor;

use crate::{
    Batch, Dense, Executor, ExecutorError, FfnSite, Model, RecurrentState, StateInputs, StateSite,
};

/// The layer of every site, in the order of the forward pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteLayers {
    /// One entry a feed-forward site.
    pub ffn: Vec<usize>,
    /// One entry a state site.
    pub states: Vec<usize>,
}

impl SiteLayers {
    /// Of a model: the forward pass alone knows, so one token goes through it.
    ///
    /// # Errors
    /// As [`Model::advance`].
    pub fn of(model: &dyn Model) -> Result<Self, ExecutorError> {
        let mut layers = Self::default();
        model.forward(&Batch::new([&[0][..]]), &mut layers)?;
        Ok(layers)
    }
}

impl Executor for SiteLayers {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        self.ffn.push(site.layer);
        Dense.ffn(site, x)
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        self.states.push(site.layer);
        Dense.state(site, inputs, past)
    }
}

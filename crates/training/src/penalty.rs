//! The executor of a training step: the plain computation, with a price on hidden activations.

use std::fmt;

use models::{Executor, ExecutorError, FfnSite, Tensor};
use serde::{Deserialize, Serialize};

/// What Σ|h| over tokens, neurons and layers is divided by (docs/SPEC.md section 6, "Sparser, Faster,
/// Lighter").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum L1Form {
    /// As the released code does: tokens × layers. The same coefficient weighs more for wider blocks.
    PerToken,
    /// As the paper writes it: tokens × neurons × layers.
    PerNeuron,
}

impl fmt::Display for L1Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PerToken => "tokens and layers",
            Self::PerNeuron => "tokens, neurons and layers",
        })
    }
}

impl L1Form {
    /// What is divided by, for one layer's sum over `tokens` tokens of `neurons` neurons.
    fn divisor(self, tokens: usize, neurons: usize, layers: usize) -> f64 {
        let each = (tokens * layers) as f64;
        match self {
            Self::PerToken => each,
            Self::PerNeuron => each * neurons as f64,
        }
    }
}

/// Dense, and adds up `mean |h|` of all sites in the chosen form.
pub(crate) struct Penalising {
    form: L1Form,
    layers: usize,
    /// The penalty so far, before its coefficient: `[1]`.
    pub(crate) sum: Option<Tensor<1>>,
}

impl Penalising {
    pub(crate) fn new(form: L1Form, layers: usize) -> Self {
        Self { form, layers, sum: None }
    }
}

impl Executor for Penalising {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = site.ffn.hidden(x);
        let [tokens, neurons] = h.dims();
        let divisor = self.form.divisor(tokens, neurons, self.layers);
        let here = h.clone().abs().sum().div_scalar(divisor);
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + here,
            None => here,
        });
        Ok(site.ffn.project(h))
    }
}

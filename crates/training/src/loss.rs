//! The loss of some sequences and its gradient with respect to every parameter.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use models::{
    Architecture, Batch, Dense, Device, ExecutorError, LoadError, Parameter, Parameters,
    nll_and_slope,
};

use crate::penalty::{L1Form, Penalising};

/// A gradient for every parameter, under its name.
pub(crate) type Gradients = BTreeMap<String, Tensor<1>>;

/// What one share of a batch gives.
pub(crate) struct Outcome {
    /// Σ −ln p over the targets, nats.
    pub(crate) nll_nats: f64,
    /// Targets.
    pub(crate) targets: usize,
    /// The penalty on hidden activations before its coefficient, mean over the tokens of the share.
    pub(crate) l1: f64,
    /// Of `nll / all targets of the batch + coefficient · l1 · share`.
    pub(crate) gradients: Gradients,
}

/// A penalty on hidden activations at one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Penalty {
    pub(crate) form: L1Form,
    pub(crate) coefficient: f64,
}

/// Why a step could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The parameters do not fit the config.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The model refuses the tokens.
    #[error(transparent)]
    Run(#[from] ExecutorError),
    /// The loss is NaN or infinite.
    #[error(
        "the loss is {loss} at step {step}; lower the learning rate or raise the warm-up of the recipe"
    )]
    Diverged {
        /// Step, from 0.
        step: usize,
        /// The loss.
        loss: f64,
    },
}

/// Loss and gradients of `sequences`, which are `share` of a batch with `all_targets` targets.
///
/// The forward pass is the one that evaluates the model, on tensors that record it.
pub(crate) fn loss_and_gradients(
    architecture: &Architecture,
    parameters: &Parameters,
    sequences: &[&[u32]],
    all_targets: usize,
    share: f64,
    penalty: Option<Penalty>,
) -> Result<Outcome, StepError> {
    let device = Device::flex().autodiff();
    let leaf = |parameter: &Parameter| Parameter {
        shape: parameter.shape.clone(),
        values: parameter.values.clone().autodiff().require_grad(),
    };
    let leaves: Parameters =
        parameters.iter().map(|(name, parameter)| (name.clone(), leaf(parameter))).collect();
    let model = architecture.build(&leaves, &device)?;
    let batch = Batch::new(sequences.iter().map(|ids| &ids[..ids.len() - 1]));
    let (hidden, l1) = match penalty {
        None => (model.forward(&batch, &mut Dense)?, None),
        Some(Penalty { form, .. }) => {
            let mut executor = Penalising::new(form, architecture.facts().ffn_sites);
            (model.forward(&batch, &mut executor)?, executor.sum)
        }
    };
    let targets: Vec<u32> = sequences.iter().flat_map(|ids| &ids[1..]).copied().collect();
    let logits = model.logits(hidden);
    let (nll_nats, slope) = nll_and_slope(logits.clone().inner(), &targets, all_targets)?;
    // Its gradient with respect to the logits is `slope`, which was worked out in one pass instead of
    // the dozen that the chain rule through log-softmax takes.
    let mut objective = (logits * slope.autodiff()).sum();
    let mut penalised = 0.0;
    if let (Some(l1), Some(Penalty { coefficient, .. })) = (l1, penalty) {
        penalised = f64::from(l1.clone().inner().into_scalar::<f32>());
        objective = objective + l1.mul_scalar(coefficient * share);
    }
    let mut recorded = objective.backward();
    let gradients = leaves
        .into_iter()
        .map(|(name, leaf)| {
            let gradient = leaf.values.grad_remove(&mut recorded);
            // A parameter that no token touched, such as an unused adapter.
            let gradient = gradient.unwrap_or_else(|| leaf.values.inner().zeros_like());
            (name, gradient)
        })
        .collect();
    Ok(Outcome { nll_nats, targets: targets.len(), l1: penalised, gradients })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use models::{into_values, vector_of};

    use super::*;
    use crate::{initial::initial, recipe::Recipe};

    const IDS: usize = 90;

    /// The config of a committed recipe with its sizes made small.
    fn architecture(name: &str, folder: &Path) -> Architecture {
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/train");
        let recipe = Recipe::read(&recipes.join(format!("{name}.toml"))).expect("a recipe");
        let mut config = recipe.config;
        for (field, size) in [
            ("hidden_size", 16),
            ("word_embed_proj_dim", 16),
            ("ffn_dim", 24),
            ("intermediate_size", 24),
            ("num_attention_heads", 2),
            ("num_key_value_heads", 2),
            ("attention_head_dim", 16),
            ("attention_hidden_size", 32),
            ("kv_channels", 8),
            ("num_heads", 4),
            ("n_mamba_heads", 4),
            ("head_dim", 8),
            ("mamba_headdim", 8),
            ("state_size", 6),
            ("mamba_d_state", 6),
        ] {
            if config.contains_key(field) {
                config.insert(field.to_owned(), size.into());
            }
        }
        config.insert("vocab_size".to_owned(), IDS.into());
        let path = folder.join("config.json");
        std::fs::write(&path, serde_json::to_string(&config).expect("JSON")).expect("a folder");
        Architecture::read(&path).expect("a config")
    }

    /// The gradient of every tensor of every recipe, against the change of the loss along it.
    ///
    /// A step of 2e-4 of the tensor's length along its gradient: at ten times that the first layer of a
    /// mixer is visibly curved. The loss is some 4 nats, summed in `f64` from logits in `f32`, which leaves
    /// about 1e-3 of a slope; the rest is 2 %.
    #[test]
    fn gradients_are_slopes() {
        let folder = tempfile::tempdir().expect("a folder");
        let sequences: Vec<Vec<u32>> = (0..2_u32)
            .map(|s| (0..50_u32).map(|i| (i * i * 7 + i * 3 + s * 31) % IDS as u32).collect())
            .collect();
        let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let penalty = Penalty { form: L1Form::PerToken, coefficient: 0.02 };
        for name in ["opt-relu", "qwen2-silu", "qwen2-relu-l1", "mamba2", "zamba2"] {
            let architecture = architecture(name, folder.path());
            let penalty = name.ends_with("l1").then_some(penalty);
            let run = |parameters: &Parameters| {
                loss_and_gradients(&architecture, parameters, &sequences, 98, 1.0, penalty)
                    .expect("a step")
            };
            let value = |outcome: &Outcome| {
                let price = penalty.map_or(0.0, |penalty| penalty.coefficient * outcome.l1);
                outcome.nll_nats / 98.0 + price
            };
            let parameters = initial(&architecture.shapes().expect("shapes"), 3, 0.3);
            let outcome = run(&parameters);
            for (tensor, gradient) in &outcome.gradients {
                let gradient = into_values(gradient.clone());
                let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                let values = into_values(parameters[tensor].values.clone());
                let size = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                let step = 2e-4 * size.max(0.3);
                let moved = |sign: f64| {
                    let along = values.iter().zip(&gradient);
                    let moved = along.map(|(v, g)| v + (sign * step / length) as f32 * g);
                    let mut parameters = parameters.clone();
                    if let Some(parameter) = parameters.get_mut(tensor) {
                        parameter.values = vector_of(moved.collect(), &Device::flex());
                    }
                    value(&run(&parameters))
                };
                if length < 1e-5 {
                    // Keys' biases change no softmax.
                    continue;
                }
                let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
                let tolerance = 0.02 * length + 1e-3;
                assert!((slope - length).abs() < tolerance, "{name}, {tensor}: {slope} {length}");
            }
        }
    }
}

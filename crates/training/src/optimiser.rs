//! AdamW over named parameters, and the limit on the length of a gradient.

use std::collections::BTreeMap;

use burn::{
    optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer as _},
    tensor::Tensor,
};
use models::{Parameters, Values};
use serde::{Deserialize, Serialize};

use crate::loss::Gradients;

/// AdamW with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWSettings {
    /// Decay of the mean of gradients.
    pub beta_1: f32,
    /// Decay of the mean of their squares.
    pub beta_2: f32,
    /// Added to the root of the second.
    pub epsilon: f32,
    /// Decay of matrices; vectors (norms, biases, rates) are not decayed.
    pub weight_decay: f32,
    /// Longest gradient, in the norm over all parameters together; longer ones are scaled down.
    pub clip_norm: f64,
}

/// The moments of every parameter.
pub(crate) type Moments = BTreeMap<String, AdamWState<1>>;

/// Steps parameters along their gradients.
pub(crate) struct Optimiser {
    /// For matrices and for the rest.
    rules: [AdamW; 2],
    clip_norm: f64,
    pub(crate) moments: Moments,
}

impl Optimiser {
    pub(crate) fn new(settings: AdamWSettings, moments: Moments) -> Self {
        let rule = |decay| {
            AdamWConfig::new()
                .with_beta_1(settings.beta_1)
                .with_beta_2(settings.beta_2)
                .with_epsilon(settings.epsilon)
                .with_weight_decay(decay)
                .build()
        };
        let rules = [rule(settings.weight_decay), rule(0.0)];
        Self { rules, clip_norm: settings.clip_norm, moments }
    }

    /// One step; returns the length of the gradient before it was limited.
    pub(crate) fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: Gradients,
        rate: f64,
    ) -> f64 {
        let norm = norm(&gradients);
        let scale = (self.clip_norm / norm).min(1.0);
        for (name, gradient) in gradients {
            let Some(parameter) = parameters.get_mut(&name) else { continue };
            let rule = &self.rules[usize::from(parameter.shape.len() < 2)];
            let gradient = if scale < 1.0 { gradient * scale } else { gradient };
            let values = std::mem::replace(&mut parameter.values, gradient.clone());
            let (values, state) = rule.step(rate, values, gradient, self.moments.remove(&name));
            parameter.values = values;
            self.moments.extend(state.map(|state| (name, state)));
        }
        norm
    }
}

/// A state as the optimiser keeps it.
pub(crate) fn state_of(time: usize, moment_1: Tensor<1>, moment_2: Tensor<1>) -> AdamWState<1> {
    AdamWState::new(AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2: None })
}

/// Length over all parameters together, summed in `f64` in the order of their names.
fn norm(gradients: &Gradients) -> f64 {
    let squares = gradients.values().map(|gradient| {
        let values = Values::of(gradient.clone());
        values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>()
    });
    squares.sum::<f64>().sqrt()
}

/// Adds the gradients of another share of the batch.
pub(crate) fn add(into: &mut Gradients, other: Gradients) {
    for (name, gradient) in other {
        let sum = match into.remove(&name) {
            Some(sum) => sum + gradient,
            None => gradient,
        };
        into.insert(name, sum);
    }
}

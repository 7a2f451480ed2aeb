//! What the configs of Mamba-2 and Zamba2 say of a mixer, and its weights.

use super::{HubConfig, StateFacts, python_json};
use crate::{
    Mixer, MixerShape, Saved,
    error::LoadError,
    nn::{Convolution, GatedNorm},
    weights::{Dim, Weights},
};

/// A checked config of a mixer; all sizes are counts.
#[derive(Clone, Debug)]
pub(super) struct MixerConfig {
    pub(super) hidden_size: usize,
    pub(super) shape: MixerShape,
    /// Taps of the convolution.
    pub(super) kernel: usize,
    /// Bias of the convolution.
    pub(super) convolution_bias: bool,
    /// Biases of the projections.
    pub(super) bias: bool,
    /// Least and largest time step.
    pub(super) dt_limits: [f32; 2],
    /// Of the gated norm.
    pub(super) epsilon: f64,
}

impl MixerConfig {
    /// Heads of the given width must fill the inner width, and groups must hold whole heads. The names
    /// are those of the fields, for messages.
    pub(super) fn check(
        &self,
        config: &HubConfig,
        inner: usize,
        [heads, groups]: [&str; 2],
    ) -> Result<(), LoadError> {
        let shape = self.shape;
        if shape.inner() != inner {
            let reason = format!(
                "{} heads of {} do not fill the inner width {inner}",
                shape.heads, shape.head_dim
            );
            return Err(config.bad(heads, reason));
        }
        if !shape.heads.is_multiple_of(shape.groups) {
            let reason =
                format!("is {}, which does not divide {} heads", shape.groups, shape.heads);
            return Err(config.bad(groups, reason));
        }
        Ok(())
    }

    /// Parameters of the projections and the convolution's taps: what a token is multiplied with.
    pub(super) fn multiplied(&self) -> usize {
        let shape = self.shape;
        self.hidden_size * (shape.projected() + shape.inner()) + self.kernel * shape.convolved()
    }

    /// All parameters.
    pub(super) fn parameters(&self) -> usize {
        let shape = self.shape;
        self.multiplied()
            + usize::from(self.bias) * (shape.projected() + self.hidden_size)
            + usize::from(self.convolution_bias) * shape.convolved()
            + self.unmapped()
    }

    /// Parameters of the recurrence and of the gated norm.
    pub(super) fn unmapped(&self) -> usize {
        3 * self.shape.heads + self.shape.inner()
    }

    pub(super) fn state(&self, sites: usize) -> StateFacts {
        let MixerShape { heads, head_dim, groups, channels } = self.shape;
        StateFacts { sites, heads, head_dim, groups, channels }
    }

    pub(super) fn load(&self, w: &mut Weights<'_>, at: &str) -> Result<Mixer, LoadError> {
        let shape = self.shape;
        let d_model = Dim("hidden_size", self.hidden_size);
        let inner = Dim("heads·head_dim", shape.inner());
        let heads = Dim("heads", shape.heads);
        let convolved = Dim("heads·head_dim + 2·groups·channels", shape.convolved());
        let projected = Dim("2·(heads·head_dim + groups·channels) + heads", shape.projected());
        let kernel = Dim("convolution kernel", self.kernel);
        let bias = match self.convolution_bias {
            true => Some(w.vector(&format!("{at}.conv1d.bias"), convolved)?),
            false => None,
        };
        let taps = w.depthwise(&format!("{at}.conv1d.weight"), convolved, kernel)?;
        let log_rates = w.vector(&format!("{at}.A_log"), heads)?;
        Ok(Mixer {
            shape,
            input: w.linear(&format!("{at}.in_proj"), d_model, projected, self.bias)?,
            convolution: Convolution { taps, bias },
            dt_bias: w.vector(&format!("{at}.dt_bias"), heads)?,
            dt_limits: self.dt_limits,
            rates: -log_rates.clone().exp(),
            log_rates,
            skip: w.vector(&format!("{at}.D"), heads)?,
            norm: GatedNorm {
                weight: w.vector(&format!("{at}.norm.weight"), inner)?,
                epsilon: self.epsilon,
                group: shape.inner() / shape.groups,
            },
            output: w.linear(&format!("{at}.out_proj"), inner, d_model, self.bias)?,
        })
    }
}

impl Mixer {
    /// What [`MixerConfig::load`] reads.
    pub(super) fn save(&self, at: &str, saved: &mut Saved) {
        saved.linear(&format!("{at}.in_proj"), &self.input);
        saved.depthwise(format!("{at}.conv1d.weight"), &self.convolution.taps);
        if let Some(bias) = &self.convolution.bias {
            saved.vector(format!("{at}.conv1d.bias"), bias);
        }
        saved.vector(format!("{at}.dt_bias"), &self.dt_bias);
        saved.vector(format!("{at}.A_log"), &self.log_rates);
        saved.vector(format!("{at}.D"), &self.skip);
        saved.vector(format!("{at}.norm.weight"), &self.norm.weight);
        saved.linear(&format!("{at}.out_proj"), &self.output);
    }
}

/// The least and the largest time step that a field names; none where it is absent.
pub(super) fn limits(config: &HubConfig, field: &str) -> Result<[f32; 2], LoadError> {
    let Some(value) = config.get(field) else { return Ok([0.0, f32::INFINITY]) };
    let numbers: Option<Vec<f64>> =
        value.as_array().and_then(|pair| pair.iter().map(python_json::number).collect());
    match numbers.as_deref() {
        Some([low, high]) if low <= high => Ok([*low as f32, *high as f32]),
        _ => Err(config.bad(field, format!("is {value}, expected two numbers, the lower first"))),
    }
}

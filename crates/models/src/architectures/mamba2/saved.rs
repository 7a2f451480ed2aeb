//! Mamba-2 as a checkpoint of transformers' class, whichever form it was read from.

use serde_json::{Value, json};

use super::Mamba2;
use crate::{Mixer, MixerShape, SaveError, Saved, saved::one_width};

impl Mamba2 {
    /// Only these layers, in this order.
    pub(super) fn saved(&self, layers: &[usize]) -> Result<Saved, SaveError> {
        let mut saved = Saved::default();
        saved.matrix("backbone.embeddings.weight", &self.embedding);
        for (number, layer) in layers.iter().enumerate() {
            let (at, layer) = (format!("backbone.layers.{number}"), &self.layers[*layer]);
            saved.vector(format!("{at}.norm.weight"), &layer.norm.weight);
            layer.mixer.save(&format!("{at}.mixer"), &mut saved);
        }
        saved.vector("backbone.norm_f.weight", &self.norm.weight);
        if !self.tied {
            saved.matrix("lm_head.weight", &self.head);
        }
        saved.field("num_hidden_layers", layers.len());
        saved.field("tie_word_embeddings", self.tied);
        let channels = layers.iter().map(|layer| self.layers[*layer].mixer.shape().channels);
        if let Some(channels) = one_width("state_size", channels)? {
            saved.field("state_size", channels);
        }
        // The original code has other names for what a mixer is, and this class its own defaults.
        if let Some(first) = layers.first() {
            self.save_shape(&self.layers[*first].mixer, &mut saved);
        }
        Ok(saved)
    }

    fn save_shape(&self, mixer: &Mixer, saved: &mut Saved) {
        let MixerShape { heads, head_dim, groups, .. } = mixer.shape();
        let [kernel, _] = mixer.convolution.taps.dims();
        let d_model = self.facts.d_model;
        for (name, count) in [
            ("vocab_size", self.facts.vocabulary),
            ("hidden_size", d_model),
            ("num_heads", heads),
            ("head_dim", head_dim),
            ("n_groups", groups),
            ("conv_kernel", kernel),
            ("expand", mixer.shape().inner() / d_model),
        ] {
            saved.field(name, count);
        }
        saved.field("use_conv_bias", mixer.convolution.bias.is_some());
        saved.field("use_bias", mixer.output.bias.is_some());
        saved.field("layer_norm_epsilon", self.norm.epsilon);
        let [least, most] = mixer.dt_limits;
        // Without limits the class has none either; Python writes infinity as a bare word.
        if (least, most) == (0.0, f32::INFINITY) {
            saved.gone.push("time_step_limit");
        } else {
            let most = if most.is_finite() { json!(most) } else { Value::from("Infinity") };
            saved.field("time_step_limit", json!([least, most]));
        }
    }
}

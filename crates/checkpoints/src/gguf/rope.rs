//! Rotary positions of a GGUF file as `rope_parameters` of the Hugging Face format.

use std::f64::consts::TAU;

use serde_json::{Map, Value, json};

use super::GgufFile;
use crate::LoadError;

/// The tensor with a divisor for every frequency: what the scaling of Llama 3 becomes.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// What llama.cpp takes where the file has no `rope.freq_base`.
const THETA: f64 = 10_000.0;

impl GgufFile {
    /// Base and scaling, with the defaults of llama.cpp.
    pub(super) fn rope(&self, head_dim: usize) -> Result<Value, LoadError> {
        let theta = self.real(&self.key("rope.freq_base"))?.unwrap_or(THETA);
        if self.header.tensors.contains_key(ROPE_FACTORS) {
            let factor = self.llama3_factor(theta, head_dim)?;
            return Ok(json!({
                "rope_type": "llama3",
                "rope_theta": theta,
                "factor": factor,
                "low_freq_factor": Llama3::LOW,
                "high_freq_factor": Llama3::HIGH,
                "original_max_position_embeddings": Llama3::CONTEXT,
            }));
        }
        let kind = self.text(&self.key("rope.scaling.type"))?.unwrap_or("linear".to_owned());
        let old = self.real(&self.key("rope.scale_linear"))?;
        let factor = self.real(&self.key("rope.scaling.factor"))?.or(old);
        let factor = factor.filter(|factor| *factor != 0.0 && *factor != 1.0);
        if kind == "none" || kind == "linear" && factor.is_none() {
            return Ok(json!({ "rope_type": "default", "rope_theta": theta }));
        }
        let original = self.count(&self.key("rope.scaling.original_context_length"))?;
        let mut parameters = Map::new();
        parameters.insert("rope_type".to_owned(), json!(kind));
        parameters.insert("rope_theta".to_owned(), json!(theta));
        parameters.extend(factor.map(|f| ("factor".to_owned(), json!(f))));
        // Only the other kinds of scaling read how long the first sequences were.
        let original = original.filter(|_| kind != "linear");
        parameters
            .extend(original.map(|o| ("original_max_position_embeddings".to_owned(), json!(o))));
        Ok(Value::Object(parameters))
    }

    /// The one free number of the scaling of Llama 3, if the divisors of the file are of its form.
    fn llama3_factor(&self, theta: f64, head_dim: usize) -> Result<f64, LoadError> {
        let refused = || LoadError::Unsupported {
            path: self.file.path().to_owned(),
            reason: format!("tensor `{ROPE_FACTORS}` scales the rotary positions in its own way"),
            advice: "of such tensors only those of Llama 3 are read; use the Hugging Face folder",
        };
        let found = self.plain_values(ROPE_FACTORS, &[head_dim / 2])?.ok_or_else(refused)?;
        // The lowest frequency is divided by the whole factor.
        let factor = f64::from(*found.last().ok_or_else(refused)?);
        let expected = Llama3 { factor }.divisors(theta, head_dim);
        let same =
            |(found, expected): (&f32, f64)| (f64::from(*found) / expected - 1.0).abs() < 1e-4;
        if factor >= 1.0 && found.iter().zip(expected).all(same) {
            Ok(factor)
        } else {
            Err(refused())
        }
    }
}

/// The scaling of Llama 3 (`rope_type: llama3` of transformers) with the numbers that all of its
/// releases share, and that the converter assumes: low frequencies are divided by the factor, high ones
/// are left alone, and those between are mixed.
struct Llama3 {
    factor: f64,
}

impl Llama3 {
    const LOW: f64 = 1.0;
    const HIGH: f64 = 4.0;
    const CONTEXT: u32 = 8192;

    fn divisors(self, theta: f64, head_dim: usize) -> impl Iterator<Item = f64> {
        (0..head_dim / 2).map(move |pair| {
            let frequency = theta.powf(-2.0 * pair as f64 / head_dim as f64);
            let turns = f64::from(Self::CONTEXT) * frequency / TAU;
            let kept = ((turns - Self::LOW) / (Self::HIGH - Self::LOW)).clamp(0.0, 1.0);
            1.0 / ((1.0 - kept) / self.factor + kept)
        })
    }
}

//! What the worker of `cargo xtask speed` is asked to run, and what it answers.

use serde::{Deserialize, Serialize};

use crate::CellRequest;

/// Tokens of the measurements of docs/SPEC.md section 17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedTokens {
    /// Of a prompt that is read in one go.
    pub prefill: usize,
    /// In front of those that are decoded.
    pub prompt: usize,
    /// Decoded one by one.
    pub decode: usize,
}

impl Default for SpeedTokens {
    fn default() -> Self {
        Self { prefill: 512, prompt: 128, decode: 128 }
    }
}

impl SpeedTokens {
    /// Ids that all measurements need, and one more to be predicted.
    pub fn ids(&self) -> usize {
        self.prefill.max(self.prompt + self.decode) + 1
    }
}

/// Numbers that matrices are held in while a model runs; sums are in `f32`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightType {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, IEEE 754.
    F16,
    /// 16 bits, the upper half of an `f32`.
    Bf16,
}

impl WeightType {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}

/// What is done with hidden entries of ReLU blocks that are exactly zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroEntries {
    /// Multiplied as any other.
    #[default]
    Read,
    /// Left out, which changes no result.
    Skip,
}

/// One model to be timed, in a process of its own that waits for [`SpeedAsk`]s, a line each, and answers
/// every one with a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedRequest {
    /// The model, what is done to it, and the text that it reads and its loss is taken of.
    pub cell: CellRequest,
    /// Ids are made up: no text is read, no tokenizer is needed, and there is no loss.
    pub made_up: bool,
    /// What its matrices are held in.
    #[serde(default)]
    pub weights: WeightType,
    /// What is done with zeros.
    #[serde(default)]
    pub zeros: ZeroEntries,
    /// How much is timed.
    pub tokens: SpeedTokens,
    /// Threads.
    pub threads: usize,
}

/// What a process is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpeedAsk {
    /// A prompt, read in one go: [`Timed`].
    Prefill,
    /// Tokens one by one: [`Timed`].
    Decode,
    /// Perplexity: [`SpeedLoss`].
    Loss,
}

/// What a process says when its model is ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpeedReady {
    /// Ids that are read; whoever is compared reads the same.
    pub ids: Vec<u32>,
    /// Numbers that are stored of the model.
    pub parameters: u64,
    /// Bytes that are stored of it (docs/SPEC.md section 11).
    pub stored_bytes: u64,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// Tokens read.
    pub tokens: usize,
    /// Time on the clock.
    pub seconds: f64,
    /// Time of all threads on cores.
    #[serde(default)]
    pub core_seconds: Option<f64>,
    /// Mean negative log-likelihood of the ids that follow, nats; of a prompt that of the one id behind it.
    pub nll_nats: f64,
    /// Bytes of matrices that were read for the tokens, counted where they are read; of tokens one by one
    /// alone.
    #[serde(default)]
    pub weight_bytes: Option<u64>,
    /// Keys, values and states that the model holds at the end, bytes.
    #[serde(default)]
    pub cache_bytes: Option<u64>,
    /// Largest resident memory since the model was ready, bytes.
    pub peak_rss_bytes: u64,
}

/// The loss of a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpeedLoss {
    /// Of the text; none of made-up ids.
    pub perplexity: Option<f64>,
    /// Share of hidden entries that are exactly zero; none where there is no feed-forward block.
    pub zeros: Option<f64>,
}

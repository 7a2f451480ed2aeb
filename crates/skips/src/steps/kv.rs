//! Cached positions of attention, unread for the moment or evicted.

use plan::Step;

use super::{Ground, Running, Skip, SkipError, commitment, sparsity, wrong};
use crate::{KvMode, KvScore, KvSelection, KvSkipping};

/// See [`KvSkipping`].
pub(super) struct Positions;

impl Skip for Positions {
    fn kind(&self) -> &'static str {
        "kv"
    }

    fn executor(&self, step: &Step, ground: Ground<'_>) -> Result<Box<dyn Running>, SkipError> {
        let score = match step.name("score").unwrap_or_default() {
            "attention" => KvScore::Attention,
            "attention-value" => KvScore::AttentionValue,
            "key-size" => KvScore::KeySize,
            "key-size-reversed" => KvScore::KeySizeReversed,
            "value-size" => KvScore::ValueSize,
            "recency" => KvScore::Recency,
            "accumulated" => KvScore::Accumulated,
            "random" => KvScore::Random,
            other => return Err(wrong(step, format!("score `{other}` does not rank positions"))),
        };
        let count = |name| step.count(name).and_then(|count| usize::try_from(count).ok());
        let mode = match (step.name("mode"), count("prompt_tokens")) {
            (Some("read"), _) => KvMode::Read(commitment(step)?),
            (_, Some(tokens)) => KvMode::Prompt { tokens },
            (_, None) => KvMode::Write { every: count("window").unwrap_or(1) },
        };
        Ok(Box::new(KvSkipping::new(KvSelection {
            score,
            sparsity: sparsity(step),
            mode,
            sinks: count("sinks").unwrap_or(0),
            seed: ground.seed,
        })))
    }
}

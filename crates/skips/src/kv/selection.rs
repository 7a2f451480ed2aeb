//! Which cached positions stay: scores, modes, and the choice itself.

use models::AttentionShape;
use sparse::{kept_count, select_top};

use crate::Commitment;

/// What ranks cached positions; larger means keep. `a` is the attention that a head pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvScore {
    /// `Σ_h a(t, h, s)`
    Attention,
    /// `Σ_h a(t, h, s)·‖v_s‖₂`
    AttentionValue,
    /// `‖k_s‖₂`
    KeySize,
    /// `−‖k_s‖₂`
    KeySizeReversed,
    /// `‖v_s‖₂`
    ValueSize,
    /// `s`
    Recency,
    /// `Σ_{t' ≤ t} Σ_h a(t', h, s)`, over what was kept then.
    Accumulated,
    /// A seeded draw: the control.
    Random,
}

impl KvScore {
    /// What the score gives where it hangs on the position alone; 0 for the others.
    pub(super) fn of_position(self, position: usize, key: &[f32], value: &[f32]) -> f64 {
        match self {
            Self::KeySize => norm(key),
            Self::KeySizeReversed => -norm(key),
            Self::ValueSize => norm(value),
            Self::Recency => position as f64,
            Self::Attention | Self::AttentionValue | Self::Accumulated | Self::Random => 0.0,
        }
    }

    /// Whether the attention of a token has a say.
    pub(super) fn looks_at_attention(self) -> bool {
        matches!(self, Self::Attention | Self::AttentionValue | Self::Accumulated)
    }
}

/// Whether what is dropped can come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvMode {
    /// Every window of queries chooses what it reads of what lies before it; positions inside the window
    /// all stay.
    Read(Commitment),
    /// The cache is cut every so many tokens.
    Write {
        /// W, tokens between two cuts.
        every: usize,
    },
    /// The cache is cut once; later positions all stay.
    Prompt {
        /// P, tokens before the cut.
        tokens: usize,
    },
}

/// Which positions stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvSelection {
    /// Ranks the positions.
    pub score: KvScore,
    /// κ, the fraction dropped.
    pub sparsity: f64,
    /// Whether what is dropped can come back.
    pub mode: KvMode,
    /// The first positions, which come before every score.
    pub sinks: usize,
    /// Seed of what is drawn.
    pub seed: u64,
}

/// Tokens of a prompt whose attention chooses what stays of it (SnapKV).
const PROMPT_QUERIES: usize = 32;

impl KvSelection {
    /// Positions that stay of `n`, the token itself among them.
    pub(super) fn count(&self, n: usize) -> usize {
        kept_count(n, self.sparsity)
    }

    /// Whether token `t` is one of those whose attention chooses what stays of a prompt.
    pub(super) fn asks_of_prompt(&self, t: usize) -> bool {
        let KvMode::Prompt { tokens } = self.mode else { return false };
        t < tokens && t + PROMPT_QUERIES >= tokens
    }

    /// Whether the cache is cut once token `t` has been taken up.
    pub(super) fn cuts_after(&self, t: usize) -> bool {
        match self.mode {
            KvMode::Read(_) => false,
            KvMode::Write { every } => (t + 1).is_multiple_of(every),
            KvMode::Prompt { tokens } => t + 1 == tokens,
        }
    }

    /// The `k` places that stay, ascending: the sinks, lowest first, then by score; ties go to the lowest.
    /// `positions` ascend, each with its score; the token itself is not among them.
    pub(super) fn chosen(
        &self,
        positions: &[usize],
        scores: &[f64],
        k: usize,
        room: &mut Room,
    ) -> Vec<u32> {
        if k >= positions.len() {
            return (0..positions.len() as u32).collect();
        }
        let sinks = positions.partition_point(|s| *s < self.sinks);
        let mut chosen: Vec<u32> = (0..sinks.min(k) as u32).collect();
        if k > sinks {
            select_top(&scores[sinks..], k - sinks, &mut room.keys, &mut room.kept);
            chosen.extend(room.kept.iter().map(|place| place + sinks as u32));
        }
        chosen
    }
}

/// Room for a choice, kept between calls.
#[derive(Default)]
pub(super) struct Room {
    keys: Vec<u64>,
    kept: Vec<u32>,
}

/// The first position that token `t` sees.
pub(super) fn first_visible(shape: AttentionShape, t: usize) -> usize {
    shape.window.map_or(0, |window| (t + 1).saturating_sub(window))
}

/// ‖x‖₂, summed in f64.
pub(super) fn norm(x: &[f32]) -> f64 {
    x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What fewer places hold is part of what more hold, sinks are the first to stay, and the choice is
        /// that of a stable sort.
        #[test]
        fn choices_are_nested(
            scores in prop::collection::vec(-3_i8..3, 1..40),
            few in 0_usize..40,
            many in 0_usize..40,
            sinks in 0_usize..6,
            first in 0_usize..3,
        ) {
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let positions: Vec<usize> = (first..first + scores.len()).collect();
            let selection = KvSelection {
                score: KvScore::Random,
                sparsity: 0.5,
                mode: KvMode::Write { every: 1 },
                sinks,
                seed: 1,
            };
            let chosen = |k| selection.chosen(&positions, &scores, k, &mut Room::default());
            let (less, more) = (chosen(few.min(many)), chosen(few.max(many)));
            prop_assert_eq!(less.len(), few.min(many).min(scores.len()));
            prop_assert!(less.iter().all(|place| more.contains(place)));
            let mut order: Vec<u32> = (0..scores.len() as u32).collect();
            order.sort_by_key(|place| {
                let place = *place as usize;
                let is_sink = positions[place] < sinks;
                (!is_sink, if is_sink { 0 } else { -scores[place] as i64 })
            });
            order.truncate(less.len());
            order.sort_unstable();
            prop_assert_eq!(less, order);
        }
    }
}

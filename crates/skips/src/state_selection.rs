//! What is to be kept of a recurrent state: every channel, a fixed set a site, or sets chosen while the
//! text runs. A set holds the channels of all groups of one mixer, at `g·N + n`.

use importance::StateScore;

use crate::{Commitment, Rule};

/// How kept sets of state channels come about.
pub enum StateSelection {
    /// Every channel: the dense model.
    All,
    /// One ascending set a site, chosen beforehand; the other channels are neither written nor read.
    Static(Vec<Vec<u32>>),
    /// Chosen from the states, window by window.
    Windowed(StateWindowed),
}

/// Sets chosen from states.
pub struct StateWindowed {
    /// Ranks the channels; looks at no gradients.
    pub score: Box<dyn StateScore>,
    /// κ, the fraction of a site's channels that is dropped.
    pub sparsity: f64,
    /// Which tokens share a set.
    pub commitment: Commitment,
    /// Seed of random scores and of the rule `random`.
    pub seed: u64,
    /// The static set of every site, for the rule `calibration`; empty otherwise.
    pub calibrated: Vec<Vec<u32>>,
    /// What becomes of a dropped channel.
    pub mode: StateMode,
}

/// What becomes of a channel that a window drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateMode {
    /// It is not read (C' is masked) and keeps its memory: the state is that of the unmasked recurrence,
    /// and so are the scores.
    Read,
    /// It is not written either (B' is masked too): what it holds fades, and what the window's tokens would
    /// have written stays missing.
    ///
    /// The scores of a window are taken as if its tokens wrote every channel, starting from the state that
    /// the masked windows before it really left: a channel must be able to show what it would hold. Once
    /// the set is chosen, the window is run again from that state with B' and C' masked. The rule
    /// `previous-window` looks at the scores that the window before was given in this way.
    Write,
}

impl StateSelection {
    /// Which tokens share a set, and what becomes of the other channels.
    pub(crate) fn commitment(&self) -> (Commitment, StateMode) {
        let once = Commitment { window: 1, rule: Rule::Calibration };
        match self {
            Self::All => (once, StateMode::Read),
            Self::Static(_) => (once, StateMode::Write),
            Self::Windowed(windowed) => (windowed.commitment, windowed.mode),
        }
    }
}

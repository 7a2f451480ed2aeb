//! How much a neuron, a state channel or an attention head matters: one file a score, all behind [`Score`],
//! [`StateScore`] and [`HeadScore`].
//!
//! The scores of this crate look at activations only through two sums over a set of tokens
//! ([`Moments`]; of a state those of [`StateMoments`], of heads those of [`HeadMoments`]): the tokens may be a calibration text (static), one
//! token (dynamic) or a window. So one pass over a text serves them all, and a new set of tokens is not a
//! new score. Gradients ([`Gradients`]) and ablations ([`ablate`]) take passes of their own.
//!
//! # Example
//!
//! One pass over some tokens, then the score of every neuron of the first site:
//!
//! ```
//! use std::path::Path;
//!
//! use importance::{Calibrating, Impact, SiteWeights};
//! use models::{Batch, Device, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = load(Path::new("../../data/models/opt-relu"), &Device::flex())?.model;
//! let mut calibrating = Calibrating::new();
//! model.forward(&Batch::new([&[1, 2, 3, 4][..]]), &mut calibrating)?;
//! let calibration = calibrating.finish();
//!
//! let ffn = model.ffns()[0];
//! let scores = calibration.score(0, &Impact, &SiteWeights::of(ffn), 1);
//! assert_eq!(scores.len(), ffn.neurons());
//! # Ok(())
//! # }
//! ```

mod ablation;
mod calibrate;
mod draw;
mod gradients;
mod head_moments;
mod head_scores;
mod moments;
mod scores;
mod state_moments;
mod state_scores;

pub use ablation::{Ablation, Dropped, ablate, sample};
pub use calibrate::{Calibrating, Calibration};
pub use draw::Draw;
pub use gradients::{Gradients, Slopes};
pub use head_moments::{AllHeadEffects, HeadEffects, HeadMoments, head_size};
pub use head_scores::{
    HEAD_NAMES, HeadImpact, HeadMagnitude, HeadScore, HeadTaylor, RandomHeads, by_head_name,
};
pub use moments::Moments;
pub use scores::{
    Energy, Fisher, Impact, Magnitude, NAMES, Random, RankedBy, Reversed, Score, SiteWeights,
    Taylor, Wanda, Weight, by_name,
};
pub use state_moments::StateMoments;
pub use state_scores::{
    Ghost, GhostFactored, RandomChannels, STATE_NAMES, StateScore, StateTaylor, StateWeight,
    StateWeights, by_state_name,
};

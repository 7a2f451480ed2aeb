//! The layers that the architectures are made of.

mod affine;
mod attention;
mod attention_cut;
mod convolution;
mod ffn;
mod gated_norm;
mod linear;
mod mixer;
mod mixer_channels;
mod mixer_cut;
mod norm;
mod picked;
mod recurrence;
mod rope;
mod rotation;
mod scan;
mod scan_composed;

pub use affine::AffineLayer;
pub use attention::{Attention, AttentionInputs, AttentionShape};
pub(crate) use convolution::Convolution;
pub use ffn::{Activation, Ffn};
pub(crate) use gated_norm::GatedNorm;
pub use linear::{Linear, LowRank, Tap};
pub use mixer::{Mixer, MixerShape};
pub(crate) use norm::{LayerNorm, Norm, RmsNorm};
pub(crate) use rope::{Rope, RopeScaling};
pub(crate) use rotation::Rotation;

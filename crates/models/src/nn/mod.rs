//! The layers that the architectures are made of.

mod attention;
mod ffn;
mod linear;
mod norm;

pub(crate) use attention::{Attention, Positions};
pub use ffn::{Activation, Ffn};
pub use linear::Linear;
pub(crate) use norm::{LayerNorm, RmsNorm};

//! Dense `f32` loops that the CPU forward pass needs and a tensor library does not fuse: SiLU·up,
//! RMS norm, rotary embedding, causal softmax, log-sum-exp.
//!
//! Every function is safe code, written so that the compiler vectorises it; `pulp` picks the widest
//! registers of the machine at run time and `rayon` splits the rows. The split depends on the shape
//! alone, never on the number of threads, and no sum crosses a row, so the same input gives the same
//! bits on one machine. Each has a naive version in its tests.

mod activation;
mod exp;
mod heads;
mod norm;
mod softmax;
mod wide;

pub use activation::{Activation, gate_mul};
pub use heads::{Rotary, gather_heads, scatter_heads};
pub use norm::rms_norm;
pub use softmax::{LogSumExp, add_logits, causal_softmax};

/// Rows a task takes at a time: enough to hide the cost of handing it out.
const ROWS_PER_TASK: usize = 16;

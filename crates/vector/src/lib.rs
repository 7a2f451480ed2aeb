//! Dense `f32` loops that the CPU forward pass needs and a tensor library does not fuse: gated
//! activations, RMS norm, rotary embedding, causal softmax, log-sum-exp, what a Mamba-2 mixer does
//! between its matrix products, and the sums over tokens that scores are made of.
//!
//! Every function is safe code, written so that the compiler vectorises it; `pulp` picks the widest
//! registers of the machine at run time and `rayon` splits the rows. The split depends on the shape
//! alone, never on the number of threads, and no sum crosses a row, so the same input gives the same
//! bits on one machine. Each has a naive version in its tests.
//!
//! # Example
//!
//! ```
//! use vector::{LogSumExp, add_logits, rms_norm};
//!
//! let y = rms_norm(&[3.0, 4.0], &[1.0, 2.0], 0.0);
//! let rms = 12.5_f32.sqrt();
//! assert!((y[0] - 3.0 / rms).abs() < 1e-6 && (y[1] - 8.0 / rms).abs() < 1e-6);
//!
//! // The log-sum-exp of a row of logits that is seen in two parts.
//! let mut rows = [LogSumExp::EMPTY];
//! add_logits(&mut rows, &[0.0, 1.0], 0..2);
//! add_logits(&mut rows, &[2.0], 2..3);
//! let exact = (1.0 + 1_f64.exp() + 2_f64.exp()).ln();
//! assert!((rows[0].nats() - exact).abs() < 1e-6);
//! assert_eq!(rows[0].argmax(), 2);
//! ```

mod activation;
mod apart;
mod attend;
mod attend_heads;
mod columns;
mod convolution;
mod energies;
mod erf;
mod exp;
mod gated_norm;
mod heads;
mod moments;
mod norm;
mod scan;
mod softmax;
mod step;
mod unwritten;
mod wide;

pub use activation::{Activation, activate, gate_mul};
pub use apart::{largest, worst};
pub use attend::attend;
pub use attend_heads::{Remembered, attend_heads};
pub use columns::Columns;
pub use convolution::causal_convolution;
pub use energies::{Writes, energies};
pub use gated_norm::gated_rms_norm;
pub use heads::{Rotary, gather_heads, scatter_heads};
pub use moments::add_moments;
pub use norm::rms_norm;
pub use scan::{Decays, time_steps};
pub use softmax::{LogSumExp, Visible, add_logits, causal_softmax, nll_slope};
pub use step::{Token, step};
pub use unwritten::fade_unwritten;

/// Rows a task takes at a time: enough to hide the cost of handing it out.
const ROWS_PER_TASK: usize = 16;

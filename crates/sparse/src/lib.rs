//! The kernels that really skip work, each with its naive version beside it as the oracle.
//!
//! Safe code: `pulp` picks the widest registers of the machine at run time, `rayon` splits the rows.
//! The order of every sum is fixed by the shapes, so the same input gives the same bits.
//!
//! # Example
//!
//! Half of four neurons kept, and their part of the down projection:
//!
//! ```
//! use sparse::{KeptGroups, kept_count, project_kept, select_top};
//!
//! let h = [3.0_f32, -1.0, 0.5, -2.0];
//! let sizes = h.map(f32::abs);
//! let k = kept_count(4, 0.5);
//! let (mut keys, mut kept) = (Vec::new(), Vec::new());
//! select_top(&sizes, k, &mut keys, &mut kept);
//! assert_eq!(kept, [0, 3]);
//!
//! let mut groups = KeptGroups::new(k);
//! groups.push(1, &kept);
//! // Four neurons, two outputs.
//! let w = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 2.0];
//! assert_eq!(project_kept(&h, &groups, &w, 2), [3.0, -4.0]);
//! ```

mod element;
mod kept;
mod lines;
mod measure;
mod one_row;
mod project;
mod rows;
mod select;
mod tiles;

pub use kept::{KeptGroups, kept_count};
pub use measure::{RowShares, kept_energies, row_shares};
pub use one_row::{Zeros, picked_outputs, product_naive, products, weight_bytes_read};
pub use project::{project_kept, project_kept_naive};
pub use rows::{Map, Rows, Stored};
pub use select::{Ranked, select_naive, select_top};
pub use tiles::{gated_tiles, plain_tiles, share_not_zero, tiles_naive};

use std::sync::LazyLock;

/// The widest instruction set of this machine, looked up once.
static ARCH: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

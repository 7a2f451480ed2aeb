//! The kernels that really skip work, each with its naive version beside it as the oracle.
//!
//! Safe code: `pulp` picks the widest registers of the machine at run time, `rayon` splits the rows.
//! The order of every sum is fixed by the shapes, so the same input gives the same bits.

mod kept;
mod measure;
mod project;
mod select;

pub use kept::{KeptGroups, kept_count};
pub use measure::{RowShares, kept_energies, row_shares};
pub use project::{project_kept, project_kept_naive};
pub use select::{Ranked, select_naive, select_top};

use std::sync::LazyLock;

/// The widest instruction set of this machine, looked up once.
static ARCH: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

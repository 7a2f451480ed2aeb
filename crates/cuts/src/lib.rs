//! Cuts: what changes a model's weights once, before the run (docs/SPEC.md sections 10 to 12).
//!
//! A cut takes a [`Slim`], a model with what is stored of it, and gives another. Matrices are cut layer by
//! layer; where a method looks at inputs, each layer is calibrated on what the already cut layers below it
//! hand on.
//!
//! # Example
//!
//! Half of the weights of a model of this project, without calibration:
//!
//! ```
//! use std::path::Path;
//!
//! use cuts::{Pattern, Slim, Watch, WeightCut, WeightMethod};
//! use models::{Device, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = load(Path::new("../../data/models/opt-relu"), &Device::flex())?;
//! let dense = Slim::dense(loaded.model);
//! let cut = WeightCut::new(WeightMethod::named("magnitude")?, Pattern::Share(0.5));
//! let half = cut.apply(dense.shared(), &[], &Watch::default())?.expect("nothing stops it");
//! assert!(half.storage.parameters() < dense.storage.parameters());
//! # Ok(())
//! # }
//! ```

mod bits;
mod calibration;
mod channels;
mod cross_products;
mod directions;
mod draws;
mod error;
mod factor;
mod gram;
mod heads;
mod layers;
mod low_rank;
mod matrix;
mod names;
mod neurons;
mod pattern;
mod rotate;
mod select;
mod slim;
pub mod steps;
mod storage;
mod sweep;
mod watch;
mod weights;

pub use bits::{BITS, BitCut, BitMethod, Grid, Rounding};
pub use calibration::{CutInputs, cut_in_order, cut_owned};
pub use channels::{cut_states, recalibrated_state_sets, state_sets};
pub use directions::{DirectionChoice, Directions, directions};
pub use error::CutError;
pub use gram::{Gram, Needs};
pub use heads::{cut_heads, head_sets};
pub use layers::{
    DropScore, Dropped, FitInputs, LAYER_SCORES, LayerDistances, LayerDrop, Linearise, Linearised,
    drop_layers, linear_blocks, linearise, linearise_like,
};
pub use low_rank::{LOW_RANK, LowRankCut, LowRankMethod};
pub use matrix::Matrix;
pub use neurons::{cut, static_sets};
pub use pattern::{Pattern, kept_count};
pub use rotate::{random_orthogonal, rotate};
pub use slim::Slim;
pub use storage::{Index, Storage, StoredMatrix};
pub use watch::Watch;
pub use weights::{
    Magnitude, Obd, Pool, Random, ScoredRow, WEIGHTS, Wanda, WeightCut, WeightMethod, WeightScore,
};

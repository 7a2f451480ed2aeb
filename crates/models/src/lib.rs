//! Language models as burn tensors: config and weights from disk, one forward pass per
//! architecture, and the seam ([`Executor`]) through which skips act on it.
//!
//! A forward pass knows nothing of what is skipped. At every feed-forward block it hands the block and its
//! input to an executor, whose default is the plain dense computation.
//!
//! # Example
//!
//! Logits of a model of this project:
//!
//! ```
//! use std::path::Path;
//!
//! use models::{Batch, Dense, Device, into_values, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = load(Path::new("../../data/models/opt-relu"), &Device::flex())?;
//! let batch = Batch::new([&[1, 2, 3][..]]);
//! let hidden = loaded.model.forward(&batch, &mut Dense)?;
//! let logits = into_values(loaded.model.logits(hidden));
//! assert_eq!(logits.len(), 3 * loaded.facts.vocabulary);
//! # Ok(())
//! # }
//! ```

mod architecture;
mod architectures;
mod backward;
mod batch;
mod cache;
mod divergence;
mod error;
mod executor;
mod held;
mod kv_rows;
mod layered;
mod linears;
mod load;
mod nn;
mod options;
mod predictions;
mod product;
mod renumbered;
mod saved;
mod share;
mod site_layers;
mod state_rows;
mod tensor;
mod weights;

pub use ::checkpoints::Vocabulary;
pub use architecture::Architecture;
pub use architectures::{
    LayerFacts, Model, ModelFacts, Rotated, SharedBlock, StateFacts, config_text,
};
pub use backward::{StreamGradient, recorded_gradient, stream_gradients, streams};
pub use batch::Batch;
#[cfg(feature = "wgpu")]
pub use burn::tensor::DeviceKind;
pub use burn::tensor::{Device, Gradients as RecordedGradients, Tensor};
pub use cache::{Cache, HeadCache, KvCache, RecurrentState};
pub use divergence::divergence_by_sequence;
pub use error::{ExecutorError, HeldError, LayersError, LoadError, RotationError};
pub use executor::{AttentionSite, Dense, Executor, FfnSite, LayerEnd, StateInputs, StateSite};
pub use held::{Held, held_as};
pub use layered::{Layered, Place};
pub use linears::{LinearMapper, MatrixUse};
pub use load::{LoadedModel, inspect, inspect_with, load, load_with, saved_config, sizes};
pub use nn::{
    Activation, AffineLayer, Attention, AttentionInputs, AttentionShape, Ffn, Linear, LowRank,
    Mixer, MixerShape, Tap,
};
pub use options::{Options, TimeSteps};
pub use predictions::{
    FirstChoice, Prediction, first_choices, nll_and_slope, nll_by_sequence, predictions,
};
pub use product::MatrixMemory;
pub use saved::{Divided, SaveError, Saved, SavedDecoder, SavedRope, SavedTensor};
pub use share::{PartShare, attention_share, ffn_share, matrix_share, state_share};
pub use site_layers::SiteLayers;
pub use state_rows::{StateRows, Writes};
pub use tensor::{Values, into_values, matrix, vector_of};
pub use weights::{Conversions, Parameter, Parameters, gguf_vocabulary};

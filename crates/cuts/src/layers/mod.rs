//! Cuts of whole layers (docs/SPEC.md section 12).

mod distances;
mod drop;
mod linearise;
mod regression;
mod streams;

pub use distances::LayerDistances;
pub use drop::{DropScore, Dropped, LAYER_SCORES, LayerDrop, drop_layers};
pub use linearise::{FitInputs, Linearise, Linearised, linear_blocks, linearise, linearise_like};

use std::collections::BTreeSet;

use models::{LayerFacts, Model};

use crate::Slim;

/// A model whose layers are not those of `old` any more, with what is stored of it: matrices that both
/// have as they were stored, new ones dense.
fn with_other_layers(old: &Slim, model: Box<dyn Model>) -> Slim {
    let mut storage = old.storage.after_surgery(model.as_ref());
    storage.rest = storage.rest + unmapped(model.as_ref()) - unmapped(old.model.as_ref());
    Slim { model, storage }
}

/// Parameters of all layers that are in no linear map and no convolution.
fn unmapped(model: &dyn Model) -> u64 {
    let layers: Vec<LayerFacts> =
        (0..model.facts().layers).map(|layer| model.layer_facts(layer)).collect();
    let own: usize = layers.iter().map(|layer| layer.unmapped).sum();
    let shared: BTreeSet<_> =
        layers.iter().filter_map(|layer| layer.shared).map(|b| (b.number, b.unmapped)).collect();
    (own + shared.into_iter().map(|(_, unmapped)| unmapped).sum::<usize>()) as u64
}

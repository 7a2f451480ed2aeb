//! A model together with what is stored of it.

use models::Model;

use crate::Storage;

/// What a cut takes and gives.
pub struct Slim {
    /// The model. Entries that were cut are zeros in matrices of the old size, so every forward pass runs
    /// it.
    pub model: Box<dyn Model>,
    /// What is stored of it.
    pub storage: Storage,
}

impl Slim {
    /// A model that nothing was cut from.
    pub fn dense(model: Box<dyn Model>) -> Self {
        Self { storage: Storage::of(&*model), model }
    }

    /// A model that somebody else has and that nothing was cut from; the two share their tensors.
    pub fn sharing(model: &dyn Model) -> Self {
        Self::dense(second_handle(model))
    }

    /// The same once more; the two share their tensors.
    pub fn shared(&self) -> Self {
        Self { model: second_handle(&*self.model), storage: self.storage.clone() }
    }
}

/// The same model once more; the two share their tensors.
pub(crate) fn second_handle(model: &dyn Model) -> Box<dyn Model> {
    model.map_linears(&mut |_| None)
}

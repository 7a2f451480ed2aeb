//! Cuts of bits: weights on the grid of their group (docs/SPEC.md section 11), one file a method.

mod gptq;
mod grid;
pub(crate) mod rtn;

pub use grid::{Grid, Rounding};

use crate::{
    CutError, Gram, Matrix, Needs, Slim, StoredMatrix, Watch, calibration::cut_owned,
    names::by_name,
};

/// How weights are brought onto a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitMethod {
    /// Each to the nearest point.
    Nearest,
    /// Input by input, what is lost spread over the inputs that follow.
    Gptq,
}

/// All methods by their names.
pub const BITS: [(&str, BitMethod); 2] = [("rtn", BitMethod::Nearest), ("gptq", BitMethod::Gptq)];

impl BitMethod {
    /// The method of this name.
    ///
    /// # Errors
    /// No such method.
    pub fn named(name: &str) -> Result<Self, CutError> {
        by_name(name, &BITS)
    }

    /// What it asks of a calibration text.
    pub fn needs(self) -> Needs {
        match self {
            Self::Nearest => Needs::Nothing,
            Self::Gptq => Needs::Products,
        }
    }
}

/// A cut of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitCut {
    /// How.
    pub method: BitMethod,
    /// How finely.
    pub rounding: Rounding,
}

impl BitCut {
    /// The model with all matrices rounded; `None` where it was stopped. A zero that an earlier step made
    /// stays zero.
    ///
    /// # Shapes
    /// - `windows`: token ids of the calibration text, one sequence each; not looked at by `rtn`
    ///
    /// # Errors
    /// Settings out of range, no text for `gptq`, or a model that overflows.
    pub fn apply(
        &self,
        slim: Slim,
        windows: &[Vec<u32>],
        watch: &Watch<'_>,
    ) -> Result<Option<Slim>, CutError> {
        self.rounding.check()?;
        let (rounding, Slim { model, storage }) = (self.rounding, slim);
        let zeros_stay = |name: &str| storage.is_sparse(name);
        let round = |matrices: Vec<Matrix>, gram: Option<&Gram>| match gram {
            None => Ok(matrices.into_iter().map(|matrix| rtn::round(matrix, rounding)).collect()),
            Some(gram) => gptq::round(matrices, gram, rounding, &zeros_stay),
        };
        let model = cut_owned(model, windows, self.method.needs(), watch, &round)?;
        Ok(model.map(|model| {
            let stored =
                |old: &StoredMatrix| StoredMatrix { rounding: Some(rounding), rank: None, ..*old };
            Slim { storage: storage.recounted(&*model, &stored), model }
        }))
    }
}

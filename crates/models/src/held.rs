//! A model with its matrices held in fewer bits while it runs.

use burn::tensor::{DType, FloatDType, Tensor};

use crate::{Linear, Model, error::HeldError, product::by_output, tensor::Values};

/// Numbers that matrices are held in; sums are in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// 32 bits.
    F32,
    /// 16 bits, IEEE 754: 11 bits of a number are exact, and it must stay below 65,520.
    F16,
    /// 16 bits, the upper half of an `f32`: 8 bits of a number are exact.
    Bf16,
}

impl Held {
    fn dtype(self) -> (DType, FloatDType) {
        match self {
            Self::F32 => (DType::F32, FloatDType::F32),
            Self::F16 => (DType::F16, FloatDType::F16),
            Self::Bf16 => (DType::BF16, FloatDType::BF16),
        }
    }
}

/// The same model with its linear maps, its embedding and its output head rounded to such numbers, to the
/// nearest, ties to even; norms, biases, adapters and convolutions stay as they are.
///
/// In 16 bits every map lies in memory with a row for every output: products with one row are faster then.
///
/// # Errors
/// A weight that has no such number, because it is too large.
pub fn held_as(model: &dyn Model, held: Held) -> Result<Box<dyn Model>, HeldError> {
    let (mut refused, (wanted, dtype)) = (None, held.dtype());
    let mut narrow = |name: &str, matrix: &Tensor<2>| -> Option<Tensor<2>> {
        if matrix.dtype() == wanted {
            return None;
        }
        let narrow = matrix.clone().cast(dtype);
        let value = Values::of(narrow.clone()).iter().copied().find(|value| !value.is_finite());
        if value.is_some() && refused.is_none() {
            refused = Some(HeldError { matrix: name.to_owned(), held });
        }
        Some(narrow)
    };
    let model = model.map_linears(&mut |of| {
        let parts = of.parts.iter().map(|part| {
            let weight = narrow(&part.name, &part.weight)?;
            Some(Linear { weight: by_output(&weight), ..(*part).clone() })
        });
        parts.collect()
    });
    let mut table = |table: &Tensor<2>| narrow("the vocabulary", table).unwrap_or(table.clone());
    let model = model.map_vocabulary(&mut table);
    match refused {
        Some(error) => Err(error),
        None => Ok(model),
    }
}

//! A tensor as torch stores it: a view with strides into a storage of numbers.

use crate::numbers::{Float, count};

/// The number types that torch has a storage class for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Float(Float),
    /// Read by nothing here, but a buffer of it must not keep the weights from being read.
    Other(&'static str, usize),
}

impl Number {
    /// From the name of a storage class of module `torch`.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "FloatStorage" => Self::Float(Float::F32),
            "HalfStorage" => Self::Float(Float::F16),
            "BFloat16Storage" => Self::Float(Float::Bf16),
            "DoubleStorage" => Self::Other("F64", 8),
            "LongStorage" => Self::Other("I64", 8),
            "IntStorage" => Self::Other("I32", 4),
            "ShortStorage" => Self::Other("I16", 2),
            "CharStorage" => Self::Other("I8", 1),
            "ByteStorage" => Self::Other("U8", 1),
            "BoolStorage" => Self::Other("BOOL", 1),
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Float(float) => float.name(),
            Self::Other(name, _) => name,
        }
    }

    /// Bytes of one value.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Float(float) => float.size(),
            Self::Other(_, size) => size,
        }
    }
}

/// Numbers in an entry of the archive; several tensors may share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) number: Number,
    /// Name of the entry.
    pub(super) key: String,
    /// Length in numbers.
    pub(super) length: usize,
}

/// A tensor: where its numbers are in a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) storage: Storage,
    /// Index of the first number.
    pub(super) offset: usize,
    /// Rows first.
    pub(super) shape: Vec<usize>,
    /// Step between neighbours along each dimension, in numbers.
    pub(super) strides: Vec<usize>,
}

impl View {
    /// Numbers from the first to the last one that the view reaches; 0 for an empty tensor.
    ///
    /// # Errors
    /// A view that reaches beyond its storage, or repeats numbers of it (a stride of 0): saved weights
    /// do neither, and the size of the file would no longer bound what is read from it.
    pub(super) fn extent(&self) -> Result<usize, String> {
        if self.shape.len() != self.strides.len() {
            return Err(format!("shape {:?} with strides {:?}", self.shape, self.strides));
        }
        let length = self.storage.length;
        let values = count(&self.shape).filter(|values| *values <= length);
        let values = values.ok_or_else(|| {
            format!("shape {:?}, more than the {length} numbers of its storage", self.shape)
        })?;
        if values == 0 {
            return Ok(0);
        }
        let steps = self.shape.iter().zip(&self.strides);
        let mut last = steps.map(|(length, stride)| (length - 1).checked_mul(*stride));
        let last = last.try_fold(0_usize, |sum, step| sum.checked_add(step?));
        let extent = last.and_then(|last| last.checked_add(1));
        let end = extent.and_then(|extent| extent.checked_add(self.offset));
        match (extent, end) {
            (Some(extent), Some(end)) if end <= length => Ok(extent),
            _ => Err(format!(
                "shape {:?}, strides {:?} and offset {}, beyond the {length} numbers of its storage",
                self.shape, self.strides, self.offset
            )),
        }
    }

    /// Whether the numbers lie in row-major order without gaps.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(length, stride)| {
            // Along a dimension of one entry no step is ever taken.
            let fits = *length == 1 || *stride == expected;
            expected *= length;
            fits
        })
    }

    /// Index, counted from the first number, of the value at a flat row-major index.
    pub(super) fn index_of(&self, mut flat: usize) -> usize {
        let mut index = 0;
        for (length, stride) in self.shape.iter().zip(&self.strides).rev() {
            index += flat % length * stride;
            flat /= length;
        }
        index
    }
}

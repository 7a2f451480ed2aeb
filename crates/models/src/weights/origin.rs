//! Where the tensors of a model come from: a file, or a training run that is under way.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use checkpoints::Conversion;

use crate::error::LoadError;

/// Named tensors in the orientation and under the names of the Hugging Face format.
pub(crate) trait Origin {
    /// The file or folder, for messages.
    fn path(&self) -> PathBuf;

    /// The file that holds a tensor.
    fn file_of(&self, _name: &str) -> PathBuf {
        self.path()
    }

    /// All names, ascending.
    fn names(&self) -> Vec<String>;

    /// Whether there is such a tensor.
    fn has(&self, name: &str) -> bool;

    /// The shape of a tensor that is asked for with the `expected` one.
    fn shape(&self, name: &str, expected: &[usize]) -> Option<Vec<usize>>;

    /// What reading a tensor does to its values.
    fn conversion(&self, _name: &str) -> Option<Conversion> {
        None
    }

    /// The first place where two tensors of one shape differ, if they do: its flat index, the value of the
    /// first tensor and that of the second.
    fn difference(&self, name: &str, other: &str) -> Result<Option<(usize, f32, f32)>, LoadError>;

    /// All values in row-major order.
    ///
    /// # Shapes
    /// - returns: `[values]`
    fn flat(&self, name: &str, device: &Device) -> Result<Tensor<1>, LoadError>;

    /// A matrix stored `[rows, columns]` in so many equal parts of its rows, each transposed.
    ///
    /// # Shapes
    /// - returns: `parts` of `[columns, rows / parts]`
    fn turned(
        &self,
        name: &str,
        shape: [usize; 2],
        parts: usize,
        device: &Device,
    ) -> Result<Vec<Tensor<2>>, LoadError>;
}

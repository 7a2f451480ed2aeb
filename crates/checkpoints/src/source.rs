//! What every format offers: named tensors, read piece by piece.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::LoadError;

/// What is done to the values of a tensor on their way from the file to `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conversion {
    /// Number type in the file, such as `BF16` or `Q4_K`.
    pub dtype: &'static str,
    /// What else is done to bring the tensor into the form of the Hugging Face format.
    pub also: Option<&'static str>,
}

impl Conversion {
    /// What [`Conversion::also`] says of a tensor whose name a wrapper of training had changed.
    pub const BARE_NAME: &'static str = "name without `_orig_mod.`, `module.` or the like";

    /// Of a tensor whose numbers are only converted.
    pub(crate) fn of(dtype: &'static str) -> Self {
        Self { dtype, also: None }
    }
}

impl fmt::Display for Conversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        if self.dtype != "F32" {
            write!(f, " → F32")?;
        }
        match self.also {
            Some(also) => write!(f, ", {also}"),
            None => Ok(()),
        }
    }
}

/// A checkpoint: named tensors in the orientation and under the names of the Hugging Face format.
pub trait Source {
    /// The file or folder, for messages.
    fn path(&self) -> &Path;

    /// The file that holds a tensor; [`Source::path`] where there is no such tensor.
    fn file_of(&self, name: &str) -> PathBuf;

    /// All names, ascending.
    fn names(&self) -> Vec<String>;

    /// Shape of a tensor, rows first; `None` where it does not exist.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// What reading a tensor does to its values; `None` where it does not exist or has a number type
    /// that is not read.
    fn conversion(&self, name: &str) -> Option<Conversion>;

    /// Hands the values of a tensor over in row-major order, some MiB at a time; of a tensor with two
    /// or more dimensions every piece is a number of whole rows.
    ///
    /// # Errors
    /// No such tensor, a number type that is not read, or a file that cannot be read.
    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError>;

    /// All values of a tensor in row-major order.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn values(&self, name: &str) -> Result<Vec<f32>, LoadError> {
        let mut values = Vec::new();
        self.read(name, &mut |piece| values.extend_from_slice(piece))?;
        Ok(values)
    }
}

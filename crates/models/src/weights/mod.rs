//! Tensors on disk, whatever the format, read one at a time and accounted for.
//!
//! burn-store would build a module first and fill it afterwards; here a tensor is read once, checked
//! against the config by field name, and the same code serves GGUF, which burn-store does not read.

mod gguf;
mod safetensors;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

pub(crate) use gguf::GgufFile;
pub use gguf::{Vocabulary, gguf_vocabulary};
pub(crate) use safetensors::SafetensorsFolder;

use burn::tensor::{Device, Tensor};

use crate::{
    error::LoadError,
    nn::{LayerNorm, Linear},
    tensor::{matrix, vector_of},
};

/// A checkpoint: named tensors in the orientation and under the names of the Hugging Face format.
pub(crate) trait Source {
    /// The file or folder, for messages.
    fn path(&self) -> &Path;
    /// The file that holds a tensor.
    fn file_of(&self, name: &str) -> PathBuf;
    /// All names, ascending.
    fn names(&self) -> Vec<String>;
    /// Shape of a tensor, rows first; `None` where it does not exist.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
    /// The values in row-major order, converted to `f32`.
    fn read(&self, name: &str) -> Result<Vec<f32>, LoadError>;
}

/// A dimension with the name of the config field that says how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dim(pub(crate) &'static str, pub(crate) usize);

/// Hands out tensors, checks them and remembers which were used.
pub(crate) struct Weights<'a> {
    source: &'a dyn Source,
    used: BTreeSet<String>,
    /// Values handed out.
    parameters: usize,
    device: Device,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(source: &'a dyn Source, device: &Device) -> Self {
        Self { source, used: BTreeSet::new(), parameters: 0, device: device.clone() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.source.shape(name).is_some()
    }

    fn values(&mut self, name: &str, dims: &[Dim]) -> Result<Vec<f32>, LoadError> {
        let found = self.source.shape(name).ok_or_else(|| LoadError::MissingTensor {
            path: self.source.path().to_owned(),
            tensor: name.to_owned(),
        })?;
        if found.iter().ne(dims.iter().map(|Dim(_, length)| length)) {
            let fields: Vec<_> = dims.iter().map(|Dim(f, n)| format!("{f} = {n}")).collect();
            return Err(LoadError::Shape {
                path: self.source.file_of(name),
                tensor: name.to_owned(),
                found,
                expected: format!("[{}]", fields.join(", ")),
            });
        }
        let values = self.source.read(name)?;
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(LoadError::NonFinite {
                path: self.source.file_of(name),
                tensor: name.to_owned(),
                index,
                value: values[index],
            });
        }
        self.used.insert(name.to_owned());
        self.parameters += values.len();
        Ok(values)
    }

    pub(crate) fn vector(&mut self, name: &str, dim: Dim) -> Result<Tensor<1>, LoadError> {
        Ok(vector_of(self.values(name, &[dim])?, &self.device))
    }

    pub(crate) fn matrix(&mut self, name: &str, dims: [Dim; 2]) -> Result<Tensor<2>, LoadError> {
        let values = self.values(name, &dims)?;
        Ok(matrix(values, dims.map(|Dim(_, n)| n), &self.device))
    }

    /// `{name}.weight`, stored `[d_out, d_in]`, transposed to `[d_in, d_out]`, and `{name}.bias` if
    /// `bias`.
    pub(crate) fn linear(
        &mut self,
        name: &str,
        d_in: Dim,
        d_out: Dim,
        bias: bool,
    ) -> Result<Linear, LoadError> {
        let values = self.values(&format!("{name}.weight"), &[d_out, d_in])?;
        let weight = matrix(transposed(&values, d_in.1), [d_in.1, d_out.1], &self.device);
        let bias = match bias {
            true => Some(self.vector(&format!("{name}.bias"), d_out)?),
            false => None,
        };
        Ok(Linear::new(weight, bias))
    }

    /// Two maps that are stored as one, `[2·d_out, d_in]`, the first one's rows first.
    pub(crate) fn linear_pair(
        &mut self,
        name: &str,
        d_in: Dim,
        both: Dim,
        bias: bool,
    ) -> Result<[Linear; 2], LoadError> {
        let (Dim(_, columns), d_out) = (d_in, both.1 / 2);
        let values = self.values(&format!("{name}.weight"), &[both, d_in])?;
        let biases = match bias {
            true => Some(self.values(&format!("{name}.bias"), &[both])?),
            false => None,
        };
        let device = &self.device;
        Ok([0, 1].map(|part| {
            let weight = &values[part * d_out * columns..(part + 1) * d_out * columns];
            let bias = biases.as_ref().map(|b| b[part * d_out..(part + 1) * d_out].to_vec());
            Linear::new(
                matrix(transposed(weight, columns), [columns, d_out], device),
                bias.map(|bias| vector_of(bias, device)),
            )
        }))
    }

    /// The weight of a depthwise convolution, stored `[width, 1, kernel]`, as `[kernel, width]`.
    pub(crate) fn depthwise(
        &mut self,
        name: &str,
        width: Dim,
        kernel: Dim,
    ) -> Result<Tensor<2>, LoadError> {
        let values = self.values(name, &[width, Dim("1", 1), kernel])?;
        Ok(matrix(transposed(&values, kernel.1), [kernel.1, width.1], &self.device))
    }

    /// The same for a weight stored `[d_in, d_out]`, with a bias (`Conv1D` of GPT-2).
    pub(crate) fn linear_input_first(
        &mut self,
        name: &str,
        d_in: Dim,
        d_out: Dim,
    ) -> Result<Linear, LoadError> {
        let weight = self.matrix(&format!("{name}.weight"), [d_in, d_out])?;
        Ok(Linear::new(weight, Some(self.vector(&format!("{name}.bias"), d_out)?)))
    }

    /// `{name}.weight` and `{name}.bias` of a LayerNorm.
    pub(crate) fn layer_norm(
        &mut self,
        name: &str,
        width: Dim,
        epsilon: f64,
    ) -> Result<LayerNorm, LoadError> {
        Ok(LayerNorm {
            weight: self.vector(&format!("{name}.weight"), width)?,
            bias: self.vector(&format!("{name}.bias"), width)?,
            epsilon,
        })
    }

    /// Marks a tensor that says nothing new.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// Marks all tensors whose names start so.
    pub(crate) fn ignore_under(&mut self, start: &str) {
        self.used.extend(self.source.names().into_iter().filter(|name| name.starts_with(start)));
    }

    /// Every tensor of the checkpoint must have been used; the value is the number of parameters.
    pub(crate) fn finish(self) -> Result<usize, LoadError> {
        let tensors: Vec<String> =
            self.source.names().into_iter().filter(|name| !self.used.contains(name)).collect();
        if tensors.is_empty() {
            return Ok(self.parameters);
        }
        Err(LoadError::UnusedTensors { path: self.source.path().to_owned(), tensors })
    }
}

/// `[rows, columns]` to `[columns, rows]`, in tiles that stay in the cache.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let rows = values.len() / columns;
    let mut out = vec![0.0; values.len()];
    for row_tile in (0..rows).step_by(TILE) {
        for column_tile in (0..columns).step_by(TILE) {
            for column in column_tile..(column_tile + TILE).min(columns) {
                for row in row_tile..(row_tile + TILE).min(rows) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::transposed;

    #[test]
    fn transposed_twice_is_the_same() {
        let values: Vec<f32> = (0..37 * 70).map(|i| i as f32).collect();
        let once = transposed(&values, 70);
        assert_eq!(once[1], 70.0);
        assert_eq!(transposed(&once, 37), values);
    }
}

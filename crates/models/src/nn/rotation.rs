//! A change of basis of the residual stream, folded into the maps that read and write it.

use burn::tensor::Tensor;

use super::{LayerNorm, Linear, RmsNorm};
use crate::{
    RotationError,
    tensor::{into_values, matrix},
};

/// The stream `x` becomes `x·Q` with `Q` orthogonal. RMS norm commutes with that once its gain is folded
/// into what reads it: `norm(x)·diag(g)·W = norm(x·Q)·Qᵀ·diag(g)·W` (SliceGPT, Ashkboos et al. 2024,
/// arXiv:2401.15024, section 3.1; QuaRot, arXiv:2404.00456).
///
/// LayerNorm takes the mean away as well, which is the stream along `u = 1/√d`. It commutes with the
/// rotations that leave `u` where it is: `Q·(I − 2·wᵀ·w/‖w‖²)` with `w = u·Q − u` is one for every `Q`.
pub(crate) struct Rotation {
    /// `Qᵀ`: `[d_model, d_model]`.
    read: Tensor<2>,
    /// `Q`: `[d_model, d_model]`.
    write: Tensor<2>,
}

impl Rotation {
    /// For a stream that RMS norms read.
    ///
    /// # Errors
    /// Another size than the stream's.
    pub(crate) fn new(rotation: &Tensor<2>, d_model: usize) -> Result<Self, RotationError> {
        let [rows, columns] = rotation.dims();
        if [rows, columns] != [d_model, d_model] {
            return Err(RotationError::Size { rows, columns, d_model });
        }
        Ok(Self { read: rotation.clone().transpose(), write: rotation.clone() })
    }

    /// For a stream that LayerNorms read: followed by the reflection that brings its mean back.
    ///
    /// # Errors
    /// As [`Rotation::new`].
    pub(crate) fn around_mean(rotation: &Tensor<2>, d_model: usize) -> Result<Self, RotationError> {
        let device = rotation.device();
        let plain = Self::new(rotation, d_model)?;
        let q = into_values(plain.write);
        let u = 1.0 / (d_model as f64).sqrt();
        let column = |j: usize| (0..d_model).map(|i| f64::from(q[i * d_model + j])).sum::<f64>();
        let w: Vec<f64> = (0..d_model).map(|j| u * column(j) - u).collect();
        let square: f64 = w.iter().map(|w| w * w).sum();
        // Nothing to bring back; and no direction to reflect along.
        if square < f64::EPSILON {
            return Self::new(rotation, d_model);
        }
        let mut turned = Vec::with_capacity(q.len());
        for row in q.chunks_exact(d_model) {
            let along: f64 = row.iter().zip(&w).map(|(q, w)| f64::from(*q) * w).sum();
            let reflected =
                row.iter().zip(&w).map(|(q, w)| f64::from(*q) - 2.0 * along * w / square);
            turned.extend(reflected.map(|q| q as f32));
        }
        Self::new(&matrix(turned, [d_model, d_model], &device), d_model)
    }

    /// `Q` itself.
    pub(crate) fn basis(&self) -> Tensor<2> {
        self.write.clone()
    }

    /// Rows that are added to the stream.
    ///
    /// # Shapes
    /// - `rows` and result: `[rows, d_model]`
    pub(crate) fn rows(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.matmul(self.write.clone())
    }

    /// A map whose outputs are added to the stream.
    pub(crate) fn writer(&self, linear: &Linear) -> Linear {
        let mut turned = linear.clone();
        turned.weight = self.rows(turned.weight);
        turned.bias = turned.bias.map(|bias| self.rows(bias.unsqueeze()).squeeze_dim(0));
        if let Some(adapter) = &mut turned.adapter {
            adapter.up = self.rows(adapter.up.clone());
        }
        turned
    }

    /// A map that reads the stream as it is.
    pub(crate) fn reader(&self, linear: &Linear) -> Linear {
        let mut turned = linear.clone();
        turned.weight = self.read_rows(turned.weight);
        if let Some(adapter) = &mut turned.adapter {
            adapter.down = self.read_rows(adapter.down.clone());
        }
        turned
    }

    /// A map that reads the stream after an RMS norm, which loses its gain. The norm may span several
    /// streams side by side.
    pub(crate) fn reader_after_rms(&self, norm: &RmsNorm, linear: &Linear) -> Linear {
        self.reader(&gained(&norm.weight, linear))
    }

    /// A map that reads the stream after a LayerNorm, which loses its gain and its shift:
    /// `(x·diag(g) + s)·W + b = x·diag(g)·W + (s·W + b)`.
    pub(crate) fn reader_after_layer_norm(&self, norm: &LayerNorm, linear: &Linear) -> Linear {
        let shift = linear.forward(norm.bias.clone().unsqueeze()).squeeze_dim(0);
        let mut turned = self.reader(&gained(&norm.weight, linear));
        turned.bias = Some(shift);
        turned
    }

    /// An output head that reads the stream after a norm of this gain: `head·diag(g)·Q`.
    ///
    /// # Shapes
    /// - `head` and result: `[vocabulary, d_model]`
    pub(crate) fn head(&self, gain: &Tensor<1>, head: &Tensor<2>) -> Tensor<2> {
        (head.clone() * gain.clone().unsqueeze()).matmul(self.read.clone().transpose())
    }

    /// `Qᵀ` times each block of `d_model` rows.
    fn read_rows(&self, weight: Tensor<2>) -> Tensor<2> {
        let ([rows, _], [d_model, _]) = (weight.dims(), self.read.dims());
        if rows == d_model {
            return self.read.clone().matmul(weight);
        }
        let blocks = weight.split(d_model, 0).into_iter();
        Tensor::cat(blocks.map(|block| self.read.clone().matmul(block)).collect(), 0)
    }
}

/// `diag(g)·W`.
fn gained(gain: &Tensor<1>, linear: &Linear) -> Linear {
    let column = gain.clone().unsqueeze_dim::<2>(1);
    let mut gained = linear.clone();
    gained.weight = gained.weight * column.clone();
    if let Some(adapter) = &mut gained.adapter {
        adapter.down = adapter.down.clone() * column;
    }
    gained
}

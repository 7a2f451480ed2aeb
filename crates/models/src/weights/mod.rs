//! From the tensors of a checkpoint to burn's: each is checked against the config by field name, read
//! once, and accounted for.
//!
//! burn-store would build a module first and fill it afterwards; here the same code serves GGUF, which
//! burn-store does not read, and memory holds the model and one piece of a tensor besides.

mod conversions;
mod transposing;

use std::{collections::BTreeSet, path::Path};

use burn::tensor::{Device, Tensor};
use checkpoints::{GgufFile, Source, Vocabulary};

pub use conversions::Conversions;
use transposing::Transposing;

use crate::{
    error::LoadError,
    nn::{LayerNorm, Linear},
    tensor::{matrix, vector_of},
};

/// Reads the tokenizer of a GGUF file.
///
/// # Errors
/// A damaged header, or metadata without a tokenizer.
pub fn gguf_vocabulary(path: &Path) -> Result<Vocabulary, LoadError> {
    GgufFile::open(path)?.vocabulary()
}

/// A dimension with the name of the config field that says how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dim(pub(crate) &'static str, pub(crate) usize);

/// Hands out tensors, checks them and remembers which were used.
pub(crate) struct Weights<'a> {
    source: &'a dyn Source,
    used: BTreeSet<String>,
    conversions: Conversions,
    /// Values handed out.
    parameters: usize,
    device: Device,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(source: &'a dyn Source, device: &Device) -> Self {
        Self {
            source,
            used: BTreeSet::new(),
            conversions: Conversions::default(),
            parameters: 0,
            device: device.clone(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.source.shape(name).is_some()
    }

    /// A tensor of the file must have the shape that the config gives it; returns its number of values.
    fn check_shape(&self, name: &str, dims: &[Dim]) -> Result<usize, LoadError> {
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
        Ok(found.iter().product())
    }

    /// Reads a tensor piece by piece, whole rows at a time; every value is finite.
    fn read(&mut self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError> {
        let (mut at, mut bad) = (0, None);
        self.source.read(name, &mut |values| {
            if bad.is_none() {
                let here = values.iter().position(|value| !value.is_finite());
                bad = here.map(|here| (at + here, values[here]));
            }
            at += values.len();
            piece(values);
        })?;
        if let Some((index, value)) = bad {
            return Err(LoadError::NonFinite {
                path: self.source.file_of(name),
                tensor: name.to_owned(),
                index,
                value,
            });
        }
        self.used.insert(name.to_owned());
        self.parameters += at;
        if let Some(conversion) = self.source.conversion(name) {
            self.conversions.count(conversion);
        }
        Ok(())
    }

    fn values(&mut self, name: &str, dims: &[Dim]) -> Result<Vec<f32>, LoadError> {
        let mut values = Vec::with_capacity(self.check_shape(name, dims)?);
        self.read(name, &mut |piece| values.extend_from_slice(piece))?;
        Ok(values)
    }

    /// The values of a matrix stored `[rows, columns]`, as `[columns, rows]`.
    fn transposed(&mut self, name: &str, [rows, columns]: [Dim; 2]) -> Result<Vec<f32>, LoadError> {
        self.check_shape(name, &[rows, columns])?;
        let mut out = Transposing::new(rows.1, columns.1);
        self.read(name, &mut |piece| out.add_rows(piece))?;
        Ok(out.finish())
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
        let values = self.transposed(&format!("{name}.weight"), [d_out, d_in])?;
        let weight = matrix(values, [d_in.1, d_out.1], &self.device);
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
        let weight = format!("{name}.weight");
        self.check_shape(&weight, &[both, d_in])?;
        let [mut first, mut second] = [0, 1].map(|_| Transposing::new(d_out, columns));
        let mut left = d_out;
        self.read(&weight, &mut |piece| {
            let rows = left.min(piece.len() / columns);
            let (of_first, of_second) = piece.split_at(rows * columns);
            first.add_rows(of_first);
            second.add_rows(of_second);
            left -= rows;
        })?;
        let bias = match bias {
            true => self.values(&format!("{name}.bias"), &[both])?,
            false => Vec::new(),
        };
        let linear = |weight: Transposing, part: usize| {
            let bias = bias.chunks(d_out).nth(part).map(|b| vector_of(b.to_vec(), &self.device));
            Linear::new(matrix(weight.finish(), [columns, d_out], &self.device), bias)
        };
        Ok([linear(first, 0), linear(second, 1)])
    }

    /// The weight of a depthwise convolution, stored `[width, 1, kernel]`, as `[kernel, width]`.
    pub(crate) fn depthwise(
        &mut self,
        name: &str,
        width: Dim,
        kernel: Dim,
    ) -> Result<Tensor<2>, LoadError> {
        let values = self.values(name, &[width, Dim("1", 1), kernel])?;
        let mut transposed = Transposing::new(width.1, kernel.1);
        transposed.add_rows(&values);
        Ok(matrix(transposed.finish(), [kernel.1, width.1], &self.device))
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

    /// The output head, `[vocabulary, d_embedding]`: the embedding itself where the two are tied.
    pub(crate) fn head(
        &mut self,
        tied: bool,
        embedding: &Tensor<2>,
        dims: [Dim; 2],
    ) -> Result<Tensor<2>, LoadError> {
        const NAME: &str = "lm_head.weight";
        if tied {
            // Some checkpoints store it a second time.
            self.ignore(NAME);
            return Ok(embedding.clone());
        }
        self.matrix(NAME, dims)
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

    /// Every tensor of the checkpoint must have been used; the number of parameters and what was done to
    /// them.
    pub(crate) fn finish(self) -> Result<(usize, Conversions), LoadError> {
        let tensors: Vec<String> =
            self.source.names().into_iter().filter(|name| !self.used.contains(name)).collect();
        if tensors.is_empty() {
            return Ok((self.parameters, self.conversions));
        }
        Err(LoadError::UnusedTensors { path: self.source.path().to_owned(), tensors })
    }
}

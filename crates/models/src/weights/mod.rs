//! From the tensors of a checkpoint to burn's: each is checked against the config by field name, read
//! once, and accounted for.
//!
//! burn-store would build a module first and fill it afterwards; here the same code serves GGUF, which
//! burn-store does not read, and memory holds the model and one piece of a tensor besides.

mod conversions;
mod live;
mod origin;
mod redundant;
mod stored;
mod transposing;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use checkpoints::{GgufFile, Vocabulary};

pub use conversions::Conversions;
pub(crate) use live::{Listing, Live};
pub use live::{Parameter, Parameters};
pub(crate) use origin::Origin;
pub(crate) use stored::Stored;

use crate::{
    error::LoadError,
    nn::{LayerNorm, Linear},
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
    origin: &'a dyn Origin,
    used: BTreeSet<String>,
    conversions: Conversions,
    /// Values handed out.
    parameters: usize,
    device: Device,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(origin: &'a dyn Origin, device: &Device) -> Self {
        Self {
            origin,
            used: BTreeSet::new(),
            conversions: Conversions::default(),
            parameters: 0,
            device: device.clone(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.origin.has(name)
    }

    /// A tensor must be there with the shape that the config gives it; it counts as used from now on.
    fn claim(&mut self, name: &str, dims: &[Dim]) -> Result<(), LoadError> {
        let found = self.check_shape(name, dims)?;
        self.used.insert(name.to_owned());
        self.parameters += found.iter().product::<usize>();
        if let Some(conversion) = self.origin.conversion(name) {
            self.conversions.count(conversion);
        }
        Ok(())
    }

    /// The shape of a tensor, which must be the one that the config gives it.
    fn check_shape(&self, name: &str, dims: &[Dim]) -> Result<Vec<usize>, LoadError> {
        let expected: Vec<usize> = dims.iter().map(|Dim(_, length)| *length).collect();
        let found = self.origin.shape(name, &expected).ok_or_else(|| LoadError::MissingTensor {
            path: self.origin.path(),
            tensor: name.to_owned(),
        })?;
        if found == expected {
            return Ok(found);
        }
        let fields: Vec<_> = dims.iter().map(|Dim(f, n)| format!("{f} = {n}")).collect();
        Err(LoadError::Shape {
            path: self.origin.file_of(name),
            tensor: name.to_owned(),
            found,
            expected: format!("[{}]", fields.join(", ")),
        })
    }

    pub(crate) fn vector(&mut self, name: &str, dim: Dim) -> Result<Tensor<1>, LoadError> {
        self.claim(name, &[dim])?;
        self.origin.flat(name, &self.device)
    }

    pub(crate) fn matrix(&mut self, name: &str, dims: [Dim; 2]) -> Result<Tensor<2>, LoadError> {
        self.claim(name, &dims)?;
        Ok(self.origin.flat(name, &self.device)?.reshape(dims.map(|Dim(_, n)| n)))
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
        let [linear] = self.linears(name, d_in, d_out, bias)?;
        Ok(linear)
    }

    /// The same, with a row for every output in memory, as checkpoints have it: outputs that nobody asks
    /// for need not be read.
    pub(crate) fn linear_by_output(
        &mut self,
        name: &str,
        d_in: Dim,
        d_out: Dim,
        bias: bool,
    ) -> Result<Linear, LoadError> {
        let weight = format!("{name}.weight");
        let turned = self.matrix(&weight, [d_out, d_in])?.transpose();
        let bias = match bias {
            true => Some(self.vector(&format!("{name}.bias"), d_out)?),
            false => None,
        };
        Ok(Linear::new(weight, turned, bias))
    }

    /// Two maps that are stored as one, `[2·d_out, d_in]`, the first one's rows first.
    pub(crate) fn linear_pair(
        &mut self,
        name: &str,
        d_in: Dim,
        both: Dim,
        bias: bool,
    ) -> Result<[Linear; 2], LoadError> {
        self.linears(name, d_in, both, bias)
    }

    /// `N` maps stored below each other.
    fn linears<const N: usize>(
        &mut self,
        name: &str,
        d_in: Dim,
        all: Dim,
        bias: bool,
    ) -> Result<[Linear; N], LoadError> {
        let weight = format!("{name}.weight");
        self.claim(&weight, &[all, d_in])?;
        let weights = self.origin.turned(&weight, [all.1, d_in.1], N, &self.device)?;
        let bias = match bias {
            true => Some(self.vector(&format!("{name}.bias"), all)?),
            false => None,
        };
        let (entries, d_out) = (0, all.1 / N);
        let name: Arc<str> = weight.into();
        let mut weights = weights.into_iter();
        Ok(std::array::from_fn(|part| {
            let bias = bias.clone().map(|bias| match N {
                1 => bias,
                _ => bias.narrow(entries, part * d_out, d_out),
            });
            let weight = weights.next().expect("as many parts as were asked for");
            Linear::new(name.clone(), weight, bias)
        }))
    }

    /// The weight of a depthwise convolution, stored `[width, 1, kernel]`, as `[kernel, width]`.
    pub(crate) fn depthwise(
        &mut self,
        name: &str,
        width: Dim,
        kernel: Dim,
    ) -> Result<Tensor<2>, LoadError> {
        self.claim(name, &[width, Dim("1", 1), kernel])?;
        let turned = self.origin.turned(name, [width.1, kernel.1], 1, &self.device)?;
        Ok(turned.into_iter().next().expect("one part"))
    }

    /// The same for a weight stored `[d_in, d_out]`, with a bias (`Conv1D` of GPT-2).
    pub(crate) fn linear_input_first(
        &mut self,
        name: &str,
        d_in: Dim,
        d_out: Dim,
    ) -> Result<Linear, LoadError> {
        let stored = format!("{name}.weight");
        let weight = self.matrix(&stored, [d_in, d_out])?;
        let bias = self.vector(&format!("{name}.bias"), d_out)?;
        Ok(Linear::new(stored, weight, Some(bias)))
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

    /// Every tensor of the checkpoint must have been used; the number of parameters and what was done to
    /// them.
    pub(crate) fn finish(self) -> Result<(usize, Conversions), LoadError> {
        let tensors: Vec<String> =
            self.origin.names().into_iter().filter(|name| !self.used.contains(name)).collect();
        if tensors.is_empty() {
            return Ok((self.parameters, self.conversions));
        }
        Err(LoadError::UnusedTensors { path: self.origin.path(), tensors })
    }
}

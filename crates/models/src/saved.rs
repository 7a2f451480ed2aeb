//! A model as a checkpoint has it: tensors under their names and in their layout, and the fields of
//! `config.json` that follow from the model as it is now. What `weights` reads, turned around.

use std::sync::Arc;

use burn::tensor::Tensor;
use serde_json::{Map, Value};

use crate::{
    nn::{Activation, LayerNorm, Linear},
    tensor::into_values,
};

/// What a checkpoint of a model holds.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Fields of `config.json` under the names of the family's class.
    pub fields: Map<String, Value>,
    /// Fields that say something of other layers than these, so that they are to go.
    pub gone: Vec<&'static str>,
    /// Every tensor once, in the order of the forward pass.
    pub tensors: Vec<SavedTensor>,
    /// What is stored otherwise than one would think, as sentences without an end.
    pub notes: Vec<String>,
    /// Of the families that share one decoder, what another format must be told besides.
    pub decoder: Option<SavedDecoder>,
}

/// A decoder with RMS norms, rotary positions and gated blocks.
#[derive(Clone, Debug)]
pub struct SavedDecoder {
    /// Longest sequence, tokens.
    pub positions: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
    /// Added to the mean square of every norm.
    pub rms_norm_eps: f64,
    /// The non-linearity.
    pub activation: Activation,
    /// Factor of the attention scores.
    pub scale: f32,
    /// Tokens that a query of each layer sees at most; `None` for all before it.
    pub windows: Vec<Option<usize>>,
    /// Frequencies of layers without a window, and of those with one where they are others.
    pub ropes: Vec<SavedRope>,
}

/// Frequencies of rotary positions.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedRope {
    /// The base, `theta^(-2i/head_dim)`.
    pub theta: f64,
    /// What they are divided by.
    pub divided: Divided,
}

/// What frequencies are divided by to stretch them.
#[derive(Clone, Debug, PartialEq)]
pub enum Divided {
    /// Nothing.
    Not,
    /// All of them by one number.
    By(f64),
    /// Each by a number of its own: `[head_dim / 2]`.
    Each(Vec<f32>),
}

/// A tensor of a checkpoint. Its values are laid out when they are asked for, so a list of tensors holds
/// no copy of a model.
#[derive(Clone, Debug)]
pub struct SavedTensor {
    /// Its name in the checkpoint.
    pub name: String,
    /// Lengths of its axes, rows first.
    pub shape: Vec<usize>,
    /// Where it is a linear map of a layer, its name in [`Model::linears`](crate::Model::linears).
    pub linear: Option<Arc<str>>,
    layout: Layout,
}

/// How the tensors of a model make one of a checkpoint.
#[derive(Clone, Debug)]
enum Layout {
    /// One behind the other.
    Vectors(Vec<Tensor<1>>),
    /// As it is.
    Rows(Tensor<2>),
    /// Each transposed, one below the other.
    Turned(Vec<Tensor<2>>),
    /// Side by side.
    Beside(Vec<Tensor<2>>),
    /// 1 subtracted.
    LessOne(Tensor<1>),
}

impl SavedTensor {
    /// Its values in row-major order.
    pub fn values(&self) -> Vec<f32> {
        let (entries, columns) = (0, 1);
        match &self.layout {
            Layout::Vectors(parts) => into_values(Tensor::cat(parts.clone(), entries)),
            Layout::Rows(matrix) => into_values(matrix.clone()),
            Layout::Turned(parts) => {
                let turned = |part: &Tensor<2>| into_values(part.clone().transpose());
                parts.iter().flat_map(turned).collect()
            }
            Layout::Beside(parts) => into_values(Tensor::cat(parts.clone(), columns)),
            Layout::LessOne(vector) => into_values(vector.clone() - 1.0),
        }
    }

    /// Number of its values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Saved {
    pub(crate) fn field(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    fn push(&mut self, name: impl Into<String>, shape: Vec<usize>, layout: Layout) {
        self.tensors.push(SavedTensor { name: name.into(), shape, linear: None, layout });
    }

    pub(crate) fn vector(&mut self, name: impl Into<String>, vector: &Tensor<1>) {
        self.vectors(name, vec![vector.clone()]);
    }

    fn vectors(&mut self, name: impl Into<String>, parts: Vec<Tensor<1>>) {
        let length = parts.iter().map(|part| part.dims()[0]).sum();
        self.push(name, vec![length], Layout::Vectors(parts));
    }

    /// A vector that is stored less 1.
    pub(crate) fn vector_less_one(&mut self, name: impl Into<String>, vector: &Tensor<1>) {
        self.push(name, vector.dims().to_vec(), Layout::LessOne(vector.clone()));
    }

    pub(crate) fn matrix(&mut self, name: impl Into<String>, matrix: &Tensor<2>) {
        self.push(name, matrix.dims().to_vec(), Layout::Rows(matrix.clone()));
    }

    /// A matrix that is stored transposed: `[d_in, d_out]` as `[d_out, d_in]`.
    pub(crate) fn turned(&mut self, name: impl Into<String>, parts: &[&Tensor<2>]) {
        let rows = parts.iter().map(|part| part.dims()[1]).sum();
        let shape = vec![rows, parts.first().map_or(0, |part| part.dims()[0])];
        let parts = parts.iter().map(|part| (*part).clone()).collect();
        self.push(name, shape, Layout::Turned(parts));
    }

    /// The weight of a depthwise convolution, `[kernel, width]`, stored `[width, 1, kernel]`.
    pub(crate) fn depthwise(&mut self, name: impl Into<String>, taps: &Tensor<2>) {
        let [kernel, width] = taps.dims();
        self.push(name, vec![width, 1, kernel], Layout::Turned(vec![taps.clone()]));
    }

    /// `{name}.weight`, and `{name}.bias` where there is one.
    pub(crate) fn linear(&mut self, name: &str, linear: &Linear) {
        self.linears(name, &[linear]);
    }

    /// Maps that are stored as one, the rows of each below those before.
    pub(crate) fn linears(&mut self, name: &str, parts: &[&Linear]) {
        let weights: Vec<&Tensor<2>> = parts.iter().map(|part| &part.weight).collect();
        self.turned(format!("{name}.weight"), &weights);
        self.is_linear(parts);
        self.biases(name, parts);
    }

    /// The same stored input first (`Conv1D` of GPT-2).
    pub(crate) fn linears_input_first(&mut self, name: &str, parts: &[&Linear]) {
        let columns = parts.iter().map(|part| part.widths().1).sum();
        let shape = vec![parts.first().map_or(0, |part| part.widths().0), columns];
        let weights = parts.iter().map(|part| part.weight.clone()).collect();
        self.push(format!("{name}.weight"), shape, Layout::Beside(weights));
        self.is_linear(parts);
        self.biases(name, parts);
    }

    /// Says of the last tensor which map it is.
    fn is_linear(&mut self, parts: &[&Linear]) {
        if let (Some(tensor), Some(first)) = (self.tensors.last_mut(), parts.first()) {
            tensor.linear = Some(first.name.clone());
        }
    }

    fn biases(&mut self, name: &str, parts: &[&Linear]) {
        let biases: Option<Vec<_>> = parts.iter().map(|part| part.bias.clone()).collect();
        if let Some(biases) = biases {
            self.vectors(format!("{name}.bias"), biases);
        }
    }

    pub(crate) fn layer_norm(&mut self, name: &str, norm: &LayerNorm) {
        self.vector(format!("{name}.weight"), &norm.weight);
        self.vector(format!("{name}.bias"), &norm.bias);
    }
}

/// The one width that all of some layers have.
///
/// # Errors
/// Widths that differ; none at all is `None`.
pub(crate) fn one_width(
    field: &'static str,
    widths: impl Iterator<Item = usize>,
) -> Result<Option<usize>, SaveError> {
    let mut ends: Option<[usize; 2]> = None;
    for width in widths {
        let [least, most] = ends.unwrap_or([width; 2]);
        ends = Some([least.min(width), most.max(width)]);
    }
    match ends {
        Some([least, most]) if least != most => Err(SaveError::Ragged { field, least, most }),
        ends => Ok(ends.map(|[least, _]| least)),
    }
}

/// A model that no checkpoint of its family can say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// Layers of different widths.
    #[error(
        "the layers have {least} to {most} of what `{field}` counts, and the format has one number for all \
         of them"
    )]
    Ragged {
        /// The field of `config.json`.
        field: &'static str,
        /// The narrowest.
        least: usize,
        /// The widest.
        most: usize,
    },
    /// Fewer heads than the class can have at this width.
    #[error("the class of a {family} model has no field for fewer attention heads")]
    Heads {
        /// The family.
        family: &'static str,
    },
    /// A layer that is an affine map.
    #[error(
        "layer {layer} is a linear map (cut=layers,method=linearise), which no class of transformers and no \
         GGUF family has: leave that step out"
    )]
    Affine {
        /// Its number.
        layer: usize,
    },
    /// A shift of the last norm that a rotation made a bias of the logits.
    #[error(
        "the last norm of this {family} model has gains next to zero, so its shift became a bias of the logits \
         when the stream was rotated (cut=rotate), which its class does not have: leave that step out"
    )]
    Rotated {
        /// The family.
        family: &'static str,
    },
    /// Another limit of a Zamba2 model's time steps than its class can have.
    #[error(
        "time steps are limited to at most {most}, and the class in transformers has no field for that"
    )]
    TimeSteps {
        /// The largest.
        most: String,
    },
}

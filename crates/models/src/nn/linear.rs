//! An affine map, with a low-rank adapter where a block is shared by several layers.

use std::{fmt, sync::Arc};

use burn::tensor::{Int, Tensor};
use sparse::Map;

use crate::product::{MatrixMemory, product, products, wide};

/// `y = x·W + b (+ (x·A)·B)`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// Name of the weight in a checkpoint. Parts of a matrix that is stored as one have its name, all of
    /// them.
    pub name: Arc<str>,
    /// `[d_in, d_out]`: the transpose of what PyTorch stores.
    pub weight: Tensor<2>,
    /// `[d_out]`.
    pub bias: Option<Tensor<1>>,
    /// What one use of a shared weight adds to it.
    pub adapter: Option<LowRank>,
    /// Who looks at its inputs.
    pub tap: Option<Tap>,
}

/// Sees the input of a map, `[tokens, d_in]`, in every forward pass. Calibration looks through it, so a
/// forward pass needs to know nothing of it.
#[derive(Clone)]
pub struct Tap(Arc<dyn Fn(&Tensor<2>) + Send + Sync>);

impl Tap {
    /// Calls `see` with every input.
    pub fn new(see: impl Fn(&Tensor<2>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    /// Shows an input.
    pub fn see(&self, x: &Tensor<2>) {
        (self.0)(x);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// `(x·A)·B`, a change of rank `r` to a weight (LoRA, Hu et al. 2021, arXiv:2106.09685).
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `A`: `[d_in, r]`.
    pub down: Tensor<2>,
    /// `B`: `[r, d_out]`.
    pub up: Tensor<2>,
}

impl Linear {
    /// A plain one.
    pub fn new(name: impl Into<Arc<str>>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { name: name.into(), weight, bias, adapter: None, tap: None }
    }

    /// # Shapes
    /// - `x`: `[tokens, d_in]`
    /// - returns: `[tokens, d_out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [y] = Self::forward_all([self], x);
        y
    }

    /// The same for maps that read the same input, in one go.
    pub(crate) fn forward_all<const N: usize>(maps: [&Self; N], x: Tensor<2>) -> [Tensor<2>; N] {
        for tap in maps.iter().filter_map(|map| map.tap.as_ref()) {
            tap.see(&x);
        }
        let changes = maps.map(|map| {
            let LowRank { down, up } = map.adapter.as_ref()?;
            Some(product(product(x.clone(), down), up))
        });
        let mut ends = maps.into_iter().zip(changes);
        products(x, maps.map(|map| &map.weight)).map(|mut y| {
            let Some((map, change)) = ends.next() else { return y };
            if let Some(change) = change {
                y = y + change;
            }
            match &map.bias {
                Some(bias) => y + bias.clone().unsqueeze(),
                None => y,
            }
        })
    }

    /// The whole map without its bias: `[d_in, d_out]`.
    pub(crate) fn matrix(&self) -> Tensor<2> {
        match &self.adapter {
            None => wide(&self.weight),
            Some(own) => wide(&self.weight) + own.down.clone().matmul(own.up.clone()),
        }
    }

    /// `(d_in, d_out)`.
    pub fn widths(&self) -> (usize, usize) {
        let [d_in, d_out] = self.weight.dims();
        (d_in, d_out)
    }

    /// A fused map as its parts, which have so many outputs each.
    pub(crate) fn split<const N: usize>(&self, widths: [usize; N]) -> [Self; N] {
        let (entries, columns) = (0, 1);
        let mut start = 0;
        widths.map(|width| {
            let of = start..start + width;
            start = of.end;
            Self {
                name: self.name.clone(),
                weight: self.weight.clone().narrow(columns, of.start, width),
                bias: self.bias.clone().map(|bias| bias.narrow(entries, of.start, width)),
                adapter: self.adapter.as_ref().map(|adapter| LowRank {
                    down: adapter.down.clone(),
                    up: adapter.up.clone().narrow(columns, of.start, width),
                }),
                tap: self.tap.clone(),
            }
        })
    }

    /// Only some of its outputs.
    ///
    /// # Shapes
    /// - `kept`: `[k]`, indices below `d_out`
    pub(crate) fn with_outputs(&self, kept: &Tensor<1, Int>) -> Self {
        let (entries, columns) = (0, 1);
        Self {
            name: self.name.clone(),
            weight: selected_columns(&self.weight, kept),
            bias: self.bias.clone().map(|bias| bias.select(entries, kept.clone())),
            adapter: self.adapter.as_ref().map(|adapter| LowRank {
                down: adapter.down.clone(),
                up: adapter.up.clone().select(columns, kept.clone()),
            }),
            tap: self.tap.clone(),
        }
    }

    /// Only some of its inputs.
    ///
    /// # Shapes
    /// - `kept`: `[k]`, indices below `d_in`
    pub(crate) fn with_inputs(&self, kept: &Tensor<1, Int>) -> Self {
        let rows = 0;
        Self {
            name: self.name.clone(),
            weight: self.weight.clone().select(rows, kept.clone()),
            bias: self.bias.clone(),
            adapter: self.adapter.as_ref().map(|adapter| LowRank {
                down: adapter.down.clone().select(rows, kept.clone()),
                up: adapter.up.clone(),
            }),
            tap: self.tap.clone(),
        }
    }

    /// So many more outputs, which are always zero.
    pub(crate) fn with_more_outputs(&self, more: usize) -> Self {
        Self {
            weight: with_zeros(&self.weight, [0, more]),
            bias: self.bias.as_ref().map(|bias| {
                let zeros = Tensor::zeros([more], &bias.device());
                Tensor::cat(vec![bias.clone(), zeros], 0)
            }),
            adapter: self.adapter.as_ref().map(|adapter| LowRank {
                down: adapter.down.clone(),
                up: with_zeros(&adapter.up, [0, more]),
            }),
            ..self.clone()
        }
    }

    /// So many more inputs, which it does not look at.
    pub(crate) fn with_more_inputs(&self, more: usize) -> Self {
        Self {
            weight: with_zeros(&self.weight, [more, 0]),
            adapter: self.adapter.as_ref().map(|adapter| LowRank {
                down: with_zeros(&adapter.down, [more, 0]),
                up: adapter.up.clone(),
            }),
            ..self.clone()
        }
    }
}

/// A matrix with rows of zeros below it, or columns of zeros beside it.
fn with_zeros(matrix: &Tensor<2>, [rows, columns]: [usize; 2]) -> Tensor<2> {
    let ([height, width], device) = (matrix.dims(), matrix.device());
    let (by_row, by_column) = (0, 1);
    let beside = match columns {
        0 => matrix.clone(),
        _ => {
            Tensor::cat(vec![matrix.clone(), Tensor::zeros([height, columns], &device)], by_column)
        }
    };
    match rows {
        0 => beside,
        _ => {
            let below = Tensor::zeros([rows, width + columns], &device);
            Tensor::cat(vec![beside, below], by_row)
        }
    }
}

/// Some columns of a matrix, which lies in memory as the whole one did.
fn selected_columns(weight: &Tensor<2>, kept: &Tensor<1, Int>) -> Tensor<2> {
    let (rows, columns) = (0, 1);
    match MatrixMemory::of(weight).as_ref().map(MatrixMemory::map) {
        Some(Map::ByOutput(_)) => weight.clone().transpose().select(rows, kept.clone()).transpose(),
        _ => weight.clone().select(columns, kept.clone()),
    }
}

//! A layer that is an affine map of the residual stream.

use burn::tensor::Tensor;

use super::{Linear, Rotation};

/// `x + x·W + b`, or `x + (x·A)·B + b` of rank `r`: what may stand in the place of a layer.
#[derive(Clone, Debug)]
pub struct AffineLayer {
    /// `W` with `b`, or `A` and then `B` with `b`.
    maps: Vec<Linear>,
}

impl AffineLayer {
    /// Of one matrix, with its name.
    ///
    /// # Shapes
    /// - `weight`, `W`: `[d_model, d_model]`
    /// - `bias`, `b`: `[d_model]`
    pub fn full(name: &str, weight: Tensor<2>, bias: Tensor<1>) -> Self {
        Self { maps: vec![Linear::new(name, weight, Some(bias))] }
    }

    /// Of two factors, each with its name.
    ///
    /// # Shapes
    /// - `down`, `A`: `[d_model, r]`
    /// - `up`, `B`: `[r, d_model]`
    /// - `bias`, `b`: `[d_model]`
    pub fn factored(names: [&str; 2], factors: [Tensor<2>; 2], bias: Tensor<1>) -> Self {
        let ([first, second], [down, up]) = (names, factors);
        Self { maps: vec![Linear::new(first, down, None), Linear::new(second, up, Some(bias))] }
    }

    /// Its matrices, in the order in which the stream passes them.
    pub fn maps(&self) -> &[Linear] {
        &self.maps
    }

    /// In another basis of the stream: `W' = Qᵀ·W·Q`, `b' = b·Q`.
    pub(crate) fn turned(&self, rotation: &Rotation) -> Self {
        let mut maps = self.maps.clone();
        if let Some(first) = maps.first_mut() {
            *first = rotation.reader(first);
        }
        if let Some(last) = maps.last_mut() {
            *last = rotation.writer(last);
        }
        Self { maps }
    }

    /// Its maps, those that read the same input together.
    pub(crate) fn linears(&self) -> Vec<Vec<&Linear>> {
        self.maps.iter().map(|map| vec![map]).collect()
    }

    /// The same to be changed.
    pub(crate) fn linears_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        self.maps.iter_mut().map(|map| vec![map]).collect()
    }

    /// # Shapes
    /// - `x` and result: `[tokens, d_model]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let change = self.maps.iter().fold(x.clone(), |x, map| map.forward(x));
        x + change
    }

    /// The widths that it reads and writes, `None` where its matrices do not fit each other.
    pub(crate) fn widths(&self) -> Option<(usize, usize)> {
        let widths: Vec<_> = self.maps.iter().map(Linear::widths).collect();
        let fit = widths.windows(2).all(|pair| pair[0].1 == pair[1].0);
        let ends = Some((widths.first()?.0, widths.last()?.1));
        ends.filter(|_| fit)
    }

    /// Entries of its matrices.
    pub(crate) fn multiplied(&self) -> usize {
        self.maps.iter().map(|map| map.widths().0 * map.widths().1).sum()
    }

    /// Entries of its matrices and biases.
    pub(crate) fn parameters(&self) -> usize {
        let biases = self.maps.iter().filter_map(|map| map.bias.as_ref());
        self.multiplied() + biases.map(|bias| bias.dims()[0]).sum::<usize>()
    }
}

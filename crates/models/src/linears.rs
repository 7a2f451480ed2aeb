//! The door to the linear maps of a model: which matrices a layer uses, what they read, and how all uses of
//! one get another.

use std::{collections::BTreeMap, sync::Arc};

use crate::Linear;

/// A matrix of a checkpoint as one layer uses it.
#[derive(Clone, Debug)]
pub struct MatrixUse<'a> {
    /// The layer.
    pub layer: usize,
    /// What it reads, counted within the layer: matrices of one number read the same tensor.
    pub input: usize,
    /// The matrix; where a checkpoint stores several maps as one (queries, keys and values of GPT-2, gate
    /// and up of Zamba2) all of them, in the order of its outputs.
    pub parts: Vec<&'a Linear>,
}

impl MatrixUse<'_> {
    /// Its name in the checkpoint.
    pub fn name(&self) -> &Arc<str> {
        &self.parts[0].name
    }

    /// `(d_in, d_out)`, all parts together.
    pub fn widths(&self) -> (usize, usize) {
        let d_out = self.parts.iter().map(|part| part.widths().1).sum();
        (self.parts[0].widths().0, d_out)
    }
}

/// Answers a matrix with other parts, or leaves it.
pub type LinearMapper<'a> = dyn FnMut(&MatrixUse<'_>) -> Option<Vec<Linear>> + 'a;

/// The uses of a layer, from its maps by what they read. Neighbours of one name are parts of one matrix.
pub(crate) fn uses(layer: usize, by_input: Vec<Vec<&Linear>>) -> Vec<MatrixUse<'_>> {
    let mut uses = Vec::new();
    for (input, linears) in by_input.into_iter().enumerate() {
        let matrices = linears.chunk_by(|one, next| one.name == next.name);
        uses.extend(matrices.map(|parts| MatrixUse { layer, input, parts: parts.to_vec() }));
    }
    uses
}

/// Replaces the maps of a model layer by layer; what a shared matrix was answered with is remembered for
/// its other uses.
pub(crate) struct Mapping<'a, 'm> {
    map: &'a mut LinearMapper<'m>,
    answers: BTreeMap<Arc<str>, Option<Vec<Linear>>>,
}

impl<'a, 'm> Mapping<'a, 'm> {
    pub(crate) fn new(map: &'a mut LinearMapper<'m>) -> Self {
        Self { map, answers: BTreeMap::new() }
    }

    /// The maps of the next layer, by what they read.
    pub(crate) fn layer(&mut self, layer: usize, by_input: Vec<Vec<&mut Linear>>) {
        for (input, mut linears) in by_input.into_iter().enumerate() {
            for parts in linears.chunk_by_mut(|one, next| one.name == next.name) {
                self.matrix(layer, input, parts);
            }
        }
    }

    fn matrix(&mut self, layer: usize, input: usize, parts: &mut [&mut Linear]) {
        let name = parts[0].name.clone();
        let map = &mut *self.map;
        let answer = self.answers.entry(name).or_insert_with_key(|name| {
            let parts: Vec<&Linear> = parts.iter().map(|part| &**part).collect();
            let answer = map(&MatrixUse { layer, input, parts: parts.clone() })?;
            assert_eq!(answer.len(), parts.len(), "`{name}` is answered part by part");
            Some(answer)
        });
        for (part, new) in parts.iter_mut().zip(answer.iter().flatten()) {
            part.weight = new.weight.clone();
            part.bias = new.bias.clone();
            part.tap = new.tap.clone();
        }
    }
}

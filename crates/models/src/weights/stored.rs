//! Tensors of a checkpoint on disk.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use checkpoints::{Conversion, Source};

use super::{Origin, transposing::Transposing};
use crate::{
    error::LoadError,
    tensor::{matrix, vector_of},
};

/// A file: each tensor is read once, piece by piece; every value must be finite.
pub(crate) struct Stored<'a>(pub(crate) &'a dyn Source);

impl Stored<'_> {
    /// Reads a tensor, whole rows at a time.
    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError> {
        let (mut at, mut bad) = (0, None);
        self.0.read(name, &mut |values| {
            if bad.is_none() {
                let here = values.iter().position(|value| !value.is_finite());
                bad = here.map(|here| (at + here, values[here]));
            }
            at += values.len();
            piece(values);
        })?;
        match bad {
            None => Ok(()),
            Some((index, value)) => Err(LoadError::NonFinite {
                path: self.0.file_of(name),
                tensor: name.to_owned(),
                index,
                value,
            }),
        }
    }
}

impl Origin for Stored<'_> {
    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn file_of(&self, name: &str) -> PathBuf {
        self.0.file_of(name)
    }

    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn has(&self, name: &str) -> bool {
        self.0.shape(name).is_some()
    }

    fn shape(&self, name: &str, _expected: &[usize]) -> Option<Vec<usize>> {
        self.0.shape(name)
    }

    fn conversion(&self, name: &str) -> Option<Conversion> {
        self.0.conversion(name)
    }

    fn difference(&self, name: &str, other: &str) -> Result<Option<(usize, f32, f32)>, LoadError> {
        let expected = self.0.values(other)?;
        let (mut at, mut first) = (0, None);
        self.read(name, &mut |values| {
            let rest = expected.get(at..).unwrap_or_default();
            let apart = values.iter().zip(rest).position(|(value, other)| value != other);
            if let (None, Some(here)) = (first, apart) {
                first = Some((at + here, values[here], rest[here]));
            }
            at += values.len();
        })?;
        Ok(first)
    }

    fn flat(&self, name: &str, device: &Device) -> Result<Tensor<1>, LoadError> {
        let length = self.0.shape(name).map_or(0, |shape| shape.iter().product());
        let mut values = Vec::with_capacity(length);
        self.read(name, &mut |piece| values.extend_from_slice(piece))?;
        Ok(vector_of(values, device))
    }

    fn turned(
        &self,
        name: &str,
        [rows, columns]: [usize; 2],
        parts: usize,
        device: &Device,
    ) -> Result<Vec<Tensor<2>>, LoadError> {
        let each = rows / parts;
        let mut turned: Vec<_> = (0..parts).map(|_| Transposing::new(each, columns)).collect();
        let mut row = 0;
        self.read(name, &mut |mut piece| {
            while !piece.is_empty() {
                let part = row / each;
                let here = ((part + 1) * each - row).min(piece.len() / columns);
                let (of_part, rest) = piece.split_at(here * columns);
                turned[part].add_rows(of_part);
                (row, piece) = (row + here, rest);
            }
        })?;
        let turned = turned.into_iter();
        Ok(turned.map(|part| matrix(part.finish(), [columns, each], device)).collect())
    }
}

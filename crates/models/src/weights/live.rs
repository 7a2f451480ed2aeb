//! Tensors in memory: the parameters of a model that is being trained, and the list of those it needs.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor};

use super::Origin;
use crate::{error::LoadError, tensor::into_values};

/// A parameter as a checkpoint stores it.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Lengths of its axes, rows first.
    pub shape: Vec<usize>,
    /// Its values in row-major order: one axis for all shapes, so that an optimiser sees one kind of
    /// tensor.
    pub values: Tensor<1>,
}

/// All parameters of a model, under their names in a checkpoint.
pub type Parameters = BTreeMap<String, Parameter>;

/// Hands out views of parameters, through which gradients flow back to them.
pub(crate) struct Live<'a> {
    pub(crate) config: &'a Path,
    pub(crate) parameters: &'a Parameters,
}

impl Live<'_> {
    fn get(&self, name: &str) -> Result<&Parameter, LoadError> {
        self.parameters.get(name).ok_or_else(|| LoadError::MissingTensor {
            path: self.config.to_owned(),
            tensor: name.to_owned(),
        })
    }
}

impl Origin for Live<'_> {
    fn path(&self) -> PathBuf {
        self.config.to_owned()
    }

    fn names(&self) -> Vec<String> {
        self.parameters.keys().cloned().collect()
    }

    fn has(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    fn shape(&self, name: &str, _expected: &[usize]) -> Option<Vec<usize>> {
        self.parameters.get(name).map(|parameter| parameter.shape.clone())
    }

    fn difference(&self, name: &str, other: &str) -> Result<Option<(usize, f32, f32)>, LoadError> {
        let values = |name: &str| -> Result<Vec<f32>, LoadError> {
            Ok(into_values(self.get(name)?.values.clone()))
        };
        let (found, expected) = (values(name)?, values(other)?);
        let at = found.iter().zip(&expected).position(|(a, b)| a != b);
        Ok(at.map(|at| (at, found[at], expected[at])))
    }

    fn flat(&self, name: &str, _device: &Device) -> Result<Tensor<1>, LoadError> {
        Ok(self.get(name)?.values.clone())
    }

    fn turned(
        &self,
        name: &str,
        [rows, columns]: [usize; 2],
        parts: usize,
        _device: &Device,
    ) -> Result<Vec<Tensor<2>>, LoadError> {
        let by_row = 0;
        let matrix = self.get(name)?.values.clone().reshape([rows, columns]);
        let each = rows / parts;
        let part = |i| match parts {
            1 => matrix.clone(),
            _ => matrix.clone().narrow(by_row, i * each, each),
        };
        Ok((0..parts).map(|i| part(i).transpose()).collect())
    }
}

/// Has every tensor that is asked for, and remembers its name and shape.
pub(crate) struct Listing<'a> {
    pub(crate) config: &'a Path,
    pub(crate) shapes: RefCell<BTreeMap<String, Vec<usize>>>,
}

impl Origin for Listing<'_> {
    fn path(&self) -> PathBuf {
        self.config.to_owned()
    }

    fn names(&self) -> Vec<String> {
        self.shapes.borrow().keys().cloned().collect()
    }

    fn has(&self, _name: &str) -> bool {
        // Where a checkpoint may have older names or a prefix less, it has the usual ones.
        false
    }

    fn shape(&self, name: &str, expected: &[usize]) -> Option<Vec<usize>> {
        self.shapes.borrow_mut().insert(name.to_owned(), expected.to_vec());
        Some(expected.to_vec())
    }

    fn difference(&self, _: &str, _: &str) -> Result<Option<(usize, f32, f32)>, LoadError> {
        Ok(None)
    }

    fn flat(&self, name: &str, device: &Device) -> Result<Tensor<1>, LoadError> {
        let length = self.shapes.borrow().get(name).map_or(0, |shape| shape.iter().product());
        Ok(Tensor::zeros([length], device))
    }

    fn turned(
        &self,
        _name: &str,
        [rows, columns]: [usize; 2],
        parts: usize,
        device: &Device,
    ) -> Result<Vec<Tensor<2>>, LoadError> {
        Ok((0..parts).map(|_| Tensor::zeros([columns, rows / parts], device)).collect())
    }
}

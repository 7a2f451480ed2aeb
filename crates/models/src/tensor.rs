//! Between tensors and plain slices.

use std::ops::{Deref, DerefMut};

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

/// The values of a tensor, taken out to be read or changed as a slice in row-major order and put back.
///
/// On the CPU backend nothing is copied either way when the tensor is contiguous and held by no one else.
#[derive(Debug)]
pub struct Values<const D: usize> {
    data: TensorData,
    device: Device,
}

impl<const D: usize> Values<D> {
    /// Takes the values out, as `f32` whatever they are stored in.
    pub fn of(tensor: Tensor<D>) -> Self {
        let device = tensor.device();
        let data = match tensor.dtype() {
            DType::F32 => tensor.into_data(),
            _ => tensor.cast(FloatDType::F32).into_data(),
        };
        Self { data, device }
    }

    /// Puts them back.
    pub fn into_tensor(self) -> Tensor<D> {
        Tensor::from_data(self.data, &self.device)
    }
}

impl<const D: usize> Deref for Values<D> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.data.as_slice().expect("model tensors are f32")
    }
}

impl<const D: usize> DerefMut for Values<D> {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.data.as_mut_slice().expect("model tensors are f32")
    }
}

/// A copy of the values of a tensor in row-major order.
pub fn into_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    Values::of(tensor).to_vec()
}

/// A matrix from row-major values.
pub fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A vector from its values.
pub fn vector_of(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// Whether tensors of this device are plain memory of this process without gradients, so that the
/// fused loops of `vector` may work on them.
pub(crate) fn is_plain_cpu(device: &Device) -> bool {
    !device.is_autodiff() && *device == Device::flex()
}

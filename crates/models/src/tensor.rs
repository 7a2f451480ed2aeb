//! Between tensors and plain slices.

use burn::tensor::{Device, Tensor, TensorData};

/// The values of a tensor in row-major order. On the CPU backend nothing is copied when the tensor is
/// contiguous and held by no one else.
pub fn into_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as::<f32>().expect("model tensors are f32")
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

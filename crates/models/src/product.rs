//! Products with matrices. One row with a matrix in the memory of the CPU backend is as fast as that memory
//! is read; everything else is a product of burn's.

use burn::{
    backend::{Flex, flex::FlexTensor},
    tensor::{DType, FloatDType, Tensor, bf16, f16},
};
use sparse::{Map, Rows, Stored, Zeros};

use crate::tensor::{Values, is_plain_cpu, matrix};

/// A matrix on the CPU backend, held so that its memory can be read where it lies.
#[derive(Debug)]
pub struct MatrixMemory {
    tensor: FlexTensor,
}

impl MatrixMemory {
    /// The memory of a matrix; none on another device, or where neither its rows nor its columns lie in one
    /// piece.
    ///
    /// # Shapes
    /// - `matrix`: `[d_in, d_out]`
    pub fn of(matrix: &Tensor<2>) -> Option<Self> {
        let held = Self { tensor: matrix.clone().try_into_primitive::<Flex>().ok()? };
        held.found().is_some().then_some(held)
    }

    /// Whether two matrices on the CPU backend are one: the same memory, seen in the same way.
    pub(crate) fn is_one(a: &Tensor<2>, b: &Tensor<2>) -> bool {
        let (Some(a), Some(b)) = (Self::of(a), Self::of(b)) else { return false };
        let [a, b] = [a.tensor, b.tensor];
        std::ptr::eq(a.bytes(), b.bytes()) && a.layout() == b.layout()
    }

    /// How it lies there.
    pub fn map(&self) -> Map<'_> {
        self.found().expect("nothing else is held")
    }

    fn found(&self) -> Option<Map<'_>> {
        let layout = self.tensor.layout();
        let from = layout.start_offset();
        let stored = match self.tensor.dtype() {
            DType::F32 => Stored::F32(&self.tensor.storage::<f32>()[from..]),
            DType::F16 => Stored::F16(&self.tensor.storage::<f16>()[from..]),
            DType::BF16 => Stored::Bf16(&self.tensor.storage::<bf16>()[from..]),
            _ => return None,
        };
        let [d_in, d_out]: [usize; 2] = layout.shape().dims();
        let apart = |stride: isize| usize::try_from(stride).ok();
        match *layout.strides() {
            [far, 1] if apart(far)? >= d_out => {
                Some(Map::ByInput(Rows::new(stored, d_in, d_out, apart(far)?)))
            }
            [1, far] if apart(far)? >= d_in => {
                Some(Map::ByOutput(Rows::new(stored, d_out, d_in, apart(far)?)))
            }
            _ => None,
        }
    }
}

/// `x·W`, in `f32` whatever `W` is stored in.
///
/// # Shapes
/// - `x`: `[tokens, d_in]`
/// - `w`: `[d_in, d_out]`
pub(crate) fn product(x: Tensor<2>, w: &Tensor<2>) -> Tensor<2> {
    let [y] = products(x, [w]);
    y
}

/// The same for matrices that read the same input.
pub(crate) fn products<const N: usize>(x: Tensor<2>, ws: [&Tensor<2>; N]) -> [Tensor<2>; N] {
    of_one_row(&x, ws).unwrap_or_else(|| ws.map(|w| x.clone().matmul(wide(w))))
}

fn of_one_row<const N: usize>(x: &Tensor<2>, ws: [&Tensor<2>; N]) -> Option<[Tensor<2>; N]> {
    let [tokens, _] = x.dims();
    let device = x.device();
    if tokens != 1 || !is_plain_cpu(&device) {
        return None;
    }
    let held: Vec<_> = ws.into_iter().map(MatrixMemory::of).collect::<Option<_>>()?;
    let maps: Vec<_> = held.iter().map(MatrixMemory::map).collect();
    let outputs = sparse::products(&Values::of(x.clone()), &maps, Zeros::Read);
    let mut rows = outputs.into_iter().map(|y| {
        let width = y.len();
        matrix(y, [1, width], &device)
    });
    Some(ws.map(|_| rows.next().expect("an output for every matrix")))
}

/// A matrix in `f32`.
pub(crate) fn wide(w: &Tensor<2>) -> Tensor<2> {
    if w.dtype() == DType::F32 {
        return w.clone();
    }
    let ([d_in, d_out], device) = (w.dims(), w.device());
    match MatrixMemory::of(w).as_ref().map(MatrixMemory::map) {
        Some(Map::ByInput(rows)) => matrix(rows.to_f32(), [d_in, d_out], &device),
        Some(Map::ByOutput(rows)) => matrix(rows.to_f32(), [d_out, d_in], &device).transpose(),
        None => w.clone().cast(FloatDType::F32),
    }
}

/// The same matrix with a row for every output in memory: outputs that nobody asks for need not be read.
pub(crate) fn by_output(w: &Tensor<2>) -> Tensor<2> {
    match MatrixMemory::of(w) {
        Some(held) if matches!(held.map(), Map::ByInput(_)) => {
            // A copy in row-major order of the transpose, seen as what it was.
            let turned = w.clone().transpose().into_data();
            Tensor::from_data(turned, (&w.device(), w.dtype())).transpose()
        }
        _ => w.clone(),
    }
}

/// The same matrix with a row for every input in memory: inputs that are zero need not be read.
pub(crate) fn by_input(w: &Tensor<2>) -> Tensor<2> {
    match MatrixMemory::of(w) {
        Some(held) if matches!(held.map(), Map::ByOutput(_)) => {
            Tensor::from_data(w.clone().into_data(), (&w.device(), w.dtype()))
        }
        _ => w.clone(),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;

    fn values(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 29 + salt * 7) % 23) as f32 / 11.0 - 1.0).collect()
    }

    /// One row through memory equals the same row among others through burn, whatever the layout, the
    /// number type and the part of a larger matrix. Sums of 40 products of about 1: 1e-5.
    #[test]
    fn one_row_equals_many() {
        let device = Device::flex();
        let (d_in, d_out, columns) = (40, 70, 1);
        let w = matrix(values(d_in * d_out, 1), [d_in, d_out], &device);
        let x = matrix(values(2 * d_in, 2), [2, d_in], &device);
        let first = |x: &Tensor<2>| x.clone().narrow(0, 0, 1);
        for stored in [FloatDType::F32, FloatDType::F16, FloatDType::BF16] {
            let w = w.clone().cast(stored);
            for w in [w.clone(), by_output(&w), w.narrow(columns, 9, 33)] {
                wide(&w).into_data().assert_eq(&w.clone().cast(FloatDType::F32).into_data(), true);
                let [one, again] = products(first(&x), [&w, &w]);
                let many = first(&product(x.clone(), &w)).into_data();
                one.clone().into_data().assert_approx_eq::<f32>(&many, Tolerance::absolute(1e-5));
                again.into_data().assert_eq(&one.into_data(), true);
            }
        }
    }

    #[test]
    fn layouts_are_seen_as_they_are() {
        let device = Device::flex();
        let w = matrix(values(6, 3), [2, 3], &device);
        let seen = |w: &Tensor<2>| match MatrixMemory::of(w).expect("on the CPU").map() {
            Map::ByInput(rows) => ("input", rows.to_f32()),
            Map::ByOutput(rows) => ("output", rows.to_f32()),
        };
        assert_eq!(seen(&w), ("input", values(6, 3)));
        let turned = by_output(&w);
        let v = values(6, 3);
        assert_eq!(seen(&turned), ("output", vec![v[0], v[3], v[1], v[4], v[2], v[5]]));
        assert_eq!(seen(&by_input(&turned)), ("input", values(6, 3)));
        turned.into_data().assert_eq(&w.clone().into_data(), true);
        assert_eq!(seen(&w.clone().narrow(1, 1, 2)), ("input", vec![v[1], v[2], v[4], v[5]]));
        assert!(MatrixMemory::of(&w.autodiff()).is_none());
    }
}

//! Tensors of a safetensors file, of the types that golden files have and models have not.

use std::path::Path;

use serde_json::Value;

/// A file: eight bytes of length, a JSON header, and the data that it points into.
pub(crate) struct Stored {
    header: Value,
    data: Vec<u8>,
}

impl Stored {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (length, rest) = bytes.split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let (header, data) = rest.split_at(length);
        Self { header: serde_json::from_slice(header).unwrap(), data: data.to_vec() }
    }

    /// The values of a tensor of any type.
    pub(crate) fn floats(&self, name: &str) -> Vec<f64> {
        let entry = &self.header[name];
        let [start, end] = [0, 1].map(|i| match entry["data_offsets"][i].as_u64() {
            Some(offset) => offset as usize,
            None => panic!("no tensor `{name}`"),
        });
        let bytes = &self.data[start..end];
        match entry["dtype"].as_str().unwrap() {
            "F64" => bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            "I64" => {
                bytes.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect()
            }
            "F32" => {
                let floats = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
                floats.map(f64::from).collect()
            }
            other => panic!("`{name}` is {other}"),
        }
    }

    /// Token ids, one sequence a row; a single row where the tensor has one axis.
    pub(crate) fn windows(&self, name: &str) -> Vec<Vec<u32>> {
        let shape = self.header[name]["shape"].as_array().unwrap();
        let width = shape.last().unwrap().as_u64().unwrap() as usize;
        let ids: Vec<u32> = self.floats(name).into_iter().map(|id| id as u32).collect();
        ids.chunks(width).map(<[u32]>::to_vec).collect()
    }
}

//! Reads the tensors of a safetensors file as plain numbers, those of ids among them.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

/// A tensor in row-major order.
pub(crate) struct Numbers {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Numbers {
    /// Rows of ids.
    #[allow(dead_code, reason = "not all tests that read numbers read ids")]
    pub(crate) fn ids(&self) -> Vec<Vec<u32>> {
        let width = *self.shape.last().unwrap();
        self.values.chunks(width).map(|row| row.iter().map(|id| *id as u32).collect()).collect()
    }

    pub(crate) fn singles(&self) -> Vec<f32> {
        self.values.iter().map(|value| *value as f32).collect()
    }
}

/// All tensors of a file by name.
pub(crate) fn read(file: &Path) -> BTreeMap<String, Numbers> {
    let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let data = &bytes[8 + length..];
    let tensors = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
    tensors.map(|(name, tensor)| (name.clone(), numbers(tensor, data))).collect()
}

fn numbers(tensor: &Value, data: &[u8]) -> Numbers {
    let counts = |field: &str| -> Vec<usize> {
        let list = tensor[field].as_array().unwrap();
        list.iter().map(|count| count.as_u64().unwrap() as usize).collect()
    };
    let offsets = counts("data_offsets");
    let data = &data[offsets[0]..offsets[1]];
    let words = |width: usize| data.chunks_exact(width);
    let values = match tensor["dtype"].as_str().unwrap() {
        "F32" => words(4).map(|w| f64::from(f32::from_le_bytes(w.try_into().unwrap()))).collect(),
        "F64" => words(8).map(|w| f64::from_le_bytes(w.try_into().unwrap())).collect(),
        "I64" => words(8).map(|w| i64::from_le_bytes(w.try_into().unwrap()) as f64).collect(),
        other => panic!("number type {other}"),
    };
    Numbers { shape: counts("shape"), values }
}

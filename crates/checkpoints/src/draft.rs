//! safetensors files, written tensor by tensor: whoever writes a model holds one tensor of it twice, never
//! all of it.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use files::{Draft, WriteError};
use half::{bf16, f16};
use safetensors::Dtype;
use serde_json::{Map, Value, json};

/// A tensor that will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its number type.
    pub dtype: Dtype,
    /// Lengths of its axes, rows first.
    pub shape: Vec<usize>,
}

impl Planned {
    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        (self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8) as u64
    }
}

/// Values as words of a float type, little end first.
///
/// # Panics
/// On a type that is not F32, F16 or BF16.
pub fn float_bytes(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        other => panic!("{other:?} is no float type that is written"),
    }
}

/// A safetensors file that has no name yet, with its header written. It appears complete or not at all.
#[derive(Debug)]
pub struct SafetensorsDraft {
    draft: Draft,
    /// What is still to come, the next one last.
    left: Vec<Planned>,
}

/// Tensors in the order in which a file has them: wide numbers first, so that each is aligned, then by name.
pub fn in_file_order(tensors: &mut [Planned]) {
    tensors.sort_by(|a, b| {
        let width = |tensor: &Planned| std::cmp::Reverse(tensor.dtype.bitsize());
        (width(a), &a.name).cmp(&(width(b), &b.name))
    });
}

impl SafetensorsDraft {
    /// Begins the file that will be `path`, which is to hold these tensors, in this order, and says this of
    /// itself.
    ///
    /// # Errors
    /// What the disk refuses.
    ///
    /// # Panics
    /// Where `tensors` are not [`in_file_order`].
    pub fn begin(
        path: &Path,
        tensors: &[Planned],
        about: &BTreeMap<&str, String>,
    ) -> Result<Self, WriteError> {
        assert!(
            tensors.is_sorted_by_key(|tensor| std::cmp::Reverse(tensor.dtype.bitsize())),
            "wide numbers come first"
        );
        let mut header = Map::new();
        if !about.is_empty() {
            header.insert("__metadata__".to_owned(), json!(about));
        }
        let mut start = 0;
        for tensor in tensors {
            let end = start + tensor.bytes();
            let entry = json!({
                "dtype": tensor.dtype.to_string(),
                "shape": tensor.shape,
                "data_offsets": [start, end],
            });
            header.insert(tensor.name.clone(), entry);
            start = end;
        }
        let mut text = Value::Object(header).to_string();
        // What follows is aligned to the widest word.
        let padded = text.len().next_multiple_of(size_of::<u64>());
        text.extend(std::iter::repeat_n(' ', padded - text.len()));
        let mut draft = Draft::begin(path)?;
        let length = (text.len() as u64).to_le_bytes();
        let written = draft.file().write_all(&length);
        let written = written.and_then(|()| draft.file().write_all(text.as_bytes()));
        written.map_err(|source| failed(path, source))?;
        Ok(Self { draft, left: tensors.iter().rev().cloned().collect() })
    }

    /// The tensor that comes next.
    pub fn next_tensor(&self) -> Option<&Planned> {
        self.left.last()
    }

    /// Writes the next tensor.
    ///
    /// # Errors
    /// What the disk refuses.
    ///
    /// # Panics
    /// Where no tensor is left, or it has another number of bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let next = self.left.pop().expect("a tensor is left");
        assert_eq!(bytes.len() as u64, next.bytes(), "the bytes of `{}`", next.name);
        let path = self.draft.path().to_owned();
        self.draft.file().write_all(bytes).map_err(|source| failed(&path, source))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// What the disk refuses.
    ///
    /// # Panics
    /// Where a tensor is left.
    pub fn finish(self) -> Result<(), WriteError> {
        assert!(self.left.is_empty(), "tensors are left: {:?}", self.left);
        self.draft.finish()
    }
}

fn failed(path: &Path, source: std::io::Error) -> WriteError {
    WriteError { action: "write", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_folder;

    /// The reader of this crate reads it, and so does the one of the format's authors.
    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        let tensor = |name: &str, dtype, shape: &[usize]| Planned {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
        };
        let mut tensors = [
            tensor("half", Dtype::F16, &[3]),
            tensor("one", Dtype::F32, &[]),
            tensor("brain", Dtype::BF16, &[1, 2]),
            tensor("a", Dtype::F32, &[2, 3]),
        ];
        in_file_order(&mut tensors);
        let names: Vec<_> = tensors.iter().map(|own| own.name.as_str()).collect();
        assert_eq!(names, ["a", "one", "brain", "half"]);
        let values = |name: &str| -> Vec<f32> {
            let n = tensors.iter().find(|own| own.name == name).map_or(0, |own| own.bytes());
            (0..n).map(|i| i as f32 * 0.5 - 2.0).collect()
        };
        let of = |tensor: &Planned| {
            let values = values(&tensor.name);
            float_bytes(tensor.dtype, &values[..tensor.shape.iter().product()])
        };
        let about = BTreeMap::from([("format", "pt".to_owned())]);
        let mut draft = SafetensorsDraft::begin(&path, &tensors, &about).expect("it is begun");
        while let Some(next) = draft.next_tensor().cloned() {
            draft.write(&of(&next)).expect("it is written");
        }
        assert!(!path.exists());
        draft.finish().expect("it is finished");

        let source = open_folder(folder.path()).expect("it is read");
        let bytes = std::fs::read(&path).expect("it is there");
        let theirs = safetensors::SafeTensors::deserialize(&bytes).expect("it is read by them");
        for tensor in &tensors {
            let n: usize = tensor.shape.iter().product();
            assert_eq!(source.shape(&tensor.name), Some(tensor.shape.clone()));
            assert_eq!(source.values(&tensor.name).expect("values"), values(&tensor.name)[..n]);
            let view = theirs.tensor(&tensor.name).expect("a view");
            assert_eq!((view.dtype(), view.data()), (tensor.dtype, &of(tensor)[..]));
        }
    }
}

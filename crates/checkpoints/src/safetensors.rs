//! One safetensors file.
//!
//! The header is parsed by the `safetensors` crate, which refuses overlaps, gaps and sizes that do not
//! follow from type and shape; its other half, which wants the whole file in memory, is not used.

use std::path::{Path, PathBuf};

use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};

use crate::{Conversion, LoadError, file::OpenFile, folder::Shard, numbers::Float};

/// Bytes in front of the header that say how long it is.
const LENGTH_BYTES: usize = 8;

/// Longest header that the format allows, bytes.
const MAX_HEADER: u64 = 100_000_000;

pub(crate) struct SafetensorsFile {
    file: OpenFile,
    metadata: Metadata,
    /// Where the tensors start.
    data_start: u64,
}

impl SafetensorsFile {
    fn missing(&self, name: &str) -> LoadError {
        LoadError::MissingTensor { path: self.path().to_owned(), tensor: name.to_owned() }
    }
}

impl SafetensorsFile {
    /// The bytes of a tensor of whole numbers.
    fn whole(&self, name: &str, wanted: Dtype, known: &'static str) -> Result<Vec<u8>, LoadError> {
        let info = self.metadata.info(name).ok_or_else(|| self.missing(name))?;
        if info.dtype != wanted {
            return Err(LoadError::Dtype {
                path: self.path().to_owned(),
                tensor: name.to_owned(),
                dtype: info.dtype.to_string(),
                known,
            });
        }
        let (start, end) = info.data_offsets;
        self.file.bytes(self.data_start + start as u64, end - start)
    }

    /// The words of 32 bits of a tensor, whose sign means nothing.
    pub(crate) fn words(&self, name: &str) -> Result<Vec<u32>, LoadError> {
        let bytes = self.whole(name, Dtype::I32, "words of I32")?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// The whole numbers of a tensor.
    pub(crate) fn integers(&self, name: &str) -> Result<Vec<i64>, LoadError> {
        let bytes = self.whole(name, Dtype::I64, "shapes of I64")?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect())
    }
}

fn float(info: &TensorInfo) -> Option<Float> {
    match info.dtype {
        Dtype::F32 => Some(Float::F32),
        Dtype::F16 => Some(Float::F16),
        Dtype::BF16 => Some(Float::Bf16),
        _ => None,
    }
}

impl Shard for SafetensorsFile {
    const SINGLE: &'static str = "model.safetensors";
    const INDEX: &'static str = "model.safetensors.index.json";

    fn open(path: PathBuf) -> Result<Self, LoadError> {
        let file = OpenFile::open(path)?;
        let length = file.length();
        let Some(room) = length.checked_sub(LENGTH_BYTES as u64) else {
            return Err(file.damaged(format!("it has {length} bytes, too few for a header")));
        };
        let mut word = [0; LENGTH_BYTES];
        file.read_at(0, &mut word)?;
        let header = u64::from_le_bytes(word);
        if header > room.min(MAX_HEADER) {
            let most = room.min(MAX_HEADER);
            let reason =
                format!("it says that its header has {header} bytes, at most {most} can be");
            return Err(file.damaged(reason));
        }
        let text = file.bytes(LENGTH_BYTES as u64, header as usize)?;
        let metadata: Metadata = serde_json::from_slice(&text)
            .map_err(|e| file.damaged(format!("its header cannot be read: {e}")))?;
        let data_start = LENGTH_BYTES as u64 + header;
        let expected = data_start.saturating_add(metadata.data_len() as u64);
        if length != expected {
            let reason = format!("its header promises {expected} bytes, it has {length}");
            return Err(file.damaged(reason));
        }
        Ok(Self { file, metadata, data_start })
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.metadata.info(name)?.shape)
    }

    fn conversion(&self, name: &str) -> Option<Conversion> {
        Some(Conversion::of(float(self.metadata.info(name)?)?.name()))
    }

    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError> {
        let info = self.metadata.info(name).ok_or_else(|| self.missing(name))?;
        let float = float(info).ok_or_else(|| LoadError::Dtype {
            path: self.path().to_owned(),
            tensor: name.to_owned(),
            dtype: info.dtype.to_string(),
            known: "F32, F16 and BF16",
        })?;
        let (start, _end) = info.data_offsets;
        self.file.floats(self.data_start + start as u64, float, &info.shape, piece)
    }
}

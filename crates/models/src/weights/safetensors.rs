//! Hugging Face folders: `model.safetensors`, or shards named by `model.safetensors.index.json`.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use half::{bf16, f16};
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::Deserialize;

use super::Source;
use crate::error::LoadError;

/// Bytes in front of the header that say how long it is.
const LENGTH_BYTES: u64 = 8;

struct Shard {
    path: PathBuf,
    file: RefCell<File>,
    metadata: Metadata,
    /// Where the tensors start.
    data_start: u64,
}

/// All tensors of a folder, read one at a time.
pub(crate) struct SafetensorsFolder {
    folder: PathBuf,
    shards: Vec<Shard>,
    /// Tensor name to shard.
    tensors: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl SafetensorsFolder {
    /// Opens every weight file of the folder and reads the headers.
    pub(crate) fn open(folder: &Path) -> Result<Self, LoadError> {
        let index_path = folder.join("model.safetensors.index.json");
        let (files, index) = if index_path.is_file() {
            let index = read_index(&index_path)?;
            let files: BTreeSet<String> = index.weight_map.values().cloned().collect();
            (files.into_iter().collect(), Some(index))
        } else {
            (vec!["model.safetensors".to_owned()], None)
        };
        let missing: Vec<String> =
            files.iter().filter(|file| !folder.join(file).is_file()).cloned().collect();
        if !missing.is_empty() {
            return Err(match index {
                Some(_) => LoadError::MissingShards { index: index_path, missing },
                None => LoadError::NoModel { path: folder.to_owned() },
            });
        }
        let mut shards = Vec::new();
        let mut tensors = BTreeMap::new();
        for file in files {
            let shard = Shard::open(folder.join(file))?;
            tensors.extend(shard.metadata.offset_keys().into_iter().map(|t| (t, shards.len())));
            shards.push(shard);
        }
        if let Some(tensor) =
            index.and_then(|index| index.weight_map.into_keys().find(|t| !tensors.contains_key(t)))
        {
            return Err(LoadError::MissingTensor { path: index_path, tensor });
        }
        Ok(Self { folder: folder.to_owned(), shards, tensors })
    }

    fn find(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let shard = &self.shards[*self.tensors.get(name)?];
        Some((shard, shard.metadata.info(name)?))
    }
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { path: path.clone(), source };
        let damaged = |reason| LoadError::Damaged { path: path.clone(), reason };
        let mut file = File::open(&path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut word = [0; LENGTH_BYTES as usize];
        file.read_exact(&mut word)
            .map_err(|_| damaged(format!("it has {length} bytes, too few for a header")))?;
        let header = u64::from_le_bytes(word);
        if header > length.saturating_sub(LENGTH_BYTES) {
            return Err(damaged(format!(
                "it says that its header has {header} bytes, but the file has {length}"
            )));
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(io)?;
        let metadata: Metadata = serde_json::from_slice(&text)
            .map_err(|e| damaged(format!("its header cannot be read: {e}")))?;
        let data_start = LENGTH_BYTES + header;
        let expected = data_start + metadata.data_len() as u64;
        if length != expected {
            return Err(damaged(format!("its header promises {expected} bytes, it has {length}")));
        }
        Ok(Self { path, file: RefCell::new(file), metadata, data_start })
    }

    fn bytes(&self, info: &TensorInfo) -> std::io::Result<Vec<u8>> {
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(self.data_start + start as u64))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn read_index(path: &Path) -> Result<Index, LoadError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    serde_json::from_str(&text)
        .map_err(|e| LoadError::Damaged { path: path.to_owned(), reason: e.to_string() })
}

impl Source for SafetensorsFolder {
    fn path(&self) -> &Path {
        &self.folder
    }

    fn file_of(&self, name: &str) -> PathBuf {
        self.find(name).map_or_else(|| self.folder.clone(), |(shard, _)| shard.path.clone())
    }

    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.find(name).map(|(_, info)| info.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, LoadError> {
        let (shard, info) = self.find(name).ok_or_else(|| LoadError::MissingTensor {
            path: self.folder.clone(),
            tensor: name.to_owned(),
        })?;
        let data = shard
            .bytes(info)
            .map_err(|source| LoadError::Io { path: shard.path.clone(), source })?;
        match info.dtype {
            Dtype::F32 => Ok(words(&data, f32::from_le_bytes)),
            Dtype::F16 => Ok(words(&data, |b| f16::from_le_bytes(b).to_f32())),
            Dtype::BF16 => Ok(words(&data, |b| bf16::from_le_bytes(b).to_f32())),
            other => Err(LoadError::Dtype {
                path: shard.path.clone(),
                tensor: name.to_owned(),
                dtype: format!("{other:?}"),
            }),
        }
    }
}

fn words<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|word| convert(*word)).collect()
}

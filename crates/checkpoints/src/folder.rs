//! Hugging Face folders: one file of weights, or shards named by an index.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    Conversion, LoadError, Source,
    packed::{Packed, Packing},
    pytorch::TorchFile,
    quantized::refuse_quantized,
    read_text,
    renamed::without_wrappers,
    safetensors::SafetensorsFile,
};

/// One file of a folder.
pub(crate) trait Shard: Sized {
    /// Name of the file where there is only one.
    const SINGLE: &'static str;
    /// Name of the index where there are several.
    const INDEX: &'static str;

    /// Reads the header and checks it against the file.
    fn open(path: PathBuf) -> Result<Self, LoadError>;
    fn path(&self) -> &Path;
    fn names(&self) -> Vec<String>;
    fn shape(&self, name: &str) -> Option<&[usize]>;
    fn conversion(&self, name: &str) -> Option<Conversion>;
    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError>;
}

/// Opens the weights of a folder: safetensors where there are any, else PyTorch's `.bin`; a single
/// file before an index, as transformers does. What wrappers of training put into names is dropped.
///
/// # Errors
/// No weights, missing shards (all of them are named), weights that are quantized in a way that is not
/// read, and whatever does not fit in a header.
pub fn open_folder(folder: &Path) -> Result<Box<dyn Source>, LoadError> {
    let packing = Packing::of_folder(folder)?;
    let source: Box<dyn Source> = match (Folder::<SafetensorsFile>::open(folder)?, packing) {
        (Some(source), Some(packing)) => Box::new(Packed::of(source, packing)?),
        (Some(source), None) => Box::new(source),
        (None, _) => match Folder::<TorchFile>::open(folder)? {
            Some(source) => Box::new(source),
            None => return Err(LoadError::NoModel { path: folder.to_owned() }),
        },
    };
    refuse_quantized(source.as_ref())?;
    without_wrappers(source)
}

/// All tensors of a folder.
pub(crate) struct Folder<F> {
    path: PathBuf,
    shards: Vec<F>,
    /// Tensor name to shard.
    tensors: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct Index {
    /// Tensor name to file name.
    weight_map: BTreeMap<String, String>,
}

impl<F: Shard> Folder<F> {
    /// `None` where the folder has no file of this format.
    fn open(path: &Path) -> Result<Option<Self>, LoadError> {
        let single = path.join(F::SINGLE);
        if single.is_file() {
            return Self::of(path, vec![F::open(single)?]).map(Some);
        }
        let index_path = path.join(F::INDEX);
        if !index_path.is_file() {
            return Ok(None);
        }
        let index = Index::read(&index_path)?;
        let files = index.files(&index_path)?;
        let missing: Vec<String> =
            files.iter().filter(|file| !path.join(file).is_file()).cloned().collect();
        if !missing.is_empty() {
            return Err(LoadError::MissingShards { index: index_path, missing });
        }
        let shards = files.iter().map(|file| F::open(path.join(file))).collect::<Result<_, _>>()?;
        let folder = Self::of(path, shards)?;
        for (tensor, shard) in index.weight_map {
            let holder = folder.tensors.get(&tensor).map(|at| &files[*at]);
            if holder != Some(&shard) {
                return Err(LoadError::IndexDisagrees { index: index_path, tensor, shard });
            }
        }
        Ok(Some(folder))
    }

    fn of(path: &Path, shards: Vec<F>) -> Result<Self, LoadError> {
        let mut tensors = BTreeMap::new();
        for (at, shard) in shards.iter().enumerate() {
            for name in shard.names() {
                if let Some(other) = tensors.insert(name.clone(), at) {
                    let other = shards[other].path().display();
                    return Err(LoadError::Damaged {
                        path: shard.path().to_owned(),
                        reason: format!("it holds tensor `{name}`, which {other} holds too"),
                    });
                }
            }
        }
        Ok(Self { path: path.to_owned(), shards, tensors })
    }

    fn shard(&self, name: &str) -> Option<&F> {
        self.tensors.get(name).map(|at| &self.shards[*at])
    }
}

impl Folder<SafetensorsFile> {
    fn holding(&self, name: &str) -> Result<&SafetensorsFile, LoadError> {
        self.shard(name).ok_or_else(|| LoadError::MissingTensor {
            path: self.path.clone(),
            tensor: name.to_owned(),
        })
    }

    /// The words of 32 bits of a tensor.
    pub(crate) fn words(&self, name: &str) -> Result<Vec<u32>, LoadError> {
        self.holding(name)?.words(name)
    }

    /// The whole numbers of a short tensor.
    pub(crate) fn integers(&self, name: &str) -> Result<Vec<i64>, LoadError> {
        self.holding(name)?.integers(name)
    }
}

impl Index {
    fn read(path: &Path) -> Result<Self, LoadError> {
        let text = read_text(path)?;
        serde_json::from_str(&text).map_err(|e| LoadError::Damaged {
            path: path.to_owned(),
            reason: format!("it is not an index of shards: {e}"),
        })
    }

    /// The shards, each once, in order; a name that leads out of the folder is refused.
    fn files(&self, path: &Path) -> Result<Vec<String>, LoadError> {
        let mut files: Vec<String> = self.weight_map.values().cloned().collect();
        files.sort();
        files.dedup();
        let plain = |file: &str| {
            let mut parts = Path::new(file).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == file)
        };
        match files.iter().find(|file| !plain(file)) {
            Some(file) => Err(LoadError::Damaged {
                path: path.to_owned(),
                reason: format!("its weight_map names `{file}`, which is no file of this folder"),
            }),
            None => Ok(files),
        }
    }
}

impl<F: Shard> Source for Folder<F> {
    fn path(&self) -> &Path {
        &self.path
    }

    fn file_of(&self, name: &str) -> PathBuf {
        self.shard(name).map_or(self.path.as_path(), F::path).to_owned()
    }

    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.shard(name)?.shape(name)?.to_vec())
    }

    fn conversion(&self, name: &str) -> Option<Conversion> {
        self.shard(name)?.conversion(name)
    }

    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError> {
        match self.shard(name) {
            Some(shard) => shard.read(name, piece),
            None => {
                Err(LoadError::MissingTensor { path: self.path.clone(), tensor: name.to_owned() })
            }
        }
    }
}

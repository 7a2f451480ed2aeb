//! One PyTorch `.bin` file: a zip archive of plain entries, `data.pkl` with the names and shapes and one
//! entry a storage (PyTorch 1.6 and later).
//!
//! The entries are not compressed, so a tensor is read by position like one of safetensors; the archive
//! itself is only opened to learn where they are. As `torch.load` does, the checksums of the storages
//! are not verified.

mod objects;
mod pickle;
mod view;

use std::{
    collections::BTreeMap,
    io::BufReader,
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, ZipArchive};

use crate::{
    Conversion, LoadError,
    file::OpenFile,
    folder::Shard,
    numbers::{count, pieces, row_length},
};
use objects::Refusal;
use view::{Number, View};

/// Longest pickle, bytes: some hundred times that of the largest models.
const MAX_PICKLE: u64 = 16 << 20;

/// What the format before PyTorch 1.6 starts with: protocol 2 and a magic number.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

pub(crate) struct TorchFile {
    file: OpenFile,
    views: BTreeMap<String, View>,
    /// Key of a storage to its first byte.
    storages: BTreeMap<String, u64>,
}

/// Where an entry of the archive lies in the file.
#[derive(Clone, Copy)]
struct Entry {
    start: u64,
    length: u64,
}

impl TorchFile {
    fn find(&self, name: &str) -> Result<&View, LoadError> {
        self.views.get(name).ok_or_else(|| LoadError::MissingTensor {
            path: self.path().to_owned(),
            tensor: name.to_owned(),
        })
    }

    /// A view that is not in row-major order: its stretch of the storage is held as a whole, and the
    /// values are picked from it. Rare: weights that were saved as the transpose of something.
    fn gather(
        &self,
        start: u64,
        view: &View,
        append: impl Fn(&[u8], &mut Vec<f32>),
        piece: &mut dyn FnMut(&[f32]),
    ) -> Result<(), LoadError> {
        let size = view.storage.number.size();
        let extent = view.extent().map_err(|reason| self.file.damaged(reason))?;
        let bytes = self.file.bytes(start, extent * size)?;
        let mut values = Vec::new();
        for range in pieces(count(&view.shape).unwrap_or(0), row_length(&view.shape)) {
            values.clear();
            for flat in range {
                let at = view.index_of(flat) * size;
                append(&bytes[at..at + size], &mut values);
            }
            piece(&values);
        }
        Ok(())
    }
}

impl Shard for TorchFile {
    const SINGLE: &'static str = "pytorch_model.bin";
    const INDEX: &'static str = "pytorch_model.bin.index.json";

    fn open(path: PathBuf) -> Result<Self, LoadError> {
        let file = OpenFile::open(path)?;
        check_start(&file)?;
        let entries = entries(&file)?;
        let pickle = read_entry(&file, &entries, "data.pkl", MAX_PICKLE)?;
        if entries.contains_key("byteorder") {
            let order = read_entry(&file, &entries, "byteorder", MAX_PICKLE)?;
            if order.trim_ascii() != b"little" {
                return Err(unsupported(&file, "its numbers are big-endian"));
            }
        }
        let views = pickle::tensors(&pickle).map_err(|refusal| match refusal {
            Refusal::Broken(reason) => file.damaged(format!("its pickle: {reason}")),
            Refusal::Foreign(found) => {
                LoadError::ForeignPickle { path: file.path().to_owned(), found }
            }
        })?;
        let mut storages = BTreeMap::new();
        for (name, view) in &views {
            let entry = check_view(view, &entries)
                .map_err(|reason| file.damaged(format!("tensor `{name}`: {reason}")))?;
            storages.insert(view.storage.key.clone(), entry.start);
        }
        Ok(Self { file, views, storages })
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    fn names(&self) -> Vec<String> {
        self.views.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.views.get(name)?.shape)
    }

    fn conversion(&self, name: &str) -> Option<Conversion> {
        match self.views.get(name)?.storage.number {
            Number::Float(float) => Some(Conversion::of(float.name())),
            Number::Other(..) => None,
        }
    }

    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError> {
        let view = self.find(name)?;
        let Number::Float(float) = view.storage.number else {
            return Err(LoadError::Dtype {
                path: self.path().to_owned(),
                tensor: name.to_owned(),
                dtype: view.storage.number.name().to_owned(),
                known: "F32, F16 and BF16",
            });
        };
        let start = self.storages[&view.storage.key] + (view.offset * float.size()) as u64;
        if view.is_contiguous() {
            return self.file.floats(start, float, &view.shape, piece);
        }
        self.gather(start, view, |bytes, values| float.append(bytes, values), piece)
    }
}

fn unsupported(file: &OpenFile, reason: impl Into<String>) -> LoadError {
    LoadError::Unsupported {
        path: file.path().to_owned(),
        reason: reason.into(),
        advice: "load it with torch and save it again, as `torch.save(torch.load(path, \
                 weights_only=True), path)` or, better, as safetensors",
    }
}

/// Tells the format before PyTorch 1.6 and files of another kind from archives.
fn check_start(file: &OpenFile) -> Result<(), LoadError> {
    let start = file.bytes(0, file.length().min(LEGACY.len() as u64) as usize)?;
    if start == LEGACY {
        return Err(unsupported(file, "it is in PyTorch's format from before 1.6"));
    }
    if !start.starts_with(b"PK\x03\x04") {
        return Err(file.damaged("it is not a zip archive, which PyTorch's files are"));
    }
    Ok(())
}

/// The entries of the archive by their name below its one folder, each checked to lie in the file.
fn entries(file: &OpenFile) -> Result<BTreeMap<String, Entry>, LoadError> {
    let broken = |e: &dyn std::fmt::Display| file.damaged(format!("its archive: {e}"));
    let reader = BufReader::new(file.another_handle()?);
    let mut archive = ZipArchive::new(reader).map_err(|e| broken(&e))?;
    if archive.has_overlapping_files().map_err(|e| broken(&e))? {
        return Err(broken(&"two of its entries overlap"));
    }
    let mut found = BTreeMap::new();
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(|e| broken(&e))?;
        let name = entry.name().map_err(|e| broken(&e))?.into_owned();
        let (start, length) = (entry.data_start(), entry.size());
        if entry.compression() != CompressionMethod::Stored || entry.compressed_size() != length {
            return Err(unsupported(file, format!("entry `{name}` of its archive is compressed")));
        }
        let inside =
            start.filter(|start| start.checked_add(length).is_some_and(|end| end <= file.length()));
        let Some(start) = inside else {
            return Err(broken(&format!("entry `{name}` reaches beyond the end of the file")));
        };
        found.insert(name, Entry { start, length });
    }
    below_its_folder(found).ok_or_else(|| broken(&"it has no entry `data.pkl`, or more than one"))
}

/// Strips the folder that holds `data.pkl`; what lies elsewhere is dropped.
fn below_its_folder(entries: BTreeMap<String, Entry>) -> Option<BTreeMap<String, Entry>> {
    let mut folders = entries.keys().filter_map(|name| {
        name.strip_suffix("data.pkl").filter(|folder| folder.is_empty() || folder.ends_with('/'))
    });
    let folder = folders.next()?.to_owned();
    if folders.next().is_some() {
        return None;
    }
    let below =
        |(name, entry): (String, Entry)| Some((name.strip_prefix(&folder)?.to_owned(), entry));
    Some(entries.into_iter().filter_map(below).collect())
}

fn read_entry(
    file: &OpenFile,
    entries: &BTreeMap<String, Entry>,
    name: &str,
    most: u64,
) -> Result<Vec<u8>, LoadError> {
    let entry = entries.get(name).copied();
    let entry = entry.ok_or_else(|| file.damaged(format!("it has no entry `{name}`")))?;
    if entry.length > most {
        let reason = format!("entry `{name}` has {} bytes, more than {most}", entry.length);
        return Err(file.damaged(reason));
    }
    file.bytes(entry.start, entry.length as usize)
}

/// The view must lie in its storage, and the storage in its entry.
fn check_view(view: &View, entries: &BTreeMap<String, Entry>) -> Result<Entry, String> {
    let storage = &view.storage;
    let entry = entries.get(&format!("data/{}", storage.key));
    let entry = *entry.ok_or_else(|| format!("its storage `{}` is missing", storage.key))?;
    let bytes = storage.length.checked_mul(storage.number.size());
    if bytes.is_none_or(|bytes| bytes as u64 > entry.length) {
        return Err(format!(
            "its storage `{}` should hold {} numbers, but has {} bytes",
            storage.key, storage.length, entry.length
        ));
    }
    view.extent()?;
    Ok(entry)
}

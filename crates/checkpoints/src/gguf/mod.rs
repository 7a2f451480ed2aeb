//! GGUF files of the Llama, Qwen and Gemma families, under the names and in the order of the Hugging
//! Face format.

mod blocks;
mod draft;
mod family;
mod fields;
mod header;
mod metadata;
mod names;
mod rope;
mod vocabulary;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    Conversion, LoadError, Source,
    file::OpenFile,
    numbers::{count, pieces, row_length},
};
use header::{Entry, Header};
use names::{Change, Family};
use rope::ROPE_FACTORS;

pub use draft::{GgufDraft, GgufTensor, GgufType, GgufValue};
pub use family::GgufFamily;
pub use vocabulary::Vocabulary;

/// A GGUF file with its header read.
pub struct GgufFile {
    file: OpenFile,
    header: Header,
    family: Family,
    /// Hugging Face name to the name in the file; a tensor that the family does not have keeps its own.
    names: BTreeMap<String, String>,
}

impl GgufFile {
    /// Reads the header and checks that every tensor lies inside the file.
    ///
    /// # Errors
    /// A header that does not fit the file, a family or a number type that is not read.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        const ARCHITECTURE: &str = "general.architecture";
        let file = OpenFile::open(path.to_owned())?;
        let header = header::read(&file)?;
        let mut opened = Self { file, header, family: Family::Llama, names: BTreeMap::new() };
        let architecture = opened.required(ARCHITECTURE, opened.text(ARCHITECTURE)?)?;
        opened.family =
            Family::of(&architecture).ok_or_else(|| LoadError::UnknownArchitecture {
                path: path.to_owned(),
                found: architecture,
                known: Family::KNOWN.to_vec(),
            })?;
        opened.names = opened.hub_names()?;
        Ok(opened)
    }

    fn hub_names(&self) -> Result<BTreeMap<String, String>, LoadError> {
        let mut names = BTreeMap::new();
        // The factors of rotary positions become a field of the config.
        for name in self.header.tensors.keys().filter(|name| *name != ROPE_FACTORS) {
            let hub = self.family.hub_name(name).unwrap_or_else(|| name.clone());
            if let Some(other) = names.insert(hub, name.clone()) {
                let reason = format!("tensors `{other}` and `{name}` are the same to the model");
                return Err(self.file.damaged(reason));
            }
        }
        Ok(names)
    }

    /// Name in the file, and where it lies.
    fn find(&self, name: &str) -> Option<(&str, &Entry)> {
        let in_file = self.names.get(name)?;
        Some((in_file, self.header.tensors.get(in_file)?))
    }

    /// The values of a tensor as they are in the file; `None` where its shape is another.
    fn plain_values(&self, in_file: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, LoadError> {
        let Some(entry) = self.header.tensors.get(in_file).filter(|entry| entry.shape == shape)
        else {
            return Ok(None);
        };
        let mut values = Vec::new();
        let row = row_length(&entry.shape).max(entry.layout.values());
        self.pieces(in_file, entry, row, &mut |piece| values.extend_from_slice(piece))?;
        Ok(Some(values))
    }

    /// Hands over a tensor in pieces that are a number of `row` values.
    fn pieces(
        &self,
        in_file: &str,
        entry: &Entry,
        row: usize,
        piece: &mut dyn FnMut(&mut [f32]),
    ) -> Result<(), LoadError> {
        let damaged =
            |e: &dyn std::fmt::Display| self.file.damaged(format!("tensor `{in_file}`: {e}"));
        if !row.is_multiple_of(entry.layout.values()) {
            return Err(damaged(&"its blocks reach from one head into the next"));
        }
        let bytes_of = |values| entry.layout.bytes_of(values).ok_or_else(|| damaged(&"too large"));
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for range in pieces(count(&entry.shape).unwrap_or(0), row) {
            bytes.resize(bytes_of(range.len())?, 0);
            self.file.read_at(entry.start + bytes_of(range.start)? as u64, &mut bytes)?;
            values.clear();
            entry.layout.append(&bytes, &mut values).map_err(|e| damaged(&e))?;
            piece(&mut values);
        }
        Ok(())
    }

    /// Heads whose rows are interleaved.
    fn heads(&self, key: &str, rows: usize) -> Result<usize, LoadError> {
        const ALL: &str = "attention.head_count";
        // Where the file has no number of key heads, there are as many as query heads.
        let found = self.count(&self.key(key))?.or(self.count(&self.key(ALL))?);
        let heads = self.required(&self.key(key), found)?;
        if heads == 0 || rows == 0 || !rows.is_multiple_of(heads.saturating_mul(2)) {
            let reason =
                format!("is {heads}, which does not divide {rows} rows into pairs of halves");
            return Err(self.bad(&self.key(key), reason));
        }
        Ok(heads)
    }
}

/// Rows of whole heads, given as `0, half, 1, half + 1, …`, in their own order.
///
/// # Shapes
/// - `piece`: `[heads·head_dim, row]`
fn separate_halves(piece: &[f32], head_dim: usize, row: usize) -> Vec<f32> {
    let half = head_dim / 2;
    let mut out = Vec::with_capacity(piece.len());
    for head in piece.chunks_exact(head_dim * row) {
        for at in 0..head_dim {
            let from = if at < half { 2 * at } else { 2 * (at - half) + 1 };
            out.extend_from_slice(&head[from * row..(from + 1) * row]);
        }
    }
    out
}

impl Source for GgufFile {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn file_of(&self, _name: &str) -> PathBuf {
        self.file.path().to_owned()
    }

    fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.find(name)?.1.shape.clone())
    }

    fn conversion(&self, name: &str) -> Option<Conversion> {
        let (in_file, entry) = self.find(name)?;
        let also = match self.family.change(in_file) {
            Change::None => None,
            Change::Interleaved(_) => Some("rows of each head reordered"),
            Change::PlusOne => Some("1 subtracted"),
        };
        Some(Conversion { dtype: entry.layout.name(), also })
    }

    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError> {
        let (in_file, entry) = self.find(name).ok_or_else(|| LoadError::MissingTensor {
            path: self.path().to_owned(),
            tensor: name.to_owned(),
        })?;
        let row = row_length(&entry.shape).max(entry.layout.values());
        match self.family.change(in_file) {
            Change::None => self.pieces(in_file, entry, row, &mut |values| piece(values)),
            Change::PlusOne => self.pieces(in_file, entry, row, &mut |values| {
                values.iter_mut().for_each(|value| *value -= 1.0);
                piece(values);
            }),
            Change::Interleaved(key) => {
                let row = row_length(&entry.shape);
                let rows = entry.shape.first().copied().unwrap_or(0);
                let head_dim = rows / self.heads(key, rows)?;
                self.pieces(in_file, entry, head_dim * row, &mut |values| {
                    piece(&separate_halves(values, head_dim, row));
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::separate_halves;

    #[test]
    fn halves_of_two_heads_are_separated() {
        // Two heads of four rows of two: llama.cpp keeps rows 0, 2, 1, 3 of each.
        let row = |n: usize| [n as f32, n as f32 + 0.5];
        let stored: Vec<f32> = [0, 2, 1, 3, 4, 6, 5, 7].into_iter().flat_map(row).collect();
        let expected: Vec<f32> = (0..8).flat_map(row).collect();
        assert_eq!(separate_halves(&stored, 4, 2), expected);
    }
}

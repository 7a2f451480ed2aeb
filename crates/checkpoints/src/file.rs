//! A file of weights, open for positioned reads.
//!
//! Not `mmap`: every safe-looking way to map a file (`memmap2`, and what builds on it) is `unsafe`
//! somewhere, since another process may cut the file short and turn a read of the map into a signal
//! that ends this one. Positioned reads give an error instead. They lose nothing here: a header is
//! checked against the length of the file before anything else is read, each tensor is read once, and
//! in pieces that stay in the cache while they are converted.

use std::{
    cell::RefCell,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use crate::{
    LoadError,
    numbers::{Float, count, pieces, row_length},
    stand_in::{TELLING, refuse_stand_in},
};

/// An open file with the length that it had when it was opened.
pub(crate) struct OpenFile {
    path: PathBuf,
    file: RefCell<File>,
    length: u64,
}

impl OpenFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, LoadError> {
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let file = match opened {
            Ok((length, file)) => Self { path, file: RefCell::new(file), length },
            Err(source) => return Err(LoadError::Io { path, source }),
        };
        let start = file.bytes(0, file.length.min(TELLING as u64) as usize)?;
        refuse_stand_in(&file.path, &start)?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The same file for a library that wants to read it by itself.
    pub(crate) fn another_handle(&self) -> Result<File, LoadError> {
        let mut file = self.file.borrow_mut();
        // The two share their position.
        file.rewind().and_then(|()| file.try_clone()).map_err(|source| self.io(source))
    }

    pub(crate) fn io(&self, source: std::io::Error) -> LoadError {
        LoadError::Io { path: self.path.clone(), source }
    }

    pub(crate) fn damaged(&self, reason: impl Into<String>) -> LoadError {
        LoadError::Damaged { path: self.path.clone(), reason: reason.into() }
    }

    /// Fills `buffer` from byte `start` on.
    pub(crate) fn read_at(&self, start: u64, buffer: &mut [u8]) -> Result<(), LoadError> {
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(buffer))
            .map_err(|source| self.io(source))
    }

    /// The bytes of a range that is known to lie inside the file.
    pub(crate) fn bytes(&self, start: u64, length: usize) -> Result<Vec<u8>, LoadError> {
        let mut bytes = vec![0; length];
        self.read_at(start, &mut bytes)?;
        Ok(bytes)
    }

    /// Hands over the values of a contiguous tensor whose first byte is `start`.
    ///
    /// # Shapes
    /// - `shape`: that of the tensor, rows first
    pub(crate) fn floats(
        &self,
        start: u64,
        float: Float,
        shape: &[usize],
        piece: &mut dyn FnMut(&[f32]),
    ) -> Result<(), LoadError> {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for range in pieces(count(shape).unwrap_or(0), row_length(shape)) {
            bytes.resize(range.len() * float.size(), 0);
            self.read_at(start + (range.start * float.size()) as u64, &mut bytes)?;
            values.clear();
            float.append(&bytes, &mut values);
            piece(&values);
        }
        Ok(())
    }
}

//! Named columns of one file, for those who read rows of tables that are not their own.

use std::path::{Path, PathBuf};

use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, TimestampMillisecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, BooleanArray, PrimitiveArray, RecordBatch, StringArray};

use crate::read::{batches_of, column};
use crate::{CellPlace, StoreError};

/// Columns of one Parquet file or of a part of it, in memory.
///
/// A column is asked for by the type that it must have in the file; a value that a row lacks is `None`.
#[derive(Debug, Clone)]
pub struct Frame {
    path: PathBuf,
    batches: Vec<RecordBatch>,
}

impl Frame {
    /// Reads the named columns of a file, or of one cell in it; all of them where `names` is `None`.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] where the file is no Parquet table or lacks a column.
    pub fn read(
        place: &(impl CellPlace + ?Sized),
        names: Option<&[&str]>,
    ) -> Result<Frame, StoreError> {
        Ok(Frame { path: place.file().to_owned(), batches: batches_of(place, names)? })
    }

    pub(crate) fn of(path: &Path, batches: Vec<RecordBatch>) -> Frame {
        Frame { path: path.to_owned(), batches }
    }

    /// So many of its rows from `first` on, without a copy; fewer where it ends before.
    #[must_use]
    pub fn slice(&self, first: usize, rows: usize) -> Frame {
        Frame { path: self.path.clone(), batches: slice(&self.batches, first, rows) }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// A column of unsigned 32-bit numbers.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] where there is no such column of this type.
    pub fn u32s(&self, name: &str) -> Result<Vec<Option<u32>>, StoreError> {
        self.numbers::<UInt32Type>(name)
    }

    /// A column of unsigned 64-bit numbers.
    ///
    /// # Errors
    /// As [`Frame::u32s`].
    pub fn u64s(&self, name: &str) -> Result<Vec<Option<u64>>, StoreError> {
        self.numbers::<UInt64Type>(name)
    }

    /// A column of 64-bit floating point numbers.
    ///
    /// # Errors
    /// As [`Frame::u32s`].
    pub fn f64s(&self, name: &str) -> Result<Vec<Option<f64>>, StoreError> {
        self.numbers::<Float64Type>(name)
    }

    /// A column of instants, as milliseconds since 1970 in UTC.
    ///
    /// # Errors
    /// As [`Frame::u32s`].
    pub fn instants_ms(&self, name: &str) -> Result<Vec<Option<i64>>, StoreError> {
        self.numbers::<TimestampMillisecondType>(name)
    }

    /// A column of truth values.
    ///
    /// # Errors
    /// As [`Frame::u32s`].
    pub fn bools(&self, name: &str) -> Result<Vec<Option<bool>>, StoreError> {
        self.values::<BooleanArray, _>(name, |array| array.iter().collect())
    }

    /// A column of texts.
    ///
    /// # Errors
    /// As [`Frame::u32s`].
    pub fn texts(&self, name: &str) -> Result<Vec<Option<String>>, StoreError> {
        let owned = |array: &StringArray| array.iter().map(|v| v.map(str::to_owned)).collect();
        self.values(name, owned)
    }

    /// A column of texts, one by one without a copy of each.
    ///
    /// # Errors
    /// As [`Frame::u32s`].
    pub fn each_text(&self, name: &str) -> Result<impl Iterator<Item = Option<&str>>, StoreError> {
        let arrays =
            self.batches.iter().map(|batch| column::<StringArray>(&self.path, batch, name));
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        Ok(arrays.into_iter().flat_map(|array| array.iter()))
    }

    fn numbers<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<Vec<Option<T::Native>>, StoreError> {
        self.values::<PrimitiveArray<T>, _>(name, |array| array.iter().collect())
    }

    fn values<A: Array + 'static, V>(
        &self,
        name: &str,
        of: impl Fn(&A) -> Vec<V>,
    ) -> Result<Vec<V>, StoreError> {
        let mut all = Vec::with_capacity(self.rows());
        for batch in &self.batches {
            all.extend(of(column::<A>(&self.path, batch, name)?));
        }
        Ok(all)
    }
}

/// So many rows of all batches together, from `first` on.
pub(crate) fn slice(batches: &[RecordBatch], first: usize, rows: usize) -> Vec<RecordBatch> {
    let (mut skip, mut left, mut own) = (first, rows, Vec::new());
    for batch in batches {
        let begin = skip.min(batch.num_rows());
        let taken = left.min(batch.num_rows() - begin);
        skip -= begin;
        left -= taken;
        if taken > 0 {
            own.push(batch.slice(begin, taken));
        }
    }
    own
}

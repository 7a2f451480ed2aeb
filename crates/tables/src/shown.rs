//! Tables of a page as Parquet, for rows that do not stand on it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use runs::StoreError;

use crate::read::unreadable;
use crate::write::{About, WriteError, write_atomically};

/// A column as a page shows it: its heading and what stands below.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// Numbers, with as many digits as are shown.
    Numbers(String, Vec<Option<f64>>),
    /// Everything else.
    Texts(String, Vec<Option<String>>),
}

/// Writes columns of one length; of headings that come twice the later ones are numbered.
///
/// # Errors
/// [`StoreError::Io`] when the disk refuses, [`StoreError::Unreadable`] where the columns make no table.
pub fn write_shown(path: &Path, columns: &[Shown]) -> Result<(), StoreError> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for column in columns {
        let (Shown::Numbers(name, _) | Shown::Texts(name, _)) = column;
        let times = known.entry(name).or_default();
        *times += 1;
        let name = if *times == 1 { name.clone() } else { format!("{name} ({times})") };
        let (kind, array): (DataType, ArrayRef) = match column {
            Shown::Numbers(_, values) => {
                (DataType::Float64, Arc::new(Float64Array::from(values.clone())))
            }
            Shown::Texts(_, values) => (
                DataType::Utf8,
                Arc::new(StringArray::from_iter(values.iter().map(Option::as_ref))),
            ),
        };
        fields.push(Field::new(name, kind, true));
        arrays.push(array);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| unreadable(path)(error.to_string()))?;
    let settings = About::settings(r#"{"digits":"as on the page"}"#);
    write_atomically(path, &batch, settings).map_err(|error| match error {
        WriteError::Store(error) => error,
        WriteError::Encode(reason) => unreadable(path)(reason),
    })
}

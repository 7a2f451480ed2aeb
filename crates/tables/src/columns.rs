//! Columns with their meaning, and record batches built from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt32Array, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// True or false.
    Bool,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Floating point, 64 bits, never NaN or infinite.
    F64,
    /// Milliseconds since 1970 in UTC.
    TimestampMs,
}

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Name in the file.
    pub name: &'static str,
    /// Type in the file.
    pub kind: Kind,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// Meaning and unit; stored in the file as the field's `description`.
    pub doc: &'static str,
}

impl Column {
    /// A column that every row has.
    pub(crate) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Column {
        Column { name, kind, nullable: false, doc }
    }

    /// A column that a row may lack.
    pub(crate) const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Column {
        Column { name, kind, nullable: true, doc }
    }

    fn field(&self) -> Field {
        let data_type = match self.kind {
            Kind::Text => DataType::Utf8,
            Kind::Bool => DataType::Boolean,
            Kind::U32 => DataType::UInt32,
            Kind::U64 => DataType::UInt64,
            Kind::F64 => DataType::Float64,
            Kind::TimestampMs => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        };
        let description = [("description".to_owned(), self.doc.to_owned())];
        Field::new(self.name, data_type, self.nullable).with_metadata(description)
    }
}

/// Collects the arrays of a table by column name; the table's columns decide order and type.
pub(crate) struct Batch {
    n_rows: usize,
    arrays: BTreeMap<&'static str, ArrayRef>,
}

impl Batch {
    pub(crate) fn new(n_rows: usize) -> Self {
        Batch { n_rows, arrays: BTreeMap::new() }
    }

    /// A text in every row.
    pub(crate) fn text<'a>(&mut self, name: &'static str, values: impl Iterator<Item = &'a str>) {
        self.arrays.insert(name, Arc::new(StringArray::from_iter_values(values)));
    }

    /// The same text in every row.
    pub(crate) fn same_text(&mut self, name: &'static str, value: &str) {
        self.same_optional_text(name, Some(value));
    }

    /// The same text, or none, in every row.
    pub(crate) fn same_optional_text(&mut self, name: &'static str, value: Option<&str>) {
        let array = StringArray::from_iter(std::iter::repeat_n(value, self.n_rows));
        self.arrays.insert(name, Arc::new(array));
    }

    /// The same whole number, or none, in every row.
    pub(crate) fn same_u64(&mut self, name: &'static str, value: Option<u64>) {
        let array = UInt64Array::from_iter(std::iter::repeat_n(value, self.n_rows));
        self.arrays.insert(name, Arc::new(array));
    }

    /// The same number in every row.
    pub(crate) fn same_f64(&mut self, name: &'static str, value: f64) {
        self.f64(name, std::iter::repeat_n(value, self.n_rows));
    }

    /// The same instant in every row, in milliseconds since 1970 (UTC).
    pub(crate) fn same_timestamp(&mut self, name: &'static str, milliseconds: i64) {
        let values = std::iter::repeat_n(milliseconds, self.n_rows);
        let array = TimestampMillisecondArray::from_iter_values(values).with_timezone("UTC");
        self.arrays.insert(name, Arc::new(array));
    }

    pub(crate) fn u32(&mut self, name: &'static str, values: impl Iterator<Item = u32>) {
        self.arrays.insert(name, Arc::new(UInt32Array::from_iter_values(values)));
    }

    pub(crate) fn optional_u32(
        &mut self,
        name: &'static str,
        values: impl Iterator<Item = Option<u32>>,
    ) {
        self.arrays.insert(name, Arc::new(UInt32Array::from_iter(values)));
    }

    pub(crate) fn u64(&mut self, name: &'static str, values: impl Iterator<Item = u64>) {
        self.arrays.insert(name, Arc::new(UInt64Array::from_iter_values(values)));
    }

    pub(crate) fn optional_u64(
        &mut self,
        name: &'static str,
        values: impl Iterator<Item = Option<u64>>,
    ) {
        self.arrays.insert(name, Arc::new(UInt64Array::from_iter(values)));
    }

    pub(crate) fn f64(&mut self, name: &'static str, values: impl Iterator<Item = f64>) {
        self.arrays.insert(name, Arc::new(Float64Array::from_iter_values(values)));
    }

    pub(crate) fn optional_f64(
        &mut self,
        name: &'static str,
        values: impl Iterator<Item = Option<f64>>,
    ) {
        self.arrays.insert(name, Arc::new(Float64Array::from_iter(values)));
    }

    pub(crate) fn bool(&mut self, name: &'static str, values: impl Iterator<Item = bool>) {
        self.arrays.insert(name, Arc::new(BooleanArray::from_iter(values.map(Some))));
    }

    /// The batch with the given columns in their order.
    ///
    /// # Errors
    /// When a column has no array, or an array of another type.
    pub(crate) fn finish(mut self, columns: &[Column]) -> Result<RecordBatch, ArrowError> {
        let fields: Vec<Field> = columns.iter().map(Column::field).collect();
        let mut arrays = Vec::with_capacity(columns.len());
        for column in columns {
            let array = self.arrays.remove(column.name).ok_or_else(|| {
                ArrowError::SchemaError(format!("no values for column `{}`", column.name))
            })?;
            arrays.push(array);
        }
        if let Some(name) = self.arrays.keys().next() {
            return Err(ArrowError::SchemaError(format!("column `{name}` is not in the schema")));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }
}

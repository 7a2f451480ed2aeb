//! Items with named fields: the files of multiple-choice tasks, as they are published.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use parquet::{
    basic::{ConvertedType, Type as PhysicalType},
    file::reader::{FileReader as _, SerializedFileReader},
};
use serde_json::{Map, Value};

use crate::{
    CorpusError,
    lines::{Lines, is_python_space, refuse_stand_ins},
};

/// The fields of an item.
pub type Fields = Map<String, Value>;

/// A file of items.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    path: PathBuf,
    items: Vec<Fields>,
}

impl Records {
    /// Reads `.jsonl`, `.jsonl.gz`, `.json.gz` (an object a line; blank lines do not count) or `.parquet`
    /// (a row an item; lists and structs as JSON has them).
    ///
    /// # Errors
    /// Another format, a line that is no object, or no item at all.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        refuse_stand_ins(path)?;
        let file =
            File::open(path).map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
        let items = if is(&[".jsonl"]) {
            objects(path, file)?
        } else if is(&[".jsonl.gz", ".json.gz"]) {
            objects(path, MultiGzDecoder::new(file))?
        } else if is(&[".parquet"]) {
            rows(path, file)?
        } else {
            return Err(CorpusError::NotRecords { path: path.to_owned() });
        };
        if items.is_empty() {
            return Err(CorpusError::Empty { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), items })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The items, in the order of the file.
    pub fn items(&self) -> &[Fields] {
        &self.items
    }

    /// Every string of every item: what counts as a document when a calibration text is compared with the
    /// items.
    pub(crate) fn strings(&self) -> Vec<String> {
        let mut strings = Vec::new();
        self.items.iter().flat_map(Map::values).for_each(|value| collect(value, &mut strings));
        strings
    }
}

fn collect(value: &Value, strings: &mut Vec<String>) {
    match value {
        Value::String(text) => strings.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, strings)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, strings)),
        _ => {}
    }
}

fn objects(path: &Path, file: impl Read) -> Result<Vec<Fields>, CorpusError> {
    let mut items = Vec::new();
    let mut lines = Lines::new(path, file);
    while let Some(line) = lines.next() {
        let line = line?;
        if line.chars().all(is_python_space) {
            continue;
        }
        let item = serde_json::from_str(&line).map_err(|error| CorpusError::Record {
            path: path.to_owned(),
            line: lines.number(),
            reason: error.to_string(),
        })?;
        items.push(item);
    }
    Ok(items)
}

fn rows(path: &Path, file: File) -> Result<Vec<Fields>, CorpusError> {
    let bad = |reason: String| CorpusError::ParquetRecords { path: path.to_owned(), reason };
    let reader = SerializedFileReader::new(file).map_err(|error| bad(error.to_string()))?;
    let columns = reader.metadata().file_metadata().schema_descr_ptr();
    // Bytes that are not said to be text would come as base64.
    let binary = columns.columns().iter().find(|column| {
        let is_bytes = matches!(
            column.physical_type(),
            PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY
        );
        is_bytes && column.converted_type() == ConvertedType::NONE
    });
    if let Some(column) = binary {
        return Err(bad(format!("the column `{}` is binary, not text", column.path().string())));
    }
    let rows = reader.get_row_iter(None).map_err(|error| bad(error.to_string()))?;
    rows.map(|row| match row.map_err(|error| bad(error.to_string()))?.to_json_value() {
        Value::Object(fields) => Ok(fields),
        _ => Err(bad("a row is no object".to_owned())),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, Int64Array, RecordBatch, StringArray, StructArray, builder::ListBuilder,
        builder::StringBuilder,
    };
    use parquet::arrow::ArrowWriter;
    use serde_json::json;

    use super::*;

    fn list(values: &[&[&str]]) -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for row in values {
            row.iter().for_each(|value| builder.values().append_value(value));
            builder.append(true);
        }
        Arc::new(builder.finish())
    }

    /// The layout that the Hub gives ARC: a struct of two lists beside plain columns.
    #[test]
    fn parquet_rows_are_the_lines_of_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test-00000-of-00001.parquet");
        let text = list(&[&["one", "zwei"], &["eins", "two", "drei"]]);
        let label = list(&[&["A", "B"], &["1", "2", "3"]]);
        let choices = StructArray::try_from(vec![("text", text), ("label", label)]).unwrap();
        let batch = RecordBatch::try_from_iter([
            ("question", Arc::new(StringArray::from(vec!["a?", "b \u{1F600}?"])) as ArrayRef),
            ("choices", Arc::new(choices) as ArrayRef),
            ("answer", Arc::new(Int64Array::from(vec![1, 0])) as ArrayRef),
        ])
        .unwrap();
        let mut writer =
            ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let found = Records::read(&path).unwrap();
        let lines = [
            json!({ "question": "a?", "answer": 1,
                "choices": { "text": ["one", "zwei"], "label": ["A", "B"] } }),
            json!({ "question": "b \u{1F600}?", "answer": 0,
                "choices": { "text": ["eins", "two", "drei"], "label": ["1", "2", "3"] } }),
        ];
        let written: Vec<String> = lines.iter().map(Value::to_string).collect();
        let path = folder.path().join("items.jsonl");
        std::fs::write(&path, written.join("\n\n")).unwrap();
        assert_eq!(found.items(), Records::read(&path).unwrap().items());
        assert_eq!(found.items()[1]["choices"]["text"][2], "drei");
        assert_eq!(found.strings().len(), 2 + 4 + 6);
    }

    #[test]
    fn bad_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            Records::read(&path).unwrap_err().to_string()
        };
        let told = error("a.jsonl", "{\"a\": 1}\n[1]\n");
        assert!(told.contains("a.jsonl, line 2") && told.contains("object"), "{told}");
        assert!(error("b.raw", "words").contains("items with named fields"));
        assert!(error("c.jsonl", "\n").contains("holds no"));
        assert!(error("d.parquet", "PAR1").contains("d.parquet"));
    }
}

//! The formats that texts come in, each read into entries.
//!
//! A format that says what its entries are is taken at its word: lines of `.raw` are rows, lines of
//! `.jsonl` are documents. Parquet says nothing, so the shape must be given.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use arrow_array::{Array, LargeStringArray, RecordBatch, StringArray};
use flate2::read::MultiGzDecoder;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde::Deserialize;

use crate::{CorpusError, Reading, Shape};

/// The field or column that holds the text.
const TEXT: &str = "text";

#[derive(Deserialize)]
struct Line {
    text: String,
    /// Sentences between the place where the last word was settled and the question, where it is known.
    distance_sentences: Option<u32>,
}

/// What a file holds.
pub(crate) struct Entries {
    pub(crate) shape: Shape,
    pub(crate) texts: Vec<String>,
    /// One an entry; empty where the format has no place for them.
    pub(crate) distances: Vec<Option<u32>>,
}

/// The entries of a file, and what they are.
pub(crate) fn read(path: &Path, reading: Reading) -> Result<Entries, CorpusError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let limit = reading.entries.unwrap_or(usize::MAX);
    let open =
        || File::open(path).map_err(|source| CorpusError::Io { path: path.to_owned(), source });
    let mut distances = Vec::new();
    let (shape, texts) = if is(&[".raw"]) {
        (Shape::Rows, rows(path, open()?, limit)?)
    } else if is(&[".jsonl"]) {
        (Shape::Documents, documents(path, open()?, limit, &mut distances)?)
    } else if is(&[".jsonl.gz", ".json.gz"]) {
        let unpacked = MultiGzDecoder::new(open()?);
        (Shape::Documents, documents(path, unpacked, limit, &mut distances)?)
    } else if is(&[".parquet"]) {
        let reason =
            "a Parquet file does not say what its rows are: give the shape, rows or documents";
        let shape = reading.shape.ok_or(CorpusError::Shape { path: path.to_owned(), reason })?;
        (shape, column(path, open()?, limit)?)
    } else {
        return Err(CorpusError::UnknownFormat { path: path.to_owned() });
    };
    if reading.shape.is_some_and(|given| given != shape) {
        let reason = "its format says that lines of .raw are rows and lines of .jsonl documents";
        return Err(CorpusError::Shape { path: path.to_owned(), reason });
    }
    Ok(Entries { shape, texts, distances })
}

/// Rows of WikiText as the Hub has them: a line with its newline; a blank line (`" \n"` in the file) is
/// an empty row.
fn rows(path: &Path, file: File, limit: usize) -> Result<Vec<String>, CorpusError> {
    let content = std::io::read_to_string(file)
        .map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
    let row = |line: &str| if line.trim().is_empty() { String::new() } else { line.to_owned() };
    Ok(content.split_inclusive('\n').take(limit).map(row).collect())
}

/// A document a line, and its distance; blank lines do not count.
fn documents(
    path: &Path,
    file: impl Read,
    limit: usize,
    distances: &mut Vec<Option<u32>>,
) -> Result<Vec<String>, CorpusError> {
    let mut documents = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        if documents.len() == limit {
            break;
        }
        let line = line.map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
        if line.trim().is_empty() {
            continue;
        }
        let parsed = serde_json::from_str::<Line>(&line).map_err(|error| CorpusError::Line {
            path: path.to_owned(),
            line: index + 1,
            reason: error.to_string(),
        })?;
        documents.push(parsed.text);
        distances.push(parsed.distance_sentences);
    }
    Ok(documents)
}

/// The column `text`, row group by row group.
fn column(path: &Path, file: File, limit: usize) -> Result<Vec<String>, CorpusError> {
    let bad = |reason: String| CorpusError::Parquet { path: path.to_owned(), reason };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| bad(e.to_string()))?;
    let schema = builder.parquet_schema();
    let index = schema.columns().iter().position(|column| column.path().string() == TEXT);
    let index = index.ok_or_else(|| bad(format!("there is no column `{TEXT}`")))?;
    let only = ProjectionMask::leaves(schema, [index]);
    let reader = builder.with_projection(only).with_limit(limit).build();
    let mut entries = Vec::new();
    for batch in reader.map_err(|error| bad(error.to_string()))? {
        let batch = batch.map_err(|error| bad(error.to_string()))?;
        strings(&batch, &mut entries).map_err(bad)?;
    }
    Ok(entries)
}

/// Appends the strings of the only column.
fn strings(batch: &RecordBatch, entries: &mut Vec<String>) -> Result<(), String> {
    let (column, first) = (batch.column(0), entries.len());
    let any = column.as_any();
    if let Some(strings) = any.downcast_ref::<StringArray>() {
        entries.extend(strings.iter().flatten().map(str::to_owned));
    } else if let Some(strings) = any.downcast_ref::<LargeStringArray>() {
        entries.extend(strings.iter().flatten().map(str::to_owned));
    } else {
        return Err(format!("the column is of type {}", column.data_type()));
    }
    match column.null_count() {
        0 => Ok(()),
        n => Err(format!("{n} of the rows from {first} on are null")),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, path::PathBuf, sync::Arc};

    use arrow_array::{ArrayRef, Int32Array};
    use flate2::{Compression, write::GzEncoder};
    use parquet::{
        arrow::ArrowWriter, basic::Compression as Codec, file::properties::WriterProperties,
    };

    use super::*;
    use crate::Text;

    const ROWS: Reading = Reading { shape: Some(Shape::Rows), entries: None };

    /// Writes as the Hub's own converter does: compressed with Snappy, several row groups.
    fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Codec::SNAPPY)
            .set_max_row_group_row_count(Some(1000))
            .build();
        let file = File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn gz(path: &Path, parts: &[&str]) {
        let mut file = File::create(path).unwrap();
        for part in parts {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            file.write_all(&encoder.finish().unwrap()).unwrap();
        }
    }

    fn data(name: &str) -> Option<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        let folder = std::env::var_os("SLIM_DATA").map_or(root, PathBuf::from);
        let path = folder.join(name);
        if !path.exists() {
            testing::skip(&format!("{} is not there", path.display()));
            return None;
        }
        Some(path)
    }

    /// The rows of the Hub's Parquet file are the lines of the raw file, blank ones empty: what is
    /// joined is the same to the byte.
    #[test]
    fn wikitext_is_the_same_text_from_parquet_and_from_raw() {
        let Some(raw) = data("wikitext2/wiki.test.raw") else { return };
        let lines = std::fs::read_to_string(&raw).unwrap();
        let of_hub = lines.split_inclusive('\n').map(|line| if line == " \n" { "" } else { line });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test-00000-of-00001.parquet");
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(of_hub));
        assert_eq!(column.len(), 4358);
        parquet(&path, vec![("text", column)]);
        let (raw, hub) = (Text::read(&raw).unwrap(), Text::read_as(&path, ROWS).unwrap());
        assert_eq!(raw.joined(), hub.joined());
        assert_eq!(raw.documents(), hub.documents());
        assert!(hub.items().is_err());
    }

    #[test]
    fn parquet_is_read_as_it_is_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let id: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let text: ArrayRef = Arc::new(LargeStringArray::from(vec!["one\n", "", "three\n"]));
        parquet(&path, vec![("id", id.clone()), ("text", text)]);
        let error = Text::read(&path).unwrap_err().to_string();
        assert!(error.contains("give the shape"), "{error}");
        let rows = Text::read_as(&path, ROWS).unwrap();
        assert_eq!(rows.joined(), "one\n\n\n\n\nthree\n");
        let documents = Reading { shape: Some(Shape::Documents), entries: Some(2) };
        let documents = Text::read_as(&path, documents).unwrap();
        assert_eq!(documents.items().unwrap(), ["one\n", ""]);
        parquet(&path, vec![("id", id.clone())]);
        let error = Text::read_as(&path, ROWS).unwrap_err().to_string();
        assert!(error.contains("there is no column `text`"), "{error}");
        parquet(&path, vec![("text", id)]);
        let error = Text::read_as(&path, ROWS).unwrap_err().to_string();
        assert!(error.contains("of type Int32"), "{error}");
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("one"), None]));
        parquet(&path, vec![("text", text)]);
        let error = Text::read_as(&path, ROWS).unwrap_err().to_string();
        assert!(error.contains("1 of the rows from 0 on are null"), "{error}");
        std::fs::write(&path, "PAR1 and no more").unwrap();
        assert!(matches!(Text::read_as(&path, ROWS), Err(CorpusError::Parquet { .. })));
    }

    #[test]
    fn packed_lines_are_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c4.00000-of-00008.json.gz");
        // Two members in one file, as tools that pack in parallel write them.
        gz(
            &path,
            &[
                "{\"text\": \"one\", \"url\": \"u\"}\n\n{\"text\": \"two\"}\n",
                "{\"text\": \"three\"}\n",
            ],
        );
        let all = Text::read(&path).unwrap();
        assert_eq!(all.items().unwrap(), ["one", "two", "three"]);
        let some = Reading { shape: Some(Shape::Documents), entries: Some(2) };
        assert_eq!(Text::read_as(&path, some).unwrap().joined(), "one\n\ntwo");
        let error = Text::read_as(&path, ROWS).unwrap_err().to_string();
        assert!(error.contains("lines of .jsonl documents"), "{error}");
        gz(&path, &["{\"text\": \"one\"}\n{\"txt\": 2}\n"]);
        let error = Text::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        // What lies behind the limit is not looked at.
        let one = Reading { shape: None, entries: Some(1) };
        assert_eq!(Text::read_as(&path, one).unwrap().joined(), "one");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert!(matches!(Text::read(&path), Err(CorpusError::Io { .. })));
    }
}

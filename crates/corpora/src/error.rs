//! What can be wrong with a text or a tokenizer.

use std::path::PathBuf;

/// A text or tokenizer that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file's name says no format that is read.
    #[error(
        "{path}: expected a .raw file of WikiText, a .jsonl, .jsonl.gz or .json.gz file with a field \
         `text` a line, or a .parquet file with a column `text`"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The format leaves open what an entry is, or says something else.
    #[error("{path}: {reason}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
    /// A line is not an object with `text`.
    #[error("{path}, line {line}: expected a JSON object with a field `text`: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A byte that belongs to no text in UTF-8.
    #[error("{path}, line {line}: {reason}")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Which byte, and what to do.
        reason: String,
    },
    /// Something that stands in place of a text that was not downloaded.
    #[error("{path} is not the text but {what}")]
    NotTheText {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        what: &'static str,
    },
    /// A Parquet file cannot be read, or has no column of text.
    #[error("{path}: expected a Parquet file with a column `text` of strings: {reason}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The file holds no text.
    #[error("{path} holds no text and no items")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The text is shorter than one window.
    #[error("{path} has {ids} token ids, fewer than one window of {window}")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Ids of the whole text.
        ids: usize,
        /// Ids of a window.
        window: usize,
    },
    /// More windows of calibration text are asked for than there are.
    #[error(
        "calibration text {path} has {windows} windows of {window} token ids, and {limit} are asked \
         for: ask for at most {windows}, or for all by giving no limit"
    )]
    TooFewWindows {
        /// The file.
        path: PathBuf,
        /// Whole windows of the text.
        windows: usize,
        /// Ids of a window.
        window: usize,
        /// Windows that are asked for.
        limit: usize,
    },
    /// An item of a last-word task cannot be split into context and target.
    #[error("{path}, item {index}: {reason}")]
    Item {
        /// The file.
        path: PathBuf,
        /// Counted from 0.
        index: usize,
        /// What is missing.
        reason: String,
    },
    /// No protocol has this name.
    #[error("there is no task `{name}`")]
    UnknownTask {
        /// The name.
        name: String,
    },
    /// The definition of a task is of another name, or has no such member.
    #[error("task file {path} is not that of `choice-{name}`: {reason}")]
    TaskName {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What it is.
        reason: String,
    },
    /// The definition of a task of choices cannot be used.
    #[error("task file {path}: {reason}")]
    TaskFile {
        /// The file.
        path: PathBuf,
        /// Which field, and what is wrong.
        reason: String,
    },
    /// An item does not fit the definition of its task.
    #[error("{path}, item {item} (counted from 0): `{field}` of task `{task}`: {reason}")]
    TaskItem {
        /// The file of items.
        path: PathBuf,
        /// The task.
        task: String,
        /// Counted from 0.
        item: usize,
        /// The field of the definition.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A line of a file of items is no object.
    #[error("{path}, line {line}: expected a JSON object, the fields of an item: {reason}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A Parquet file of items cannot be read.
    #[error("{path}: expected a Parquet file with an item a row: {reason}")]
    ParquetRecords {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The protocol asks for items with named fields, the file is a text.
    #[error(
        "{path}: a task of choices needs items with named fields: a .jsonl, .jsonl.gz, .json.gz or \
         .parquet file"
    )]
    NotRecords {
        /// The file.
        path: PathBuf,
    },
    /// The protocol asks for documents, the file is one running text.
    #[error("{path}: a last-word task needs documents: a .jsonl file with one item a line")]
    NotItems {
        /// The file.
        path: PathBuf,
    },
    /// The tokenizer cannot be read or rebuilt.
    #[error("tokenizer of {path}: {reason}")]
    Tokenizer {
        /// The tokenizer file, or the model file it was rebuilt from.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Calibration text and test text have a document in common.
    #[error(
        "calibration text {calibration} shares a document with test text {test}: \"{excerpt}…\"; \
         choose another calibration text"
    )]
    Overlap {
        /// The calibration file.
        calibration: PathBuf,
        /// The test file.
        test: PathBuf,
        /// How the document begins.
        excerpt: String,
    },
}

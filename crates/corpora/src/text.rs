//! Texts: rows or documents, and what the protocols make of them.

use std::path::{Path, PathBuf};

use crate::{CorpusError, formats};

/// What joins rows and documents to a running text.
const SEPARATOR: &str = "\n\n";

/// A text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    path: PathBuf,
    shape: Shape,
    parts: Vec<String>,
    distances: Vec<Option<u32>>,
}

/// What an entry of a text file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A row of a WikiText split as the Hub serves it: with its own newline, empty where it is blank.
    Rows,
    /// A whole document, or an item of a last-word task.
    Documents,
}

/// How a text file is read where its format leaves that open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What an entry is; a Parquet file does not say it.
    pub shape: Option<Shape>,
    /// Only so many entries from the beginning; none means all.
    pub entries: Option<usize>,
}

impl Text {
    /// Reads the whole of a file whose format says what its entries are: `.raw` (WikiText), or `.jsonl`,
    /// `.jsonl.gz`, `.json.gz` (an object with `text` a line).
    ///
    /// # Errors
    /// Another format, an entry without text, or no text at all.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        Self::read_as(path, Reading::default())
    }

    /// Reads a file as it is said to be; so `.parquet` (a column `text`) can be read too.
    ///
    /// # Errors
    /// As [`Text::read`], and where the format says another shape.
    pub fn read_as(path: &Path, reading: Reading) -> Result<Self, CorpusError> {
        let formats::Entries { shape, texts, distances } = formats::read(path, reading)?;
        let text = Self { path: path.to_owned(), shape, parts: texts, distances };
        if text.parts.iter().all(|part| part.trim().is_empty()) {
            return Err(CorpusError::Empty { path: path.to_owned() });
        }
        Ok(text)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows or documents joined by a blank line, as the `ppl-T` protocol asks.
    pub fn joined(&self) -> String {
        self.parts.join(SEPARATOR)
    }

    /// The items of a last-word task.
    ///
    /// # Errors
    /// Where the file is a running text.
    pub fn items(&self) -> Result<&[String], CorpusError> {
        match self.shape {
            Shape::Documents => Ok(&self.parts),
            Shape::Rows => Err(CorpusError::NotItems { path: self.path.clone() }),
        }
    }

    /// Sentences between the place where an item's last word was settled and the question, where the file
    /// says so (`distance_sentences`).
    pub fn distance_sentences(&self, item: usize) -> Option<u32> {
        self.distances.get(item).copied().flatten()
    }

    /// What counts as one document when two texts are compared: a document; among rows of WikiText an
    /// article, which starts at a heading of the first level.
    pub fn documents(&self) -> Vec<String> {
        match self.shape {
            Shape::Documents => self.parts.clone(),
            Shape::Rows => {
                let mut articles: Vec<String> = Vec::new();
                for row in &self.parts {
                    match articles.last_mut() {
                        Some(article) if !is_title(row) => article.push_str(row),
                        _ => articles.push(row.clone()),
                    }
                }
                articles
            }
        }
    }
}

/// ` = Title = `, not ` = = Section = = `.
fn is_title(row: &str) -> bool {
    let row = row.trim_end_matches('\n');
    row.starts_with(" = ") && row.ends_with(" = ") && !row.starts_with(" = = ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn wikitext_rows_keep_their_newline_and_blank_ones_are_empty() {
        let (_folder, path) =
            written("a.raw", " \n = Title = \n \n Body one . \n = = Part = = \n = Other = \n");
        let text = Text::read(&path).unwrap();
        assert_eq!(
            text.joined(),
            "\n\n = Title = \n\n\n\n\n Body one . \n\n\n = = Part = = \n\n\n = Other = \n"
        );
        assert_eq!(
            text.documents().len(),
            3,
            "what stands before the first title, and two articles"
        );
        assert!(text.items().is_err());
    }

    #[test]
    fn a_bad_line_is_named() {
        let (_folder, path) = written("a.jsonl", "{\"text\": \"one\"}\n{\"txt\": 2}\n");
        let error = Text::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn other_shapes_and_empty_files_are_refused() {
        let (_folder, path) = written("a.txt", "words");
        assert!(matches!(Text::read(&path), Err(CorpusError::UnknownFormat { .. })));
        let (_folder, path) = written("a.raw", " \n \n");
        assert!(matches!(Text::read(&path), Err(CorpusError::Empty { .. })));
    }
}

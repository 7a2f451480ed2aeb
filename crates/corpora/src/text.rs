//! Text files of the two shapes that evaluation data comes in.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::CorpusError;

/// What joins rows and documents to a running text.
const SEPARATOR: &str = "\n\n";

/// A text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    path: PathBuf,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// Rows of a WikiText split as the Hub serves them: each with its own newline, blank ones empty.
    Rows(Vec<String>),
    /// One document a line.
    Documents(Vec<String>),
}

#[derive(Deserialize)]
struct Line {
    text: String,
}

impl Text {
    /// Reads `.raw` (WikiText) or `.jsonl` (objects with `text`).
    ///
    /// # Errors
    /// Another shape, a line that is not such an object, or no text at all.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let content = std::fs::read_to_string(path)
            .map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
        let shape = match path.extension().and_then(|e| e.to_str()) {
            Some("raw") => Shape::Rows(content.split_inclusive('\n').map(row).collect()),
            Some("jsonl") => Shape::Documents(documents(path, &content)?),
            _ => return Err(CorpusError::UnknownShape { path: path.to_owned() }),
        };
        let text = Self { path: path.to_owned(), shape };
        if text.parts().iter().all(|part| part.trim().is_empty()) {
            return Err(CorpusError::Empty { path: path.to_owned() });
        }
        Ok(text)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn parts(&self) -> &[String] {
        match &self.shape {
            Shape::Rows(parts) | Shape::Documents(parts) => parts,
        }
    }

    /// Rows or documents joined by a blank line, as the `ppl-T` protocol asks.
    pub fn joined(&self) -> String {
        self.parts().join(SEPARATOR)
    }

    /// The items of a last-word task.
    ///
    /// # Errors
    /// Where the file is a running text.
    pub fn items(&self) -> Result<&[String], CorpusError> {
        match &self.shape {
            Shape::Documents(documents) => Ok(documents),
            Shape::Rows(_) => Err(CorpusError::NotItems { path: self.path.clone() }),
        }
    }

    /// What counts as one document when two texts are compared: a line of a .jsonl file; in a
    /// WikiText file an article, which starts at a heading of the first level.
    pub fn documents(&self) -> Vec<String> {
        match &self.shape {
            Shape::Documents(documents) => documents.clone(),
            Shape::Rows(rows) => {
                let mut articles: Vec<String> = Vec::new();
                for row in rows {
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

/// A row as the Hub has it: a blank line of the file (`" \n"`) is an empty row.
fn row(line: &str) -> String {
    if line.trim().is_empty() { String::new() } else { line.to_owned() }
}

/// ` = Title = `, not ` = = Section = = `.
fn is_title(row: &str) -> bool {
    let row = row.trim_end_matches('\n');
    row.starts_with(" = ") && row.ends_with(" = ") && !row.starts_with(" = = ")
}

fn documents(path: &Path, content: &str) -> Result<Vec<String>, CorpusError> {
    let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| match serde_json::from_str::<Line>(line) {
            Ok(line) => Ok(line.text),
            Err(error) => Err(CorpusError::Line {
                path: path.to_owned(),
                line: index + 1,
                reason: error.to_string(),
            }),
        })
        .collect()
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
        assert!(matches!(Text::read(&path), Err(CorpusError::UnknownShape { .. })));
        let (_folder, path) = written("a.raw", " \n \n");
        assert!(matches!(Text::read(&path), Err(CorpusError::Empty { .. })));
    }
}

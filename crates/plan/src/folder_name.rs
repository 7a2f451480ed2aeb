//! Names that become folders: of runs, models, texts and recipes, and of cells' files. One rule,
//! whoever reads or writes such a name.

/// Characters that a name has at most. With its key in front (`dataset=…`) it is one folder, and file
/// systems take 255 bytes.
pub const LONGEST_FOLDER_NAME: usize = 100;

/// What readers of partitioned tables take for no value at all: the first by convention, the second, in
/// any case, by DuckDB.
const NO_NAMES: [&str; 2] = ["__HIVE_DEFAULT_PARTITION__", "null"];

/// A name that cannot name a folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderNameError {
    /// Nothing, or a character that not every file system and shell takes.
    #[error("`{0}` names a folder: use letters, digits, . _ - only")]
    Characters(String),
    /// `.`, `..`, or a hidden folder, which many programs pass over.
    #[error("`{0}` names a folder: it must not begin with a dot")]
    Hidden(String),
    /// More than [`LONGEST_FOLDER_NAME`] characters.
    #[error("`{start}…` names a folder: it has {length} characters, {LONGEST_FOLDER_NAME} is most")]
    Long {
        /// How it begins.
        start: String,
        /// How long it is.
        length: usize,
    },
    /// A word that stands for no name.
    #[error("`{0}` names a folder: readers of its tables would take that for no name")]
    Nothing(String),
}

/// Whether a name can name a folder of the results: ASCII letters, digits, `.`, `_` and `-`, no dot in
/// front, at most [`LONGEST_FOLDER_NAME`] of them.
///
/// # Errors
/// What is wrong with it, and what is right.
pub fn check_folder_name(name: &str) -> Result<(), FolderNameError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let length = name.chars().count();
    if length > LONGEST_FOLDER_NAME {
        let start = name.chars().take(20).collect();
        return Err(FolderNameError::Long { start, length });
    }
    if name.is_empty() || !name.chars().all(valid) {
        return Err(FolderNameError::Characters(name.to_owned()));
    }
    if name.starts_with('.') {
        return Err(FolderNameError::Hidden(name.to_owned()));
    }
    if NO_NAMES.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        return Err(FolderNameError::Nothing(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_name_a_folder_is_refused_with_its_reason() {
        let long = "a".repeat(LONGEST_FOLDER_NAME);
        for name in ["opt-1.3b", "01001", "2024-01-01", "a_b", "A", "nullable", &long] {
            assert_eq!(check_folder_name(name), Ok(()), "{name}");
        }
        for (name, word) in [
            ("", "letters, digits"),
            ("a/b", "letters, digits"),
            ("a b", "letters, digits"),
            ("a=b", "letters, digits"),
            ("é", "letters, digits"),
            (".", "begin with a dot"),
            ("..", "begin with a dot"),
            (".hidden", "begin with a dot"),
            (&format!("{long}a"), "it has 101 characters, 100 is most"),
            ("__HIVE_DEFAULT_PARTITION__", "no name"),
            ("NULL", "no name"),
        ] {
            let error = check_folder_name(name).unwrap_err().to_string();
            assert!(error.contains(word), "{name}: {error}");
        }
    }
}

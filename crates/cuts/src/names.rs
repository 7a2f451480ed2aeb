//! Methods by their names.

use crate::CutError;

/// The entry of a table.
pub(crate) fn by_name<T: Copy>(name: &str, table: &[(&str, T)]) -> Result<T, CutError> {
    table.iter().find(|(known, _)| *known == name).map(|(_, entry)| *entry).ok_or_else(|| {
        let known: Vec<String> = table.iter().map(|(known, _)| format!("`{known}`")).collect();
        CutError::UnknownMethod { name: name.to_owned(), known: known.join(", ") }
    })
}

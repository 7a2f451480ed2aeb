//! Protocol `ppl-T`: disjoint windows of a running text.

use crate::{CorpusError, Text, Tokenizer};

/// Encodes the joined text once, with the special tokens that the tokenizer adds by itself, and cuts
/// it into disjoint windows of `window_tokens` ids; the tail is dropped.
///
/// # Shapes
/// - returns: at most `limit` windows, each of `window_tokens` ids, and the number of ids of the text
///
/// # Errors
/// A text shorter than one window, and an id in a window that the model has no row for.
pub fn windows(
    text: &Text,
    tokenizer: &Tokenizer,
    window_tokens: usize,
    limit: Option<usize>,
) -> Result<(Vec<Vec<u32>>, usize), CorpusError> {
    let ids = tokenizer.encode(&text.joined())?;
    let windows: Vec<Vec<u32>> = ids
        .chunks_exact(window_tokens)
        .take(limit.unwrap_or(usize::MAX))
        .map(<[u32]>::to_vec)
        .collect();
    if windows.is_empty() {
        return Err(CorpusError::TooShort {
            path: text.path().to_owned(),
            ids: ids.len(),
            window: window_tokens,
        });
    }
    windows.iter().try_for_each(|window| tokenizer.check(window, text.path()))?;
    Ok((windows, ids.len()))
}

//! Protocol `ppl-T`: disjoint windows of a running text.

use super::{Ask, Items, Source, Task};
use crate::{CorpusError, Item, Text, Tokenizer};

/// Windows of so many ids.
struct Perplexity {
    window_tokens: usize,
}

/// `ppl-T`, T at least 2.
pub(super) fn by_name(name: &str) -> Option<Result<Box<dyn Task>, CorpusError>> {
    let window_tokens = name.strip_prefix("ppl-")?.parse().ok().filter(|tokens| *tokens >= 2)?;
    Some(Ok(Box::new(Perplexity { window_tokens })))
}

impl Task for Perplexity {
    fn items(&self, source: Source<'_>, ask: Ask<'_>) -> Result<Items, CorpusError> {
        let Ask { tokenizer, limit, .. } = ask;
        let (windows, n_ids) = windows(source.text()?, tokenizer, self.window_tokens, limit)?;
        let items = Item::windows(windows);
        Ok(Items { items, n_ids: Some(n_ids) })
    }
}

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

/// The windows of a calibration text. What is chosen on a text hangs on how much of it is read, so a
/// limit beyond the text is refused: the same cell would rest on fewer windows than it says.
///
/// # Shapes
/// - returns: `limit` windows, each of `window_tokens` ids; without a limit all
///
/// # Errors
/// A text shorter than one window, or than `limit` of them.
pub fn calibration_windows(
    text: &Text,
    tokenizer: &Tokenizer,
    window_tokens: usize,
    limit: Option<usize>,
) -> Result<Vec<Vec<u32>>, CorpusError> {
    let (windows, _) = windows(text, tokenizer, window_tokens, limit)?;
    match limit {
        Some(limit) if windows.len() < limit => Err(CorpusError::TooFewWindows {
            path: text.path().to_owned(),
            windows: windows.len(),
            window: window_tokens,
            limit,
        }),
        _ => Ok(windows),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_limit_beyond_a_calibration_text_is_told() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/llama");
        let tokenizer = Tokenizer::from_file(&golden.join("tokenizer.json")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.raw");
        std::fs::write(&path, " the cat sat on the mat , and the cat ran .\n".repeat(20)).unwrap();
        let text = Text::read(&path).unwrap();
        let (all, n_ids) = windows(&text, &tokenizer, 16, None).unwrap();
        assert!(all.len() > 2 && n_ids < 16 * (all.len() + 1));
        let of = |limit| calibration_windows(&text, &tokenizer, 16, limit);
        assert_eq!(of(None).unwrap(), all);
        assert_eq!(of(Some(2)).unwrap(), all[..2]);
        assert_eq!(of(Some(all.len())).unwrap(), all);
        let error = of(Some(all.len() + 1)).unwrap_err().to_string();
        let told = format!(
            "has {} windows of 16 token ids, and {} are asked for",
            all.len(),
            all.len() + 1
        );
        assert!(error.contains(&told), "{error}");
    }
}

//! Byte-level BPE, built from a vocabulary and merge rules.

use ahash::AHashMap;
use tokenizers::{AddedToken, models::bpe::BPE, processors::template::TemplateProcessing};

/// The model itself.
pub(super) fn model(
    vocabulary: impl IntoIterator<Item = (String, u32)>,
    merges: &[impl AsRef<str>],
    ignore_merges: bool,
) -> Result<BPE, String> {
    let merges = merges
        .iter()
        .map(|rule| match rule.as_ref().split(' ').collect::<Vec<_>>().as_slice() {
            [left, right] => Ok(((*left).to_owned(), (*right).to_owned())),
            _ => Err(format!("a merge rule is not two pieces: `{}`", rule.as_ref())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    BPE::builder()
        .vocab_and_merges(vocabulary.into_iter().collect::<AHashMap<_, _>>(), merges)
        .ignore_merges(ignore_merges)
        .build()
        .map_err(|error| error.to_string())
}

/// Puts an id in front of every text and one behind it.
pub(super) fn surround(
    inner: &mut tokenizers::Tokenizer,
    before: Option<u32>,
    behind: Option<u32>,
) -> Result<(), String> {
    // The library reads a template word by word: names of its own, since a token may hold a space.
    let named = [("before", before), ("behind", behind)];
    let named = named.map(|(name, id)| id.map(|id| (name.to_owned(), id)));
    let [before, behind] = [0, 1].map(|at| named[at].as_ref().map(|(name, _)| name.as_str()));
    let words: Vec<&str> = [before, Some("$A"), behind].into_iter().flatten().collect();
    let template = TemplateProcessing::builder()
        .try_single(words.join(" "))?
        .special_tokens(named.iter().flatten().cloned().collect::<Vec<_>>())
        .build()
        .map_err(|error| error.to_string())?;
    inner.with_post_processor(Some(template));
    Ok(())
}

/// A token that is never cut, found in the text as it is.
pub(super) fn whole(text: &str, special: bool) -> AddedToken {
    AddedToken::from(text, special).normalized(false)
}

//! What SentencePiece does to the ends of a text before all else, and the library cannot be told: white
//! space vanishes, and a space is put in front.

use std::borrow::Cow;

use tokenizers::{AddedVocabulary, normalizers::Precompiled};

/// What is done to the ends of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    /// Put a space in front.
    pub(super) space: bool,
    /// Take away what is white space, or becomes it by the map of characters.
    pub(super) trimmed: bool,
    pub(super) map: Option<Precompiled>,
}

impl Edges {
    /// The text with its ends done. A text that begins with an added token gets no space.
    pub(super) fn apply<'a>(&self, text: &'a str, added: &AddedVocabulary) -> Cow<'a, str> {
        let text = match self.trimmed {
            true => text.trim_matches(|c| self.vanishes(c)),
            false => text,
        };
        let added = added.get_vocab();
        #[allow(clippy::iter_over_hash_type, reason = "whether there is one hangs on no order")]
        let begins_added = || added.keys().any(|token| text.starts_with(token.as_str()));
        match self.space && !text.is_empty() && !begins_added() {
            true => Cow::Owned(format!(" {text}")),
            false => Cow::Borrowed(text),
        }
    }

    fn vanishes(&self, c: char) -> bool {
        let mut bytes = [0; 4];
        let becomes = |map: &Precompiled| map.transform(c.encode_utf8(&mut bytes)).map(is_blank);
        c == ' ' || self.map.as_ref().and_then(becomes).unwrap_or(false)
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c == ' ')
}

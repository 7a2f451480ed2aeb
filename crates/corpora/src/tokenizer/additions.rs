//! Special and added tokens on top of a vocabulary, in the order and by the rules of
//! `TokenizersBackend` of transformers 5.23.

use std::{collections::BTreeMap, path::Path};

use tokenizers::{AddedToken, Model as _, Tokenizer};

use super::{
    byte_level::{surround, whole},
    class::Class,
    files::bad,
    settings::Settings,
};
use crate::CorpusError;

/// Adds what the settings name and the vocabulary does not have yet, or has as an ordinary token.
///
/// # Errors
/// A token that two files give different ids.
pub(super) fn add(
    inner: &mut Tokenizer,
    vocabulary: &Path,
    settings: &Settings,
    class: Class,
) -> Result<(), CorpusError> {
    let refused = |error: tokenizers::Error| bad(vocabulary, error.to_string());
    // One call for all of them: each call builds the search for added tokens again.
    let mut tokens: Vec<AddedToken> = Vec::new();
    let mut expected = BTreeMap::new();
    for (id, (token, file)) in &settings.by_id {
        tokens.push(token.clone());
        expected.insert(token.content.as_str(), (*id, *file));
    }
    let known = inner.get_added_tokens_decoder();
    let mut known: Vec<&str> = known.values().map(|token| token.content.as_str()).collect();
    known.extend(expected.keys());
    let mut further = named(settings, class);
    further.extend(settings.extra.iter().cloned());
    let all = further.clone();
    further.retain(|token| !known.contains(&token.content.as_str()));
    for token in further {
        // Two names of one token may have other settings: the later one stands.
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    inner.add_tokens(tokens.clone()).map_err(refused)?;
    for token in &tokens {
        let text = token.content.as_str();
        let id = inner
            .token_to_id(text)
            .ok_or_else(|| bad(vocabulary, format!("`{text}` has no id")))?;
        if let Some((said, file)) = expected.get(text).filter(|(said, _)| *said != id) {
            let file = vocabulary.with_file_name(file);
            return Err(bad(
                &file,
                format!(
                    "`{text}` has the id {said} there, and by {} it has {id}; one of the two is of \
                     another model",
                    vocabulary.display()
                ),
            ));
        }
        // Where ids are left out, the library counts on from the number of tokens.
        if let Some(other) = inner.get_model().id_to_token(id).filter(|other| other != text) {
            let reason = format!("`{text}` and `{other}` both have the id {id}");
            return Err(bad(vocabulary, reason));
        }
    }
    if class == Class::Qwen2 {
        let all = all.into_iter().map(|token| AddedToken::from(token.content, true));
        inner.add_tokens(all).map_err(refused)?;
    }
    Ok(())
}

/// The tokens with a name: those of the class where the settings do not name another.
fn named(settings: &Settings, class: Class) -> Vec<AddedToken> {
    let defaults = class.defaults().iter();
    let defaults = defaults.filter(|(name, _)| !settings.named.iter().any(|(n, _)| n == name));
    let mut tokens: Vec<(&str, AddedToken)> =
        defaults.map(|(name, text)| (*name, whole(text, true))).collect();
    for (name, token) in &settings.named {
        tokens.extend(token.iter().map(|token| (name.as_str(), token.clone())));
    }
    tokens.sort_by_key(|(name, _)| Settings::rank(name));
    tokens.into_iter().map(|(_, token)| token).collect()
}

/// Puts the tokens in front and behind that `add_bos_token` and `add_eos_token` ask for; where the class
/// knows none, none is put.
///
/// # Errors
/// A token that two files name differently.
pub(super) fn frame(
    inner: &mut Tokenizer,
    vocabulary: &Path,
    settings: &Settings,
    class: Class,
) -> Result<(), CorpusError> {
    let id = |asked: Option<bool>, name: &str| -> Result<Option<u32>, CorpusError> {
        let Some(token) = settings.token(name, class).filter(|_| asked == Some(true)) else {
            return Ok(None);
        };
        if settings.disputed.iter().any(|disputed| disputed == name) {
            let file = vocabulary.with_file_name("tokenizer_config.json");
            let reason = format!(
                "`{name}` stands around every text, and special_tokens_map.json names another \
                 (`{token}`): make the two agree"
            );
            return Err(bad(&file, reason));
        }
        let id = inner.token_to_id(token);
        id.map(Some).ok_or_else(|| bad(vocabulary, format!("{name} `{token}` has no id")))
    };
    let (bos, eos) = (id(settings.add_bos, "bos_token")?, id(settings.add_eos, "eos_token")?);
    surround(inner, bos, eos).map_err(|reason| bad(vocabulary, reason))
}

//! The tokenizer in the metadata of a file.

use checkpoints::GgufValue;

/// A tokenizer as the metadata of a GGUF file says it.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufTokenizer {
    /// Keys and values; of a list with an entry for each token, the entries that there are.
    pub entries: Vec<(String, GgufValue)>,
}

const TOKENS: &str = "tokenizer.ggml.tokens";
const KINDS: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";

/// A kind of token that no text holds.
const UNUSED: i32 = 5;

impl GgufTokenizer {
    /// The entries for a model with so many rows of embeddings, and what there is to say. A row without a
    /// token gets one that no text holds, since llama.cpp counts rows by tokens.
    pub(super) fn entries(
        tokenizer: Option<&Self>,
        rows: usize,
    ) -> (Vec<(String, GgufValue)>, Vec<String>) {
        let Some(own) = tokenizer else {
            let none = GgufValue::Text("none".to_owned());
            let note = "the file has no tokenizer: llama.cpp can be given ids only".to_owned();
            return (vec![("tokenizer.ggml.model".to_owned(), none)], vec![note]);
        };
        let mut entries = own.entries.clone();
        for (key, value) in &mut entries {
            match (key.as_str(), value) {
                (TOKENS, GgufValue::Texts(tokens)) => {
                    let missing = tokens.len()..rows;
                    tokens.extend(missing.map(|id| format!("[PAD{id}]")));
                }
                (KINDS, GgufValue::I32s(kinds)) => kinds.resize(kinds.len().max(rows), UNUSED),
                (SCORES, GgufValue::F32s(scores)) => scores.resize(scores.len().max(rows), -1000.0),
                _ => {}
            }
        }
        (entries, Vec::new())
    }
}

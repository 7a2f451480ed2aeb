//! The tokenizer that a GGUF file carries.

use super::{GgufFile, metadata};
use crate::LoadError;

/// What a GGUF file says of its tokenizer: enough to rebuild a byte-level BPE tokenizer.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Token texts in id order, in the byte-level alphabet.
    pub tokens: Vec<String>,
    /// Whether the token of each id is a control token (`<|endoftext|>` and the like).
    pub control: Vec<bool>,
    /// Merge rules `"left right"`, strongest first.
    pub merges: Vec<String>,
    /// Kind of model, `gpt2` for byte-level BPE.
    pub model: String,
    /// Name of the pre-tokenizer, such as `smollm`.
    pub pre_tokenizer: String,
    /// Id put in front of every text, if the file asks for it.
    pub bos: Option<u32>,
}

/// The value of `tokenizer.ggml.token_type` for control tokens.
const CONTROL: i64 = 3;

impl GgufFile {
    /// The tokenizer of the file.
    ///
    /// # Errors
    /// Metadata without a tokenizer, or with values of another type.
    pub fn vocabulary(&self) -> Result<Vocabulary, LoadError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let text = |name: &str| self.required(&key(name), self.text(&key(name))?);
        let texts = |name: &str| self.required(&key(name), self.texts(&key(name))?);
        let kinds = key("token_type");
        let control = self.optional(&kinds, "a list of whole numbers", |value| {
            let kinds = metadata::scalars(value)?;
            kinds.into_iter().map(|kind| Some(metadata::whole(kind)? == CONTROL)).collect()
        })?;
        let bos = key("bos_token_id");
        let bos = match self.flag(&key("add_bos_token"))?.unwrap_or(false) {
            true => {
                let id = self.required(&bos, self.count(&bos)?)?;
                Some(u32::try_from(id).map_err(|_| self.bad(&bos, "is no id"))?)
            }
            false => None,
        };
        Ok(Vocabulary {
            tokens: texts("tokens")?,
            control: self.required(&kinds, control)?,
            merges: texts("merges")?,
            model: text("model")?,
            pre_tokenizer: text("pre")?,
            bos,
        })
    }
}

//! The tokenizer of a GGUF file, rebuilt from its metadata.

use std::path::Path;

use tokenizers::{AddedToken, decoders::byte_level::ByteLevel};

use super::{
    Tokenizer,
    byte_level::{model, surround, whole},
    edges::Edges,
    files::bad,
    pieces::{self, Kind, Piece, Prefix, Rules},
    pre_tokenizers::Known,
};
use crate::CorpusError;

/// What a GGUF file says of its tokenizer (`tokenizer.ggml.*`), as it says it.
#[derive(Clone, Debug)]
pub struct Metadata<'a> {
    /// The file it comes from, for messages.
    pub path: &'a Path,
    /// `gpt2` is byte-level BPE, `llama` SentencePiece's BPE, `t5` its unigram.
    pub model: &'a str,
    /// Name of the pre-tokenizer.
    pub pre_tokenizer: Option<&'a str>,
    /// Token texts in id order.
    pub tokens: &'a [String],
    /// Their scores.
    pub scores: Option<&'a [f32]>,
    /// Their kinds: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub kinds: Option<&'a [u8]>,
    /// Merge rules `"left right"`, strongest first.
    pub merges: Option<&'a [String]>,
    /// SentencePiece's map of characters.
    pub charsmap: Option<&'a [u8]>,
    /// Id for the beginning of a text.
    pub bos: Option<u32>,
    /// Id for its end.
    pub eos: Option<u32>,
    /// Id of what is not in the vocabulary.
    pub unknown: Option<u32>,
    /// Whether `bos` is put in front of every text.
    pub add_bos: Option<bool>,
    /// Whether `eos` is put behind every text.
    pub add_eos: Option<bool>,
    /// Whether a space is put in front of every text.
    pub add_space_prefix: Option<bool>,
    /// Whether runs of spaces become one and those at the ends vanish.
    pub remove_extra_whitespaces: Option<bool>,
}

impl Tokenizer {
    /// Rebuilds the tokenizer of a GGUF file. What a missing key stands for is what llama.cpp takes.
    ///
    /// # Errors
    /// A kind of tokenizer or a pre-tokenizer that is not known, or lists that do not fit each other.
    pub fn from_gguf(metadata: &Metadata<'_>) -> Result<Self, CorpusError> {
        let refused = |reason: String| bad(metadata.path, reason);
        let (mut inner, edges, add_bos) = match metadata.model {
            "gpt2" => metadata.byte_level().map_err(refused)?,
            "llama" => metadata.sentencepiece(false).map_err(refused)?,
            "t5" => metadata.sentencepiece(true).map_err(refused)?,
            other => {
                return Err(refused(format!(
                    "tokenizer.ggml.model: `{other}` cannot be rebuilt; gpt2 (byte-level BPE), llama \
                     and t5 (SentencePiece) can. Use the model's folder with its tokenizer.json instead"
                )));
            }
        };
        let id = |asked: bool, key: &str, id: Option<u32>| match (asked, id) {
            (false, _) => Ok(None),
            (true, Some(id)) if (id as usize) < metadata.tokens.len() => Ok(Some(id)),
            (true, Some(id)) => Err(refused(format!(
                "tokenizer.ggml.{key}: {id} is outside of the {} tokens",
                metadata.tokens.len()
            ))),
            (true, None) => Err(refused(format!(
                "tokenizer.ggml.{key} is missing, and the token is to stand around every text"
            ))),
        };
        let before = id(metadata.add_bos.unwrap_or(add_bos), "bos_token_id", metadata.bos)?;
        let add_eos = metadata.add_eos.unwrap_or(metadata.model == "t5");
        let behind = id(add_eos, "eos_token_id", metadata.eos)?;
        surround(&mut inner, before, behind).map_err(refused)?;
        Self::finished(metadata.path, inner, edges)
    }
}

/// A tokenizer, what is done to the ends of a text, and whether `bos` is put in front by default.
type Built = (tokenizers::Tokenizer, Edges, bool);

impl Metadata<'_> {
    fn kind(&self, id: usize) -> Result<Kind, String> {
        let Some(kinds) = self.kinds else { return Ok(Kind::Normal) };
        let kind = kinds.get(id).and_then(|kind| Kind::of(u64::from(*kind)));
        kind.ok_or_else(|| format!("tokenizer.ggml.token_type: token {id} has no kind"))
    }

    fn byte_level(&self) -> Result<Built, String> {
        let merges = self.merges.ok_or("tokenizer.ggml.merges is missing")?;
        let known = Known::of(self.pre_tokenizer.unwrap_or("default"))?;
        let vocabulary = self.tokens.iter().cloned().zip(0..);
        let mut inner = tokenizers::Tokenizer::new(model(vocabulary, merges, known.ignore_merges)?);
        let refused = |error: tokenizers::Error| error.to_string();
        inner.with_pre_tokenizer(Some(known.build().map_err(refused)?));
        // For whoever turns ids into text with the tokenizer.json that is made of it.
        inner.with_decoder(Some(ByteLevel::default()));
        let mut added: Vec<AddedToken> = Vec::new();
        for (id, token) in self.tokens.iter().enumerate() {
            match self.kind(id)? {
                Kind::Control => added.push(whole(token, true)),
                Kind::UserDefined => added.push(whole(token, false)),
                _ => {}
            }
        }
        added.extend(self.named().map(|token| whole(token, true)));
        inner.add_tokens(added).map_err(refused)?;
        Ok((inner, Edges::default(), known.add_bos))
    }

    fn sentencepiece(&self, unigram: bool) -> Result<Built, String> {
        let scores = self.scores.ok_or("tokenizer.ggml.scores is missing")?;
        if scores.len() != self.tokens.len() || self.kinds.is_none() {
            return Err(
                "tokenizer.ggml.scores and token_type: one for each token is expected".into()
            );
        }
        if self.merges.is_some_and(|merges| !merges.is_empty()) {
            return Err("tokenizer.ggml.merges stands beside the scores of a SentencePiece \
                        vocabulary, and one of the two decides: convert the model again"
                .into());
        }
        let mut pieces = Vec::with_capacity(self.tokens.len());
        for (id, (text, score)) in self.tokens.iter().zip(scores).enumerate() {
            // llama.cpp takes this id for what is unknown, whatever its kind.
            let kind = match self.unknown {
                Some(unknown) if unknown as usize == id => Kind::Unknown,
                _ => self.kind(id)?,
            };
            pieces.push(Piece { text: text.clone(), score: *score, kind });
        }
        let prefix =
            if self.add_space_prefix.unwrap_or(true) { Prefix::First } else { Prefix::None };
        let charsmap = self.charsmap.map(<[u8]>::to_vec);
        let tidy = self.remove_extra_whitespaces.unwrap_or(false);
        let (mut inner, edges) = pieces::build(pieces, &Rules { unigram, prefix, tidy, charsmap })?;
        let named: Vec<AddedToken> = self.named().map(|token| whole(token, true)).collect();
        inner.add_tokens(named).map_err(|error| error.to_string())?;
        Ok((inner, edges, !unigram))
    }

    /// The tokens that the file names; found in a text whatever their kind.
    fn named(&self) -> impl Iterator<Item = &String> {
        let ids = [self.bos, self.eos, self.unknown].into_iter().flatten();
        ids.filter_map(|id| self.tokens.get(id as usize))
    }
}

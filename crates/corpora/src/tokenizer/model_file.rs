//! tokenizer.model: the file that SentencePiece writes (`sentencepiece_model.proto`).

use super::{
    pieces::{Kind, Piece},
    protobuf::{Broken, Fields, Value},
};
/// What else can be done where a file is of another kind.
const CONVERT: &str = "convert it with transformers: \
    `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)` writes tokenizer.json";

/// What the file says, with the defaults of the format.
#[derive(Clone, Debug)]
pub(super) struct ModelFile {
    pub(super) pieces: Vec<Piece>,
    /// Unigram, or BPE.
    pub(super) unigram: bool,
    /// `bos_token`, `eos_token` and `unk_token`, where the model has them.
    pub(super) special: [(&'static str, Option<String>); 3],
    pub(super) charsmap: Option<Vec<u8>>,
    pub(super) dummy_prefix: bool,
    pub(super) tidy: bool,
}

impl ModelFile {
    /// Takes the bytes of a file apart.
    ///
    /// # Errors
    /// Another kind of file, a damaged one, or a kind of model that is not read.
    pub(super) fn parse(message: &[u8]) -> Result<Self, String> {
        if is_tiktoken(message) {
            return Err(format!("is a vocabulary of tiktoken and not of SentencePiece; {CONVERT}"));
        }
        let broken = |_: Broken| {
            format!("is no file of SentencePiece, or damaged: fetch it again, or {CONVERT}")
        };
        let (mut pieces, mut trainer, mut normalizer) =
            (Vec::new(), Trainer::default(), Normalizer::default());
        for field in Fields::of(message) {
            match field.map_err(broken)? {
                (1, value) => pieces.push(piece(value).map_err(broken)?),
                (2, value) => trainer.read(value).map_err(broken)?,
                (3, value) => normalizer.read(value).map_err(broken)?,
                _ => {}
            }
        }
        if pieces.is_empty() {
            return Err(broken(Broken));
        }
        let unigram = match trainer.kind {
            1 => true,
            2 => false,
            3 => {
                return Err(format!(
                    "is a vocabulary of words (model_type WORD), which is not read; {CONVERT}"
                ));
            }
            4 => {
                return Err(format!(
                    "is a vocabulary of characters (model_type CHAR), which is not read; {CONVERT}"
                ));
            }
            other => return Err(format!("has model_type {other}, which is not known; {CONVERT}")),
        };
        if trainer.suffix || !normalizer.escape {
            let field = if trainer.suffix {
                "treat_whitespace_as_suffix"
            } else {
                "escape_whitespaces: false"
            };
            return Err(format!("has `{field}`, which is not read; {CONVERT}"));
        }
        let special = trainer.special(&pieces);
        Ok(Self {
            pieces,
            unigram,
            special,
            charsmap: normalizer.charsmap,
            dummy_prefix: normalizer.dummy_prefix,
            tidy: normalizer.tidy,
        })
    }
}

/// Lines of a token in base 64 and its rank.
fn is_tiktoken(message: &[u8]) -> bool {
    let line = message.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let token = words.next().unwrap_or_default();
    let of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let rank = words.next().unwrap_or_default();
    !token.is_empty()
        && token.iter().all(of_base64)
        && !rank.is_empty()
        && rank.iter().all(u8::is_ascii_digit)
        && words.next().is_none()
}

fn piece(value: Value<'_>) -> Result<Piece, Broken> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    for field in Fields::of(value.bytes().ok_or(Broken)?) {
        match field? {
            (1, value) => piece.text = value.text().ok_or(Broken)?.to_owned(),
            (2, value) => piece.score = value.float().ok_or(Broken)?,
            (3, value) => piece.kind = value.number().and_then(Kind::of).ok_or(Broken)?,
            _ => {}
        }
    }
    Ok(piece)
}

/// How the model was trained, as far as ids depend on it.
struct Trainer {
    kind: u64,
    suffix: bool,
    /// Of `<unk>`, `<s>` and `</s>`; −1 where there is none.
    ids: [i64; 3],
}

impl Default for Trainer {
    fn default() -> Self {
        Self { kind: 1, suffix: false, ids: [0, 1, 2] }
    }
}

impl Trainer {
    fn read(&mut self, value: Value<'_>) -> Result<(), Broken> {
        for field in Fields::of(value.bytes().ok_or(Broken)?) {
            let (number, value) = field?;
            let whole = || value.number().ok_or(Broken);
            match number {
                3 => self.kind = whole()?,
                24 => self.suffix = whole()? != 0,
                // A negative number is written in two's complement.
                40..=42 => self.ids[number as usize - 40] = whole()?.cast_signed(),
                _ => {}
            }
        }
        Ok(())
    }

    fn special(&self, pieces: &[Piece]) -> [(&'static str, Option<String>); 3] {
        let text = |id: i64| {
            let piece = pieces.get(usize::try_from(id).ok()?)?;
            Some(piece.text.clone())
        };
        let [unk, bos, eos] = self.ids.map(text);
        [("bos_token", bos), ("eos_token", eos), ("unk_token", unk)]
    }
}

/// What is done to a text first.
struct Normalizer {
    charsmap: Option<Vec<u8>>,
    dummy_prefix: bool,
    tidy: bool,
    escape: bool,
}

impl Default for Normalizer {
    fn default() -> Self {
        Self { charsmap: None, dummy_prefix: true, tidy: true, escape: true }
    }
}

impl Normalizer {
    fn read(&mut self, value: Value<'_>) -> Result<(), Broken> {
        for field in Fields::of(value.bytes().ok_or(Broken)?) {
            let (number, value) = field?;
            let flag = || value.number().map(|number| number != 0).ok_or(Broken);
            match number {
                2 => self.charsmap = Some(value.bytes().ok_or(Broken)?.to_owned()),
                3 => self.dummy_prefix = flag()?,
                4 => self.tidy = flag()?,
                5 => self.escape = flag()?,
                _ => {}
            }
        }
        Ok(())
    }
}

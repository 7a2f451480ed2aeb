//! SentencePiece vocabularies: BPE by scores and unigram, as tokenizer.model and GGUF files hold them,
//! built from the library's models.
//!
//! The text is normalised by the character map, its white space is tidied where the file asks for it,
//! spaces become `▁`, and a space is put in front. BPE joins the pair whose piece has the highest score;
//! unigram takes the pieces with the highest sum of scores. What no piece covers becomes bytes, or the
//! unknown piece. Sources: Kudo and Richardson 2018 (arXiv:1808.06226); `normalizer.cc`, `bpe_model.cc`
//! and `unigram_model.cc` of SentencePiece; `convert_slow_tokenizer.py` of transformers.

use std::cmp::Ordering;

use ahash::{AHashMap, AHashSet};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, Tokenizer,
    decoders::{byte_fallback::ByteFallback, fuse::Fuse, sequence, strip::Strip},
    models::{bpe::BPE, unigram::Unigram},
    normalizers::{Precompiled, Replace, Sequence, replace::ReplacePattern},
    pre_tokenizers::metaspace::{Metaspace, PrependScheme},
};

use super::{byte_level::whole, charsmap, edges::Edges};

/// What stands for a space.
const SPACE: char = '▁';

/// What a piece is; the numbers are those of both formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    pub(super) fn of(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

impl Kind {
    /// The number of it.
    pub(super) fn number(self) -> i32 {
        self as i32 + 1
    }
}

/// An entry of the vocabulary; its id is its place.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: Kind,
}

/// Where a space is put in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    None,
    /// Of the text.
    First,
    /// Also of what follows a special token, as transformers' `legacy` has it.
    Always,
}

/// How pieces are found in a text.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) unigram: bool,
    pub(super) prefix: Prefix,
    /// Runs of spaces become one, and those at the ends vanish.
    pub(super) tidy: bool,
    pub(super) charsmap: Option<Vec<u8>>,
}

/// Builds the tokenizer, and what is done to the ends of a text before it.
pub(super) fn build(mut pieces: Vec<Piece>, rules: &Rules) -> Result<(Tokenizer, Edges), String> {
    // What is found in the text as it stands is spelt with spaces, as in GGUF files.
    for piece in pieces.iter_mut().filter(|piece| piece.kind == Kind::UserDefined) {
        piece.text = piece.text.replace(SPACE, " ");
    }
    let pieces = pieces.as_slice();
    check(pieces)?;
    let unknown = pieces.iter().position(|piece| piece.kind == Kind::Unknown);
    let bytes = pieces.iter().any(|piece| piece.kind == Kind::Byte);
    if unknown.is_none() && !bytes {
        return Err("no piece stands for what is unknown, and none for single bytes".to_owned());
    }
    let mut tokenizer = match rules.unigram {
        true => Tokenizer::new(unigram(pieces, unknown, bytes)?),
        false => Tokenizer::new(bpe(pieces, unknown, bytes)?),
    };
    let refused = |error: tokenizers::Error| error.to_string();
    let map = rules.charsmap.as_deref().filter(|map| !map.is_empty()).map(charsmap::read);
    let map = map.transpose().map_err(refused)?;
    tokenizer
        .with_normalizer(Some(normalizer(map.clone(), rules.tidy).map_err(refused)?))
        .map_err(refused)?;
    let always = rules.prefix == Prefix::Always;
    let scheme = if always { PrependScheme::Always } else { PrependScheme::Never };
    // Where no piece reaches into the next word, the best of a text is the best of each word.
    let reaches = |piece: &Piece| piece.text.chars().skip(1).any(|c| c == SPACE);
    let words = rules.unigram && !pieces.iter().any(reaches);
    tokenizer.with_pre_tokenizer(Some(Metaspace::new(SPACE, scheme, words)));
    tokenizer.with_decoder(Some(decoder(rules.prefix).map_err(refused)?));
    let added: Vec<AddedToken> = pieces.iter().filter_map(added).collect();
    tokenizer.add_tokens(added).map_err(refused)?;
    Ok((tokenizer, Edges { space: rules.prefix == Prefix::First, trimmed: rules.tidy, map }))
}

/// Control pieces are special, and user-defined ones are found in the text before anything else.
fn added(piece: &Piece) -> Option<AddedToken> {
    match piece.kind {
        Kind::Control => Some(whole(&piece.text, true)),
        Kind::UserDefined => Some(whole(&piece.text, false)),
        _ => None,
    }
}

fn check(pieces: &[Piece]) -> Result<(), String> {
    let mut seen = AHashMap::new();
    for (id, piece) in pieces.iter().enumerate() {
        if piece.text.is_empty() {
            return Err(format!("piece {id} is empty"));
        }
        if !piece.score.is_finite() {
            return Err(format!("the score of piece {id} is {}", piece.score));
        }
        if let Some(other) = seen.insert(piece.text.as_str(), id) {
            return Err(format!("pieces {other} and {id} are both `{}`", piece.text));
        }
    }
    if !pieces.iter().any(|piece| piece.kind == Kind::Normal && piece.text.contains(SPACE)) {
        return Err(format!(
            "no piece holds `{SPACE}`, which SentencePiece writes for a space: the vocabulary is of \
             another kind or not the whole one; fetch it again, or use the model's tokenizer.json"
        ));
    }
    Ok(())
}

fn bpe(pieces: &[Piece], unknown: Option<usize>, bytes: bool) -> Result<BPE, String> {
    let used = pieces.iter().zip(0..).filter(|(piece, _)| piece.kind != Kind::Unused);
    let vocabulary: AHashMap<String, u32> =
        used.map(|(piece, id)| (piece.text.clone(), id)).collect();
    let mut builder = BPE::builder().vocab_and_merges(vocabulary, merges(pieces)?).fuse_unk(true);
    if let Some(unknown) = unknown {
        builder = builder.unk_token(pieces[unknown].text.clone());
    }
    builder.byte_fallback(bytes).build().map_err(|error| error.to_string())
}

/// Every way to make a piece of two others, the highest score first. Among equal scores the lower id
/// goes first, then the shorter left part.
fn merges(pieces: &[Piece]) -> Result<Vec<(String, String)>, String> {
    let of_kind = |kind| {
        let found = pieces.iter().filter(move |piece| piece.kind == kind);
        found.map(|piece| piece.text.as_str()).collect::<AHashSet<&str>>()
    };
    let (normal, unused) = (of_kind(Kind::Normal), of_kind(Kind::Unused));
    let mut found: Vec<(f32, usize, &str, &str)> = Vec::new();
    for (id, piece) in pieces.iter().enumerate().filter(|(_, piece)| piece.kind == Kind::Normal) {
        for (at, _) in piece.text.char_indices().skip(1) {
            let (left, right) = piece.text.split_at(at);
            if let Some(part) = [left, right].into_iter().find(|part| unused.contains(part)) {
                let whole = &piece.text;
                return Err(format!(
                    "`{part}` is marked as unused and is a part of `{whole}`, which is not supported"
                ));
            }
            if normal.contains(left) && normal.contains(right) {
                found.push((piece.score, id, left, right));
            }
        }
    }
    found.sort_by(|a, b| {
        let score = b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal);
        score.then(a.1.cmp(&b.1)).then(a.2.len().cmp(&b.2.len()))
    });
    Ok(found.into_iter().map(|(_, _, left, right)| (left.to_owned(), right.to_owned())).collect())
}

fn unigram(pieces: &[Piece], unknown: Option<usize>, bytes: bool) -> Result<Unigram, String> {
    if unknown.is_none() {
        return Err("no piece stands for what is unknown".to_owned());
    }
    let scores = pieces.iter().enumerate().map(|(id, piece)| match piece.kind {
        // Found in no text: U+FFFF is no character.
        Kind::Unused => (format!("\u{FFFF}{id}"), f64::from(piece.score)),
        _ => (piece.text.clone(), f64::from(piece.score)),
    });
    Unigram::from(scores.collect(), unknown, bytes).map_err(|error| error.to_string())
}

/// From pieces to text, for whoever reads the tokenizer.json that is made of it.
fn decoder(prefix: Prefix) -> tokenizers::Result<sequence::Sequence> {
    let mut steps: Vec<DecoderWrapper> = vec![
        Replace::new(SPACE.to_string(), " ")?.into(),
        ByteFallback::default().into(),
        Fuse::default().into(),
    ];
    if prefix != Prefix::None {
        steps.push(Strip::new(' ', 1, 0).into());
    }
    Ok(sequence::Sequence::new(steps))
}

fn normalizer(map: Option<Precompiled>, tidy: bool) -> tokenizers::Result<NormalizerWrapper> {
    let mut steps: Vec<NormalizerWrapper> = map.into_iter().map(NormalizerWrapper::from).collect();
    if tidy {
        steps.push(Replace::new(ReplacePattern::Regex(" {2,}".to_owned()), " ")?.into());
    }
    steps.push(Replace::new(" ", SPACE.to_string())?.into());
    Ok(Sequence::new(steps).into())
}

//! The names that GGUF files give to pre-tokenizers, and how each cuts a text before byte-level BPE.
//!
//! Names, patterns and what else hangs on a name are those of llama.cpp (`llama-vocab.cpp`). Where it
//! writes out both cases of a letter for want of `(?i:…)`, the pattern is the one of the model's
//! tokenizer.json.

use serde_json::Value;
use tokenizers::{
    PreTokenizerWrapper, SplitDelimiterBehavior,
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

/// GPT-2's pieces, but for runs of white space at their end, which are what is left over.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";

/// Llama 3: numbers in pieces of three digits.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Qwen 2 and 3: every digit by itself.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Mistral's Tekken: pieces change where lower case is followed by upper case.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How a text is cut, and what else a name decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    names: &'static [&'static str],
    /// One after the other: each cuts the pieces that the one before it left.
    patterns: &'static [&'static str],
    /// A piece that is a token is taken whole, whatever the merges say.
    pub(super) ignore_merges: bool,
    /// Whether the beginning of a text is marked where the file does not say.
    pub(super) add_bos: bool,
}

/// The names that models of the families here have.
const KNOWN: &[Known] = &[
    Known::plain(&["default"], &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
    Known::plain(&["gpt-2", "phi-2", "mpt", "olmo", "jais", "exaone4"], &[GPT2]),
    Known::plain(
        &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
        &[r"\p{N}", GPT2],
    ),
    Known::plain(
        &["qwen2", "stablelm2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"],
        &[QWEN2],
    ),
    Known::plain(&["dbrx", "smaug-bpe"], &[LLAMA3]),
    Known {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "lfm2"],
        patterns: &[LLAMA3],
        ignore_merges: true,
        add_bos: true,
    },
    Known { names: &["tekken"], patterns: &[TEKKEN], ignore_merges: true, add_bos: true },
];

impl Known {
    const fn plain(names: &'static [&'static str], patterns: &'static [&'static str]) -> Self {
        Self { names, patterns, ignore_merges: false, add_bos: false }
    }

    /// The pre-tokenizer of a name.
    ///
    /// # Errors
    /// A name that is not in the table, with all that are.
    pub(super) fn of(name: &str) -> Result<Self, String> {
        let found = KNOWN.iter().find(|known| known.names.contains(&name));
        found.copied().ok_or_else(|| {
            let all: Vec<&str> = KNOWN.iter().flat_map(|known| known.names).copied().collect();
            format!(
                "tokenizer.ggml.pre: the pre-tokenizer `{name}` is not known; known are {}. Use the \
                 model's folder with its tokenizer.json instead",
                all.join(", ")
            )
        })
    }

    /// Cuts by the patterns, then spells the pieces in the byte-level alphabet.
    pub(super) fn build(self) -> tokenizers::Result<PreTokenizerWrapper> {
        let mut steps = self
            .patterns
            .iter()
            .map(|pattern| split(pattern).map(PreTokenizerWrapper::from))
            .collect::<tokenizers::Result<Vec<_>>>()?;
        steps.push(spelling(false).into());
        Ok(Sequence::new(steps).into())
    }
}

/// The name of what a tokenizer.json has for a pre-tokenizer; `None` where llama.cpp has none that does the
/// same.
pub(super) fn name_of(said: &Value, ignore_merges: bool) -> Option<&'static str> {
    let steps: Vec<&Value> = match said["type"].as_str()? {
        "Sequence" => said["pretokenizers"].as_array()?.iter().collect(),
        _ => vec![said],
    };
    let mut patterns: Vec<&str> = Vec::new();
    for step in steps {
        match step["type"].as_str()? {
            "ByteLevel" if step["add_prefix_space"] == true => return None,
            "ByteLevel" if step["use_regex"] == true => patterns.push(GPT2),
            "ByteLevel" => {}
            "Digits" if step["individual_digits"] == true => patterns.push(r"\p{N}"),
            "Split" if step["behavior"] == "Isolated" && step["invert"] != true => {
                patterns.push(step["pattern"]["Regex"].as_str()?);
            }
            _ => return None,
        }
    }
    // GPT-2's class says the white space at the end of its pattern too, which is what is left over anyway.
    let bare = |pattern: &str| pattern.trim_end_matches(r"|\s+").to_owned();
    let same = |known: &&Known| {
        known.ignore_merges == ignore_merges
            && known.patterns.len() == patterns.len()
            && known.patterns.iter().zip(&patterns).all(|(a, b)| bare(a) == bare(b))
    };
    KNOWN.iter().find(same).and_then(|known| known.names.first().copied())
}

/// Qwen 2's pre-tokenizer, as its class in transformers builds it.
pub(super) fn qwen2(add_prefix_space: bool) -> tokenizers::Result<PreTokenizerWrapper> {
    Ok(Sequence::new(vec![split(QWEN2)?.into(), spelling(add_prefix_space).into()]).into())
}

fn split(pattern: &str) -> tokenizers::Result<Split> {
    let pattern = SplitPattern::Regex(pattern.to_owned());
    Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
}

/// Bytes to the byte-level alphabet, without a cut of its own.
fn spelling(add_prefix_space: bool) -> ByteLevel {
    ByteLevel::new(add_prefix_space, true, false)
}

#[cfg(test)]
mod tests {
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

    use super::*;

    fn pieces(name: &str, text: &str) -> Vec<String> {
        let mut cut = PreTokenizedString::from(text);
        Known::of(name).unwrap().build().unwrap().pre_tokenize(&mut cut).unwrap();
        let splits = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
        splits.into_iter().map(|(_, (from, to), _)| text[from..to].to_owned()).collect()
    }

    /// Read off llama.cpp's patterns by hand.
    #[test]
    fn every_kind_cuts_in_its_own_way() {
        let text = "It's 12345  DAYS!\n\n x";
        assert_eq!(pieces("gpt-2", text), ["It", "'s", " 12345", " ", " DAYS", "!", "\n\n", " x"]);
        assert_eq!(
            pieces("smollm", text),
            ["It", "'s", " ", "1", "2", "3", "4", "5", " ", " DAYS", "!", "\n\n", " x"]
        );
        assert_eq!(
            pieces("qwen2", text),
            ["It", "'s", " ", "1", "2", "3", "4", "5", " ", " DAYS", "!\n\n", " x"]
        );
        assert_eq!(
            pieces("llama-bpe", text),
            ["It", "'s", " ", "123", "45", " ", " DAYS", "!\n\n", " x"]
        );
        assert_eq!(pieces("tekken", "aB's"), ["a", "B", "'s"]);
        assert_eq!(pieces("default", "a 12345=b"), ["a", " ", "123", "45", "=", "b"]);
    }

    #[test]
    fn names_are_found_again() {
        for name in ["default", "gpt-2", "smollm", "qwen2", "tekken", "llama-bpe", "dbrx"] {
            let known = Known::of(name).unwrap();
            let built = serde_json::to_value(known.build().unwrap()).unwrap();
            assert_eq!(name_of(&built, known.ignore_merges), Some(name), "{built}");
        }
        let of = |json: &str| name_of(&serde_json::from_str(json).unwrap(), false);
        let plain = r#"{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}"#;
        assert_eq!(of(plain), Some("gpt-2"));
        let digits = format!(
            r#"{{"type": "Sequence", "pretokenizers": [{{"type": "Digits", "individual_digits": true}}, {plain}]}}"#
        );
        assert_eq!(of(&digits), Some("smollm"));
        assert_eq!(of(&plain.replace("false", "true")), None);
        assert_eq!(of(r#"{"type": "Whitespace"}"#), None);
    }

    #[test]
    fn an_unknown_name_is_an_error_with_the_known_ones() {
        let error = Known::of("kimi-k2").unwrap_err();
        assert!(error.contains("`kimi-k2` is not known; known are default, gpt-2"), "{error}");
    }
}

//! The tokenizer of a Hugging Face folder: `tokenizer.json`, or what older folders have in its place:
//! `vocab.json` with `merges.txt`, or `tokenizer.model`; and the files beside them.
//!
//! After `AutoTokenizer.from_pretrained` of transformers 5.23, but for what `tests/golden/README.md`
//! lists. The largest difference: where there is a tokenizer.json, it alone says how a text is normalised
//! and cut; transformers 5 builds that again from the class and loses, for one, the rule by which SmolLM2
//! takes digits one by one.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use serde_json::Value;
use tokenizers::{normalizers::NFC, pre_tokenizers::byte_level::ByteLevel};

use super::{
    Tokenizer, additions, byte_level,
    class::{Class, Said},
    edges::Edges,
    files::{Entries, bad, json, text},
    model_file::ModelFile,
    pieces::{self, Prefix, Rules},
    pre_tokenizers,
    settings::Settings,
};
use crate::CorpusError;

/// Forms that are not read, and what they are.
const OTHER_FORMS: [(&str, &str); 6] = [
    ("tekken.json", "Mistral's Tekken"),
    ("tiktoken.model", "tiktoken's"),
    ("vocab.txt", "WordPiece"),
    ("spiece.model", "SentencePiece under T5's name"),
    ("sentencepiece.bpe.model", "SentencePiece under XLM-R's name"),
    ("rwkv_vocab_v20230424.txt", "RWKV's"),
];

impl Tokenizer {
    /// Reads the tokenizer of a folder.
    ///
    /// # Errors
    /// Files that are missing, damaged or at odds with each other, and kinds that are not read.
    pub fn from_folder(folder: &Path) -> Result<Self, CorpusError> {
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
        let (vocabulary, model) = (file("vocab.json"), file("tokenizer.model"));
        let settings = Settings::read(folder)?;
        if let Some(whole) = file("tokenizer.json") {
            return from_whole(folder, &whole, &settings);
        }
        match (vocabulary, model) {
            (Some(vocabulary), Some(model)) => Err(bad(
                &vocabulary,
                format!(
                    "{} stands beside it, and there is no tokenizer.json: remove the one that is not \
                     the model's",
                    model.display()
                ),
            )),
            (Some(vocabulary), None) => from_parts(folder, &vocabulary, &settings),
            (None, Some(model)) => {
                let class = class(folder, &model, &settings, false)?;
                let content = super::files::bytes(&model)?;
                build_sentencepiece(&model, &content, settings, class)
            }
            (None, None) => Err(missing(folder)),
        }
    }
}

/// The error of a folder without a tokenizer.
fn missing(folder: &Path) -> CorpusError {
    let there = OTHER_FORMS.iter().find(|(name, _)| folder.join(name).exists());
    let instead = there.map_or_else(String::new, |(name, what)| {
        format!(
            " ({name} is there, {what} form, which is not read: convert it with transformers, whose \
             `save_pretrained` writes tokenizer.json)"
        )
    });
    bad(
        &folder.join("tokenizer.json"),
        format!("is missing, and so are vocab.json with merges.txt and tokenizer.model{instead}"),
    )
}

/// The class that transformers would take.
fn class(
    folder: &Path,
    vocabulary: &Path,
    settings: &Settings,
    byte_level: bool,
) -> Result<Class, CorpusError> {
    let config = folder.join("config.json");
    let config: BTreeMap<String, Value> = match config.exists() {
        true => json(&config, "an object of settings")?,
        false => BTreeMap::new(),
    };
    let field = |name: &str| config.get(name).and_then(Value::as_str);
    let said = Said {
        class: settings.class.as_deref().or(field("tokenizer_class")),
        model_type: field("model_type"),
        byte_level,
    };
    // A tokenizer.json says by itself what it is.
    let whole = vocabulary.ends_with("tokenizer.json");
    Class::of(said).or_else(|name| match whole {
        true => Ok(Class::Generic),
        false => Err(bad(
            vocabulary,
            format!("a {name} can be read from its tokenizer.json only, which is not there"),
        )),
    })
}

fn from_whole(folder: &Path, path: &Path, settings: &Settings) -> Result<Tokenizer, CorpusError> {
    let mut tokenizer = Tokenizer::from_file(path)?;
    let cut = tokenizer.inner.get_pre_tokenizer();
    let byte_level = cut.is_some_and(|cut| format!("{cut:?}").contains("ByteLevel"));
    let class = class(folder, path, settings, byte_level)?;
    additions::add(&mut tokenizer.inner, path, settings, class)?;
    Ok(tokenizer)
}

/// GPT-2's two files.
fn from_parts(
    folder: &Path,
    vocabulary: &Path,
    settings: &Settings,
) -> Result<Tokenizer, CorpusError> {
    let refused = |error: tokenizers::Error| bad(vocabulary, error.to_string());
    let class = class(folder, vocabulary, settings, true)?;
    let ids: Entries<u32> = json(vocabulary, "an object of tokens and ids")?;
    let mut by_id = BTreeMap::new();
    for (token, id) in &ids.0 {
        if let Some(other) = by_id.insert(id, token) {
            return Err(bad(vocabulary, format!("`{other}` and `{token}` both have the id {id}")));
        }
    }
    let rules_file = folder.join("merges.txt");
    let rules = text(&rules_file)?;
    let rules: Vec<&str> =
        rules.lines().filter(|rule| !rule.is_empty() && !rule.starts_with("#version")).collect();
    let model = byte_level::model(ids.0, &rules, false)
        .map_err(|reason| bad(&rules_file, format!("{reason} (vocab.json beside it)")))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let space = settings.add_prefix_space.unwrap_or(false);
    match class {
        Class::Gpt2 | Class::GptNeoX => {
            inner.with_pre_tokenizer(Some(ByteLevel::new(space, true, true)));
        }
        Class::Qwen2 => {
            let cut = pre_tokenizers::qwen2(space).map_err(refused)?;
            inner.with_pre_tokenizer(Some(cut));
        }
        Class::Llama | Class::Gemma | Class::Generic => {
            return Err(bad(
                vocabulary,
                "how it cuts a text is not said: name the tokenizer_class (GPT2Tokenizer, \
                 Qwen2Tokenizer or GPTNeoXTokenizer) in tokenizer_config.json, or fetch tokenizer.json",
            ));
        }
    }
    if class != Class::Gpt2 {
        inner.with_normalizer(Some(NFC)).map_err(refused)?;
    }
    additions::add(&mut inner, vocabulary, settings, class)?;
    additions::frame(&mut inner, vocabulary, settings, class)?;
    Tokenizer::finished(vocabulary, inner, Edges::default())
}

/// SentencePiece's file, with the tokens that the class and the files beside it add.
pub(super) fn build_sentencepiece(
    path: &Path,
    content: &[u8],
    mut settings: Settings,
    class: Class,
) -> Result<Tokenizer, CorpusError> {
    let refused = |reason: String| bad(path, reason);
    let mut file = ModelFile::parse(content).map_err(refused)?;
    if class == Class::Generic {
        // The class has no names of its own: the file's count. And pieces may be renamed.
        for (name, text) in &file.special {
            let token = text.as_ref().map(|text| byte_level::whole(text, true));
            if !settings.named.iter().any(|(other, _)| other == name) {
                settings.named.push(((*name).to_owned(), token));
            }
        }
        rename(&mut file, &settings);
    }
    let space = file.dummy_prefix && settings.add_prefix_space.unwrap_or(true);
    let prefix = match (space, settings.legacy.unwrap_or(false)) {
        (false, _) => Prefix::None,
        (true, false) => Prefix::First,
        (true, true) => Prefix::Always,
    };
    let rules =
        Rules { unigram: file.unigram, prefix, tidy: file.tidy, charsmap: file.charsmap.take() };
    let (mut inner, edges) = pieces::build(file.pieces, &rules).map_err(refused)?;
    additions::add(&mut inner, path, &settings, class)?;
    additions::frame(&mut inner, path, &settings, class)?;
    Tokenizer::finished(path, inner, edges)
}

/// A fine-tuned model may use place holders of the vocabulary under names of its own.
fn rename(file: &mut ModelFile, settings: &Settings) {
    let texts = file.pieces.iter().map(|piece| piece.text.clone());
    let taken: HashSet<String> = texts.collect();
    for (id, (token, _)) in &settings.by_id {
        let piece = file.pieces.get_mut(*id as usize);
        if let Some(piece) = piece.filter(|_| !taken.contains(&token.content)) {
            piece.text.clone_from(&token.content);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    /// The tokenizer of the golden OPT model, taken apart into the files of facebook/opt-1.3b.
    fn old_form() -> (Tokenizer, tempfile::TempDir) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/opt");
        let whole = Tokenizer::from_folder(&golden).unwrap();
        let json = fs::read_to_string(golden.join("tokenizer.json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        let merges = json["model"]["merges"].as_array().unwrap().iter();
        let rule = |merge: &Value| match merge {
            Value::Array(pair) => {
                format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())
            }
            rule => rule.as_str().unwrap().to_owned(),
        };
        let merges: Vec<String> = merges.map(rule).collect();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write("vocab.json", json["model"]["vocab"].to_string());
        write("merges.txt", format!("#version: 0.2\n{}\n", merges.join("\n")));
        let eos = json!({ "content": "</s>", "single_word": false, "__type": "AddedToken" });
        let settings = json!({
            "add_bos_token": true, "add_prefix_space": false, "bos_token": eos, "eos_token": eos,
            "unk_token": eos, "pad_token": "<pad>", "tokenizer_class": "GPT2Tokenizer",
        });
        write("tokenizer_config.json", settings.to_string());
        (whole, folder)
    }

    #[test]
    fn both_forms_give_the_same_ids() {
        let (whole, folder) = old_form();
        let parts = Tokenizer::from_folder(folder.path()).unwrap();
        for text in ["", "the cat", " the  cat\n\nsat.", "a </s> b", "zählt 12,345 “so”"] {
            assert_eq!(parts.encode(text).unwrap(), whole.encode(text).unwrap(), "{text:?}");
        }
        assert_eq!(parts.encode("").unwrap(), [2], "`</s>` in front");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (_, folder) = old_form();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let error = || Tokenizer::from_folder(folder.path()).err().unwrap().to_string();
        write("tokenizer_config.json", r#"{"tokenizer_class": "RobertaTokenizer"}"#);
        assert!(error().contains("a RobertaTokenizer can be read from its tokenizer.json only"));
        write("tokenizer_config.json", r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#);
        assert!(error().contains("how it cuts a text is not said"), "{}", error());
        write("tokenizer_config.json", r#"{"bos_token": 3}"#);
        assert!(error().contains("field `bos_token`: expected a token, found 3"), "{}", error());
        write("tokenizer_config.json", r#"{"tokenizer_class": "GPT2Tokenizer"}"#);
        write("tokenizer.model", "x");
        assert!(error().contains("tokenizer.model stands beside it"), "{}", error());
        fs::remove_file(folder.path().join("tokenizer.model")).unwrap();
        write("vocab.json", r#"{"a": 0, "b": 0}"#);
        assert!(error().contains("`a` and `b` both have the id 0"), "{}", error());
        write("merges.txt", "a b c\n");
        write("vocab.json", r#"{"a": 0, "b": 1}"#);
        assert!(
            error().contains("merges.txt: a merge rule is not two pieces: `a b c`"),
            "{}",
            error()
        );
        fs::remove_file(folder.path().join("vocab.json")).unwrap();
        write("tekken.json", "{}");
        let error = error();
        assert!(
            error.contains("tokenizer.json") && error.contains("tekken.json is there"),
            "{error}"
        );
    }

    /// Two files that say of one token that it has two ids, or of a text that it begins with two tokens.
    #[test]
    fn files_at_odds_are_both_named() {
        let (_, folder) = old_form();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let error = || Tokenizer::from_folder(folder.path()).err().unwrap().to_string();
        write("added_tokens.json", r#"{"<|sep|>": 7}"#);
        let found = error();
        assert!(found.contains("added_tokens.json") && found.contains("vocab.json"), "{found}");
        assert!(found.contains("`<|sep|>` has the id 7 there"), "{found}");
        fs::remove_file(folder.path().join("added_tokens.json")).unwrap();
        write("special_tokens_map.json", r#"{"bos_token": "<pad>"}"#);
        let found = error();
        assert!(found.contains("tokenizer_config.json: `bos_token` stands around"), "{found}");
        assert!(found.contains("special_tokens_map.json names another (`<pad>`)"), "{found}");
        write("special_tokens_map.json", r#"{"bos_token": {"content": "</s>"}}"#);
        assert!(Tokenizer::from_folder(folder.path()).is_ok());
    }
}

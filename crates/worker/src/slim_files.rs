//! What stands beside the weights of a written model: the tokenizer of the model that was cut, in the form
//! that the format has for it.

use std::path::Path;

use checkpoints::{GgufFile, GgufValue};
use corpora::{GgufVocabulary, Tokenizer};
use export::{Beside, Content, Form, GgufTokenizer, taken_along};
use serde_json::{Map, Value, json};

use crate::subject;

/// What is taken along of a model.
pub(crate) fn beside(model: &Path, form: Form) -> anyhow::Result<Beside> {
    match form {
        Form::Gguf(_) => for_gguf(model),
        Form::Folder(_) | Form::Packed(_) if model.is_dir() => {
            Ok(Beside { files: taken_along(model)?, ..Beside::default() })
        }
        Form::Folder(_) | Form::Packed(_) => from_gguf(model),
    }
}

/// The licence that the card of a model names.
pub(crate) fn license(model: &Path) -> Option<String> {
    let card = std::fs::read_to_string(model.join("README.md")).ok()?;
    let header = card.strip_prefix("---\n")?.split("\n---").next()?;
    let line = header.lines().find_map(|line| line.strip_prefix("license:"))?;
    Some(line.trim().to_owned())
}

/// A file with the tokenizer that it says itself, or one made of a folder's.
fn for_gguf(model: &Path) -> anyhow::Result<Beside> {
    if !model.is_dir() {
        let entries = GgufFile::open(model)?.tokenizer_entries();
        return Ok(Beside { gguf_tokenizer: Some(GgufTokenizer { entries }), ..Beside::default() });
    }
    let tokenizer = subject::tokenizer(model)?;
    Ok(match tokenizer.gguf(model) {
        Ok(vocabulary) => {
            let gguf_tokenizer = Some(GgufTokenizer { entries: entries(vocabulary, model) });
            Beside { gguf_tokenizer, ..Beside::default() }
        }
        // The weights are worth writing without.
        Err(error) => Beside { notes: vec![format!("{error}")], ..Beside::default() },
    })
}

fn entries(vocabulary: GgufVocabulary, folder: &Path) -> Vec<(String, GgufValue)> {
    let text = |text: &str| GgufValue::Text(text.to_owned());
    let config = read_json(&folder.join("config.json"));
    let id_of = |field: &str| -> Option<u32> {
        let value = config.get(field)?;
        let first = value.as_array().and_then(|ids| ids.first()).unwrap_or(value);
        u32::try_from(first.as_u64()?).ok()
    };
    let GgufVocabulary { begins_with, ends_with, .. } = vocabulary;
    let n_tokens = vocabulary.tokens.len() as u32;
    let known = |id: Option<u32>| id.filter(|id| *id < n_tokens).map(GgufValue::U32);
    let template = read_text(&folder.join("chat_template.jinja")).or_else(|| {
        let settings = read_json(&folder.join("tokenizer_config.json"));
        Some(settings.get("chat_template")?.as_str()?.to_owned())
    });
    let own = |key: &str, value: GgufValue| (format!("tokenizer.ggml.{key}"), value);
    let mut all = vec![
        own("model", text(vocabulary.model)),
        own("pre", text(vocabulary.pre_tokenizer)),
        own("tokens", GgufValue::Texts(vocabulary.tokens)),
        own("token_type", GgufValue::I32s(vocabulary.kinds)),
        own("add_bos_token", GgufValue::Bool(begins_with.is_some())),
        own("add_eos_token", GgufValue::Bool(ends_with.is_some())),
    ];
    all.extend(vocabulary.merges.map(|merges| own("merges", GgufValue::Texts(merges))));
    all.extend(vocabulary.scores.map(|scores| own("scores", GgufValue::F32s(scores))));
    let space = vocabulary.add_space_prefix;
    all.extend(space.map(|flag| own("add_space_prefix", GgufValue::Bool(flag))));
    for (key, id) in [
        ("bos_token_id", begins_with.or_else(|| id_of("bos_token_id"))),
        ("eos_token_id", ends_with.or_else(|| id_of("eos_token_id"))),
        ("padding_token_id", id_of("pad_token_id")),
    ] {
        all.extend(known(id).map(|id| own(key, id)));
    }
    all.extend(template.map(|own| ("tokenizer.chat_template".to_owned(), GgufValue::Text(own))));
    all
}

fn read_text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The fields of a JSON file; none where there is no such file.
fn read_json(path: &Path) -> Map<String, Value> {
    read_text(path).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// `tokenizer.json` and what transformers reads beside it, from the metadata of a GGUF file.
fn from_gguf(model: &Path) -> anyhow::Result<Beside> {
    let file = GgufFile::open(model)?;
    let vocabulary = file.vocabulary()?;
    let token = |id: Option<u32>| id.and_then(|id| vocabulary.tokens.get(id as usize).cloned());
    let template = file.tokenizer_entries().into_iter().find_map(|(key, value)| match value {
        GgufValue::Text(text) if key == "tokenizer.chat_template" => Some(text),
        _ => None,
    });
    let mut settings = Map::from_iter([
        ("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast")),
        ("clean_up_tokenization_spaces".to_owned(), json!(false)),
    ]);
    for (name, id) in [
        ("bos_token", vocabulary.bos),
        ("eos_token", vocabulary.eos),
        ("unk_token", vocabulary.unknown),
    ] {
        settings.extend(token(id).map(|own| (name.to_owned(), json!(own))));
    }
    settings.extend(template.map(|own| ("chat_template".to_owned(), json!(own))));
    let fields = [("bos_token_id", vocabulary.bos), ("eos_token_id", vocabulary.eos)];
    let fields = fields.into_iter().filter_map(|(name, id)| Some((name.to_owned(), json!(id?))));
    let mut beside = Beside { fields: fields.collect(), ..Beside::default() };
    let tokenizer: Tokenizer = subject::tokenizer(model)?;
    match tokenizer.json() {
        Ok(text) => {
            let settings = format!("{:#}\n", Value::Object(settings));
            beside.files = [("tokenizer.json", text), ("tokenizer_config.json", settings)]
                .map(|(name, text)| Content { name: name.to_owned(), bytes: text.into_bytes() })
                .to_vec();
        }
        Err(error) => {
            let note = format!("no tokenizer is written, take that of the original model: {error}");
            beside.notes.push(note);
        }
    }
    Ok(beside)
}

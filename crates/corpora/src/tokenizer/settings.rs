//! What the files beside a vocabulary say: special and added tokens, and what stands around a text.
//!
//! Which file is heard when follows `PreTrainedTokenizerBase._from_pretrained` of transformers 5.23:
//! where tokenizer_config.json has `added_tokens_decoder`, special_tokens_map.json and
//! added_tokens.json are not read; else the former overrules tokenizer_config.json.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use tokenizers::AddedToken;

use super::{
    byte_level::whole,
    files::{Entries, bad, json},
};
use crate::CorpusError;

const CONFIG: &str = "tokenizer_config.json";
const MAP: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";

/// The names of special tokens, in the order in which transformers adds them.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The settings of a folder.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// `tokenizer_class`.
    pub(super) class: Option<String>,
    pub(super) add_bos: Option<bool>,
    pub(super) add_eos: Option<bool>,
    pub(super) add_prefix_space: Option<bool>,
    /// Llama's: a space also behind special tokens.
    pub(super) legacy: Option<bool>,
    /// Special tokens by name; `null` says that there is none.
    pub(super) named: Vec<(String, Option<AddedToken>)>,
    /// Special tokens without a name.
    pub(super) extra: Vec<AddedToken>,
    /// Added tokens, the id that each is said to have, and the file that says so.
    pub(super) by_id: BTreeMap<u32, (AddedToken, &'static str)>,
    /// Special tokens that two files name differently.
    pub(super) disputed: Vec<String>,
}

impl Settings {
    /// Reads the files of a folder that are there.
    pub(super) fn read(folder: &Path) -> Result<Self, CorpusError> {
        let object = |name: &str| -> Result<Option<Entries<Value>>, CorpusError> {
            let path = folder.join(name);
            path.exists().then(|| json(&path, "an object of settings")).transpose()
        };
        let mut settings = Self::default();
        let mut lists = BTreeMap::new();
        let mut decoder = None;
        let file = folder.join(CONFIG);
        for (key, value) in object(CONFIG)?.unwrap_or_default().0 {
            match key.as_str() {
                "tokenizer_class" => settings.class = text(&file, &key, &value)?,
                "add_bos_token" => settings.add_bos = flag(&file, &key, &value)?,
                "add_eos_token" => settings.add_eos = flag(&file, &key, &value)?,
                "add_prefix_space" => settings.add_prefix_space = flag(&file, &key, &value)?,
                "legacy" => settings.legacy = flag(&file, &key, &value)?,
                "added_tokens_decoder" => decoder = Some(value),
                _ => settings.special(&file, key, value, &mut lists)?,
            }
        }
        match decoder {
            Some(decoder) => settings.decoder(&file, decoder)?,
            None => {
                let overruled = std::mem::take(&mut settings.named);
                let file = folder.join(MAP);
                for (key, value) in object(MAP)?.unwrap_or_default().0 {
                    settings.special(&file, key, value, &mut lists)?;
                }
                settings.overrule(overruled);
                settings.lists(folder, lists)?;
                settings.added(folder)?;
                return Ok(settings);
            }
        }
        settings.lists(folder, lists)?;
        Ok(settings)
    }

    /// The token of a name, with the default of the class.
    pub(super) fn token<'a>(&'a self, name: &str, class: super::class::Class) -> Option<&'a str> {
        match self.named.iter().find(|(other, _)| other == name) {
            Some((_, token)) => token.as_ref().map(|token| token.content.as_str()),
            None => class.defaults().iter().find(|(other, _)| *other == name).map(|(_, t)| *t),
        }
    }

    /// Where a name stands in the order in which transformers adds special tokens; names of a model's
    /// own come last.
    pub(super) fn rank(name: &str) -> usize {
        NAMES.iter().position(|other| *other == name).unwrap_or(NAMES.len())
    }

    /// One entry that may name special tokens.
    fn special(
        &mut self,
        file: &Path,
        key: String,
        value: Value,
        lists: &mut BTreeMap<&'static str, Vec<AddedToken>>,
    ) -> Result<(), CorpusError> {
        let list = ["extra_special_tokens", "additional_special_tokens"];
        if let Some(name) = list.into_iter().find(|name| *name == key) {
            match value {
                Value::Null => {}
                Value::Object(tokens) => {
                    for (name, value) in tokens {
                        self.named.push((name.clone(), token(file, &name, &value, true)?));
                    }
                }
                Value::Array(tokens) => {
                    let tokens = tokens.iter().map(|value| token(file, &key, value, false));
                    let tokens: Vec<Option<AddedToken>> = tokens.collect::<Result<_, _>>()?;
                    let tokens: Vec<AddedToken> = tokens.into_iter().flatten().collect();
                    // What tokenizer_config.json lists comes first.
                    let list = lists.entry(name).or_default();
                    for token in tokens {
                        if !list.contains(&token) {
                            list.push(token);
                        }
                    }
                }
                _ => return Err(bad(file, format!("field `{key}`: expected a list of tokens"))),
            }
        } else if NAMES.contains(&key.as_str())
            // A name of the model's own; `add_bos_token` and the like are flags.
            || key.ends_with("_token") && (value.is_string() || is_token(&value))
        {
            let token = token(file, &key, &value, true)?;
            self.named.push((key, token));
        }
        Ok(())
    }

    /// Keeps what special_tokens_map.json says, and of tokenizer_config.json the rest.
    fn overrule(&mut self, config: Vec<(String, Option<AddedToken>)>) {
        for (name, token) in config {
            match self.named.iter().find(|(other, _)| *other == name) {
                None => self.named.push((name, token)),
                Some((_, other)) => {
                    let content = |token: &Option<AddedToken>| {
                        token.as_ref().map(|token| token.content.clone())
                    };
                    if content(other) != content(&token) {
                        self.disputed.push(name);
                    }
                }
            }
        }
    }

    /// `added_tokens_decoder`: tokens by their id.
    fn decoder(&mut self, file: &Path, decoder: Value) -> Result<(), CorpusError> {
        const KEY: &str = "added_tokens_decoder";
        let expected = || bad(file, format!("field `{KEY}`: expected an object of ids and tokens"));
        let Value::Object(decoder) = decoder else { return Err(expected()) };
        for (id, value) in decoder {
            let id: u32 = id.parse().map_err(|_| expected())?;
            let token = token(file, KEY, &value, false)?.filter(|_| value.is_object());
            let token = token.ok_or_else(expected)?;
            if self.by_id.insert(id, (token, CONFIG)).is_some() {
                return Err(bad(file, format!("field `{KEY}`: id {id} stands twice")));
            }
        }
        Ok(())
    }

    /// added_tokens.json: ids by their token, special where another file says so.
    fn added(&mut self, folder: &Path) -> Result<(), CorpusError> {
        let file = folder.join(ADDED);
        if !file.exists() {
            return Ok(());
        }
        let tokens: Entries<u32> = json(&file, "an object of tokens and ids")?;
        for (text, id) in tokens.0 {
            let mut named = self.named.iter().flat_map(|(_, token)| token);
            let special =
                named.any(|t| t.content == text) || self.extra.iter().any(|t| t.content == text);
            let token = AddedToken::from(text.clone(), special);
            if let Some((other, _)) = self.by_id.insert(id, (token, ADDED)) {
                let other = other.content;
                return Err(bad(&file, format!("`{other}` and `{text}` both have the id {id}")));
            }
        }
        Ok(())
    }

    /// Two names of one list, of which one file may hold both.
    fn lists(
        &mut self,
        folder: &Path,
        lists: BTreeMap<&'static str, Vec<AddedToken>>,
    ) -> Result<(), CorpusError> {
        let mut lists = lists.into_iter().filter(|(_, tokens)| !tokens.is_empty());
        let Some((_, list)) = lists.next() else { return Ok(()) };
        if let Some((_, other)) = lists.next().filter(|(_, other)| *other != list) {
            let only = list.iter().chain(&other).find(|t| !(list.contains(t) && other.contains(t)));
            let only = only.map_or("their order", |token| token.content.as_str());
            let reason = format!(
                "`extra_special_tokens` and `additional_special_tokens` (there or in {MAP}) are two \
                 names of one list and differ: {only}; remove one"
            );
            return Err(bad(&folder.join(CONFIG), reason));
        }
        self.extra = list;
        Ok(())
    }
}

fn is_token(value: &Value) -> bool {
    value.get("content").is_some_and(Value::is_string)
}

/// A token: its text, or an object with settings. `named` tokens are special whatever the object says.
fn token(
    file: &Path,
    key: &str,
    value: &Value,
    named: bool,
) -> Result<Option<AddedToken>, CorpusError> {
    let expected = || bad(file, format!("field `{key}`: expected a token, found {value}"));
    match value {
        Value::Null if named => Ok(None),
        Value::String(text) => Ok(Some(whole(text, true))),
        Value::Object(fields) => {
            let text = fields.get("content").and_then(Value::as_str).ok_or_else(expected)?;
            let flag = |name: &str| match fields.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => value.as_bool().map(Some).ok_or_else(expected),
            };
            let special = named || flag("special")?.unwrap_or(false);
            Ok(Some(
                AddedToken::from(text, special)
                    .normalized(flag("normalized")?.unwrap_or(!special))
                    .lstrip(flag("lstrip")?.unwrap_or(false))
                    .rstrip(flag("rstrip")?.unwrap_or(false))
                    .single_word(flag("single_word")?.unwrap_or(false)),
            ))
        }
        _ => Err(expected()),
    }
}

fn flag(file: &Path, key: &str, value: &Value) -> Result<Option<bool>, CorpusError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        _ => Err(bad(file, format!("field `{key}`: expected true or false, found {value}"))),
    }
}

fn text(file: &Path, key: &str, value: &Value) -> Result<Option<String>, CorpusError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(bad(file, format!("field `{key}`: expected a text, found {value}"))),
    }
}

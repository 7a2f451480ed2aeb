//! Files beside a vocabulary, read so that whatever stands in their place is named: a pointer of Git
//! LFS, a web page, another encoding.

use std::{fmt, fs, marker::PhantomData, path::Path};

use files::StandIn;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};

use crate::CorpusError;

/// The bytes of a file that is what its name says, as far as its beginning tells.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, CorpusError> {
    let bytes =
        fs::read(path).map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
    let wrong = match StandIn::of(&bytes) {
        Some(StandIn::LfsPointer) => {
            "is a pointer of Git LFS and not the file itself: run `git lfs pull`, or fetch it again"
        }
        Some(StandIn::HtmlPage) => {
            "is a web page and not the file itself: fetch it again (a gated model asks for a login)"
        }
        // Others are no JSON and no vocabulary either, which whoever reads them says.
        _ if bytes.trim_ascii().is_empty() => "is empty: fetch it again",
        _ => return Ok(bytes),
    };
    Err(bad(path, wrong))
}

/// The text of a file in UTF-8.
pub(super) fn text(path: &Path) -> Result<String, CorpusError> {
    let bytes = bytes(path)?;
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(bad(path, "begins with a byte-order mark: save it as UTF-8 without one"));
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(bad(path, "is UTF-16: save it as UTF-8 without a byte-order mark"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let reason = format!(
            "line {line}, byte {at} of the file is no UTF-8: if it is latin-1, convert it with \
             `iconv -f latin1 -t utf-8`, else fetch it again"
        );
        bad(path, reason)
    })
}

/// What a file in JSON holds.
pub(super) fn json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T, CorpusError> {
    serde_json::from_str(&text(path)?).map_err(|error| {
        bad(path, format!("is not {expected}: {error}; mend it, or fetch it again"))
    })
}

pub(super) fn bad(path: &Path, reason: impl Into<String>) -> CorpusError {
    CorpusError::Tokenizer { path: path.to_owned(), reason: reason.into() }
}

/// The entries of a JSON object in the order of the file: new tokens get their ids in that order. A key
/// that stands twice is an error.
#[derive(Clone, Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Entries<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                let mut keys = std::collections::HashSet::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if !keys.insert(key.clone()) {
                        return Err(serde::de::Error::custom(format!("`{key}` stands twice")));
                    }
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_place_of_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocab.json");
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            json::<Entries<u32>>(&path, "an object of tokens and ids").unwrap_err().to_string()
        };
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
        let cases: [(&[u8], &str); 9] = [
            (pointer, "git lfs pull"),
            (b"\n<!DOCTYPE html><html>", "web page"),
            (b" <HTML><body>", "web page"),
            (b" \n", "is empty"),
            (b"\xEF\xBB\xBF{\"a\": 0}", "byte-order mark"),
            (b"\xFF\xFE{\x00", "UTF-16"),
            (b"{\n\"caf\xE9\": 0}", "line 2, byte 6 of the file is no UTF-8: if it is latin-1"),
            (b"{\"a\": 0, \"b\"", "is not an object of tokens and ids"),
            (b"{\"a\": 0, \"a\": 1}", "`a` stands twice"),
        ];
        for (bytes, expected) in cases {
            let error = error(bytes);
            assert!(error.contains(expected) && error.contains("vocab.json"), "{error}");
        }
    }
}

//! What often lies in the place of a file: a Git LFS pointer, a web page, the message of a server. And text
//! files as people save them: with a byte-order mark, or in an encoding that is not UTF-8.

use std::path::Path;

use files::StandIn;

use crate::LoadError;

/// Bytes that tell a stand-in from a file.
pub(crate) const TELLING: usize = StandIn::TELLING;

/// What the first bytes of a file show to be there in its place, and what to do about it.
fn stand_in(start: &[u8]) -> Option<(&'static str, &'static str)> {
    Some(match StandIn::of(start)? {
        StandIn::LfsPointer => (
            "it is a Git LFS pointer, not the file that it points to",
            "run `git lfs pull` where it was cloned, or fetch the file itself",
        ),
        StandIn::HtmlPage | StandIn::XmlPage => (
            "it is a web page, not the file",
            "fetch it again; where the model is gated, accept its terms and give a token first",
        ),
        StandIn::ServerMessage => (
            "it holds the message of a server, not the file",
            "read it, then fetch the file again; where the model is gated, accept its terms and give a token first",
        ),
    })
}

/// Refuses what lies in the place of a file, by its first bytes.
pub(crate) fn refuse_stand_in(path: &Path, start: &[u8]) -> Result<(), LoadError> {
    match stand_in(start) {
        None => Ok(()),
        Some((reason, advice)) => {
            Err(LoadError::Unsupported { path: path.to_owned(), reason: reason.to_owned(), advice })
        }
    }
}

/// The byte-order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a text file that is to be parsed. A byte-order mark of UTF-8 says nothing and is dropped.
///
/// # Errors
/// The file cannot be read, is a stand-in, or is not UTF-8: then the message has the line and the byte.
pub fn read_text(path: &Path) -> Result<String, LoadError> {
    let bytes =
        std::fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    refuse_stand_in(path, &bytes[..bytes.len().min(TELLING)])?;
    let bytes = bytes.strip_prefix(MARK).unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let (before, rest) = bytes.split_at(error.valid_up_to());
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let byte = rest.first().copied().unwrap_or_default();
            Err(LoadError::Unsupported {
                path: path.to_owned(),
                reason: format!("line {line} holds the byte 0x{byte:02x}, which is not UTF-8"),
                advice: "save the file as UTF-8",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_told_from_files() {
        let what = |start: &[u8]| stand_in(start).map(|(reason, _)| reason).unwrap_or_default();
        assert!(what(b"version https://git-lfs.github.com/spec/v1\noid sha256:").contains("LFS"));
        for page in ["<!DOCTYPE html>", "\n <HTML lang=\"en\">", "\u{feff}<html>", "<?xml "] {
            assert!(what(page.as_bytes()).contains("web page"), "{page}");
        }
        assert!(what(b"Entry not found").contains("server"));
        for file in
            [&b"GGUF\x03\0\0\0"[..], b"PK\x03\x04", b"\x18\0\0\0\0\0\0\0{\"t\":", b"{}", b""]
        {
            assert_eq!(what(file), "");
        }
    }

    #[test]
    fn texts_are_utf_8_with_or_without_a_mark() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            read_text(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbf{\"a\": 1}").as_deref(), Ok("{\"a\": 1}"));
        let error = read(b"{\n\"a\": \"caf\xe9\"}").expect_err("latin-1");
        assert!(error.contains("line 2 holds the byte 0xe9"), "{error}");
        assert!(error.contains("config.json"), "{error}");
        let error = read(b"\xff\xfe{\0}\0").expect_err("UTF-16");
        assert!(error.contains("line 1 holds the byte 0xff"), "{error}");
    }
}

//! Lines of text files as Python's text mode reads them: UTF-8, and `\r\n` and a lone `\r` end a line as
//! `\n` does.
//!
//! Programs that a number is compared with read texts that way, and a tokenizer has ids of its own for
//! `\r`.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use files::StandIn;

use crate::CorpusError;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const OF_UTF_16: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// Lines one after the other; each ends with `\n`, the last one only where the file does.
pub(crate) struct Lines<R> {
    path: PathBuf,
    reader: BufReader<R>,
    /// Lines that were read and not yet given.
    pending: VecDeque<Vec<u8>>,
    /// Lines given so far.
    n_given: usize,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(path: &Path, reader: R) -> Self {
        let (path, reader) = (path.to_owned(), BufReader::new(reader));
        Self { path, reader, pending: VecDeque::new(), n_given: 0 }
    }

    /// Number of the line that was given last, counted from 1.
    pub(crate) fn number(&self) -> usize {
        self.n_given
    }

    fn decoded(&self, line: Vec<u8>) -> Result<String, CorpusError> {
        let bad = |reason: String| CorpusError::Encoding {
            path: self.path.clone(),
            line: self.n_given,
            reason,
        };
        if self.n_given == 1 {
            if line.starts_with(BYTE_ORDER_MARK) {
                let reason =
                    "it begins with a byte-order mark (EF BB BF): save it as UTF-8 without";
                return Err(bad(reason.to_owned()));
            }
            if OF_UTF_16.iter().any(|mark| line.starts_with(mark)) {
                return Err(bad("it is UTF-16: save it as UTF-8".to_owned()));
            }
        }
        String::from_utf8(line).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(at).copied().unwrap_or_default();
            bad(format!("byte {} is {byte:02X}, which is not UTF-8: save it as UTF-8", at + 1))
        })
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = Result<String, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.pending.is_empty() {
            let mut chunk = Vec::new();
            if let Err(source) = self.reader.read_until(b'\n', &mut chunk) {
                return Some(Err(CorpusError::Io { path: self.path.clone(), source }));
            }
            self.pending = split(&chunk);
        }
        let line = self.pending.pop_front()?;
        self.n_given += 1;
        Some(self.decoded(line))
    }
}

/// The lines of a chunk that has `\n` at its end alone.
fn split(chunk: &[u8]) -> VecDeque<Vec<u8>> {
    let chunk = match chunk {
        [line @ .., b'\r', b'\n'] => [line, b"\n"].concat(),
        _ => chunk.to_vec(),
    };
    let mut lines = VecDeque::new();
    for line in chunk.split_inclusive(|&byte| byte == b'\r') {
        match line {
            [line @ .., b'\r'] => lines.push_back([line, b"\n"].concat()),
            _ => lines.push_back(line.to_vec()),
        }
    }
    lines
}

/// Whether Python counts a character as white space (`str.isspace`): Unicode's white space and the four
/// separators of ASCII.
pub(crate) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Refuses what stands in place of a text where one was not downloaded.
///
/// # Errors
/// [`CorpusError::NotTheText`] with what the file is, and what to do.
pub(crate) fn refuse_stand_ins(path: &Path) -> Result<(), CorpusError> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(StandIn::TELLING as u64).read_to_end(&mut head))
        .map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
    let stands_for = |what| Err(CorpusError::NotTheText { path: path.to_owned(), what });
    match StandIn::of(&head) {
        Some(StandIn::LfsPointer) => {
            stands_for("a Git LFS pointer: run `git lfs pull` where it comes from")
        }
        Some(StandIn::HtmlPage) => {
            stands_for("an HTML page: download the file itself, not the page that shows it")
        }
        // XML, or words that a server might also say, may be the text.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Result<Vec<String>, String> {
        let lines = Lines::new(Path::new("a.raw"), bytes);
        lines.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    /// The right values are those of Python: `list(io.TextIOWrapper(io.BytesIO(b), "utf-8"))`.
    #[test]
    fn every_line_end_is_one_line_feed() {
        let same: &[&str] = &["one\n", "\n", "two\n", "three"];
        assert_eq!(lines(b"one\n\ntwo\nthree").unwrap(), same);
        assert_eq!(lines(b"one\r\n\r\ntwo\r\nthree").unwrap(), same);
        assert_eq!(lines(b"one\r\rtwo\rthree").unwrap(), same);
        assert_eq!(lines(b"one\r\n\ntwo\rthree").unwrap(), same);
        assert_eq!(lines(b"a\n\r\n\rb\r").unwrap(), ["a\n", "\n", "\n", "b\n"]);
        assert_eq!(lines(b"a\r\r\nb").unwrap(), ["a\n", "\n", "b"]);
        // Other characters that some programs break lines at.
        let whole = "a\u{b}\u{c}\u{85}\u{2028}b\n";
        assert_eq!(lines(whole.as_bytes()).unwrap(), [whole]);
        assert!(lines(b"").unwrap().is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_named() {
        for (bytes, message) in [
            (&b"\xEF\xBB\xBFone\n"[..], "a.raw, line 1: it begins with a byte-order mark"),
            (b"\xFF\xFEo\0", "a.raw, line 1: it is UTF-16"),
            (b"one\r\ncaf\xE9 two\n", "a.raw, line 2: byte 4 is E9, which is not UTF-8"),
            (b"one\rtwo\r\xC3", "a.raw, line 3: byte 1 is C3"),
        ] {
            let error = lines(bytes).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        // Further down it is the character U+FEFF, as Python has it.
        assert_eq!(lines(b"one\n\xEF\xBB\xBFtwo").unwrap(), ["one\n", "\u{feff}two"]);
    }

    /// `[c for c in map(chr, range(0x110000)) if c.isspace()]`
    #[test]
    fn white_space_is_pythons() {
        let all: Vec<u32> = (0..=u32::from(char::MAX))
            .filter(|&c| char::from_u32(c).is_some_and(is_python_space))
            .collect();
        let mut expected: Vec<u32> = (0x9..=0xd).chain(0x1c..=0x20).chain([0x85, 0xa0]).collect();
        expected.extend([0x1680].into_iter().chain(0x2000..=0x200a));
        expected.extend([0x2028, 0x2029, 0x202f, 0x205f, 0x3000]);
        assert_eq!(all, expected);
    }
}

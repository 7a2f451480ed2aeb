//! What often lies in the place of a file, told by how it begins.

/// What lies in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandIn {
    /// A Git LFS pointer: the file itself was not fetched.
    LfsPointer,
    /// An HTML page, such as one that shows the file or asks for a login.
    HtmlPage,
    /// Another document of a server in XML.
    XmlPage,
    /// The message of a server in plain words, such as `Entry not found`.
    ServerMessage,
}

impl StandIn {
    /// Bytes of a file that are enough to tell.
    pub const TELLING: usize = 256;

    /// What a file that begins with these bytes is instead of itself; none where it may be itself. White
    /// space and a byte-order mark in front do not matter, nor do capitals.
    pub fn of(start: &[u8]) -> Option<StandIn> {
        const MESSAGES: [&str; 6] = [
            "entry not found",
            "repository not found",
            "revision not found",
            "invalid username or password",
            "invalid credentials",
            "access to model",
        ];
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let text = String::from_utf8_lossy(&start[..start.len().min(Self::TELLING)]);
        let text = text.trim_start().to_ascii_lowercase();
        let starts = |with: &str| text.starts_with(with);
        match () {
            () if starts("version https://git-lfs") => Some(StandIn::LfsPointer),
            () if starts("<!doctype html") || starts("<html") => Some(StandIn::HtmlPage),
            () if starts("<!doctype") || starts("<?xml") => Some(StandIn::XmlPage),
            () if MESSAGES.into_iter().any(starts) => Some(StandIn::ServerMessage),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StandIn;

    #[test]
    fn stand_ins_are_told_from_files() {
        let pointer = &b"version https://git-lfs.github.com/spec/v1\noid sha256:"[..];
        assert_eq!(StandIn::of(pointer), Some(StandIn::LfsPointer));
        for page in ["<!DOCTYPE html>", "\n <HTML lang=\"en\">", "\u{feff}<html>"] {
            assert_eq!(StandIn::of(page.as_bytes()), Some(StandIn::HtmlPage), "{page}");
        }
        for page in ["<?xml version=\"1.0\"?>", "<!DOCTYPE Error>"] {
            assert_eq!(StandIn::of(page.as_bytes()), Some(StandIn::XmlPage), "{page}");
        }
        assert_eq!(StandIn::of(b"Entry not found"), Some(StandIn::ServerMessage));
        for file in [&b"GGUF\x03\0\0\0"[..], b"PK\x03\x04", b"\x18\0\0\0\0\0\0\0{", b"{}", b""] {
            assert_eq!(StandIn::of(file), None);
        }
    }
}

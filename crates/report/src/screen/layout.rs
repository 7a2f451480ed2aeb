//! Lines for a terminal: of a width, without anything that acts there, with or without colours.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use console::measure_text_width;

/// Columns of the screen. Only an address may be longer, for broken it leads nowhere.
pub(crate) const WIDTH: usize = 100;

/// A blank at which no line is broken; it is printed as any other.
pub(super) const TOGETHER: char = '\u{a0}';

/// How a line stands out where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Title,
    Faint,
    Bad,
}

impl Tone {
    /// The codes that begin the tone; they are the ones that every terminal knows.
    fn codes(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Title => "\x1b[1m",
            Tone::Faint => "\x1b[2m",
            Tone::Bad => "\x1b[31m",
        }
    }
}

/// Lines that are being written.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<(String, Tone)>);

impl Lines {
    pub(super) fn title(&mut self, text: &str) {
        self.cut("", text, Tone::Title);
    }

    pub(super) fn blank(&mut self) {
        self.0.push((String::new(), Tone::Plain));
    }

    /// One line, cut at its end where it is too long.
    pub(super) fn cut(&mut self, first: &str, text: &str, tone: Tone) {
        self.wrap((first, ""), text, 1, tone);
    }

    /// A text in as many lines as `most`, the first behind `first` and the others behind `later`.
    pub(super) fn wrap(
        &mut self,
        (first, later): (&str, &str),
        text: &str,
        most: usize,
        tone: Tone,
    ) {
        let room = WIDTH - measure_text_width(first).max(measure_text_width(later));
        for (number, line) in wrapped(&harmless(text), room, most).into_iter().enumerate() {
            let before = if number == 0 { first } else { later };
            let line = line.replace(TOGETHER, " ");
            self.0.push((format!("{before}{line}"), tone));
        }
    }

    /// A line that is as long as it is.
    pub(super) fn whole(&mut self, text: String) {
        self.0.push((text, Tone::Plain));
    }

    pub(super) fn render(&self, has_colours: bool) -> String {
        let mut text = String::new();
        for (line, tone) in &self.0 {
            let _ = match (has_colours && !line.is_empty(), tone.codes()) {
                (true, codes) if !codes.is_empty() => writeln!(text, "{codes}{line}\x1b[0m"),
                _ => writeln!(text, "{line}"),
            };
        }
        text
    }
}

/// A text from elsewhere on one line, without what moves the cursor, changes colours or turns the
/// direction of writing.
fn harmless(text: &str) -> String {
    let acts = |character: char| {
        character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let seen: String = text.chars().map(|own| if acts(own) { ' ' } else { own }).collect();
    let words = seen.split(|own: char| own.is_whitespace() && own != TOGETHER);
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The text in at most `most` lines of at most `room` columns, broken between words; what does not fit
/// ends in an ellipsis.
fn wrapped(text: &str, room: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word;
        while !word.is_empty() {
            let used = lines.last().map_or(room, |line| measure_text_width(line) + 1);
            let wide = measure_text_width(word);
            let n_fitting = if used + wide <= room {
                word.len()
            } else if wide <= room {
                0
            } else {
                // A word that fits on no line is broken.
                fitting(word, room.saturating_sub(used))
            };
            if n_fitting > 0
                && let Some(line) = lines.last_mut()
            {
                line.push(' ');
                line.push_str(&word[..n_fitting]);
                word = &word[n_fitting..];
            } else if lines.len() == most {
                return with_ellipsis(lines, room);
            } else {
                let first = word.chars().next().map_or(0, char::len_utf8);
                let n_fitting = fitting(word, room).max(first);
                lines.push(word[..n_fitting].to_owned());
                word = &word[n_fitting..];
            }
        }
    }
    lines
}

/// Bytes of `word` that fit into so many columns.
fn fitting(word: &str, room: usize) -> usize {
    let ends = word.char_indices().map(|(start, own)| start + own.len_utf8());
    ends.take_while(|&end| measure_text_width(&word[..end]) <= room).last().unwrap_or(0)
}

fn with_ellipsis(mut lines: Vec<String>, room: usize) -> Vec<String> {
    if let Some(last) = lines.last_mut() {
        last.truncate(fitting(last, room - 1));
        last.push('…');
    }
    lines
}

/// The address of a file, from the root on. What no address may hold is written in numbers.
pub(super) fn file_url(path: &Path) -> String {
    let whole = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    let whole = whole.unwrap_or_else(|_| path.to_owned());
    let mut url = "file://".to_owned();
    for &byte in whole.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(byte));
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// `0.4 s`, `52 s`, `3 min 52 s`, `2 h 5 min`.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        // The sum of nothing is -0.
        return format!("{:.1} s", seconds + 0.0);
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_between_words_and_cut_at_the_end() {
        assert_eq!(wrapped("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 7, 1), ["one tw…"]);
        assert_eq!(wrapped("one two three four", 9, 2), ["one two", "three…"]);
        assert_eq!(wrapped("a unbreakable", 5, 9), ["a unb", "reaka", "ble"]);
        assert_eq!(wrapped("幅広い文字", 4, 9), ["幅広", "い文", "字"], "two columns each");
        assert!(wrapped("", 5, 3).is_empty());
    }

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(harmless("\x1b[31mred\x07 a\u{202e}b\nc"), "[31mred a b c");
        let mut lines = Lines::default();
        lines.wrap(("1  ", "   "), "\x1b[2J and on", 2, Tone::Bad);
        assert_eq!(lines.render(false), "1  [2J and on\n");
        assert_eq!(lines.render(true), "\x1b[31m1  [2J and on\x1b[0m\n");
        let mut lines = Lines::default();
        let long = "x".repeat(WIDTH - 6);
        lines.wrap(("", ""), &format!("{long} 4.8{TOGETHER}×{TOGETHER}dense"), 2, Tone::Plain);
        assert_eq!(lines.render(false), format!("{long}\n4.8 × dense\n"));
    }

    #[test]
    fn addresses_hold_no_blank() {
        assert_eq!(
            file_url(Path::new("/no such/ä#1%.html")),
            "file:///no%20such/%C3%A4%231%25.html"
        );
        assert!(file_url(Path::new("report.html")).starts_with("file:///"));
    }

    #[test]
    fn durations() {
        for (seconds, text) in [
            (0.0, "0.0 s"),
            (-0.0, "0.0 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.6, "1 min 0 s"),
            (232.0, "3 min 52 s"),
            (7500.0, "2 h 5 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}

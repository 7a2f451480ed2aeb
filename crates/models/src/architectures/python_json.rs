//! JSON as Python writes it: with `Infinity` and `NaN`, which JSON does not know.

use serde_json::{Map, Value};

/// The words that Python's `json` writes for numbers that JSON has none for.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Reads an object; a bare `Infinity`, `-Infinity` or `NaN` becomes the text of that name.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_str(&with_words_quoted(text))
}

/// The number that a value of a config stands for, among them infinity as a bare word (now a text) and
/// as transformers 5 writes it, `{"__float__": "Infinity"}`.
pub(super) fn number(value: &Value) -> Option<f64> {
    let word = value.get("__float__").unwrap_or(value).as_str();
    match word {
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

/// Writes an object as people read it, with the texts of [`WORDS`] as bare words once more, but where
/// transformers 5 writes them as texts itself.
pub(super) fn text(object: &Map<String, Value>) -> String {
    let text = serde_json::to_string_pretty(object).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let (before, value) = line.split_at(line.find(": ").map_or(0, |colon| colon + 2));
        let bare = value.trim().trim_end_matches(',').trim_matches('"');
        let is_word = WORDS.contains(&bare) && !before.contains("__float__");
        out += &if is_word { line.replace(&format!("\"{bare}\""), bare) } else { line.to_owned() };
        out.push('\n');
    }
    out
}

fn with_words_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let word = WORDS.into_iter().find(|word| rest.starts_with(word));
        let length = match (next, word) {
            ('"', _) => string_length(rest),
            (_, Some(word)) => {
                out.push('"');
                out.push_str(word);
                out.push('"');
                rest = &rest[word.len()..];
                continue;
            }
            _ => next.len_utf8(),
        };
        let (taken, left) = rest.split_at(length);
        out.push_str(taken);
        rest = left;
    }
    out
}

/// Bytes of the string that `text` starts with, quotes included; all of it where the string has no end.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_become_texts() {
        let text = r#"{"limit": [0.0, Infinity], "low": -Infinity, "é \" Infinity": "NaN, \\"}"#;
        let fields = parse(text).expect("it is JSON by now");
        let limit = fields["limit"].as_array().expect("an array");
        assert_eq!(limit.iter().map(number).collect::<Vec<_>>(), [Some(0.0), Some(f64::INFINITY)]);
        assert_eq!(number(&fields["low"]), Some(f64::NEG_INFINITY));
        assert_eq!(fields["é \" Infinity"], "NaN, \\");
        let nested = serde_json::json!({"__float__": "Infinity"});
        assert_eq!(number(&nested), Some(f64::INFINITY));
        assert_eq!(number(&serde_json::json!("NaN")), None);
    }

    #[test]
    fn words_are_bare_when_they_are_written() {
        let written = r#"{"a": "say \"NaN\"", "limit": [0.0, Infinity], "low": -Infinity, "new": {"__float__": "Infinity"}}"#;
        let fields = parse(written).expect("it is JSON by now");
        let text = text(&fields);
        assert!(text.contains("    Infinity\n") && text.contains(": -Infinity,"), "{text}");
        assert!(text.contains(r#""__float__": "Infinity""#), "{text}");
        assert_eq!(parse(&text).expect("it is read again"), fields);
    }

    #[test]
    fn what_is_cut_short_stays_wrong() {
        assert!(parse(r#"{"a": "Infinity"#).is_err());
        assert!(parse("{Infinity").is_err());
    }
}

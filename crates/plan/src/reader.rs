//! Reading TOML values with their lines, collecting every mistake instead of stopping at the first.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::UnknownName;

/// One mistake of a pipeline file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// The place within the file, e.g. `sweep 2`; empty at the top.
    pub place: String,
    /// What is wrong, what was expected.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}", self.message)
    }
}

/// All mistakes of a pipeline file, in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_mistakes = self.0.len();
        write!(f, "{n_mistakes} mistake{}", if n_mistakes == 1 { "" } else { "s" })?;
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// One table of the file, with the words that describe its place.
pub(crate) struct Section<'a> {
    pub(crate) place: String,
    pub(crate) span: Range<usize>,
    pub(crate) table: &'a DeTable<'a>,
}

/// A value with the place it was read from.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) span: Range<usize>,
    pub(crate) value: T,
}

/// A value of the file as found, before its type is known.
pub(crate) type Raw<'a> = &'a Spanned<DeValue<'a>>;

/// Collects mistakes while values are taken out of sections.
pub(crate) struct Reader<'a> {
    text: &'a str,
    mistakes: Vec<Mistake>,
}

/// Reads a TOML file by its top section; nothing is read of a file that is not TOML, since what follows a
/// syntax error is guesswork and would be reported as mistakes of its own.
///
/// # Errors
/// All mistakes of the file: those of its syntax, or those that `read` found.
pub(crate) fn read_document<T>(
    text: &str,
    read: impl for<'a> FnOnce(&mut Reader<'a>, &Section<'a>) -> Option<T>,
) -> Result<T, Mistakes> {
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(text);
    for error in &syntax_errors {
        let span = error.span().unwrap_or(0..0);
        reader.mistake(&span, "", format!("not TOML: {}", error.message()));
    }
    if reader.has_mistakes() {
        return Err(reader.into_mistakes());
    }
    let top = Section { place: String::new(), span: 0..0, table: document.get_ref() };
    match read(&mut reader, &top) {
        Some(value) if !reader.has_mistakes() => Ok(value),
        _ => Err(reader.into_mistakes()),
    }
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader { text, mistakes: Vec::new() }
    }

    pub(crate) fn mistake(&mut self, span: &Range<usize>, place: &str, message: impl Into<String>) {
        let end = span.start.min(self.text.len());
        let line = 1 + self.text.as_bytes()[..end].iter().filter(|&&byte| byte == b'\n').count();
        let mistake = Mistake { line, place: place.to_owned(), message: message.into() };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    pub(crate) fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty()
    }

    pub(crate) fn into_mistakes(mut self) -> Mistakes {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        Mistakes(self.mistakes)
    }

    /// Reports every key of the section that is not in `known`.
    pub(crate) fn check_keys(&mut self, section: &Section<'a>, known: &[&str]) {
        for key in section.table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let given = key.get_ref().as_ref();
                let error = UnknownName::new("key", given, known.iter().copied());
                self.mistake(&key.span(), &section.place, error.to_string());
            }
        }
    }

    /// The value of a key that must be there; its absence is a mistake at the section's line.
    pub(crate) fn required(
        &mut self,
        section: &Section<'a>,
        key: &str,
        expected: &str,
    ) -> Option<Raw<'a>> {
        let value = section.table.get(key);
        if value.is_none() {
            let message = format!("missing key `{key}`: expected {expected}");
            self.mistake(&section.span, &section.place, message);
        }
        value
    }

    fn wrong_type(&mut self, value: Raw<'a>, place: &str, key: &str, expected: &str) {
        let found = value.get_ref().type_str();
        self.mistake(&value.span(), place, format!("`{key}`: expected {expected}, found {found}"));
    }

    pub(crate) fn string(&mut self, value: Raw<'a>, place: &str, key: &str) -> Option<At<String>> {
        match value.get_ref().as_str() {
            Some(text) => Some(At { span: value.span(), value: text.to_owned() }),
            None => {
                self.wrong_type(value, place, key, "a string");
                None
            }
        }
    }

    /// A string that is a name of one of the vocabularies.
    pub(crate) fn name<T: FromStr<Err = UnknownName>>(
        &mut self,
        value: Raw<'a>,
        place: &str,
        key: &str,
    ) -> Option<At<T>> {
        let At { span, value: text } = self.string(value, place, key)?;
        match text.parse() {
            Ok(value) => Some(At { span, value }),
            Err(error) => {
                self.mistake(&span, place, error.to_string());
                None
            }
        }
    }

    /// A whole number of at least `least`.
    pub(crate) fn whole(
        &mut self,
        value: Raw<'a>,
        place: &str,
        key: &str,
        least: u64,
    ) -> Option<At<u64>> {
        let expected = format!("a whole number of at least {least}");
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(value, place, key, &expected);
            return None;
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if number >= least => Some(At { span: value.span(), value: number }),
            _ => {
                let message = format!("`{key}`: expected {expected}, found {integer}");
                self.mistake(&value.span(), place, message);
                None
            }
        }
    }

    /// A whole number of at least 1 that counts something.
    pub(crate) fn count(&mut self, value: Raw<'a>, place: &str, key: &str) -> Option<At<usize>> {
        let At { span, value } = self.whole(value, place, key, 1)?;
        match usize::try_from(value) {
            Ok(value) => Some(At { span, value }),
            Err(_) => {
                self.mistake(&span, place, format!("`{key}`: {value} is too large"));
                None
            }
        }
    }

    /// A decimal number; a whole number is taken for one.
    pub(crate) fn decimal(&mut self, value: Raw<'a>, place: &str, key: &str) -> Option<At<f64>> {
        let text = match value.get_ref() {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            _ => {
                self.wrong_type(value, place, key, "a number");
                return None;
            }
        };
        match text.parse::<f64>() {
            Ok(number) => Some(At { span: value.span(), value: number }),
            Err(_) => {
                self.wrong_type(value, place, key, "a number");
                None
            }
        }
    }

    /// The values of a key that holds one value or a list of them; an empty list is a mistake.
    pub(crate) fn scalar_or_list(
        &mut self,
        value: Raw<'a>,
        place: &str,
        key: &str,
    ) -> Vec<Raw<'a>> {
        let Some(array) = value.get_ref().as_array() else { return vec![value] };
        if array.is_empty() {
            self.mistake(&value.span(), place, format!("`{key}`: the list is empty"));
        }
        array.iter().collect()
    }

    /// The tables of an array of tables, e.g. all `[[sweep]]`.
    pub(crate) fn tables(&mut self, top: &Section<'a>, key: &str) -> Vec<Section<'a>> {
        let Some(value) = top.table.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            let expected = format!("[[{key}]] tables");
            self.wrong_type(value, &top.place, key, &expected);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let place = format!("{key} {}", index + 1);
            match value.get_ref().as_table() {
                Some(table) => sections.push(Section { place, span: value.span(), table }),
                None => self.wrong_type(value, &top.place, key, "a table"),
            }
        }
        sections
    }
}

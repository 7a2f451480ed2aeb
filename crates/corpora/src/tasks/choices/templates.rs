//! Templates over the fields of an item, in the language of Jinja, as lm-evaluation-harness has them.
//!
//! What differs from plain Jinja: a field that an item lacks or that is null is an error, never an empty
//! text; and there are filters for what task files of the harness do in Python.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, syntax::SyntaxConfig,
    value::ValueKind,
};
use regex::Regex;
use serde_json::Value as Json;

use crate::{lines::is_python_space, records::Fields};

/// What a template can name beside the fields: the element of a list, and the member of a group.
pub(super) const ELEMENT: &str = "it";
pub(super) const MEMBER: &str = "member";

/// Compiled templates by the name of their field.
pub(super) struct Templates {
    environment: Environment<'static>,
    /// The fields that each names.
    fields: BTreeMap<String, BTreeSet<String>>,
}

impl Templates {
    /// No template yet; `macros` stand in front of each.
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        // With the place of an error.
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::None | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
                let message = format!("a value that is printed is no text but {}", value.kind());
                Err(Error::new(ErrorKind::InvalidOperation, message))
            }
            // As Jinja prints what Python has.
            ValueKind::Bool => {
                let text = if value.is_true() { "True" } else { "False" };
                out.write_str(text).map_err(Error::from)
            }
            _ => minijinja::escape_formatter(out, state, value),
        });
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.unwrap_or_default());
        environment.add_filter("strip", |text: &str| text.trim_matches(is_python_space).to_owned());
        environment
            .add_filter("lstrip", |text: &str| text.trim_start_matches(is_python_space).to_owned());
        environment
            .add_filter("rstrip", |text: &str| text.trim_end_matches(is_python_space).to_owned());
        environment.add_filter("capitalize", |text: &str| capitalize(text));
        environment.add_filter("regex_replace", regex_replace);
        environment.add_filter("before", |text: &str, mark: &str| parts(text, mark, |both| both.0));
        environment.add_filter("after", |text: &str, mark: &str| parts(text, mark, |both| both.1));
        Self { environment, fields: BTreeMap::new() }
    }

    /// Compiles a template under a name.
    pub(super) fn add(&mut self, name: &str, macros: &str, source: &str) -> Result<(), String> {
        let source = format!("{macros}{source}");
        self.environment.add_template_owned(name.to_owned(), source).map_err(told)?;
        let template = self.environment.get_template(name).map_err(told)?;
        let globals: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        let fields = template.undeclared_variables(false).into_iter();
        let fields = fields.filter(|name| !globals.contains(name.as_str())).collect();
        self.fields.insert(name.to_owned(), fields);
        Ok(())
    }

    /// The text of a template for an item.
    pub(super) fn text(&self, name: &str, values: &Values) -> Result<String, String> {
        self.check(name, values)?;
        let template = self.environment.get_template(name).map_err(told)?;
        template.render(Value::from_object(values.clone())).map_err(told)
    }

    /// Every named field must be there, so that a misspelt one cannot stand for nothing.
    fn check(&self, name: &str, values: &Values) -> Result<(), String> {
        for field in self.fields.get(name).into_iter().flatten() {
            match values.0.get(field.as_str()) {
                None => return Err(format!("the item has no field `{field}`")),
                Some(value) if value.is_none() => return Err(format!("field `{field}` is null")),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// What templates see of an item.
#[derive(Clone, Debug)]
pub(super) struct Values(BTreeMap<String, Value>);

impl minijinja::value::Object for Values {
    fn get_value(self: &std::sync::Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).cloned()
    }
}

impl Values {
    pub(super) fn new(fields: &Fields, member: Option<&str>) -> Result<Self, String> {
        if member.is_some() && fields.contains_key(MEMBER) {
            return Err(format!(
                "a field `{MEMBER}` would hide the member of the group: rename it"
            ));
        }
        let values = fields.iter().map(|(name, value)| (name.clone(), of_json(value)));
        let member = member.map(|member| (MEMBER.to_owned(), Value::from(member)));
        Ok(Self(values.chain(member).collect()))
    }

    /// The same with an element of a list.
    pub(super) fn with(&self, element: Value) -> Result<Self, String> {
        let mut values = self.clone();
        match values.0.insert(ELEMENT.to_owned(), element) {
            None => Ok(values),
            Some(_) => Err(format!("a field `{ELEMENT}` would hide the element: rename it")),
        }
    }

    /// The list at a path like `choices.text`.
    pub(super) fn list(&self, path: &str) -> Result<Vec<Value>, String> {
        let mut names = path.split('.');
        let first = names.next().unwrap_or_default();
        let mut value =
            self.0.get(first).cloned().ok_or_else(|| format!("the item has no field `{first}`"))?;
        for name in names {
            value = value.get_attr(name).map_err(told)?;
        }
        let kind = value.kind();
        if kind != minijinja::value::ValueKind::Seq {
            return Err(format!("expected a list at `{path}`, found {kind}"));
        }
        value.try_iter().map(Iterator::collect).map_err(told)
    }
}

/// A value of an item as templates know it; numbers that are whole stay whole.
fn of_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(values) => values.iter().map(of_json).collect::<Vec<Value>>().into(),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), of_json(value)));
            Value::from(fields.collect::<BTreeMap<String, Value>>())
        }
    }
}

/// What is wrong, without the name of the template: whoever reports it names the field.
pub(super) fn told(error: Error) -> String {
    let kind = error.kind().to_string();
    let what = error.detail().map_or(kind, str::to_owned);
    let range = error.range().and_then(|range| error.template_source()?.get(range));
    range.map_or(what.clone(), |place| format!("{what}, in `{place}`"))
}

/// As Python's `str.capitalize`: the first character in title case, all others in lower case. Greek
/// letters with an iota below are the exception, which are taken apart here.
fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    // Lowered as a whole, since what a sigma becomes hangs on what stands before it.
    let lower = text.to_lowercase();
    let n_first: usize = first.to_lowercase().map(char::len_utf8).sum();
    let rest = lower.get(n_first..).unwrap_or_default();
    format!("{}{rest}", title(first))
}

fn title(c: char) -> String {
    match c {
        // One character for two letters, of which the first alone is large.
        'Ǆ' | 'ǅ' | 'ǆ' => "ǅ".to_owned(),
        'Ǉ' | 'ǈ' | 'ǉ' => "ǈ".to_owned(),
        'Ǌ' | 'ǋ' | 'ǌ' => "ǋ".to_owned(),
        'Ǳ' | 'ǲ' | 'ǳ' => "ǲ".to_owned(),
        // Georgian has large letters for whole words only.
        'ა'..='ჺ' | 'ჽ'..='ჿ' => c.to_string(),
        _ => {
            let mut large = c.to_uppercase();
            let first = large.next().into_iter();
            first.chain(large.flat_map(char::to_lowercase)).collect()
        }
    }
}

fn regex_replace(text: &str, pattern: &str, replacement: &str) -> Result<String, Error> {
    let regex = Regex::new(pattern)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
    Ok(regex.replace_all(text, replacement).into_owned())
}

fn parts(
    text: &str,
    mark: &str,
    which: impl for<'a> Fn((&'a str, &'a str)) -> &'a str,
) -> Result<String, Error> {
    let none = || Error::new(ErrorKind::InvalidOperation, format!("there is no `{mark}` in it"));
    text.split_once(mark).map(|both| which(both).to_owned()).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right values are those of Python's `str.capitalize`.
    #[test]
    fn capitalizes_as_python_does() {
        for (text, expected) in [
            ("", ""),
            ("he SAYS Hello", "He says hello"),
            (" He", " he"),
            ("ßA", "Ssa"),
            ("ǆungla", "ǅungla"),
            ("İSTANBUL", "İstanbul"),
            ("ﬁRST", "First"),
            ("AΣ", "Aς"),
            ("ΣΑΣ", "Σας"),
            ("4 GIRLS", "4 girls"),
        ] {
            assert_eq!(capitalize(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        let mut templates = Templates::new();
        templates.add("a", "", "{{ question }} {{ more.deep }}").unwrap();
        templates.add("b", "", "{{ question | after('_') }}").unwrap();
        let of = |json: Json| {
            let Json::Object(fields) = json else { panic!("an object") };
            Values::new(&fields, None).unwrap()
        };
        let item = of(serde_json::json!({ "question": "x", "more": { "deep": 3 } }));
        assert_eq!(templates.text("a", &item).unwrap(), "x 3");
        assert!(templates.text("b", &item).unwrap_err().contains("no `_`"));
        let item = of(serde_json::json!({ "question": "x" }));
        assert_eq!(templates.text("a", &item).unwrap_err(), "the item has no field `more`");
        let item = of(serde_json::json!({ "question": true, "more": { "deep": null } }));
        assert!(templates.text("a", &item).unwrap_err().contains("no text but none"));
        let item = of(serde_json::json!({ "question": true, "more": { "deep": false } }));
        assert_eq!(templates.text("a", &item).unwrap(), "True False");
        let item = of(serde_json::json!({ "question": "x", "more": { "deep": [] } }));
        assert!(templates.text("a", &item).unwrap_err().contains("in `more.deep`"));
        let item = of(serde_json::json!({ "question": null, "more": {} }));
        assert_eq!(templates.text("a", &item).unwrap_err(), "field `question` is null");
        let item = of(serde_json::json!({ "question": "x", "more": {} }));
        assert!(templates.text("a", &item).is_err(), "a field of a field is missing");
        assert!(templates.add("c", "", "{{ question ").is_err());
        assert!(
            templates.add("d", "", "{{ question | no_filter }}").is_err() || {
                templates.text("d", &item).is_err()
            }
        );
    }
}

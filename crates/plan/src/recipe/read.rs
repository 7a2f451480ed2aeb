//! Recipes of a pipeline file: a list of steps, each key of a step one value or a list that spans an axis.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::step::{kind_of, setting_of};
use crate::reader::{Raw, Reader, Section};
use crate::{Kind, Recipe, Setting, Step, Value, Way};

/// Every recipe that a key of a section spans, the first list changing slowest.
pub(crate) fn read_recipes<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    key: &str,
    seed: u64,
) -> Vec<Recipe> {
    let Some(value) = section.table.get(key) else { return Vec::new() };
    let expected = format!(
        "`{key}`: expected a list of steps, e.g. \
         [{{ cut = \"weights\", method = \"wanda\", sparsity = [0.5, 0.7] }}]"
    );
    let Some(list) = value.get_ref().as_array().filter(|list| !list.is_empty()) else {
        reader.mistake(&value.span(), &section.place, expected.as_str());
        return Vec::new();
    };
    let mut recipes: Vec<Vec<Step>> = vec![Vec::new()];
    for (index, raw) in list.iter().enumerate() {
        let place = format!("{}: step {}", section.place, index + 1);
        let Some(table) = raw.get_ref().as_table() else {
            reader.mistake(&raw.span(), &place, expected.as_str());
            return Vec::new();
        };
        let steps = read_steps(reader, &Section { place, span: raw.span(), table });
        recipes = recipes
            .iter()
            .flat_map(|before| {
                steps.iter().map(|step| [&before[..], std::slice::from_ref(step)].concat())
            })
            .collect();
    }
    let mut checked = Vec::new();
    for steps in recipes {
        match Recipe::new(steps, seed) {
            Ok(recipe) => checked.push(recipe),
            Err(error) => reader.mistake(&value.span(), &section.place, error.to_string()),
        }
    }
    checked
}

/// The product of all lists of one step.
fn read_steps<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<Step> {
    let Some(kind) = read_kind(reader, section) else { return Vec::new() };
    let mut axes: Vec<BTreeMap<&'static str, Value>> = vec![BTreeMap::new()];
    // In the order of the kind's table, whatever the order of the file.
    for setting in kind.settings {
        let Some(value) = section.table.get(setting.name) else { continue };
        let values = read_values(reader, section, setting, value);
        axes = axes
            .iter()
            .flat_map(|before| {
                values.iter().map(|value| {
                    let mut all = before.clone();
                    all.insert(setting.name, value.clone());
                    all
                })
            })
            .collect();
    }
    let mut steps = Vec::new();
    for values in axes {
        match Step::of(kind, values) {
            Ok(step) => steps.push(step),
            Err(error) => reader.mistake(&section.span, &section.place, error.to_string()),
        }
    }
    steps
}

/// The kind that a step names; a key that it does not have is a mistake.
fn read_kind<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<&'static Kind> {
    let ways = Way::ALL.iter().filter_map(|way| {
        let value = section.table.get(way.as_str())?;
        Some((way.as_str(), value.get_ref().as_str().unwrap_or_default()))
    });
    let kind = match kind_of(ways) {
        Ok(kind) => kind,
        Err(error) => {
            reader.mistake(&section.span, &section.place, error.to_string());
            return None;
        }
    };
    for key in section.table.keys() {
        let name = key.get_ref().as_ref();
        if name != kind.way.as_str()
            && let Err(error) = setting_of(kind, name)
        {
            reader.mistake(&key.span(), &section.place, error.to_string());
        }
    }
    Some(kind)
}

/// The values of one setting; one that comes twice is a mistake.
fn read_values<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    setting: &Setting,
    value: Raw<'a>,
) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for raw in reader.scalar_or_list(value, &section.place, setting.name) {
        let text = match raw.get_ref() {
            DeValue::String(text) if setting.takes.is_text() => Some(text.to_string()),
            DeValue::Integer(number) if !setting.takes.is_text() && number.radix() == 10 => {
                Some(number.as_str().to_owned())
            }
            DeValue::Float(number) if !setting.takes.is_text() => Some(number.as_str().to_owned()),
            _ => None,
        };
        match text.and_then(|text| setting.takes.read(&text)) {
            Some(value) if values.contains(&value) => {
                let message = format!("`{}`: the value comes twice", setting.name);
                reader.mistake(&raw.span(), &section.place, message);
            }
            Some(value) => values.push(value),
            None => {
                reader.mistake(&raw.span(), &section.place, setting.refusal(&shown(raw)));
            }
        }
    }
    values
}

/// A value as a message shows it.
fn shown(raw: Raw<'_>) -> String {
    match raw.get_ref() {
        DeValue::String(text) => format!("`{text}`"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        other => other.type_str().to_owned(),
    }
}

//! One step of a recipe: a kind with the values of its settings.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Map;

use super::{flat, kinds};
use crate::{Kind, Label, Needs, Share, StepError, Threshold, UnknownName, Value, Way};

/// A checked step.
#[derive(Clone)]
pub struct Step {
    kind: &'static Kind,
    values: BTreeMap<&'static str, Value>,
}

impl Step {
    /// A step from the texts of its keys and values, `cut`, `skip` or `observe` among them.
    ///
    /// # Errors
    /// [`StepError`] says which key or value is wrong, and what was expected.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Result<Step, StepError> {
        let pairs: Vec<(&str, String)> = pairs.into_iter().collect();
        let kind = kind_of(pairs.iter().map(|(key, value)| (*key, value.as_str())))?;
        let is_way = |key: &str| Way::ALL.iter().any(|way| way.as_str() == key);
        let mut values = BTreeMap::new();
        for (key, text) in pairs.iter().filter(|(key, _)| !is_way(key)) {
            let setting = setting_of(kind, key)?;
            let value = setting.takes.read(text).ok_or_else(|| StepError::Value {
                step: kind.key(),
                problem: setting.refusal(&format!("`{text}`")),
            })?;
            if values.insert(setting.name, value).is_some() {
                let (step, setting) = (kind.key(), setting.name.to_owned());
                return Err(StepError::Twice { step, setting });
            }
        }
        Step::of(kind, values)
    }

    /// A step of a kind with these values, which must be of its settings.
    pub(crate) fn of(
        kind: &'static Kind,
        values: BTreeMap<&'static str, Value>,
    ) -> Result<Step, StepError> {
        let mut step = Step { kind, values };
        for setting in kind.settings.iter().filter(|setting| setting.needed) {
            if !step.values.contains_key(setting.name) {
                let (setting, doc) = (setting.name, setting.doc);
                return Err(StepError::Needed { step: kind.key(), setting, doc });
            }
        }
        (kind.check)(&mut step)?;
        Ok(step)
    }

    /// The same without any check, from what was checked already.
    pub(super) fn checked(kind: &'static Kind, values: BTreeMap<&'static str, Value>) -> Step {
        Step { kind, values }
    }

    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// When it acts.
    pub fn way(&self) -> Way {
        self.kind.way
    }

    /// The values of its settings, in the order of the kind's table.
    pub fn values(&self) -> impl Iterator<Item = (&'static crate::Setting, &Value)> {
        let settings = self.kind.settings.iter();
        settings.filter_map(|setting| Some((setting, self.values.get(setting.name)?)))
    }

    /// The value of a setting.
    pub fn value(&self, setting: &str) -> Option<&Value> {
        self.values.get(setting)
    }

    /// The value of a setting that takes names or patterns.
    pub fn name(&self, setting: &str) -> Option<&str> {
        match self.values.get(setting) {
            Some(Value::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// The value of a setting that takes whole numbers.
    pub fn count(&self, setting: &str) -> Option<u64> {
        match self.values.get(setting) {
            Some(Value::Count(count)) => Some(*count),
            _ => None,
        }
    }

    /// The value of a setting that takes a share.
    pub fn share(&self, setting: &str) -> Option<Share> {
        match self.values.get(setting) {
            Some(Value::Share(share)) => Some(*share),
            _ => None,
        }
    }

    /// The value of a setting that takes a threshold.
    pub fn threshold(&self, setting: &str) -> Option<Threshold> {
        match self.values.get(setting) {
            Some(Value::Threshold(threshold)) => Some(*threshold),
            _ => None,
        }
    }

    /// `(n, m)` of a setting that takes a pattern.
    pub fn pattern(&self, setting: &str) -> Option<(u64, u64)> {
        super::kind::read_pattern(self.name(setting)?)
    }

    /// Tokens that share one kept set; 1 where the set is chosen again for every token.
    pub fn window(&self) -> Option<u64> {
        let dynamic = self.way() == Way::Skip && flat::is_flat(self.kind);
        self.count("window").or(dynamic.then_some(1))
    }

    /// What has to be known before the run.
    pub fn needs(&self) -> Needs {
        (self.kind.needs)(self)
    }

    /// Whether it looks at calibration text before the run.
    pub fn needs_calibration(&self) -> bool {
        match self.way() {
            // An observation is of the text itself, unless something is fitted on another one.
            Way::Observe => self.needs() == Needs::Inputs,
            Way::Cut | Way::Skip => self.needs() != Needs::Nothing,
        }
    }

    /// What is done, as the rest of a sentence.
    pub fn phrase(&self) -> String {
        (self.kind.phrase)(self)
    }

    /// Its words for a label, e.g. `weights wanda κ=.5`.
    pub fn label(&self) -> String {
        let mut words = (self.kind.title)(self);
        for (setting, value) in self.values() {
            let value = value.short();
            match setting.label {
                Label::Hidden => continue,
                Label::Bare => words += &format!(" {value}"),
                Label::After(before) => words += &format!(" {before}{value}"),
                Label::Before(after) => words += &format!(" {value}{after}"),
            }
        }
        words
    }

    /// Sets what a check fills in.
    pub(crate) fn fill(&mut self, setting: &'static str, value: Value) {
        self.values.entry(setting).or_insert(value);
    }

    /// Takes away what says the default.
    pub(crate) fn forget(&mut self, setting: &str) {
        self.values.remove(setting);
    }

    /// An error about settings that do not go together.
    pub(crate) fn wrong(&self, problem: impl Into<String>) -> StepError {
        StepError::Combination { step: self.kind.key(), problem: problem.into() }
    }
}

/// The kind that the keys of a step name.
pub(crate) fn kind_of<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<&'static Kind, StepError> {
    let ways = pairs.filter_map(|(key, value)| {
        let way = Way::ALL.iter().find(|way| way.as_str() == key)?;
        Some((*way, value))
    });
    let ways: Vec<(Way, &str)> = ways.collect();
    let [(way, name)] = ways[..] else {
        return Err(StepError::Way { example: "cut=weights,method=wanda,sparsity=0.5" });
    };
    kinds::find(way, name).ok_or_else(|| {
        let known = kinds::ALL.iter().filter(|kind| kind.way == way).map(|kind| kind.name);
        StepError::Kind(UnknownName::new(way.as_str(), name, known))
    })
}

/// The setting of a kind that a key names.
pub(crate) fn setting_of(
    kind: &'static Kind,
    key: &str,
) -> Result<&'static crate::Setting, StepError> {
    kind.setting(key).ok_or_else(|| StepError::Setting {
        step: kind.key(),
        error: UnknownName::new("setting", key, kind.settings.iter().map(|s| s.name)),
    })
}

impl fmt::Display for Step {
    /// As `--step` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind.key())?;
        self.values().try_for_each(|(setting, value)| write!(f, ",{}={value}", setting.name))
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Step {
    type Err = StepError;

    /// Reads `cut=weights,method=wanda,sparsity=0.5`.
    fn from_str(text: &str) -> Result<Step, StepError> {
        let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
        let pairs = pieces.map(|piece| {
            let pair = piece.split_once('=');
            let (key, value) = pair.ok_or_else(|| StepError::NotAPair(piece.to_owned()))?;
            Ok((key.trim(), value.trim().to_owned()))
        });
        Step::new(pairs.collect::<Result<Vec<_>, StepError>>()?)
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.values.len()))?;
        map.serialize_entry(self.kind.way.as_str(), self.kind.name)?;
        for (setting, value) in &self.values {
            map.serialize_entry(setting, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::deserialize(deserializer)?;
        let pairs = map.iter().map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (key.as_str(), text)
        });
        Step::new(pairs).map_err(D::Error::custom)
    }
}

impl Step {
    fn identity(&self) -> (Way, &'static str, &BTreeMap<&'static str, Value>) {
        (self.kind.way, self.kind.name, &self.values)
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Step {}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for Step {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

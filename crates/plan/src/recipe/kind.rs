//! A kind of step: its settings in one table, what it needs, its words.

use std::fmt;

use crate::{Needs, Share, Step, StepError, Threshold, Value, nearest};

/// When a step acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Weights change once, before the run.
    Cut,
    /// Decided while the model runs; the weights stay.
    Skip,
    /// Nothing changes; something is measured.
    Observe,
}

impl Way {
    /// Every way.
    pub const ALL: &'static [Way] = &[Way::Cut, Way::Skip, Way::Observe];

    /// The key that stands for it in a step.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::Cut => "cut",
            Way::Skip => "skip",
            Way::Observe => "observe",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// One of these names, each with what it means.
    Name(&'static [(&'static str, &'static str)]),
    /// A whole number.
    Count {
        /// The least.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A share, 0 ≤ s < 1.
    Share,
    /// A threshold, 0 < t ≤ 1.
    Threshold,
    /// `n:m`, with 0 < n < m.
    Pattern,
}

impl Takes {
    /// Whether it is written as a string, rather than as a number.
    pub fn is_text(self) -> bool {
        matches!(self, Takes::Name(_) | Takes::Pattern)
    }

    /// What to write, for messages and help.
    pub fn expected(self) -> String {
        match self {
            Takes::Name(names) => {
                let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
                format!("one of {}", names.join(", "))
            }
            Takes::Count { least, most: u64::MAX } => {
                format!("a whole number of at least {least}")
            }
            Takes::Count { least, most } => format!("a whole number from {least} to {most}"),
            Takes::Share => "a share, 0 <= s < 1, of at most 12 decimals".to_owned(),
            Takes::Threshold => "a number, 0 < t <= 1, of at most 12 decimals".to_owned(),
            Takes::Pattern => "n:m with 0 < n < m, e.g. 2:4".to_owned(),
        }
    }

    /// Reads a value; none where the text is no such value.
    pub(crate) fn read(self, text: &str) -> Option<Value> {
        match self {
            Takes::Name(names) => {
                let (name, _) = names.iter().find(|(name, _)| *name == text)?;
                Some(Value::Name((*name).to_owned()))
            }
            Takes::Count { least, most } => {
                let plain = text.bytes().all(|byte| byte.is_ascii_digit());
                let count = text.parse().ok().filter(|n| plain && (least..=most).contains(n))?;
                Some(Value::Count(count))
            }
            Takes::Share => Some(Value::Share(Share::new(text.parse().ok()?).ok()?)),
            Takes::Threshold => Some(Value::Threshold(Threshold::new(text.parse().ok()?)?)),
            Takes::Pattern => {
                let (n, m) = read_pattern(text)?;
                Some(Value::Name(format!("{n}:{m}")))
            }
        }
    }

    /// What a value means, where the setting lists its values.
    pub fn meaning(self, value: &str) -> Option<&'static str> {
        let Takes::Name(names) = self else { return None };
        names.iter().find(|(name, _)| *name == value).map(|(_, meaning)| *meaning)
    }
}

/// `n:m` of a pattern; none where it is none.
pub(crate) fn read_pattern(text: &str) -> Option<(u64, u64)> {
    let (n, m) = text.split_once(':')?;
    let (n, m) = (n.parse::<u64>().ok()?, m.parse::<u64>().ok()?);
    (n > 0 && n < m && m <= 1024).then_some((n, m))
}

/// How a setting stands in a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Not at all.
    Hidden,
    /// Its value alone.
    Bare,
    /// Its value after these characters.
    After(&'static str),
    /// Its value before these characters.
    Before(&'static str),
}

/// One setting of a kind of step.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key in pipelines, on the command line, in filters and in `recipe_json`.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether a step must have it.
    pub needed: bool,
    /// One line.
    pub doc: &'static str,
    /// How a label shows it.
    pub label: Label,
}

impl Setting {
    /// The share of units dropped, κ.
    pub(crate) const SPARSITY: Setting = Setting {
        name: "sparsity",
        takes: Takes::Share,
        needed: true,
        doc: "κ, the share dropped; max(1, round((1-κ)·n)) stay",
        label: Label::After("κ="),
    };

    /// What is wrong with a value that it does not take, as a message shows that; and the nearest name.
    pub(crate) fn refusal(&self, found: &str) -> String {
        let meant = match self.takes {
            Takes::Name(names) => nearest(found.trim_matches('`'), names.iter().map(|own| own.0)),
            _ => None,
        };
        let meant = meant.map_or_else(String::new, |name| format!(": did you mean `{name}`?"));
        format!("`{}`: expected {}, found {found}{meant}", self.name, self.takes.expected())
    }

    /// The same setting where a step may go without it.
    pub(crate) const fn optional(self) -> Setting {
        Setting { needed: false, ..self }
    }
}

/// A kind of step.
#[derive(Debug)]
pub struct Kind {
    /// When it acts.
    pub way: Way,
    /// Its name; unique among the kinds of its way.
    pub name: &'static str,
    /// The part of the model that it acts on: `ffn`, `state`, `heads`, `kv`, `weights` or `layers`.
    pub part: &'static str,
    /// One line.
    pub doc: &'static str,
    /// Its settings, in the order of labels and help.
    pub settings: &'static [Setting],
    /// A step of this kind, for help and messages.
    pub example: &'static str,
    /// Checks settings against each other and fills what they leave open.
    pub(crate) check: fn(&mut Step) -> Result<(), StepError>,
    /// What has to be known before the run.
    pub(crate) needs: fn(&Step) -> Needs,
    /// The first words of a label.
    pub(crate) title: fn(&Step) -> String,
    /// What is done, as the rest of a sentence: `with ... dropped`.
    pub(crate) phrase: fn(&Step) -> String,
    /// Whether it makes entries of weights zero that stay zero.
    pub(crate) leaves_zeros: fn(&Step) -> bool,
    /// Whether it mixes entries of weights, so that zeros would be lost.
    pub(crate) fills_zeros: bool,
}

impl Kind {
    /// The setting of a name.
    pub fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// `cut=weights`.
    pub fn key(&self) -> String {
        format!("{}={}", self.way, self.name)
    }
}

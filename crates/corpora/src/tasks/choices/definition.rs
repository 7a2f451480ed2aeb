//! What defines a task of choices: a TOML file with the keys of lm-evaluation-harness' task files.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::CorpusError;

/// What is made of the log-likelihoods of an item's choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Whether the likeliest choice is the right one.
    Acc,
    /// The same after dividing by the choice's length in characters.
    AccNorm,
}

/// A task of choices, as its file says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The name that protocols have after `choice-`; of a group, what the names of its members begin with.
    pub name: String,
    /// Where it comes from, for people.
    #[serde(default)]
    pub about: String,
    /// Of the definition: numbers of two versions are not comparable.
    pub version: String,
    /// What is told of it.
    pub metrics: Vec<Metric>,
    /// Stands in front of every context.
    #[serde(default)]
    pub description: String,
    /// Items that are shown solved in front; none can be.
    #[serde(default)]
    pub num_fewshot: u32,
    /// Jinja macros that every template can use.
    #[serde(default)]
    pub macros: String,
    /// The context, or one for each choice.
    pub doc_to_text: OneOrMany,
    /// The choices.
    pub doc_to_choice: Texts,
    /// The right one: its number from 0, or its label.
    pub doc_to_target: String,
    /// The labels by which `doc_to_target` names a choice.
    #[serde(default)]
    pub labels: Option<Texts>,
    /// Stands between context and choice.
    #[serde(default = "one_space")]
    pub target_delimiter: String,
    /// Of a task in many parts, such as the subjects of MMLU.
    #[serde(default)]
    pub group: Option<Group>,
}

/// A template, or several.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a template, or a list of templates, one a choice")]
pub enum OneOrMany {
    /// One for all choices.
    One(String),
    /// One for each.
    Many(Vec<String>),
}

/// Several texts of an item.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of templates, or { each = \"a field that is a list\" }"
)]
pub enum Texts {
    /// Templates, one a text.
    Templates(Vec<String>),
    /// One text for each element of a list.
    Each(Each),
}

/// One text for each element of a list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// The field that is the list; a dot leads into a field.
    pub each: String,
    /// What is made of an element, which it calls `it`.
    #[serde(default = "element")]
    pub template: String,
}

/// The parts of a task, each with items of its own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Of the group.
    pub version: String,
    /// Their names; templates call the one that is run `member`. Protocols have them with hyphens.
    pub members: Vec<String>,
}

fn one_space() -> String {
    " ".to_owned()
}

fn element() -> String {
    "{{ it }}".to_owned()
}

impl Definition {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, TOML that is none, a key that is unknown, missing or of another kind, and
    /// settings that contradict each other.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// The same of a text that lies, or is said to lie, at `path`.
    ///
    /// # Errors
    /// As [`Definition::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, CorpusError> {
        let bad = |reason: String| CorpusError::TaskFile { path: path.to_owned(), reason };
        let own: Definition =
            toml::from_str(text).map_err(|error| bad(error.to_string().trim_end().to_owned()))?;
        match own.problem() {
            None => Ok(own),
            Some(reason) => Err(bad(reason)),
        }
    }

    fn problem(&self) -> Option<String> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(is_plain) {
            return Some(format!("`name`: `{}`: use a-z, 0-9 and - only", self.name));
        }
        if self.num_fewshot > 0 {
            return Some("`num_fewshot`: solved items in front are not supported: 0".to_owned());
        }
        if !self.metrics.contains(&Metric::Acc) {
            return Some(
                "`metrics`: expected `acc`, and `acc_norm` where lengths differ".to_owned(),
            );
        }
        if let Some(group) = &self.group {
            let names: BTreeSet<String> =
                group.members.iter().map(|member| member.replace('_', "-")).collect();
            if names.len() < group.members.len() || names.is_empty() {
                let reason = "expected members, each of a name of its own (- and _ are one)";
                return Some(format!("`group.members`: {reason}"));
            }
            if let Some(bad) = names.iter().find(|name| !name.chars().all(is_plain)) {
                return Some(format!("`group.members`: `{bad}`: use a-z, 0-9, - and _ only"));
            }
        }
        let n_choices = match &self.doc_to_choice {
            Texts::Templates(templates) => Some(templates.len()),
            Texts::Each(_) => None,
        };
        match (&self.doc_to_text, n_choices) {
            (OneOrMany::One(_), Some(0 | 1)) => {
                Some("`doc_to_choice`: expected at least two choices".to_owned())
            }
            (OneOrMany::Many(contexts), _) if contexts.len() < 2 => Some(
                "`doc_to_text`: a list has one context for each of at least two choices".into(),
            ),
            (OneOrMany::Many(_), None) => {
                Some("`doc_to_text`: where it is a list, `doc_to_choice` is one too".to_owned())
            }
            (OneOrMany::Many(contexts), Some(n)) if n != 1 && n != contexts.len() => Some(format!(
                "`doc_to_choice`: expected one text for all {} contexts, or as many, found {n}",
                contexts.len()
            )),
            (OneOrMany::Many(_), Some(1)) if self.is_normalised() => Some(
                "`metrics`: `acc_norm` is `acc` where all choices have one continuation".to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether the likeliest choice by its length is told too.
    pub fn is_normalised(&self) -> bool {
        self.metrics.contains(&Metric::AccNorm)
    }

    /// Where a task of this project lies in the source, for messages.
    pub(super) fn place(name: &str) -> PathBuf {
        PathBuf::from(format!("crates/corpora/tasks/{name}.toml"))
    }
}

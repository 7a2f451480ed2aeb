//! Protocols: how a text or a set of items is turned into numbers, and what kind of number that is.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{UnknownName, check_folder_name, datasets};

/// What a protocol's rows come to. Whoever reads results asks for this, never for a protocol's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// A mean loss over targets, told as perplexity; a unit is one window of text.
    MeanLoss,
    /// A share of items that are right, each by itself; a unit is one item.
    Proportion,
    /// A share of items whose likeliest choice is the right one, as it is and by its length; a unit is one
    /// item of several choices.
    Choice,
}

/// How a text is turned into numbers: `ppl-T`, `lambada-openai`, `lambada-last-token` or `choice-TASK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Protocol {
    /// Perplexity over disjoint windows of `window_tokens` ids; a unit is one window.
    Perplexity {
        /// Ids in one window, at least 2 (a window of T ids has T − 1 targets).
        window_tokens: usize,
    },
    /// The whole last word, teacher-forced; a unit is one item.
    LambadaOpenai,
    /// The last token only; a unit is one item.
    LambadaLastToken,
    /// The likeliest of several continuations; a unit is one item of the task.
    Choice(TaskName),
}

/// What the names of multiple-choice protocols begin with.
const CHOICE: &str = "choice-";

impl Protocol {
    /// What the names look like; `ppl-1024` stands for any `ppl-T`, `choice-piqa` for any task.
    pub const EXAMPLES: &'static [&'static str] =
        &["ppl-1024", "lambada-openai", "lambada-last-token", "choice-piqa"];

    /// What kind of number it gives.
    pub fn measure(self) -> Measure {
        match self {
            Protocol::Perplexity { .. } => Measure::MeanLoss,
            Protocol::LambadaOpenai | Protocol::LambadaLastToken => Measure::Proportion,
            Protocol::Choice(_) => Measure::Choice,
        }
    }

    /// The task of a multiple-choice protocol.
    pub fn task(self) -> Option<TaskName> {
        match self {
            Protocol::Choice(task) => Some(task),
            _ => None,
        }
    }

    /// Ids in one window of calibration text where nothing else is said; none where the protocol has no
    /// windows.
    pub fn window_tokens(self) -> Option<usize> {
        match self {
            Protocol::Perplexity { window_tokens } => Some(window_tokens),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protocol::Perplexity { window_tokens } => f.pad(&format!("ppl-{window_tokens}")),
            Protocol::LambadaOpenai => f.pad("lambada-openai"),
            Protocol::LambadaLastToken => f.pad("lambada-last-token"),
            Protocol::Choice(task) => f.pad(&format!("{CHOICE}{task}")),
        }
    }
}

impl FromStr for Protocol {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "lambada-openai" => return Ok(Protocol::LambadaOpenai),
            "lambada-last-token" => return Ok(Protocol::LambadaLastToken),
            _ => {}
        }
        let known = || {
            let tasks = datasets::tasks().map(|task| format!("{CHOICE}{task}"));
            let others = Self::EXAMPLES.iter().filter(|name| !name.starts_with(CHOICE));
            others.map(|&name| name.to_owned()).chain(tasks)
        };
        let unknown = || {
            let known: Vec<String> = known().collect();
            UnknownName::new("protocol", text, known.iter().map(String::as_str))
        };
        if let Some(task) = text.strip_prefix(CHOICE) {
            return TaskName::new(task).map(Protocol::Choice).ok_or_else(unknown);
        }
        let digits = text.strip_prefix("ppl-").unwrap_or("");
        let canonical = !digits.starts_with(['0', '+']);
        match digits.parse::<usize>() {
            Ok(window_tokens) if canonical && window_tokens >= 2 => {
                Ok(Protocol::Perplexity { window_tokens })
            }
            _ => Err(unknown()),
        }
    }
}

impl From<Protocol> for String {
    fn from(value: Protocol) -> String {
        value.to_string()
    }
}

impl TryFrom<String> for Protocol {
    type Error = UnknownName;

    fn try_from(text: String) -> Result<Self, UnknownName> {
        text.parse()
    }
}

/// The name of a multiple-choice task: `piqa`, `mmlu-anatomy`, or one of a user's own.
///
/// Names are kept once for the whole process, so that a protocol stays a small value that is copied; there
/// are as many as someone has written down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskName(&'static str);

static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl TaskName {
    /// A name of lower-case letters, digits and hyphens; none where it is not.
    pub fn new(name: &str) -> Option<TaskName> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_plain = name.chars().all(plain) && !name.starts_with('-') && !name.ends_with('-');
        if !is_plain || check_folder_name(name).is_err() {
            return None;
        }
        // A name is complete when it is put in, so a thread that died with the lock broke nothing.
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.get(name).copied();
        Some(TaskName(known.unwrap_or_else(|| {
            let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
            names.insert(name);
            name
        })))
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl Serialize for TaskName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

// Not derived: a derived one would borrow the name from what is read.
impl<'de> Deserialize<'de> for TaskName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl TryFrom<String> for TaskName {
    type Error = UnknownName;

    fn try_from(text: String) -> Result<Self, UnknownName> {
        TaskName::new(&text).ok_or_else(|| UnknownName::new("task", text, datasets::tasks()))
    }
}

impl fmt::Debug for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        let own = "choice-my-task-2";
        for text in
            ["ppl-2", "ppl-1024", "lambada-openai", "lambada-last-token", "choice-piqa", own]
        {
            let protocol: Protocol = text.parse().unwrap();
            assert_eq!(protocol.to_string(), text);
            assert_eq!(protocol, text.parse().unwrap());
        }
    }

    #[test]
    fn bad_protocols_are_refused() {
        let bad = ["ppl-", "ppl-0", "ppl-1", "ppl-01024", "ppl-+9", "ppl--3", "ppl", "lambada"];
        for text in bad.into_iter().chain(["choice-", "choice-A", "choice-a_b", "choice--a"]) {
            assert!(text.parse::<Protocol>().is_err(), "{text}");
        }
        let nearest = |text: &str| text.parse::<Protocol>().unwrap_err().nearest;
        assert_eq!(nearest("lambada-opnai").as_deref(), Some("lambada-openai"));
        assert_eq!(nearest("choice-arc_easy").as_deref(), Some("choice-arc-easy"));
    }
}

//! Protocols `choice-TASK`: which of several continuations a model finds likeliest, as
//! lm-evaluation-harness 0.4.13 asks it (`lm_eval/api/task.py`).
//!
//! What a task is stands in a TOML file: those of this project in `crates/corpora/tasks`, a user's own
//! wherever they like. Nothing here knows a task by name.

mod definition;
mod templates;

use std::path::Path;

use sha2::{Digest as _, Sha256};

pub use definition::{Definition, Metric};

use super::{
    Ask, Items, Source, Task,
    pair::{Pairs, Refused},
};
use crate::{Choices, CorpusError, Item, Length, Records, records::Fields};
use definition::{Each, OneOrMany, Texts};
use templates::{Templates, Values};

/// The tasks of this project.
const OWN: &[(&str, &str)] = &[
    ("arc-challenge", include_str!("../../../tasks/arc-challenge.toml")),
    ("arc-easy", include_str!("../../../tasks/arc-easy.toml")),
    ("boolq", include_str!("../../../tasks/boolq.toml")),
    ("copa", include_str!("../../../tasks/copa.toml")),
    ("hellaswag", include_str!("../../../tasks/hellaswag.toml")),
    ("mmlu", include_str!("../../../tasks/mmlu.toml")),
    ("openbookqa", include_str!("../../../tasks/openbookqa.toml")),
    ("piqa", include_str!("../../../tasks/piqa.toml")),
    ("rte", include_str!("../../../tasks/rte.toml")),
    ("sciq", include_str!("../../../tasks/sciq.toml")),
    ("winogrande", include_str!("../../../tasks/winogrande.toml")),
];

/// The definitions of this project's tasks.
///
/// # Errors
/// None that a test would let through.
pub fn definitions() -> Result<Vec<Definition>, CorpusError> {
    OWN.iter().map(|(name, text)| Definition::parse(&Definition::place(name), text)).collect()
}

/// `choice-TASK` for a task of this project.
pub(super) fn by_name(name: &str) -> Option<Result<Box<dyn Task>, CorpusError>> {
    let task = name.strip_prefix("choice-")?;
    let (name, text) = OWN.iter().find(|(name, _)| is_of(name, task))?;
    let place = Definition::place(name);
    let made = Definition::parse(&place, text).and_then(|own| ChoiceTask::new(own, &place, task));
    match made {
        Ok(made) => Some(Ok(Box::new(made))),
        // The group alone, or a member that it has not.
        Err(CorpusError::UnknownTask { .. }) => None,
        Err(error) => Some(Err(error)),
    }
}

/// Whether a task has this name, or one that begins with it and a hyphen.
fn is_of(name: &str, task: &str) -> bool {
    task.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A task of choices, ready to be asked.
pub struct ChoiceTask {
    definition: Definition,
    member: Option<String>,
    templates: Templates,
}

const TEXT: &str = "doc_to_text";
const CHOICE: &str = "doc_to_choice";
const TARGET: &str = "doc_to_target";
const LABELS: &str = "labels";
const DESCRIPTION: &str = "description";

/// What a definition makes of an item, before any tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// One a choice.
    pub contexts: Vec<String>,
    /// One a choice, with the delimiter in front.
    pub continuations: Vec<String>,
    /// Of each choice, without the delimiter.
    pub lengths: Vec<Length>,
    /// The right one.
    pub gold: usize,
}

/// Which field of a definition an item does not fit, and why.
type Misfit = (&'static str, String);

impl ChoiceTask {
    /// The task of a user's own file, under the name that protocols have after `choice-`.
    ///
    /// # Errors
    /// As [`Definition::read`], and a template that is none.
    pub fn read(path: &Path, name: &str) -> Result<Self, CorpusError> {
        Self::new(Definition::read(path)?, path, name)
    }

    /// The task of a definition that lies at `path`; of a group, the member that `name` says.
    fn new(definition: Definition, path: &Path, name: &str) -> Result<Self, CorpusError> {
        let unknown = || CorpusError::UnknownTask { name: format!("choice-{name}") };
        let rest = name.strip_prefix(definition.name.as_str()).ok_or_else(unknown)?;
        let member = match (&definition.group, rest.strip_prefix('-')) {
            (None, None) if rest.is_empty() => None,
            (Some(group), Some(rest)) => {
                let is_meant = |member: &&String| member.replace('_', "-") == rest;
                Some(group.members.iter().find(is_meant).ok_or_else(unknown)?.clone())
            }
            _ => return Err(unknown()),
        };
        let bad = |(field, reason): Misfit| CorpusError::TaskFile {
            path: path.to_owned(),
            reason: format!("`{field}`: {reason}"),
        };
        let templates = compile(&definition).map_err(bad)?;
        Ok(Self { definition, member, templates })
    }

    /// The text of every request of an item.
    ///
    /// # Errors
    /// [`CorpusError::TaskItem`] with the field of the definition that the item does not fit.
    pub fn question(&self, records: &Records, index: usize) -> Result<Question, CorpusError> {
        self.question_of(&records.items()[index])
            .map_err(|misfit| self.misfit(records, index, misfit))
    }

    fn misfit(&self, records: &Records, item: usize, (field, reason): Misfit) -> CorpusError {
        CorpusError::TaskItem {
            path: records.path().to_owned(),
            task: self.definition.name.clone(),
            item,
            field,
            reason,
        }
    }

    fn question_of(&self, fields: &Fields) -> Result<Question, Misfit> {
        let definition = &self.definition;
        let values = Values::new(fields, self.member.as_deref());
        let description = self.text(DESCRIPTION, DESCRIPTION, &values)?;
        let mut contexts = match &definition.doc_to_text {
            OneOrMany::One(_) => vec![self.text(TEXT, TEXT, &values)?],
            OneOrMany::Many(many) => self.several(TEXT, many.len(), &values)?,
        };
        contexts.iter_mut().for_each(|context| context.insert_str(0, &description));
        let mut choices = self.texts(CHOICE, &definition.doc_to_choice, &values)?;
        // One context for all choices, or one choice for all contexts.
        let n = contexts.len().max(choices.len());
        for list in [&mut contexts, &mut choices] {
            if let [only] = list.as_slice() {
                *list = vec![only.clone(); n];
            }
        }
        if n < 2 || contexts.len() != choices.len() {
            return Err((CHOICE, format!("expected at least two choices, found {n}")));
        }
        let empty = choices.iter().position(String::is_empty);
        if let Some(empty) = empty.filter(|_| definition.is_normalised()) {
            let reason = format!("choice {empty} is empty, and acc_norm divides by its length");
            return Err((CHOICE, reason));
        }
        let target = self.text(TARGET, TARGET, &values)?;
        let labels = definition.labels.as_ref();
        let labels = labels.map(|labels| self.texts(LABELS, labels, &values)).transpose()?;
        Ok(Question {
            gold: gold(&target, labels.as_deref(), n)?,
            lengths: choices.iter().map(|choice| length(choice)).collect(),
            continuations: choices
                .iter()
                .map(|choice| format!("{}{choice}", definition.target_delimiter))
                .collect(),
            contexts,
        })
    }

    fn text(&self, name: &str, field: &'static str, values: &Values) -> Result<String, Misfit> {
        self.templates.text(name, values).map_err(|reason| (field, reason))
    }

    fn several(
        &self,
        field: &'static str,
        n: usize,
        values: &Values,
    ) -> Result<Vec<String>, Misfit> {
        (0..n).map(|index| self.text(&numbered(field, index), field, values)).collect()
    }

    fn texts(
        &self,
        field: &'static str,
        texts: &Texts,
        values: &Values,
    ) -> Result<Vec<String>, Misfit> {
        match texts {
            Texts::Templates(templates) => self.several(field, templates.len(), values),
            Texts::Each(Each { each, .. }) => {
                let elements = values.list(each).map_err(|reason| (field, reason))?;
                let of = |element| self.text(field, field, &values.with(element));
                elements.into_iter().map(of).collect()
            }
        }
    }

    fn item(
        &self,
        records: &Records,
        index: usize,
        pairs: &mut Pairs<'_>,
    ) -> Result<Item, CorpusError> {
        let question = self.question(records, index)?;
        let mut requests = Vec::with_capacity(question.contexts.len());
        let both = question.contexts.iter().zip(&question.continuations);
        for (choice, (context, continuation)) in both.clone().enumerate() {
            let what = format!("choice {choice}");
            requests.push(pairs.request(context, continuation, &what).map_err(|refused| {
                match refused {
                    Refused::Tokenizer(error) => error,
                    Refused::Pair(reason) => self.misfit(records, index, (CHOICE, reason)),
                }
            })?);
        }
        let digests = both.map(|(context, continuation)| digest(context, continuation)).collect();
        let choices = Choices { gold: question.gold, lengths: question.lengths, digests };
        Ok(Item { index, requests, distance_sentences: None, choices: Some(choices) })
    }
}

impl Task for ChoiceTask {
    fn items(&self, source: Source<'_>, ask: Ask<'_>) -> Result<Items, CorpusError> {
        let records = source.records()?;
        let mut pairs = Pairs::new(ask.tokenizer, ask.max_positions);
        let n = records.items().len().min(ask.limit.unwrap_or(usize::MAX));
        let items: Result<Vec<Item>, CorpusError> =
            (0..n).map(|index| self.item(records, index, &mut pairs)).collect();
        let items = items?;
        for request in items.iter().flat_map(|item| &item.requests) {
            ask.tokenizer.check(request.ids(), records.path())?;
        }
        Ok(Items { items, n_ids: None })
    }

    fn reads_records(&self) -> bool {
        true
    }

    fn definition(&self) -> Option<&Definition> {
        Some(&self.definition)
    }
}

fn compile(definition: &Definition) -> Result<Templates, Misfit> {
    let mut templates = Templates::new();
    let mut add = |name: &str, field: &'static str, source: &str| {
        templates.add(name, &definition.macros, source).map_err(|reason| (field, reason))
    };
    add(DESCRIPTION, DESCRIPTION, &definition.description)?;
    add(TARGET, TARGET, &definition.doc_to_target)?;
    match &definition.doc_to_text {
        OneOrMany::One(source) => add(TEXT, TEXT, source)?,
        OneOrMany::Many(sources) => {
            for (index, source) in sources.iter().enumerate() {
                add(&numbered(TEXT, index), TEXT, source)?;
            }
        }
    }
    for (field, texts) in
        [(CHOICE, Some(&definition.doc_to_choice)), (LABELS, definition.labels.as_ref())]
    {
        match texts {
            Some(Texts::Each(each)) => add(field, field, &each.template)?,
            Some(Texts::Templates(sources)) => {
                for (index, source) in sources.iter().enumerate() {
                    add(&numbered(field, index), field, source)?;
                }
            }
            None => {}
        }
    }
    Ok(templates)
}

fn numbered(field: &str, index: usize) -> String {
    format!("{field} {index}")
}

/// The choice that a target names: by its label where there are labels, else by its number from 0.
fn gold(target: &str, labels: Option<&[String]>, n: usize) -> Result<usize, Misfit> {
    let found = match labels {
        Some(labels) => labels.iter().position(|label| label == target),
        None => target.parse().ok(),
    };
    found.filter(|&gold| gold < n).ok_or_else(|| {
        let expected = match labels {
            Some(labels) => format!("one of {}", labels.join(", ")),
            None => format!("a number from 0 to {}", n - 1),
        };
        (TARGET, format!("expected {expected}, found `{target}`"))
    })
}

fn length(choice: &str) -> Length {
    Length { characters: choice.chars().count(), bytes: choice.len() }
}

fn digest(context: &str, continuation: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [context.as_bytes(), &[0], continuation.as_bytes(), &[1]] {
        hasher.update(part);
    }
    hasher.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;

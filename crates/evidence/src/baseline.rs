//! Which dense cell another cell is compared with, and when it is not compared.
//!
//! A comparison is paired: the same weights, the same text, the same windows or items, computed by
//! the same code. Anything else is refused with a reason and never averaged over.

use serde::Serialize;
use tables::{ChoiceRow, Provenance, TaskColumns};

use crate::group::Group;
use crate::key::Key;
use crate::table_file::{CellResult, Rows};
use crate::text::{count, short};

/// How a row stands to its dense baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum AgainstDense<T> {
    /// The row is a dense one.
    Baseline,
    /// There is no dense cell of this model, text and protocol.
    NoDense,
    /// There are dense cells, but none that this row may be compared with.
    Refused {
        /// What differs.
        reason: String,
    },
    /// Compared with the dense cell named in it.
    Compared(T),
}

impl<T> AgainstDense<T> {
    /// The same with what was measured beside the dense cell.
    ///
    /// # Errors
    /// Those of `measure`.
    pub fn try_map<U, E>(
        self,
        measure: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<AgainstDense<U>, E> {
        Ok(match self {
            AgainstDense::Baseline => AgainstDense::Baseline,
            AgainstDense::NoDense => AgainstDense::NoDense,
            AgainstDense::Refused { reason } => AgainstDense::Refused { reason },
            AgainstDense::Compared(dense) => AgainstDense::Compared(measure(dense)?),
        })
    }

    /// Whether the comparison was refused.
    pub fn is_refused(&self) -> bool {
        matches!(self, AgainstDense::Refused { .. })
    }

    /// The comparison, where there is one.
    pub fn compared(&self) -> Option<&T> {
        match self {
            AgainstDense::Compared(comparison) => Some(comparison),
            _ => None,
        }
    }
}

/// The dense cell of its group that `result` is to be compared with: of those that agree with it in
/// everything a paired comparison needs, the newest.
pub fn dense_of<'a>(
    (key, result): (Key, &CellResult),
    group: &Group<'a>,
) -> AgainstDense<&'a CellResult> {
    if key.is_dense() {
        return AgainstDense::Baseline;
    }
    match closest(result, group.dense.iter().copied()) {
        None => AgainstDense::NoDense,
        Some((differences, dense)) if differences.is_empty() => AgainstDense::Compared(dense),
        Some((differences, _)) => {
            AgainstDense::Refused { reason: format!("not compared: {}", differences.join("; ")) }
        }
    }
}

/// Of some dense cells the one with the least that forbids a comparison with `result`, and what that is; of
/// equals the newest.
pub fn closest<'a>(
    result: &CellResult,
    dense: impl Iterator<Item = &'a CellResult>,
) -> Option<(Vec<String>, &'a CellResult)> {
    dense.map(|dense| (differences(result, dense), dense)).min_by_key(|(differences, dense)| {
        let newest_first = std::cmp::Reverse(dense.provenance.started_at_ms);
        (differences.len(), newest_first, dense.id.clone())
    })
}

/// Everything that forbids a paired comparison.
pub fn differences(result: &CellResult, dense: &CellResult) -> Vec<String> {
    let (ours, theirs) = (&result.provenance, &dense.provenance);
    let code = other("code version", &ours.code_version, &theirs.code_version, DENSE);
    let mut reasons: Vec<String> = code.into_iter().collect();
    reasons.extend(other_inputs(ours, theirs, DENSE));
    reasons.extend(other_units(&result.rows, &dense.rows, DENSE));
    reasons
}

/// What the other side of a comparison is called in a reason.
const DENSE: &str = "dense";

/// Which inputs of a cell are not those of another, which is called `whose`.
pub fn other_inputs(ours: &Provenance, theirs: &Provenance, whose: &str) -> Vec<String> {
    let inputs = [
        ("weights", &ours.weights_sha256, &theirs.weights_sha256),
        ("tokenizer", &ours.tokenizer_sha256, &theirs.tokenizer_sha256),
        ("text", &ours.text_sha256, &theirs.text_sha256),
        ("device", &ours.device, &theirs.device),
    ];
    inputs.into_iter().filter_map(|(what, ours, theirs)| other(what, ours, theirs, whose)).collect()
}

/// `other weights (1a2b, dense 3c4d)`; nothing where they are the same.
pub fn other(what: &str, ours: &str, theirs: &str, whose: &str) -> Option<String> {
    (ours != theirs).then(|| format!("other {what} ({}, {whose} {})", short(ours), short(theirs)))
}

/// How the choices of two cells differ in what was asked: the task, the texts, the right answers.
fn other_choices(
    (task, ours): (&TaskColumns, &[ChoiceRow]),
    (other, theirs): (&TaskColumns, &[ChoiceRow]),
    whose: &str,
) -> Option<String> {
    if task.version != other.version {
        let (own, other) = (&task.version, &other.version);
        return Some(format!("version {own} of the task, {whose} has {other}"));
    }
    if task != other {
        return Some(format!("a task of another group or other metrics than {whose} has"));
    }
    if ours.len() != theirs.len() {
        return Some(format!("{}, {whose} has {}", count(ours.len(), "choice"), theirs.len()));
    }
    ours.iter().zip(theirs).find_map(|(own, other)| {
        let at = |row: &ChoiceRow| (row.item_index, row.choice_index);
        let asked = |row: &ChoiceRow| (at(row), row.request_sha256.clone(), row.n_characters);
        let (item, choice) = at(own);
        if asked(own) != asked(other) {
            return Some(format!("item {item}, choice {choice} is another text than {whose} has"));
        }
        (own.is_gold != other.is_gold)
            .then(|| format!("item {item} has another right choice than {whose} has"))
    })
}

/// How a set of windows or items differs from that of a cell called `whose`; none when they are the
/// same.
pub fn other_units(ours: &Rows, theirs: &Rows, whose: &str) -> Option<String> {
    let units = |rows: &Rows| -> (&str, Vec<(u32, u32)>) {
        match rows {
            Rows::Windows(rows) => {
                ("window", rows.iter().map(|row| (row.window_index, row.n_targets)).collect())
            }
            Rows::Items(rows) => {
                ("item", rows.iter().map(|row| (row.item_index, row.n_target_tokens)).collect())
            }
            Rows::Choices(_, rows) => {
                ("choice", rows.iter().map(|row| (row.item_index, row.choice_index)).collect())
            }
        }
    };
    if let (Rows::Choices(a, ours), Rows::Choices(b, theirs)) = (ours, theirs) {
        return other_choices((a, ours), (b, theirs), whose);
    }
    let ((what, ours), (_, theirs)) = (units(ours), units(theirs));
    let differing = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
    match differing {
        _ if ours.len() != theirs.len() => {
            Some(format!("{}, {whose} has {}", count(ours.len(), what), theirs.len()))
        }
        None => None,
        Some((ours, theirs)) if ours.0 != theirs.0 => {
            Some(format!("{what} {} where {whose} has {what} {}", ours.0, theirs.0))
        }
        Some((ours, theirs)) => {
            Some(format!("{what} {} has {} targets, {whose} {}", ours.0, ours.1, theirs.1))
        }
    }
}

#[cfg(test)]
mod tests {
    use tables::RowShares;

    use super::*;

    fn choices(version: &str, change: impl Fn(&mut ChoiceRow)) -> Rows {
        let task = TaskColumns { version: version.to_owned(), group: None, is_normalised: true };
        let row = |index: u32| ChoiceRow {
            item_index: index / 2,
            choice_index: index % 2,
            is_gold: index.is_multiple_of(2),
            logprob_nats: -1.0,
            n_target_tokens: 1,
            n_tokens: 3,
            n_characters: 4,
            n_bytes: 4,
            is_greedy: false,
            request_sha256: format!("{index:016x}"),
            shares: RowShares::default(),
            tokens: tables::TokenColumns::default(),
        };
        let mut rows: Vec<ChoiceRow> = (0..4).map(row).collect();
        rows.iter_mut().for_each(change);
        Rows::Choices(task, rows)
    }

    /// Two answer keys, two texts or two versions are never paired.
    #[test]
    fn other_questions_are_told() {
        let ours = choices("1.0", |_| {});
        let told = |theirs: &Rows| other_units(&ours, theirs, "dense");
        assert_eq!(told(&ours), None);
        // What a model makes of them may differ.
        assert_eq!(told(&choices("1.0", |row| row.logprob_nats = -2.0)), None);
        let gold = choices("1.0", |row| row.is_gold = row.choice_index == row.item_index);
        assert!(told(&gold).unwrap().contains("item 1 has another right choice than dense has"));
        let text = choices("1.0", |row| {
            if row.item_index == 1 {
                row.request_sha256.push('x');
            }
        });
        assert!(told(&text).unwrap().contains("item 1, choice 0 is another text"));
        assert!(told(&choices("2.0", |_| {})).unwrap().contains("version 1.0 of the task"));
    }
}

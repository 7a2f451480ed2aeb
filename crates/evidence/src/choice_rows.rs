//! The rows of a `choices` file, checked: every item has one right choice, and its choices are complete.

use anyhow::{Result, ensure};
use tables::{ChoiceRow, Frame, TaskColumns};

use crate::table_file::{
    Rows, all, bools, constant_bool, constant_text, f64s, of_tokens, optional_text, shares, u32s,
};

/// The columns that only this table has.
pub(crate) const COLUMNS: &[&str] = &[
    "task_version",
    "task_group",
    "is_normalised",
    "item_index",
    "choice_index",
    "is_gold",
    "logprob_nats",
    "n_target_tokens",
    "n_tokens",
    "n_characters",
    "n_bytes",
    "is_greedy",
    "request_sha256",
];

/// What is said of the task, and the choices sorted by item and choice.
pub(crate) fn rows(frame: &Frame) -> Result<Rows> {
    let task = TaskColumns {
        version: constant_text(frame, "task_version")?,
        group: optional_text(frame, "task_group")?,
        is_normalised: constant_bool(frame, "is_normalised")?,
    };
    let (item, choice) = (u32s(frame, "item_index")?, u32s(frame, "choice_index")?);
    let (targets, tokens) = (u32s(frame, "n_target_tokens")?, u32s(frame, "n_tokens")?);
    let (characters, bytes) = (u32s(frame, "n_characters")?, u32s(frame, "n_bytes")?);
    let (gold, greedy) = (bools(frame, "is_gold")?, bools(frame, "is_greedy")?);
    let logprob = f64s(frame, "logprob_nats")?;
    let digests = all("request_sha256", frame.texts("request_sha256")?)?;
    let shares = shares(frame)?;
    let of_tokens = of_tokens(frame)?;
    let mut rows: Vec<ChoiceRow> = digests
        .into_iter()
        .enumerate()
        .map(|(row, request_sha256)| ChoiceRow {
            item_index: item[row],
            choice_index: choice[row],
            is_gold: gold[row],
            logprob_nats: logprob[row],
            n_target_tokens: targets[row],
            n_tokens: tokens[row],
            n_characters: characters[row],
            n_bytes: bytes[row],
            is_greedy: greedy[row],
            request_sha256,
            shares: shares[row],
            tokens: of_tokens[row],
        })
        .collect();
    rows.sort_by_key(|row| (row.item_index, row.choice_index));
    for choices in rows.chunk_by(|a, b| a.item_index == b.item_index) {
        let item = choices[0].item_index;
        let is_whole = choices.iter().enumerate().all(|(i, own)| own.choice_index == i as u32);
        ensure!(is_whole, "the choices of item {item} are not each there once");
        let n_gold = choices.iter().filter(|own| own.is_gold).count();
        ensure!(n_gold == 1, "{n_gold} choices of item {item} are right, not one");
        for own in choices {
            ensure!(own.logprob_nats <= 0.0, "a choice of item {item} is likelier than certain");
            let is_divided = task.is_normalised && own.n_characters == 0;
            ensure!(!is_divided, "a choice of item {item} has no characters to divide by");
        }
    }
    Ok(Rows::Choices(task, rows))
}

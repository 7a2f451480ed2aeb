//! `worker choices`: the choices of a run's cells, for programs that read no Parquet.

use std::{io::Write as _, path::Path};

use anyhow::Context as _;
use serde_json::json;
use tables::{Store, StoredFile, Table, outcomes, read_cell, read_choices, read_origin};

use crate::{Outcome, fail::Fail};

/// Prints one JSON object a cell of choices: what it is, the seconds that it took, and every item with
/// the log-likelihoods of its choices.
pub(crate) fn choices(results: &Path) -> Outcome {
    let store = Store::open_read_only(results).map_err(|error| Fail::Results(error.into()))?;
    let survey = store.survey().map_err(|error| Fail::Results(error.into()))?;
    let mut out = std::io::stdout().lock();
    for file in survey.files.iter().filter(|file| file.table == Table::Choices) {
        let answer = of_cell(file).map_err(Fail::Results)?;
        writeln!(out, "{answer}").map_err(|error| Fail::Results(error.into()))?;
    }
    Ok(plan::exit::DONE)
}

fn of_cell(file: &StoredFile) -> anyhow::Result<serde_json::Value> {
    let unusable = || format!("{} cannot be used", file.path.display());
    let cell = read_cell(file).with_context(unusable)?;
    let origin = read_origin(file).with_context(unusable)?;
    let (task, rows) = read_choices(file).with_context(unusable)?;
    let by_item = rows.chunk_by(|a, b| a.item_index == b.item_index);
    let items = by_item.zip(outcomes(&rows)).map(|(choices, outcome)| {
        let logprobs: Vec<f64> = choices.iter().map(|own| own.logprob_nats).collect();
        json!({
            "item": outcome.item_index,
            "gold": outcome.gold,
            "acc": outcome.acc,
            "acc_norm": task.is_normalised.then_some(outcome.acc_norm),
            "loglikelihoods": logprobs,
        })
    });
    Ok(json!({
        "dataset": cell.dataset,
        "protocol": cell.protocol.to_string(),
        "recipe": cell.recipe.text(),
        "seconds": origin.provenance.seconds,
        "items": items.collect::<Vec<_>>(),
    }))
}

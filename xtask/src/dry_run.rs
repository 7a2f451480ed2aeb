//! `run-grid --dry-run`: what would be run, how much memory and time it takes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use plan::{CellInspection, Inspection, Shard, WorkOrder};
use runs::{CellStatus, RunFolder};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::exit::Exit;
use crate::grid::{Counts, Grid};
use crate::run_grid::describe;
use crate::stop::Stop;
use crate::workspace::Workspace;
use crate::{build, stored};

/// Prints the cells and the totals, of a share where one is asked for; writes nothing.
pub(crate) fn run(
    workspace: &Workspace,
    grid: &mut Grid,
    shard: Option<Shard>,
    as_json: bool,
    stop: &Stop,
) -> Result<i32> {
    let unusable = || Exit::results("the results folder cannot be used");
    RunFolder::open_read_only(&grid.order.results).with_context(unusable)?;
    let worker = build::worker(workspace);
    stop.check()?;
    let worker = worker?;
    let status = stored::survey(&worker, &grid.order.results, false)?.survey.status();
    let mut inspection = match inspect(&worker, &grid.selected_order())? {
        Ok(inspection) => inspection,
        Err(code) => return Ok(code),
    };
    if let Some(shard) = shard {
        grid.keep(shard, &inspection);
    }
    let order = grid.selected_order();
    keep_models(&mut inspection, &order);
    let costs: BTreeMap<&str, &CellInspection> =
        inspection.cells.iter().map(|cell| (cell.id.as_str(), cell)).collect();
    let is_left = |id: &str| status.get(id) != Some(&CellStatus::Done);
    let left =
        grid.selected.iter().filter(|id| is_left(id)).filter_map(|id| costs.get(id.as_str()));
    let seconds_left = total(left.map(|cell| cell.seconds_expected));
    let counts = grid.counts(&status);
    if as_json {
        print_json(&order, &status, &costs, &counts, &inspection, seconds_left);
    } else {
        print_table(&order, &status, &costs, &counts, &inspection, seconds_left);
    }
    Ok(plan::exit::DONE)
}

/// Forgets the models that no cell of the order names.
fn keep_models(inspection: &mut Inspection, order: &WorkOrder) {
    let is_named = |name: &str| order.cells.iter().any(|cell| cell.cell.model == name);
    let n_models = inspection.models.len();
    inspection.models.retain(|model| is_named(&model.name));
    if inspection.models.len() < n_models {
        let memory = inspection.models.iter().map(|model| model.peak_memory_bytes);
        inspection.peak_memory_bytes = memory.max().unwrap_or(0);
    }
}

/// The sum; of no numbers 0, where [`Iterator::sum`] gives -0.
fn total(seconds: impl Iterator<Item = f64>) -> f64 {
    seconds.fold(0.0, |total, seconds| total + seconds)
}

/// An order in a file of its own, which is gone when the value is dropped.
pub(crate) fn order_file(order: &WorkOrder) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new().context("cannot write a temporary file")?;
    let text = serde_json::to_string(order).context("cannot encode the work order")?;
    file.write_all(text.as_bytes()).context("cannot write a temporary file")?;
    Ok(file)
}

/// Asks the worker what the order costs; the inner error is the worker's exit code, explained by
/// itself on standard error.
pub(crate) fn inspect(worker: &Path, order: &WorkOrder) -> Result<Result<Inspection, i32>> {
    let file = order_file(order)?;
    let output = Command::new(worker)
        .arg("inspect")
        .arg("--order")
        .arg(file.path())
        .arg("--json")
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", worker.display()))?;
    match output.status.code() {
        Some(0) => {}
        Some(code) => return Ok(Err(code)),
        None => bail!("the worker was killed while it looked at the order"),
    }
    let inspection = serde_json::from_slice(&output.stdout)
        .context("the worker's answer is not an inspection")?;
    Ok(Ok(inspection))
}

fn status_name(status: &BTreeMap<String, CellStatus>, id: &str) -> &'static str {
    match status.get(id) {
        None => "new",
        Some(CellStatus::Done) => "done",
        Some(CellStatus::Failed) => "failed",
    }
}

fn print_json(
    order: &WorkOrder,
    status: &BTreeMap<String, CellStatus>,
    costs: &BTreeMap<&str, &CellInspection>,
    counts: &Counts,
    inspection: &Inspection,
    seconds_left: f64,
) {
    let cells: Vec<_> = order
        .cells
        .iter()
        .map(|ordered| {
            let cost = costs.get(ordered.id.as_str());
            json!({
                "id": ordered.id,
                "label": ordered.cell.label(),
                "status": status_name(status, &ordered.id),
                "tokens": cost.map(|cost| cost.tokens),
                "guessed": cost.map(|cost| cost.guessed),
                "flops": cost.map(|cost| cost.tokens as f64 * cost.flops_per_token),
                "peak_memory_bytes": memory_of(inspection, &ordered.cell.model),
                "seconds_expected": cost.map(|cost| cost.seconds_expected),
            })
        })
        .collect();
    let summary = json!({
        "run": order.run,
        "results": order.results,
        "cells": cells,
        "total": counts.total,
        "new": counts.new,
        "done": counts.done,
        "failed": counts.failed,
        "peak_memory_bytes": inspection.peak_memory_bytes,
        "seconds_expected": seconds_left,
    });
    println!("{summary}");
}

fn print_table(
    order: &WorkOrder,
    status: &BTreeMap<String, CellStatus>,
    costs: &BTreeMap<&str, &CellInspection>,
    counts: &Counts,
    inspection: &Inspection,
    seconds_left: f64,
) {
    println!(
        "{:<6}  {:<16}  {:>9}  {:>9}  {:>6}  {:>9}  cell",
        "status", "id", "tokens", "TFLOP", "GiB", "expected"
    );
    for ordered in &order.cells {
        let cost = costs.get(ordered.id.as_str());
        let tokens = cost.map_or("?".to_owned(), |cost| {
            format!("{}{}", if cost.guessed { "~" } else { "" }, cost.tokens)
        });
        let flops = cost.map_or("?".to_owned(), |cost| {
            format!("{:.1}", cost.tokens as f64 * cost.flops_per_token / 1e12)
        });
        let memory = memory_of(inspection, &ordered.cell.model).map_or("?".to_owned(), gib);
        let expected = cost.map_or("?".to_owned(), |cost| duration(cost.seconds_expected));
        let name = status_name(status, &ordered.id);
        let label = ordered.cell.label();
        println!(
            "{name:<6}  {:<16}  {tokens:>9}  {flops:>9}  {memory:>6}  {expected:>9}  {label}",
            ordered.id
        );
    }
    println!();
    println!("{}", describe(counts));
    println!("peak memory expected: {} GiB", gib(inspection.peak_memory_bytes));
    if costs.values().any(|cost| cost.guessed) {
        println!("~ guessed from the size of the text: the tokenizer has not been fetched");
    }
    println!("time expected for what is not done, without calibration: {}", duration(seconds_left));
}

/// Resident memory expected with a model, bytes.
fn memory_of(inspection: &Inspection, model: &str) -> Option<u64> {
    inspection.models.iter().find(|m| m.name == model).map(|m| m.peak_memory_bytes)
}

fn gib(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / (1u64 << 30) as f64)
}

/// `45 s`, `12.5 min`, `3.2 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else if seconds < 90.0 * 60.0 {
        format!("{:.1} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_run_takes_no_time() {
        assert_eq!(duration(total([].into_iter())), "0 s");
        assert_eq!(json!(total([].into_iter())).to_string(), "0.0");
        assert_eq!(duration(total([30.0, 60.0].into_iter())), "1.5 min");
    }
}

//! `run-grid --dry-run`: what would be run, how much memory and time it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use plan::{CellInspection, Inspection, OrderedCell, Shard, WorkOrder};
use runs::{CellStatus, RunFolder};
use serde::{Serialize, Serializer};
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
    let status = stored::standing(&worker, &grid.order.results)?.status();
    let mut inspection = match inspect(&worker, &grid.selected_order())? {
        Ok(inspection) => inspection,
        Err(code) => return Ok(code),
    };
    if let Some(shard) = shard {
        grid.keep(shard, &inspection);
    }
    keep_models(&mut inspection, grid.selected());
    let plan = Plan {
        grid: &*grid,
        status: &status,
        costs: inspection.cells.iter().map(|cell| (cell.id.as_str(), cell)).collect(),
        memory: inspection.models.iter().map(|m| (m.name.as_str(), m.peak_memory_bytes)).collect(),
        peak_memory_bytes: inspection.peak_memory_bytes,
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let printed = if as_json { plan.print_json(&mut out) } else { plan.print_table(&mut out) };
    // Who reads no further has read enough.
    match printed.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(plan::exit::DONE),
    }
}

/// Forgets the models that no cell names.
fn keep_models<'a>(inspection: &mut Inspection, cells: impl Iterator<Item = &'a OrderedCell>) {
    let named: BTreeSet<&str> = cells.map(|own| own.cell.model.as_str()).collect();
    let n_models = inspection.models.len();
    inspection.models.retain(|model| named.contains(model.name.as_str()));
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
    const CANNOT: &str = "cannot write the work order to a temporary file";
    let file = NamedTempFile::new().context(CANNOT)?;
    // Written as it is encoded: of a million cells it is most of a gigabyte.
    let mut text = BufWriter::new(file.as_file());
    serde_json::to_writer(&mut text, order).context(CANNOT)?;
    text.flush().context(CANNOT)?;
    drop(text);
    Ok(file)
}

/// Asks the worker what the order costs; the inner error is the worker's exit code, explained by
/// itself on standard error.
pub(crate) fn inspect(worker: &Path, order: &WorkOrder) -> Result<Result<Inspection, i32>> {
    let file = order_file(order)?;
    let mut child = Command::new(worker)
        .arg("inspect")
        .arg("--order")
        .arg(file.path())
        .arg("--json")
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", worker.display()))?;
    // Read as it comes, for the same reason.
    let answer = child.stdout.take().map(BufReader::new);
    let inspection = answer.map(serde_json::from_reader);
    let status = child.wait().context("cannot wait for the worker")?;
    match status.code() {
        Some(0) => {}
        Some(code) => return Ok(Err(code)),
        None => bail!("the worker was killed while it looked at the order"),
    }
    let inspection = inspection.context("the worker gives no answer")?;
    Ok(Ok(inspection.context("the worker's answer is not an inspection")?))
}

/// What is known of the chosen cells of a grid.
struct Plan<'a> {
    grid: &'a Grid,
    status: &'a BTreeMap<String, CellStatus>,
    costs: BTreeMap<&'a str, &'a CellInspection>,
    /// Resident memory expected with each model, bytes.
    memory: BTreeMap<&'a str, u64>,
    peak_memory_bytes: u64,
}

fn status_name(status: &BTreeMap<String, CellStatus>, id: &str) -> &'static str {
    match status.get(id) {
        None => "new",
        Some(CellStatus::Done) => "done",
        Some(CellStatus::Failed) => "failed",
    }
}

/// A cell as `--json` lists it.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    label: String,
    status: &'static str,
    tokens: Option<u64>,
    guessed: Option<bool>,
    flops: Option<f64>,
    peak_memory_bytes: Option<u64>,
    seconds_expected: Option<f64>,
}

/// All of `--json`; its cells are made as they are written.
#[derive(Serialize)]
struct Summary<'a> {
    run: &'a str,
    results: &'a Path,
    #[serde(serialize_with = "lines")]
    cells: &'a Plan<'a>,
    total: usize,
    new: usize,
    done: usize,
    failed: usize,
    peak_memory_bytes: u64,
    seconds_expected: f64,
}

fn lines<S: Serializer>(plan: &&Plan<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(plan.grid.selected().map(|ordered| plan.line(ordered)))
}

impl Plan<'_> {
    fn line<'b>(&self, ordered: &'b OrderedCell) -> Line<'b> {
        let cost = self.costs.get(ordered.id.as_str());
        Line {
            id: &ordered.id,
            label: ordered.cell.label(),
            status: status_name(self.status, &ordered.id),
            tokens: cost.map(|cost| cost.tokens),
            guessed: cost.map(|cost| cost.guessed),
            flops: cost.map(|cost| cost.tokens as f64 * cost.flops_per_token),
            peak_memory_bytes: self.memory.get(ordered.cell.model.as_str()).copied(),
            seconds_expected: cost.map(|cost| cost.seconds_expected),
        }
    }

    /// For what is not done.
    fn seconds_left(&self) -> f64 {
        let left = self
            .grid
            .selected()
            .filter(|own| self.status.get(own.id.as_str()) != Some(&CellStatus::Done));
        let costs = left.filter_map(|own| self.costs.get(own.id.as_str()));
        total(costs.map(|cost| cost.seconds_expected))
    }

    fn print_json(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Counts { total, new, done, failed } = self.grid.counts(self.status);
        let summary = Summary {
            run: &self.grid.order.run,
            results: &self.grid.order.results,
            cells: self,
            total,
            new,
            done,
            failed,
            peak_memory_bytes: self.peak_memory_bytes,
            seconds_expected: self.seconds_left(),
        };
        serde_json::to_writer(&mut *out, &summary)?;
        writeln!(out)
    }

    fn print_table(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(
            out,
            "{:<6}  {:<16}  {:>9}  {:>9}  {:>6}  {:>9}  cell",
            "status", "id", "tokens", "TFLOP", "GiB", "expected"
        )?;
        let unknown = || "?".to_owned();
        for ordered in self.grid.selected() {
            let Line { id, label, status, tokens, guessed, flops, .. } = self.line(ordered);
            let cost = self.costs.get(id);
            let mark = if guessed == Some(true) { "~" } else { "" };
            let tokens = tokens.map_or_else(unknown, |tokens| format!("{mark}{tokens}"));
            let flops = flops.map_or_else(unknown, |flops| format!("{:.1}", flops / 1e12));
            let memory = self.memory.get(ordered.cell.model.as_str());
            let memory = memory.map_or_else(unknown, |bytes| gib(*bytes));
            let expected = cost.map_or_else(unknown, |cost| duration(cost.seconds_expected));
            writeln!(
                out,
                "{status:<6}  {id:<16}  {tokens:>9}  {flops:>9}  {memory:>6}  {expected:>9}  {label}"
            )?;
        }
        writeln!(out)?;
        writeln!(out, "{}", describe(&self.grid.counts(self.status)))?;
        writeln!(out, "peak memory expected: {} GiB", gib(self.peak_memory_bytes))?;
        if self.costs.values().any(|cost| cost.guessed) {
            let what = "guessed from the size of the text: the tokenizer has not been fetched";
            writeln!(out, "~ {what}")?;
        }
        let left = duration(self.seconds_left());
        writeln!(out, "time expected for what is not done, without calibration: {left}")
    }
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
        assert_eq!(serde_json::json!(total([].into_iter())).to_string(), "0.0");
        assert_eq!(duration(total([30.0, 60.0].into_iter())), "1.5 min");
    }
}

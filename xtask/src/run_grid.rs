//! `run-grid`: all cells of a pipeline that are not done yet, then the report.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use plan::exit::{DONE, FAILED_CELLS, STOPPED};
use plan::{DeviceName, Filter, Shard, WorkOrder};
use runs::{CellStatus, ORDER, PLAN, RunFolder, Standing};
use serde_json::json;

use crate::exit::Exit;
use crate::grid::{Counts, Grid};
use crate::inputs::Purpose;
use crate::stop::Stop;
use crate::workspace::Workspace;
use crate::{build, compact, dry_run, report, stop, stored, worker};

const EXAMPLES: &str = "\
Examples:
  cargo xtask run-grid                                  the small models of the project, a few minutes
  cargo xtask run-grid pipelines/atlas.toml             what scores say of each other, on the same
  cargo xtask run-grid pipelines/smollm2.toml           a real model, about 10 minutes
  cargo xtask run-grid pipelines/smollm2-full.toml --dry-run
  cargo xtask run-grid --filter 'policy=dynamic,sparsity=0.9'
  cargo xtask run-grid --filter part=state,mode=read
  cargo xtask run-grid --filter policy=dense,policy=static --json

On several machines that see one results folder (docs/machines.md):
  cargo xtask run-grid P.toml --shard 1/2               by hand, and 2/2 on the other machine
  parallel --sshlogin a,b --wd . cargo xtask run-grid P.toml --shard {}/2 ::: 1 2
  cargo xtask slurm P.toml --nodes 4                    the same as a job array of Slurm
  cargo xtask run-grid P.toml --shard 3/16 --dry-run    which cells the third share has

A cell that is done is never computed again, and never by two at once. Ctrl-C stops after the current
step; the same command resumes. `cargo xtask --help` lists the exit codes.";

/// Arguments of `run-grid`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file [default: pipelines/quick.toml]
    pipeline: Option<PathBuf>,
    /// List the cells, the peak memory and the time expected; run nothing
    #[arg(long)]
    dry_run: bool,
    /// Only these cells: KEY=VALUE,... with the keys model, dataset, protocol, policy, score,
    /// sparsity, window, rule; a key given twice allows either value
    #[arg(long, value_name = "KEY=VALUE,...")]
    filter: Option<Filter>,
    /// Only the I-th of N shares, which together are the whole: every machine works out the same ones
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// The folder of all runs; this one's results go to a folder of the run's name in it [default: results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Where to compute: cpu, cuda:0 or wgpu:0 (the first use builds for it)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
    /// Print one JSON object on standard output and nothing else
    #[arg(long)]
    json: bool,
    /// Print a line for every cell that ends
    #[arg(long)]
    verbose: bool,
    /// Write no report at the end
    #[arg(long)]
    no_report: bool,
    /// Leave every cell in a file of its own at the end, however many there are
    #[arg(long)]
    no_compact: bool,
}

/// Runs the command; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let stop = Stop::install()?;
    let default_pipeline = || workspace.root().join("pipelines/quick.toml");
    let pipeline = args.pipeline.clone().unwrap_or_else(default_pipeline);
    let results = args.results.clone().unwrap_or_else(|| workspace.root().join("results"));
    let purpose = if args.dry_run { Purpose::Plan } else { Purpose::Run };
    let filter = args.filter.as_ref();
    let mut grid = Grid::read(workspace, &pipeline, filter, &results, args.device, purpose)?;
    stop.check()?;
    if args.dry_run {
        return dry_run::run(workspace, &mut grid, args.shard, args.json, &stop);
    }
    let began = Instant::now();
    let folder = open(&grid.order.results)?;
    prepare(folder.path(), &grid)?;
    let worker = build::worker_for(workspace, args.device);
    // Ctrl-C also reaches the build: then the failed build is not the news.
    stop.check()?;
    let worker = worker?;
    let asked: Vec<String> = match args.shard {
        None => Vec::new(),
        Some(_) => grid.selected().map(|own| own.id.clone()).collect(),
    };
    if let Some(shard) = args.shard {
        match dry_run::inspect(&worker, &grid.selected_order())? {
            Ok(inspection) => grid.keep(shard, &inspection),
            Err(code) => return Ok(code),
        }
    }
    let standing = survey(&worker, folder.path())?;
    let status = standing.status();
    eprintln!("{}: {}", named(&grid, args.shard), describe(&grid.counts(&status)));
    // The report is built while the cells run: nothing here waits for it before they are done.
    let wants_report = !args.no_report;
    let mut reporter = match args.shard {
        None if wants_report => Some(build::start_report(workspace)?),
        _ => None,
    };
    let is_left = |own: &&plan::OrderedCell| status.get(&own.id) != Some(&CellStatus::Done);
    let left = grid.order_of(grid.selected().filter(is_left));
    let mut code = match left.cells.is_empty() {
        true => DONE,
        false => run_worker(&worker, &grid, &left, args.verbose, &stop)?,
    };
    let is_through = code == DONE || code == FAILED_CELLS;
    let mut is_last = is_through;
    let mut n_single = standing.single_files as usize + left.cells.len();
    if let Some(shard) = args.shard.filter(|_| is_through) {
        let standing = stored::standing(&worker, folder.path())?;
        n_single = standing.single_files as usize;
        let status = standing.status();
        let n_left = asked.iter().filter(|id| !status.contains_key(*id)).count();
        // Whoever is last sees all cells, as each looks when its own are through.
        is_last = n_left == 0;
        match is_last {
            true if wants_report => reporter = Some(build::start_report(workspace)?),
            true => {}
            false => eprintln!("{}", others_are_left(shard, n_left)),
        }
    }
    // Whoever has others beside him leaves it to the last of them.
    let is_alone = || folder.at_work().is_ok_and(|others| others.is_none());
    if is_last && n_single >= compact::MANY && !args.no_compact && is_alone() {
        let folded = compact::after_run(&worker, folder.path(), &stop)?;
        code = if folded == STOPPED { STOPPED } else { code };
    }
    let wants_report = wants_report && is_through && code != STOPPED;
    let report = match reporter.filter(|_| wants_report) {
        None => None,
        Some(reporter) => {
            let program = reporter.path();
            stop.check()?;
            let took = (!left.cells.is_empty()).then(|| began.elapsed());
            Some(report::write(workspace, &program?, folder.path(), args.json, took)?)
        }
    };
    if code == STOPPED {
        eprintln!("{}", stop::MESSAGE);
    }
    if args.json {
        let status = stored::standing(&worker, folder.path())?.status();
        let Counts { total, new, done, failed } = grid.counts(&status);
        let summary = json!({
            "run": grid.order.run,
            "shard": args.shard.map(|shard| shard.to_string()),
            "results": folder.path(),
            "cells": { "total": total, "done": done, "failed": failed, "new": new },
            "report": report,
            "exit": code,
        });
        println!("{summary}");
    }
    Ok(code)
}

/// The run, and which share of it.
fn named(grid: &Grid, shard: Option<Shard>) -> String {
    match shard {
        None => grid.order.run.clone(),
        Some(shard) => format!("{}, share {shard}", grid.order.run),
    }
}

fn others_are_left(shard: Shard, n_left: usize) -> String {
    let cells = if n_left == 1 { "1 cell".to_owned() } else { format!("{n_left} cells") };
    format!(
        "share {shard} is through; other shares have {cells} left, and the last writes the report"
    )
}

/// Runs the worker on the chosen cells, by an order of its own that no other process can replace.
pub(crate) fn run_worker(
    worker: &Path,
    grid: &Grid,
    left: &WorkOrder,
    verbose: bool,
    stop: &Stop,
) -> Result<i32> {
    let order = dry_run::order_file(&grid.selected_order())?;
    worker::run(worker, order.path(), left, verbose, stop)
}

/// Opens the results folder for writing, and says who else is at work there.
pub(crate) fn open(folder: &Path) -> Result<RunFolder> {
    let unusable = || Exit::results("the results folder cannot be used");
    let run = RunFolder::open(folder).with_context(unusable)?;
    if let Some(others) = run.at_work().with_context(unusable)? {
        eprintln!("{others} is at work in this run: no cell is computed twice");
    }
    Ok(run)
}

/// Leaves the pipeline and the whole grid beside the results.
pub(crate) fn prepare(folder: &Path, grid: &Grid) -> Result<()> {
    let unusable = || Exit::results("the results folder cannot be used");
    let plan = folder.join(PLAN);
    files::write(&plan, grid.pipeline_text.as_bytes()).with_context(unusable)?;
    // Written as it is encoded: of a million cells it is most of a gigabyte.
    let mut draft = files::Draft::begin(&folder.join(ORDER)).with_context(unusable)?;
    let mut text = BufWriter::new(draft.file());
    serde_json::to_writer_pretty(&mut text, &grid.order)
        .map_err(std::io::Error::from)
        .and_then(|()| text.flush())
        .with_context(|| format!("cannot write {}", folder.join(ORDER).display()))
        .with_context(unusable)?;
    drop(text);
    draft.finish().with_context(unusable)
}

/// What is done and what failed; damaged files are told and will be computed again.
pub(crate) fn survey(worker: &Path, folder: &Path) -> Result<Standing> {
    let standing = stored::standing(worker, folder)?;
    for damaged in &standing.damaged {
        eprintln!("warning: {} does not count: {}", damaged.path.display(), damaged.reason);
    }
    Ok(standing)
}

/// `26 cells: 20 new, 5 done, 1 failed`.
pub(crate) fn describe(counts: &Counts) -> String {
    let Counts { total, new, done, failed } = counts;
    format!("{total} cells: {new} new, {done} done, {failed} failed")
}

//! `run-grid`: all cells of a pipeline that are not done yet, then the report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use plan::exit::{DONE, FAILED_CELLS, STOPPED};
use plan::{DeviceName, Filter, WorkOrder};
use runs::{CellStatus, ORDER, RunFolder};
use serde_json::json;

use crate::exit::Exit;
use crate::grid::{Counts, Grid};
use crate::inputs::Purpose;
use crate::stop::Stop;
use crate::workspace::Workspace;
use crate::{build, dry_run, report, stop, stored, worker};

const EXAMPLES: &str = "\
Examples:
  cargo xtask run-grid                                  the small models of the project, a few minutes
  cargo xtask run-grid pipelines/atlas.toml             what scores say of each other, on the same
  cargo xtask run-grid pipelines/smollm2.toml           a real model, about 10 minutes
  cargo xtask run-grid pipelines/smollm2-full.toml --dry-run
  cargo xtask run-grid --filter 'policy=dynamic,sparsity=0.9'
  cargo xtask run-grid --filter part=state,mode=read
  cargo xtask run-grid --filter policy=dense,policy=static --json

A cell that is done is never computed again. Ctrl-C stops after the current step; the same command
resumes. `cargo xtask --help` lists the exit codes.";

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
}

/// Runs the command; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let stop = Stop::install()?;
    let default_pipeline = || workspace.root().join("pipelines/quick.toml");
    let pipeline = args.pipeline.clone().unwrap_or_else(default_pipeline);
    let results = args.results.clone().unwrap_or_else(|| workspace.root().join("results"));
    let purpose = if args.dry_run { Purpose::Plan } else { Purpose::Run };
    let filter = args.filter.as_ref();
    let grid = Grid::read(workspace, &pipeline, filter, &results, args.device, purpose)?;
    stop.check()?;
    if args.dry_run {
        return dry_run::run(workspace, &grid, args.json, &stop);
    }
    let began = Instant::now();
    let folder = open(&grid.order.results)?;
    let order_path = prepare(folder.path(), &grid)?;
    let worker = build::worker_for(workspace, args.device);
    // Ctrl-C also reaches the build: then the failed build is not the news.
    stop.check()?;
    let worker = worker?;
    let status = survey(&worker, folder.path())?;
    eprintln!("{}: {}", grid.order.run, describe(&grid.counts(&status)));
    // The report is built while the cells run: nothing here waits for it before they are done.
    let reporter = if args.no_report { None } else { Some(build::start_report(workspace)?) };
    let mut left = grid.selected_order();
    left.cells.retain(|cell| status.get(&cell.id) != Some(&CellStatus::Done));
    let code = match left.cells.is_empty() {
        true => DONE,
        false => worker::run(&worker, &order_path, &left, args.verbose, &stop)?,
    };
    let wants_report = code == DONE || code == FAILED_CELLS;
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
        let status = stored::survey(&worker, folder.path(), false)?.survey.status();
        let Counts { total, new, done, failed } = grid.counts(&status);
        let summary = json!({
            "run": grid.order.run,
            "results": folder.path(),
            "cells": { "total": total, "done": done, "failed": failed, "new": new },
            "report": report,
            "exit": code,
        });
        println!("{summary}");
    }
    Ok(code)
}

/// Opens the results folder for writing and makes sure that no other worker is at work there.
fn open(folder: &Path) -> Result<RunFolder> {
    let unusable = || Exit::results("the results folder cannot be used");
    let run = RunFolder::open(folder).with_context(unusable)?;
    drop(run.lock().with_context(unusable)?);
    Ok(run)
}

/// Leaves the pipeline and the whole grid beside the results; the value is the worker's order.
fn prepare(folder: &Path, grid: &Grid) -> Result<PathBuf> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        let unusable = || Exit::results("the results folder cannot be used");
        files::write(&path, text.as_bytes()).with_context(unusable)?;
        anyhow::Ok(path)
    };
    let text = |order: &WorkOrder| {
        serde_json::to_string_pretty(order).context("cannot encode the work order")
    };
    write("plan.toml", &grid.pipeline_text)?;
    let whole = write(ORDER, &text(&grid.order)?)?;
    if grid.selected.len() == grid.order.cells.len() {
        return Ok(whole);
    }
    write("selection.json", &text(&grid.selected_order())?)
}

/// What is done and what failed; damaged files are told and will be computed again.
fn survey(worker: &Path, folder: &Path) -> Result<BTreeMap<String, CellStatus>> {
    let survey = stored::survey(worker, folder, false)?.survey;
    for damaged in &survey.damaged {
        eprintln!("warning: {} does not count: {}", damaged.path.display(), damaged.reason);
    }
    Ok(survey.status())
}

/// `26 cells: 20 new, 5 done, 1 failed`.
pub(crate) fn describe(counts: &Counts) -> String {
    let Counts { total, new, done, failed } = counts;
    format!("{total} cells: {new} new, {done} done, {failed} failed")
}

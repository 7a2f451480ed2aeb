//! `run-grid`: all cells of a pipeline that are not done yet, then the report.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plan::exit::{DONE, FAILED_CELLS, STOPPED};
use plan::{DeviceName, Filter, WorkOrder};
use serde_json::json;
use tables::Store;

use crate::exit::Exit;
use crate::grid::{Counts, Grid, write_file};
use crate::inputs::Purpose;
use crate::stop::Stop;
use crate::workspace::Workspace;
use crate::{build, dry_run, report, stop, worker};

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
    /// The folder of all runs; this one's results go to DIR/<name of the run> [default: results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Where to compute: cpu, cuda:0 or wgpu:0 (the first use builds for it)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
    /// Print one JSON object on standard output and nothing else
    #[arg(long)]
    json: bool,
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
    let store = open(&grid.order.results)?;
    let order_path = prepare(&store, &grid)?;
    let before = survey(&store, &grid)?;
    eprintln!("{}: {}", grid.order.run, describe(&before));
    let left = before.new + before.failed;
    let (code, programs) = if left == 0 {
        (DONE, None)
    } else {
        let programs = programs_unless_stopped(workspace, &stop)?;
        let program = build::worker_for(workspace, &programs, args.device)?;
        let code = worker::run(&program, &order_path, &grid.selected_order(), left, &stop)?;
        (code, Some(programs))
    };
    let after = grid.counts(&store.status().context("cannot list the results")?);
    let wants_report = !args.no_report && (code == DONE || code == FAILED_CELLS);
    let report = if wants_report {
        let programs = match programs {
            Some(programs) => programs,
            None => programs_unless_stopped(workspace, &stop)?,
        };
        Some(report::write(workspace, &programs.report, store.folder(), args.json)?)
    } else {
        None
    };
    if code == STOPPED {
        eprintln!("{}", stop::MESSAGE);
    } else if let Some(path) = &report {
        eprintln!("report: {}", workspace.show(path));
    }
    if args.json {
        let Counts { total, new, done, failed } = after;
        let summary = json!({
            "run": grid.order.run,
            "results": store.folder(),
            "cells": { "total": total, "done": done, "failed": failed, "new": new },
            "report": report,
            "exit": code,
        });
        println!("{summary}");
    }
    Ok(code)
}

/// Ctrl-C also reaches the build: then the failed build is not the news.
pub(crate) fn programs_unless_stopped(
    workspace: &Workspace,
    stop: &Stop,
) -> Result<build::Programs> {
    let programs = build::programs(workspace);
    stop.check()?;
    programs
}

/// Opens the results folder for writing and makes sure that no other worker is at work there.
fn open(folder: &Path) -> Result<Store> {
    let unusable = || Exit::results("the results folder cannot be used");
    let store = Store::open(folder).with_context(unusable)?;
    drop(store.lock().with_context(unusable)?);
    Ok(store)
}

/// Leaves the pipeline and the whole grid beside the results; the value is the worker's order.
fn prepare(store: &Store, grid: &Grid) -> Result<PathBuf> {
    let folder = store.folder();
    let text = |order: &WorkOrder| {
        serde_json::to_string_pretty(order).context("cannot encode the work order")
    };
    write_file(folder, "plan.toml", &grid.pipeline_text)?;
    let whole = write_file(folder, "order.json", &text(&grid.order)?)?;
    if grid.selected.len() == grid.order.cells.len() {
        return Ok(whole);
    }
    write_file(folder, "selection.json", &text(&grid.selected_order())?)
}

/// Counts the chosen cells; damaged files are told and will be computed again.
fn survey(store: &Store, grid: &Grid) -> Result<Counts> {
    let survey =
        store.survey().with_context(|| Exit::results("the results folder cannot be used"))?;
    for damaged in &survey.damaged {
        eprintln!("warning: {} does not count: {}", damaged.path.display(), damaged.reason);
    }
    Ok(grid.counts(&survey.status()))
}

/// `26 cells: 20 new, 5 done, 1 failed`.
pub(crate) fn describe(counts: &Counts) -> String {
    let Counts { total, new, done, failed } = counts;
    format!("{total} cells: {new} new, {done} done, {failed} failed")
}

//! `status`: how far a run is, from its folder and, where it was submitted to Slurm, from the queue.

mod pace;
mod shares;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use plan::{Pipeline, WorkOrder};
use runs::{InHand, ORDER, RunFolder};
use serde_json::{Value, json};

use crate::dry_run::duration;
use crate::exit::Exit;
use crate::slurm::{self, Submission, Task};
use crate::workspace::Workspace;
use crate::{build, stored};

use shares::{Count, Known};

const EXAMPLES: &str = "\
Examples:
  cargo xtask status                                  the quick run
  cargo xtask status pipelines/two-ways.toml
  cargo xtask status results/two-ways --json
  watch -n 30 cargo xtask -q status pipelines/two-ways.toml

running: somebody computes the cell. lost: somebody began it and is gone; whoever comes to it takes it over.
failed: it is tried again by the next run. The rate is that of the last half hour.";

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file, or the folder of a run [default: pipelines/quick.toml]
    pipeline: Option<PathBuf>,
    /// The folder of all runs [default: results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A share as it is shown.
struct Row {
    name: String,
    count: Count,
    /// The task of the job array that computes it.
    task: Option<Task>,
}

/// Runs the command; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let folder = folder(workspace, args)?;
    let order = order(&folder)?;
    let unusable = || Exit::results("the results folder cannot be used");
    let run = RunFolder::open_read_only(&folder).with_context(unusable)?;
    let worker = build::worker(workspace)?;
    let standing = stored::standing(&worker, &folder)?;
    let files = run.files().with_context(unusable)?;
    let in_hand = run.in_hand().with_context(unusable)?;
    let ids: Vec<String> = order.cells.iter().map(|cell| cell.id.clone()).collect();
    let now = run.now().unwrap_or_else(SystemTime::now);
    let status = standing.status();
    let known = Known { ids: &ids, status: &status, files: &files, in_hand: &in_hand, now };
    let submission = slurm::latest(&folder)?;
    let tasks = submission.as_ref().and_then(|own| own.array_job.as_deref()).map(slurm::tasks);
    let tasks = tasks.transpose().unwrap_or_else(|error| {
        eprintln!("warning: Slurm was not asked: {error:#}");
        None
    });
    let rows = rows(&known, submission.as_ref(), tasks.as_deref());
    let mut all = Count::default();
    rows.iter().for_each(|row| all.add(&row.count));
    if args.json {
        println!("{}", told(&order.run, &folder, &rows, &all, submission.as_ref(), &in_hand));
    } else {
        print!("{}", screen(&order.run, &rows, &all, &in_hand));
        let command = &order.provenance.command;
        for line in advice(workspace, args, &rows, &all, submission.as_ref(), command) {
            println!("{line}");
        }
    }
    Ok(plan::exit::DONE)
}

/// The folder of the run that is asked for.
fn folder(workspace: &Workspace, args: &Args) -> Result<PathBuf> {
    let usual = || workspace.root().join("pipelines/quick.toml");
    let given = args.pipeline.clone().unwrap_or_else(usual);
    if given.is_dir() {
        return Ok(given);
    }
    let shown = workspace.show(&given);
    if !given.exists() && given.extension().is_none_or(|end| end != "toml") {
        let message = format!("{shown} is not there: give the folder of a run, or a pipeline");
        return Err(Exit::results(message).into());
    }
    let text = fs::read_to_string(&given)
        .map_err(|error| Exit::usage(format!("cannot read the pipeline {shown}: {error}")))?;
    let pipeline = Pipeline::parse(&text, &workspace.models_lock()?.names())
        .map_err(|mistakes| Exit::usage(format!("{shown}: {mistakes}")))?;
    let results = args.results.clone().unwrap_or_else(|| workspace.root().join("results"));
    Ok(results.join(pipeline.name))
}

/// The cells of a run, as it was last begun or submitted.
fn order(folder: &Path) -> Result<WorkOrder> {
    let file = folder.join(ORDER);
    let text = fs::read_to_string(&file).map_err(|error| {
        let message = format!(
            "{} has no run yet ({error}): `cargo xtask run-grid` or `cargo xtask slurm` begins one",
            folder.display()
        );
        Exit::results(message)
    })?;
    let unusable = || Exit::results(format!("{} is no work order", file.display()));
    serde_json::from_str(&text).with_context(unusable)
}

/// The shares of a submission, each with its task, and what is in none; else the whole run.
fn rows(known: &Known<'_>, submission: Option<&Submission>, tasks: Option<&[Task]>) -> Vec<Row> {
    let shares = submission.map(|own| own.shares.as_slice()).unwrap_or_default();
    let lists: Vec<(&[String], &[f64])> = shares
        .iter()
        .map(|share| (share.cells.as_slice(), share.flops_expected.as_slice()))
        .collect();
    let counts = shares::counts(known, &lists);
    let task = |number: usize| tasks?.iter().find(|task| task.number == number).cloned();
    let row = |(number, count): (usize, Count)| {
        let (name, task) = match number {
            number if number <= shares.len() => {
                (format!("{number}/{}", shares.len()), task(number))
            }
            _ if shares.is_empty() => ("all".to_owned(), None),
            _ => ("others".to_owned(), None),
        };
        Row { name, count, task }
    };
    (1..).zip(counts).map(row).collect()
}

fn screen(run: &str, rows: &[Row], all: &Count, in_hand: &[InHand]) -> String {
    /// Rows that a screen has room for.
    const SHOWN: usize = 24;
    let Count { cells, done, running, failed, lost, left, .. } = all;
    let mut text = format!(
        "{run}: {cells} cells: {done} done, {running} running, {failed} failed, {lost} lost, {left} left\n\n"
    );
    text += " share   cells    done  running  failed   lost    left  cells/min  time left  task\n";
    // What is through says nothing where there is no room for all.
    let is_shown = |row: &&Row| rows.len() <= SHOWN || row.count.left > 0;
    let shown: Vec<&Row> = rows.iter().filter(is_shown).collect();
    for row in shown.iter().take(SHOWN) {
        text += &line(&row.name, &row.count, &task_words(row));
    }
    if shown.len() > SHOWN {
        text += &format!("and {} shares more with cells left\n", shown.len() - SHOWN);
    } else if shown.len() < rows.len() {
        text += &format!("and {} shares that are through\n", rows.len() - shown.len());
    }
    if rows.len() > 1 {
        text += &line("all", all, "");
    }
    let lost: Vec<&InHand> = in_hand.iter().filter(|own| own.is_lost).collect();
    for own in lost.iter().take(5) {
        text += &format!("lost: {} was begun by {}, which is gone\n", own.id, own.holder);
    }
    text
}

fn line(name: &str, count: &Count, task: &str) -> String {
    let rate = count.cells_per_minute().map_or("-".to_owned(), |rate| format!("{rate:.1}"));
    let seconds = count.seconds_left().map_or("-".to_owned(), duration);
    let line = format!(
        "{name:>6}  {:>6}  {:>6}  {:>7}  {:>6}  {:>5}  {:>6}  {rate:>9}  {seconds:>9}  {task}",
        count.cells, count.done, count.running, count.failed, count.lost, count.left
    );
    format!("{}\n", line.trim_end())
}

/// `RUNNING on n1`, `PENDING: Resources`.
fn task_words(row: &Row) -> String {
    let Some(task) = &row.task else { return String::new() };
    let place = match (task.place.as_str(), task.state.as_str()) {
        ("", _) => String::new(),
        (why, "PENDING") => format!(": {why}"),
        (node, _) => format!(" on {node}"),
    };
    format!("{}{place}", task.state)
}

/// What to do where something is left that nobody will do.
fn advice(
    workspace: &Workspace,
    args: &Args,
    rows: &[Row],
    all: &Count,
    submission: Option<&Submission>,
    command: &str,
) -> Vec<String> {
    let is_waited_for = |row: &Row| row.task.as_ref().is_some_and(Task::is_in_queue);
    let n_left: usize =
        rows.iter().filter(|row| !is_waited_for(row)).map(|row| row.count.left).sum();
    if n_left == 0 || all.running > 0 && submission.is_none() {
        return Vec::new();
    }
    let cells = if n_left == 1 { "1 cell is".to_owned() } else { format!("{n_left} cells are") };
    let idle = match submission {
        Some(_) => format!("{cells} left for which nothing is in the queue"),
        None => format!("{cells} left, and nobody is at work"),
    };
    // Of a folder the order alone knows which command makes it: a search is no pipeline.
    let file = match args.pipeline.as_deref() {
        Some(folder) if folder.is_dir() => {
            return vec![format!("{idle}; the run was begun by"), format!("  {command}")];
        }
        own => own.map_or("pipelines/quick.toml".to_owned(), |own| workspace.show(own)),
    };
    let name = if submission.is_some() { "slurm" } else { "run-grid" };
    let results = args.results.as_ref().map(|own| format!(" --results {}", own.display()));
    vec![format!("{idle}: cargo xtask {name} {file}{}", results.unwrap_or_default())]
}

fn told(
    run: &str,
    folder: &Path,
    rows: &[Row],
    all: &Count,
    submission: Option<&Submission>,
    in_hand: &[InHand],
) -> Value {
    let count = |count: &Count| {
        json!({
            "cells": count.cells,
            "done": count.done,
            "running": count.running,
            "failed": count.failed,
            "lost": count.lost,
            "left": count.left,
            "cells_per_minute": count.cells_per_minute(),
            "seconds_left": count.seconds_left(),
        })
    };
    let share = |row: &Row| {
        let task = row.task.as_ref();
        let task = task.map(|own| json!({ "state": own.state, "place": own.place }));
        json!({ "share": row.name, "cells": count(&row.count), "task": task })
    };
    let lost = in_hand.iter().filter(|own| own.is_lost);
    json!({
        "run": run,
        "results": folder,
        "all": count(all),
        "shares": rows.iter().map(share).collect::<Vec<_>>(),
        "lost": lost.map(|own| json!({ "id": own.id, "holder": own.holder })).collect::<Vec<_>>(),
        "array_job": submission.and_then(|own| own.array_job.as_deref()),
        "report_job": submission.and_then(|own| own.report_job.as_deref()),
    })
}

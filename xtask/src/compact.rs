//! `compact`: the files of finished cells folded into large ones, by the worker.

use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use plan::CompactEvent;
use plan::exit::{BAD_RESULTS, DONE, STOPPED};
use serde_json::json;

use crate::progress::style;
use crate::stop::{self, Stop};
use crate::workspace::Workspace;
use crate::{build, stored};

/// Cells in files of their own from which on a run is folded by itself when its last cell is done.
pub(crate) const MANY: usize = 5_000;

const EXAMPLES: &str = "\
Examples:
  cargo xtask compact results/atlas              fold what is done
  cargo xtask compact results/atlas --dry-run    how many files there are to fold
  cargo xtask compact results                    every run in it, one after the other
  cargo xtask compact results/atlas --json

A cell is written as a file of its own, which is right for writing and slow to read. compact folds the
files of each folder model=…/dataset=…/sparsity=…/window=… into large ones in the same place: patterns,
columns and ids stay, and every reader sees each row once at any moment, before, during and after it, and
also when it is killed. Workers may be at it meanwhile. `run-grid` does it by itself at the end of a run
with 5,000 cells or more in files of their own. Ctrl-C stops after the current folder; the same command
goes on. Failures and damaged files stay as they are (docs/machines.md).";

/// Arguments of `compact`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run's folder, or a folder of runs
    #[arg(value_name = "RUN", value_hint = clap::ValueHint::DirPath)]
    results: PathBuf,
    /// Say how much there is to fold; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object on standard output and nothing else
    #[arg(long)]
    json: bool,
}

/// What there was to fold in a run, and what was folded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Work {
    partitions: u64,
    cells: u64,
    folded: u64,
    files_before: u64,
    files_after: u64,
}

/// Runs the command; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let stop = Stop::install()?;
    let folder = &args.results;
    let runs = stored::runs_of(folder)?;
    let worker = build::worker(workspace);
    stop.check()?;
    let worker = worker?;
    let (mut code, mut answers) = (DONE, Vec::new());
    for run in &runs {
        let (of_run, work) = spawn(&worker, run, args.dry_run, 0, &stop)?;
        code = of_run;
        if args.json {
            let Work { partitions, cells, folded, files_before, files_after } = work;
            answers.push(json!({
                "run": run, "partitions": partitions, "cells": cells, "folded": folded,
                "files_before": files_before, "files_after": files_after,
            }));
        } else if code == DONE {
            println!("{}: {}", workspace.show(run), describe(&work, args.dry_run));
        }
        if code != DONE {
            break;
        }
    }
    if code == STOPPED {
        eprintln!("{}", stop::MESSAGE);
    }
    if args.json {
        println!("{}", json!({ "runs": answers, "exit": code }));
    }
    Ok(code)
}

fn describe(work: &Work, dry_run: bool) -> String {
    let Work { partitions, cells, folded, files_before, files_after } = work;
    match (partitions, dry_run) {
        (0, _) => "nothing to fold".to_owned(),
        (_, true) => {
            format!("{cells} cells in files of their own, to be folded in {partitions} folders")
        }
        (_, false) => {
            format!("{folded} cells folded: {files_before} files are {files_after} now")
        }
    }
}

/// Folds a run that has come to its end, where it is worth it; what goes wrong is told and no failure of
/// the run, whose results are safe.
pub(crate) fn after_run(worker: &Path, folder: &Path, stop: &Stop) -> Result<i32> {
    match spawn(worker, folder, false, MANY, stop)? {
        (DONE, work) => {
            if work.folded > 0 {
                eprintln!("{}", describe(&work, false));
            }
            Ok(DONE)
        }
        (STOPPED, _) => Ok(STOPPED),
        // Somebody else is at it, or the disk is full: the worker has said it.
        (_, _) => {
            eprintln!("warning: the results are stored, but not folded: try `cargo xtask compact`");
            Ok(DONE)
        }
    }
}

/// Runs `worker compact` and shows how far it is; the value is its exit code and what was done.
fn spawn(
    worker: &Path,
    folder: &Path,
    dry_run: bool,
    at_least: usize,
    stop: &Stop,
) -> Result<(i32, Work)> {
    let mut command = Command::new(worker);
    command.arg("compact").arg("--results").arg(folder);
    command.arg("--at-least").arg(at_least.to_string());
    if dry_run {
        command.arg("--dry-run");
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", worker.display()))?;
    stop.hold(child.stdin.take());
    let (mut work, mut shown) = (Work::default(), Shown::new());
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            match serde_json::from_str::<CompactEvent>(&line) {
                Ok(CompactEvent::Begin { partitions, cells }) => {
                    (work.partitions, work.cells) = (partitions, cells);
                }
                Ok(CompactEvent::Progress { partitions_done, .. }) => {
                    shown.at(partitions_done, work.partitions);
                }
                Ok(CompactEvent::End { cells, files_before, files_after, .. }) => {
                    work = Work { folded: cells, files_before, files_after, ..work };
                }
                Err(_) => eprintln!("{line}"),
            }
        }
    }
    let status = child.wait().context("cannot wait for the worker")?;
    shown.finish();
    stop.hold(None);
    match status.code() {
        Some(code @ (DONE | STOPPED | BAD_RESULTS)) => Ok((code, work)),
        Some(code) => bail!("the worker could not fold the results (exit code {code})"),
        None if stop.asked() => Ok((STOPPED, work)),
        None => bail!("the worker was killed ({status}); nothing is lost, and the command goes on"),
    }
}

/// A bar on a terminal, else a line now and then; neither in the first two seconds.
struct Shown {
    bar: Option<ProgressBar>,
    began: Instant,
    spoken: Instant,
}

impl Shown {
    fn new() -> Shown {
        let now = Instant::now();
        Shown { bar: None, began: now, spoken: now }
    }

    fn at(&mut self, done: u64, all: u64) {
        const QUIET: Duration = Duration::from_secs(2);
        const BETWEEN: Duration = Duration::from_secs(30);
        if self.began.elapsed() < QUIET {
            return;
        }
        if std::io::stderr().is_terminal() {
            let template = "folders [{bar:30}] {pos}/{len}  {eta} left";
            let bar =
                self.bar.get_or_insert_with(|| ProgressBar::new(all).with_style(style(template)));
            bar.set_position(done);
        } else if self.spoken.elapsed() >= BETWEEN {
            self.spoken = Instant::now();
            let rate = done as f64 / self.began.elapsed().as_secs_f64();
            eprintln!("folded {done} of {all} folders, {:.0} s left", (all - done) as f64 / rate);
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_in_a_sentence() {
        let work = Work { partitions: 2, cells: 30, folded: 30, files_before: 30, files_after: 2 };
        assert_eq!(describe(&Work::default(), false), "nothing to fold");
        assert_eq!(
            describe(&work, true),
            "30 cells in files of their own, to be folded in 2 folders"
        );
        assert_eq!(describe(&work, false), "30 cells folded: 30 files are 2 now");
    }

    /// The help says the number that is used.
    #[test]
    fn the_threshold_is_the_one_in_the_help() {
        assert_eq!(MANY, 5_000);
        assert!(EXAMPLES.contains("with 5,000 cells or more"));
    }
}

//! Spawning the worker, and following it event by event.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result};
use plan::exit::STOPPED;
use plan::{Event, WorkOrder};

use crate::progress::Progress;
use crate::stop::Stop;

/// Runs `worker run` on the order at `path`, of which `left` is not done; the value is its exit code.
///
/// The worker's standard input is a pipe that stays open while this program lives: however it ends,
/// the worker notices and stops.
pub(crate) fn run(
    worker: &Path,
    path: &Path,
    left: &WorkOrder,
    verbose: bool,
    stop: &Stop,
) -> Result<i32> {
    let mut child = Command::new(worker)
        .arg("run")
        .arg("--order")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", worker.display()))?;
    stop.hold(child.stdin.take());
    let mut progress = Progress::new(left, verbose);
    let printer = progress.printer();
    let stderr = child.stderr.take();
    // The worker's own words go above the bars, not through them.
    let echo = thread::spawn(move || {
        if let Some(stderr) = stderr {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                printer.line(String::from_utf8_lossy(&line).trim_end());
            }
        }
    });
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            match serde_json::from_str::<Event>(&line) {
                Ok(event) => progress.event(&event),
                Err(_) if line.trim().is_empty() => {}
                Err(_) => progress.printer().line(&line),
            }
        }
    }
    let status = child.wait().context("cannot wait for the worker")?;
    // A thread that only copies lines has nothing to report.
    let _ = echo.join();
    progress.finish();
    stop.hold(None);
    Ok(code_of(status, stop))
}

/// The worker's exit code; a worker that was killed leaves a run that can be resumed.
fn code_of(status: ExitStatus, stop: &Stop) -> i32 {
    match status.code() {
        Some(code) => code,
        None if stop.asked() => STOPPED,
        None => {
            eprintln!("error: the worker was killed ({status}): was there too little memory?");
            STOPPED
        }
    }
}

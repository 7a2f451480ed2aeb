//! `worker compact`: killed, stopped, without room, beside others. Nothing is ever lost or double.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use common::{cell, rows, stderr, treatment};
use plan::{Policy, Protocol, Rule};
use runs::{Attempt, Pace};
use tables::{CellRecord, Left, Provenance, RowShares, Store, TokenColumns, Touched, WindowRow};

/// A run of some windows of commitment, `CELLS` cells in each.
const WINDOWS: usize = 12;
const CELLS: usize = 5;

fn made_up(run: &Path) -> BTreeMap<String, String> {
    let store = Store::open(run).unwrap();
    for number in 0..WINDOWS * CELLS {
        let window = 2 + number % WINDOWS;
        let protocol = Protocol::Perplexity { window_tokens: 16 };
        let cell = cell(protocol, treatment(Policy::Window, Some(window), Some(Rule::WindowMean)));
        let provenance = Provenance {
            revision: "r".into(),
            code_version: "c".into(),
            versions: "slim".into(),
            host: "here".into(),
            cpu: "cpu".into(),
            device: "cpu".into(),
            started_at_ms: number as i64,
            seconds: 1.0,
            peak_rss_bytes: 1,
            tokens: 64,
            weights_sha256: "w".into(),
            tokenizer_sha256: "t".into(),
            text_sha256: "x".into(),
            calibration_sha256: None,
        };
        let record = CellRecord {
            id: format!("{number:016x}"),
            cell,
            touched: Touched::default(),
            left: Left::default(),
            provenance,
        };
        let row = |window_index: u32| WindowRow {
            window_index,
            nll_nats: f64::from(window_index) + number as f64 / 7.0,
            js_nats: None,
            n_targets: 15,
            shares: RowShares::default(),
            tokens: TokenColumns::default(),
        };
        store.write_windows(&record, &(0..40).map(row).collect::<Vec<_>>()).unwrap();
    }
    rows(run)
}

fn compact(run: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.args(["compact", "--results"]).arg(run);
    command
}

fn start(mut command: Command) -> Child {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    piped.spawn().unwrap()
}

/// Runs to the end; standard input stays open until then.
fn finish(command: Command) -> Output {
    let mut child = start(command);
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    output
}

fn n_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let count = |path: std::path::PathBuf| match path.is_dir() {
        true => n_files(&path),
        false => usize::from(path.extension().is_some_and(|ending| ending == "parquet")),
    };
    entries.map(count).sum()
}

fn n_beside(run: &Path) -> usize {
    std::fs::read_dir(run.parent().unwrap()).unwrap().count()
}

#[test]
fn killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let expected = made_up(&run);
    let mut n_kills = 0;
    for attempt in 0_u64..2_000 {
        let mut child = start(compact(&run));
        // The later, the further it comes; each finds what the one before left.
        std::thread::sleep(Duration::from_millis(2 + 2 * attempt));
        child.kill().unwrap();
        n_kills += usize::from(child.wait().unwrap().code().is_none());
        assert_eq!(rows(&run), expected, "attempt {attempt}");
        if n_files(&run) == WINDOWS {
            break;
        }
    }
    assert!(n_kills > 1, "killed {n_kills} times");
    let output = finish(compact(&run));
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    assert_eq!(rows(&run), expected);
    assert_eq!((n_files(&run), n_beside(&run)), (WINDOWS, 1));
}

#[test]
fn stopped_between_two_folders() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let expected = made_up(&run);
    let mut child = start(compact(&run));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("\"partitions\":12"));
    // The process that started the worker is gone.
    drop(child.stdin.take());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    let last = rest.last().unwrap();
    match output.status.code() {
        Some(plan::exit::STOPPED) => assert!(last.contains("\"stopped\":true"), "{last}"),
        code => assert_eq!(code, Some(plan::exit::DONE), "it was faster"),
    }
    assert_eq!(rows(&run), expected);
    assert_eq!(n_beside(&run), 1, "nothing is left beside the run");
    assert_eq!(finish(compact(&run)).status.code(), Some(plan::exit::DONE));
    assert_eq!(rows(&run), expected);
}

/// A limit on the size of files stands for a full disk: the same write fails, with another number.
#[cfg(unix)]
#[test]
fn without_room_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let expected = made_up(&run);
    let before = n_files(&run);
    let mut command = Command::new("sh");
    let limited = "ulimit -f 4; trap '' XFSZ; exec \"$0\" compact --results \"$1\"";
    command.args(["-c", limited, env!("CARGO_BIN_EXE_worker")]).arg(&run);
    let output = finish(command);
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(message.contains("cannot write") && message.contains("cells-"), "{message}");
    assert_eq!(rows(&run), expected);
    assert_eq!((n_files(&run), n_beside(&run)), (before, 1));
    assert_eq!(finish(compact(&run)).status.code(), Some(plan::exit::DONE));
    assert_eq!(rows(&run), expected);
    assert_eq!(n_files(&run), WINDOWS);
}

/// The same on a disk that is really full.
#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_nothing_changes() {
    let Some(disk) = common::disk::disk(8) else { return };
    let run = disk.path().join("run");
    let expected = made_up(&run);
    let before = n_files(&run);
    let ballast = disk.fill(16);
    let output = finish(compact(&run));
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(message.contains("No space left on device"), "{message}");
    assert_eq!(rows(&run), expected);
    std::fs::remove_file(ballast).unwrap();
    assert_eq!(finish(compact(&run)).status.code(), Some(plan::exit::DONE));
    assert_eq!(rows(&run), expected);
    assert!(n_files(&run) < before);
}

#[test]
fn one_process_folds_a_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    made_up(&run);
    let store = Store::open(&run).unwrap();
    let claims = store.join(Pace::default()).unwrap();
    let Attempt::Taken(claim) = claims.take("compaction").unwrap() else { panic!("nobody has it") };
    let output = finish(compact(&run));
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS));
    assert!(stderr(&output).contains("folds the files of this run already"), "{}", stderr(&output));
    drop(claim);
    assert_eq!(finish(compact(&run)).status.code(), Some(plan::exit::DONE));
}

#[test]
fn a_dry_run_and_a_threshold_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    made_up(&run);
    let before = n_files(&run);
    let mut dry = compact(&run);
    dry.arg("--dry-run");
    let output = finish(dry);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("{\"event\":\"begin\",\"partitions\":12,\"cells\":60}"), "{text}");
    let mut few = compact(&run);
    few.args(["--at-least", "61"]);
    assert_eq!(finish(few).status.code(), Some(plan::exit::DONE));
    assert_eq!(n_files(&run), before);
    let mut enough = compact(&run);
    enough.args(["--at-least", "60"]);
    assert_eq!(finish(enough).status.code(), Some(plan::exit::DONE));
    assert_eq!(n_files(&run), WINDOWS);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("nowhere");
    let output = finish(compact(&run));
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS));
    assert!(stderr(&output).contains("nowhere is no folder of a run"), "{}", stderr(&output));
    assert!(!run.exists());
}

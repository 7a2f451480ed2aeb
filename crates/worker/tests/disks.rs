//! Disks that fill up or turn read-only under a run: one message, exit code 4, and nothing lost.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use common::{cells, disk::disk, golden_model, order, rows, run, start, stderr};
use tables::Store;

/// The rows of a run that nothing befalls.
fn expected() -> std::collections::BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    rows(&order.results)
}

/// Files that look whole are whole, whatever happened.
fn assert_undamaged(run: &Path) {
    let survey = Store::open_read_only(run).unwrap().survey().unwrap();
    assert!(survey.damaged.is_empty(), "{:?}", survey.damaged);
}

#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let Some(disk) = disk(8) else { return };
    let folder = tempfile::tempdir().unwrap();
    let order = order(&disk.path().join("run"), &golden_model("llama"), cells());
    // Room for some cells, but not for all.
    let ballast = disk.fill(150);
    let output = run(&order, folder.path());
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{message}");
    assert!(message.contains("No space left on device"), "{message}");
    assert!(message.contains(disk.path().to_str().unwrap()), "{message}");
    assert_undamaged(&order.results);
    let stored = rows(&order.results);
    let expected = expected();
    assert!(!stored.is_empty() && stored.len() < expected.len(), "{} cells", stored.len());
    assert!(stored.iter().all(|(id, rows)| expected[id] == *rows));
    // Room again: the same order goes on where it stopped.
    fs::remove_file(ballast).unwrap();
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    let done = String::from_utf8_lossy(&output.stdout).matches("\"cell_done\"").count();
    assert!(done < order.cells.len(), "nothing is computed twice");
    assert_eq!(rows(&order.results), expected);
}

#[test]
fn a_disk_that_turns_read_only_loses_nothing() {
    let Some(disk) = disk(16) else { return };
    let folder = tempfile::tempdir().unwrap();
    let order = order(&disk.path().join("run"), &golden_model("llama"), cells());
    let mut child = start(&order, folder.path());
    let stdin = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("\"cell_done\"")));
    // Refused while a file is open for writing, which none is for long.
    let began = Instant::now();
    while let Err(why) = disk.remount("ro") {
        assert!(began.elapsed() < Duration::from_secs(10), "{why}");
        thread::sleep(Duration::from_millis(1));
    }
    let rest = lines.filter(|line| line.contains("\"cell_done\"")).count();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert!(rest < order.cells.len() - 1, "it went on as if nothing were");
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{message}");
    assert!(message.contains("Read-only file system"), "{message}");
    // A new run is refused before anything is computed.
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{}", stderr(&output));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("cell_start"));
    disk.remount("rw").unwrap();
    assert_undamaged(&order.results);
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    assert_eq!(rows(&order.results), expected());
}

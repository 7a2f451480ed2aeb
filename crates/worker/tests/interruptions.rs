//! A run that is killed and started again ends with the same tables as an unbroken one.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
};

use common::{cells, golden_model, order, run, start, stderr};
use tables::{
    CellStatus, Store, Table, read_attention, read_blocks, read_channels, read_choices,
    read_directions, read_items, read_lens, read_neurons, read_overlaps, read_windows,
};

/// All rows of a run as text, by cell; wall-clock columns are not among them.
fn rows(folder: &Path) -> BTreeMap<String, String> {
    let survey = Store::open_read_only(folder).unwrap().survey().unwrap();
    assert!(survey.damaged.is_empty(), "{:?}", survey.damaged);
    let rows = survey.files.iter().map(|file| {
        let rows = match file.table {
            Table::Windows => format!("{:?}", read_windows(&file.path).unwrap()),
            Table::Items => format!("{:?}", read_items(&file.path).unwrap()),
            Table::Choices => format!("{:?}", read_choices(&file.path).unwrap()),
            Table::Neurons => format!("{:?}", read_neurons(&file.path).unwrap()),
            Table::Channels => format!("{:?}", read_channels(&file.path).unwrap()),
            Table::Overlaps => format!("{:?}", read_overlaps(&file.path).unwrap()),
            Table::Lens => format!("{:?}", read_lens(&file.path).unwrap()),
            Table::Blocks => format!("{:?}", read_blocks(&file.path).unwrap()),
            Table::Directions => format!("{:?}", read_directions(&file.path).unwrap()),
            Table::Attention => format!("{:?}", read_attention(&file.path).unwrap()),
            Table::Failures => panic!("a cell failed: {}", file.path.display()),
        };
        (file.id.clone(), rows)
    });
    rows.collect()
}

#[test]
fn killed_three_times_and_resumed() {
    let unbroken = tempfile::tempdir().unwrap();
    let whole = order(&unbroken.path().join("run"), &golden_model("llama"), cells());
    let output = run(&whole, unbroken.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    let expected = rows(&whole.results);
    // The scores of the calibration text are one file more.
    assert_eq!(expected.len(), cells().len() + 1);

    let broken = tempfile::tempdir().unwrap();
    let order = order(&broken.path().join("run"), &golden_model("llama"), cells());
    // Killed while inputs are read, in the middle of the second cell, and right after a cell was
    // stored; each start finds what the one before left.
    for (event, count) in [("\"phase\"", 1), ("\"progress\"", 9), ("\"cell_done\"", 4)] {
        let mut child = start(&order, broken.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let _ = lines.map_while(Result::ok).filter(|line| line.contains(event)).nth(count - 1);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "killed by a signal, not ended by itself");
    }
    let mut done = Store::open_read_only(&order.results).unwrap().status().unwrap();
    done.retain(|id, _| order.cells.iter().any(|cell| cell.id == *id));
    assert!(!done.is_empty() && done.len() < order.cells.len(), "{} cells done", done.len());
    // A write that was torn in the middle leaves no file with a final name; one that the disk tore
    // later does not count as done.
    let survey = Store::open_read_only(&order.results).unwrap().survey().unwrap();
    let torn = survey.files.iter().find(|file| done.contains_key(&file.id)).unwrap().path.clone();
    let bytes = std::fs::read(&torn).unwrap();
    std::fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();

    let output = run(&order, broken.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    assert_eq!(rows(&order.results), expected);
    let events = String::from_utf8_lossy(&output.stdout).into_owned();
    let redone = events.matches("\"cell_done\"").count();
    assert_eq!(redone, order.cells.len() - done.len() + 1, "only what was not done");

    let output = run(&order, broken.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE));
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("cell_start").count(), 0);
}

#[test]
fn the_end_of_standard_input_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    let mut child = start(&order, folder.path());
    // The process that started the worker is gone.
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(plan::exit::STOPPED), "{}", stderr(&output));
    let status = Store::open_read_only(&order.results).unwrap().status().unwrap();
    assert!(status.len() < order.cells.len());
    assert!(status.values().all(|status| *status == CellStatus::Done));
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
}

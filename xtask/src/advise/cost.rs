//! `advise --dry-run`: the stages, their cells and the time expected.

use std::path::Path;

use anyhow::Result;
use plan::exit::DONE;
use plan::{AdviceSpace, Recipe, WorkOrder};
use serde_json::json;

use super::setup::Setup;
use crate::dry_run::{duration, inspect};

/// What a stage, or the test, takes.
struct Stage {
    name: String,
    recipes: usize,
    cells: usize,
    /// What it reads of each text, in words.
    reads: Vec<String>,
    seconds: f64,
}

/// Prints the stages; runs nothing. Later stages are those of the first recipes of the space, since who goes
/// on is not known yet.
pub(super) fn dry_run(setup: &Setup, worker: &Path, as_json: bool) -> Result<i32> {
    let n_stages = setup.space.stages.len();
    let mut left = setup.space.recipes.len();
    let dense = setup.dense();
    let mut stages = Vec::new();
    for index in 0..=n_stages {
        let recipes: Vec<&Recipe> =
            std::iter::once(&dense).chain(setup.space.recipes.iter().take(left)).collect();
        let cells = setup.cells(&recipes, index)?;
        let n_cells = cells.len();
        let order = WorkOrder { cells, ..setup.order.clone() };
        let inspection = match inspect(worker, &order)? {
            Ok(inspection) => inspection,
            Err(code) => return Ok(code),
        };
        let name = match index == n_stages {
            true => "test".to_owned(),
            false => format!("search {}", index + 1),
        };
        // The dense model comes first, with a cell a condition.
        let reads = setup.keeps.iter().zip(&inspection.cells).map(|(keep, cell)| {
            let from = setup.stretch(index, keep).offset as u64;
            let name = &setup.space.datasets[keep.dataset].name;
            format!("{name} {from} to {}", (from + cell.units).saturating_sub(1))
        });
        let reads = reads.collect();
        stages.push(Stage {
            name,
            recipes: left,
            cells: n_cells,
            reads,
            seconds: inspection.seconds_expected,
        });
        if let Some(stage) = setup.space.stages.get(index) {
            left = AdviceSpace::go_on(stage, left);
        }
    }
    let seconds = stages.iter().fold(0.0, |sum, stage| sum + stage.seconds);
    match as_json {
        true => print_json(setup, &stages, seconds),
        false => print_table(setup, &stages, seconds),
    }
    Ok(DONE)
}

fn print_json(setup: &Setup, stages: &[Stage], seconds: f64) {
    let stage = |own: &Stage| {
        json!({
            "name": own.name,
            "recipes": own.recipes,
            "cells": own.cells,
            "reads": own.reads,
            "seconds_expected": own.seconds,
        })
    };
    let stages: Vec<_> = stages.iter().map(stage).collect();
    let all = json!({
        "run": setup.order.run,
        "results": setup.order.results,
        "stages": stages,
        "seconds_expected": seconds,
    });
    println!("{all}");
}

fn print_table(setup: &Setup, stages: &[Stage], seconds: f64) {
    println!("{:<9}  {:>7}  {:>5}  {:>9}  reads", "stage", "recipes", "cells", "expected");
    for own in stages {
        let (expected, reads) = (duration(own.seconds), own.reads.join(", "));
        println!("{:<9}  {:>7}  {:>5}  {expected:>9}  {reads}", own.name, own.recipes, own.cells);
    }
    println!();
    println!(
        "each stage also measures the dense model; the last is an upper bound of what is tested"
    );
    println!(
        "time expected, without calibration: {}; results: {}",
        duration(seconds),
        setup.order.results.display()
    );
}

//! The scores that need gradients, implemented twice: `golden/gradients.py` by autograd in PyTorch, and here.
//! Static cells of `taylor` and `fisher`: the kept sets must be the same, and the NLL of windows within the
//! tolerance of `common`, by the reference executor, by the fast one and by a model that is really cut.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{OfModel, agree};
use cuts::{cut, static_sets};
use importance::by_name;
use models::{Dense, Device};
use serde::Deserialize;
use skips::{Masking, Selection, Skipping};

#[derive(Deserialize)]
struct Cell {
    score: String,
    sparsity: f64,
    /// One a site.
    sets: Vec<Vec<u32>>,
    nll_nats: Vec<f64>,
}

/// The largest difference over all cells of a model.
fn compare(name: &str, expected: &OfModel<Cell>) -> f64 {
    let calibration = common::gradients(name, &expected.calibration);
    let model = common::model(name, &Device::flex());
    let (model, windows) = (model.as_ref(), &expected.windows);
    let mut largest = agree(name, model, &mut Dense, windows, &expected.dense_nll_nats);
    for Cell { score, sparsity, sets: expected, nll_nats } in &expected.cells {
        let what = format!("{name}, {score} at {sparsity}");
        let score = by_name(score).unwrap();
        let sets = static_sets(model, &calibration, score.as_ref(), *sparsity, 1);
        assert_eq!(&sets, expected, "sets of {what}");
        let selection = || Selection::Static(sets.clone());
        let mut fast = Skipping::new(selection(), sets.len());
        let cut = cut(model, &sets);
        for off in [
            agree(&what, model, &mut Masking::new(selection()), windows, nll_nats),
            agree(&what, model, &mut fast, windows, nll_nats),
            agree(&what, cut.as_ref(), &mut Dense, windows, nll_nats),
        ] {
            largest = largest.max(off);
        }
    }
    largest
}

#[test]
fn gradients_agree() {
    let expected = common::read("gradients.json");
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(names, ["gemma3", "llama", "llama-relu", "opt", "zamba2"]);
    for (name, of_model) in &expected {
        assert_eq!(of_model.cells.len(), 4, "{name}");
        let largest = compare(name, of_model);
        eprintln!("{name}: largest difference {largest:.1e} of (1 + NLL)");
    }
}

//! What `golden_gradients.rs` and `golden_states.rs` share: the form of their artefacts, gradients over a
//! calibration text, and how values are compared.
//!
//! Tolerance: 2e-6 of (1 + NLL). The scripts state values of float64 models and stop where float32 moves one
//! by that much; in fact it moves them by less than 3e-7 in PyTorch and here, and the rest is for the order
//! of sums on other processors. No kept set hangs on rounding: about every cut of the scripts the scores
//! differ by more than 1e-4 of their size.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use corpora::Item;
use evaluation::{Passes, evaluate};
use importance::{Calibration, Gradients};
use models::{Device, Executor, Model, Options, TimeSteps, load_with};
use serde::{Deserialize, de::DeserializeOwned};

const TOLERANCE: f64 = 2e-6;

/// What a script gets on one model.
#[derive(Deserialize)]
pub(crate) struct OfModel<Cell> {
    /// Ids that are measured.
    pub(crate) windows: Vec<Vec<u32>>,
    /// Ids that calibrate.
    pub(crate) calibration: Vec<Vec<u32>>,
    /// The dense model on the windows.
    pub(crate) dense_nll_nats: Vec<f64>,
    /// Everything else.
    pub(crate) cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Artefact<Cell> {
    models: BTreeMap<String, OfModel<Cell>>,
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The artefact of that name, by model.
pub(crate) fn read<Cell: DeserializeOwned>(artefact: &str) -> BTreeMap<String, OfModel<Cell>> {
    let text = std::fs::read_to_string(tests().join("golden").join(artefact)).unwrap();
    serde_json::from_str::<Artefact<Cell>>(&text).unwrap().models
}

/// A golden model on a device.
pub(crate) fn model(name: &str, device: &Device) -> Box<dyn Model> {
    let folder = tests().join("../../models/tests/golden").join(name);
    // The scripts write the recurrence out as the original code has it.
    let time_steps = match name.starts_with("zamba2") {
        true => TimeSteps::Original,
        false => TimeSteps::default(),
    };
    load_with(&folder, device, Options { time_steps }).unwrap().model
}

/// Gradients of a golden model over all windows.
pub(crate) fn gradients(name: &str, windows: &[Vec<u32>]) -> Calibration {
    let recorded = model(name, &Device::flex().autodiff());
    let of_window = |ids: &Vec<u32>| Gradients::of(recorded.as_ref(), ids).unwrap();
    let gradients = Gradients::sum(windows.iter().map(of_window));
    Calibration::of_gradients(recorded.as_ref(), &gradients)
}

/// The largest difference of a window's NLL, as a share of (1 + NLL); panics where it is too large.
pub(crate) fn agree(
    what: &str,
    model: &dyn Model,
    executor: &mut dyn Executor,
    windows: &[Vec<u32>],
    expected: &[f64],
) -> f64 {
    let windows = Item::windows(windows.iter().cloned());
    let found = evaluate(model, executor, &windows, Passes::Whole, None).unwrap();
    assert_eq!(found.len(), expected.len(), "windows of {what}");
    let mut largest = 0.0_f64;
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        let found = -found.logprob_nats;
        let off = (found - expected).abs() / (1.0 + expected);
        assert!(off <= TOLERANCE, "window {row} of {what}: {found}, expected {expected}");
        largest = largest.max(off);
    }
    largest
}

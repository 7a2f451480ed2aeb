//! docs/SPEC.md section 5, implemented twice: `golden/states.py` steps through the recurrence in
//! PyTorch, and here. Static cells of every score but `random`, one-shot and recalibrated, and windowed cells
//! of `ghost` in both modes: the NLL of windows must agree within the tolerance of `common`, by the reference
//! executor and by the fast one. Static sets must be the same, and a model that is really cut agrees too.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{OfModel, agree};
use cuts::{cut_states, recalibrated_state_sets, state_sets};
use importance::{Calibrating, Calibration, by_state_name};
use models::{Batch, Dense, Device, Model};
use serde::Deserialize;
use skips::{
    Commitment, Rule, StateMasking, StateMode, StateScanning, StateSelection, StateWindowed,
};

#[derive(Deserialize)]
struct Cell {
    score: String,
    sparsity: f64,
    #[serde(flatten)]
    policy: Policy,
    nll_nats: Vec<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "policy", rename_all = "lowercase")]
enum Policy {
    /// One set a site.
    Static {
        recalibrated: bool,
        sets: Vec<Vec<u32>>,
    },
    Dynamic {
        mode: String,
    },
    Window {
        mode: String,
        window: usize,
        rule: String,
    },
}

fn mode(name: &str) -> StateMode {
    match name {
        "read" => StateMode::Read,
        "write" => StateMode::Write,
        other => panic!("mode {other}"),
    }
}

fn rule(name: &str) -> Rule {
    match name {
        "window-mean" => Rule::WindowMean,
        "first-token" => Rule::FirstToken,
        "previous-window" => Rule::PreviousWindow,
        other => panic!("rule {other}"),
    }
}

struct Subject {
    model: Box<dyn Model>,
    /// The windows that calibrate.
    windows: Vec<Vec<u32>>,
    /// What states held over them.
    held: Calibration,
    /// Gradients over them.
    gradients: Calibration,
}

fn subject(name: &str, windows: &[Vec<u32>]) -> Subject {
    let model = common::model(name, &Device::flex());
    let mut calibrating = Calibrating::new();
    for ids in windows {
        model.forward(&Batch::new([ids.as_slice()]), &mut calibrating).unwrap();
    }
    let gradients = common::gradients(name, windows);
    Subject { model, windows: windows.to_vec(), held: calibrating.finish(), gradients }
}

impl Subject {
    fn sets(&self, cell: &Cell, recalibrated: bool) -> Vec<Vec<u32>> {
        let (model, sparsity) = (self.model.as_ref(), cell.sparsity);
        let score = by_state_name(&cell.score).unwrap();
        if recalibrated {
            let windows = &self.windows;
            let (score, go_on) = (score.as_ref(), || false);
            let sets = recalibrated_state_sets(model, windows, score, sparsity, 1, go_on);
            return sets.unwrap().unwrap();
        }
        let calibration = if score.needs_gradients() { &self.gradients } else { &self.held };
        state_sets(model, calibration, score.as_ref(), sparsity, 1)
    }
}

fn selection(cell: &Cell) -> StateSelection {
    let (commitment, mode) = match &cell.policy {
        Policy::Static { sets, .. } => return StateSelection::Static(sets.clone()),
        Policy::Dynamic { mode: name } => (Commitment::DYNAMIC, mode(name)),
        Policy::Window { mode: name, window, rule: of } => {
            (Commitment { window: *window, rule: rule(of) }, mode(name))
        }
    };
    StateSelection::Windowed(StateWindowed {
        score: by_state_name(&cell.score).unwrap(),
        sparsity: cell.sparsity,
        commitment,
        seed: 1,
        calibrated: Vec::new(),
        mode,
    })
}

/// The largest differences of a model: dense, static, windowed.
fn compare(name: &str, expected: &OfModel<Cell>) -> [f64; 3] {
    let subject = subject(name, &expected.calibration);
    let (model, windows) = (subject.model.as_ref(), &expected.windows);
    let dense = agree(name, model, &mut Dense, windows, &expected.dense_nll_nats);
    let [mut fixed, mut windowed] = [0.0_f64; 2];
    for cell in &expected.cells {
        let what = format!("{name}, {} at {}, {:?}", cell.score, cell.sparsity, cell.policy);
        let nll = &cell.nll_nats;
        let mut reference = StateMasking::new(selection(cell));
        let mut fast = StateScanning::new(selection(cell), model.mixers().len());
        let off = agree(&format!("masking: {what}"), model, &mut reference, windows, nll)
            .max(agree(&format!("scanning: {what}"), model, &mut fast, windows, nll));
        let Policy::Static { recalibrated, sets } = &cell.policy else {
            windowed = windowed.max(off);
            continue;
        };
        assert_eq!(&subject.sets(cell, *recalibrated), sets, "sets of {what}");
        let cut = cut_states(model, sets);
        let of_cut = agree(&format!("cut: {what}"), cut.as_ref(), &mut Dense, windows, nll);
        fixed = fixed.max(off).max(of_cut);
    }
    [dense, fixed, windowed]
}

#[test]
fn states_agree() {
    let expected = common::read("states.json");
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    let all = ["mamba2", "mamba2-head-groups", "mamba2-one-group", "zamba2", "zamba2-two"];
    assert_eq!(names, all);
    for (name, of_model) in &expected {
        assert_eq!(of_model.cells.len(), 28, "{name}");
        let [dense, fixed, windowed] = compare(name, of_model);
        eprintln!(
            "{name}: largest differences, of (1 + NLL): dense {dense:.1e}, static {fixed:.1e}, \
             windowed {windowed:.1e}"
        );
    }
}

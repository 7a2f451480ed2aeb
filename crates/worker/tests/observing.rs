//! Observed scores and pruned states of a small hybrid model: stored once, used by every cell that needs
//! them, the same after a resume.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use common::{repository, run};
use plan::{
    Calibration, Cell, DeviceName, Mode, ModelInput, Observation, OrderProvenance, OrderedCell,
    Part, Policy, Protocol, Recalibration, Rule, Score, TextInput, Treatment, TreatmentSpec,
    WorkOrder, cell_id,
};
use tables::{Store, Table, read_channels, read_neurons, read_overlaps, read_windows};

const WINDOW_TOKENS: usize = 128;

fn order(results: &Path, model: &str, treatments: Vec<TreatmentSpec>) -> WorkOrder {
    let text = |name: &str, split: &str| TextInput {
        name: name.to_owned(),
        path: repository().join(format!("data/stories/narrative.{split}.jsonl")),
        sha256: format!("sha of {split}"),
        reading: plan::Reading::default(),
    };
    let mut order = WorkOrder {
        run: "test".to_owned(),
        results: results.to_owned(),
        device: DeviceName::Cpu,
        provenance: OrderProvenance {
            revision: "r".to_owned(),
            code_version: "c".to_owned(),
            command: "test".to_owned(),
        },
        models: vec![ModelInput {
            name: model.to_owned(),
            path: repository().join("data/models").join(model),
            sha256: "w".to_owned(),
            tokenizer_sha256: "t".to_owned(),
            planned: false,
            tokenizer: None,
            time_steps: plan::TimeSteps::default(),
        }],
        tasks: Vec::new(),
        texts: vec![text("test", "test"), text("calibration", "calibration")],
        cells: Vec::new(),
    };
    for spec in treatments {
        let treatment = Treatment::new(spec).unwrap();
        let calibration = treatment.needs_calibration().then(|| Calibration {
            dataset: "calibration".to_owned(),
            limit: Some(3),
            window_tokens: WINDOW_TOKENS,
        });
        let cell = Cell {
            model: model.to_owned(),
            dataset: "test".to_owned(),
            protocol: Protocol::Perplexity { window_tokens: WINDOW_TOKENS },
            limit: Some(4),
            calibration,
            recipe: treatment.into(),
            offset: None,
            compare: None,
        };
        let id = cell_id(&cell, &order.inputs_of(&cell).unwrap());
        order.cells.push(OrderedCell { id, cell });
    }
    order
}

fn of(part: Part, policy: Policy, score: Option<Score>, sparsity: f64) -> TreatmentSpec {
    TreatmentSpec { part, score, sparsity, ..TreatmentSpec::of(policy, 1) }
}

fn observe(part: Part, observation: Observation) -> TreatmentSpec {
    let observation = Some(observation);
    TreatmentSpec { observation, ..of(part, Policy::Observe, None, 0.0) }
}

/// Everything that can be done to a state, and a dense line.
fn of_states() -> Vec<TreatmentSpec> {
    let mut specs = vec![TreatmentSpec::of(Policy::Dense, 1)];
    for score in [Score::Ghost, Score::GhostFactored, Score::StateWeight, Score::Random] {
        specs.push(of(Part::State, Policy::Static, Some(score), 0.5));
        let dynamic = of(Part::State, Policy::Dynamic, Some(score), 0.5);
        specs.push(TreatmentSpec { mode: Some(Mode::Write), ..dynamic.clone() });
        specs.push(dynamic);
    }
    let one_shot = of(Part::State, Policy::Static, Some(Score::Ghost), 0.5);
    specs.push(TreatmentSpec { recalibration: Some(Recalibration::OneShot), ..one_shot });
    specs.push(of(Part::State, Policy::Static, Some(Score::StateTaylor), 0.5));
    let held = of(Part::State, Policy::Window, Some(Score::Ghost), 0.5);
    let (window, rule) = (Some(16), Some(Rule::PreviousWindow));
    specs.push(TreatmentSpec { window, rule, ..held });
    specs
}

fn observations() -> Vec<TreatmentSpec> {
    let overlap = observe(Part::Ffn, Observation::Overlap);
    let (score, sparsity) = (Some(Score::Magnitude), 0.9);
    let sample = |spec| TreatmentSpec { sample: Some(2), ..spec };
    vec![
        observe(Part::Ffn, Observation::Forward),
        observe(Part::State, Observation::Forward),
        observe(Part::Ffn, Observation::Gradient),
        observe(Part::State, Observation::Gradient),
        sample(observe(Part::Ffn, Observation::Ablation)),
        sample(observe(Part::State, Observation::Ablation)),
        TreatmentSpec { score, sparsity, ..overlap },
    ]
}

/// All rows of a run as text, by cell.
fn rows(folder: &Path) -> BTreeMap<String, String> {
    let survey = Store::open_read_only(folder).unwrap().survey().unwrap();
    assert!(survey.damaged.is_empty(), "{:?}", survey.damaged);
    let of_file = |file: &tables::StoredFile| match file.table {
        Table::Windows => format!("{:?}", read_windows(&file.path).unwrap()),
        Table::Neurons => format!("{:?}", read_neurons(&file.path).unwrap()),
        Table::Channels => format!("{:?}", read_channels(&file.path).unwrap()),
        Table::Overlaps => format!("{:?}", read_overlaps(&file.path).unwrap()),
        other => panic!("{other}: {:?}", fs::read(&file.path)),
    };
    survey.files.iter().map(|file| (file.id.clone(), of_file(file))).collect()
}

fn path_of(order: &WorkOrder, cell: &Cell) -> PathBuf {
    let id = cell_id(cell, &order.inputs_of(cell).unwrap());
    Store::open_read_only(&order.results).unwrap().result_path(&id, cell).unwrap()
}

fn succeed(order: &WorkOrder, folder: &Path) {
    let output = run(order, folder);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_hybrid_is_observed_and_its_state_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("run");
    let all = order(&results, "zamba2", [of_states(), observations()].concat());
    succeed(&all, folder.path());
    let found = rows(&results);
    assert!(all.cells.iter().all(|cell| found.contains_key(&cell.id)));

    let mean_nll = |wanted: &dyn Fn(&Treatment) -> bool| {
        let cell =
            all.cells.iter().find(|cell| wanted(&cell.cell.recipe.treatment().unwrap())).unwrap();
        let rows = read_windows(&path_of(&all, &cell.cell)).unwrap();
        let shares: Vec<f64> = rows.iter().map(|row| row.shares.reached_sparsity).collect();
        let nll: f64 = rows.iter().map(|row| row.nll_nats / f64::from(row.n_targets)).sum();
        (nll / rows.len() as f64, shares)
    };
    let (dense, _) = mean_nll(&|t| t.policy == Policy::Dense);
    let state = |policy, score| {
        move |t: &Treatment| {
            t.part == Part::State
                && (t.policy, t.score, t.mode) == (policy, Some(score), None)
                && t.recalibration != Some(Recalibration::OneShot)
        }
    };
    let (ghost, shares) = mean_nll(&state(Policy::Static, Score::Ghost));
    let (random, _) = mean_nll(&state(Policy::Static, Score::Random));
    assert!(shares.iter().all(|share| *share == 0.5), "{shares:?}");
    assert!(dense < ghost && ghost < random, "dense {dense}, ghost {ghost}, random {random}");

    // Observations fit together: one row a neuron or channel, tokens as read, parts of one pass.
    let observed = |part, observation| {
        let is = |cell: &&OrderedCell| {
            let t = &cell.cell.recipe.treatment().unwrap();
            (t.part, t.observation) == (part, Some(observation))
        };
        path_of(&all, &all.cells.iter().find(is).unwrap().cell)
    };
    let neurons = read_neurons(&observed(Part::Ffn, Observation::Forward)).unwrap();
    assert_eq!(neurons.len(), 2 * 344, "two uses of one block");
    assert!(neurons.iter().all(|row| row.block == 0 && row.tokens == 4 * WINDOW_TOKENS as u64));
    assert!(neurons.iter().all(|row| row.taylor.is_none() && row.impact.is_some()));
    let slopes = read_neurons(&observed(Part::Ffn, Observation::Gradient)).unwrap();
    assert!(slopes.iter().all(|row| row.taylor == row.slope.map(f64::abs)));
    let channels = read_channels(&observed(Part::State, Observation::Forward)).unwrap();
    assert_eq!(channels.len(), 4 * 64);
    let root = |row: &tables::ChannelRow| (row.readout.unwrap() / row.tokens as f64).sqrt();
    assert!(channels.iter().all(|row| (row.ghost.unwrap() / root(row) - 1.0).abs() < 1e-12));
    let ablated = read_channels(&observed(Part::State, Observation::Ablation)).unwrap();
    assert_eq!(ablated.len(), 4 * 2, "two channels of each site");
    let overlaps = read_overlaps(&observed(Part::Ffn, Observation::Overlap)).unwrap();
    assert!(overlaps.iter().all(|row| row.overlap >= 0.0 && row.overlap <= 1.0));
    assert_eq!(overlaps.iter().map(|row| row.lag_tokens).max(), Some(64));
}

/// Scores on disk replace a pass over the text, and change no number.
#[test]
fn stored_scores_are_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("run");
    let fixed = |score| of(Part::Ffn, Policy::Static, Some(score), 0.5);
    let channels = |score| TreatmentSpec {
        recalibration: Some(Recalibration::OneShot),
        ..of(Part::State, Policy::Static, Some(score), 0.5)
    };
    let first = vec![fixed(Score::Impact), fixed(Score::Taylor), channels(Score::Ghost)];
    let second = vec![fixed(Score::Wanda), fixed(Score::Fisher), channels(Score::GhostFactored)];
    let begun = order(&results, "zamba2", first.clone());
    succeed(&begun, folder.path());
    let scores: Vec<PathBuf> =
        begun.cells.iter().map(|c| path_of(&begun, &c.cell.scores_cell().unwrap())).collect();
    let bytes = |paths: &[PathBuf]| paths.iter().map(|p| fs::read(p).unwrap()).collect::<Vec<_>>();
    let before = bytes(&scores);
    let resumed = order(&results, "zamba2", [first.clone(), second.clone()].concat());
    succeed(&resumed, folder.path());
    // A new measurement would carry another time.
    assert!(bytes(&scores) == before, "scores were measured again");

    let unbroken = order(&folder.path().join("whole"), "zamba2", [first, second].concat());
    succeed(&unbroken, folder.path());
    assert_eq!(rows(&results), rows(&unbroken.results));
}

#[test]
fn a_state_that_is_not_there_is_one_clear_failure() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("run");
    let lacking = vec![
        of(Part::State, Policy::Static, Some(Score::Ghost), 0.5),
        of(Part::State, Policy::Dynamic, Some(Score::StateWeight), 0.5),
        observe(Part::State, Observation::Gradient),
    ];
    let output = run(&order(&results, "opt-relu", lacking), folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::FAILED_CELLS));
    let survey = Store::open_read_only(&results).unwrap().survey().unwrap();
    assert_eq!(survey.files.len(), 3, "nothing was measured in vain");
    for file in survey.files {
        let (_, error) = tables::read_failure(&file.path).unwrap();
        assert!(error.starts_with("the model has no recurrent state"), "{error}");
    }
}

#[test]
fn a_part_that_is_not_there_is_one_clear_failure() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("run");
    let lacking = vec![
        of(Part::Ffn, Policy::Static, Some(Score::Magnitude), 0.5),
        observe(Part::Ffn, Observation::Forward),
        TreatmentSpec::of(Policy::Dense, 1),
    ];
    let order = order(&results, "mamba2", lacking);
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::FAILED_CELLS));
    let survey = Store::open_read_only(&results).unwrap().survey().unwrap();
    let failures: Vec<_> =
        survey.files.iter().filter(|file| file.table == Table::Failures).collect();
    assert_eq!(failures.len(), 2);
    for file in failures {
        let (_, error) = tables::read_failure(&file.path).unwrap();
        assert!(error.starts_with("the model has no feed-forward block"), "{error}");
    }
}

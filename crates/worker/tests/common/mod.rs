//! Work orders over the small golden models, and the worker that runs them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(dead_code, reason = "every test file uses its own part")]

#[cfg(target_os = "linux")]
pub(crate) mod disk;
pub(crate) mod real;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use plan::{
    Calibration, Cell, DeviceName, ModelInput, OrderProvenance, OrderedCell, Policy, Protocol,
    Rule, Score, TextInput, Treatment, TreatmentSpec, WorkOrder,
};
use tables::{
    Store, Table, read_attention, read_blocks, read_channels, read_choices, read_directions,
    read_items, read_lens, read_neurons, read_overlaps, read_windows,
};

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn golden_model(name: &str) -> PathBuf {
    repository().join("crates/models/tests/golden").join(name)
}

pub(crate) fn golden_text(name: &str) -> PathBuf {
    repository().join("crates/evaluation/tests/golden").join(name)
}

pub(crate) fn treatment(policy: Policy, window: Option<usize>, rule: Option<Rule>) -> Treatment {
    if policy == Policy::Dense {
        return Treatment::dense(1);
    }
    let spec = TreatmentSpec {
        score: Some(Score::Magnitude),
        sparsity: 0.5,
        window,
        rule,
        ..TreatmentSpec::of(policy, 1)
    };
    Treatment::new(spec).unwrap()
}

pub(crate) fn cell(protocol: Protocol, treatment: Treatment) -> Cell {
    let dataset = if protocol.measure() == plan::Measure::MeanLoss { "text" } else { "lambada" };
    let calibration = treatment.needs_calibration().then(|| Calibration {
        dataset: "calibration".to_owned(),
        limit: Some(20),
        window_tokens: 16,
    });
    Cell {
        model: "llama".to_owned(),
        dataset: dataset.to_owned(),
        protocol,
        limit: None,
        calibration,
        recipe: treatment.into(),
        offset: None,
        compare: None,
    }
}

/// Dense, static, dynamic and windowed cells over both kinds of protocol.
pub(crate) fn cells() -> Vec<Cell> {
    let ppl = Protocol::Perplexity { window_tokens: 16 };
    let mut cells = Vec::new();
    for protocol in [ppl, Protocol::LambadaOpenai] {
        cells.push(cell(protocol, treatment(Policy::Dense, None, None)));
        cells.push(cell(protocol, treatment(Policy::Static, None, None)));
        cells.push(cell(protocol, treatment(Policy::Dynamic, Some(1), None)));
        for window in [2, 4, 8, 16] {
            let rule = Some(Rule::WindowMean);
            cells.push(cell(protocol, treatment(Policy::Window, Some(window), rule)));
        }
    }
    cells
}

pub(crate) fn order(results: &Path, model: &Path, cells: Vec<Cell>) -> WorkOrder {
    let text = |name: &str, file: &str| TextInput {
        name: name.to_owned(),
        path: golden_text(file),
        sha256: format!("sha of {file}"),
        reading: plan::Reading::default(),
    };
    let ordered = cells.into_iter().enumerate();
    WorkOrder {
        run: "test".to_owned(),
        results: results.to_owned(),
        device: DeviceName::Cpu,
        provenance: OrderProvenance {
            revision: "r".to_owned(),
            code_version: "c".to_owned(),
            command: "test".to_owned(),
        },
        models: vec![ModelInput {
            name: "llama".to_owned(),
            path: model.to_owned(),
            sha256: "w".to_owned(),
            tokenizer_sha256: "t".to_owned(),
            planned: false,
            tokenizer: None,
            time_steps: plan::TimeSteps::default(),
        }],
        tasks: Vec::new(),
        texts: vec![
            text("text", "text.raw"),
            text("calibration", "calibration.raw"),
            text("lambada", "lambada.jsonl"),
        ],
        cells: ordered.map(|(i, cell)| OrderedCell { id: format!("{i:016x}"), cell }).collect(),
    }
}

pub(crate) fn start(order: &WorkOrder, folder: &Path) -> Child {
    let file = folder.join("order.json");
    std::fs::write(&file, serde_json::to_string(order).unwrap()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(["run", "--order"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs to the end; standard input stays open until then.
pub(crate) fn run(order: &WorkOrder, folder: &Path) -> Output {
    let mut child = start(order, folder);
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    output
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All rows of a run as text, by cell; wall-clock columns are not among them.
pub(crate) fn rows(folder: &Path) -> BTreeMap<String, String> {
    let survey = Store::open_read_only(folder).unwrap().survey().unwrap();
    assert!(survey.damaged.is_empty(), "{:?}", survey.damaged);
    let rows = survey.files.iter().map(|file| {
        let rows = match file.table {
            Table::Windows => format!("{:?}", read_windows(file).unwrap()),
            Table::Items => format!("{:?}", read_items(file).unwrap()),
            Table::Choices => format!("{:?}", read_choices(file).unwrap()),
            Table::Neurons => format!("{:?}", read_neurons(file).unwrap()),
            Table::Channels => format!("{:?}", read_channels(file).unwrap()),
            Table::Overlaps => format!("{:?}", read_overlaps(file).unwrap()),
            Table::Lens => format!("{:?}", read_lens(file).unwrap()),
            Table::Blocks => format!("{:?}", read_blocks(file).unwrap()),
            Table::Directions => format!("{:?}", read_directions(file).unwrap()),
            Table::Attention => format!("{:?}", read_attention(file).unwrap()),
            Table::Failures => panic!("a cell failed: {}", file.path.display()),
        };
        (file.id.clone(), rows)
    });
    rows.collect()
}

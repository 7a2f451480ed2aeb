//! Small runs with numbers that can be worked out by hand, written through the real store.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use plan::{
    Cell, DeviceName, OrderProvenance, OrderedCell, Policy, Protocol, Rule, Score, Treatment,
    TreatmentSpec, WorkOrder,
};
use tables::{
    CellRecord, FailureRecord, ItemRow, Left, Provenance, RowShares, Store, Touched, WindowRow,
};

/// Targets in each window: one nat a target is 100 nats a window.
pub(crate) const TARGETS: u32 = 100;
/// Dense losses of four windows, in nats: 3 nats a target on average.
pub(crate) const DENSE_NATS: [f64; 4] = [300.0, 310.0, 290.0, 300.0];

/// A folder for results that vanishes with the test.
pub(crate) struct Results {
    folder: tempfile::TempDir,
}

impl Results {
    pub(crate) fn new() -> Self {
        Results { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn run(&self, name: &str) -> Store {
        Store::open(&self.path().join(name)).unwrap()
    }

    /// Runs the program inside this folder, so that no page holds the folder's random name.
    pub(crate) fn report(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_report"))
            .args(arguments)
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    /// What `report --results run --full` prints; it must succeed.
    pub(crate) fn page(&self) -> String {
        self.printed(&["--results", "run", "--full"])
    }

    /// What the program prints; it must succeed.
    pub(crate) fn printed(&self, arguments: &[&str]) -> String {
        let output = self.report(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

pub(crate) fn dense() -> Treatment {
    Treatment::dense(1)
}

pub(crate) fn pruned(policy: Policy, sparsity: f64) -> Treatment {
    let spec =
        TreatmentSpec { score: Some(Score::Magnitude), sparsity, ..TreatmentSpec::of(policy, 1) };
    Treatment::new(spec).unwrap()
}

pub(crate) fn windowed(window: usize, rule: Rule) -> Treatment {
    let spec = TreatmentSpec {
        score: Some(Score::Magnitude),
        sparsity: 0.9,
        window: Some(window),
        rule: Some(rule),
        ..TreatmentSpec::of(Policy::Window, 1)
    };
    Treatment::new(spec).unwrap()
}

pub(crate) fn text_cell(treatment: Treatment) -> Cell {
    let calibration = treatment.needs_calibration().then(|| plan::Calibration {
        dataset: "wikitext2-valid".to_owned(),
        limit: Some(4),
        window_tokens: 101,
    });
    Cell {
        model: "smollm2".to_owned(),
        dataset: "wikitext2".to_owned(),
        protocol: Protocol::Perplexity { window_tokens: 101 },
        limit: Some(4),
        calibration,
        recipe: treatment.into(),
        offset: None,
        compare: None,
    }
}

pub(crate) fn lambada_cell(treatment: Treatment) -> Cell {
    Cell {
        dataset: "lambada".to_owned(),
        protocol: Protocol::LambadaOpenai,
        limit: Some(10),
        ..text_cell(treatment)
    }
}

pub(crate) fn record(id: &str, cell: Cell, code_version: &str) -> CellRecord {
    let provenance = Provenance {
        revision: "abc1234".to_owned(),
        code_version: code_version.to_owned(),
        versions: "slim 0.1.0; burn 0.22.1; rustc 1.95.0".to_owned(),
        host: "node7".to_owned(),
        cpu: "Some Processor".to_owned(),
        device: "cpu".to_owned(),
        started_at_ms: 1_795_317_484_000,
        seconds: 2.0,
        peak_rss_bytes: 1_000_000_000,
        tokens: 404,
        weights_sha256: "11".repeat(32),
        tokenizer_sha256: "22".repeat(32),
        text_sha256: "33".repeat(32),
        calibration_sha256: None,
    };
    CellRecord {
        id: id.to_owned(),
        cell,
        touched: Touched::default(),
        left: Left::default(),
        provenance,
    }
}

/// Dense losses plus `more` nats, window by window.
pub(crate) fn windows(more: &[f64]) -> Vec<WindowRow> {
    let rows = more.iter().zip(DENSE_NATS).enumerate();
    rows.map(|(index, (more, dense))| WindowRow {
        window_index: index as u32,
        nll_nats: dense + more,
        js_nats: None,
        n_targets: TARGETS,
        shares: RowShares {
            reached_sparsity: 0.9,
            natural_sparsity: Some(0.0),
            kept_energy: Some(0.75),
            cache: None,
        },
        tokens: tables::TokenColumns::default(),
    })
    .collect()
}

pub(crate) fn items(correct: &[bool]) -> Vec<ItemRow> {
    let rows = correct.iter().enumerate();
    rows.map(|(index, &correct)| ItemRow {
        item_index: index as u32,
        correct,
        word_logprob_nats: -2.0,
        n_target_tokens: 1,
        n_tokens: 70,
        distance_sentences: Some(1 + index as u32 % 4),
        shares: RowShares {
            reached_sparsity: 0.9,
            natural_sparsity: Some(0.0),
            kept_energy: Some(0.75),
            cache: None,
        },
        tokens: tables::TokenColumns::default(),
    })
    .collect()
}

/// Writes a cell of windows; its code version is `code-a`.
pub(crate) fn put(store: &Store, id: &str, treatment: Treatment, more: &[f64]) -> PathBuf {
    let record = record(id, text_cell(treatment), "code-a");
    store.write_windows(&record, &windows(more)).unwrap()
}

/// Writes a cell of items; its code version is `code-a`.
pub(crate) fn put_items(store: &Store, id: &str, treatment: Treatment, correct: &[bool]) {
    let record = record(id, lambada_cell(treatment), "code-a");
    store.write_items(&record, &items(correct)).unwrap();
}

/// Writes a cell of windows of another model.
pub(crate) fn put_of(store: &Store, model: &str, id: &str, treatment: Treatment, more: &[f64]) {
    let cell = Cell { model: model.to_owned(), ..text_cell(treatment) };
    store.write_windows(&record(id, cell, "code-a"), &windows(more)).unwrap();
}

pub(crate) fn put_failure(store: &Store, id: &str, treatment: Treatment, error: &str) {
    let failure = FailureRecord {
        id: id.to_owned(),
        cell: text_cell(treatment),
        error: error.to_owned(),
        revision: "abc1234".to_owned(),
        code_version: "code-a".to_owned(),
        host: "node7".to_owned(),
        started_at_ms: 1_795_317_484_000,
        seconds: 0.5,
    };
    store.write_failure(&failure).unwrap();
}

/// An order of these cells that knows no model and no text.
pub(crate) fn order(store: &Store, cells: &[(&str, Cell)]) -> WorkOrder {
    let cells = cells
        .iter()
        .map(|(id, cell)| OrderedCell { id: (*id).to_owned(), cell: cell.clone() })
        .collect();
    WorkOrder {
        run: "smollm2".to_owned(),
        results: store.folder().to_owned(),
        device: DeviceName::Cpu,
        provenance: OrderProvenance {
            revision: "abc1234".to_owned(),
            code_version: "code-a".to_owned(),
            command: "cargo xtask run-grid pipelines/smollm2.toml".to_owned(),
        },
        models: Vec::new(),
        tasks: Vec::new(),
        texts: Vec::new(),
        cells,
    }
}

pub(crate) fn put_order(store: &Store, cells: &[(&str, Cell)]) {
    write_order(store, &order(store, cells));
}

pub(crate) fn write_order(store: &Store, order: &WorkOrder) {
    let json = serde_json::to_string(order).unwrap();
    std::fs::write(store.folder().join("order.json"), json).unwrap();
}

/// The fields of the page's table lines, trimmed.
pub(crate) fn table_rows(page: &str) -> Vec<Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The first table line that begins with these fields.
#[track_caller]
pub(crate) fn row<'a>(page: &'a str, beginning: &[&str]) -> Vec<&'a str> {
    table_rows(page)
        .into_iter()
        .find(|row| row.starts_with(beginning))
        .unwrap_or_else(|| panic!("no row begins with {beginning:?} in\n{page}"))
}

//! `explain`: over a run whose order `run-grid` made and whose files the real store wrote.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::{Bench, stderr, stdout};
use plan::{Cell, WorkOrder};
use serde_json::Value;
use tables::{
    CellRecord, FailureRecord, Left, NeuronRow, Provenance, RowShares, Store, TokenColumns,
    Touched, WindowRow,
};

/// The scratch grid, and a static cell that is chosen on calibration text.
const PIPELINE: &str = r#"
name = "own"
seed = 1

[[model]]
name = "mine"
path = "model.gguf"

[[dataset]]
name = "text"
path = "text.raw"
protocol = "ppl-64"
limit = 2
calibration = { dataset = "before", path = "before.raw", limit = 3, window_tokens = 64 }

[[sweep]]
policy = ["static", "dynamic"]
score = "magnitude"
sparsity = 0.9

[[sweep]]
policy = "window"
score = "magnitude"
sparsity = 0.9
window = 16
rule = "window-mean"
"#;

const DENSE: &str = "mine text ppl-64 dense";
const STATIC: &str = "mine text ppl-64 static κ=.9 magnitude";
const DYNAMIC: &str = "mine text ppl-64 dynamic κ=.9 magnitude";
const WINDOW: &str = "mine text ppl-64 window κ=.9 W=16 window-mean magnitude";
const SCORES: &str = "mine before ppl-64 observe forward";

/// The worker, as it is now.
fn worker_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| common::program("worker"))
}

struct Grid {
    bench: Bench,
    order: WorkOrder,
    store: Store,
}

impl Grid {
    /// Orders the grid; the worker does nothing.
    fn new() -> Grid {
        let bench = Bench::new();
        bench.write("model.gguf", "GGUF");
        bench.write("text.raw", "some text\n");
        bench.write("before.raw", "another text\n");
        bench.write("own.toml", PIPELINE);
        // The real one reads what lies there; it runs nothing.
        let worker = worker_program().display();
        bench.script("no-worker", &format!("[ $1 = run ] || exec {worker} \"$@\""));
        let output = bench.run(&["run-grid", &bench.path("own.toml"), "--no-report"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let folder = bench.results().join("own");
        let order = serde_json::from_slice(&fs::read(folder.join("order.json")).unwrap()).unwrap();
        Grid { bench, order, store: Store::open(&folder).unwrap() }
    }

    fn cell(&self, label: &str) -> (String, Cell) {
        let ordered = self.order.cells.iter().find(|own| own.cell.label() == label);
        match ordered {
            Some(ordered) => (ordered.id.clone(), ordered.cell.clone()),
            None => {
                let cell = self.cell(STATIC).1.scores_cell().unwrap();
                (plan::cell_id(&cell, &self.order.inputs_of(&cell).unwrap()), cell)
            }
        }
    }

    fn id(&self, label: &str) -> String {
        self.cell(label).0
    }

    fn record(&self, label: &str) -> CellRecord {
        let (id, cell) = self.cell(label);
        let inputs = self.order.inputs_of(&cell).unwrap();
        let provenance = Provenance {
            revision: self.order.provenance.revision.clone(),
            code_version: inputs.code_version,
            versions: "slim 0.1.0".to_owned(),
            host: "node7".to_owned(),
            cpu: "Some Processor".to_owned(),
            device: "cpu".to_owned(),
            started_at_ms: 1_795_317_484_000,
            seconds: 2.5,
            peak_rss_bytes: 512 << 20,
            tokens: 128,
            weights_sha256: inputs.weights,
            tokenizer_sha256: inputs.tokenizer,
            text_sha256: inputs.text,
            calibration_sha256: inputs.calibration_text,
        };
        CellRecord { id, cell, touched: Touched::default(), left: Left::default(), provenance }
    }

    fn put(&self, record: &CellRecord) -> std::path::PathBuf {
        let row = |window_index| WindowRow {
            js_nats: None,
            window_index,
            nll_nats: 200.0,
            n_targets: 63,
            shares: RowShares {
                reached_sparsity: 0.9,
                natural_sparsity: Some(0.0),
                kept_energy: Some(0.5),
                cache: None,
            },
            tokens: TokenColumns::default(),
        };
        self.store.write_windows(record, &[row(0), row(1)]).unwrap()
    }

    fn explain(&self, args: &[&str]) -> std::process::Output {
        let results = self.bench.results();
        let (results, pipeline) = (results.to_str().unwrap(), self.bench.path("own.toml"));
        let rest = ["--results", results, "--pipeline", &pipeline];
        self.bench.run(&[&["explain"], args, &rest].concat())
    }

    /// What `explain` prints; it must succeed, and say all of these.
    #[track_caller]
    fn says(&self, args: &[&str], expected: &[&str]) -> String {
        let output = self.explain(args);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        for expected in expected {
            assert!(text.contains(expected), "expected {expected:?} in\n{text}");
        }
        text
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], expected: &[&str]) {
        let output = self.explain(args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for expected in expected {
            assert!(text.contains(expected), "expected {expected:?} in\n{text}");
        }
    }
}

#[test]
fn a_done_cell_says_what_it_is_where_it_lies_and_what_rests_on_it() {
    let grid = Grid::new();
    grid.put(&grid.record(DENSE));
    let id = grid.id(DENSE);
    let text = grid.says(
        &[&id[..6]],
        &[
            &format!("{id}  {DENSE}\nrun own in "),
            "`mine` predicts every next token in the first 2 windows of 64 tokens of the text `text`, \
             with nothing dropped: the baseline of the cells that drop something.\n",
            "protocol       ppl-64  perplexity = exp(ΣNLL / Σtargets)",
            "done: 2 rows, ",
            " bytes in ",
            "made 2026-11-22 03:18:04 UTC on node7 (Some Processor, cpu) in 2.5 s, 128 tokens, at \
             most 512 MiB",
            "ordered by `cargo xtask run-grid ",
            &format!("code version      {}", grid.order.provenance.code_version),
            "no: it is done, and its id is the one that the present pipeline gives",
            "the code that computes is the same: version ",
            "3 cells are compared with it\n",
            DYNAMIC,
        ],
    );
    assert!(text.contains(&format!("/{id}.parquet")), "{text}");
    // By its label, in one word or in several.
    assert_eq!(grid.says(&[DENSE], &[]), text);
    assert_eq!(grid.says(&["mine", "text", "ppl-64", "dense"], &[]), text);
}

#[test]
fn a_windowed_cell_is_told_in_the_words_of_the_specification() {
    let grid = Grid::new();
    let dense = grid.id(DENSE);
    grid.says(
        &[WINDOW],
        &[
            "with 90 % of the neurons of each feed-forward block dropped, those with the least \
             `magnitude`: each commitment window of 16 tokens has one kept set, chosen by scores \
             summed over its own tokens, so it looks ahead.",
            "scores summed over the window's own tokens; looks ahead",
            "missing: it is ordered and was not run, and nobody is at work",
            &format!("compared with     {dense}  {DENSE} (missing)"),
            "yes: it has no results yet",
            "nothing in this run",
        ],
    );
}

#[test]
fn a_static_cell_rests_on_scores_that_say_who_reads_them() {
    let grid = Grid::new();
    let (id, cell) = grid.cell(SCORES);
    let mut record = grid.record(STATIC);
    (record.id, record.cell) = (id.clone(), cell);
    grid.store.write_neurons(&record, &[NeuronRow::default()]).unwrap();
    grid.says(
        &[STATIC],
        &[
            "the rest is one kept set for the whole run, chosen beforehand on 3 windows of 64 tokens \
             of `before`.",
            &format!("scores of         {id}  {SCORES} (done)"),
            "calibration text  ",
        ],
    );
    let reader = grid.id(STATIC);
    grid.says(
        &[&id],
        &[
            "with nothing dropped, to measure every score of every neuron that a forward pass gives.",
            "stored on the way to cells that read it, which `cargo xtask run-grid ",
            "no: it is done",
            &format!("1 cell is chosen by its scores\n    {reader}  {STATIC} (missing)"),
        ],
    );
}

#[test]
fn a_changed_text_gives_another_id_and_says_which_input_changed() {
    let grid = Grid::new();
    grid.put(&grid.record(DENSE));
    let id = grid.id(DENSE);
    grid.bench.write("text.raw", "another text altogether\n");
    let output = grid.explain(&[&id, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["id"], id);
    let again = &json["runs"][0]["run_again"];
    assert_eq!(again["would_run"], true);
    let id_now = again["id_now"].as_str().unwrap();
    assert_ne!(id_now, id);
    let changes = again["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["what"], "text");
    let sentence = format!(
        "yes: what it rests on has changed since, as listed below; it is the cell {id_now} now, \
             which is missing"
    );
    grid.says(&[&id], &[&sentence, "text              ", " then, ", " now\n"]);
    // A text that is gone is told as run-grid tells it.
    fs::remove_file(grid.bench.path("text.raw")).unwrap();
    grid.says(
        &[&id],
        &["that cannot be said: what it would rest on now: 1 input is missing or bad"],
    );
}

#[test]
fn code_of_another_version_is_told_with_what_git_knows() {
    let grid = Grid::new();
    let mut record = grid.record(DENSE);
    record.id = "0123456789abcdef".to_owned();
    record.provenance.code_version = "of-another-time".to_owned();
    record.provenance.revision = "no-such-revision-dirty".to_owned();
    grid.put(&record);
    let now = &grid.order.provenance.code_version;
    grid.says(
        &["0123"],
        &[
            "the run's last order does not name it",
            &format!("as listed below; it is the cell {} now", grid.id(DENSE)),
            &format!("code version      of-another-time then, {now} now"),
            &format!("the code that computes has changed: version of-another-time then, {now} now"),
            "revision no-such-revision-dirty then, ",
            "then with changes that are in no commit",
            "git cannot say which commits lie between",
        ],
    );
    // The label means the cell of the last order.
    grid.says(&[DENSE], &[&format!("{}  {DENSE}", grid.id(DENSE))]);
}

#[test]
fn failed_damaged_and_waiting_cells_say_so() {
    let grid = Grid::new();
    let (id, cell) = grid.cell(DYNAMIC);
    let failure = FailureRecord {
        id,
        cell,
        error: "layer 3: not a number".to_owned(),
        revision: "abc".to_owned(),
        code_version: grid.order.provenance.code_version.clone(),
        host: "node7".to_owned(),
        started_at_ms: 1_795_317_484_000,
        seconds: 0.5,
    };
    grid.store.write_failure(&failure).unwrap();
    grid.says(
        &[DYNAMIC],
        &[
            "failed: layer 3: not a number",
            "begun 2026-11-22 03:18:04 UTC on node7, failed after 0.5 s",
            "yes: it failed, and a failed cell is tried again",
        ],
    );
    let path = grid.put(&grid.record(WINDOW));
    fs::write(&path, "torn").unwrap();
    grid.says(
        &[WINDOW],
        &["damaged: no complete Parquet footer", "yes: its file does not count: no complete"],
    );
    let lock = grid.store.lock().unwrap();
    let holder = format!("process {} is at work in the run", std::process::id());
    grid.says(&[STATIC], &[&format!("waiting: it is ordered, and {holder}"), &holder]);
    drop(lock);
    grid.says(&[STATIC], &["missing: it is ordered and was not run, and nobody is at work"]);
}

#[test]
fn a_cell_that_the_pipeline_no_longer_has_is_not_run_again() {
    let grid = Grid::new();
    grid.bench.write("own.toml", &PIPELINE.replace("limit = 2", "limit = 5"));
    let differs = "own.toml does not ask for it, but for the same with limit 5 in place of 2";
    grid.says(&[DENSE], &["no: ", differs]);
    let sweeps = PIPELINE.find("[[sweep]]").unwrap();
    grid.bench.write("own.toml", &PIPELINE[..sweeps]);
    grid.says(&[DYNAMIC], &["own.toml does not ask for it\n"]);
    grid.bench.write("own.toml", "name = 3");
    grid.says(&[DYNAMIC], &["that cannot be said: ", "own.toml: "]);
}

#[test]
fn several_or_no_cells_are_listed_with_exit_code_2() {
    let grid = Grid::new();
    for id in ["aaaa000000000001", "aaaa000000000002"] {
        let mut record = grid.record(DENSE);
        record.id = id.to_owned();
        grid.put(&record);
    }
    grid.refuses(
        &["aaaa"],
        &[
            "`aaaa` stands for 2 cells: name one by its id",
            &format!("aaaa000000000001  {DENSE}  (run own, done, not of the last order)"),
        ],
    );
    grid.says(&["aaaa000000000002"], &["aaaa000000000002"]);
    grid.refuses(
        &["mine text ppl-64 dynamik"],
        &["no cell `mine text ppl-64 dynamik` in own", "the most alike:", DYNAMIC],
    );
    grid.refuses(&["aaa"], &["an id needs at least 4 characters"]);
    let output = grid.bench.run(&["explain", "aaaa", "--results", "nowhere"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    // Without --pipeline the project's own are looked through, and none is called `own`.
    let results = grid.bench.results();
    let output = grid.bench.run(&["explain", DENSE, "--results", results.to_str().unwrap()]);
    let text = stdout(&output);
    assert!(text.contains("no file in pipelines/ has the name `own`"), "{text}");
    assert!(Path::new(&results).join("own/order.json").exists());
}

//! Every picture of a run that has everything: well-formed, with ids of its own, with marks,
//! with a table of its numbers; and what failed or is missing is hatched in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use plan::{Cell, Policy, Rule, Score, Treatment, TreatmentSpec};
use roxmltree::Document;
use tables::{FailureRecord, Store, SweepRow};

use crate::fixtures::{
    Results, dense, items, lambada_cell, pruned, put_order, record, row, table_rows, text_cell,
    windowed, windows,
};
use crate::observations::put_atlas;

/// Every picture, the element that its marks are made of with their class, and what is hatched in it.
const PICTURES: [(&str, &str, &str, &[&str]); 9] = [
    ("correlations", "rect", "with-weight", &[]),
    ("static-and-dynamic", "polygon", "dynamic", &["hatch failed"]),
    ("last-word", "polygon", "dense", &["hatch missing"]),
    ("dial", "polygon", "mark r0", &["hatch failed", "hatch missing"]),
    ("quadrants", "polygon", "cheap", &["hatch failed"]),
    ("atlas", "rect", "plus s4", &[]),
    ("recall", "polygon", "mark d1", &[]),
    ("overlap", "polygon", "mark m0", &[]),
    ("sparsity-and-loss", "polygon", "mark s0", &[]),
];

fn by(policy: Policy, score: Score, sparsity: f64) -> Treatment {
    let spec = TreatmentSpec { score: Some(score), sparsity, ..TreatmentSpec::of(policy, 1) };
    Treatment::new(spec).unwrap()
}

/// Every way to drop neurons that a picture knows, with what it costs in nats a target.
fn ways() -> Vec<(Treatment, f64)> {
    let mut ways = vec![
        (dense(), 0.0),
        (pruned(Policy::Dynamic, 0.9), 0.1),
        (pruned(Policy::Static, 0.9), 1.0),
        (by(Policy::Dynamic, Score::Impact, 0.9), 0.05),
        (by(Policy::Static, Score::Impact, 0.9), 0.9),
        (by(Policy::Dynamic, Score::Random, 0.9), 2.0),
        (by(Policy::Static, Score::Random, 0.9), 2.1),
    ];
    for (step, window) in [4, 16, 64].into_iter().enumerate() {
        ways.push((windowed(window, Rule::WindowMean), 0.3 + 0.2 * step as f64));
        ways.push((windowed(window, Rule::FirstToken), 0.5 + 0.3 * step as f64));
    }
    for rule in [Rule::PreviousWindow, Rule::Prompt, Rule::Calibration, Rule::Random] {
        ways.push((windowed(16, rule), 1.2));
    }
    ways
}

fn of_model(model: &str, cell: Cell) -> Cell {
    Cell { model: model.to_owned(), ..cell }
}

fn put_windows(store: &Store, id: &str, cell: Cell, nats: f64) {
    let more = [90.0 * nats, 95.0 * nats, 105.0 * nats, 110.0 * nats];
    store.write_windows(&record(id, cell, "code-a"), &windows(&more)).unwrap();
}

fn put_right(store: &Store, id: &str, cell: Cell, n_right: usize) {
    let correct: Vec<bool> = (0..10).map(|item| item < n_right).collect();
    store.write_items(&record(id, cell, "code-a"), &items(&correct)).unwrap();
}

fn put_failed(store: &Store, id: &str, cell: Cell) {
    let failure = FailureRecord {
        id: id.to_owned(),
        cell,
        error: "out of memory".to_owned(),
        revision: "abc1234".to_owned(),
        code_version: "code-a".to_owned(),
        host: "node7".to_owned(),
        started_at_ms: 1_795_317_484_000,
        seconds: 0.5,
    };
    store.write_failure(&failure).unwrap();
}

fn put_sweep(folder: &Path, heldout_nats: [f64; 3]) {
    let rows = heldout_nats.into_iter().enumerate().map(|(step, heldout_nats)| SweepRow {
        l1_coefficient: 0.001 * step as f64,
        heldout_nats,
        natural_sparsity: 0.5 + 0.2 * step as f64,
        dead_neurons: step as u32,
        neurons: 64,
        accuracy: 0.25,
        steps: 600,
    });
    fs::create_dir_all(folder).unwrap();
    let rows: Vec<SweepRow> = rows.collect();
    tables::write_sweep(&folder.join("curve.parquet"), &rows, "{}").unwrap();
}

/// Two whole models, and one of which a dynamic cell failed and a window and its last words are missing.
fn write_everything(results: &Results) {
    let store = results.run("run");
    let mut order = Vec::new();
    for (number, model) in ["opt", "swiglu", "unlucky"].into_iter().enumerate() {
        for (place, (treatment, nats)) in ways().into_iter().enumerate() {
            let id = format!("{number}-{place:02}");
            let cell = of_model(model, text_cell(treatment));
            match (model, place) {
                ("unlucky", 1 | 3) => put_failed(&store, &id, cell.clone()),
                ("unlucky", 9) => {}
                _ => put_windows(&store, &id, cell.clone(), nats * (1.0 + number as f64)),
            }
            order.push((id, cell));
        }
        let last_words =
            [(dense(), 9), (pruned(Policy::Dynamic, 0.9), 8), (pruned(Policy::Static, 0.9), 3)];
        for (place, (treatment, n_right)) in last_words.into_iter().enumerate() {
            let id = format!("{number}-w{place}");
            let cell = of_model(model, lambada_cell(treatment));
            if (model, place) != ("unlucky", 1) {
                put_right(&store, &id, cell.clone(), n_right);
            }
            order.push((id, cell));
        }
    }
    put_atlas(&store, false);
    put_sweep(&results.path().join("data/sweeps/l1"), [1.2, 1.1, 1.3]);
    let order: Vec<(&str, Cell)> =
        order.iter().map(|(id, cell)| (id.as_str(), cell.clone())).collect();
    put_order(&store, &order);
}

fn bytes(results: &Results, name: &str) -> Vec<u8> {
    let path = results.path().join("run").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_picture_is_well_formed_and_drawn() {
    let results = Results::new();
    write_everything(&results);
    let page = results.page();
    assert!(!page.contains("Pictures without data"), "{page}");
    let mut ids = BTreeSet::new();
    for (name, element, marks, hatches) in PICTURES {
        let text = String::from_utf8(bytes(&results, &format!("{name}.svg"))).unwrap();
        let svg = Document::parse(&text).unwrap();
        let has = |class: &str, element: &str| {
            svg.descendants()
                .any(|node| node.has_tag_name(element) && node.attribute("class") == Some(class))
        };
        assert!(has(marks, element), "{name} has no {element} of class {marks}");
        for class in ["hatch failed", "hatch missing"] {
            assert_eq!(has(class, "polyline"), hatches.contains(&class), "{name}: {class}");
        }
        assert!(!text.contains("=\"#0000"), "{name}: an ink was not replaced");
        for id in svg.descendants().filter_map(|node| node.attribute("id")) {
            assert!(ids.insert(id.to_owned()), "{name}: {id} stands twice");
        }
        let labels = svg.root_element().attribute("aria-labelledby").unwrap();
        assert!(labels.split(' ').all(|id| ids.contains(id)), "{name}: {labels}");
        assert!(page.contains(&format!("]({name}.svg)\n")), "{page}");
    }
    assert_eq!(
        page.matches("<details><summary>The numbers of this picture</summary>\n\n| ").count(),
        9
    );
    assert_eq!(page.matches("<details>").count(), page.matches("\n\n</details>\n").count());
    let command = "Made by `cargo xtask run-grid pipelines/smollm2.toml`, drawn by `cargo xtask report \
                   --results run`.";
    // A sweep was made by no run.
    assert_eq!(page.matches(command).count(), 8, "{page}");
}

#[test]
fn failed_and_missing_cells_stand_in_the_numbers() {
    let results = Results::new();
    write_everything(&results);
    let page = results.page();
    for beginning in [
        ["unlucky", "dynamic", "failed"],
        ["unlucky", "dynamic", "missing"],
        ["unlucky", "ffn dynamic", "cheap"],
    ] {
        let row = row(&page, &beginning);
        assert!(row.last().unwrap().starts_with("`2-"), "{row:?}");
    }
    assert_eq!(row(&page, &["unlucky", "window-mean", "16"])[3..5], ["missing", "–"]);
    let aware = row(&page, &["unlucky", "ffn dynamic", "output-aware"]);
    assert_eq!(aware[3..5], ["impact", "failed"], "{aware:?}");
    assert!(
        page.contains("A hatched place is that of a cell that failed (crossed) or is missing.")
    );
}

#[test]
fn the_dial_has_every_rule_that_was_run() {
    let results = Results::new();
    write_everything(&results);
    let page = results.page();
    let text = String::from_utf8(bytes(&results, "dial.svg")).unwrap();
    let svg = Document::parse(&text).unwrap();
    let words: BTreeSet<&str> =
        svg.descendants().filter_map(|node| node.text()).map(str::trim).collect();
    for rule in ["window-mean", "first-token", "previous-window", "prompt P=64", "calibration"] {
        assert!(words.contains(rule), "no {rule} in {words:?}");
    }
    for reference in ["random", "static (calibration)", "random for every token", "dense = 1"] {
        assert!(words.contains(reference), "no {reference} in {words:?}");
    }
    // e^0.1 · 3 nats: what is drawn is in the table, with its interval and cell.
    let dynamic = row(&page, &["opt", "window-mean", "1"]);
    assert_eq!(dynamic[3..5], ["22.198", "1.1052"]);
    assert_eq!(dynamic[7..], ["4", "400", "`0-01`"]);
}

#[test]
fn recall_pools_the_items_of_a_distance() {
    let results = Results::new();
    write_everything(&results);
    let page = results.page();
    let (_, section) = page.split_once("## Recall by distance\n").unwrap();
    // Of ten items, distances 1 and 2 have three each, 3 and 4 two; the dense model gets all but the
    // last one right, which is of distance 2.
    let dense = row(section, &["dense", "`0-w0`"]);
    assert_eq!(dense[2], "3/3 = 100.0 % [43.9 %, 100.0 %]");
    assert_eq!(dense[3], "2/3 = 66.7 % [20.8 %, 93.9 %]");
    assert_eq!(row(&page, &["opt", "dense", "2"])[3..6], ["2", "3", "66.7 %"]);
    let output = results.report(&["--results", "run", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let line = &json["runs"][0]["recall"][0]["lines"][0];
    assert_eq!(line["distances"][1]["distance_sentences"], 2);
    assert_eq!(line["distances"][1]["n_correct"], 2);
    assert_eq!(json["sweeps"]["sweeps"][0]["models"][2]["heldout_nats"], 1.3);
}

#[test]
fn a_sweep_that_cannot_be_read_is_a_line() {
    let results = Results::new();
    write_everything(&results);
    let broken = results.path().join("data/sweeps/broken");
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join("curve.parquet"), "no table").unwrap();
    let page = results.page();
    assert!(page.contains("Not shown: cannot read data/sweeps/broken/curve.parquet: "), "{page}");
    assert_eq!(row(&page, &["l1", "0.002"])[2..4], ["1.3000", "90.00 %"]);
    let output = results.report(&["--results", "run", "--full", "--sweeps", "nowhere"]);
    assert!(output.status.success());
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("- `sparsity-and-loss`: cannot read nowhere: "), "{page}");
    fs::remove_dir_all(results.path().join("data")).unwrap();
    let none = "- `sparsity-and-loss`: there is no sweep in data/sweeps; name a folder of sweeps";
    assert!(results.page().contains(none), "{}", results.page());
}

#[test]
fn the_same_tables_give_the_same_bytes() {
    let results = Results::new();
    write_everything(&results);
    let all = || {
        let names = PICTURES.iter().map(|(name, ..)| format!("{name}.svg"));
        names.map(|name| bytes(&results, &name)).collect::<Vec<_>>()
    };
    let page = results.page();
    let before = all();
    assert_eq!(page, results.page());
    assert!(before == all());
}

#[test]
fn numbers_of_pictures_have_short_ids() {
    let results = Results::new();
    let store = results.run("run");
    let long = "0123456789abcdef";
    put_windows(&store, "00", text_cell(dense()), 0.0);
    put_windows(&store, long, text_cell(pruned(Policy::Dynamic, 0.9)), 0.1);
    put_windows(&store, "02", text_cell(pruned(Policy::Static, 0.9)), 0.1);
    let page = results.page();
    let rows = table_rows(&page);
    assert!(rows.iter().any(|row| row.last() == Some(&"`0123456789ab`")), "{page}");
}

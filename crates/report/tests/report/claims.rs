//! Claims judged on tables whose numbers can be worked out by hand.

use plan::{Cell, Policy, Rule, Treatment};
use serde_json::Value;
use tables::{CellRecord, RowShares, Store, Touched, WindowRow};

use crate::fixtures::{
    Results, TARGETS, dense, lambada_cell, pruned, put_order, record, text_cell, windowed,
};

const HEAD: &str = "name = \"test\"\nsource = \"nobody\"\nalpha = 0.05\n\n[[group]]\nname = \"all\"\n\
                    models = [\"smollm2\", \"opt-1.3b\"]\ntexts = \"wikitext2\"\n\
                    corpora = [\"wikitext2\", \"c4\"]\nlast_word = \"lambada\"\n";

/// A claims file with one claim of these keys.
fn write_claim(results: &Results, keys: &str) {
    let claim = "\n[[claim]]\nid = \"one\"\nsentence = \"A sentence.\"\ngroups = [\"all\"]\n";
    std::fs::write(results.path().join("claims.toml"), format!("{HEAD}{claim}{keys}\n")).unwrap();
}

/// The judged claim, and its checks by model.
fn judged(results: &Results) -> (Value, Vec<Value>) {
    let output = results.report(&["--results", "run", "--claims", "claims.toml", "--json"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let claim = json["runs"][0]["claims"]["claims"][0].clone();
    let checks = claim["checks"].as_array().unwrap().clone();
    (claim, checks)
}

/// Twelve windows that lose `nats` a target more than dense, some a little more and some a little less.
fn windows(nats: f64) -> Vec<WindowRow> {
    (0..12)
        .map(|index| WindowRow {
            window_index: index,
            nll_nats: 300.0 + f64::from(TARGETS) * nats + 0.1 * (f64::from(index) - 5.5),
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

fn put(store: &Store, id: &str, treatment: Treatment, nats: f64) {
    let nats = if treatment.prunes() { windows(nats) } else { plain() };
    store.write_windows(&record(id, text_cell(treatment), "code-a"), &nats).unwrap();
}

/// Dense: all windows lose the same, so that the others differ from it by their own ups and downs.
fn plain() -> Vec<WindowRow> {
    windows(0.0).into_iter().map(|row| WindowRow { nll_nats: 300.0, ..row }).collect()
}

fn put_items(store: &Store, id: &str, treatment: Treatment, correct: impl Fn(u32) -> bool) {
    let correct: Vec<bool> = (0..300).map(correct).collect();
    let record = record(id, lambada_cell(treatment), "code-a");
    store.write_items(&record, &crate::fixtures::items(&correct)).unwrap();
}

const AT_LEAST: &str = "expect = \"perplexity-at-least\"\ntimes = 2\npolicy = \"static\"\n\
                        score = \"magnitude\"\nsparsity = 0.9";

#[test]
fn a_ratio_holds_fails_or_is_left_open_and_a_model_not_run_is_not_measured() {
    // ln 2 = .693
    for (nats, verdict) in [(1.0, "holds"), (0.1, "fails"), (2_f64.ln(), "undecided")] {
        let results = Results::new();
        let store = results.run("run");
        put(&store, "00", dense(), 0.0);
        put(&store, "01", pruned(Policy::Static, 0.9), nats);
        write_claim(&results, AT_LEAST);
        let (claim, checks) = judged(&results);
        assert_eq!(checks[0]["verdict"], verdict, "{checks:#?}");
        assert_eq!(claim["verdict"], verdict);
        let measured = &checks[0]["measurement"];
        assert!((measured["effect"].as_f64().unwrap() - nats.exp()).abs() < 1e-9);
        assert_eq!(measured["n"], 12);
        assert_eq!(measured["cells"], serde_json::json!(["01", "00"]));
        // Exact: the least of 2^12 assignments, two-sided, where all windows agree.
        if verdict != "undecided" {
            assert_eq!(measured["p"].as_f64().unwrap(), 2.0 / 4096.0);
        }
        assert_eq!(checks[1]["model"], "opt-1.3b");
        assert_eq!(checks[1]["verdict"], "not-measured", "never a pass");
        assert_eq!(checks[1]["note"], "not run");
    }
}

#[test]
fn few_windows_decide_nothing_and_say_so() {
    let results = Results::new();
    let store = results.run("run");
    for (id, treatment, nats) in [("00", dense(), 0.0), ("01", pruned(Policy::Static, 0.9), 5.0)] {
        let rows = if treatment.prunes() { windows(nats) } else { plain() };
        let record = record(id, text_cell(treatment), "code-a");
        store.write_windows(&record, &rows[..4]).unwrap();
    }
    write_claim(&results, AT_LEAST);
    let (_, checks) = judged(&results);
    assert_eq!(checks[0]["verdict"], "undecided");
    let note = checks[0]["note"].as_str().unwrap();
    assert!(note.contains("so few cannot give a p below 0.125"), "{note}");
}

#[test]
fn what_failed_is_missing_or_was_made_by_other_code_is_not_measured_and_why() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), 0.0);
    let cut = || text_cell(pruned(Policy::Static, 0.9));
    put_order(&store, &[("00", text_cell(dense())), ("01", cut())]);
    write_claim(&results, AT_LEAST);
    let note = |results: &Results| judged(results).1[0]["note"].as_str().unwrap().to_owned();
    assert_eq!(note(&results), "ordered in run smollm2 and missing");
    crate::fixtures::put_failure(&store, "01", pruned(Policy::Static, 0.9), "out of memory");
    assert_eq!(note(&results), "the cell failed: out of memory");
    store.write_windows(&record("01", cut(), "code-b"), &windows(1.0)).unwrap();
    let refused = note(&results);
    assert!(refused.contains("refused against dense: other code version"), "{refused}");
    let (claim, _) = judged(&results);
    assert_eq!(claim["verdict"], "not-measured");
}

const UNCHANGED: &str = "expect = \"accuracy-unchanged\"\nmargin = 0.03\npolicy = \"dynamic\"\n\
                         score = \"magnitude\"\nsparsity = 0.9";
const FALLS: &str = "expect = \"accuracy-falls\"\nmargin = 0.05\npolicy = \"dynamic\"\n\
                     score = \"magnitude\"\nsparsity = 0.9";

#[test]
fn accuracies_are_equivalent_fallen_or_left_open() {
    // The published counts of OPT-1.3B and Qwen2.5-0.5B, and one between.
    for (keys, n_treated, verdict) in [
        (UNCHANGED, 205, "holds"),
        (UNCHANGED, 69, "fails"),
        (UNCHANGED, 199, "undecided"),
        (FALLS, 69, "holds"),
        (FALLS, 205, "fails"),
        (FALLS, 188, "undecided"),
    ] {
        let results = Results::new();
        let store = results.run("run");
        put_items(&store, "00", dense(), |item| item < 205);
        put_items(&store, "01", pruned(Policy::Dynamic, 0.9), |item| item < n_treated);
        write_claim(&results, keys);
        let (_, checks) = judged(&results);
        assert_eq!(checks[0]["verdict"], verdict, "{n_treated}: {:#}", checks[0]);
    }
}

#[test]
fn the_dial_rises_or_falls_and_dynamic_is_its_window_of_one() {
    let keys = "expect = \"dial-rises\"\ntolerance = 1.02\npolicy = \"window\"\n\
                rule = \"window-mean\"\nscore = \"magnitude\"\nsparsity = 0.9\n\
                window = [256, 64, 16, 4, 1]";
    for (last, verdict) in [(2.0, "holds"), (0.6, "fails")] {
        let results = Results::new();
        let store = results.run("run");
        put(&store, "00", dense(), 0.0);
        put(&store, "01", pruned(Policy::Dynamic, 0.9), 0.5);
        put(&store, "02", windowed(4, Rule::WindowMean), 1.0);
        put(&store, "03", windowed(16, Rule::WindowMean), 1.5);
        // Not asked for by the claim.
        put(&store, "04", windowed(16, Rule::FirstToken), 0.0);
        put(&store, "05", windowed(256, Rule::WindowMean), last);
        write_claim(&results, keys);
        let (_, checks) = judged(&results);
        assert_eq!(checks[0]["verdict"], verdict, "{:#}", checks[0]);
        let cells = serde_json::json!(["01", "02", "03", "05"]);
        assert_eq!(checks[0]["measurement"]["cells"], cells);
    }
}

#[test]
fn a_share_is_counted_and_not_tested() {
    let keys = "expect = \"share-at-most\"\npart = \"ffn\"\nof = \"parameters\"\nshare = 0.25";
    for (share, verdict) in [(0.2, "holds"), (0.6, "fails")] {
        let results = Results::new();
        let store = results.run("run");
        let cell: Cell = text_cell(pruned(Policy::Static, 0.9));
        let touched = Touched { parameters: share, flops: 0.5, state_bytes: 0.0 };
        let record = CellRecord { touched, ..record("01", cell, "code-a") };
        store.write_windows(&record, &windows(1.0)).unwrap();
        write_claim(&results, keys);
        let (_, checks) = judged(&results);
        assert_eq!(checks[0]["verdict"], verdict);
        assert_eq!(checks[0]["measurement"]["p"], Value::Null);
    }
}

#[test]
fn the_page_says_which_sentences_hold() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), 0.0);
    put(&store, "01", pruned(Policy::Static, 0.9), 1.0);
    write_claim(&results, AT_LEAST);
    let output = results.report(&["--results", "run", "--claims", "claims.toml", "--full"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(
        page.contains("1 sentence of nobody, judged on smollm2: 1 true wherever measured"),
        "{page}"
    );
    let row = crate::fixtures::row(&page, &["holds", "A sentence."]);
    assert_eq!(row[2..], ["1", "0", "0", "1"]);
    assert!(page.contains("Not measured (not run): opt-1.3b on wikitext2."), "{page}");

    std::fs::write(results.path().join("claims.toml"), "name = 3\n").unwrap();
    let output = results.report(&["--results", "run", "--claims", "claims.toml", "--full"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("claims.toml") && error.contains("line 1"), "{error}");
}

const DIAL: &str = "expect = \"dial-rises\"\ntolerance = 1.02\npolicy = \"window\"\n\
                    rule = \"window-mean\"\nscore = \"magnitude\"\nsparsity = 0.9\n\
                    window = [1, 4, 16, 256]";

/// Windows that lose `nats` a target more than dense, each by its own surplus of about `spread` nats.
fn noisy(nats: f64, spread: f64) -> Vec<WindowRow> {
    let surplus = |index: u32| f64::from((index * 7) % 12) - 5.5;
    let row = |row: WindowRow| WindowRow {
        nll_nats: 300.0 + f64::from(TARGETS) * (nats + spread * surplus(row.window_index)),
        ..row
    };
    windows(0.0).into_iter().map(row).collect()
}

fn put_noisy(store: &Store, id: &str, treatment: Treatment, nats: f64, spread: f64) {
    let record = record(id, text_cell(treatment), "code-a");
    store.write_windows(&record, &noisy(nats, spread)).unwrap();
}

#[test]
fn a_dial_is_judged_by_its_limits_and_by_both_ends() {
    // The level at W=16, and how noisily; ln 1.02 = .0198.
    for (level, spread, last, verdict, note) in [
        (0.98, 0.004, 1.5, "undecided", "within the interval"),
        (0.9, 0.001, 1.5, "fails", "from W=4 to W=16"),
        (1.0, 0.0001, 1.0, "holds", ""),
        (0.505, 0.0001, 0.505, "undecided", "flat within the tolerance"),
    ] {
        let results = Results::new();
        let store = results.run("run");
        let at_four = if verdict == "undecided" && last < 1.0 { 0.5 } else { 1.0 };
        put(&store, "00", dense(), 0.0);
        put_noisy(&store, "01", pruned(Policy::Dynamic, 0.9), 0.5, 0.0);
        put_noisy(&store, "02", windowed(4, Rule::WindowMean), at_four, 0.0);
        put_noisy(&store, "03", windowed(16, Rule::WindowMean), level, spread);
        put_noisy(&store, "04", windowed(256, Rule::WindowMean), last, 0.0);
        write_claim(&results, DIAL);
        let (_, checks) = judged(&results);
        assert_eq!(checks[0]["verdict"], verdict, "{:#}", checks[0]);
        let told = checks[0]["note"].as_str().unwrap();
        assert!(told.contains(note), "{told}");
    }
}

#[test]
fn a_dial_without_its_ends_or_with_a_lost_level_is_none() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), 0.0);
    put(&store, "01", pruned(Policy::Dynamic, 0.9), 0.5);
    put(&store, "02", windowed(4, Rule::WindowMean), 1.0);
    put(&store, "03", windowed(16, Rule::WindowMean), 1.5);
    write_claim(&results, DIAL);
    let note = |results: &Results| judged(results).1[0]["note"].as_str().unwrap().to_owned();
    assert!(note(&results).contains("at least 3 from 1 to 101 are needed"), "{}", note(&results));
    put(&store, "04", windowed(256, Rule::WindowMean), 2.0);
    let cells = [
        ("00", text_cell(dense())),
        ("01", text_cell(pruned(Policy::Dynamic, 0.9))),
        ("02", text_cell(windowed(4, Rule::WindowMean))),
        ("05", text_cell(windowed(16, Rule::WindowMean))),
        ("04", text_cell(windowed(256, Rule::WindowMean))),
    ];
    put_order(&store, &cells);
    // The cell of an earlier order does not stand in for the one that is missing.
    assert_eq!(note(&results), "W=16: ordered in run smollm2 and missing");
}

#[test]
fn one_score_is_set_against_another_and_one_policy_against_another() {
    let keys =
        |more: &str| format!("{more}\npolicy = \"dynamic\"\nscore = \"magnitude\"\nsparsity = 0.9");
    for (own, verdict) in [
        ("expect = \"costs-more\"\ntimes = 1.5\nthan_policy = \"static\"", "fails"),
        ("expect = \"costs-more\"\ntimes = 0.1\nthan_policy = \"static\"", "holds"),
        ("expect = \"costs-no-more\"\ntimes = 1\nthan_policy = \"static\"", "holds"),
        ("expect = \"costs-no-more\"\ntimes = 1\nthan = \"impact\"", "not-measured"),
    ] {
        let results = Results::new();
        let store = results.run("run");
        put(&store, "01", pruned(Policy::Static, 0.9), 1.0);
        store
            .write_windows(
                &record("02", text_cell(pruned(Policy::Dynamic, 0.9)), "code-a"),
                &noisy(0.5, 0.001),
            )
            .unwrap();
        write_claim(&results, &keys(own));
        let (_, checks) = judged(&results);
        assert_eq!(checks[0]["verdict"], verdict, "{own}: {:#}", checks[0]);
    }
}

#[test]
fn of_several_cells_that_with_the_most_windows_stands_and_the_page_says_so() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), 0.0);
    put(&store, "01", pruned(Policy::Static, 0.9), 1.0);
    // A later trial on fewer windows, with its own dense cell.
    let short = |treatment: Treatment| Cell { limit: Some(2), ..text_cell(treatment) };
    for (id, treatment, rows) in
        [("02", dense(), plain()), ("03", pruned(Policy::Static, 0.9), windows(0.1))]
    {
        let mut later = record(id, short(treatment), "code-a");
        later.provenance.started_at_ms += 1000;
        store.write_windows(&later, &rows[..8]).unwrap();
    }
    write_claim(&results, AT_LEAST);
    let (_, checks) = judged(&results);
    assert_eq!(checks[0]["measurement"]["cells"], serde_json::json!(["01", "00"]));
    let note = checks[0]["note"].as_str().unwrap();
    assert!(note.contains("of 2 such cells"), "{note}");
}

#[test]
fn another_device_is_not_compared_and_a_model_that_knows_nothing_proves_nothing() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), 0.0);
    let mut elsewhere = record("01", text_cell(pruned(Policy::Static, 0.9)), "code-a");
    elsewhere.provenance.device = "cuda:0".to_owned();
    store.write_windows(&elsewhere, &windows(1.0)).unwrap();
    write_claim(&results, AT_LEAST);
    let note = judged(&results).1[0]["note"].as_str().unwrap().to_owned();
    assert!(note.contains("other device"), "{note}");

    for keys in [UNCHANGED, FALLS] {
        let results = Results::new();
        let store = results.run("run");
        put_items(&store, "00", dense(), |item| item < 3);
        put_items(&store, "01", pruned(Policy::Dynamic, 0.9), |item| item < 3);
        write_claim(&results, keys);
        let (_, checks) = judged(&results);
        assert_eq!(checks[0]["verdict"], "not-measured", "{:#}", checks[0]);
    }
}

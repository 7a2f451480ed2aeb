//! Two runs set beside each other: what is the same, what changed, what must not be compared.

use std::fs;

use plan::{Observation, Part, Policy, Rule};
use serde_json::Value;
use tables::{NeuronRow, Store};

use crate::fixtures::{
    Results, dense, items, lambada_cell, pruned, put, put_failure, put_items, put_order, record,
    row, table_rows, text_cell, windowed, windows,
};
use crate::observations::observing;

/// Ids differ between the two runs, as they do when the code has changed.
fn write(store: &Store, first: char, dynamic: [f64; 4], correct: &[bool]) {
    let id = |number: usize| format!("{first}{number}");
    put(store, &id(0), dense(), &[0.0; 4]);
    put(store, &id(1), pruned(Policy::Dynamic, 0.9), &dynamic);
    put(store, &id(2), windowed(4, Rule::WindowMean), &[100.0; 4]);
    put_items(store, &id(3), dense(), correct);
}

fn compared(results: &Results) -> String {
    let output = results.report(&["--compare", "a", "b"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn has(page: &str, sentence: &str) {
    assert!(page.contains(sentence), "expected {sentence:?} in\n{page}");
}

const DYNAMIC: &str = "smollm2 wikitext2 ppl-101 dynamic κ=.9 magnitude";
const LAST_WORD: &str = "smollm2 lambada lambada-openai dense";

#[test]
fn a_run_is_the_same_as_itself() {
    let results = Results::new();
    for (name, first) in [("a", 'a'), ("b", 'b')] {
        write(&results.run(name), first, [50.0; 4], &[true, false]);
    }
    let page = compared(&results);
    let beginning = "\
# Comparison: a (A) and b (B)

- Of 4 matched cells 4 have the same bits, 0 differ.

## What else differs

- A: a in a, 4 finished cells, made by `unknown`
- B: b in b, 4 finished cells, made by `unknown`
- seconds of the 4 compared cells: A 8.000, B 8.000: B is 1.00 times as fast
- the same in both: code version code-a, revision abc1234, versions slim 0.1.0; burn 0.22.1; rustc \
1.95.0, host node7, processor Some Processor, device cpu
- this page: `cargo xtask report --compare a b`
";
    assert_eq!(page, beginning);
    assert_eq!(page, compared(&results), "the same tables give the same bytes");
    assert!(!results.path().join("a/report.md").exists(), "a comparison writes nothing by itself");
}

#[test]
fn one_changed_window_is_a_change_with_its_interval() {
    let results = Results::new();
    write(&results.run("a"), 'a', [50.0; 4], &[true, false]);
    write(&results.run("b"), 'b', [50.0, 90.0, 50.0, 50.0], &[true, false]);
    let page = compared(&results);
    has(&page, "- Of 4 matched cells 3 have the same bits, 1 differs.\n");
    // 40 nats more on 400 targets. Of 256 resamples 13 draw the window three times or more (5.1 %)
    // and 1 draws it four times, so the limits are e^0 and e^0.3.
    let change = "33.115 → 36.598, × 1.105 [1.000, 1.350]";
    has(&page, &format!("- The largest change of a perplexity: {DYNAMIC}: {change}.\n"));
    // One difference may have either sign: nothing speaks against chance.
    let expected = [
        DYNAMIC,
        "33.115",
        "36.598",
        "1.1052",
        "[1.0000, 1.3499]",
        "1/4",
        "1.000",
        "1.000",
        "1.000",
        "`a1`",
        "`b1`",
    ];
    assert_eq!(row(&page, &[DYNAMIC]), expected);
    has(
        &page,
        "- Of 1 tested change 0 are significant by Holm at level 0.05 over the 1 that differ",
    );
}

#[test]
fn all_windows_and_answers_changed_are_tested_as_one_family() {
    let results = Results::new();
    let right = |set: &[usize]| -> Vec<bool> { (0..10).map(|item| set.contains(&item)).collect() };
    write(&results.run("a"), 'a', [0.0; 4], &right(&[0, 1, 2, 3, 4, 5, 6]));
    write(&results.run("b"), 'b', [10.0, 20.0, 30.0, 40.0], &right(&[0, 1, 2, 7]));
    let page = compared(&results);
    // Sign flips: only all plus and all minus are as far from 0, 2 of 16. McNemar: 2·6/32. Holm over
    // the two of four cells that differ: 2 · 0.125 and 1 · 0.375.
    assert_eq!(row(&page, &[DYNAMIC])[5..9], ["4/4", "0.125", "0.250", "0.250"]);
    let expected = [
        LAST_WORD,
        "7/10",
        "4/10",
        "-30.0",
        "[-60.1, +11.8]",
        "4",
        "1",
        "0.375",
        "0.375",
        "0.375",
        "`a3`",
        "`b3`",
    ];
    assert_eq!(row(&page, &[LAST_WORD]), expected);
    has(&page, "7 → 4 of 10, -30.0 points [-60.1, +11.8].");
    let significant = "0 are significant by Holm at level 0.05 over the 2 that differ, 0 by Benj";
    has(&page, &format!("- Of 2 tested changes {significant}"));
    has(&page, "the smallest p is 0.125, adjusted 0.250 (Holm).\n");
    let sections: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
    let expected = ["## What else differs", "## Changed perplexities", "## Changed accuracies"];
    assert_eq!(sections, expected);
}

#[test]
fn changes_stand_by_size_and_roundings_are_no_changes() {
    let results = Results::new();
    let (a, b) = (results.run("a"), results.run("b"));
    for (store, first, more) in [(&a, 'a', [0.0; 4]), (&b, 'b', [1.0, 30.0, -60.0, 0.009])] {
        let policies = [0.5, 0.75, 0.9, 0.95];
        for (number, (sparsity, more)) in policies.into_iter().zip(more).enumerate() {
            let treatment = pruned(Policy::Dynamic, sparsity);
            put(store, &format!("{first}{number}"), treatment, &[more; 4]);
        }
    }
    let page = compared(&results);
    has(&page, "- Of 4 matched cells 0 have the same bits, 1 differ within rounding, 3 differ.\n");
    // 0.009 nats on 100 targets.
    has(&page, "no loss further apart than 0.0001 nats a target");
    has(&page, "the largest such difference is 9.0e-5.");
    let labels = table_rows(&page);
    let labels: Vec<&str> = labels.iter().map(|row| row[0]).skip(1).collect();
    let expected = ["κ=.9", "κ=.75", "κ=.5"];
    assert_eq!(labels.len(), expected.len() + 1, "{page}");
    for (label, sparsity) in labels[1..].iter().zip(expected) {
        assert!(label.contains(&format!(" {sparsity} ")), "{page}");
    }
}

#[test]
fn other_windows_items_and_inputs_are_refused_with_a_reason() {
    let results = Results::new();
    let (a, b) = (results.run("a"), results.run("b"));
    put(&a, "a0", dense(), &[0.0; 4]);
    put(&b, "b0", dense(), &[0.0; 3]);
    put_items(&a, "a1", dense(), &[true; 4]);
    let mut other = items(&[true; 4]);
    other[3].item_index = 9;
    b.write_items(&record("b1", lambada_cell(dense()), "code-a"), &other).unwrap();
    put(&a, "a2", pruned(Policy::Dynamic, 0.5), &[0.0; 4]);
    let mut heavier = record("b2", text_cell(pruned(Policy::Dynamic, 0.5)), "code-a");
    heavier.provenance.weights_sha256 = "44".repeat(32);
    b.write_windows(&heavier, &windows(&[0.0; 4])).unwrap();
    put(&a, "a3", pruned(Policy::Static, 0.5), &[0.0; 4]);
    let mut calibrated = record("b3", text_cell(pruned(Policy::Static, 0.5)), "code-a");
    calibrated.provenance.calibration_sha256 = Some("55".repeat(32));
    b.write_windows(&calibrated, &windows(&[0.0; 4])).unwrap();

    let page = compared(&results);
    has(&page, "- Of 4 matched cells 0 have the same bits, 0 differ, 4 cannot be compared.\n");
    for (label, reason) in [
        ("smollm2 wikitext2 ppl-101 dense", "3 windows, A has 4"),
        (LAST_WORD, "item 9 where A has item 3"),
        (
            "smollm2 wikitext2 ppl-101 dynamic κ=.5 magnitude",
            "other weights (444444444444, A 111111111111)",
        ),
        (
            "smollm2 wikitext2 ppl-101 static κ=.5 magnitude",
            "other calibration text (555555555555, A none)",
        ),
    ] {
        assert_eq!(row(&page, &[label])[1], reason);
    }
}

#[test]
fn what_only_one_run_has_comes_with_what_the_other_says() {
    let results = Results::new();
    let (a, b) = (results.run("a"), results.run("b"));
    write(&a, 'a', [50.0; 4], &[true]);
    put(&a, "a4", pruned(Policy::Static, 0.5), &[0.0; 4]);
    put(&b, "b0", dense(), &[0.0; 4]);
    let damaged = put(&b, "b1", pruned(Policy::Dynamic, 0.9), &[50.0; 4]);
    fs::write(&damaged, "no table").unwrap();
    put_failure(&b, "b4", pruned(Policy::Static, 0.5), "out of memory");
    put(&b, "b5", pruned(Policy::Dynamic, 0.5), &[0.0; 4]);
    let order = [
        ("b0", text_cell(dense())),
        ("b1", text_cell(pruned(Policy::Dynamic, 0.9))),
        ("b3", lambada_cell(dense())),
        ("b4", text_cell(pruned(Policy::Static, 0.5))),
        ("b5", text_cell(pruned(Policy::Dynamic, 0.5))),
    ];
    put_order(&b, &order);

    let page = compared(&results);
    has(&page, "# Comparison: a (A) and smollm2 (B)\n");
    has(&page, "- Of 1 matched cell 1 has the same bits, 0 differ.\n");
    has(&page, "- Only in A: 4 cells; the first is ");
    has(&page, "- Only in B: 1 cell; the first is ");
    for (label, id, other) in [
        ("smollm2 wikitext2 ppl-101 static κ=.5 magnitude", "`a4`", "failed: out of memory"),
        (LAST_WORD, "`a3`", "ordered, not run yet"),
        ("smollm2 wikitext2 ppl-101 window κ=.9 W=4 window-mean magnitude", "`a2`", "not ordered"),
        ("smollm2 wikitext2 ppl-101 dynamic κ=.5 magnitude", "`b5`", "no order.json"),
    ] {
        assert_eq!(row(&page, &[label])[1..], [id, other]);
    }
    assert!(row(&page, &[DYNAMIC])[2].starts_with("its file is unreadable: "), "{page}");
    has(&page, "## Unreadable in B\n");
}

#[test]
fn other_code_is_compared_and_named_and_old_cells_are_left_out() {
    let results = Results::new();
    let (a, b) = (results.run("a"), results.run("b"));
    put(&a, "a0", dense(), &[0.0; 4]);
    let mut newer = record("b1", text_cell(dense()), "code-b");
    newer.provenance.started_at_ms += 1;
    newer.provenance.seconds = 1.0;
    newer.provenance.host = "node8".to_owned();
    b.write_windows(&newer, &windows(&[0.0; 4])).unwrap();
    put(&b, "b0", dense(), &[100.0; 4]);
    let page = compared(&results);
    has(&page, "- Of 1 matched cell 1 has the same bits, 0 differ.\n");
    has(&page, "- code version: A code-a; B code-a (1 cell), code-b (1 cell)\n");
    has(&page, "- host: A node7; B node7 (1 cell), node8 (1 cell)\n");
    has(&page, "- seconds of the 1 compared cell: A 2.000, B 1.000: B is 2.00 times as fast\n");
    has(&page, "- of B left out: 1 cell that a newer one measured again\n");
}

#[test]
fn scores_are_compared_row_by_row() {
    let results = Results::new();
    let write = |name: &str, second: f64| {
        let cell = text_cell(observing(Part::Ffn, Observation::Forward));
        let neuron = |neuron, magnitude| NeuronRow {
            neuron,
            tokens: 100,
            magnitude: Some(magnitude),
            ..NeuronRow::default()
        };
        let rows = [neuron(0, 4.0), neuron(1, second)];
        results.run(name).write_neurons(&record(name, cell, "code-a"), &rows).unwrap();
    };
    write("a", 1.0);
    write("b", 2.0);
    let page = compared(&results);
    has(&page, "1 of 2 rows changed, by up to 25.0 % of the largest of its kind.\n");
    assert_eq!(row(&page, &["smollm2 wikitext2 ppl-101 observe forward"])[1..3], ["1/2", "0.250"]);
}

#[test]
fn json_has_every_matched_cell_in_full_precision() {
    let results = Results::new();
    write(&results.run("a"), 'a', [50.0; 4], &[true, false]);
    write(&results.run("b"), 'b', [90.0; 4], &[true, false]);
    let output = results.report(&["--compare", "a", "b", "--json"]);
    assert!(output.status.success());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let matched = json["matched"].as_array().unwrap();
    assert_eq!(matched.len(), 4);
    let first = &matched[0];
    assert_eq!(first["cell_ids"]["b"], "b1");
    assert_eq!(first["outcome"]["outcome"], "compared");
    assert_eq!(first["outcome"]["verdict"], "differs");
    assert_eq!(first["outcome"]["measured"], "perplexity");
    assert_eq!(first["outcome"]["ratio"].as_f64().unwrap(), 0.4_f64.exp());
    assert_eq!(first["outcome"]["test"]["p"], 0.125);
    assert_eq!(matched[3]["outcome"]["verdict"], "same_bits");
    assert_eq!(json["speed"]["n_cells"], 4);
}

#[test]
fn a_comparison_is_of_two_runs() {
    let results = Results::new();
    write(&results.run("a"), 'a', [50.0; 4], &[true]);
    write(&results.run("b"), 'b', [50.0; 4], &[true]);
    let refused = |arguments: &[&str], code: i32, message: &str| {
        let output = results.report(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(message), "{errors}");
    };
    refused(&["--compare", "a"], 2, "2 values");
    refused(&["--compare", "a", "b", "--results", "a"], 2, "--results");
    refused(&["--compare", "a", "nowhere"], 4, "cannot read the results folder nowhere");
    refused(&["--compare", "a", "."], 4, ". holds 2 runs: name the folder of one");
    let output = results.report(&["--compare", "a", "b", "--out", "compare.md"]);
    assert!(output.status.success());
    let written = fs::read_to_string(results.path().join("compare.md")).unwrap();
    assert_eq!(written, String::from_utf8(output.stdout).unwrap());
}

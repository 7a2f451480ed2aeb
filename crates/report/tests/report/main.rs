//! The program against runs made through the real store, with numbers worked out by hand.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod atlas;
mod attention;
mod claims;
mod compare;
mod damage;
mod export;
mod figures;
mod fixtures;
mod html;
mod joins;
mod observations;
mod pictures;
mod published;
mod quadrants;
mod recipes;
mod screen;
mod speed;
mod tasks;
mod whole;

use std::fs;

use fixtures::{
    Results, dense, lambada_cell, pruned, put, put_failure, put_items, put_order, record, row,
    table_rows, text_cell, windowed, windows,
};
use plan::{Policy, Rule};
use serde_json::Value;

/// Adds `nats` to each of the four windows' hundred targets.
fn everywhere(nats: f64) -> [f64; 4] {
    [100.0 * nats; 4]
}

/// The note of a row, which stands before its cell.
fn note<'a>(row: &[&'a str]) -> &'a str {
    row[row.len() - 2]
}

/// Dense, dynamic, static and three windows, in the order given by `reversed`.
fn write_grid(results: &Results, reversed: bool) {
    let store = results.run("run");
    let mut cells = vec![
        ("00", dense(), everywhere(0.0)),
        ("01", pruned(Policy::Dynamic, 0.9), everywhere(0.5)),
        ("02", pruned(Policy::Static, 0.5), [100.0, 200.0, 300.0, 400.0]),
        ("03", windowed(4, Rule::WindowMean), everywhere(1.0)),
        ("04", windowed(16, Rule::WindowMean), everywhere(1.5)),
        ("05", windowed(64, Rule::WindowMean), everywhere(2.0)),
    ];
    if reversed {
        cells.reverse();
    }
    for (id, treatment, more) in cells {
        put(&store, id, treatment, &more);
    }
    let order: Vec<_> = ["00", "01", "02", "03", "04", "05"]
        .into_iter()
        .zip([
            dense(),
            pruned(Policy::Dynamic, 0.9),
            pruned(Policy::Static, 0.5),
            windowed(4, Rule::WindowMean),
            windowed(16, Rule::WindowMean),
            windowed(64, Rule::WindowMean),
        ])
        .map(|(id, treatment)| (id, text_cell(treatment)))
        .collect();
    put_order(&store, &order);
}

#[test]
fn perplexities_and_ratios_are_those_worked_out_by_hand() {
    let results = Results::new();
    write_grid(&results, false);
    let page = results.page();

    // e^3; dense is what it is compared with. 404 tokens in 2 s.
    let common = ["75.0 %", "0.0 %", "90.0 %", "202"];
    assert_eq!(
        row(&page, &["dense"]),
        [&["dense", "0", "–", "–", "–", "20.086", "1", "–", "4"][..], &common, &["`00`"]].concat()
    );
    // Every window loses half a nat a target: e^3.5, e^0.5, and no spread.
    let dynamic =
        ["dynamic", "0.9", "1", "–", "magnitude", "33.115", "1.649", "[1.649, 1.649]", "4"];
    assert_eq!(row(&page, &["dynamic"]), [&dynamic[..], &common, &["`01`"]].concat());
    // 1, 2, 3, 4 nats a target: mean 2.5. Of the 256 resamples of four windows 5 have a mean of at
    // most 1.25 (2.0 %) and 15 one of at most 1.5 (5.9 %): the lower limit is e^1.5, the upper one
    // by symmetry e^3.5.
    let cut = ["static", "0.5", "–", "–", "magnitude", "244.69", "12.18", "[4.482, 33.12]", "4"];
    assert_eq!(row(&page, &["static"]), [&cut[..], &common, &["`02`"]].concat());
}

#[test]
fn the_dial_has_the_windows_as_columns() {
    let results = Results::new();
    write_grid(&results, false);
    let page = results.page();
    assert_eq!(row(&page, &["κ", "rule"]), ["κ", "rule", "score", "W=1", "W=4", "W=16", "W=64"]);
    // e^0.5 (dynamic), e^1, e^1.5, e^2.
    assert_eq!(
        row(&page, &["0.9", "window-mean"]),
        ["0.9", "window-mean", "magnitude", "1.649", "2.718", "4.482", "7.389"]
    );
}

#[test]
fn the_page_opens_with_findings_and_its_origin() {
    let results = Results::new();
    write_grid(&results, false);
    let page = results.page();
    let beginning = "\
# Report: smollm2

![Perplexity by commitment window on wikitext2, ppl-101](dial.svg)

Perplexity by commitment window: wikitext2, ppl-101, κ=0.9, magnitude, 4 windows, 400 targets. Both axes are logarithmic, and all panels have one vertical axis; W=1 of window-mean and first-token is the dynamic policy. Whiskers are 95 % intervals (paired bootstrap over windows, 10000 resamples). Made by `cargo xtask run-grid pipelines/smollm2.toml`, drawn by `cargo xtask report --results run`.
Its numbers stand in: [smollm2 · wikitext2 · ppl-101](#smollm2--wikitext2--ppl-101).

<details><summary>The numbers of this picture</summary>

| model   | rule        |   W | perplexity | × dense |  lower |  upper | windows | targets | cell |
| ------- | ----------- | --: | ---------: | ------: | -----: | -----: | ------: | ------: | ---- |
| smollm2 | window-mean |   1 |     33.115 |  1.6487 | 1.6487 | 1.6487 |       4 |     400 | `01` |
| smollm2 | window-mean |   4 |     54.598 |  2.7183 | 2.7183 | 2.7183 |       4 |     400 | `03` |
| smollm2 | window-mean |  16 |     90.017 |  4.4817 | 4.4817 | 4.4817 |       4 |     400 | `04` |
| smollm2 | window-mean |  64 |     148.41 |  7.3891 | 7.3891 | 7.3891 |       4 |     400 | `05` |

</details>

- Of 6 cells ordered: 6 done, 0 failed, 0 missing.
- smollm2 on wikitext2 (ppl-101, 4 windows): dense perplexity 20.086; the dearest static cut (κ=0.5, magnitude) costs 12.18 × dense [4.482, 33.12]; the cheapest dynamic choice (κ=0.9, magnitude) costs 1.649 × dense [1.649, 1.649]. With nothing dropped, 0.0 % of the entries of its feed-forward layers are exactly zero. Keeping each set for W tokens (κ=0.9, magnitude, window-mean) costs 1.649 × dense [1.649, 1.649] at W=1 and 7.389 × dense [7.389, 7.389] at W=64.

## More pictures

Pictures without data:

- `correlations`: no text was observed with magnitude beside weight or impact.
- `static-and-dynamic`: no model has a static and a dynamic cell of one sparsity with score magnitude, both compared with dense on a text of protocol ppl-T.
- `last-word`: no model has a dense cell and a dynamic one with score magnitude on the same items of a last-word task.
- `quadrants`: no model has two quadrants of part × method with several scores, compared with dense on a text of protocol ppl-T.
- `atlas`: no two scores of a text were observed together.
- `recall`: no model has a dense and a pruned cell of a last-word task whose items say how far back their answers lie.
- `overlap`: no overlaps of kept sets were observed.
- `sparsity-and-loss`: there is no sweep in data/sweeps; name a folder of sweeps with --sweeps DIR.

## Where the numbers come from

- run: smollm2 in run
- made by: `cargo xtask run-grid pipelines/smollm2.toml`
- this page: `cargo xtask report --results run`
- revision: abc1234
- code version: code-a
- versions: slim 0.1.0; burn 0.22.1; rustc 1.95.0
- host: node7
- processor: Some Processor
- when: 2026-11-22 03:18:04 UTC to 2026-11-22 03:18:06 UTC (12.00 s in cells)

## Every cell, model by model

### smollm2 · wikitext2 · ppl-101
";
    assert!(page.starts_with(beginning), "{page}");
    assert!(!page.contains("WARNING"));
    for section in ["## Failed", "## Missing", "## Unreadable"] {
        assert!(!page.contains(section), "{page}");
    }
}

#[test]
fn table_lines_have_one_width() {
    let results = Results::new();
    write_grid(&results, false);
    let page = results.page();
    let widths: Vec<usize> = page
        .lines()
        .skip_while(|line| !line.starts_with("| policy"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.chars().count())
        .collect();
    assert_eq!(widths.len(), 8);
    assert!(widths.iter().all(|&width| width == widths[0]), "{widths:?}");
}

#[test]
fn lambada_rows_are_paired_with_dense() {
    let results = Results::new();
    let store = results.run("run");
    // Dense: items 0–6. Dynamic: 0–2 and 7, so 4 items only dense gets, 1 only dynamic, 3 both.
    let right = |set: &[usize]| -> Vec<bool> { (0..10).map(|item| set.contains(&item)).collect() };
    put_items(&store, "10", dense(), &right(&[0, 1, 2, 3, 4, 5, 6]));
    put_items(&store, "11", pruned(Policy::Dynamic, 0.9), &right(&[0, 1, 2, 7]));
    let page = results.page();

    let common = ["75.0 %", "0.0 %", "90.0 %", "202"];
    let none = ["–", "–", "–", "–", "–", "–"];
    let first = ["dense", "0", "–", "–", "–", "7/10", "70.0 %", "[39.7 %, 89.2 %]"];
    let expected = [&first[..], &none, &["7.3891"], &common, &["", "`10`"]].concat();
    assert_eq!(row(&page, &["dense"]), expected);
    // McNemar: 2·P(X ≤ 1 of 5) = 2·6/32. The intervals and the unpaired p-values are scipy's and
    // statsmodels' for 4/10 and 7/10.
    let first = ["dynamic", "0.9", "1", "–", "magnitude", "4/10", "40.0 %", "[16.8 %, 68.7 %]"];
    let difference = ["-30.0", "[-60.1, +11.8]", "0.375", "0.375", "0.178", "0.370"];
    let note = "not significant; too few discordant items to detect any difference";
    let expected = [&first[..], &difference, &["7.3891"], &common, &[note, "`11`"]].concat();
    assert_eq!(row(&page, &["dynamic"]), expected);
    let finding = "dense 7/10 = 70.0 % [39.7 %, 89.2 %]; dynamic at κ=0.9, magnitude 4/10 = \
                   40.0 % [16.8 %, 68.7 %], -30.0 points [-60.1, +11.8], McNemar p = 0.375.";
    assert!(page.contains(finding), "{page}");
}

#[test]
fn without_dense_there_is_no_ratio() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "01", pruned(Policy::Dynamic, 0.9), &everywhere(0.5));
    put_items(&store, "11", pruned(Policy::Dynamic, 0.9), &[true, false]);
    let page = results.page();
    let rows: Vec<_> = table_rows(&page).into_iter().filter(|row| row[0] == "dynamic").collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][5..8], ["33.115", "no dense", "–"]);
    assert_eq!(rows[1][5..9], ["1/2", "50.0 %", "[9.5 %, 90.5 %]", "no dense"]);
}

#[test]
fn other_windows_than_dense_are_refused_with_a_reason() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &everywhere(0.0));
    put(&store, "01", pruned(Policy::Dynamic, 0.5), &[50.0; 3]);
    let mut elsewhere = windows(&everywhere(0.5));
    elsewhere[3].window_index = 9;
    let moved = record("02", text_cell(pruned(Policy::Dynamic, 0.75)), "code-a");
    store.write_windows(&moved, &elsewhere).unwrap();
    let mut shorter = windows(&everywhere(0.5));
    shorter[2].n_targets = 50;
    let cut = record("03", text_cell(pruned(Policy::Dynamic, 0.9)), "code-a");
    store.write_windows(&cut, &shorter).unwrap();

    let page = results.page();
    for (sparsity, reason) in [
        ("0.5", "not compared: 3 windows, dense has 4"),
        ("0.75", "not compared: window 9 where dense has window 3"),
        ("0.9", "not compared: window 2 has 50 targets, dense 100"),
    ] {
        let row = row(&page, &["dynamic", sparsity]);
        assert_eq!(row[6..8], ["refused", "–"], "{page}");
        assert_eq!(note(&row), reason);
    }
}

#[test]
fn rows_that_look_the_same_say_how_they_differ() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &everywhere(0.0));
    put(&store, "01", pruned(Policy::Static, 0.9), &everywhere(0.5));
    let mut other = text_cell(pruned(Policy::Static, 0.9));
    if let Some(calibration) = &mut other.calibration {
        calibration.limit = Some(8);
    }
    store.write_windows(&record("02", other, "code-a"), &windows(&everywhere(1.0))).unwrap();
    let page = results.page();
    let rows: Vec<_> = table_rows(&page).into_iter().filter(|row| row[0] == "static").collect();
    let notes = ["4", "8"].map(|n| format!("calibrated on {n} × 101 tokens of wikitext2-valid"));
    assert_eq!(rows.iter().map(|row| note(row)).collect::<Vec<_>>(), notes);
}

#[test]
fn one_window_has_a_ratio_but_no_interval() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &[0.0]);
    put(&store, "01", pruned(Policy::Dynamic, 0.9), &[50.0]);
    let page = results.page();
    let row = row(&page, &["dynamic"]);
    assert_eq!(row[6..9], ["1.649", "–", "1"]);
    assert_eq!(note(&row), "1 window: no interval");
}

#[test]
fn mixed_code_versions_are_loud_and_never_compared() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &everywhere(0.0));
    let newer = record("01", text_cell(pruned(Policy::Dynamic, 0.9)), "code-b");
    store.write_windows(&newer, &windows(&everywhere(0.5))).unwrap();
    let page = results.page();
    let warning = "**WARNING: CODE VERSIONS DIFFER among cells: code-a (1 cell), code-b (1 cell).";
    assert!(page.contains(warning), "{page}");
    let row = row(&page, &["dynamic"]);
    assert_eq!(row[6], "refused");
    let refused = "code code-b; not compared: other code version (code-b, dense code-a)";
    assert_eq!(note(&row), refused);
}

#[test]
fn failed_and_missing_cells_are_listed() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &everywhere(0.0));
    put_failure(&store, "01", pruned(Policy::Dynamic, 0.9), "out of | memory\nat layer 3");
    let order = [
        ("00", text_cell(dense())),
        ("01", text_cell(pruned(Policy::Dynamic, 0.9))),
        ("02", lambada_cell(pruned(Policy::Dynamic, 0.5))),
    ];
    put_order(&store, &order);
    let page = results.page();
    assert!(page.contains("- Of 3 cells ordered: 1 done, 1 failed, 1 missing.\n"), "{page}");
    put_order(&store, &order[2..]);
    let counts =
        "- Of 1 cell ordered: 0 done, 0 failed, 1 missing; of earlier orders 1 done, 1 failed.";
    assert!(results.page().contains(counts), "{}", results.page());
    put_order(&store, &order);
    let failed = "smollm2 wikitext2 ppl-101 dynamic κ=.9 magnitude";
    let fields =
        [failed, "`01`", "out of \\| memory at layer 3", "node7", "2026-11-22 03:18:04 UTC"];
    assert_eq!(row(&page, &[failed]), fields);
    let missing = "smollm2 lambada lambada-openai dynamic κ=.5 magnitude";
    assert_eq!(row(&page, &[missing]), [missing, "`02`", "not run yet"]);
}

#[test]
fn json_has_every_row_in_full_precision() {
    let results = Results::new();
    write_grid(&results, false);
    let output = results.report(&["--results", "run", "--json"]);
    assert!(output.status.success());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = &json["runs"][0];
    assert_eq!(run["run"], "smollm2");
    assert_eq!(run["counts"]["n_done"], 6);
    let rows = run["perplexity_tables"][0]["rows"].as_array().unwrap();
    let policies: Vec<&str> =
        rows.iter().map(|row| row["treatment"]["policy"].as_str().unwrap()).collect();
    assert_eq!(policies, ["dense", "static", "dynamic", "window", "window", "window"]);
    assert_eq!(rows[0]["measured"]["against_dense"]["status"], "baseline");
    let dynamic = &rows[2]["measured"];
    assert_eq!(dynamic["perplexity"].as_f64().unwrap(), 3.5_f64.exp());
    assert_eq!(dynamic["against_dense"]["status"], "compared");
    assert_eq!(dynamic["against_dense"]["ratio"].as_f64().unwrap(), 0.5_f64.exp());
    assert_eq!(dynamic["against_dense"]["dense_cell_id"], "00");
    assert_eq!(run["dials"][0]["rows"][0]["values"][3]["ratio"].as_f64().unwrap(), 2_f64.exp());
}

#[test]
fn the_same_tables_give_the_same_bytes() {
    let (first, second) = (Results::new(), Results::new());
    write_grid(&first, false);
    write_grid(&second, true);
    // The order holds the folder's own path, which differs; nothing of it is shown.
    let page = first.page();
    assert_eq!(page, second.page());
    assert_eq!(page, first.page());
    assert_eq!(page, fs::read_to_string(first.path().join("run/report.md")).unwrap());
    let json = |results: &Results| results.report(&["--results", "run", "--json"]).stdout;
    assert_eq!(json(&first), json(&second));
}

#[test]
fn a_folder_of_runs_gives_each_its_page() {
    let results = Results::new();
    for name in ["b", "a"] {
        put(&results.run(name), "00", dense(), &everywhere(0.0));
    }
    fs::create_dir(results.path().join("notes")).unwrap();
    let output = results.report(&["--results", ".", "--full"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let titles: Vec<&str> = text.lines().filter(|line| line.starts_with("# ")).collect();
    assert_eq!(titles, ["# Report: 2 runs in .", "# Report: a", "# Report: b"]);
    let overview = fs::read_to_string(results.path().join("report.md")).unwrap();
    assert!(text.starts_with(&overview), "{overview}");
    assert!(results.path().join("report.html").is_file());
    assert!(results.path().join("a/report.md").is_file());
    assert!(results.path().join("b/report.md").is_file());

    let output = results.report(&["--results", ".", "--full", "--out", "all.md"]);
    assert!(output.status.success());
    assert_eq!(fs::read_to_string(results.path().join("all.md")).unwrap(), text);
}

#[test]
fn exit_codes_and_messages_say_what_is_wrong() {
    let results = Results::new();
    let refused = |arguments: &[&str], code: i32, message: &str| {
        let output = results.report(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(message), "{errors}");
    };
    refused(&["--frobnicate"], 2, "--frobnicate");
    refused(&["--results", "nowhere"], 4, "cannot read the results folder nowhere");
    refused(&["--results", "."], 4, ". holds no run: expected a folder with windows/");
    fs::write(results.path().join("file"), "").unwrap();
    refused(&["--results", "file"], 4, "cannot read the results folder file");
    put(&results.run("run"), "00", dense(), &everywhere(0.0));
    refused(&["--results", "run", "--out", "no/such/page.md"], 4, "cannot write no/such/page.md");
}

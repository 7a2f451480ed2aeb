//! The screen at the end of a run: at most 40 lines of at most 100 columns, with what was run, what matters
//! most, what failed and what to do, where the report lies and how long it took.

use std::fs;

use plan::{Cell, Policy};

use crate::fixtures::{
    Results, dense, lambada_cell, order, pruned, put, put_failure, put_items, put_of, put_order,
    text_cell, write_order,
};
use crate::observations::put_atlas;
use crate::pictures::write_grid;

const LINES: usize = 40;
const COLUMNS: usize = 100;

/// What holds of every screen; the value is its lines.
#[track_caller]
fn check(screen: &str) -> Vec<&str> {
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines.len() <= LINES, "{} lines:\n{screen}", lines.len());
    for line in &lines {
        let is_address = line.starts_with("Report: file:///");
        let columns = line.chars().count();
        assert!(columns <= COLUMNS || is_address, "{columns} columns: {line}");
        assert!(!line.contains('|') && !line.contains("](") && !line.contains("**"), "{line}");
        assert!(!line.starts_with('#') && !line.contains('\x1b'), "{line:?}");
    }
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("Report: file:///")).count(),
        1,
        "{screen}"
    );
    lines
}

/// The text of the numbered findings, each on one line.
fn findings(screen: &str) -> Vec<String> {
    let mut findings: Vec<String> = Vec::new();
    for line in screen.lines() {
        let number =
            line.trim_start().split_once("  ").filter(|(first, _)| first.parse::<u8>().is_ok());
        match (number, findings.last_mut()) {
            (Some((_, text)), _) if line.starts_with("  ") => findings.push(text.to_owned()),
            (None, Some(last)) if line.starts_with("     ") => {
                *last += &format!(" {}", line.trim())
            }
            _ => {}
        }
    }
    findings
}

#[test]
fn a_run_with_failures_says_what_matters_and_what_to_do() {
    let results = Results::new();
    write_grid(&results, false);
    let store = results.run("run");
    put_failure(&store, "f0", pruned(Policy::Dynamic, 0.25), "out of memory at layer 3");
    put_failure(&store, "f1", pruned(Policy::Dynamic, 0.3), "out of memory at layer 3");
    put_failure(
        &store,
        "f2",
        pruned(Policy::Dynamic, 0.4),
        "the weights hold a \x1b[31mNaN | at layer 1",
    );
    put_failure(&store, "f3", pruned(Policy::Dynamic, 0.6), "no room");
    let mut cells: Vec<(&str, Cell)> = vec![("zz", lambada_cell(dense()))];
    for (id, sparsity) in [("f0", 0.25), ("f1", 0.3), ("f2", 0.4), ("f3", 0.6)] {
        cells.push((id, text_cell(pruned(Policy::Dynamic, sparsity))));
    }
    put_order(&store, &cells);
    let screen = results.printed(&["--results", "run", "--took", "250"]);
    let lines = check(&screen);
    assert_eq!(lines[0], "Run smollm2");
    assert!(
        lines[1].starts_with("  Of 5 cells ordered: 0 done, 4 failed, 1 missing; of earlier"),
        "{screen}"
    );
    assert_eq!(lines[2], "  4 models: hybrid, opt, opt-l1, swiglu; 1 text: wikitext2 (ppl-101).");
    assert_eq!(lines[3], "  Made by: cargo xtask run-grid pipelines/smollm2.toml");
    // 36 cells of 2 s.
    assert_eq!(
        lines[4],
        "  Took 1 min 12 s in cells, 4 min 10 s from start to end; ended 2026-11-22 03:18:06 UTC."
    );
    let (_, failed) = screen.split_once("What failed or is left, and what to do\n").unwrap();
    let failed: Vec<&str> = failed.lines().collect();
    assert_eq!(
        failed[0],
        "  2 cells (first smollm2 wikitext2 ppl-101 dynamic κ=.25 magnitude): out of memory at layer 3 [f0]"
    );
    assert_eq!(failed[1], "  2 other errors of 2 cells: under Failed in the report.");
    assert_eq!(
        [failed[2], failed[3]],
        [
            "  4 failed, 1 not run: `cargo xtask run-grid pipelines/smollm2.toml` tries only these again;",
            "    `cargo xtask explain f0` says what a cell is made of."
        ]
    );
    let html = fs::canonicalize(results.path().join("run/report.html")).unwrap();
    assert!(screen.contains(&format!("\nReport: file://{}\n", html.display())), "{screen}");
    assert_eq!(
        lines.last(),
        Some(&"  Beside it: report.md, 2 pictures. The whole as text: --full.")
    );
}

#[test]
fn five_findings_are_chosen_by_what_is_sure_and_not_by_their_order() {
    let results = Results::new();
    write_grid(&results, false);
    let screen = results.printed(&["--results", "run"]);
    check(&screen);
    assert!(
        screen.contains("\nWhat matters most, of 8 (× dense: perplexity; 95 % intervals)\n"),
        "{screen}"
    );
    let found = findings(&screen);
    assert_eq!(found.len(), 5, "{screen}");
    // The last model loses most: e^1.21 per token and e^(1 + 3·1.21) for good. The dearest contrast comes
    // first, then the longest dial, then the second of either question.
    let beginnings = [
        "swiglu on wikitext2 (ppl-101): 90.0 % of the neurons dropped for good cost 102.5 × dense [",
        "swiglu on wikitext2 (ppl-101): a set of neurons kept for W tokens (κ=0.9, magnitude) costs 3.353 × dense [",
        "opt-l1 on wikitext2 (ppl-101): 90.0 % of the neurons dropped for good cost ",
    ];
    for (found, beginning) in found.iter().zip(beginnings) {
        assert!(found.starts_with(beginning), "{found}\n{beginning}");
    }
    assert!(found[0].contains("dropped token by token 3.353 ["), "{}", found[0]);
    assert!(found[1].ends_with("] at W=256."), "{}", found[1]);
    let reversed = Results::new();
    write_grid(&reversed, true);
    assert_eq!(found, findings(&reversed.printed(&["--results", "run"])));
}

#[test]
fn last_words_stand_beside_perplexity_with_their_intervals() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &[0.0; 4]);
    put(&store, "01", pruned(Policy::Dynamic, 0.9), &[50.0, 52.0, 48.0, 50.0]);
    let right = |n: usize| -> Vec<bool> { (0..40).map(|item| item < n).collect() };
    put_items(&store, "10", dense(), &right(30));
    put_items(&store, "11", pruned(Policy::Dynamic, 0.9), &right(10));
    put_items(&store, "12", pruned(Policy::Static, 0.9), &right(0));
    let screen = results.printed(&["--results", "run"]);
    check(&screen);
    let found = findings(&screen);
    assert_eq!(found.len(), 1, "{screen}");
    let text = &found[0];
    assert!(
        text.starts_with("smollm2 on lambada (lambada-openai): 30/40 last words right = 75.0 %"),
        "{text}"
    );
    assert!(text.contains("token by token -50.0 points ["), "{text}");
    assert!(text.contains("for good -75.0 points ["), "{text}");
}

#[test]
fn an_empty_run_says_that_nothing_was_measured() {
    let results = Results::new();
    let store = results.run("run");
    put_order(
        &store,
        &[("00", text_cell(dense())), ("01", text_cell(pruned(Policy::Static, 0.5)))],
    );
    fs::create_dir_all(store.folder().join("windows")).unwrap();
    let screen = results.printed(&["--results", "run"]);
    let lines = check(&screen);
    assert_eq!(
        lines,
        [
            "Run smollm2",
            "  Of 2 cells ordered: 0 done, 0 failed, 2 missing.",
            "  Nothing was measured yet.",
            "  Made by: cargo xtask run-grid pipelines/smollm2.toml",
            "  Took 0.0 s in cells.",
            "",
            "Nothing to compare yet",
            "",
            "What failed or is left, and what to do",
            "  2 not run: `cargo xtask run-grid pipelines/smollm2.toml` tries only these again.",
            "",
            lines[11],
            "  Beside it: report.md. The whole as text: --full.",
        ]
    );
}

#[test]
fn a_dense_run_says_what_the_model_costs() {
    let results = Results::new();
    put(&results.run("run"), "00", dense(), &[0.0; 4]);
    let screen = results.printed(&["--results", "run"]);
    check(&screen);
    let expected = "smollm2 on wikitext2 (ppl-101): dense perplexity 20.086 over 4 windows; nothing dropped \
                    was compared with it.";
    assert_eq!(findings(&screen), [expected]);
    assert!(screen.contains("no readable order.json"), "{screen}");
}

#[test]
fn a_run_that_only_observed_says_what_scores_say() {
    let results = Results::new();
    put_atlas(&results.run("run"), false);
    let screen = results.printed(&["--results", "run"]);
    let lines = check(&screen);
    assert!(lines[2].starts_with("  1 model: smollm2; 2 texts: "), "{screen}");
    let found = findings(&screen);
    assert!(found.len() >= 3, "{screen}");
    assert!(found.iter().any(|own| own.contains("corr(magnitude, weight) ")), "{screen}");
    assert!(found.iter().any(|own| own.contains("apart share ")), "{screen}");
    assert!(found.iter().all(|own| own.contains(" [")), "an interval each: {screen}");
}

#[test]
fn several_runs_share_a_screen_with_the_verdicts() {
    let results = Results::new();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let store = results.run(name);
        put_of(&store, "opt", "00", dense(), &[0.0; 4]);
        put_of(&store, "opt", "01", pruned(Policy::Dynamic, 0.9), &[1.0, 1.1, 0.9, 1.0]);
        put_of(&store, "opt", "02", pruned(Policy::Static, 0.9), &[90.0, 99.0, 101.0, 100.0]);
        put_failure(&store, "f0", pruned(Policy::Dynamic, 0.25), &"much to say of it ".repeat(40));
        let of_opt = |treatment| Cell { model: "opt".to_owned(), ..text_cell(treatment) };
        let cells = [
            ("00", of_opt(dense())),
            ("01", of_opt(pruned(Policy::Dynamic, 0.9))),
            ("02", of_opt(pruned(Policy::Static, 0.9))),
            ("f0", text_cell(pruned(Policy::Dynamic, 0.25))),
        ];
        let mut order = order(&store, &cells);
        order.run = name.to_owned();
        write_order(&store, &order);
    }
    let sentences: String = (0..9)
        .map(|number| {
            format!(
                "[[claim]]\nid = \"s{number}\"\nsentence = \"Sentence {number}, {}\"\ngroups = [\"all\"]\n\
                 expect = \"perplexity-at-least\"\ntimes = 1.0\npolicy = \"static\"\nscore = \"magnitude\"\n\
                 sparsity = 0.9\n\n",
                "which goes on and on ".repeat(9)
            )
        })
        .collect();
    let claims = format!(
        "name = \"t\"\nsource = \"the post\"\nalpha = 0.4\n\n[[group]]\nname = \"all\"\nmodels = [\"opt\"]\n\
         texts = \"wikitext2\"\n\n{sentences}"
    );
    fs::write(results.path().join("claims.toml"), claims).unwrap();
    let screen = results.printed(&["--results", ".", "--claims", "claims.toml", "--took", "1.5"]);
    let lines = check(&screen);
    assert_eq!(lines[0], "8 runs in .");
    assert!(
        lines[1].starts_with("  a: Of 4 cells ordered: 3 done, 1 failed, 0 missing."),
        "{screen}"
    );
    assert_eq!(lines[7], "  and 2 more runs");
    assert!(lines[8].contains(", 1.5 s from start to end; ended"), "{screen}");
    assert_eq!(findings(&screen).len(), 5, "{screen}");
    assert!(findings(&screen)[0].starts_with("a: opt on wikitext2"), "{screen}");
    assert!(screen.contains("\nClaims: 9 sentences of the post, judged on opt: "), "{screen}");
    assert!(screen.contains(" Sentence 0, which goes on"), "{screen}");
    assert!(screen.contains("\n  and 4 more sentences, in the report\n"), "{screen}");
    assert!(screen.contains("\n  and 6 more runs: each has a report of its own.\n"), "{screen}");
    let html = fs::canonicalize(results.path().join("report.html")).unwrap();
    assert!(screen.contains(&format!("Report: file://{}\n", html.display())), "{screen}");
}

#[test]
fn a_time_that_is_none_is_refused() {
    let results = Results::new();
    put(&results.run("run"), "00", dense(), &[0.0; 4]);
    for took in ["-1", "NaN", "inf", "soon"] {
        let output = results.report(&["--results", "run", &format!("--took={took}")]);
        assert_eq!(output.status.code(), Some(2), "{took}");
    }
}

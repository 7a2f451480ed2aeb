//! `cargo xtask advise`: what it refuses, and one search from end to end on a small model: killed and resumed,
//! its command run as printed, and the written model measured once more.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, program, stderr, stdout};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A space of few recipes over the texts of the repository.
fn space(go_on: &str) -> String {
    let stories = root().join("data/stories");
    let stories = stories.display();
    let calibration = format!(
        "calibration = {{ dataset = \"calibration\", path = \"{stories}/narrative.calibration.jsonl\", limit = 8, window_tokens = 256 }}"
    );
    format!(
        r#"
seed = 1
[[dataset]]
name = "narrative"
path = "{stories}/narrative.test.jsonl"
protocol = "ppl-256"
{calibration}
[[dataset]]
name = "last-word"
path = "{stories}/last-word.test.jsonl"
protocol = "lambada-openai"
{calibration}
[[stage]]
windows = 4
items = 20
go_on = {go_on}
[[stage]]
windows = 6
items = 30
go_on = 0.6
[test]
windows = 30
items = 120
[[sweep]]
recipe = [{{ cut = "bits", method = ["rtn", "gptq"], bits = [8, 4, 2], group = 32 }}]
[[sweep]]
recipe = [{{ cut = "ffn", score = "wanda", sparsity = [0.1, 0.9] }}, {{ cut = "bits", method = "gptq", bits = 4, group = 32 }}]
[[sweep]]
recipe = [{{ cut = "state", score = "ghost", sparsity = 0.5 }}]
"#
    )
}

const KEEPS: [&str; 4] =
    ["--keep", "perplexity narrative within 5 %", "--keep", "last-word within 5 points"];

#[test]
fn what_means_nothing_is_usage() {
    let bench = Bench::new();
    bench.own_pipeline();
    let good = bench.write("space.toml", &space("0.5"));
    let bad = bench.write("bad.toml", &space("1.5"));
    let keep = ["--keep", "perplexity within 5 %"];
    for (words, code, expected) in [
        (vec!["model.gguf", "--space", &good], 2, "--keep"),
        (
            vec!["model.gguf", "--space", &good, "--keep", "perplexity narative within 5 %"],
            2,
            "did you mean `perplexity narrative within 5 %`?",
        ),
        (
            vec!["model.gguf", "--space", &good, "--keep", "last-word within 5 %"],
            2,
            "the margin of a share of items is given in points",
        ),
        (
            [&["model.gguf", "--space", &good], &keep[..], &keep[..]].concat(),
            2,
            "are about one text: give one",
        ),
        ([&["model.gguf", "--space", &bad], &keep[..]].concat(), 2, "`go_on`: 1.5 is outside"),
        ([&["model.gguf", "--space", "none.toml"], &keep[..]].concat(), 2, "cannot read the space"),
        ([&["nowhere", "--space", &good], &keep[..]].concat(), 3, "nowhere is missing"),
        (
            [&["model.gguf", "--space", &good, "--smallest", "byte"], &keep[..]].concat(),
            2,
            "did you mean `bytes`?",
        ),
        ([&["model.gguf", "--space", &good, "--name", "a/b"], &keep[..]].concat(), 2, "--name"),
    ] {
        let output = bench.run(&[&["advise"][..], &words].concat());
        let text = stderr(&output);
        assert!(text.contains(expected), "{words:?}: expected {expected:?} in {text}");
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
    }
}

/// A command with the real programs.
fn real(bench: &Bench, args: &[&str]) -> Command {
    let mut command = bench.command(args);
    command.env("SLIM_WORKER", program("worker")).env("SLIM_REPORT", program("report"));
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Every Parquet file below a folder.
fn parquet_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => parquet_files(&path, found),
            path if path.extension().is_some_and(|own| own == "parquet") => found.push(path),
            _ => {}
        }
    }
}

/// Rows of the search and of the test, by cell: no window or item is in both.
fn check_that_the_test_is_held_out(run: &Path, answer: &Value) {
    let order: Value =
        serde_json::from_str(&fs::read_to_string(run.join("order.json")).unwrap()).unwrap();
    let mut files = Vec::new();
    parquet_files(run, &mut files);
    for kept in answer["keeps"].as_array().unwrap() {
        let (mut search, mut test) = (BTreeSet::new(), BTreeSet::new());
        for ordered in order["cells"].as_array().unwrap() {
            let cell = &ordered["cell"];
            if cell["dataset"] != kept["dataset"] || cell["recipe"]["steps"] != Value::Array(vec![])
            {
                continue;
            }
            let name = format!("{}.parquet", ordered["id"].as_str().unwrap());
            let file = files.iter().find(|file| file.ends_with(&name)).unwrap();
            let from = cell["offset"].as_u64().unwrap_or(0);
            let rows: Vec<u32> = match kept["protocol"] == "ppl-256" {
                true => {
                    let rows = ::tables::read_windows(file).unwrap();
                    rows.iter().map(|row| row.window_index).collect()
                }
                false => {
                    let rows = ::tables::read_items(file).unwrap();
                    rows.iter().map(|row| row.item_index).collect()
                }
            };
            assert_eq!(rows.iter().min().copied(), Some(from as u32), "rows have true places");
            let is_test = from == kept["test_from"].as_u64().unwrap();
            for row in rows {
                let own = if is_test { &mut test } else { &mut search };
                assert!(own.insert(row), "{row} is read twice");
            }
        }
        assert!(!search.is_empty() && search.is_disjoint(&test), "{search:?} {test:?}");
        assert_eq!(test.len() as u64, kept["test_units"].as_u64().unwrap());
    }
}

/// Which stage a cell is of, and what goes on with it.
fn check_what_is_said_of_a_cell(bench: &Bench, run: &Path, answer: &Value) {
    let cell = answer["advice"]["cell"].as_str().unwrap();
    let args = ["explain", cell, "--results", run.to_str().unwrap()];
    let output = real(bench, &args).output().unwrap();
    let text = stdout(&output);
    assert!(text.contains("read in the test of a search"), "{text}");
    assert!(text.contains("a search decides stage by stage what is run"), "{text}");
    assert!(!text.contains("no file in pipelines/"), "{text}");
    let told = json(&mut real(bench, &[&args[..], &["--json"]].concat()));
    assert_eq!(told["runs"][0]["stage"], "test");
}

#[test]
fn an_advice_is_found_resumed_and_written() {
    let bench = Bench::new();
    let space = bench.write("space.toml", &space("0.7"));
    let model = root().join("data/models/qwen2-silu");
    let model = model.to_str().unwrap();
    let advise = ["advise", model, "--space", &space, "--results", "runs", "--json"];
    let advise = [&advise[..], &KEEPS].concat();
    let answer = json(&mut real(&bench, &advise));
    let runs = PathBuf::from(bench.path("runs"));
    let run = runs.join("advise-qwen2-silu");
    check_that_the_test_is_held_out(&run, &answer);
    let failed = answer["failed"].as_array().unwrap();
    assert!(failed.iter().any(|own| own["recipe"].as_str().unwrap().contains("cut=state")));
    // Once more: nothing is computed, and the answer is the same.
    let output = real(&bench, &advise).output().unwrap();
    assert!(!stderr(&output).contains("0 done"), "{}", stderr(&output));
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap(), answer);
    // Killed on the way, and again: the same answer.
    fs::rename(&runs, bench.path("whole")).unwrap();
    for least in [3, 12] {
        let mut child =
            real(&bench, &advise).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        let count = || {
            let mut found = Vec::new();
            parquet_files(&runs, &mut found);
            found.len()
        };
        while count() < least && began.elapsed() < Duration::from_secs(300) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // What goes on with it is a search, and no pipeline; said once the killed one's worker has ended.
    let status = || stdout(&real(&bench, &["status", run.to_str().unwrap()]).output().unwrap());
    let began = Instant::now();
    let idle = "nobody is at work; the run was begun by\n  cargo xtask advise";
    while !status().contains(idle) {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", status());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(json(&mut real(&bench, &advise)), answer);
    check_what_is_said_of_a_cell(&bench, &run, &answer);
    // The command runs as it was printed, and what it writes has the numbers of its cells.
    let advice = &answer["advice"];
    let command = advice["command"].as_str().unwrap_or_else(|| panic!("{answer:#}"));
    let words: Vec<&str> = command.strip_prefix("cargo xtask ").unwrap().split(' ').collect();
    let output = real(&bench, &words).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{command}: {}", stderr(&output));
    let written = words.last().unwrap();
    let mut shown = answer["tested"].as_array().unwrap().iter().filter(|own| own["shown"] == true);
    let shown = shown.next_back().unwrap();
    assert_eq!(shown["recipe"], advice["recipe"]);
    for (at, kept) in answer["keeps"].as_array().unwrap().iter().enumerate() {
        let (from, n) = (kept["test_from"].to_string(), kept["test_units"].to_string());
        let (protocol, file) = match at {
            0 => ("ppl-256", "narrative.test.jsonl"),
            _ => ("lambada-openai", "last-word.test.jsonl"),
        };
        let dataset = root().join("data/stories").join(file);
        let cell = json(&mut real(
            &bench,
            &[
                "cell",
                "--model",
                written,
                "--dataset",
                dataset.to_str().unwrap(),
                "--protocol",
                protocol,
                "--offset",
                &from,
                "--limit",
                &n,
                "--json",
            ],
        ));
        let key = if at == 0 { "perplexity" } else { "accuracy" };
        let (own, expected) =
            (cell[key].as_f64().unwrap(), shown["keeps"][at]["own"].as_f64().unwrap());
        // Weights are written in F32 as they are in memory.
        assert!((own - expected).abs() <= 1e-6 * expected, "{key}: {own}, {expected}");
    }
}

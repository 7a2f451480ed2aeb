//! `--export lm-eval`: results and samples as lm-evaluation-harness writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixtures::{Results, dense, put, put_items};
use crate::tasks::write_all;

const EXPORT: [&str; 5] = ["--results", "run", "--export", "lm-eval", "out"];
const WHEN: &str = "2026-11-22T03-18-04.000000";

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => all
                .extend(files(&entry.path()).into_iter().map(|(n, b)| (format!("{name}/{n}"), b))),
            false => {
                all.insert(name, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    all
}

fn exported(results: &Results) -> BTreeMap<String, String> {
    let output = results.report(&EXPORT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files(&results.path().join("out"))
}

fn json(files: &BTreeMap<String, String>, name: &str) -> Value {
    let text = files.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", files.keys()));
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_recipe_has_a_folder_with_results_and_samples() {
    let results = Results::new();
    let store = write_all(&results);
    put_items(&store, "l0", dense(), &[true, true, false, true]);
    let files = exported(&results);
    let wanda = "smollm2__cut=weights,method=wanda,sparsity=0.5";
    let of_folder =
        |folder: &str| files.keys().filter(|n| n.starts_with(&format!("{folder}/"))).count();
    assert_eq!((of_folder("smollm2"), of_folder(wanda), files.len()), (6, 5, 16));
    let own = json(&files, &format!("smollm2/results_{WHEN}.json"));
    let piqa = &own["results"]["piqa"];
    assert_eq!((&piqa["alias"], &piqa["acc,none"]), (&"piqa".into(), &0.75.into()));
    let stderr = piqa["acc_norm_stderr,none"].as_f64().unwrap();
    assert!((stderr - f64::sqrt(0.75 * 0.25 / 39.0)).abs() < 1e-15);
    assert!(own["results"]["boolq"]["acc_norm,none"].is_null(), "it is no metric of the task");
    let anatomy = &own["results"]["mmlu_anatomy"];
    assert_eq!((&anatomy["alias"], &anatomy["acc,none"]), (&"anatomy".into(), &0.4.into()));
    assert_eq!(own["groups"]["mmlu"]["acc,none"], 0.5);
    assert_eq!(own["results"]["mmlu"], own["groups"]["mmlu"]);
    let members: Value = serde_json::json!({ "mmlu": ["mmlu_anatomy", "mmlu_astronomy"] });
    assert_eq!(own["group_subtasks"], members);
    assert_eq!(own["n-samples"]["piqa"], serde_json::json!({ "original": 40, "effective": 40 }));
    assert_eq!((&own["versions"]["piqa"], &own["n-shot"]["mmlu"]), (&1.0.into(), &0.into()));
    assert_eq!(own["results"]["lambada_openai"]["acc,none"], 0.75);
    assert_eq!(own["higher_is_better"]["lambada_openai"]["perplexity"], false);
    let perplexity = own["results"]["lambada_openai"]["perplexity,none"].as_f64().unwrap();
    assert!((perplexity - 2.0_f64.exp()).abs() < 1e-12);
    assert_eq!((&own["model_name"], &own["git_hash"]), (&"smollm2".into(), &"abc1234".into()));
    let cut = json(&files, &format!("{wanda}/results_{WHEN}.json"));
    assert_eq!(cut["model_name"], "smollm2 cut=weights,method=wanda,sparsity=0.5");
    assert_eq!(cut["model_name_sanitized"], wanda);
    assert_eq!(cut["config"]["model_args"]["recipe"], "cut=weights,method=wanda,sparsity=0.5");
}

#[test]
fn a_line_of_samples_is_one_item() {
    let results = Results::new();
    write_all(&results);
    let files = exported(&results);
    let lines: Vec<Value> = files[&format!("smollm2/samples_piqa_{WHEN}.jsonl")]
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 40);
    let last = &lines[39];
    let expected = serde_json::json!({
        "doc_id": 39,
        "doc": {},
        "target": "0",
        "arguments": {
            "gen_args_0": { "request_sha256": "piqa000000270000" },
            "gen_args_1": { "request_sha256": "piqa000000270001" },
        },
        "resps": [[["-1.0", "False"]], [["-0.5", "False"]]],
        "filtered_resps": [["-1.0", "False"], ["-0.5", "False"]],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "acc": 0.0,
        "acc_norm": 0.0,
        "request_sha256": ["piqa000000270000", "piqa000000270001"],
    });
    assert_eq!(*last, expected);
    let right = lines.iter().filter(|line| line["acc_norm"] == 1.0).count();
    assert_eq!(right, 30);
}

#[test]
fn the_same_tables_give_the_same_files_and_others_are_kept() {
    let results = Results::new();
    write_all(&results);
    let before = exported(&results);
    assert_eq!(before, exported(&results));
    let file = results.path().join(format!("out/smollm2/results_{WHEN}.json"));
    fs::write(&file, "of another run").unwrap();
    let output = results.report(&EXPORT);
    assert_eq!(output.status.code(), Some(4));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("is there already and says something else"), "{errors}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "of another run");
    // Files of other times stay beside these, as the harness leaves them.
    fs::remove_file(&file).unwrap();
    fs::write(results.path().join("out/smollm2/results_2020.json"), "{}").unwrap();
    assert_eq!(exported(&results).len(), before.len() + 1);
}

#[test]
fn what_cannot_be_exported_is_said() {
    let results = Results::new();
    put(&results.run("run"), "p0", dense(), &[0.0; 4]);
    let output = results.report(&EXPORT);
    assert_eq!(output.status.code(), Some(4));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("there is nothing to export"), "{errors}");
    for wrong in [&["--export", "helm", "out"][..], &["--export", "lm-eval"]] {
        let output = results.report(&[&["--results", "run"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

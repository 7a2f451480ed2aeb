//! The cheap, repeatable side of fuzzing configs (`fuzz/` is the other): every golden config with some of
//! its values made absurd, missing or of another type, beside its own weights. Loading may fail, but
//! never panics and never takes memory for sizes that the weights do not have.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "why it skipped")]

use std::path::{Path, PathBuf};

use models::{Device, inspect, load};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{RngSeed, TestRunner},
};
use serde_json::{Map, Value, json};

const CASES: u32 = 200;

/// The largest golden checkpoint has less than 1 MB.
const MOST_MEMORY: u64 = 256 << 20;

/// Files of weights, beside which a config may stand.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

fn value() -> impl Strategy<Value = Option<Value>> {
    let numbers = [
        json!(0),
        json!(1),
        json!(2),
        json!(3),
        json!(7),
        json!(-1),
        json!(1_u64 << 31),
        json!(1_u64 << 40),
        json!(u64::MAX),
        json!(0.5),
        json!(1e300),
        json!(-1e-300),
    ];
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!("x"),
        json!("silu"),
        json!("linear"),
        json!([]),
        json!([0]),
        json!({}),
        json!({ "rope_type": "llama3" }),
    ];
    let values: Vec<_> = numbers.into_iter().chain(others).map(Some).chain([None]).collect();
    prop::sample::select(values)
}

/// Puts a value in the place of a field, or of a field of the object in it.
fn change(config: &mut Map<String, Value>, at: Index, inner: Option<Index>, value: Option<Value>) {
    let fields: Vec<String> = config.keys().cloned().collect();
    if fields.is_empty() {
        return;
    }
    let field = at.get(&fields);
    match (inner, config.get_mut(field), value) {
        (Some(inner), Some(Value::Object(object)), value) => change(object, inner, None, value),
        (_, _, Some(value)) => drop(config.insert(field.clone(), value)),
        (_, _, None) => drop(config.remove(field)),
    }
}

fn golden() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    let mut folders: Vec<_> = folders.unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("config.json").is_file());
    folders.sort();
    folders
}

fn check_memory(of: &Path) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else {
        println!("memory is not measured: this system does not tell a process its peak");
        return;
    };
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kibibytes << 10 < MOST_MEMORY, "{}: {kibibytes} kB", of.display());
}

#[test]
fn no_config_makes_loading_panic() {
    let folders = golden();
    assert!(folders.len() >= 4);
    for golden in folders {
        let folder = tempfile::tempdir().unwrap();
        for weights in WEIGHTS.iter().filter(|file| golden.join(file).is_file()) {
            std::fs::copy(golden.join(weights), folder.path().join(weights)).unwrap();
        }
        let text = std::fs::read_to_string(golden.join("config.json")).unwrap();
        let Ok(config) = serde_json::from_str::<Map<String, Value>>(&text) else { continue };
        let settings = ProptestConfig {
            cases: CASES,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(11),
            ..ProptestConfig::default()
        };
        let changes = vec((any::<Index>(), any::<Option<Index>>(), value()), 1..3);
        let run = TestRunner::new(settings).run(&changes, |changes| {
            let mut changed = config.clone();
            for (at, inner, value) in changes {
                change(&mut changed, at, inner, value);
            }
            let text = serde_json::to_string(&changed).unwrap();
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            if inspect(folder.path()).is_ok() {
                drop(load(folder.path(), &Device::flex()));
            }
            Ok(())
        });
        assert!(run.is_ok(), "{}: {run:?}", golden.display());
        check_memory(&golden);
    }
}

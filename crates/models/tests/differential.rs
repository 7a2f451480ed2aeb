//! The part of the differential test that needs no Python: mutated configs of the golden folders, for each
//! of which transformers' answer is written down (`differential/replay.json`, made and explained in
//! `differential/README.md`). Slim must refuse what is refused there, and else give the same logits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
};

use models::{Batch, Dense, Device, into_values, load};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Map, Value};
use tempfile::TempDir;

/// As in `golden.rs`; relative for logits that a mutant makes large. Seven digits are written down.
const ABSOLUTE: f32 = 1e-4;
const RELATIVE: f32 = 1e-5;

/// Tokens of a sequence, and rows of logits from its end, where a mutant names no longer one.
const KEPT: usize = 24;

/// Rows of the logits that are written down, from the end, and how many columns.
const ROWS: [usize; 2] = [12, 1];
const COLUMNS: usize = 6;

const HEAD: &str = "lm_head.weight";
const EMBEDDINGS: [&str; 3] = ["embed_tokens.weight", "wte.weight", "embeddings.weight"];

/// How files of weights begin; expected values lie beside them.
const WEIGHTS: [&str; 2] = ["model", "pytorch_model"];

/// Python writes numbers that JSON has none for; here they stand in quotes, under a name of their own.
const QUOTED: &str = "\"@Infinity\"";

fn quoted(text: &str) -> String {
    let mut pieces = text.split("Infinity");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(if out.ends_with('"') { "Infinity" } else { QUOTED });
        out.push_str(piece);
    }
    out
}

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder)
}

/// One golden folder with its mutants.
struct Replay<'a> {
    name: &'a str,
    config: Map<String, Value>,
    vocabulary: usize,
    /// What transformers computes; many mutants share an entry.
    answers: &'a [Value],
}

impl<'a> Replay<'a> {
    fn new(of: &'a Value) -> Self {
        let name = of["folder"].as_str().unwrap();
        let text = std::fs::read_to_string(golden(name).join("config.json")).unwrap();
        Self {
            name,
            config: serde_json::from_str(&quoted(&text)).unwrap(),
            vocabulary: of["vocabulary"].as_u64().unwrap() as usize,
            answers: of["answers"].as_array().unwrap(),
        }
    }

    /// What is wrong with Slim's answer to a mutant, if anything.
    fn check(&self, mutant: &Value, place: &Path) -> Option<String> {
        let mut config = self.config.clone();
        for key in mutant["drop"].as_array().into_iter().flatten() {
            config.remove(key.as_str().unwrap());
        }
        config.extend(mutant["set"].as_object().cloned().unwrap_or_default());
        let text = serde_json::to_string(&config).unwrap().replace(QUOTED, "Infinity");
        std::fs::write(place.join("config.json"), text).unwrap();
        let length = mutant["length"].as_u64().map_or(KEPT, |length| length as usize);
        let wrong = match (self.logits(place, length), mutant["answer"].as_u64()) {
            (Err(_), None) => return None,
            (Err(error), Some(_)) => format!("refused: {error}"),
            (Ok(_), None) => "taken, but transformers refuses it".to_owned(),
            (Ok(found), Some(answer)) => self.difference(&found, answer as usize)?,
        };
        Some(format!("{}: {mutant}: {wrong}", self.name))
    }

    /// The logits that are written down, or why there are none.
    fn logits(&self, place: &Path, length: usize) -> Result<Vec<f32>, String> {
        let model = load(place, &Device::flex()).map_err(|error| error.to_string())?.model;
        let ids: Vec<u32> =
            (0..length).map(|i| ((i * i + 5 * i + 3) % self.vocabulary) as u32).collect();
        let hidden = model.forward(&Batch::new([ids.as_slice()]), &mut Dense);
        let hidden = hidden.map_err(|error| error.to_string())?;
        let kept = hidden.narrow(0, length - KEPT, KEPT);
        let values = into_values(model.logits(kept));
        // Nobody takes these for a result: the evaluation refuses them.
        if values.iter().any(|value| !value.is_finite()) {
            return Err("not finite".to_owned());
        }
        let width = model.facts().vocabulary;
        let columns = (0..COLUMNS).map(|column| column * width / COLUMNS);
        let row = |back: usize| columns.clone().map(move |column| (KEPT - back) * width + column);
        Ok(ROWS.into_iter().flat_map(row).map(|at| values[at]).collect())
    }

    fn difference(&self, found: &[f32], answer: usize) -> Option<String> {
        let expected = self.answers[answer].as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        let expected = expected.iter().map(|value| value.as_f64().unwrap() as f32);
        let near = |(found, expected): &(f32, f32)| {
            (found - expected).abs() <= ABSOLUTE + RELATIVE * expected.abs()
        };
        let far = found.iter().copied().zip(expected).find(|pair| !near(pair))?;
        Some(format!("gives {} where transformers gives {}", far.0, far.1))
    }
}

/// A folder with the weights of a golden folder: as they are, or with an output head more or less.
fn place(name: &str, weights: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let files = std::fs::read_dir(golden(name)).unwrap().map(|entry| entry.unwrap());
    let starts = |name: &str| WEIGHTS.iter().any(|start| name.starts_with(start));
    for file in files.filter(|file| starts(file.file_name().to_str().unwrap())) {
        std::fs::copy(file.path(), place.path().join(file.file_name())).unwrap();
    }
    if !weights.is_empty() {
        let file = place.path().join("model.safetensors");
        let changed = with_head(&std::fs::read(&file).unwrap(), weights);
        std::fs::write(file, changed).unwrap();
    }
    place
}

fn with_head(bytes: &[u8], weights: &str) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors: Vec<(String, TensorView<'_>)> = file.tensors();
    let is_embedding = |name: &str| EMBEDDINGS.iter().any(|end| name.ends_with(end));
    let embedding = tensors.iter().find(|(name, _)| is_embedding(name)).unwrap().1.clone();
    tensors.retain(|(name, _)| name != HEAD);
    let shape = embedding.shape().to_vec();
    let rows: Vec<&[u8]> = embedding.data().chunks(4 * shape[1]).collect();
    let head: Vec<u8> = match weights {
        "no-head" => Vec::new(),
        "same-head" => rows.concat(),
        "other-head" => rows.into_iter().rev().collect::<Vec<_>>().concat(),
        other => panic!("{other} is not known"),
    };
    if !head.is_empty() {
        tensors.push((HEAD.to_owned(), TensorView::new(Dtype::F32, shape, &head).unwrap()));
    }
    safetensors::serialize(tensors, None).unwrap()
}

fn replay(of: &Value) -> (usize, Vec<String>) {
    let replay = Replay::new(of);
    let (mut places, mut wrong) = (BTreeMap::new(), Vec::new());
    let mutants = of["mutants"].as_array().unwrap();
    for mutant in mutants {
        let weights = mutant["weights"].as_str().unwrap_or_default();
        let place: &TempDir = places.entry(weights).or_insert_with(|| place(replay.name, weights));
        wrong.extend(replay.check(mutant, place.path()));
    }
    (mutants.len(), wrong)
}

#[test]
fn mutated_configs_say_what_transformers_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/replay.json");
    let text = std::fs::read_to_string(path).unwrap();
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(all.len() >= 20, "{} golden folders", all.len());
    let results: Vec<(usize, Vec<String>)> = thread::scope(|scope| {
        let runs: Vec<_> = all.iter().map(|of| scope.spawn(|| replay(of))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mutants: usize = results.iter().map(|(mutants, _)| mutants).sum();
    let wrong: Vec<&String> = results.iter().flat_map(|(_, wrong)| wrong).collect();
    println!("{mutants} mutants, {} wrong", wrong.len());
    assert!(mutants > 1000, "{mutants} mutants");
    let shown: Vec<String> = wrong.iter().take(20).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{} of {mutants} are wrong:\n{}", wrong.len(), shown.join("\n"));
}

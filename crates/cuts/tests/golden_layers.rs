//! Cuts of layers and of rank against what plain PyTorch leaves (`golden/README.md`), within 1e-4.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

mod stored;

use std::path::{Path, PathBuf};

use cuts::{
    DropScore, Dropped, FitInputs, LayerDrop, Linearise, Linearised, LowRankCut, LowRankMethod,
    Matrix, Slim, Watch, drop_layers, linearise,
};
use models::{Batch, Dense, Device, Model, into_values, load};
use serde_json::Value;
use stored::Stored;
use vector::worst;

const TOLERANCE: f64 = 1e-4;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn dense(model: &str) -> Slim {
    let folder = golden().join("../../../models/tests/golden").join(model);
    Slim::dense(load(&folder, &Device::flex()).unwrap_or_else(|e| panic!("{model}: {e}")).model)
}

/// One case of one model.
struct Case<'a> {
    name: String,
    step: Value,
    stored: &'a Stored,
    slim: Slim,
}

impl Case<'_> {
    fn setting(&self, name: &str) -> &str {
        self.step[name].as_str().unwrap_or_default()
    }

    fn count(&self, name: &str) -> Option<usize> {
        self.step[name].as_u64().map(|count| count as usize)
    }

    fn tensor(&self, what: &str) -> Vec<f64> {
        self.stored.floats(&format!("{}/{what}", self.name))
    }

    fn check(&self, what: &str, found: &[f64]) {
        let difference = worst(found, &self.tensor(what));
        assert!(difference < TOLERANCE, "{}: {what} differs by {difference:e}", self.name);
        println!("{}: {what} differs by {difference:e}", self.name);
    }

    fn check_logits(&self, model: &dyn Model) {
        let ids = &self.stored.windows("test")[0];
        let hidden = model.forward(&Batch::new([ids.as_slice()]), &mut Dense).unwrap();
        self.check("logits", &wide(&into_values(model.logits(hidden))));
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

fn drops(case: &Case<'_>) {
    let score = DropScore::named(case.setting("score")).unwrap();
    let cut = LayerDrop { score, n: case.count("n").unwrap(), seed: 0 };
    let windows = case.stored.windows("ids");
    let found = drop_layers(&case.slim, &cut, &windows, &Watch::default());
    let Dropped { slim, layers, distances } = found.unwrap().unwrap();
    let layers: Vec<f64> = layers.into_iter().map(|layer| layer as f64).collect();
    assert_eq!(layers, case.tensor("dropped"), "{}", case.name);
    if score.needs_text() {
        case.check("distances", &distances.unwrap().values);
    }
    case.check_logits(slim.model.as_ref());
}

fn linearises(case: &Case<'_>) {
    let layers = [case.count("layer").unwrap()];
    let cut = Linearise { layers: &layers, rank: case.count("rank"), inputs: FitInputs::Drifted };
    let [windows, held_out] = ["ids", "held_out"].map(|name| case.stored.windows(name));
    let found = linearise(&case.slim, &cut, &windows, &held_out, &Watch::default());
    let Linearised { slim, r_squared } = found.unwrap().unwrap();
    case.check("r_squared", &[r_squared[0].1]);
    let uses = slim.model.linears(layers[0]);
    let maps: Vec<_> = uses.iter().map(|of| of.parts[0]).collect();
    let d_model = slim.model.facts().d_model;
    let weight = match maps[..] {
        [map] => map.weight.clone(),
        [down, up] => down.weight.clone().matmul(up.weight.clone()),
        _ => panic!("{} maps", maps.len()),
    };
    assert_eq!(weight.dims(), [d_model, d_model]);
    case.check("weight", &wide(&into_values(weight)));
    let bias = maps.last().unwrap().bias.clone().unwrap();
    case.check("bias", &wide(&into_values(bias)));
    case.check_logits(slim.model.as_ref());
}

fn reduces(case: &Case<'_>) {
    let method = LowRankMethod::named(case.setting("method")).unwrap();
    let cut = LowRankCut::new(method, case.count("rank").unwrap());
    let windows = case.stored.windows("ids");
    let slim = cut.apply(case.slim.shared(), &windows, &Watch::default()).unwrap().unwrap();
    for of in (0..slim.model.facts().layers).flat_map(|layer| slim.model.linears(layer)) {
        case.check(of.name(), &wide(&Matrix::of(&of).values));
    }
    case.check_logits(slim.model.as_ref());
}

#[test]
fn cuts_leave_what_the_reference_leaves() {
    let mut seen = std::collections::BTreeSet::new();
    for model in ["llama", "mamba2", "opt"] {
        let folder = golden().join(model);
        let stored = Stored::read(&folder.join("expected.safetensors"));
        let cases = std::fs::read_to_string(folder.join("cases.json")).unwrap();
        let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
        for case in cases {
            let [step] = &case["steps"].as_array().unwrap()[..] else { continue };
            let name = case["name"].as_str().unwrap().to_owned();
            let slim = dense(model);
            let case = Case { name, step: step.clone(), stored: &stored, slim };
            let kind = (case.setting("cut").to_owned(), case.setting("method").to_owned());
            println!("{model}");
            match (kind.0.as_str(), kind.1.as_str()) {
                ("layers", "drop") => drops(&case),
                ("layers", "linearise") => linearises(&case),
                ("low-rank", _) => reduces(&case),
                _ => continue,
            }
            seen.insert(kind);
        }
    }
    let kinds: Vec<(&str, &str)> =
        seen.iter().map(|(cut, method)| (cut.as_str(), method.as_str())).collect();
    let expected = [
        ("layers", "drop"),
        ("layers", "linearise"),
        ("low-rank", "svd"),
        ("low-rank", "svd-activations"),
    ];
    assert_eq!(kinds, expected);
}

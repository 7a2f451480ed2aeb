//! What plain PyTorch leaves of three small models (`golden/README.md`): the same kept sets, weights and
//! logits within 1e-4 absolute.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

mod common;

use std::path::Path;

use common::{logits, matrices, model, tensors};
use cuts::{BitCut, BitMethod, Pattern, Rounding, Slim, Watch, WeightCut, WeightMethod};
use serde_json::Value;
use vector::worst;

const TOLERANCE: f64 = 1e-4;

fn rounding(step: &Value) -> Option<Rounding> {
    let bits = step["bits"].as_u64()? as u32;
    Some(Rounding { bits, group: step["group"].as_u64()? as usize })
}

/// The model after a step; `None` where it is of a kind that other tests look at.
fn after(slim: &Slim, step: &Value, windows: &[Vec<u32>]) -> Option<Slim> {
    let (watch, method) = (Watch::default(), step["method"].as_str().unwrap());
    let slim = match step["cut"].as_str().unwrap() {
        "weights" => {
            let pattern = match step["pattern"].as_str() {
                Some(pattern) => pattern.parse().unwrap(),
                None => Pattern::Share(step["sparsity"].as_f64().unwrap()),
            };
            let method = WeightMethod::named(method).unwrap();
            let cut = WeightCut { rounding: rounding(step), ..WeightCut::new(method, pattern) };
            cut.apply(slim.shared(), windows, &watch)
        }
        "bits" => {
            let method = BitMethod::named(method).unwrap();
            let cut = BitCut { method, rounding: rounding(step).unwrap() };
            cut.apply(slim.shared(), windows, &watch)
        }
        _ => return None,
    };
    Some(slim.unwrap().unwrap())
}

#[test]
fn what_is_left_is_the_reference() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut checked = 0;
    for name in ["llama", "mamba2", "opt"] {
        let folder = golden.join(name);
        let expected = tensors::read(&folder.join("expected.safetensors"));
        let cases = std::fs::read_to_string(folder.join("cases.json")).unwrap();
        let cases: Value = serde_json::from_str(&cases).unwrap();
        let windows = expected["ids"].ids();
        let test = expected["test"].ids().concat();
        let models = golden.join("../../../models/tests/golden").join(name);
        for case in cases.as_array().unwrap() {
            let label = case["name"].as_str().unwrap();
            let mut slim = Some(Slim::dense(model(&models)));
            for step in case["steps"].as_array().unwrap() {
                slim = slim.and_then(|slim| after(&slim, step, &windows));
            }
            let Some(slim) = slim else { continue };
            for (matrix, found) in matrices(&*slim.model) {
                let Some(expected) = expected.get(&format!("{label}/{matrix}")) else {
                    panic!("{name}: {label}: no {matrix}");
                };
                assert_eq!(expected.shape, [found.rows, found.columns]);
                let zero = |same: bool| {
                    let values = if same { found.values.clone() } else { expected.singles() };
                    values.into_iter().map(|value| value == 0.0).collect::<Vec<_>>()
                };
                assert!(zero(true) == zero(false), "{name}: {label}: {matrix}: another kept set");
                let apart = worst(&found.values, &expected.values);
                assert!(apart < TOLERANCE, "{name}: {label}: {matrix}: {apart}");
            }
            let apart =
                worst(&logits(&*slim.model, &test), &expected[&format!("{label}/logits")].values);
            println!("{name}: {label}: logits within {apart:.1e}");
            assert!(apart < TOLERANCE, "{name}: {label}: logits: {apart}");
            checked += 1;
        }
    }
    assert!(checked >= 38, "only {checked} cases");
}

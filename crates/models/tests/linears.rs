//! The door to linear maps: it leads to every matrix of a checkpoint that a layer multiplies with, and to
//! nothing else, in every family of `golden`.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use checkpoints::open_folder;
use models::{Batch, Dense, Device, Linear, Model, Tap, into_values, load};

/// Parts of the names of matrices that no layer multiplies a stream with.
const OTHERS: [&str; 10] = [
    "embed",
    "wte",
    "wpe",
    "lm_head",
    "project_in",
    "project_out",
    "adapter_list",
    "expected",
    "conv1d",
    "masked_bias",
];

fn folders() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> =
        entries.filter(|path| path.join("expected.safetensors").is_file()).collect();
    folders.sort();
    folders
}

fn model(folder: &Path) -> Box<dyn Model> {
    load(folder, &Device::flex()).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).model
}

fn batch() -> Batch {
    Batch::new([&[3, 1, 4, 1, 5, 9, 2, 6][..], &[5, 3, 5]])
}

fn logits(model: &dyn Model) -> Vec<f32> {
    into_values(model.logits(model.forward(&batch(), &mut Dense).unwrap()))
}

fn layers(model: &dyn Model) -> std::ops::Range<usize> {
    0..model.facts().layers
}

#[test]
fn every_matrix_of_a_layer_is_there() {
    for folder in folders() {
        let (model, source) = (model(&folder), open_folder(&folder).unwrap());
        let mut found = BTreeSet::new();
        for layer in layers(&*model) {
            for matrix in model.linears(layer) {
                let (d_in, d_out) = matrix.widths();
                let name = matrix.name().to_string();
                let shape = source.shape(&name).unwrap_or_else(|| panic!("no tensor {name}"));
                // GPT-2 stores its matrices input first.
                assert!(shape == [d_out, d_in] || shape == [d_in, d_out], "{name}: {shape:?}");
                found.insert(name);
            }
        }
        // A shared block that a file repeats under every layer is that of the first.
        let repeated = |name: &str| {
            let (_, rest) = name.split_once("shared_transformer").unzip();
            rest.is_some_and(|rest| {
                found.iter().any(|found| found.ends_with(&format!("shared_transformer{rest}")))
            })
        };
        let stored = source.names().into_iter().filter(|name| {
            source.shape(name).is_some_and(|shape| shape.len() == 2)
                && !OTHERS.iter().any(|other| name.contains(other))
                && (found.contains(name) || !repeated(name))
        });
        assert_eq!(found, stored.collect(), "{}", folder.display());
    }
}

#[test]
fn what_is_left_gives_the_same_bits() {
    for folder in folders() {
        let model = model(&folder);
        let before = logits(&*model);
        assert_eq!(logits(&*model.map_linears(&mut |_| None)), before, "{}", folder.display());
        let same = model.map_linears(&mut |matrix| {
            Some(matrix.parts.iter().map(|part| (*part).clone()).collect())
        });
        assert_eq!(logits(&*same), before, "{}", folder.display());
    }
}

/// Each matrix by itself changes the logits, and at each of its uses.
#[test]
fn every_matrix_matters() {
    for folder in folders() {
        let model = model(&folder);
        let before = logits(&*model);
        let names: BTreeSet<Arc<str>> = layers(&*model)
            .flat_map(|layer| model.linears(layer))
            .map(|matrix| matrix.name().clone())
            .collect();
        for name in names {
            let mut calls = 0;
            let changed = model.map_linears(&mut |matrix| {
                if *matrix.name() != name {
                    return None;
                }
                calls += 1;
                let double = |part: &&Linear| Linear {
                    weight: part.weight.clone() * 2.0,
                    ..(*part).clone()
                };
                Some(matrix.parts.iter().map(double).collect())
            });
            assert_eq!(calls, 1, "{name} is seen once");
            assert_ne!(logits(&*changed), before, "{}: {name}", folder.display());
            for layer in layers(&*model) {
                for (old, new) in model.linears(layer).iter().zip(changed.linears(layer)) {
                    let weights = |parts: &[&Linear]| -> Vec<f32> {
                        parts.iter().flat_map(|part| into_values(part.weight.clone())).collect()
                    };
                    let same = weights(&old.parts) == weights(&new.parts);
                    assert_eq!(same, *old.name() != name, "{name} in layer {layer}");
                }
            }
        }
    }
}

/// What a tap saw of a matrix: all inputs in order, and their widths.
type Seen = Arc<Mutex<BTreeMap<String, Vec<(usize, Vec<f32>)>>>>;

/// Every matrix is tapped at each use, and those of one input number read the same numbers.
#[test]
fn inputs_are_shared_as_the_door_says() {
    for folder in folders() {
        let model = model(&folder);
        let seen = Seen::default();
        let tapped = model.map_linears(&mut |matrix| {
            let (name, seen) = (matrix.name().to_string(), seen.clone());
            let tap = Tap::new(move |x| {
                let entry = (x.dims()[1], into_values(x.clone()));
                seen.lock().unwrap().entry(name.clone()).or_default().push(entry);
            });
            let mut parts: Vec<Linear> = matrix.parts.iter().map(|part| (*part).clone()).collect();
            parts[0].tap = Some(tap);
            Some(parts)
        });
        assert_eq!(logits(&*tapped), logits(&*model), "{}", folder.display());
        let seen = seen.lock().unwrap();
        let (mut uses, mut first) = (BTreeMap::<_, usize>::new(), BTreeMap::new());
        for layer in layers(&*model) {
            for matrix in model.linears(layer) {
                let name = matrix.name().to_string();
                let count = uses.entry(name.clone()).or_default();
                let (width, values) = &seen[&name][*count];
                *count += 1;
                assert_eq!(*width, matrix.widths().0, "{name}");
                assert_eq!(values.len(), width * batch().n_tokens(), "{name}");
                let same = first.entry((layer, matrix.input)).or_insert(values);
                assert_eq!(*same, values, "{name} reads what its input number says");
            }
        }
        for (name, count) in uses {
            assert_eq!(seen[&name].len(), count, "{name} is seen at each use and no other time");
        }
    }
}

//! Rotations of the residual stream, over every golden family.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod golden_models;

use std::path::Path;

use cuts::{CutError, LowRankCut, LowRankMethod, Slim, Watch, rotate};
use golden_models::{folders, logits, model, name};
use models::{RotationError, into_values};
use vector::worst;

#[test]
fn a_rotation_leaves_logits_or_is_refused() {
    let mut refused = Vec::new();
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let before = logits(slim.model.as_ref());
        let turned = match rotate(&slim, 3) {
            Ok(turned) => turned,
            Err(CutError::Rotation(RotationError::Unsupported { .. })) => {
                refused.push(name);
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        let difference = worst(&logits(turned.model.as_ref()), &before);
        assert!(difference < 1e-3, "{name}: {difference:e}");
        let (old, new) = (slim.model.facts(), turned.model.facts());
        assert_eq!(slim.storage.parameters(), old.parameters as u64, "{name}");
        assert_eq!(turned.storage.parameters(), new.parameters as u64, "{name}");
        assert!(turned.storage.bytes() >= 2 * new.parameters as u64, "{name}");
        // Another seed is another rotation.
        let other = rotate(&slim, 4).unwrap();
        let weight = |slim: &Slim| slim.model.linears(0)[0].parts[0].weight.clone().into_data();
        assert_ne!(weight(&turned), weight(&other), "{name}");
    }
    assert_eq!(refused, ["gemma3", "gemma3-old", "opt-post-norm"]);
}

/// What was factored before is dense afterwards, and told so.
#[test]
fn a_rotation_undoes_what_was_stored() {
    let folder = folders().into_iter().find(|folder| name(folder) == "llama").unwrap();
    let slim = Slim::dense(model(&folder));
    let cut = LowRankCut::new(LowRankMethod::Svd, 4);
    let cut = cut.apply(slim.shared(), &[], &Watch::default()).unwrap().unwrap();
    assert!(cut.storage.bytes() < slim.storage.bytes());
    let turned = rotate(&cut, 1).unwrap();
    let of_dense = rotate(&slim, 1).unwrap();
    assert_eq!(turned.storage, of_dense.storage);
    assert!(worst(&logits(turned.model.as_ref()), &logits(cut.model.as_ref())) < 1e-3);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Wide enough for its products to be split.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/opt-relu");
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let turned = rotate(&Slim::dense(model(&folder)), 1).unwrap();
            let uses =
                (0..turned.model.facts().layers).flat_map(|layer| turned.model.linears(layer));
            let weights = uses.flat_map(|of| into_values(of.parts[0].weight.clone()));
            (weights.collect::<Vec<_>>(), logits(turned.model.as_ref()))
        })
    };
    assert_eq!(run(1), run(2));
}

//! Golden numerics: small random checkpoints of every architecture whose logits and hidden states a
//! reference implementation computed (`golden/*/make.py`; `golden/README.md` says which), on every token
//! within 1e-4 absolute in f32.
//!
//! Two implementations of the same f32 network differ by the order of their sums: about 1e-6 relative
//! a layer, and the numbers here are of size 15 at most, so 1e-4 leaves a factor of ten.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use models::{
    Batch, Dense, Device, Executor, ExecutorError, FfnSite, LayerEnd, Model, RecurrentState,
    StateInputs, StateSite, Tensor, into_values, load,
};
use safetensors::{Dtype, SafeTensors};
use vector::worst;

const TOLERANCE: f64 = 1e-4;

/// Every folder of `golden` that holds a model.
fn folders() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> =
        entries.filter(|path| path.join("expected.safetensors").is_file()).collect();
    folders.sort();
    folders
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// The tests run on the device that `SLIM_TEST_DEVICE` names, the CPU without it.
fn device() -> Device {
    match std::env::var("SLIM_TEST_DEVICE").as_deref() {
        Err(_) | Ok("cpu") => Device::flex(),
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => Device::wgpu(models::DeviceKind::DefaultDevice),
        Ok(other) => panic!("SLIM_TEST_DEVICE={other} is not in this build"),
    }
}

fn model(folder: &Path) -> Box<dyn Model> {
    load(folder, &device()).unwrap_or_else(|e| panic!("{}: {e}", name(folder))).model
}

/// Runs densely and keeps what passes the seam, under the names of the golden files.
#[derive(Default)]
struct Remembering(BTreeMap<String, Vec<f32>>);

impl Executor for Remembering {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = site.ffn.hidden(x);
        self.0.insert(format!("h.{}", site.index), into_values(h.clone()));
        Ok(site.ffn.project(h))
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let y = Dense.state(site, inputs, past)?;
        self.0.insert(format!("scan.{}", site.index), into_values(y.clone()));
        Ok(y)
    }

    fn layer_end(
        &mut self,
        end: &LayerEnd<'_>,
        stream: Tensor<2>,
    ) -> Result<Tensor<2>, ExecutorError> {
        self.0.insert(format!("block.{}", end.layer), into_values(stream.clone()));
        Ok(stream)
    }
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap();
    assert_eq!(view.dtype(), Dtype::F32, "{name}");
    view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let view = file.tensor(name).unwrap();
    assert_eq!(view.dtype(), Dtype::I64, "{name}");
    let words = view.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b));
    words.map(|id| u32::try_from(id).unwrap()).collect()
}

/// The sequences of a golden file: length and ids, short ones first.
fn sequences(file: &SafeTensors<'_>) -> Vec<(usize, Vec<u32>)> {
    let names = file.names();
    let lengths = names.iter().filter_map(|n| n.strip_prefix("ids.")?.parse().ok());
    let mut sequences: Vec<(usize, Vec<u32>)> =
        lengths.map(|n| (n, ids(file, &format!("ids.{n}")))).collect();
    sequences.sort();
    assert!(sequences.len() >= 2, "too few sequences");
    sequences
}

fn logits(model: &dyn Model, sequences: &[&[u32]]) -> Vec<f32> {
    let hidden = model.forward(&Batch::new(sequences.iter().copied()), &mut Dense).unwrap();
    into_values(model.logits(hidden))
}

#[test]
fn every_architecture_equals_its_reference() {
    for folder in folders() {
        let (name, model) = (name(&folder), model(&folder));
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (mut largest, mut compared) = (0.0_f64, 0);
        for (n, ids) in sequences(&file) {
            let mut seen = Remembering::default();
            let mut cache = model.new_cache();
            let hidden = model.extend(&ids, &mut cache, &mut seen).unwrap();
            let mut seen = seen.0;
            seen.insert("logits".to_owned(), into_values(model.logits(hidden)));
            for (site, past) in cache.recurrent().iter().enumerate() {
                seen.insert(format!("state.{site}"), past.state().to_vec());
            }
            for (what, values) in &seen {
                // `h.3` of a run is `h.17.3` of a file with 17 tokens.
                let (kind, site) = what.split_once('.').unwrap_or((what, ""));
                let stored = format!("{kind}.{n}.{site}");
                let stored = stored.trim_end_matches('.');
                if file.tensor(stored).is_err() {
                    assert_ne!(kind, "logits", "{name} holds no {stored}");
                    continue;
                }
                let difference = worst(values, &floats(&file, stored));
                assert!(difference < TOLERANCE, "{name}: {stored} differs by {difference:e}");
                largest = largest.max(difference);
                compared += 1;
            }
        }
        println!("{name}: {compared} tensors, largest difference {largest:e}");
    }
}

/// Feeding a sequence token by token, and in pieces of uneven size, equals one pass over it.
#[test]
fn decoding_with_a_cache_equals_the_whole_sequence() {
    const PIECES: [usize; 4] = [1, 7, 2, 30];
    for folder in folders() {
        let (name, model) = (name(&folder), model(&folder));
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for (n, ids) in sequences(&file) {
            let whole = logits(model.as_ref(), &[&ids]);
            for pieces in [&[1][..], &PIECES] {
                let mut cache = model.new_cache();
                let mut logits = Vec::new();
                for piece in pieces.iter().cycle() {
                    let rest = &ids[cache.seen()..];
                    let piece = &rest[..rest.len().min(*piece)];
                    if piece.is_empty() {
                        break;
                    }
                    let hidden = model.extend(piece, &mut cache, &mut Dense).unwrap();
                    logits.extend(into_values(model.logits(hidden)));
                }
                let difference = worst(&logits, &whole);
                assert!(difference < TOLERANCE, "{name}, {n} tokens, {pieces:?}: {difference:e}");
            }
        }
    }
}

/// Several sequences that go on with one past give what each whole sequence gives, at whatever length they
/// part, and leave the past as it was.
#[test]
fn branches_equal_their_whole_sequences() {
    for folder in folders() {
        let (name, model) = (name(&folder), model(&folder));
        let vocabulary = model.facts().vocabulary as u32;
        let ids = |n: u32, salt: u32| (0..n).map(move |i| (i * i + salt) % vocabulary);
        for n_stem in [1, 3, 11] {
            let stem: Vec<u32> = ids(n_stem, 5).collect();
            let mut cache = model.new_cache();
            model.extend(&stem, &mut cache, &mut Dense).unwrap();
            for lengths in [&[4][..], &[1, 9, 2], &[3, 3]] {
                let branches: Vec<Vec<u32>> =
                    lengths.iter().map(|n| ids(*n, 7 + n).collect()).collect();
                let views: Vec<&[u32]> = branches.iter().map(Vec::as_slice).collect();
                // Twice: the second time finds the past as the first did.
                for _ in 0..2 {
                    let hidden = model.branch(&views, &cache, &mut Dense).unwrap();
                    let found = into_values(model.logits(hidden));
                    let whole = branches.iter().flat_map(|branch| {
                        let whole = logits(model.as_ref(), &[&[stem.as_slice(), branch].concat()]);
                        whole[stem.len() * vocabulary as usize..].to_vec()
                    });
                    let whole: Vec<f32> = whole.collect();
                    let difference = worst(&found, &whole);
                    assert!(
                        difference < TOLERANCE,
                        "{name}, {n_stem}, {lengths:?}: {difference:e}"
                    );
                }
            }
        }
    }
}

/// All sequences in one batch give what each gives alone: padding-free batching is only a matter of
/// rounding in the matrix products.
#[test]
fn a_batch_equals_its_sequences() {
    for folder in folders() {
        let model = model(&folder);
        let vocabulary = model.facts().vocabulary as u32;
        let ids: Vec<u32> = (0..24).map(|i| (i * i + 5) % vocabulary).collect();
        let sequences = [&ids[..5], &ids[5..6], &ids[6..]];
        let together = logits(model.as_ref(), &sequences);
        let alone: Vec<f32> = sequences.iter().flat_map(|s| logits(model.as_ref(), &[s])).collect();
        let difference = worst(&together, &alone);
        assert!(difference < 2e-5, "{}: {difference:e}", name(&folder));
    }
}

/// What the config promises is what the checkpoint holds: the stored parameters, shared ones once.
#[test]
fn parameters_are_counted_as_stored() {
    for folder in folders() {
        let Ok(loaded) = load(&folder, &device()) else { panic!("{} loads", name(&folder)) };
        assert_eq!(loaded.facts.parameters, loaded.parameters, "{}", name(&folder));
        assert_eq!(loaded.facts, loaded.model.facts(), "{}", name(&folder));
        assert_eq!(loaded.facts.ffn_sites, loaded.model.ffns().len(), "{}", name(&folder));
        let mixers = loaded.model.mixers().len();
        assert_eq!(loaded.facts.state.map_or(0, |s| s.sites), mixers, "{}", name(&folder));
    }
}

/// One layer at a time, every site under its own number, gives the same bits as all of them together.
#[test]
fn layers_one_by_one_are_the_forward_pass() {
    for folder in folders() {
        let model = model(&folder);
        let ids: Vec<u32> = (0..40).map(|i| i * 7 % model.facts().vocabulary as u32).collect();
        let batch = Batch::new([&ids[..], &ids[..9]]);
        let (mut whole, mut pieces) = (Remembering::default(), Remembering::default());
        let expected = model.forward(&batch, &mut whole).unwrap();
        let mut x = model.start(&batch).unwrap();
        for layer in 0..model.facts().layers {
            x = model.through(layer..layer + 1, x, &batch, None, &mut pieces).unwrap();
        }
        let found = model.finish(x);
        assert_eq!(into_values(found), into_values(expected), "{}", name(&folder));
        assert_eq!(whole.0, pieces.0, "{}", name(&folder));
    }
}

//! Golden numerics: small random checkpoints whose logits and hidden vectors transformers computed
//! (`golden/*/make.py`), on every token within 1e-4 absolute in f32.
//!
//! Two implementations of the same f32 network differ by the order of their sums: about 1e-6 relative
//! a layer, and the logits here are of size 10 at most, so 1e-4 leaves a factor of ten.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw, and why it skipped")]

use std::path::{Path, PathBuf};

use models::{Batch, Device, Executor, ExecutorError, FfnSite, Tensor, into_values, load};
use safetensors::{Dtype, SafeTensors};

const TOLERANCE: f32 = 1e-4;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Runs densely and keeps `h` of every site.
#[derive(Default)]
struct Remembering(Vec<Vec<f32>>);

impl Executor for Remembering {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = site.ffn.hidden(x);
        self.0.push(into_values(h.clone()));
        Ok(site.ffn.project(h))
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

/// Largest difference, both sides of one length.
fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn agrees(name: &str) {
    let model = load(&golden(name), &Device::flex()).unwrap().model;
    let bytes = std::fs::read(golden(name).join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let sequences: Vec<String> =
        file.names().iter().filter_map(|n| Some(n.strip_prefix("ids.")?.to_owned())).collect();
    assert!(sequences.len() >= 2, "{name} holds {} sequences", sequences.len());
    let mut largest = 0.0_f32;
    for n in sequences {
        let ids = ids(&file, &format!("ids.{n}"));
        let mut remembering = Remembering::default();
        let hidden = model.forward(&Batch::new([ids.as_slice()]), &mut remembering).unwrap();
        let logits = into_values(model.logits(hidden));
        let difference = worst(&logits, &floats(&file, &format!("logits.{n}")));
        assert!(difference < TOLERANCE, "{name}, {n} tokens: logits differ by {difference:e}");
        largest = largest.max(difference);
        for (layer, h) in remembering.0.iter().enumerate() {
            let difference = worst(h, &floats(&file, &format!("h.{n}.{layer}")));
            assert!(difference < TOLERANCE, "{name}, {n} tokens, layer {layer}: {difference:e}");
        }
    }
    println!("{name}: largest difference of a logit {largest:e}");
}

#[test]
fn opt() {
    agrees("opt");
}

#[test]
fn llama() {
    agrees("llama");
}

#[test]
fn llama_with_its_own_head_and_an_old_config() {
    agrees("llama-untied");
}

#[test]
fn llama_in_two_bf16_shards() {
    agrees("llama-sharded");
}

/// All sequences in one batch give what each gives alone: padding-free batching is only a matter of
/// rounding in the matrix products.
#[test]
fn a_batch_equals_its_sequences() {
    for name in ["llama", "opt"] {
        let model = load(&golden(name), &Device::flex()).unwrap().model;
        let sequences: [&[u32]; 3] =
            [&[5, 9, 77, 130, 2], &[8], &[100, 101, 102, 103, 104, 105, 6]];
        let run = |sequences: &[&[u32]]| {
            let batch = Batch::new(sequences.iter().copied());
            let hidden = model.forward(&batch, &mut models::Dense).unwrap();
            into_values(model.logits(hidden))
        };
        let alone: Vec<f32> = sequences.iter().flat_map(|s| run(&[s])).collect();
        assert!(worst(&run(&sequences), &alone) < 1e-5);
    }
}

//! What is zero may be left out: the logits of ReLU models stay as they are.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;

use models::{
    Batch, Dense, Device, Executor, ExecutorError, Ffn, FfnSite, Held, Model, Tensor, Values,
    held_as, into_values, load,
};
use skips::ZeroSkipping;

fn model(path: &str) -> Box<dyn Model> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    load(&root.join(path), &Device::flex()).unwrap().model
}

/// Trained ones, most of whose entries are zero, random ones, half of whose are, and one without zeros;
/// with and without gates.
const MODELS: [&str; 6] = [
    "../data/models/qwen2-relu-l1",
    "../data/models/opt-relu-l1",
    "models/tests/golden/llama-relu",
    "models/tests/golden/opt",
    "models/tests/golden/opt-post-norm",
    "models/tests/golden/llama",
];

fn ids(model: &dyn Model, n: usize) -> Vec<u32> {
    (0..n).map(|t| ((7919 * t + 17) % model.facts().vocabulary) as u32).collect()
}

/// Token by token every number is the dense one, bit for bit: a zero adds nothing to a sum whose order
/// does not change.
#[test]
fn decoding_is_dense_to_the_bit() {
    for path in MODELS {
        let model = model(path);
        let (mut dense, mut skipped) = (model.new_cache(), model.new_cache());
        for id in ids(model.as_ref(), 12) {
            let expected = model.extend(&[id], &mut dense, &mut Dense).unwrap();
            let found = model.extend(&[id], &mut skipped, &mut ZeroSkipping).unwrap();
            let (expected, found) = (model.logits(expected), model.logits(found));
            assert_eq!(into_values(found), into_values(expected), "{path}");
        }
    }
}

/// Many tokens, in tiles or densely, give sums in another order: 1e-5 of the largest logit.
#[test]
fn windows_are_dense() {
    for path in MODELS {
        let model = model(path);
        for tokens in [2, 30] {
            let ids = ids(model.as_ref(), tokens);
            let batch = Batch::new([&ids[..tokens - 1], &ids[..1]]);
            let logits = |executor: &mut dyn Executor| {
                into_values(model.logits(model.forward(&batch, executor).unwrap()))
            };
            let (dense, skipped) = (logits(&mut Dense), logits(&mut ZeroSkipping));
            let largest = dense.iter().fold(0.0_f32, |most, logit| most.max(logit.abs()));
            let off = vector::worst(&skipped, &dense);
            assert!(off <= 1e-5 * f64::from(largest), "{path}: logits differ by {off:e}");
        }
    }
}

/// Makes gates zero for most neurons before either executor runs, so that tiles are taken.
struct MostlyOff<E>(E);

impl<E: Executor> Executor for MostlyOff<E> {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let mut ffn = site.ffn.clone();
        let first = ffn.gate.as_mut().unwrap_or(&mut ffn.up);
        let (_, neurons) = first.widths();
        let low: Vec<f32> = (0..neurons).map(|n| if n % 9 == 0 { 0.0 } else { -1e6 }).collect();
        first.bias = Some(Tensor::from_data(low.as_slice(), &Device::flex()));
        self.0.ffn(&FfnSite { ffn: &ffn, ..*site }, x)
    }
}

/// The tiles themselves, on blocks of which eight in nine neurons are off for every token.
#[test]
fn tiles_are_dense() {
    for path in ["models/tests/golden/llama-relu", "models/tests/golden/opt"] {
        let model = model(path);
        let ids = ids(model.as_ref(), 40);
        let batch = Batch::new([&ids[..]]);
        let hidden = |executor: &mut dyn Executor| {
            Values::of(model.forward(&batch, executor).unwrap()).to_vec()
        };
        let (dense, skipped) =
            (hidden(&mut MostlyOff(Dense)), hidden(&mut MostlyOff(ZeroSkipping)));
        let largest = dense.iter().fold(0.0_f32, |most, entry| most.max(entry.abs()));
        let off = vector::worst(&skipped, &dense);
        assert!(off <= 1e-5 * f64::from(largest), "{path}: they differ by {off:e}");
        assert_ne!(dense, hidden(&mut Dense), "the neurons that are off are missed");
    }
}

/// In 16 bits the same holds, and logits are those of the rounded weights.
#[test]
fn half_of_the_bits_will_do() {
    for path in ["models/tests/golden/llama-relu", "models/tests/golden/opt"] {
        for held in [Held::F16, Held::Bf16] {
            let narrow = held_as(model(path).as_ref(), held).unwrap();
            let blocks = narrow.ffns().into_iter().map(Ffn::laid_out).collect();
            let narrow = narrow.with_ffns(blocks);
            let wide = held_as(narrow.as_ref(), Held::F32).unwrap();
            let ids = ids(narrow.as_ref(), 12);
            let (mut dense, mut skipped) = (narrow.new_cache(), narrow.new_cache());
            let mut last = Vec::new();
            for id in &ids {
                let expected = narrow.extend(&[*id], &mut dense, &mut Dense).unwrap();
                let found = narrow.extend(&[*id], &mut skipped, &mut ZeroSkipping).unwrap();
                last = into_values(narrow.logits(found));
                assert_eq!(last, into_values(narrow.logits(expected)), "{path} {held:?}");
            }
            let batch = Batch::new([&ids[..]]);
            for (model, executor) in [
                (&narrow, &mut Dense as &mut dyn Executor),
                (&narrow, &mut ZeroSkipping),
                (&wide, &mut Dense),
            ] {
                let hidden = model.forward(&batch, executor).unwrap();
                let whole = into_values(model.logits(hidden.narrow(0, ids.len() - 1, 1)));
                let largest = last.iter().fold(0.0_f32, |most, logit| most.max(logit.abs()));
                let off = vector::worst(&whole, &last);
                assert!(
                    off <= 1e-5 * f64::from(largest),
                    "{path} {held:?}: they differ by {off:e}"
                );
            }
        }
    }
}

//! What `golden.rs` does not see of Mamba-2 and Zamba2: the plain recurrence gives the same models as the
//! scan, and every use of a shared block is a site of its own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use models::{
    Batch, Dense, Device, Executor, ExecutorError, FfnSite, Model, RecurrentState, StateInputs,
    StateSite, Tensor, into_values, load,
};
use safetensors::{Dtype, SafeTensors};

/// Of every number, as in `golden.rs`.
const TOLERANCE: f64 = 1e-4;

/// Folder, shared block of every use.
const MODELS: [(&str, &[usize]); 6] = [
    ("mamba2", &[]),
    ("mamba2-one-group", &[]),
    ("mamba2-head-groups", &[]),
    ("mamba2-original", &[]),
    ("zamba2", &[0, 0, 0]),
    ("zamba2-two", &[0, 1, 0]),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn model(name: &str) -> Box<dyn Model> {
    load(&folder(name), &Device::flex()).unwrap().model
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap();
    assert_eq!(view.dtype(), Dtype::F32, "{name}");
    view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let words = file.tensor(name).unwrap().data().as_chunks::<8>().0;
    words.iter().map(|b| u32::try_from(i64::from_le_bytes(*b)).unwrap()).collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    let worst = vector::worst(found, expected);
    assert!(worst < TOLERANCE, "{what} differs by {worst:e}");
}

fn logits(model: &dyn Model, ids: &[u32], executor: &mut dyn Executor) -> Vec<f32> {
    let hidden = model.forward(&Batch::new([ids]), executor).unwrap();
    into_values(model.logits(hidden))
}

/// Steps through every state in plain loops.
struct Plain;

impl Executor for Plain {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        Ok(site.mixer.recurrence(inputs, site.batch, past))
    }
}

#[test]
fn plain_recurrence_gives_the_same_model() {
    for (name, _) in MODELS {
        let model = model(name);
        let bytes = std::fs::read(folder(name).join("expected.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for n in [17, 300] {
            let found = logits(model.as_ref(), &ids(&file, &format!("ids.{n}")), &mut Plain);
            assert_close(&found, &floats(&file, &format!("logits.{n}")), name);
        }
    }
}

/// Every use is its own site with its own weights, which a new model takes over in the same order.
#[test]
fn uses_of_a_shared_block_are_sites() {
    for (name, blocks) in MODELS {
        let model = model(name);
        assert_eq!(model.ffn_blocks(), blocks, "{name}");
        let ffns: Vec<_> = model.ffns().into_iter().cloned().collect();
        let ids = [3, 1, 4, 1, 5, 9, 2, 6];
        let before = logits(model.as_ref(), &ids, &mut Dense);
        let same = model.with_ffns(ffns.clone());
        assert_eq!(logits(same.as_ref(), &ids, &mut Dense), before, "{name}");
        for cut in 0..ffns.len() {
            let mut ffns = ffns.clone();
            ffns[cut] = ffns[cut].cut(&[0, 2, 3]);
            let neurons: Vec<_> = ffns.iter().map(|ffn| ffn.neurons()).collect();
            let model = model.with_ffns(ffns);
            assert_eq!(model.ffns().iter().map(|f| f.neurons()).collect::<Vec<_>>(), neurons);
            assert_ne!(logits(model.as_ref(), &ids, &mut Dense), before, "{name}, use {cut}");
        }
    }
}

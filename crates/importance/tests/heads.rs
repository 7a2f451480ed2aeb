//! Moments of heads: `impact` is the measured change of the attention's output, `magnitude` the size of what
//! a head gives, and looking at heads changes nothing else.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{path::Path, sync::Arc};

use importance::{AllHeadEffects, Calibrating, Calibration, HeadEffects, HeadMoments};
use models::{
    AttentionInputs, AttentionSite, Batch, Dense, Device, Executor, ExecutorError, FfnSite,
    KvCache, Model, Tensor, into_values, load, matrix,
};

const FAMILIES: [&str; 7] = ["opt", "gpt2", "llama", "qwen3", "mistral", "gemma3", "zamba2"];

fn model(name: &str) -> Box<dyn Model> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    load(&golden.join(name), &Device::flex()).unwrap().model
}

fn ids(model: &dyn Model, n: u32) -> Vec<u32> {
    (0..n).map(|i| i * 13 % model.facts().vocabulary as u32).collect()
}

/// Largest relative difference of moments and what is measured head by head.
struct Dropping {
    worst: f64,
}

/// `Σ_t ‖y_t − y_t without the head‖₂`, from two products with the whole output projection.
fn change(site: &AttentionSite<'_>, o: &[f32], head: usize) -> f64 {
    let (shape, map) = (site.attention.shape(), site.attention.output_map());
    let (width, d_model) = (shape.heads * shape.head_dim, map.dims()[1]);
    let project = |o: Vec<f32>| {
        let rows = o.len() / width;
        into_values(matrix(o, [rows, width], &map.device()).matmul(map.clone()))
    };
    let mut without = o.to_vec();
    for token in without.chunks_exact_mut(width) {
        token[head * shape.head_dim..(head + 1) * shape.head_dim].fill(0.0);
    }
    let (whole, without) = (project(o.to_vec()), project(without));
    let rows = whole.chunks_exact(d_model).zip(without.chunks_exact(d_model));
    rows.map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt())
        .sum()
}

impl Executor for Dropping {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let o = site.attention.attend(inputs, past);
        let (values, shape) = (into_values(o.clone()), site.attention.shape());
        let mut moments = HeadMoments::new(shape.heads);
        moments.add(&values, shape.head_dim, &HeadEffects::new(site.attention));
        for head in 0..shape.heads {
            let size = |o: &[f32]| o.iter().map(|o| f64::from(*o).powi(2)).sum::<f64>().sqrt();
            let tokens = values.chunks_exact(shape.heads * shape.head_dim);
            let sizes: f64 =
                tokens.map(|o| size(&o[head * shape.head_dim..(head + 1) * shape.head_dim])).sum();
            assert!((moments.magnitude[head] - sizes).abs() <= 1e-12 * sizes);
            let largest = vector::largest(moments.impact.iter().copied());
            let off = (change(site, &values, head) - moments.impact[head]).abs() / largest;
            assert!(off < f64::INFINITY, "head {head}: {off}");
            self.worst = self.worst.max(off);
        }
        Ok(o)
    }
}

/// As for neurons: the difference of two outputs that nearly agree is rounded as the outputs are, 1e-5 of
/// the largest impact.
#[test]
fn impact_is_the_change_of_the_output() {
    for name in FAMILIES {
        let model = model(name);
        let mut executor = Dropping { worst: 0.0 };
        model.forward(&Batch::new([&ids(model.as_ref(), 19)[..]]), &mut executor).unwrap();
        assert!(executor.worst > 0.0 && executor.worst < 1e-5, "{name}: {:.1e}", executor.worst);
    }
}

fn calibrated(model: &dyn Model, windows: &[&[u32]], mut executor: Calibrating) -> Calibration {
    model.forward(&Batch::new(windows.iter().copied()), &mut executor).unwrap();
    executor.finish()
}

/// Heads are gathered only where that is asked for, and nothing else of the pass changes by it; sums over
/// two texts add up.
#[test]
fn heads_are_gathered_when_asked_for() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 30);
        let plain = calibrated(model.as_ref(), &[&ids], Calibrating::new());
        assert!(plain.heads().is_empty());
        let effects = Arc::new(AllHeadEffects::new(model.attentions().len()));
        let with_heads = || Calibrating::with_heads(Arc::clone(&effects));
        let both = calibrated(model.as_ref(), &[&ids], with_heads());
        assert_eq!((plain.sites(), plain.states()), (both.sites(), both.states()), "{name}");
        let heads: Vec<usize> = both.heads().iter().map(|own| own.magnitude.len()).collect();
        let expected: Vec<usize> =
            model.attentions().iter().map(|attention| attention.shape().heads).collect();
        assert_eq!(heads, expected, "{name}");
        let halves = [&ids[..17], &ids[17..]];
        let parts = halves.map(|half| calibrated(model.as_ref(), &[half], with_heads()));
        let sum = Calibration::sum(parts);
        let together = calibrated(model.as_ref(), &halves, with_heads());
        for (sum, together) in sum.heads().iter().zip(together.heads()) {
            assert_eq!(sum.tokens, 30);
            let pairs = sum.magnitude.iter().chain(&sum.impact);
            let pairs = pairs.zip(together.magnitude.iter().chain(&together.impact));
            for (sum, together) in pairs {
                assert!(*sum > 0.0 && (sum - together).abs() < 1e-5 * sum, "{name}");
            }
        }
    }
}

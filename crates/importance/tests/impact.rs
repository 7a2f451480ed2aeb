//! `impact` is what its definition says: the measured change of the block's output without the neuron.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;

use importance::{Draw, Impact, Moments, Score as _, SiteWeights};
use models::{
    Batch, Dense, Device, Executor, ExecutorError, FfnSite, Tensor, Values, into_values, load,
};

/// Largest difference of `impact` and the measured change, relative.
struct Dropping {
    worst: f64,
}

/// `Σ_t ‖y_t − y_t without neuron i‖₂`, from two products of the block's own down projection.
fn change(site: &FfnSite<'_>, h: &Tensor<2>, whole: &[f32], i: usize) -> f64 {
    let neurons = site.ffn.neurons();
    let mut without = Values::of(h.clone());
    without.iter_mut().skip(i).step_by(neurons).for_each(|h| *h = 0.0);
    let without = into_values(site.ffn.project(without.into_tensor()));
    let d_model = site.ffn.down.widths().1;
    let rows = whole.chunks_exact(d_model).zip(without.chunks_exact(d_model));
    rows.map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt())
        .sum()
}

impl Executor for Dropping {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = site.ffn.hidden(x.clone());
        let whole = into_values(site.ffn.project(h.clone()));
        let mut moments = Moments::new(site.ffn.neurons());
        moments.add(&into_values(h.clone()));
        let impact =
            Impact.score(&SiteWeights::of(site.ffn), &moments, &Draw::of_site(1, site.index));
        let largest = vector::largest(impact.iter().copied());
        let off =
            |(i, impact): (usize, &f64)| (change(site, &h, &whole, i) - impact).abs() / largest;
        self.worst = self.worst.max(vector::largest(impact.iter().enumerate().map(off)));
        Dense.ffn(site, x)
    }
}

/// The difference of two outputs that nearly agree is rounded as the outputs are, at 1e-7 of some dozen
/// times the change: 1e-5 of the largest impact.
#[test]
fn impact_is_the_change_of_the_output() {
    for name in ["opt", "gpt2", "llama", "llama-relu", "gemma3", "zamba2"] {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden").join(name);
        let model = load(&folder, &Device::flex()).unwrap().model;
        let ids: Vec<u32> = (0..19).map(|i| i * 13 % model.facts().vocabulary as u32).collect();
        let mut executor = Dropping { worst: 0.0 };
        model.forward(&Batch::new([&ids[..]]), &mut executor).unwrap();
        assert!(executor.worst > 0.0 && executor.worst < 1e-5, "{name}: {:.1e}", executor.worst);
    }
}

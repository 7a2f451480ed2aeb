//! Ablations from a shared dense prefix against whole forward passes without the neuron or channel.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;

use importance::{Ablation, Dropped, ablate};
use models::{
    Batch, Dense, Device, Executor, ExecutorError, FfnSite, Model, RecurrentState, StateInputs,
    StateSite, Tensor, Values, load, predictions,
};

/// The obvious way: the whole model once more, with zeros.
struct Zeroing(Ablation);

fn zeroed(values: Tensor<2>, column: usize, at: impl Fn(usize) -> bool) -> Tensor<2> {
    let [tokens, width] = values.dims();
    let mut values = Values::of(values);
    for token in (0..tokens).filter(|token| at(*token)) {
        values[token * width + column] = 0.0;
    }
    values.into_tensor()
}

impl Executor for Zeroing {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        match self.0 {
            Ablation { site: index, dropped: Dropped::Neuron(i) } if index == site.index => {
                Ok(site.ffn.project(zeroed(site.ffn.hidden(x), i, |_| true)))
            }
            _ => Dense.ffn(site, x),
        }
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let StateInputs { mut b, mut c, .. } = inputs.clone();
        if self.0.site == site.index {
            match self.0.dropped {
                Dropped::Neuron(_) => {}
                Dropped::Channel(n) => c = zeroed(c, n, |_| true),
                Dropped::ChannelRead(n, w) => c = zeroed(c, n, |t| (t / w) % 2 == 1),
                Dropped::ChannelWrite(n, w) => {
                    c = zeroed(c, n, |t| (t / w) % 2 == 1);
                    b = zeroed(b, n, |t| (t / w) % 2 == 1);
                }
            }
        }
        Ok(site.mixer.recurrence(StateInputs { b, c, ..inputs }, site.batch, past))
    }
}

fn nll(model: &dyn Model, ids: &[u32], executor: &mut dyn Executor) -> f64 {
    let hidden = model.forward(&Batch::new([ids]), executor).unwrap();
    let targets = &ids[1..];
    let hidden = hidden.narrow(0, 0, targets.len());
    predictions(model, hidden, targets).unwrap().iter().map(|p| -p.logprob).sum()
}

/// Both ways compute the same numbers in another order: Σ NLL of 33 targets is rounded at some 1e-5.
#[test]
fn a_shared_prefix_gives_what_whole_passes_give() {
    for name in ["opt", "llama", "gemma3", "mamba2-head-groups", "zamba2"] {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden").join(name);
        let model = load(&folder, &Device::flex()).unwrap().model;
        let model = model.as_ref();
        let vocabulary = model.facts().vocabulary;
        let ids: Vec<u32> = (0..34).map(|i| ((i * 37 + i * i) % vocabulary) as u32).collect();
        let mut ablations = Vec::new();
        for (site, ffn) in model.ffns().iter().enumerate() {
            let last = ffn.neurons() - 1;
            ablations.extend([0, 3, last].map(|i| Ablation { site, dropped: Dropped::Neuron(i) }));
        }
        for (site, mixer) in model.mixers().iter().enumerate() {
            let last = mixer.shape().mixed() - 1;
            let of = |n| {
                let ways = [
                    Dropped::Channel(n),
                    Dropped::ChannelRead(n, 4),
                    Dropped::ChannelWrite(n, 4),
                    Dropped::ChannelRead(n, 1),
                ];
                ways.map(|dropped| Ablation { site, dropped })
            };
            ablations.extend([0, last].into_iter().flat_map(of));
        }
        // In any order: what is asked for first need not stand in the first layer.
        ablations.reverse();
        let rises = ablate(model, &ids, &ablations).unwrap();
        let dense = nll(model, &ids, &mut Dense);
        assert!(rises.iter().any(|rise| rise.abs() > 1e-3), "{name}: nothing matters?");
        for (ablation, rise) in ablations.iter().zip(rises) {
            let expected = nll(model, &ids, &mut Zeroing(*ablation)) - dense;
            assert!((rise - expected).abs() < 2e-4, "{name} {ablation:?}: {rise}, {expected}");
        }
    }
}

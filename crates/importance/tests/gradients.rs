//! The gradients of every family against central finite differences of the loss, and their sums.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

use std::path::{Path, PathBuf};

use importance::Gradients;
use models::{
    AttentionInputs, AttentionSite, Batch, Device, Executor, ExecutorError, FfnSite, KvCache,
    Model, RecurrentState, StateInputs, StateSite, Tensor, Values, load, predictions,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden").join(name)
}

fn model(name: &str, device: &Device) -> Box<dyn Model> {
    load(&golden(name), device).unwrap_or_else(|e| panic!("{name}: {e}")).model
}

fn ids(model: &dyn Model, n: usize) -> Vec<u32> {
    (0..n).map(|i| ((i * 37 + i * i * 11) % model.facts().vocabulary) as u32).collect()
}

/// What a site hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Neurons,
    Channels,
    Heads,
}

/// Multiplies one column of what a site hands over by a factor, at every token.
struct Scaling {
    of: Of,
    site: usize,
    column: usize,
    factor: f32,
}

impl Scaling {
    fn apply(&self, of: Of, site: usize, values: Tensor<2>) -> Tensor<2> {
        if (of, site) != (self.of, self.site) {
            return values;
        }
        let [_, width] = values.dims();
        let mut values = Values::of(values);
        values.iter_mut().skip(self.column).step_by(width).for_each(|v| *v *= self.factor);
        values.into_tensor()
    }
}

impl Executor for Scaling {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Ok(site.ffn.project(self.apply(Of::Neurons, site.index, site.ffn.hidden(x))))
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let c = self.apply(Of::Channels, site.index, inputs.c);
        Ok(site.mixer.scan(StateInputs { c, ..inputs }, site.batch, past))
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        Ok(self.apply(Of::Heads, site.index, site.attention.attend(inputs, past)))
    }
}

fn mean_nll(model: &dyn Model, ids: &[u32], executor: &mut dyn Executor) -> f64 {
    let hidden = model.forward(&Batch::new([ids]), executor).unwrap();
    let targets = &ids[1..];
    let hidden = hidden.narrow(0, 0, targets.len());
    let sum: f64 = predictions(model, hidden, targets).unwrap().iter().map(|p| -p.logprob).sum();
    sum / targets.len() as f64
}

/// `Σ_t g_ti·h_ti` is the slope of the mean NLL in a factor on neuron i (or on C' of channel i, or on number
/// i of what the heads give).
///
/// The slope of the loss is taken from differences over ±1/64 and ±1/128, joined so that third
/// derivatives cancel (Richardson). The mean NLL is rounded at some 1e-7 of 5 nats, which the joined
/// quotient multiplies by 200: 1e-4. Before a ReLU the loss has kinks, and a step that makes a later
/// neuron fall silent at one of 21 tokens is off by what that neuron did. That gets less with the step, and
/// rounding more: a quarter of the steps there, 4e-4 of rounding, and 1e-3 in all.
#[test]
fn slopes_are_those_of_finite_differences() {
    const WIDE: [f32; 2] = [1.0 / 64.0, 1.0 / 128.0];
    const FINE: [f32; 2] = [1.0 / 256.0, 1.0 / 512.0];
    const SMOOTH: f64 = 1e-4;
    const KINKS: f64 = 1e-3;
    let families = [
        ("opt", KINKS),
        ("opt-post-norm", KINKS),
        ("gpt2", SMOOTH),
        ("llama", SMOOTH),
        ("llama-relu", KINKS),
        ("qwen2", SMOOTH),
        ("qwen3", SMOOTH),
        ("gemma3", SMOOTH),
        ("mistral", SMOOTH),
        ("mamba2", SMOOTH),
        ("mamba2-head-groups", SMOOTH),
        ("zamba2", SMOOTH),
        ("zamba2-two", SMOOTH),
    ];
    for (name, allowed) in families {
        let plain = model(name, &Device::flex());
        let ids = ids(plain.as_ref(), 21);
        let recorded = model(name, &Device::flex().autodiff());
        let gradients = Gradients::of(recorded.as_ref(), &ids).unwrap();
        let steps = if allowed > SMOOTH { FINE } else { WIDE };
        let (mut worst, mut n) = (0.0_f64, 0);
        let all = [
            (Of::Neurons, &gradients.ffn),
            (Of::Channels, &gradients.states),
            (Of::Heads, &gradients.heads),
        ];
        for (of, sites) in all {
            for (site, slopes) in sites.iter().enumerate() {
                let columns = slopes.slope.len();
                for column in (0..columns).step_by(columns.div_ceil(5)) {
                    let at = |factor| {
                        let mut scaling = Scaling { of, site, column, factor };
                        mean_nll(plain.as_ref(), &ids, &mut scaling)
                    };
                    let [wide, narrow] =
                        steps.map(|h| (at(1.0 + h) - at(1.0 - h)) / (2.0 * f64::from(h)));
                    let expected = (4.0 * narrow - wide) / 3.0;
                    let found = slopes.slope[column];
                    let off = (found - expected).abs();
                    assert!(off < allowed, "{name} {of:?} {site}.{column}: {found}, {expected}");
                    worst = worst.max(off);
                    n += 1;
                }
            }
        }
        println!("{name}: {n} slopes, largest difference {worst:.1e}");
        assert!(n > 0, "{name}");
    }
}

/// Sums over two texts add up, and each is what it is alone.
#[test]
fn halves_add_up() {
    let model = model("zamba2", &Device::flex().autodiff());
    let ids = ids(model.as_ref(), 30);
    let halves = [&ids[..17], &ids[17..]].map(|half| Gradients::of(model.as_ref(), half).unwrap());
    let sum = Gradients::sum(halves.clone());
    for (site, sum) in sum.ffn.iter().enumerate() {
        let parts = halves.each_ref().map(|half| &half.ffn[site]);
        assert_eq!(sum.tokens, 30);
        for (i, slope) in sum.slope.iter().enumerate() {
            assert_eq!(*slope, parts[0].slope[i] + parts[1].slope[i]);
            assert_eq!(sum.squared[i], parts[0].squared[i] + parts[1].squared[i]);
            assert!(sum.squared[i] * 30.0 >= slope * slope, "Cauchy and Schwarz");
        }
    }
}

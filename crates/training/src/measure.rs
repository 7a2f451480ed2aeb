//! What a model can do at some point of its training: held-out loss, last words, sparsity by layer.

use corpora::{Item, Request};
use evaluation::{Passes, evaluate};
use models::{
    Architecture, Dense, Device, Executor, ExecutorError, FfnSite, Parameters, Tensor, Values,
};
use tables::LayerRow;

use crate::{loss::StepError, text::groups};

/// Tokens that are run at a time.
const TOKENS_AT_A_TIME: usize = 4096;

/// A measurement.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Mean −ln p of held-out tokens, nats.
    pub(crate) nats: f64,
    /// Share of passages whose last word has the largest logit.
    pub(crate) accuracy: f64,
    /// Activity of every site on the held-out documents.
    pub(crate) sites: Vec<Activity>,
}

impl Measured {
    /// Share of exact zeros over all sites, each with the same weight.
    pub(crate) fn natural_sparsity(&self) -> f64 {
        let shares = self.sites.iter().map(Activity::natural_sparsity);
        // A sum of nothing is −0, which would be shown.
        (0.0 + shares.sum::<f64>()) / self.sites.len().max(1) as f64
    }

    /// Neurons that never fired, and all neurons.
    pub(crate) fn dead(&self) -> (usize, usize) {
        let dead = self.sites.iter().map(Activity::dead).sum();
        (dead, self.sites.iter().map(|site| site.fired.len()).sum())
    }

    pub(crate) fn rows(&self, step: usize) -> impl Iterator<Item = LayerRow> {
        self.sites.iter().enumerate().map(move |(index, site)| LayerRow {
            step: step as u32,
            site: index as u32,
            neurons: site.fired.len() as u32,
            natural_sparsity: site.natural_sparsity(),
            mean_abs_h: site.sum_abs / site.entries.max(1) as f64,
            dead_neurons: site.dead() as u32,
            tokens: (site.entries / site.fired.len().max(1)) as u64,
            heldout_nats: self.nats,
            accuracy: self.accuracy,
        })
    }
}

/// The hidden vectors of a site, summed up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    entries: usize,
    zeros: usize,
    sum_abs: f64,
    /// Whether a neuron was ever not zero.
    fired: Vec<bool>,
}

impl Activity {
    fn natural_sparsity(&self) -> f64 {
        self.zeros as f64 / self.entries.max(1) as f64
    }

    fn dead(&self) -> usize {
        self.fired.iter().filter(|fired| !**fired).count()
    }
}

/// Dense, and watches the hidden vectors.
#[derive(Default)]
struct Watching {
    sites: Vec<Activity>,
}

impl Executor for Watching {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = Values::of(site.ffn.hidden(x));
        let neurons = site.ffn.neurons();
        if self.sites.len() <= site.index {
            self.sites.resize_with(site.index + 1, Activity::default);
        }
        let activity = &mut self.sites[site.index];
        activity.fired.resize(neurons, false);
        activity.entries += h.len();
        for row in h.chunks_exact(neurons) {
            let mut sum = 0.0_f32;
            for (value, fired) in row.iter().zip(&mut activity.fired) {
                activity.zeros += usize::from(*value == 0.0);
                *fired |= *value != 0.0;
                sum += value.abs();
            }
            activity.sum_abs += f64::from(sum);
        }
        Ok(site.ffn.project(h.into_tensor()))
    }
}

/// Measures the parameters as they are, without gradients.
pub(crate) fn measure(
    architecture: &Architecture,
    parameters: &Parameters,
    heldout: &[Vec<u32>],
    items: &[Vec<u32>],
) -> Result<Measured, StepError> {
    let model = architecture.build(parameters, &Device::flex())?;
    let mut watching = Watching::default();
    let (mut nll, mut targets) = (0.0, 0);
    for windows in groups(heldout, TOKENS_AT_A_TIME) {
        let windows = Item::windows(windows.iter().cloned());
        for window in evaluate(model.as_ref(), &mut watching, &windows, Passes::Whole, None)? {
            nll -= window.logprob_nats;
            targets += window.n_targets;
        }
    }
    let right = is_last_right(architecture, parameters, items)?;
    Ok(Measured {
        nats: nll / targets.max(1) as f64,
        accuracy: right.iter().filter(|right| **right).count() as f64 / items.len().max(1) as f64,
        sites: watching.sites,
    })
}

/// Of every passage, whether its last id has the largest logit after the others.
pub(crate) fn is_last_right(
    architecture: &Architecture,
    parameters: &Parameters,
    items: &[Vec<u32>],
) -> Result<Vec<bool>, StepError> {
    let model = architecture.build(parameters, &Device::flex())?;
    let mut right = Vec::with_capacity(items.len());
    for passages in groups(items, TOKENS_AT_A_TIME) {
        // A passage that has but one id asks nothing.
        let request = |ids: &Vec<u32>| Request::continuation(ids.clone(), 1);
        let passages: Vec<Item> =
            passages.iter().filter_map(request).map(|own| Item::single(0, own)).collect();
        let results = evaluate(model.as_ref(), &mut Dense, &passages, Passes::Whole, None)?;
        right.extend(results.iter().map(|result| result.is_greedy));
    }
    Ok(right)
}

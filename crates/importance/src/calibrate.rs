//! One pass over a calibration text: the moments of every site.

use models::{Executor, ExecutorError, FfnSite, Tensor, Values};

use crate::{Draw, Moments, Score, SiteWeights};

/// Runs the dense model and adds up the moments of every site.
#[derive(Debug, Default)]
pub struct Calibrating {
    sites: Vec<Moments>,
}

impl Calibrating {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was seen.
    pub fn finish(self) -> Calibration {
        Calibration { sites: self.sites }
    }
}

impl Executor for Calibrating {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = Values::of(site.ffn.hidden(x));
        while self.sites.len() <= site.index {
            self.sites.push(Moments::new(site.ffn.neurons()));
        }
        self.sites[site.index].add(&h);
        Ok(site.ffn.project(h.into_tensor()))
    }
}

/// The moments of every site over a calibration text.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    sites: Vec<Moments>,
}

impl Calibration {
    /// Of no text, for scores that need none: one entry of `neurons` a site.
    pub fn without_text(neurons: impl IntoIterator<Item = usize>) -> Self {
        Self { sites: neurons.into_iter().map(Moments::new).collect() }
    }

    /// The moments of several texts together, added in order.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or(Self { sites: Vec::new() });
        for part in parts {
            for (sum, part) in sum.sites.iter_mut().zip(&part.sites) {
                sum.merge(part);
            }
        }
        sum
    }

    /// Scores of one site.
    pub fn score(
        &self,
        site: usize,
        score: &dyn Score,
        weights: &SiteWeights,
        seed: u64,
    ) -> Vec<f64> {
        score.score(weights, &self.sites[site], &Draw::of_site(seed, site))
    }

    /// Moments of every site.
    pub fn sites(&self) -> &[Moments] {
        &self.sites
    }
}

//! One pass over a calibration text: the moments of every site.

use models::{Executor, ExecutorError, FfnSite, Tensor, Values};

use crate::{Draw, Gradients, Moments, Score, SiteWeights};

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

    /// The same with the moments of all sites of one block added up, at each of them.
    ///
    /// `blocks` has one entry a site, see [`models::Model::ffn_blocks`].
    pub fn pooled(&self, blocks: &[usize]) -> Self {
        let sum_of = |block: usize| {
            let mut sites = self.sites.iter().zip(blocks).filter(|(_, b)| **b == block);
            let mut sum = sites.next().map(|(site, _)| site.clone()).unwrap_or_default();
            sites.for_each(|(site, _)| sum.merge(site));
            sum
        };
        Self { sites: blocks.iter().map(|block| sum_of(*block)).collect() }
    }

    /// Takes in the slopes of the same text.
    pub fn add_gradients(&mut self, gradients: &Gradients) {
        for (site, slopes) in self.sites.iter_mut().zip(&gradients.ffn) {
            site.slope.clone_from(&slopes.slope);
            site.slope_squared.clone_from(&slopes.squared);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_blocks_are_pooled_and_others_left() {
        let site = |h: [f32; 2]| {
            let mut moments = Moments::new(2);
            moments.add(&h);
            moments
        };
        let calibration =
            Calibration { sites: vec![site([1.0, -2.0]), site([5.0, 6.0]), site([0.5, 4.0])] };
        let pooled = calibration.pooled(&[0, 1, 0]);
        assert_eq!(pooled.sites[0].magnitude, [1.5, 6.0]);
        assert_eq!(pooled.sites[0], pooled.sites[2]);
        assert_eq!(pooled.sites[1], calibration.sites[1]);
        assert_eq!(calibration.pooled(&[0, 1, 2]), calibration);
    }
}

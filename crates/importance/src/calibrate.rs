//! One pass over a calibration text: the moments of every site.

use std::sync::Arc;

use models::{
    AttentionInputs, AttentionSite, Executor, ExecutorError, FfnSite, KvCache, Model,
    RecurrentState, StateInputs, StateRows, StateSite, Tensor, Values,
};

use crate::{
    AllHeadEffects, Draw, Gradients, HeadMoments, HeadScore, Moments, Score, SiteWeights, Slopes,
    StateMoments, StateScore, StateWeights,
};

/// Runs the dense model and adds up the moments of every site, feed-forward blocks and states alike; those
/// of attention heads where they are asked for.
#[derive(Debug, Default)]
pub struct Calibrating {
    sites: Vec<Moments>,
    states: Vec<StateMoments>,
    heads: Vec<HeadMoments>,
    effects: Option<Arc<AllHeadEffects>>,
}

impl Calibrating {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing seen yet; heads are looked at too, which makes a pass a third to a half longer. Passes over
    /// several texts share the effects.
    pub fn with_heads(effects: Arc<AllHeadEffects>) -> Self {
        Self { effects: Some(effects), ..Self::default() }
    }

    /// What was seen.
    pub fn finish(self) -> Calibration {
        Calibration { sites: self.sites, states: self.states, heads: self.heads }
    }
}

impl Executor for Calibrating {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = Values::of(site.ffn.hidden(x));
        if let Some(at) = h.iter().position(|h| !h.is_finite()) {
            let (token, neuron) = (at / site.ffn.neurons(), at % site.ffn.neurons());
            return Err(ExecutorError::NonFinite {
                layer: site.layer,
                token,
                neuron,
                value: h[at],
            });
        }
        while self.sites.len() <= site.index {
            self.sites.push(Moments::new(site.ffn.neurons()));
        }
        self.sites[site.index].add(&h);
        Ok(site.ffn.project(h.into_tensor()))
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let shape = site.mixer.shape();
        while self.states.len() <= site.index {
            self.states.push(StateMoments::new(shape.mixed(), shape.heads, shape.groups));
        }
        let moments = &mut self.states[site.index];
        let (rows, rates) = (StateRows::of(inputs), site.mixer.decay_rates());
        for sequence in site.batch.sequences() {
            let mut state = past.as_ref().map_or_else(Vec::new, |past| past.state().to_vec());
            let energies = site.mixer.energies(rows.writes(sequence.clone()), &mut state);
            if let Some(at) = energies.iter().position(|energy| !energy.is_finite()) {
                let (token, channel) = (sequence.start + at / shape.mixed(), at % shape.mixed());
                let (layer, value) = (site.layer, energies[at]);
                return Err(ExecutorError::NonFiniteState { layer, token, channel, value });
            }
            moments.add(&energies, rows.reads(sequence.clone()));
            moments.add_decay(rows.steps(sequence), &rates);
            moments.add_held(&state);
        }
        Ok(site.mixer.scan(rows.into_inputs(), site.batch, past))
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let o = site.attention.attend(inputs, past);
        let Some(effects) = &self.effects else { return Ok(o) };
        let (shape, o) = (site.attention.shape(), Values::of(o));
        if let Some(at) = o.iter().position(|o| !o.is_finite()) {
            let (token, at_token) =
                (at / (shape.heads * shape.head_dim), at % (shape.heads * shape.head_dim));
            let (layer, head, value) = (site.layer, at_token / shape.head_dim, o[at]);
            return Err(ExecutorError::NonFiniteHead { layer, token, head, value });
        }
        while self.heads.len() <= site.index {
            self.heads.push(HeadMoments::new(shape.heads));
        }
        let effects = effects.of_site(site.index, site.attention);
        self.heads[site.index].add(&o, shape.head_dim, effects);
        Ok(o.into_tensor())
    }
}

/// The moments of every site over a calibration text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    sites: Vec<Moments>,
    states: Vec<StateMoments>,
    /// Empty where heads were not looked at.
    heads: Vec<HeadMoments>,
}

impl Calibration {
    /// Of no text, for scores that need none: all sites of a model, states and attentions too.
    pub fn of_no_text(model: &dyn Model) -> Self {
        let shapes = model.mixers().into_iter().map(|mixer| mixer.shape());
        let states = shapes
            .map(|shape| StateMoments::new(shape.mixed(), shape.heads, shape.groups))
            .collect();
        let neurons = model.ffns().into_iter().map(|ffn| ffn.neurons());
        let heads = model.attentions().into_iter().map(|attention| attention.shape().heads);
        Self {
            sites: neurons.map(Moments::new).collect(),
            states,
            heads: heads.map(HeadMoments::new).collect(),
        }
    }

    /// The moments of several texts together, added in order.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or_default();
        for part in parts {
            sum.sites.iter_mut().zip(&part.sites).for_each(|(sum, part)| sum.merge(part));
            sum.states.iter_mut().zip(&part.states).for_each(|(sum, part)| sum.merge(part));
            sum.heads.iter_mut().zip(&part.heads).for_each(|(sum, part)| sum.merge(part));
        }
        sum
    }

    /// The same with the moments of all feed-forward sites of one block added up, at each of them; all else
    /// as it is.
    ///
    /// `blocks` has one entry a site, see [`models::Model::ffn_blocks`].
    pub fn pooled(&self, blocks: &[usize]) -> Self {
        Self { sites: pooled(&self.sites, blocks, Moments::merge), ..self.clone() }
    }

    /// The same of attentions, by [`models::Model::attention_blocks`].
    pub fn pooled_heads(&self, blocks: &[usize]) -> Self {
        Self { heads: pooled(&self.heads, blocks, HeadMoments::merge), ..self.clone() }
    }

    /// Of moments that were measured before, one entry a site; nothing is known of heads.
    pub fn from_parts(sites: Vec<Moments>, states: Vec<StateMoments>) -> Self {
        Self { sites, states, heads: Vec::new() }
    }

    /// Of gradients alone, for the scores that need nothing else.
    pub fn of_gradients(model: &dyn Model, gradients: &Gradients) -> Self {
        let mut calibration = Self::of_no_text(model);
        for (site, slopes) in calibration.sites.iter_mut().zip(&gradients.ffn) {
            site.slope.clone_from(&slopes.slope);
            site.slope_squared.clone_from(&slopes.squared);
            site.tokens = slopes.tokens;
        }
        for (state, slopes) in calibration.states.iter_mut().zip(&gradients.states) {
            state.slope.clone_from(&slopes.slope);
            state.tokens = slopes.tokens;
        }
        let attentions = model.attentions().into_iter().zip(&gradients.heads);
        for (heads, (attention, slopes)) in calibration.heads.iter_mut().zip(attentions) {
            heads.slope = by_head(slopes, attention.shape().head_dim);
            heads.tokens = slopes.tokens;
        }
        calibration
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

    /// Scores of the channels of one state.
    pub fn score_state(
        &self,
        site: usize,
        score: &dyn StateScore,
        weights: &StateWeights,
        seed: u64,
    ) -> Vec<f64> {
        score.score(weights, &self.states[site], &Draw::of_state_site(seed, site))
    }

    /// Scores of the heads of one attention.
    pub fn score_heads(&self, site: usize, score: &dyn HeadScore, seed: u64) -> Vec<f64> {
        score.score(&self.heads[site], &Draw::of_attention_site(seed, site))
    }

    /// Moments of every feed-forward site.
    pub fn sites(&self) -> &[Moments] {
        &self.sites
    }

    /// Moments of every state site.
    pub fn states(&self) -> &[StateMoments] {
        &self.states
    }

    /// Moments of every attention; none where heads were not looked at.
    pub fn heads(&self) -> &[HeadMoments] {
        &self.heads
    }
}

/// What the numbers of a head say together.
fn by_head(slopes: &Slopes, head_dim: usize) -> Vec<f64> {
    slopes.slope.chunks_exact(head_dim).map(|of_head| of_head.iter().sum()).collect()
}

/// The sums over all sites of one block, at each of them.
fn pooled<T: Clone + Default>(sites: &[T], blocks: &[usize], merge: fn(&mut T, &T)) -> Vec<T> {
    let sum_of = |block: usize| {
        let mut sites = sites.iter().zip(blocks).filter(|(_, b)| **b == block);
        let mut sum = sites.next().map(|(site, _)| site.clone()).unwrap_or_default();
        sites.for_each(|(site, _)| merge(&mut sum, site));
        sum
    };
    blocks.iter().map(|block| sum_of(*block)).collect()
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
        let sites = vec![site([1.0, -2.0]), site([5.0, 6.0]), site([0.5, 4.0])];
        let calibration = Calibration { sites, ..Calibration::default() };
        let pooled = calibration.pooled(&[0, 1, 0]);
        assert_eq!(pooled.sites[0].magnitude, [1.5, 6.0]);
        assert_eq!(pooled.sites[0], pooled.sites[2]);
        assert_eq!(pooled.sites[1], calibration.sites[1]);
        assert_eq!(calibration.pooled(&[0, 1, 2]), calibration);
    }
}

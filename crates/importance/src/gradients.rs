//! Gradients of the loss at what can be pruned, layer by layer from the last to the first.
//! [`stream_gradients`] says how.

use models::{
    AttentionInputs, AttentionSite, Executor, ExecutorError, FfnSite, KvCache, Model,
    RecordedGradients, RecurrentState, StateInputs, StateSite, StreamGradient, Tensor, Values,
    recorded_gradient, stream_gradients,
};

/// Sums over tokens of one site, in `f64`, tokens added in order; `g` is the gradient of the mean NLL of
/// the token's own sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slopes {
    /// `Σ_t g_ti·v_ti`, one entry a neuron (`v = h`), channel (`v = C'`) or number of a head (`v = o`).
    pub slope: Vec<f64>,
    /// `Σ_t (g_ti·v_ti)²`.
    pub squared: Vec<f64>,
    /// Number of tokens.
    pub tokens: u64,
}

impl Slopes {
    /// # Shapes
    /// - `values` and `gradient`: `[tokens, entries]`
    fn add(&mut self, values: &[f32], gradient: &[f32], entries: usize) {
        self.slope.resize(entries, 0.0);
        self.squared.resize(entries, 0.0);
        for (values, gradient) in values.chunks_exact(entries).zip(gradient.chunks_exact(entries)) {
            let sums = self.slope.iter_mut().zip(&mut self.squared);
            for ((v, g), (slope, squared)) in values.iter().zip(gradient).zip(sums) {
                let product = f64::from(*v) * f64::from(*g);
                *slope += product;
                *squared += product * product;
            }
            self.tokens += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        let add = |sums: &mut Vec<f64>, more: &[f64]| {
            sums.resize(more.len(), 0.0);
            sums.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        };
        add(&mut self.slope, &other.slope);
        add(&mut self.squared, &other.squared);
        self.tokens += other.tokens;
    }
}

/// The slopes of every site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients {
    /// One entry a feed-forward site: of the hidden `h`.
    pub ffn: Vec<Slopes>,
    /// One entry a state site: of `C'`.
    pub states: Vec<Slopes>,
    /// One entry an attention: of the `heads · head_dim` numbers that its heads give.
    pub heads: Vec<Slopes>,
}

impl Gradients {
    /// Of one sequence. The model must lie on a device that records gradients.
    ///
    /// # Errors
    /// What the model refuses, a model that overflows, and a site that leads to no loss.
    pub fn of(model: &dyn Model, ids: &[u32]) -> Result<Self, ExecutorError> {
        let mut gradients = Self {
            ffn: vec![Slopes::default(); model.ffns().len()],
            states: vec![Slopes::default(); model.mixers().len()],
            heads: vec![Slopes::default(); model.attentions().len()],
        };
        stream_gradients(model, ids, |at: StreamGradient<'_, Recording>| {
            let Some((recording, recorded)) = at.recorded else { return Ok(()) };
            for site in &recording.ffn {
                site.add_to(&mut gradients.ffn[site.index], recorded, at.layer, "neuron")?;
            }
            for site in &recording.states {
                let slopes = &mut gradients.states[site.index];
                site.add_to(slopes, recorded, at.layer, "state channel")?;
            }
            for site in &recording.heads {
                let slopes = &mut gradients.heads[site.index];
                site.add_to(slopes, recorded, at.layer, "head output")?;
            }
            Ok(())
        })?;
        Ok(gradients)
    }

    /// Those of several sequences together, added in order.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or_default();
        for part in parts {
            sum.ffn.iter_mut().zip(&part.ffn).for_each(|(a, b)| a.merge(b));
            sum.states.iter_mut().zip(&part.states).for_each(|(a, b)| a.merge(b));
            sum.heads.iter_mut().zip(&part.heads).for_each(|(a, b)| a.merge(b));
        }
        sum
    }
}

/// What a site adds up, and the leaf whose gradient is that of it.
struct Site {
    index: usize,
    values: Tensor<2>,
    leaf: Tensor<2>,
}

impl Site {
    fn add_to(
        &self,
        slopes: &mut Slopes,
        recorded: &mut RecordedGradients,
        layer: usize,
        what: &'static str,
    ) -> Result<(), ExecutorError> {
        let [_, entries] = self.leaf.dims();
        let named = || format!("layer {layer}: each {what}");
        let gradient = recorded_gradient(&self.leaf, recorded, named)?;
        slopes.add(&Values::of(self.values.clone()), &Values::of(gradient), entries);
        let sums = slopes.slope.iter().zip(&slopes.squared);
        match sums.map(|(a, b)| a + b).position(|sum| !sum.is_finite()) {
            None => Ok(()),
            Some(index) => Err(ExecutorError::NonFiniteGradient { layer, what, index }),
        }
    }
}

/// Runs densely with a leaf of zeros added to whatever is to have a gradient.
#[derive(Default)]
struct Recording {
    ffn: Vec<Site>,
    states: Vec<Site>,
    heads: Vec<Site>,
}

fn with_leaf(index: usize, values: Tensor<2>) -> (Tensor<2>, Site) {
    let leaf = Tensor::zeros(values.dims(), &values.device()).require_grad();
    let recorded = values.clone() + leaf.clone();
    (recorded, Site { index, values: values.inner(), leaf })
}

impl Executor for Recording {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let (h, leaf) = with_leaf(site.index, site.ffn.hidden(x));
        self.ffn.push(leaf);
        Ok(site.ffn.project(h))
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let (c, leaf) = with_leaf(site.index, inputs.c);
        self.states.push(leaf);
        Ok(site.mixer.scan(StateInputs { c, ..inputs }, site.batch, past))
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let (o, leaf) = with_leaf(site.index, site.attention.attend(inputs, past));
        self.heads.push(leaf);
        Ok(o)
    }
}

#[cfg(test)]
mod tests {
    use models::Device;

    use super::*;

    #[test]
    fn an_infinite_gradient_is_an_error() {
        let device = Device::flex().autodiff();
        let site = Site {
            index: 0,
            values: Tensor::ones([1, 2], &Device::flex()),
            leaf: Tensor::<2>::ones([1, 2], &device).require_grad(),
        };
        let mut recorded = (site.leaf.clone() * f32::MAX * 2.0).sum().backward();
        let error = site.add_to(&mut Slopes::default(), &mut recorded, 3, "neuron");
        let error = error.expect_err("2e38 twice over").to_string();
        assert!(error.starts_with("layer 3: a gradient of neuron 0"), "{error}");
    }
}

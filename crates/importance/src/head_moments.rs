//! The sums over tokens that the scores of attention heads are made of.

use std::sync::OnceLock;

use models::{Attention, into_values};

/// What the heads of one attention gave, summed over tokens in `f64`, tokens added in order. `o_th` is the
/// output of query head h at token t, `head_dim` numbers before the output projection `W_o`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadMoments {
    /// `Σ_t ‖o_th‖₂`, one entry a query head.
    pub magnitude: Vec<f64>,
    /// `Σ_t ‖W_o[:, h]·o_th‖₂`, in the same way.
    pub impact: Vec<f64>,
    /// `Σ_t g_th·o_th` with `g = ∂(mean NLL)/∂o`; empty where no gradient was taken.
    pub slope: Vec<f64>,
    /// Number of tokens.
    pub tokens: u64,
}

impl HeadMoments {
    /// Of no token.
    pub fn new(heads: usize) -> Self {
        let zeros = vec![0.0; heads];
        Self { magnitude: zeros.clone(), impact: zeros, ..Self::default() }
    }

    /// Adds tokens. `effects` belong to the attention whose heads gave them.
    ///
    /// # Shapes
    /// - `o`: `[tokens, heads · head_dim]`
    pub fn add(&mut self, o: &[f32], head_dim: usize, effects: &HeadEffects) {
        let heads = self.magnitude.len();
        for token in o.chunks_exact(heads * head_dim) {
            let sums = self.magnitude.iter_mut().zip(&mut self.impact);
            for ((head, o), (magnitude, impact)) in
                token.chunks_exact(head_dim).enumerate().zip(sums)
            {
                *magnitude += head_size(o);
                *impact += effects.of(head, o);
            }
            self.tokens += 1;
        }
    }

    /// Adds the sums of other tokens.
    pub fn merge(&mut self, other: &Self) {
        let sums = [&mut self.magnitude, &mut self.impact, &mut self.slope];
        let more = [&other.magnitude, &other.impact, &other.slope];
        for (sums, more) in sums.into_iter().zip(more) {
            sums.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        }
        self.tokens += other.tokens;
    }
}

/// `‖o_h‖₂`, summed in `f64`.
pub fn head_size(o: &[f32]) -> f64 {
    o.iter().map(|o| f64::from(*o).powi(2)).sum::<f64>().sqrt()
}

/// `‖W_o[:, h]·o_h‖₂` of every head of one attention: how far its output moves when the head alone is
/// dropped. The Gram matrix of what the output projection makes of a head gives it without the projection:
/// `sqrt(oᵀ·G·o)`.
#[derive(Debug)]
pub struct HeadEffects {
    /// `[heads, head_dim, head_dim]`.
    grams: Vec<f32>,
}

impl HeadEffects {
    /// Of an attention.
    pub fn new(attention: &Attention) -> Self {
        let map = attention.output_map();
        let [width, _] = map.dims();
        let head_dim = attention.shape().head_dim;
        let of_head = |head: usize| {
            let own = map.clone().narrow(0, head * head_dim, head_dim);
            into_values(own.clone().matmul(own.transpose()))
        };
        Self { grams: (0..width / head_dim).flat_map(of_head).collect() }
    }

    /// Of one head.
    ///
    /// # Shapes
    /// - `o`: `[head_dim]`
    pub fn of(&self, head: usize, o: &[f32]) -> f64 {
        let area = o.len() * o.len();
        let rows = self.grams[head * area..][..area].chunks_exact(o.len()).zip(o);
        let of_row = |(row, own): (&[f32], &f32)| {
            let product: f64 = row.iter().zip(o).map(|(g, o)| f64::from(*g) * f64::from(*o)).sum();
            product * f64::from(*own)
        };
        // Rounding can leave the square of nothing below zero.
        rows.map(of_row).sum::<f64>().max(0.0).sqrt()
    }
}

/// The effects of every attention of a model, each read off its weights when it is first asked for.
#[derive(Debug)]
pub struct AllHeadEffects(Vec<OnceLock<HeadEffects>>);

impl AllHeadEffects {
    /// Of a model of so many attentions; nothing is read yet.
    pub fn new(sites: usize) -> Self {
        Self((0..sites).map(|_| OnceLock::new()).collect())
    }

    /// Those of a site.
    ///
    /// # Panics
    /// Where the model has no such site.
    pub fn of_site(&self, site: usize, attention: &Attention) -> &HeadEffects {
        self.0[site].get_or_init(|| HeadEffects::new(attention))
    }
}

//! Surgery: weights that are really smaller.

use importance::{Calibration, Score, SiteWeights};
use models::Model;
use sparse::{kept_count, select_top};

/// The kept set of every site, ascending, by a score over a calibration text.
pub fn static_sets(
    model: &dyn Model,
    calibration: &Calibration,
    score: &dyn Score,
    sparsity: f64,
    seed: u64,
) -> Vec<Vec<u32>> {
    let mut keys = Vec::new();
    let sites = model.ffns().into_iter().enumerate();
    sites
        .map(|(site, ffn)| {
            let scores = calibration.score(site, score, &SiteWeights::of(ffn), seed);
            let mut kept = Vec::new();
            select_top(&scores, kept_count(ffn.neurons(), sparsity), &mut keys, &mut kept);
            kept
        })
        .collect()
}

/// The model with only the kept neurons of every site: the same numbers as masking, at the cost of
/// what is left.
pub fn cut(model: &dyn Model, kept: &[Vec<u32>]) -> Box<dyn Model> {
    let ffns = model.ffns().into_iter().zip(kept).map(|(ffn, kept)| {
        let kept: Vec<usize> = kept.iter().map(|i| *i as usize).collect();
        ffn.cut(&kept)
    });
    model.with_ffns(ffns.collect())
}

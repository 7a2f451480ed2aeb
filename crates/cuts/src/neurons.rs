//! Surgery: weights that are really smaller.

use importance::{Calibration, Score, SiteWeights};
use models::Model;
use sparse::{kept_count, select_top};

/// The kept set of every site, ascending, by a score over a calibration text.
///
/// Sites that share one block get one set, by the score over the tokens of all of them: what is cut
/// from shared weights is cut from all their uses.
pub fn static_sets(
    model: &dyn Model,
    calibration: &Calibration,
    score: &dyn Score,
    sparsity: f64,
    seed: u64,
) -> Vec<Vec<u32>> {
    let blocks = model.ffn_blocks();
    let calibration = calibration.pooled(&blocks);
    let mut keys = Vec::new();
    let mut sets: Vec<Vec<u32>> = Vec::new();
    for (site, ffn) in model.ffns().into_iter().enumerate() {
        let first = blocks.iter().position(|block| *block == blocks[site]).unwrap_or(site);
        if let Some(shared) = sets.get(first) {
            sets.push(shared.clone());
            continue;
        }
        let scores = calibration.score(site, score, &SiteWeights::of(ffn), seed);
        let mut kept = Vec::new();
        select_top(&scores, kept_count(ffn.neurons(), sparsity), &mut keys, &mut kept);
        sets.push(kept);
    }
    sets
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

//! Static sets of attention heads, and the surgery that makes them real (docs/SPEC.md section 14).

use importance::{Calibration, HeadScore};
use models::{Attention, Model};
use sparse::{kept_count, select_top};

use crate::Slim;

/// The kept query heads of every attention, ascending, by a score over a calibration text.
///
/// Attentions that share one block get one set, by the score over the tokens of all of them: what is cut
/// from shared weights is cut from all their uses.
pub fn head_sets(
    model: &dyn Model,
    calibration: &Calibration,
    score: &dyn HeadScore,
    sparsity: f64,
    seed: u64,
) -> Vec<Vec<u32>> {
    let blocks = model.attention_blocks();
    let calibration = calibration.pooled_heads(&blocks);
    let mut keys = Vec::new();
    let mut sets: Vec<Vec<u32>> = Vec::new();
    for (site, attention) in model.attentions().into_iter().enumerate() {
        let first = blocks.iter().position(|block| *block == blocks[site]).unwrap_or(site);
        if let Some(shared) = sets.get(first) {
            sets.push(shared.clone());
            continue;
        }
        let scores = calibration.score_heads(site, score, seed);
        let mut kept = Vec::new();
        let k = kept_count(attention.shape().heads, sparsity);
        select_top(&scores, k, &mut keys, &mut kept);
        sets.push(kept);
    }
    sets
}

/// The model with only the kept heads of every attention: the same numbers as masking, at the cost of what
/// is left.
///
/// Where key heads keep different numbers of query heads, those that keep fewer are filled up with zeros
/// ([`Attention::cut`]). The matrices with these zeros are stored with a bitmap, so that the zeros are not
/// counted, and later steps leave them as they are.
pub fn cut_heads(slim: &Slim, kept: &[Vec<u32>]) -> Slim {
    let (mut attentions, mut filled) = (Vec::new(), Vec::new());
    for (attention, kept) in slim.model.attentions().into_iter().zip(kept) {
        let kept: Vec<usize> = kept.iter().map(|head| *head as usize).collect();
        let cut = attention.cut(&kept);
        if cut.shape().heads > kept.len() {
            let Attention { query, output, .. } = &cut;
            filled.extend([query.name.clone(), output.name.clone()]);
        }
        attentions.push(cut);
    }
    let model = slim.model.with_attentions(attentions);
    let storage = slim.storage.after_surgery(&*model).with_zeros(&*model, &filled);
    Slim { model, storage }
}

//! Overlaps of kept sets against the kept sets that the reference executor really uses.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;

use importance::by_name;
use models::{Batch, Dense, Device, Executor, ExecutorError, FfnSite, Tensor, into_values, load};
use skips::{Overlapping, sum_overlaps};
use sparse::kept_count;

/// Keeps the hidden vectors of the first site.
struct First(Vec<f32>);

impl Executor for First {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        if site.index == 0 {
            self.0 = into_values(site.ffn.hidden(x.clone()));
        }
        Dense.ffn(site, x)
    }
}

/// The k largest |h| of a token, ties to the lowest index.
fn largest(h: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..h.len()).collect();
    order.sort_by(|a, b| h[*b].abs().total_cmp(&h[*a].abs()).then(a.cmp(b)));
    order.truncate(k);
    order
}

#[test]
fn overlaps_are_those_of_the_sets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/llama");
    let model = load(&folder, &Device::flex()).unwrap().model;
    let ids: Vec<u32> = (0..25).map(|i| i * 7 % model.facts().vocabulary as u32).collect();
    let (lags, score) = ([1, 4, 30], by_name("magnitude").unwrap());
    let of = |sequences: &[&[u32]]| {
        let mut executor = Overlapping::new(score.as_ref(), 0.75, 1, &lags);
        model.forward(&Batch::new(sequences.iter().copied()), &mut executor).unwrap();
        executor.finish()
    };
    let mut first = First(Vec::new());
    model.forward(&Batch::new([&ids[..]]), &mut first).unwrap();
    let neurons = first.0.len() / ids.len();
    let k = kept_count(neurons, 0.75);
    let sets: Vec<_> = first.0.chunks(neurons).map(|h| largest(h, k)).collect();
    let found = &of(&[&ids])[0];
    for (lag, found) in lags.iter().zip(&found.lags) {
        let pairs = sets.iter().zip(sets.iter().skip(*lag));
        let shared = pairs.map(|(a, b)| a.iter().filter(|i| b.contains(i)).count() as u64);
        assert_eq!(found.shared, shared.sum::<u64>(), "lag {lag}");
        assert_eq!(found.pairs, ids.len().saturating_sub(*lag) as u64);
    }
    // No pair crosses the border of a sequence, and texts add up.
    let parts = [&ids[..11], &ids[11..]];
    assert_eq!(of(&parts), sum_overlaps(parts.map(|part| of(&[part]))));
}

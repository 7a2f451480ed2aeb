//! Who goes on, in which order the test goes, and where it ends.

use plan::{AdviceJudged, AdviceSize, Smallest};
use statistics::fixed_sequence;

/// A size in the unit that is to be small. Seconds are known of the last candidates alone; until then bytes
/// stand for them, which is what decoding reads.
fn of(size: AdviceSize, smallest: Smallest) -> f64 {
    match smallest {
        Smallest::Bytes => size.stored_bytes as f64,
        Smallest::Parameters => size.parameters as f64,
        Smallest::DecodeSeconds => size.decode_seconds.unwrap_or(size.stored_bytes as f64),
    }
}

/// A candidate that is smaller than dense.
struct Smaller {
    place: usize,
    /// Share of dense that it saves.
    saving: f64,
    /// The chance that the test shows it.
    assurance: f64,
    /// In the unit that is to be small.
    size: f64,
}

/// Those that were measured and are smaller than dense.
fn smaller(judged: &[AdviceJudged], dense: AdviceSize, smallest: Smallest) -> Vec<Smaller> {
    let whole = of(dense, smallest);
    let one = |(place, own): (usize, &AdviceJudged)| {
        let size = of(own.size?, smallest);
        let saving = 1.0 - size / whole;
        (saving > 0.0).then_some(Smaller { place, saving, assurance: own.assurance, size })
    };
    judged.iter().enumerate().filter_map(one).collect()
}

/// The `most` candidates of the largest expected saving: the share of dense that they save, times the chance
/// that the test shows them. Of equals those that are needed fewer windows or items for, then the earlier.
pub(super) fn narrowed(
    judged: &[AdviceJudged],
    dense: AdviceSize,
    smallest: Smallest,
    most: usize,
) -> Vec<usize> {
    let mut all = smaller(judged, dense, smallest);
    let expected = |own: &Smaller| own.saving * own.assurance;
    let needed = |own: &Smaller| {
        let of_keeps = judged[own.place].keeps.iter().map(|keep| keep.needed.unwrap_or(u64::MAX));
        of_keeps.max().unwrap_or(u64::MAX)
    };
    // Stable: of equals the earlier recipe.
    all.sort_by(|a, b| expected(b).total_cmp(&expected(a)).then_with(|| needed(a).cmp(&needed(b))));
    all.iter().take(most).map(|own| own.place).collect()
}

/// The candidates from the safest to the smallest: by falling chance of being shown, each smaller than all
/// before it. One that is no smaller than a safer one could never be the answer.
pub(super) fn arranged(
    judged: &[AdviceJudged],
    dense: AdviceSize,
    smallest: Smallest,
) -> Vec<usize> {
    let mut all = smaller(judged, dense, smallest);
    all.sort_by(|a, b| b.assurance.total_cmp(&a.assurance).then_with(|| a.size.total_cmp(&b.size)));
    let mut least = f64::INFINITY;
    all.retain(|own| {
        let is_smaller = own.size < least;
        least = least.min(own.size);
        is_smaller
    });
    all.iter().map(|own| own.place).collect()
}

/// The candidates that are shown, of those in the order of the test: all conditions of each at level `alpha`,
/// up to the first that is not.
pub(super) fn shown(judged: &[AdviceJudged], alpha: f64) -> Vec<usize> {
    // One that was not measured, or has no p-value, ends the sequence.
    let largest = |own: &AdviceJudged| {
        let p = own.keeps.iter().map(|keep| keep.p.unwrap_or(f64::NAN));
        let all = p.fold(0.0, |all: f64, p| if all.is_nan() || p <= all { all } else { p });
        if own.keeps.is_empty() { f64::NAN } else { all }
    };
    let p: Vec<f64> = judged.iter().map(largest).collect();
    (0..fixed_sequence(&p, alpha)).collect()
}

//! Intervals and tests of counts: every possible count is visited and its probability added up, so
//! that nothing is left to chance.

use statistics::{
    ConfidenceLevel, Interval, Margins, PairedCounts, Proportion, equivalence, fisher_exact_p,
    mcnemar_exact_p, newcombe_paired, pooled_z, wilson,
};
use statrs::distribution::{Binomial, Discrete};
use statrs::function::factorial::ln_factorial;

/// The intervals of all counts of so many trials.
fn intervals(
    trials: u64,
    level: f64,
    interval: fn(Proportion, ConfidenceLevel) -> Interval,
) -> Vec<Interval> {
    let level = ConfidenceLevel::new(level).unwrap();
    (0..=trials).map(|count| interval(Proportion::new(count, trials).unwrap(), level)).collect()
}

/// Probability that the interval of a binomial count holds its proportion.
fn coverage(intervals: &[Interval], truth: f64) -> f64 {
    let counts = Binomial::new(truth, intervals.len() as u64 - 1).unwrap();
    let covering = (0..).zip(intervals).filter(|(_, limits)| limits.contains(truth));
    covering.map(|(count, _)| counts.pmf(count)).sum()
}

/// On average over all proportions the interval has its level, and nearly so where 5 right and 5
/// wrong are to be expected. Close to 0 it has a known dip: just below `0.1765/n` only the count 0
/// covers, with probability `exp(-0.1765) = 0.838`. Agresti & Coull 1998, The American Statistician
/// 52, 119–126; Brown, Cai & DasGupta 2001, Statistical Science 16, 101–133.
#[test]
fn wilson_covers_its_level_on_average_and_dips_near_the_ends() {
    for trials in [20, 100, 300] {
        let intervals = intervals(trials, 0.95, wilson);
        let n = trials as f64;
        let of = |truth: f64| coverage(&intervals, truth);
        let grid: Vec<f64> = (1..2000).map(|step| f64::from(step) / 2000.0).collect();
        let mean = grid.iter().map(|&truth| of(truth)).sum::<f64>() / grid.len() as f64;
        assert!((mean - 0.95).abs() < 0.005, "{trials} trials: {mean} on average");
        for &truth in grid.iter().filter(|&&truth| truth.min(1.0 - truth) * n >= 5.0) {
            assert!((0.92..0.98).contains(&of(truth)), "{trials} trials at {truth}: {}", of(truth));
        }
        let dip = of(0.176 / n);
        assert!((0.83..0.845).contains(&dip), "{trials} trials: {dip} in the dip");
        assert!(grid.iter().all(|&truth| of(truth) > 0.83), "{trials} trials");
    }
}

/// Every four-fold table of so many items.
pub(crate) fn tables(items: u64) -> impl Iterator<Item = PairedCounts> {
    (0..=items).flat_map(move |both| {
        (0..=items - both).flat_map(move |only_first| {
            let rest = items - both - only_first;
            (0..=rest).map(move |only_second| {
                let neither = rest - only_second;
                PairedCounts { both, only_first, only_second, neither }
            })
        })
    })
}

/// Probability of a table, given the probabilities of its four cells.
pub(crate) fn mass(table: PairedCounts, cells: [f64; 4]) -> f64 {
    let counts = [table.both, table.only_first, table.only_second, table.neither];
    let ln_orders: f64 = ln_factorial(table.items()) - counts.map(ln_factorial).iter().sum::<f64>();
    counts.iter().zip(cells).fold(ln_orders.exp(), |mass, (&count, cell)| {
        mass * cell.powi(i32::try_from(count).unwrap())
    })
}

/// Close to its level, and more where the two agree on most items. Cells are the shares of items
/// that both, only the first, only the second and neither get right.
#[test]
fn newcombes_interval_covers_its_level_or_a_little_more() {
    let level = ConfidenceLevel::P95;
    let intervals: Vec<(PairedCounts, Interval)> =
        tables(50).map(|table| (table, newcombe_paired(table, level).unwrap())).collect();
    for cells in [
        [0.4, 0.1, 0.1, 0.4],
        [0.25, 0.25, 0.25, 0.25],
        [0.2, 0.43, 0.03, 0.34],
        [0.6, 0.2, 0.05, 0.15],
        [0.1, 0.3, 0.05, 0.55],
        [0.76, 0.06, 0.01, 0.17],
    ] {
        let truth = cells[1] - cells[2];
        let covering = intervals.iter().filter(|(_, limits)| limits.contains(truth));
        let found: f64 = covering.map(|&(table, _)| mass(table, cells)).sum();
        assert!((0.945..0.98).contains(&found), "{cells:?}: {found}");
    }
}

/// Two policies whose true difference is the margin are called equal with a probability of about
/// `alpha` (up to 0.058 at 0.05: the interval is approximate), and two that are the same nearly
/// always.
#[test]
fn a_difference_of_the_margin_is_called_equal_as_often_as_alpha() {
    let (margin, alpha) = (0.15, 0.05);
    let level = ConfidenceLevel::new(1.0 - 2.0 * alpha).unwrap();
    let is_equal = |table: &PairedCounts| {
        // The interval decides; its p-values say the same (`properties.rs`) and take longer.
        let interval = newcombe_paired(*table, level).unwrap();
        equivalence(interval, margin, |_| Ok(1.0)).unwrap().margins == Margins::Within
    };
    let equal: Vec<PairedCounts> = tables(100).filter(is_equal).collect();
    let of = |cells| equal.iter().map(|&table| mass(table, cells)).sum::<f64>();
    for cells in [[0.5, 0.2, 0.05, 0.25], [0.3, 0.05, 0.2, 0.45], [0.6, 0.25, 0.1, 0.05]] {
        assert!((0.045..0.06).contains(&of(cells)), "{cells:?}: {}", of(cells));
    }
    assert!(of([0.6, 0.05, 0.05, 0.3]) > 0.95);
}

/// Whatever the number of discordant items, no more than a share α of their splits has a p-value of
/// at most α; so neither has any mixture of such numbers.
#[test]
fn mcnemar_rejects_no_more_often_than_its_level() {
    for discordant in 0..=150 {
        let splits = Binomial::new(0.5, discordant).unwrap();
        for alpha in [0.001, 0.01, 0.05, 0.1, 0.5] {
            let rejected: f64 = (0..=discordant)
                .filter(|&only_first| {
                    let only_second = discordant - only_first;
                    let table = PairedCounts { both: 7, only_first, only_second, neither: 3 };
                    mcnemar_exact_p(table) <= alpha
                })
                .map(|only_first| splits.pmf(only_first))
                .sum();
            assert!(rejected <= alpha + 1e-12, "{discordant} discordant: {rejected} at {alpha}");
        }
    }
}

/// Probability that `reject` of two samples of so many trials with the same proportion.
fn size(trials: u64, truth: f64, reject: impl Fn(u64, u64) -> bool) -> f64 {
    let counts = Binomial::new(truth, trials).unwrap();
    let masses: Vec<f64> = (0..=trials).map(|count| counts.pmf(count)).collect();
    (0..=trials)
        .flat_map(|first| (0..=trials).map(move |second| (first, second)))
        .filter(|&(first, second)| reject(first, second))
        .map(|(first, second)| masses[first as usize] * masses[second as usize])
        .sum()
}

/// Which pairs of counts have a p-value of at most 0.05.
fn rejected(trials: u64, p: impl Fn(Proportion, Proportion) -> f64) -> Vec<Vec<bool>> {
    let of = |count| Proportion::new(count, trials).unwrap();
    let row = |first| (0..=trials).map(|second| p(of(first), of(second)) <= 0.05).collect();
    (0..=trials).map(row).collect()
}

/// The pooled z test is approximate: within half a point of its level where 5 right and 5 wrong are
/// to be expected of each sample. Fisher's test is exact given the margins and so never
/// above its level. D'Agostino, Chase & Belanger 1988, The American Statistician 42, 198–202.
#[test]
fn unpaired_tests_reject_about_as_often_as_their_level_and_fisher_no_more() {
    let by_z = rejected(300, |first, second| pooled_z(first, second).p);
    for truth in [0.017, 0.05, 0.23, 0.5, 0.633, 0.82, 0.98] {
        let found = size(300, truth, |first, second| by_z[first as usize][second as usize]);
        assert!((0.045..0.055).contains(&found), "pooled z at {truth}: {found}");
    }
    let by_fisher = rejected(60, fisher_exact_p);
    for truth in [0.01, 0.1, 0.3, 0.5, 0.8] {
        let found = size(60, truth, |first, second| by_fisher[first as usize][second as usize]);
        assert!(found <= 0.05, "Fisher at {truth}: {found}");
    }
}

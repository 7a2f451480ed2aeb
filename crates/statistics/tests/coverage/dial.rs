//! The monotone test, the limit of the largest fall and Page's trend, of dials with known levels.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use statistics::{
    BootstrapPlan, ConfidenceLevel, Dial, MonotoneTest, WindowLoss, monotone_test, page_trend,
};

use crate::{chance, normal, share};

const WINDOWS: usize = 40;

/// A dial of windows of 1,000 targets whose levels' true `ln` perplexities are `truth`. What a window
/// adds to it moves on from level to level by normal steps of 0.1 nats, so that neighbouring levels
/// agree more than distant ones.
fn dial(rng: &mut ChaCha8Rng, truth: &[f64], windows: usize) -> Dial {
    let mut levels = vec![Vec::new(); truth.len()];
    for _ in 0..windows {
        let mut own = 0.4 * normal(rng);
        for (level, truth) in levels.iter_mut().zip(truth) {
            own += 0.1 * normal(rng);
            level.push(WindowLoss { nll_nats: 1000.0 * (truth + own), n_targets: 1000 });
        }
    }
    Dial::new(&levels).unwrap()
}

fn test(dial: &Dial, seed: u64) -> MonotoneTest {
    let plan =
        BootstrapPlan { resamples: 199, block_windows: 1, seed, level: ConfidenceLevel::P95 };
    monotone_test(dial, plan).unwrap()
}

/// The level is reached where levels are equal, on the whole dial or on a stretch of it, and never
/// where it rises. A point is allowed for windows that are 40 and not many.
#[test]
fn monotone_dials_are_rejected_no_more_often_than_the_level() {
    let repetitions = 1000;
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for (truth, least) in [
        ([3.0; 6].as_slice(), 0.03),
        (&[3.0, 3.0, 3.0, 3.5, 4.0, 4.5], 0.03),
        (&[3.0, 3.02, 3.02, 3.04, 3.5, 3.5], 0.0),
        (&[3.0, 3.2, 3.4, 3.6, 3.8, 4.0], 0.0),
    ] {
        let rejected =
            share(repetitions, |&seed| test(&dial(&mut rng, truth, WINDOWS), seed).p <= 0.05);
        let most = 0.06 + chance(0.05, repetitions);
        assert!((least..most).contains(&rejected), "{truth:?}: {rejected}");
    }
}

/// With 8 windows the level still holds, for which resampled means are given the spread that so few
/// take from them.
#[test]
fn eight_windows_keep_the_level() {
    let repetitions = 1000;
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let rejected = share(repetitions, |&seed| test(&dial(&mut rng, &[3.0; 6], 8), seed).p <= 0.05);
    assert!(rejected < 0.06 + chance(0.05, repetitions), "{rejected}");
}

/// The limit covers a single fall as often as it says, and is conservative where nothing falls or
/// several levels fall alike. A point is allowed, as above.
#[test]
fn the_limit_of_the_largest_fall_covers_it() {
    let repetitions = 1000;
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    for (truth, fall, most) in [
        ([3.0, 3.2, 3.4, 3.3, 3.6, 3.8], 0.1, 0.97),
        ([3.0, 3.2, 3.1, 3.3, 3.2, 3.4], 0.1, 1.0),
        ([3.0; 6], 0.0, 1.0),
    ] {
        let covered = share(repetitions, |&seed| {
            let found = test(&dial(&mut rng, &truth, WINDOWS), seed).largest_fall;
            found.upper_nats >= fall
        });
        let least = 0.94 - chance(0.95, repetitions);
        let most = (most + chance(0.95, repetitions)).min(1.0);
        assert!((least..=most).contains(&covered), "{truth:?}: {covered}");
    }
}

/// A fall of two standard errors in the middle of a steep dial is seen: the null is not a constant.
#[test]
fn a_fall_in_the_middle_of_a_steep_dial_is_seen() {
    let repetitions = 500;
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let truth = [3.0, 3.5, 4.0, 3.95, 4.5, 5.0];
    let rejected =
        share(repetitions, |&seed| test(&dial(&mut rng, &truth, WINDOWS), seed).p <= 0.05);
    assert!(rejected > 0.8, "{rejected}");
}

/// Where all orders of the levels are equally likely, from few windows on; 4 windows of 3 levels have
/// `L` in steps, of which the level takes its share.
#[test]
fn page_rejects_levels_without_order_as_often_as_its_level() {
    let repetitions = 10_000;
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    for (levels, windows, least) in [(3, 4, 0.03), (11, 4, 0.04), (11, 40, 0.04)] {
        let rejected = share(repetitions, |_| {
            let losses: Vec<Vec<WindowLoss>> = (0..levels)
                .map(|_| {
                    let draw = |_| WindowLoss { nll_nats: normal(&mut rng), n_targets: 1 };
                    (0..windows).map(draw).collect()
                })
                .collect();
            page_trend(&Dial::new(&losses).unwrap()).unwrap().p <= 0.05
        });
        let most = 0.055 + chance(0.05, repetitions);
        assert!((least..most).contains(&rejected), "{levels} by {windows}: {rejected}");
    }
}

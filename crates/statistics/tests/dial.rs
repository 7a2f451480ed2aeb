//! Isotonic regression, the monotone test and Page's trend: identities that hold for every dial, and
//! the edges.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proptest::prelude::*;
use statistics::{
    BootstrapPlan, ConfidenceLevel, Dial, StatisticsError, WindowLoss, isotonic_fit, monotone_test,
    page_trend,
};

fn window(nll_nats: f64, n_targets: u32) -> WindowLoss {
    WindowLoss { nll_nats, n_targets }
}

fn plan(seed: u64, block_windows: usize) -> BootstrapPlan {
    BootstrapPlan { resamples: 199, block_windows, seed, level: ConfidenceLevel::P95 }
}

/// Losses in nats a target: for each level, one a window.
fn dial_of(levels: &[Vec<f64>]) -> Dial {
    let level = |losses: &Vec<f64>| -> Vec<WindowLoss> {
        losses.iter().map(|loss| window(100.0 * loss, 100)).collect()
    };
    Dial::new(&levels.iter().map(level).collect::<Vec<_>>()).unwrap()
}

/// As many numbers a level as there are windows, for some levels.
fn losses() -> impl Strategy<Value = Vec<Vec<f64>>> {
    (3_usize..7, 2_usize..9).prop_flat_map(|(levels, windows)| {
        prop::collection::vec(prop::collection::vec(2.0_f64..4.0, windows), levels)
    })
}

proptest! {
    /// It rises, keeps the mean, is its own fit, and is the largest over starts of the least over ends of
    /// the means between: the formula of Barlow et al. 1972, section 1.2.
    #[test]
    fn an_isotonic_fit_is_the_formula_of_means(
        values in prop::collection::vec(-5.0_f64..5.0, 1..20),
    ) {
        let fitted = isotonic_fit(&values);
        prop_assert!(fitted.is_sorted());
        prop_assert!((fitted.iter().sum::<f64>() - values.iter().sum::<f64>()).abs() < 1e-9);
        prop_assert_eq!(&fitted, &isotonic_fit(&fitted));
        let mean = |start: usize, end: usize| {
            values[start..=end].iter().sum::<f64>() / (end + 1 - start) as f64
        };
        for (position, fit) in fitted.iter().enumerate() {
            let least = |start| {
                (position..values.len()).map(|end| mean(start, end)).fold(f64::INFINITY, f64::min)
            };
            let formula = (0..=position).map(least).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((fit - formula).abs() < 1e-9, "{fit} is not {formula}");
        }
    }

    /// Levels whose perplexity rises have no distance and no fall, whatever single windows do.
    #[test]
    fn a_rising_dial_has_no_distance_and_no_fall(mut levels in losses(), seed in any::<u64>()) {
        levels.sort_by(|a, b| a.iter().sum::<f64>().total_cmp(&b.iter().sum()));
        let found = monotone_test(&dial_of(&levels), plan(seed, 1)).unwrap();
        prop_assert_eq!((found.distance, found.p), (0.0, 1.0));
        prop_assert_eq!((found.largest_fall.nats, found.largest_fall.between), (0.0, None));
        prop_assert_eq!(found.level_nats, found.fitted_nats);
    }

    /// Where every window rises by more than windows differ, so does every resample, though it is
    /// given more spread than the windows have.
    #[test]
    fn windows_that_all_rise_leave_no_room_for_a_fall(levels in losses(), seed in any::<u64>()) {
        let steep: Vec<Vec<f64>> = (0..)
            .zip(&levels)
            .map(|(level, losses)| losses.iter().map(|loss| loss + 10.0 * f64::from(level)).collect())
            .collect();
        let dial = dial_of(&steep);
        prop_assert_eq!(monotone_test(&dial, plan(seed, 1)).unwrap().largest_fall.upper_nats, 0.0);
        let (levels, windows) = (steep.len() as f64, steep[0].len() as f64);
        let largest = windows * levels * (levels + 1.0) * (2.0 * levels + 1.0) / 6.0;
        prop_assert!((page_trend(&dial).unwrap().l - largest).abs() < 1e-9);
    }

    /// Levels far apart in any order but the rising one are rejected with the least p-value.
    #[test]
    fn shuffled_levels_of_a_steep_dial_are_rejected(
        order in Just((0..6).collect::<Vec<i32>>()).prop_shuffle(), seed in any::<u64>(),
    ) {
        let levels: Vec<Vec<f64>> = order.iter()
            .map(|&place| {
                // Windows that differ by up to 0.06 nats, each level in its own way.
                let noise = |window: i32| f64::from((7 * window + 5 * place) % 13) / 200.0;
                (0..12).map(|window| 3.0 + 0.5 * f64::from(place) + noise(window)).collect()
            })
            .collect();
        let found = monotone_test(&dial_of(&levels), plan(seed, 1)).unwrap();
        if order.is_sorted() {
            prop_assert_eq!(found.p, 1.0);
        } else {
            prop_assert_eq!(found.p, 1.0 / 200.0);
            let (high, low) = found.largest_fall.between.unwrap();
            prop_assert!(high < low && order[high] > order[low]);
            let fall = found.level_nats[high] - found.level_nats[low];
            prop_assert!((found.largest_fall.nats - fall).abs() < 1e-12);
            prop_assert!(found.largest_fall.upper_nats >= fall - 0.1);
        }
    }

    /// Easy and hard windows are nothing to either test: what a window adds to all levels is not
    /// seen. The seed decides everything.
    #[test]
    fn what_a_window_adds_to_all_levels_is_not_seen(levels in losses(), seed in any::<u64>()) {
        let moved: Vec<Vec<f64>> = levels.iter()
            .map(|losses| (0..).zip(losses).map(|(at, loss)| loss + f64::from(at)).collect())
            .collect();
        let (plain, moved) = (dial_of(&levels), dial_of(&moved));
        let block = if plain.windows() < 4 { 1 } else { 2 };
        let of = |dial: &Dial| monotone_test(dial, plan(seed, block)).unwrap();
        prop_assert_eq!(of(&plain), of(&plain));
        prop_assert_eq!(of(&plain).p, of(&moved).p);
        prop_assert!((of(&plain).distance - of(&moved).distance).abs() < 1e-12);
        let (fall, other) = (of(&plain).largest_fall, of(&moved).largest_fall);
        prop_assert!((fall.nats - other.nats).abs() < 1e-12);
        prop_assert!((fall.upper_nats - other.upper_nats).abs() < 1e-12);
        prop_assert_eq!(page_trend(&plain).unwrap(), page_trend(&moved).unwrap());
    }

    /// A dial turned round has the opposite trend, and ranks do not know how far losses are apart.
    #[test]
    fn a_trend_turns_with_its_dial(mut levels in losses()) {
        let forward = page_trend(&dial_of(&levels)).unwrap();
        let cubes: Vec<Vec<f64>> =
            levels.iter().map(|losses| losses.iter().map(|loss| loss.powi(3)).collect()).collect();
        prop_assert_eq!(forward, page_trend(&dial_of(&cubes)).unwrap());
        levels.reverse();
        let backward = page_trend(&dial_of(&levels)).unwrap();
        prop_assert!((forward.z + backward.z).abs() < 1e-12);
        prop_assert!((forward.p + backward.p - 1.0).abs() < 1e-9);
    }
}

#[test]
fn fits_of_nothing_one_and_ties() {
    assert!(isotonic_fit(&[]).is_empty());
    assert_eq!(isotonic_fit(&[-2.5]), [-2.5]);
    assert_eq!(isotonic_fit(&[0.1; 3]), [0.1; 3]);
    assert_eq!(isotonic_fit(&[3.0, 1.0]), [2.0; 2]);
    assert_eq!(isotonic_fit(&[1.0, 3.0, 1.0, 3.0, 1.0]), [1.0, 2.0, 2.0, 2.0, 2.0]);
}

#[test]
fn what_is_no_dial_is_refused() {
    let two = vec![window(10.0, 5), window(12.0, 5)];
    let none: [Vec<WindowLoss>; 0] = [];
    assert!(matches!(Dial::new(&none), Err(StatisticsError::TooFew { needed: 2, got: 0, .. })));
    let one = Dial::new(std::slice::from_ref(&two));
    assert!(matches!(one, Err(StatisticsError::TooFew { needed: 2, got: 1, .. })));
    let empty = Dial::new(&[vec![], vec![]]);
    assert!(matches!(empty, Err(StatisticsError::Empty { what: "set of windows" })));
    let untargeted = Dial::new(&[[window(0.0, 0)], [window(0.0, 0)]]);
    assert!(matches!(untargeted, Err(StatisticsError::Empty { .. })));
    let short = Dial::new(&[two.clone(), two[..1].to_vec()]);
    assert!(matches!(short, Err(StatisticsError::UnequalLengths { first: 2, second: 1 })));
    let other = Dial::new(&[two.clone(), vec![window(10.0, 5), window(12.0, 6)]]);
    assert!(matches!(other, Err(StatisticsError::UnequalTargets { index: 1, .. })));
    let nan = Dial::new(&[two, vec![window(10.0, 5), window(f64::NAN, 5)]]);
    assert!(matches!(nan, Err(StatisticsError::NotFinite { index: 1, .. })));
}

#[test]
fn the_monotone_test_needs_two_blocks_and_a_plan() {
    let windows = |count: usize| vec![vec![2.0; count]; 3];
    let one = monotone_test(&dial_of(&windows(1)), plan(1, 1));
    assert!(matches!(one, Err(StatisticsError::TooFew { needed: 2, got: 1, .. })), "{one:?}");
    // One block that holds all windows would draw nothing but all windows.
    let whole = monotone_test(&dial_of(&windows(5)), plan(1, 3));
    assert!(matches!(whole, Err(StatisticsError::TooFew { needed: 6, got: 5, .. })), "{whole:?}");
    assert!(monotone_test(&dial_of(&windows(6)), plan(1, 3)).is_ok());
    for refused in [BootstrapPlan { resamples: 0, ..plan(1, 1) }, plan(1, 0), plan(1, usize::MAX)] {
        assert!(monotone_test(&dial_of(&windows(4)), refused).is_err());
    }
}

/// Levels that differ by nothing, or by a rounding of their sums, do not fall; without any
/// difference between windows a real fall leaves nothing to chance.
#[test]
fn a_dial_without_spread_is_decided_by_its_levels() {
    for flat in [vec![vec![0.1; 7]; 4], vec![vec![0.1 + 0.2; 7], vec![0.3; 7], vec![0.3; 7]]] {
        let found = monotone_test(&dial_of(&flat), plan(1, 1)).unwrap();
        assert_eq!(found.p, 1.0);
        assert!(found.distance < 1e-30 && found.largest_fall.upper_nats < 1e-15);
    }
    let falls = vec![vec![2.0; 7], vec![1.5; 7], vec![2.5; 7], vec![2.0; 7]];
    let found = monotone_test(&dial_of(&falls), plan(1, 1)).unwrap();
    assert_eq!((found.distance, found.p), (0.25, 1.0 / 200.0));
    assert_eq!(found.fitted_nats, [1.75, 1.75, 2.25, 2.25]);
    // Both falls are as large: the earliest is named.
    let fall = found.largest_fall;
    assert_eq!((fall.nats, fall.upper_nats, fall.between), (0.5, 0.5, Some((0, 1))));
}

#[test]
fn trends_of_ties_and_of_too_little() {
    let tied = page_trend(&dial_of(&vec![vec![2.0; 5]; 4])).unwrap();
    assert_eq!((tied.l, tied.z, tied.p), (5.0 * 4.0 * 6.25, 0.0, 1.0));
    let two_levels = page_trend(&dial_of(&vec![vec![2.0; 5]; 2]));
    assert!(matches!(two_levels, Err(StatisticsError::TooFew { needed: 3, got: 2, .. })));
    let one_window = page_trend(&dial_of(&vec![vec![2.0]; 4]));
    assert!(matches!(one_window, Err(StatisticsError::TooFew { needed: 2, got: 1, .. })));
    // Three windows that agree: exactly 1/216, by the normal approximation a little more.
    let agreed = page_trend(&dial_of(&[vec![1.0; 3], vec![2.0; 3], vec![3.0; 3]])).unwrap();
    assert_eq!(agreed.l, 42.0);
    assert!((agreed.z - 6.0_f64.sqrt()).abs() < 1e-12 && (0.007..0.0075).contains(&agreed.p));
}

//! The test of a perplexity ratio and its power: identities that hold for all windows, and the edges.

use proptest::prelude::*;
use statistics::{
    PermutationPlan, StatisticsError, WindowLoss, minimum_detectable_ratio_paired,
    perplexity_ratio, perplexity_ratio_p, ratio_spread_nats, sign_flip_test,
};

const PLAN: PermutationPlan = PermutationPlan { permutations: 199, seed: 1 };

fn window(nll_nats: f64, n_targets: u32) -> WindowLoss {
    WindowLoss { nll_nats, n_targets }
}

/// Baseline and treated losses of the same windows.
fn paired_windows() -> impl Strategy<Value = (Vec<WindowLoss>, Vec<WindowLoss>)> {
    let pair = (1.0_f64..4000.0, -500.0_f64..2000.0, 200_u32..1024);
    prop::collection::vec(pair, 2..25).prop_map(|pairs| {
        pairs.into_iter().map(|(nll, more, n)| (window(nll, n), window(nll + more, n))).unzip()
    })
}

proptest! {
    /// Exchanging the policies turns the ratio and its threshold over, and p does not see it.
    #[test]
    fn a_ratio_and_its_reciprocal_have_one_p(
        (baseline, treated) in paired_windows(), threshold in 0.1_f64..10.0,
    ) {
        let forward = perplexity_ratio_p(&baseline, &treated, threshold, PLAN).unwrap();
        let backward = perplexity_ratio_p(&treated, &baseline, 1.0 / threshold, PLAN).unwrap();
        prop_assert_eq!(forward.p, backward.p);
        prop_assert!((forward.ratio * backward.ratio - 1.0).abs() < 1e-9);
        prop_assert!((forward.excess_nats + backward.excess_nats).abs() < 1e-12);
        prop_assert_eq!(forward.ratio, perplexity_ratio(&baseline, &treated).unwrap());
        let excess = forward.ratio.ln() - threshold.ln();
        prop_assert!((forward.excess_nats - excess).abs() < 1e-12);
    }

    /// A p-value is between the least that there can be and 1, and reaches the least where all
    /// windows are on one side of the threshold.
    #[test]
    fn p_is_no_less_than_the_least((baseline, treated) in paired_windows()) {
        for threshold in [0.5, 1.0, 2.0] {
            let found = perplexity_ratio_p(&baseline, &treated, threshold, PLAN).unwrap();
            prop_assert!(found.least_p <= found.p && found.p <= 1.0);
            prop_assert_eq!(found.least_p, PLAN.least_p(baseline.len()));
            prop_assert_eq!(found.exact, baseline.len() <= 16);
        }
        // Below any of the ratios that these windows have.
        let far = perplexity_ratio_p(&baseline, &treated, 0.01, PLAN).unwrap();
        if baseline.len() <= 16 {
            prop_assert_eq!(far.p, far.least_p);
        }
    }

    /// With a threshold of 1 it is the sign-flip test of the differences.
    #[test]
    fn at_1_it_is_the_test_of_differences((baseline, treated) in paired_windows()) {
        let differences: Vec<f64> =
            treated.iter().zip(&baseline).map(|(t, b)| t.nll_nats - b.nll_nats).collect();
        let flipped = sign_flip_test(&differences, PLAN).unwrap();
        let found = perplexity_ratio_p(&baseline, &treated, 1.0, PLAN).unwrap();
        prop_assert_eq!((found.p, found.exact), (flipped.p, flipped.exact));
    }

    /// What multiplies all perplexities of the treated does not change how much windows vary; with
    /// windows of equal length the spread is the standard deviation.
    #[test]
    fn the_spread_is_that_of_the_windows((baseline, treated) in paired_windows()) {
        let spread = ratio_spread_nats(&baseline, &treated).unwrap();
        let doubled: Vec<WindowLoss> = treated
            .iter()
            .map(|w| window(w.nll_nats + f64::from(w.n_targets) * 2.0_f64.ln(), w.n_targets))
            .collect();
        let same = ratio_spread_nats(&baseline, &doubled).unwrap();
        prop_assert!((spread - same).abs() < 1e-9);
        let even = |windows: &[WindowLoss]| -> Vec<WindowLoss> {
            windows.iter().map(|w| window(w.nll_nats, 500)).collect()
        };
        let changes: Vec<f64> =
            treated.iter().zip(&baseline).map(|(t, b)| (t.nll_nats - b.nll_nats) / 500.0).collect();
        let count = changes.len() as f64;
        let mean = changes.iter().sum::<f64>() / count;
        let variance =
            changes.iter().map(|change| (change - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let spread = ratio_spread_nats(&even(&baseline), &even(&treated)).unwrap();
        prop_assert!((spread - variance.sqrt()).abs() < 1e-9);
    }

    /// The formula has the windows under a root: four times as many find the square root of the ratio.
    #[test]
    fn four_times_the_windows_detect_the_root_of_the_ratio(
        windows in 20_u64..20_000, spread in 0.001_f64..1.0, alpha in 0.001_f64..0.2,
        power in 0.5_f64..0.99,
    ) {
        let detectable = |windows| {
            minimum_detectable_ratio_paired(windows, spread, alpha, power).unwrap().unwrap()
        };
        let (few, many) = (detectable(windows), detectable(4 * windows));
        prop_assert!((many / few.sqrt() - 1.0).abs() < 1e-12, "{few}, {many}");
    }
}

#[test]
fn ratios_without_windows_or_threshold_are_refused() {
    let base = [window(10.0, 5), window(12.0, 5)];
    for threshold in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = perplexity_ratio_p(&base, &base, threshold, PLAN);
        assert!(matches!(refused, Err(StatisticsError::OutOfRange { .. })), "{refused:?}");
    }
    let refused = perplexity_ratio_p(&[], &[], 1.0, PLAN);
    assert!(matches!(refused, Err(StatisticsError::Empty { .. })));
    let untargeted = [window(10.0, 5), window(0.0, 0)];
    let refused = perplexity_ratio_p(&untargeted, &untargeted, 1.0, PLAN);
    assert!(matches!(refused, Err(StatisticsError::Empty { .. })));
    let refused = perplexity_ratio_p(&base, &base[..1], 1.0, PLAN);
    assert!(matches!(refused, Err(StatisticsError::UnequalLengths { .. })));
    let refused = perplexity_ratio_p(&base, &[window(10.0, 5), window(12.0, 6)], 1.0, PLAN);
    assert!(matches!(refused, Err(StatisticsError::UnequalTargets { index: 1, .. })));
    let refused = perplexity_ratio_p(&base, &[window(10.0, 5), window(f64::NAN, 5)], 1.0, PLAN);
    assert!(matches!(refused, Err(StatisticsError::NotFinite { index: 1, .. })));
    let none = PermutationPlan { permutations: 0, ..PLAN };
    let refused = perplexity_ratio_p(&base, &base, 1.0, none);
    assert!(matches!(refused, Err(StatisticsError::OutOfRange { .. })));
}

#[test]
fn one_window_and_equal_windows_decide_nothing() {
    let one = perplexity_ratio_p(&[window(10.0, 5)], &[window(50.0, 5)], 2.0, PLAN).unwrap();
    assert_eq!((one.ratio, one.p, one.least_p, one.exact), (8.0_f64.exp(), 1.0, 1.0, true));
    let base = vec![window(10.0, 5); 30];
    let same = perplexity_ratio_p(&base, &base, 1.0, PLAN).unwrap();
    assert_eq!((same.ratio, same.excess_nats, same.p, same.exact), (1.0, 0.0, 1.0, false));
    // All on one side: the least p-value, drawn or visited.
    for windows in [6, 30] {
        let above = perplexity_ratio_p(&base[..windows], &base[..windows], 0.5, PLAN).unwrap();
        assert!(above.excess_nats > 0.0);
        assert_eq!(above.p, above.least_p);
    }
}

#[test]
fn the_least_p_is_that_of_the_signs() {
    let expected = [(0, 1.0), (1, 1.0), (2, 0.5), (6, 0.03125), (16, 2.0_f64.powi(-15))];
    for (windows, least) in expected {
        assert_eq!(PLAN.least_p(windows), least);
    }
    assert_eq!((PLAN.least_p(17), PLAN.least_p(5000)), (0.005, 0.005));
}

#[test]
fn a_spread_needs_two_windows_with_targets() {
    let one = [window(10.0, 5)];
    let few = ratio_spread_nats(&one, &one);
    assert!(matches!(few, Err(StatisticsError::TooFew { needed: 2, got: 1, .. })));
    assert!(matches!(ratio_spread_nats(&[], &[]), Err(StatisticsError::TooFew { .. })));
    let untargeted = [window(10.0, 5), window(0.0, 0)];
    let refused = ratio_spread_nats(&untargeted, &untargeted);
    assert!(matches!(refused, Err(StatisticsError::Empty { .. })));
    let base = [window(10.0, 5), window(12.0, 7)];
    assert_eq!(ratio_spread_nats(&base, &base).unwrap(), 0.0);
}

#[test]
fn a_detectable_ratio_needs_windows_a_spread_and_a_level() {
    for spread in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(minimum_detectable_ratio_paired(9, spread, 0.05, 0.8).is_err());
    }
    for (alpha, power) in [(0.0, 0.8), (1.0, 0.8), (0.05, 0.4), (0.05, 1.0)] {
        assert!(minimum_detectable_ratio_paired(9, 0.1, alpha, power).is_err());
    }
    let none = minimum_detectable_ratio_paired(0, 0.1, 0.05, 0.8);
    assert!(matches!(none, Err(StatisticsError::Empty { .. })));
    let wide = minimum_detectable_ratio_paired(6, 1e6, 0.05, 0.8);
    assert!(matches!(wide, Err(StatisticsError::Overflow { .. })));
    // Without spread every ratio is found, as soon as the signs of so many windows can say so.
    assert_eq!(minimum_detectable_ratio_paired(5, 0.0, 0.05, 0.8).unwrap(), None);
    assert_eq!(minimum_detectable_ratio_paired(6, 0.0, 0.05, 0.8).unwrap(), Some(1.0));
}

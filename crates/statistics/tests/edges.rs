//! The edges: no observations, none right, all right, and arguments that are refused by name.

use statistics::{
    BootstrapPlan, ConfidenceLevel, PairedCounts, PermutationPlan, Proportion, StatisticsError,
    WindowLoss, bca_interval, benjamini_hochberg, equivalence_paired, fisher_exact_p, holm,
    mcnemar_exact_p, mean_interval, mean_interval_bca, mean_nll_nats,
    minimum_detectable_difference_paired, newcombe_paired, newcombe_paired_p, pearson, perplexity,
    perplexity_ratio, perplexity_ratio_interval, perplexity_ratio_interval_bca, pooled_z,
    sign_flip_test, spearman, wilson, word_perplexity,
};

const NO_ITEMS: PairedCounts = PairedCounts { both: 0, only_first: 0, only_second: 0, neither: 0 };

fn window(nll_nats: f64, n_targets: u32) -> WindowLoss {
    WindowLoss { nll_nats, n_targets }
}

fn plan(resamples: usize, block_windows: usize) -> BootstrapPlan {
    BootstrapPlan { resamples, block_windows, seed: 1, level: ConfidenceLevel::P95 }
}

#[test]
fn no_trials_have_no_proportion() {
    assert!(matches!(Proportion::new(0, 0), Err(StatisticsError::Empty { .. })));
    assert!(matches!(NO_ITEMS.first(), Err(StatisticsError::Empty { .. })));
    let interval = newcombe_paired(NO_ITEMS, ConfidenceLevel::P95);
    assert!(matches!(interval, Err(StatisticsError::Empty { .. })));
    assert_eq!(mcnemar_exact_p(NO_ITEMS), 1.0);
}

#[test]
fn none_and_all_reach_the_ends_exactly() {
    let none = wilson(Proportion::new(0, 300).unwrap(), ConfidenceLevel::P95);
    assert!(none.lower == 0.0 && none.estimate == 0.0 && none.upper > 0.0);
    let all = wilson(Proportion::new(300, 300).unwrap(), ConfidenceLevel::P95);
    assert!(all.lower < 1.0 && all.estimate == 1.0 && all.upper == 1.0);
}

#[test]
fn equivalence_needs_items_and_a_margin() {
    let all = PairedCounts { both: 40, neither: 10, ..NO_ITEMS };
    for margin in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let refused = equivalence_paired(all, margin, ConfidenceLevel::P95);
        assert!(matches!(refused, Err(StatisticsError::OutOfRange { what: "margin", .. })));
    }
    let none = equivalence_paired(NO_ITEMS, 0.1, ConfidenceLevel::P95);
    assert!(matches!(none, Err(StatisticsError::Empty { .. })));
    // Nothing is told apart below 1e-15, and no difference is nearer than the estimate.
    assert_eq!(newcombe_paired_p(all, 1.0).unwrap(), 1e-15);
    assert!(newcombe_paired_p(all, 0.0).unwrap() > 0.999);
}

#[test]
fn agreement_is_p_1() {
    let all = Proportion::new(9, 9).unwrap();
    let none = Proportion::new(0, 4).unwrap();
    for (first, second) in [(all, all), (none, none)] {
        assert_eq!(pooled_z(first, second).p, 1.0);
        assert_eq!(fisher_exact_p(first, second), 1.0);
    }
    assert_eq!(mcnemar_exact_p(PairedCounts { both: 4, neither: 5, ..NO_ITEMS }), 1.0);
    assert_eq!(mcnemar_exact_p(PairedCounts { only_first: 6, only_second: 6, ..NO_ITEMS }), 1.0);
}

#[test]
fn impossible_arguments_are_named() {
    let message = Proportion::new(5, 4).unwrap_err().to_string();
    assert_eq!(message, "5 successes in 4 trials: successes cannot exceed trials");
    for level in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(ConfidenceLevel::new(level).is_err());
    }
    for p in [-0.1, 1.1, f64::NAN] {
        assert!(holm(&[0.5, p]).is_err() && benjamini_hochberg(&[0.5, p]).is_err());
    }
    let message = PairedCounts::from_outcomes(&[true], &[]).unwrap_err().to_string();
    assert_eq!(message, "paired samples have 1 and 0 observations; pair them before comparing");
    assert!(minimum_detectable_difference_paired(0, 0.2, 0.05, 0.8).is_err());
    assert!(minimum_detectable_difference_paired(10, 1.2, 0.05, 0.8).is_err());
    assert!(minimum_detectable_difference_paired(10, 0.2, 0.05, 0.4).is_err());
}

#[test]
fn perplexity_weighs_windows_by_their_targets() {
    // (2·300 + 4·100) / 400 = 2.5 nats a target.
    let windows = [window(600.0, 300), window(400.0, 100)];
    assert_eq!(mean_nll_nats(&windows).unwrap(), 2.5);
    assert_eq!(perplexity(&windows).unwrap(), 2.5_f64.exp());
    assert_eq!(word_perplexity(&[-1.0, -3.0]).unwrap(), 2.0_f64.exp());
}

#[test]
fn losses_that_have_no_perplexity_are_refused() {
    assert!(matches!(perplexity(&[]), Err(StatisticsError::Empty { .. })));
    assert!(matches!(perplexity(&[window(0.0, 0)]), Err(StatisticsError::Empty { .. })));
    let bad = [window(1.0, 1), window(f64::NAN, 1)];
    assert!(matches!(perplexity(&bad), Err(StatisticsError::NotFinite { index: 1, .. })));
    assert!(matches!(perplexity(&[window(1e6, 1)]), Err(StatisticsError::Overflow { .. })));
    assert!(matches!(word_perplexity(&[]), Err(StatisticsError::Empty { .. })));
}

#[test]
fn windows_that_are_not_pairs_are_refused() {
    let base = [window(10.0, 5), window(10.0, 5)];
    assert!(matches!(
        perplexity_ratio(&base, &base[..1]),
        Err(StatisticsError::UnequalLengths { first: 2, second: 1 })
    ));
    assert!(matches!(
        perplexity_ratio(&base, &[window(10.0, 5), window(10.0, 6)]),
        Err(StatisticsError::UnequalTargets { index: 1, first: 5, second: 6 })
    ));
}

#[test]
fn the_bootstrap_needs_two_windows_and_a_plan() {
    let one = [window(10.0, 5)];
    let two = [window(10.0, 5), window(12.0, 5)];
    let few = perplexity_ratio_interval(&one, &one, plan(100, 1));
    assert!(matches!(few, Err(StatisticsError::TooFew { needed: 2, got: 1, .. })));
    let block = perplexity_ratio_interval(&two, &two, plan(100, 3));
    assert!(matches!(block, Err(StatisticsError::TooFew { needed: 3, got: 2, .. })));
    assert!(perplexity_ratio_interval(&two, &two, plan(0, 1)).is_err());
    assert!(perplexity_ratio_interval(&two, &two, plan(1, 0)).is_err());
    let empty = [window(10.0, 5), window(0.0, 0)];
    assert!(perplexity_ratio_interval(&empty, &empty, plan(100, 1)).is_err());
}

/// Three windows with ΔNLL 1, 3, 5 over 10 targets each: the extreme resamples (1,1,1) and (5,5,5)
/// have probability 1/27 each, more than the 2.5 % of a tail, so the limits are these.
#[test]
fn three_windows_reach_the_extreme_resamples() {
    let base = [window(100.0, 10), window(110.0, 10), window(120.0, 10)];
    let treated = [window(101.0, 10), window(113.0, 10), window(125.0, 10)];
    let interval = perplexity_ratio_interval(&base, &treated, plan(1000, 1)).unwrap();
    let ends = (interval.lower.ln(), interval.upper.ln());
    assert!((ends.0 - 0.1).abs() < 1e-12 && (ends.1 - 0.5).abs() < 1e-12, "{ends:?}");
}

#[test]
fn what_does_not_vary_has_no_correlation() {
    for list in [[0.1, 0.1, 0.1], [0.0, -0.0, 0.0], [5e-324, 5e-324, 5e-324]] {
        for found in [pearson(&list, &[1.0, 2.0, 3.0]), spearman(&[1.0, 2.0, 3.0], &list)] {
            assert!(matches!(found, Err(StatisticsError::Constant { .. })), "{found:?}");
        }
    }
    assert!(matches!(pearson(&[], &[]), Err(StatisticsError::TooFew { .. })));
    assert!(matches!(pearson(&[1.0], &[1.0]), Err(StatisticsError::TooFew { .. })));
    assert!(matches!(spearman(&[1.0], &[1.0, 2.0]), Err(StatisticsError::UnequalLengths { .. })));
    let nan = pearson(&[1.0, f64::NAN], &[1.0, 2.0]);
    assert!(matches!(nan, Err(StatisticsError::NotFinite { .. })));
}

#[test]
fn means_have_intervals_from_two_values_on() {
    assert!(matches!(mean_interval(&[1.0], plan(9, 1)), Err(StatisticsError::TooFew { .. })));
    let alike = mean_interval(&[0.25, 0.25], plan(9, 1)).unwrap();
    assert_eq!((alike.lower, alike.estimate, alike.upper), (0.25, 0.25, 0.25));
}

#[test]
fn what_is_alike_has_no_bca_interval() {
    let alike = mean_interval_bca(&[0.1; 7], plan(99, 1));
    assert!(matches!(alike, Err(StatisticsError::NoBca { .. })), "{alike:?}");
    // The same loss per target, but for roundings.
    let base = [window(100.0, 10), window(110.0, 30), window(120.0, 70)];
    let treated = [window(101.0, 10), window(113.0, 30), window(127.0, 70)];
    for other in [base, treated] {
        let alike = perplexity_ratio_interval_bca(&base, &other, plan(99, 1));
        assert!(matches!(alike, Err(StatisticsError::NoBca { .. })), "{alike:?}");
    }
    let message = alike.unwrap_err().to_string();
    let expected = "there is no BCa interval: all values are the same; use the percentile interval";
    assert_eq!(message, expected);
}

#[test]
fn the_bca_interval_needs_resamples_on_both_sides_and_something_to_leave_out() {
    let level = ConfidenceLevel::P95;
    for replicates in [[1.0, 2.0], [-1.0, -2.0]] {
        let one_side = bca_interval(&replicates, 0.0, &[0.0, 1.0], level);
        assert!(matches!(one_side, Err(StatisticsError::NoBca { .. })), "{one_side:?}");
    }
    // All replicates tie: counted half, that is no bias.
    let ties = bca_interval(&[0.5; 9], 0.5, &[0.0, 1.0], level).unwrap();
    assert_eq!((ties.bias_correction, ties.interval.lower, ties.interval.upper), (0.0, 0.5, 0.5));
    // One of many left-out values is unlike all others: a = 1/6 is the largest there can be.
    let skewed = [[1.0].as_slice(), &[0.0; 5000]].concat();
    let high = ConfidenceLevel::new(1.0 - 1e-10).unwrap();
    let pole = bca_interval(&[-1.0, 1.0], 0.0, &skewed, high);
    assert!(matches!(pole, Err(StatisticsError::NoBca { .. })), "{pole:?}");
    let empty = bca_interval(&[], 0.0, &[0.0, 1.0], level);
    assert!(matches!(empty, Err(StatisticsError::Empty { .. })));
    let whole = mean_interval_bca(&[1.0, 2.0, 3.0], plan(99, 3));
    assert!(matches!(whole, Err(StatisticsError::TooFew { needed: 2, got: 0, .. })), "{whole:?}");
    let nan = mean_interval_bca(&[1.0, f64::NAN], plan(99, 1));
    assert!(matches!(nan, Err(StatisticsError::NotFinite { index: 1, .. })));
}

#[test]
fn sign_flips_of_nothing_one_and_zeros() {
    let plan = PermutationPlan { permutations: 99, seed: 1 };
    assert!(matches!(sign_flip_test(&[], plan), Err(StatisticsError::Empty { .. })));
    let nan = sign_flip_test(&[0.0, f64::NAN], plan);
    assert!(matches!(nan, Err(StatisticsError::NotFinite { index: 1, .. })));
    let none = sign_flip_test(&[1.0], PermutationPlan { permutations: 0, ..plan });
    assert!(matches!(none, Err(StatisticsError::OutOfRange { .. })));
    for (differences, exact) in [(vec![2.5], true), (vec![0.0; 16], true), (vec![0.0; 200], false)]
    {
        let found = sign_flip_test(&differences, plan).unwrap();
        assert_eq!((found.p, found.exact), (1.0, exact));
    }
    // All of one sign: only the observed assignment and its opposite are as far from 0.
    assert_eq!(sign_flip_test(&[0.1; 16], plan).unwrap().p, 2.0_f64.powi(-15));
    assert_eq!(sign_flip_test(&[0.1; 200], plan).unwrap().p, 0.01);
    let large = sign_flip_test(&[1e308, 1e308, 1e308], plan).unwrap();
    assert_eq!(large.p, 0.25);
}

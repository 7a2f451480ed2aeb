//! Tests of equivalence and their sample sizes against `equivalence.json` (`make_equivalence.py`).

use serde_json::Value;
use statistics::{
    ConfidenceLevel, Effect, EquivalencePlan, PairedCounts, WindowLoss, equivalence_ratio,
    paired_exact_p, tango_interval, tango_z,
};

use crate::{assert_close, assert_relative, cases_of, number, numbers};

fn cases(name: &str) -> Vec<Value> {
    cases_of(include_str!("equivalence.json"), name)
}

fn counts(case: &Value) -> PairedCounts {
    let table = numbers(&case["table"], Value::as_u64);
    let [both, only_first, only_second, neither] = table[..] else { panic!("four cells") };
    PairedCounts { both, only_first, only_second, neither }
}

/// The root of the likelihood is found to 1e-13 of its stretch there, which moves the statistic by less than
/// 1e-7 where the variance is smallest; limits are found to 1e-14 by both.
#[test]
fn tango_equals_the_likelihood_maximised_by_scipy() {
    for case in cases("tango") {
        let counts = counts(&case);
        let level = ConfidenceLevel::new(number(&case, "level")).unwrap();
        let ours = tango_interval(counts, level).unwrap();
        assert_close("lower", ours.lower, number(&case, "lower"), 1e-7);
        assert_close("upper", ours.upper, number(&case, "upper"), 1e-7);
        for pair in case["z"].as_array().unwrap() {
            let [difference, z] = [0, 1].map(|at| pair[at].as_f64().unwrap());
            assert_relative("z", tango_z(counts, difference).unwrap(), z, 1e-6);
        }
    }
}

/// Fagerland, Lydersen & Laake 2014, Statistics in Medicine 33, 2850–2875, print Tango's limits of these.
#[test]
fn tango_equals_the_printed_examples() {
    for (table, lower, upper) in [([36, 12, 2, 0], 0.061, 0.345), ([1, 1, 7, 12], -0.517, -0.026)] {
        let [both, only_first, only_second, neither] = table;
        let counts = PairedCounts { both, only_first, only_second, neither };
        let ours = tango_interval(counts, ConfidenceLevel::P95).unwrap();
        assert_close("lower", ours.lower, lower, 0.0005);
        assert_close("upper", ours.upper, upper, 0.0005);
    }
}

/// There, 4,000 shares are tried and the best is taken: it lies below the largest by the square of half a
/// step. Here the largest is refined, so it may be larger by that, and smaller by a rounding.
#[test]
fn exact_p_values_equal_the_sum_over_all_tables() {
    for case in cases("exact") {
        let ours = paired_exact_p(counts(&case), number(&case, "difference")).unwrap();
        let theirs = number(&case, "p");
        assert!(ours >= theirs - 1e-9 && ours <= theirs + 1e-5, "{case}: {ours}");
    }
}

/// Differences of losses of some 3,000 nats lose 1e-12, and their linearised form a little more.
#[test]
fn tests_of_a_ratio_equal_halls_cubic_by_scipy() {
    for case in cases("ratio") {
        let targets = numbers(&case["n_targets"], Value::as_u64);
        let windows = |key: &str| -> Vec<WindowLoss> {
            let losses = numbers(&case[key], Value::as_f64);
            let window = |(nll_nats, &n): (f64, &u64)| WindowLoss { nll_nats, n_targets: n as u32 };
            losses.into_iter().zip(&targets).map(window).collect()
        };
        let (margin, alpha) = (number(&case, "margin"), number(&case, "alpha"));
        let (baseline, treated) = (windows("baseline_nats"), windows("treated_nats"));
        let ours = equivalence_ratio(&baseline, &treated, margin, alpha).unwrap();
        assert_relative("p", ours.p, number(&case, "p"), 1e-8);
        assert_relative("ratio", ours.interval.estimate, number(&case, "ratio"), 1e-12);
        assert_relative("lower", ours.interval.lower, number(&case, "lower"), 1e-8);
        assert_relative("upper", ours.interval.upper, number(&case, "upper"), 1e-8);
    }
}

#[test]
fn sample_sizes_equal_a_walk_up_to_the_power() {
    for case in cases("needed") {
        let [estimate, spread, margin, alpha, power] =
            ["estimate", "spread", "margin", "alpha", "power"].map(|key| number(&case, key));
        let plan = EquivalencePlan { margin, alpha };
        let ours = plan.needed(Effect { estimate, spread }, power).unwrap();
        assert_eq!(ours, case["n"].as_u64(), "{case}");
    }
}

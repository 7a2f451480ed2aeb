//! Reference values made by the scripts beside this file (scipy, statsmodels and formulas written a
//! second time), kept in the JSON files of their names; every test states its tolerance.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod dial;
mod equivalence;
mod ratio;

use serde_json::Value;
use statistics::{
    BootstrapPlan, ConfidenceLevel, PairedCounts, PermutationPlan, Proportion, WindowLoss,
    bca_interval, benjamini_hochberg, fisher_exact_p, holm, mcnemar_exact_p, mean_interval,
    mean_interval_bca, mid_ranks, minimum_detectable_difference_paired, newcombe_paired, pearson,
    perplexity_ratio_interval, perplexity_ratio_interval_bca, pooled_z, sign_flip_test, spearman,
    wilson,
};

/// Closed formulas: a few roundings of an f64, plus the 1e-15 of the normal quantile.
const CLOSED_FORM: f64 = 1e-12;
/// Distribution functions: relative, so that a p-value of 1e-37 is checked as well as one of 0.1.
/// Sums of log-factorials near ln(10306!) ≈ 8.5e4 lose 1e-11 of a probability.
const DISTRIBUTION: f64 = 1e-9;

fn cases(name: &str) -> Vec<Value> {
    cases_of(include_str!("golden.json"), name)
}

fn cases_of(golden: &str, name: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let cases = golden[name].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap_or_else(|| panic!("{key} of {case} is no number"))
}

fn numbers<T>(value: &Value, convert: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    value.as_array().unwrap().iter().map(|item| convert(item).unwrap()).collect()
}

#[track_caller]
fn assert_close(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance, "{what}: {ours} is not {theirs} ± {tolerance}");
}

#[track_caller]
fn assert_relative(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    assert_close(what, ours, theirs, theirs.abs() * tolerance);
}

#[test]
fn wilson_equals_statsmodels() {
    for case in cases("wilson") {
        let (x, n) = (case["successes"].as_u64().unwrap(), case["trials"].as_u64().unwrap());
        let level = ConfidenceLevel::new(number(&case, "level")).unwrap();
        let ours = wilson(Proportion::new(x, n).unwrap(), level);
        let what = format!("wilson {case}");
        assert_close(&what, ours.lower, number(&case, "lower"), CLOSED_FORM);
        assert_close(&what, ours.upper, number(&case, "upper"), CLOSED_FORM);
        assert_close(&what, ours.estimate, x as f64 / n as f64, 0.0);
    }
}

#[test]
fn paired_equals_statsmodels_and_the_formula_of_newcombe() {
    for case in cases("paired") {
        let table = numbers(&case["table"], Value::as_u64);
        let counts = PairedCounts {
            both: table[0],
            only_first: table[1],
            only_second: table[2],
            neither: table[3],
        };
        let ours = newcombe_paired(counts, ConfidenceLevel::P95).unwrap();
        let what = format!("newcombe {table:?}");
        assert_close(&what, ours.lower, number(&case, "lower"), CLOSED_FORM);
        assert_close(&what, ours.estimate, number(&case, "estimate"), CLOSED_FORM);
        assert_close(&what, ours.upper, number(&case, "upper"), CLOSED_FORM);
        let what = format!("mcnemar {table:?}");
        assert_relative(&what, mcnemar_exact_p(counts), number(&case, "mcnemar_p"), DISTRIBUTION);
    }
}

/// Newcombe 1998 (36, 12, 2, 0) and Fagerland, Lydersen & Laake 2014 (1, 1, 7, 12), as printed.
#[test]
fn newcombe_equals_the_printed_examples() {
    for (table, lower, upper, digits) in
        [([36, 12, 2, 0], 0.0569, 0.3404, 4), ([1, 1, 7, 12], -0.507, -0.026, 3)]
    {
        let [both, only_first, only_second, neither] = table;
        let counts = PairedCounts { both, only_first, only_second, neither };
        let ours = newcombe_paired(counts, ConfidenceLevel::P95).unwrap();
        let half_of_the_last_digit = 0.5 * 10_f64.powi(-digits);
        assert_close("lower", ours.lower, lower, half_of_the_last_digit);
        assert_close("upper", ours.upper, upper, half_of_the_last_digit);
    }
}

#[test]
fn unpaired_equals_statsmodels_and_scipy() {
    for case in cases("unpaired") {
        let counts = numbers(&case["counts"], Value::as_u64);
        let first = Proportion::new(counts[0], counts[1]).unwrap();
        let second = Proportion::new(counts[2], counts[3]).unwrap();
        let z = pooled_z(first, second);
        let what = format!("{counts:?}");
        assert_close(&what, z.z, number(&case, "z"), CLOSED_FORM);
        assert_relative(&what, z.p, number(&case, "z_p"), DISTRIBUTION);
        let fisher = fisher_exact_p(first, second);
        assert_relative(&what, fisher, number(&case, "fisher_p"), DISTRIBUTION);
    }
}

#[test]
fn adjusted_p_values_equal_statsmodels() {
    for case in cases("multiple") {
        let p = numbers(&case["p"], Value::as_f64);
        for (name, ours) in [("holm", holm(&p)), ("bh", benjamini_hochberg(&p))] {
            let theirs = numbers(&case[name], Value::as_f64);
            let ours = ours.unwrap();
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert_close(name, *ours, theirs, CLOSED_FORM);
            }
        }
    }
}

/// Against the whole bootstrap distribution (every possible resample). With 200,000 resamples a
/// limit's position is known to ±0.07 % of the distribution (two standard errors); 1 % of the
/// interval's width is several times what that moves the limit.
#[test]
fn bootstrap_limits_equal_the_exact_distribution() {
    for case in cases("bootstrap") {
        let nll = numbers(&case["delta_nll_nats"], Value::as_f64);
        let targets = numbers(&case["n_targets"], Value::as_u64);
        let windows = |scale: f64| -> Vec<WindowLoss> {
            let pairs = nll.iter().zip(&targets);
            pairs
                .map(|(nll, &n)| WindowLoss { nll_nats: 3000.0 + scale * nll, n_targets: n as u32 })
                .collect()
        };
        let plan = BootstrapPlan {
            resamples: 200_000,
            block_windows: case["block"].as_u64().unwrap() as usize,
            seed: 1,
            level: ConfidenceLevel::P95,
        };
        let ours = perplexity_ratio_interval(&windows(0.0), &windows(1.0), plan).unwrap();
        let (lower, upper) = (number(&case, "lower"), number(&case, "upper"));
        assert_close("estimate", ours.estimate, number(&case, "estimate"), 1e-12);
        assert_close("lower", ours.lower, lower, 0.01 * (upper - lower));
        assert_close("upper", ours.upper, upper, 0.01 * (upper - lower));
    }
}

#[test]
fn minimum_detectable_difference_equals_the_root_found_by_scipy() {
    for case in cases("minimum_detectable") {
        let ours = minimum_detectable_difference_paired(
            case["items"].as_u64().unwrap(),
            number(&case, "psi"),
            number(&case, "alpha"),
            number(&case, "power"),
        )
        .unwrap();
        match (ours, case["difference"].as_f64()) {
            (Some(ours), Some(theirs)) => assert_relative("difference", ours, theirs, 1e-9),
            (ours, theirs) => assert_eq!(ours, theirs, "{case}"),
        }
    }
}

#[test]
fn correlations_equal_scipy() {
    for case in cases("correlation") {
        let list = |key: &str| numbers(&case[key], Value::as_f64);
        let (first, second) = (list("first"), list("second"));
        let ours = pearson(&first, &second).unwrap();
        assert_close("pearson", ours, number(&case, "pearson"), CLOSED_FORM);
        let ours = spearman(&first, &second).unwrap();
        assert_close("spearman", ours, number(&case, "spearman"), CLOSED_FORM);
        assert_eq!(mid_ranks(&first), list("ranks"));
    }
}

/// As [`bootstrap_limits_equal_the_exact_distribution`], of a mean.
#[test]
fn mean_limits_equal_the_exact_distribution() {
    for case in cases("mean_bootstrap") {
        let plan = BootstrapPlan {
            resamples: 200_000,
            block_windows: case["block"].as_u64().unwrap() as usize,
            seed: 1,
            level: ConfidenceLevel::P95,
        };
        let ours = mean_interval(&numbers(&case["values"], Value::as_f64), plan).unwrap();
        let (lower, upper) = (number(&case, "lower"), number(&case, "upper"));
        assert_close("estimate", ours.estimate, number(&case, "estimate"), CLOSED_FORM);
        assert_close("lower", ours.lower, lower, 0.01 * (upper - lower));
        assert_close("upper", ours.upper, upper, 0.01 * (upper - lower));
    }
}

/// scipy's BCa given the same replicates: no random draws stand between the two.
#[test]
fn bca_equals_scipy_on_the_same_resamples() {
    for case in cases("bca_same_resamples") {
        let list = |key: &str| numbers(&case[key], Value::as_f64);
        let level = ConfidenceLevel::new(number(&case, "level")).unwrap();
        let estimate = number(&case, "estimate");
        let ours = bca_interval(&list("replicates"), estimate, &list("left_out"), level).unwrap();
        for (key, ours, tolerance) in [
            ("bias_correction", ours.bias_correction, CLOSED_FORM),
            ("acceleration", ours.acceleration, CLOSED_FORM),
            ("estimate", ours.interval.estimate, 0.0),
            ("lower", ours.interval.lower, DISTRIBUTION),
            ("upper", ours.interval.upper, DISTRIBUTION),
        ] {
            assert_close(key, ours, number(&case, key), tolerance);
        }
    }
}

/// Against the BCa limits of the whole bootstrap distribution, which scipy confirms where blocks
/// are single windows. The acceleration draws nothing. With 200,000 resamples the share below the
/// estimate has a standard error of 0.0011, and so the bias correction one of 0.0011/φ(0) = 0.0028;
/// four of them are allowed. That moves a limit's position by up to 4·2·0.0028·φ(1.96) = 0.13 % of
/// the distribution on top of the 0.07 % of the percentile interval: 3 % of the interval's width.
#[test]
fn bca_equals_the_exact_distribution() {
    for case in cases("bca_bootstrap") {
        let nll = numbers(&case["delta_nll_nats"], Value::as_f64);
        let targets = numbers(&case["n_targets"], Value::as_u64);
        let windows = |scale: f64| -> Vec<WindowLoss> {
            let pairs = nll.iter().zip(&targets);
            pairs
                .map(|(nll, &n)| WindowLoss { nll_nats: scale * nll, n_targets: n as u32 })
                .collect()
        };
        let plan = BootstrapPlan {
            resamples: 200_000,
            block_windows: case["block"].as_u64().unwrap() as usize,
            seed: 1,
            level: ConfidenceLevel::P95,
        };
        let plain = targets.iter().all(|&n| n == 1);
        let (ours, limit): (_, fn(f64) -> f64) = if plain {
            (mean_interval_bca(&nll, plan).unwrap(), |value| value)
        } else {
            (perplexity_ratio_interval_bca(&windows(0.0), &windows(1.0), plan).unwrap(), f64::ln)
        };
        let (lower, upper) = (number(&case, "lower"), number(&case, "upper"));
        let width = upper - lower;
        assert_relative("acceleration", ours.acceleration, number(&case, "acceleration"), 1e-10);
        assert_close("z0", ours.bias_correction, number(&case, "bias_correction"), 4.0 * 0.0028);
        let estimate = number(&case, "estimate");
        assert_relative("estimate", limit(ours.interval.estimate), estimate, CLOSED_FORM);
        assert_close("lower", limit(ours.interval.lower), lower, 0.03 * width);
        assert_close("upper", limit(ours.interval.upper), upper, 0.03 * width);
    }
}

/// scipy visits all assignments, we up to 16 pairs. Beyond, 100,000 draws know a p-value to a
/// standard error of `sqrt(p(1-p)/100,000)`; four are allowed, and 1e-5 for the one that is added.
#[test]
fn sign_flips_equal_scipy() {
    for case in cases("sign_flip") {
        let differences = numbers(&case["differences"], Value::as_f64);
        let plan = PermutationPlan { permutations: 100_000, seed: 1 };
        let ours = sign_flip_test(&differences, plan).unwrap();
        let p = number(&case, "p");
        assert_close("mean", ours.mean, number(&case, "mean"), CLOSED_FORM);
        assert_eq!(ours.exact, differences.len() <= 16);
        let sampled = 4.0 * (p * (1.0 - p) / 1e5).sqrt() + 1e-5;
        assert_close("p", ours.p, p, if ours.exact { 0.0 } else { sampled });
    }
}

//! The test of a perplexity ratio and its power against `ratio.json` (`make_ratio.py`).

use serde_json::Value;
use statistics::{
    PermutationPlan, WindowLoss, minimum_detectable_ratio_paired, perplexity_ratio_p,
    ratio_spread_nats,
};

use crate::{CLOSED_FORM, assert_close, assert_relative, cases_of, number, numbers};

fn cases(name: &str) -> Vec<Value> {
    cases_of(include_str!("ratio.json"), name)
}

/// scipy visits all assignments of signs, we up to 16 windows. Beyond, 100,000 draws know a p-value
/// to a standard error of `sqrt(p(1-p)/100,000)`; four are allowed, and 1e-5 for the one added.
/// Losses of some 3,000 nats leave 1e-12 of a difference of windows.
#[test]
fn ratio_tests_equal_scipy() {
    for case in cases("ratio_test") {
        let targets = numbers(&case["n_targets"], Value::as_u64);
        let windows = |key: &str| -> Vec<WindowLoss> {
            let losses = numbers(&case[key], Value::as_f64);
            let window = |(nll_nats, &n): (f64, &u64)| WindowLoss { nll_nats, n_targets: n as u32 };
            losses.into_iter().zip(&targets).map(window).collect()
        };
        let (baseline, treated) = (windows("baseline_nats"), windows("treated_nats"));
        let plan = PermutationPlan { permutations: 100_000, seed: 1 };
        let threshold = number(&case, "threshold");
        let ours = perplexity_ratio_p(&baseline, &treated, threshold, plan).unwrap();
        assert_relative("ratio", ours.ratio, number(&case, "ratio"), CLOSED_FORM);
        assert_close("excess", ours.excess_nats, number(&case, "excess_nats"), CLOSED_FORM);
        let p = number(&case, "p");
        let sampled = 4.0 * (p * (1.0 - p) / 1e5).sqrt() + 1e-5;
        assert_eq!(ours.exact, targets.len() <= 16);
        assert_close("p", ours.p, p, if ours.exact { 0.0 } else { sampled });
        let spread = ratio_spread_nats(&baseline, &treated).unwrap();
        assert_close("spread", spread, number(&case, "spread_nats"), CLOSED_FORM);
    }
}

#[test]
fn minimum_detectable_ratios_equal_the_root_of_the_power_of_statsmodels() {
    for case in cases("minimum_detectable_ratio") {
        let windows = case["windows"].as_u64().unwrap();
        let [spread, alpha, power] =
            ["spread_nats", "alpha", "power"].map(|key| number(&case, key));
        let ours = minimum_detectable_ratio_paired(windows, spread, alpha, power).unwrap();
        match (ours, case["ratio"].as_f64()) {
            (Some(ours), Some(theirs)) => assert_relative("ratio", ours, theirs, 1e-9),
            (ours, theirs) => assert_eq!(ours, theirs, "{case}"),
        }
    }
}

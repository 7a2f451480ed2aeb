//! Isotonic regression, Page's trend and the monotone test against `dial.json` (`make_dial.py`).

use serde_json::Value;
use statistics::{
    BootstrapPlan, ConfidenceLevel, Dial, WindowLoss, isotonic_fit, monotone_test, page_trend,
};

use crate::{CLOSED_FORM, DISTRIBUTION, assert_close, assert_relative, cases_of, number, numbers};

fn cases(name: &str) -> Vec<Value> {
    cases_of(include_str!("dial.json"), name)
}

fn dial_of(case: &Value, n_targets: &[u64]) -> Dial {
    let level = |losses: &Value| -> Option<Vec<WindowLoss>> {
        let losses = numbers(losses, Value::as_f64);
        let window = |(nll_nats, &n): (f64, &u64)| WindowLoss { nll_nats, n_targets: n as u32 };
        Some(losses.into_iter().zip(n_targets).map(window).collect())
    };
    Dial::new(&numbers(&case["losses_nats"], level)).unwrap()
}

#[test]
fn isotonic_fits_equal_scipy() {
    for case in cases("isotonic") {
        let list = |key: &str| numbers(&case[key], Value::as_f64);
        let ours = isotonic_fit(&list("values"));
        for (ours, theirs) in ours.iter().zip(list("fit")) {
            assert_close("isotonic fit", *ours, theirs, CLOSED_FORM);
        }
        assert_eq!(ours.len(), list("fit").len());
    }
}

#[test]
fn page_trends_equal_scipy() {
    for case in cases("page") {
        let windows = case["losses_nats"][0].as_array().unwrap().len();
        let ours = page_trend(&dial_of(&case, &vec![1; windows])).unwrap();
        assert_close("L", ours.l, number(&case, "l"), 1e-9);
        assert_relative("p of L", ours.p, number(&case, "p"), DISTRIBUTION);
    }
}

/// Against every possible resample. 200,000 drawn ones know a p-value to a standard error of
/// `sqrt(p(1-p)/200,000)`, of which four are allowed, and 1e-5 for the one that is added; the limit
/// of the fall is allowed 2 % of the largest fall, as a percentile limit elsewhere 1 % of a width.
#[test]
fn monotone_tests_equal_the_exact_distribution() {
    for case in cases("monotone") {
        let plan = BootstrapPlan {
            resamples: 200_000,
            block_windows: case["block"].as_u64().unwrap() as usize,
            seed: 1,
            level: ConfidenceLevel::P95,
        };
        let dial = dial_of(&case, &numbers(&case["n_targets"], Value::as_u64));
        let ours = monotone_test(&dial, plan).unwrap();
        for (key, list) in [("levels", &ours.level_nats), ("fitted", &ours.fitted_nats)] {
            let theirs = numbers(&case[key], Value::as_f64);
            assert_eq!(list.len(), theirs.len());
            for (ours, theirs) in list.iter().zip(theirs) {
                assert_close(key, *ours, theirs, CLOSED_FORM);
            }
        }
        assert_close("distance", ours.distance, number(&case, "distance"), CLOSED_FORM);
        assert_close("fall", ours.largest_fall.nats, number(&case, "fall"), CLOSED_FORM);
        let p = number(&case, "p");
        assert_close("p", ours.p, p, 4.0 * (p * (1.0 - p) / 2e5).sqrt() + 1e-5);
        let upper = number(&case, "fall_upper");
        assert_close("limit of the fall", ours.largest_fall.upper_nats, upper, 0.02 * upper);
    }
}

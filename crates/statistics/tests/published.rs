//! The published LAMBADA counts, fed through the code, give the published figures.
//!
//! Five models, the first 300 items, dense against dynamic sparsity of 90 %: how many items each
//! gets right. Only the counts were published, not which items, so the tests are the unpaired ones.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use statistics::{
    ConfidenceLevel, PairedCounts, Proportion, fisher_exact_p, mcnemar_exact_p, pooled_z, wilson,
};

const ITEMS: u64 = 300;

/// A model's counts of right items.
struct Published {
    model: &'static str,
    dense: u64,
    dynamic: u64,
}

const SWIGLU_SMALL: Published = Published { model: "Qwen2.5-0.5B", dense: 190, dynamic: 69 };
const SWIGLU_LARGE: Published = Published { model: "Qwen2.5-1.5B", dense: 212, dynamic: 109 };
const RELU_SMALL: Published = Published { model: "OPT-1.3B", dense: 205, dynamic: 205 };
const RELU_LARGE: Published = Published { model: "OPT-2.7B", dense: 211, dynamic: 211 };
const HYBRID: Published = Published { model: "Zamba2-1.2B", dense: 246, dynamic: 230 };

impl Published {
    fn proportions(&self) -> (Proportion, Proportion) {
        let of = |right| Proportion::new(right, ITEMS).unwrap();
        (of(self.dense), of(self.dynamic))
    }
}

/// A number as it is printed: to so many digits behind the point.
#[track_caller]
fn assert_prints(what: &str, value: f64, digits: usize, printed: &str) {
    assert_eq!(format!("{value:.digits$}"), printed, "{what}");
}

/// Limits to three digits from statsmodels' `proportion_confint(method="wilson")`.
#[test]
fn accuracies_and_their_wilson_intervals() {
    for (published, dense, dynamic) in [
        (SWIGLU_SMALL, ["0.577", "0.633", "0.686"], ["0.186", "0.230", "0.281"]),
        (SWIGLU_LARGE, ["0.653", "0.707", "0.755"], ["0.311", "0.363", "0.419"]),
        (RELU_SMALL, ["0.629", "0.683", "0.733"], ["0.629", "0.683", "0.733"]),
        (RELU_LARGE, ["0.649", "0.703", "0.752"], ["0.649", "0.703", "0.752"]),
        (HYBRID, ["0.773", "0.820", "0.859"], ["0.716", "0.767", "0.811"]),
    ] {
        let (before, after) = published.proportions();
        for (proportion, printed) in [(before, dense), (after, dynamic)] {
            let found = wilson(proportion, ConfidenceLevel::P95);
            let numbers = [found.lower, found.estimate, found.upper];
            for (number, printed) in numbers.into_iter().zip(printed) {
                assert_prints(published.model, number, 3, printed);
            }
        }
    }
}

#[test]
fn swiglu_loses_with_p_below_a_thousandth() {
    for published in [SWIGLU_SMALL, SWIGLU_LARGE] {
        let (dense, dynamic) = published.proportions();
        assert!(pooled_z(dense, dynamic).z > 0.0, "{}", published.model);
        assert!(pooled_z(dense, dynamic).p < 0.001, "{}", published.model);
        assert!(fisher_exact_p(dense, dynamic) < 0.001, "{}", published.model);
    }
}

#[test]
fn relu_keeps_every_item_with_p_1() {
    for published in [RELU_SMALL, RELU_LARGE] {
        let (dense, dynamic) = published.proportions();
        assert_prints(published.model, pooled_z(dense, dynamic).p, 2, "1.00");
        assert_prints(published.model, fisher_exact_p(dense, dynamic), 2, "1.00");
    }
}

#[test]
fn the_hybrid_is_undecided() {
    let (dense, dynamic) = HYBRID.proportions();
    assert_prints("pooled z", pooled_z(dense, dynamic).p, 3, "0.107");
    assert_prints("Fisher", fisher_exact_p(dense, dynamic), 2, "0.13");
}

/// What the counts leave open: the same 246 and 230 are far from chance if the 230 are among the
/// 246, and further from a difference than the unpaired tests say if the two disagree on as many
/// items as they can. A paired test needs the items.
#[test]
fn the_hybrid_could_be_anything_if_its_items_were_known() {
    let fewest = PairedCounts { both: 230, only_first: 16, only_second: 0, neither: 54 };
    let most = PairedCounts { both: 176, only_first: 70, only_second: 54, neither: 0 };
    for table in [fewest, most] {
        assert_eq!((table.first().unwrap(), table.second().unwrap()), HYBRID.proportions());
    }
    assert!(mcnemar_exact_p(fewest) < 0.001);
    assert!(mcnemar_exact_p(most) > 0.107);
}

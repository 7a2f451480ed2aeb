//! Identities that hold for every input: intervals contain their estimate, exchanging the two
//! policies mirrors the answer, adjusted p-values keep their order, the seed decides everything.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proptest::prelude::*;
use statistics::{
    BootstrapPlan, ConfidenceLevel, Margins, PairedCounts, PermutationPlan, Proportion, WindowLoss,
    benjamini_hochberg, equivalence_paired, fisher_exact_p, holm, mcnemar_exact_p,
    mean_interval_bca, minimum_detectable_difference_paired, newcombe_paired, newcombe_paired_p,
    perplexity, perplexity_ratio, perplexity_ratio_interval, perplexity_ratio_interval_bca,
    pooled_z, sign_flip_test, wilson,
};

fn proportions() -> impl Strategy<Value = Proportion> {
    (1_u64..2000)
        .prop_flat_map(|n| (0..=n, Just(n)))
        .prop_map(|(successes, trials)| Proportion::new(successes, trials).unwrap())
}

fn tables() -> impl Strategy<Value = PairedCounts> {
    let cell = || prop_oneof![Just(0_u64), 0_u64..400];
    (cell(), cell(), cell(), cell())
        .prop_map(|(both, only_first, only_second, neither)| PairedCounts {
            both,
            only_first,
            only_second,
            neither,
        })
        .prop_filter("at least one item", |table| table.items() > 0)
}

/// The same table with first and second exchanged.
fn swapped(table: PairedCounts) -> PairedCounts {
    PairedCounts { only_first: table.only_second, only_second: table.only_first, ..table }
}

fn levels() -> impl Strategy<Value = ConfidenceLevel> {
    (0.5_f64..0.999).prop_map(|level| ConfidenceLevel::new(level).unwrap())
}

/// Baseline and treated losses of the same windows.
fn paired_windows() -> impl Strategy<Value = (Vec<WindowLoss>, Vec<WindowLoss>)> {
    let window = (1.0_f64..4000.0, -500.0_f64..2000.0, 200_u32..1024);
    prop::collection::vec(window, 2..12).prop_map(|windows| {
        let pick = |change: bool| {
            let losses = windows.iter().map(|&(nll, delta, n_targets)| WindowLoss {
                nll_nats: if change { nll + delta } else { nll },
                n_targets,
            });
            losses.collect()
        };
        (pick(false), pick(true))
    })
}

fn plan(seed: u64, block_windows: usize) -> BootstrapPlan {
    BootstrapPlan { resamples: 400, block_windows, seed, level: ConfidenceLevel::P95 }
}

proptest! {
    #[test]
    fn wilson_contains_its_estimate_and_mirrors(x in proportions(), level in levels()) {
        let interval = wilson(x, level);
        prop_assert!(interval.contains(interval.estimate));
        prop_assert!(interval.lower >= 0.0 && interval.upper <= 1.0);
        let wrong = Proportion::new(x.trials() - x.successes(), x.trials()).unwrap();
        let mirrored = wilson(wrong, level);
        prop_assert!((mirrored.lower - (1.0 - interval.upper)).abs() < 1e-12);
        prop_assert!((mirrored.upper - (1.0 - interval.lower)).abs() < 1e-12);
    }

    #[test]
    fn a_higher_level_gives_a_wider_interval(x in proportions(), level in 0.5_f64..0.99) {
        let narrow = wilson(x, ConfidenceLevel::new(level).unwrap());
        let wide = wilson(x, ConfidenceLevel::new(level + 0.005).unwrap());
        prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
    }

    #[test]
    fn newcombe_contains_its_estimate_and_mirrors(table in tables(), level in levels()) {
        let interval = newcombe_paired(table, level).unwrap();
        prop_assert!(interval.contains(interval.estimate));
        prop_assert!(interval.lower >= -1.0 && interval.upper <= 1.0);
        let mirrored = newcombe_paired(swapped(table), level).unwrap();
        prop_assert!((mirrored.lower + interval.upper).abs() < 1e-12);
        prop_assert!((mirrored.upper + interval.lower).abs() < 1e-12);
    }

    #[test]
    fn tests_are_symmetric_and_between_0_and_1(
        table in tables(), x in proportions(), y in proportions(),
    ) {
        let p = mcnemar_exact_p(table);
        prop_assert!((0.0..=1.0).contains(&p));
        prop_assert_eq!(p, mcnemar_exact_p(swapped(table)));
        // Concordant items do not enter.
        prop_assert_eq!(p, mcnemar_exact_p(PairedCounts { both: 0, neither: 9, ..table }));
        let fisher = fisher_exact_p(x, y);
        // 0 where it is smaller than any f64.
        prop_assert!((0.0..=1.0).contains(&fisher));
        prop_assert!((fisher - fisher_exact_p(y, x)).abs() < 1e-9);
        let (forward, backward) = (pooled_z(x, y), pooled_z(y, x));
        prop_assert!((forward.z + backward.z).abs() < 1e-12);
        prop_assert!((forward.p - backward.p).abs() < 1e-12);
    }

    #[test]
    fn outcomes_and_counts_agree(pairs in prop::collection::vec(any::<(bool, bool)>(), 1..200)) {
        let (first, second): (Vec<bool>, Vec<bool>) = pairs.iter().copied().unzip();
        let counts = PairedCounts::from_outcomes(&first, &second).unwrap();
        prop_assert_eq!(counts.items(), pairs.len() as u64);
        let right = first.iter().filter(|outcome| **outcome).count() as u64;
        prop_assert_eq!(counts.first().unwrap().successes(), right);
        prop_assert_eq!(swapped(counts), PairedCounts::from_outcomes(&second, &first).unwrap());
    }

    #[test]
    fn equivalence_within_a_margin_holds_within_a_larger_one(
        table in tables(), margin in 0.001_f64..0.9, level in levels(),
    ) {
        let tight = equivalence_paired(table, margin, level).unwrap();
        let loose = equivalence_paired(table, margin * 1.1, level).unwrap();
        prop_assert!(tight.margins != Margins::Within || loose.margins == Margins::Within);
        prop_assert!(loose.margins != Margins::Beyond || tight.margins == Margins::Beyond);
    }

    /// The interval of 1 - 2α and the p-values of the two tests say the same.
    #[test]
    fn equivalence_by_interval_is_equivalence_by_tests(
        table in tables(), margin in 0.001_f64..0.9, alpha in 0.001_f64..0.2,
    ) {
        let level = ConfidenceLevel::new(1.0 - 2.0 * alpha).unwrap();
        let found = equivalence_paired(table, margin, level).unwrap();
        prop_assume!((found.p - alpha).abs() > 1e-9);
        if found.interval.estimate.abs() < margin {
            prop_assert_eq!(found.p < alpha, found.margins == Margins::Within);
        } else {
            prop_assert!(found.margins != Margins::Within);
        }
    }

    /// The p-value is the level at which the interval ends at the difference.
    #[test]
    fn newcombes_p_is_the_level_at_which_his_interval_ends(table in tables(), level in levels()) {
        let interval = newcombe_paired(table, level).unwrap();
        for limit in [interval.lower, interval.upper] {
            // A limit that was cut at ±1 is that of other levels too.
            if limit.abs() < 1.0 && limit != interval.estimate {
                let p = newcombe_paired_p(table, limit).unwrap();
                prop_assert!((p - (1.0 - level.get())).abs() < 1e-9, "{p} at {limit}");
            }
        }
    }

    #[test]
    fn the_ratio_is_the_quotient_of_perplexities((base, treated) in paired_windows()) {
        let quotient = perplexity(&treated).unwrap() / perplexity(&base).unwrap();
        let ratio = perplexity_ratio(&base, &treated).unwrap();
        prop_assert!((ratio / quotient - 1.0).abs() < 1e-10);
    }

    #[test]
    fn bootstrap_mirrors_and_repeats((base, treated) in paired_windows(), seed in any::<u64>()) {
        for block in [1, 2] {
            let forward = perplexity_ratio_interval(&base, &treated, plan(seed, block)).unwrap();
            prop_assert!(forward.lower <= forward.upper);
            prop_assert_eq!(forward,
                perplexity_ratio_interval(&base, &treated, plan(seed, block)).unwrap());
            let backward = perplexity_ratio_interval(&treated, &base, plan(seed, block)).unwrap();
            prop_assert!((forward.lower * backward.upper - 1.0).abs() < 1e-9);
            prop_assert!((forward.upper * backward.lower - 1.0).abs() < 1e-9);
            prop_assert!((forward.estimate * backward.estimate - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn the_same_windows_have_ratio_one((base, _) in paired_windows(), seed in any::<u64>()) {
        let same = perplexity_ratio_interval(&base, &base, plan(seed, 1)).unwrap();
        prop_assert_eq!((same.lower, same.estimate, same.upper), (1.0, 1.0, 1.0));
    }

    /// Exchanging the policies turns signs, and a sign turned loses nothing: both corrections turn
    /// with it.
    #[test]
    fn bca_mirrors_and_repeats((base, treated) in paired_windows(), seed in any::<u64>()) {
        let of = |a: &[WindowLoss], b: &[WindowLoss]| {
            perplexity_ratio_interval_bca(a, b, plan(seed, 1))
        };
        if let (Ok(forward), Ok(backward)) = (of(&base, &treated), of(&treated, &base)) {
            prop_assert_eq!(forward, of(&base, &treated).unwrap());
            prop_assert!((forward.interval.lower * backward.interval.upper - 1.0).abs() < 1e-9);
            prop_assert!((forward.interval.upper * backward.interval.lower - 1.0).abs() < 1e-9);
            prop_assert!((forward.bias_correction + backward.bias_correction).abs() < 1e-12);
            prop_assert!((forward.acceleration + backward.acceleration).abs() < 1e-12);
            prop_assert!(forward.interval.lower <= forward.interval.upper);
        }
    }

    /// Neither a shift nor a scale is a skew.
    #[test]
    fn bca_of_a_mean_moves_with_its_values(
        values in prop::collection::vec(-1.0_f64..1.0, 5..20), shift in -3.0_f64..3.0,
        seed in any::<u64>(),
    ) {
        let moved: Vec<f64> = values.iter().map(|value| 2.0 * value + shift).collect();
        let plain = mean_interval_bca(&values, plan(seed, 1)).unwrap();
        let moved = mean_interval_bca(&moved, plan(seed, 1)).unwrap();
        prop_assert!((moved.interval.lower - 2.0 * plain.interval.lower - shift).abs() < 1e-9);
        prop_assert!((moved.interval.upper - 2.0 * plain.interval.upper - shift).abs() < 1e-9);
        prop_assert!((moved.acceleration - plain.acceleration).abs() < 1e-9);
    }

    /// Which policy is called the first, in which unit the difference is taken and in which order
    /// the items come is nothing to an exact test; the p-value of a drawn one stays in its range.
    #[test]
    fn sign_flips_forget_sign_and_unit(
        differences in prop::collection::vec(-10_i32..=10, 1..40), seed in any::<u64>(),
    ) {
        let plan = PermutationPlan { permutations: 199, seed };
        let p_of = |differences: &[f64]| sign_flip_test(differences, plan).unwrap();
        let plain: Vec<f64> = differences.iter().map(|&value| f64::from(value)).collect();
        let turned: Vec<f64> = plain.iter().map(|value| -0.1 * value).collect();
        let mut reversed = plain.clone();
        reversed.reverse();
        let found = p_of(&plain);
        prop_assert_eq!(found.p, p_of(&turned).p);
        if found.exact {
            prop_assert_eq!(found.p, p_of(&reversed).p);
            prop_assert!(found.p >= 2.0_f64.powi(1 - plain.len() as i32).min(1.0));
        } else {
            prop_assert!(found.p >= 1.0 / 200.0);
        }
        prop_assert!(found.p <= 1.0);
        prop_assert_eq!(found, p_of(&plain));
    }

    /// On differences of -1 and 1 the test is McNemar's: the sum of signs is the split of a coin.
    #[test]
    fn sign_flips_of_ones_are_mcnemars_test(only_first in 0_u64..8, only_second in 0_u64..8) {
        let table = PairedCounts { both: 3, only_first, only_second, neither: 2 };
        let mut differences = vec![1.0; only_first as usize];
        differences.resize((only_first + only_second) as usize, -1.0);
        differences.push(0.0);
        let plan = PermutationPlan { permutations: 1, seed: 0 };
        let flipped = sign_flip_test(&differences, plan).unwrap();
        prop_assert!(flipped.exact && (flipped.p - mcnemar_exact_p(table)).abs() < 1e-12);
    }

    #[test]
    fn adjusted_p_values_are_no_smaller_and_keep_their_order(
        p in prop::collection::vec(0.0_f64..=1.0, 0..30),
    ) {
        let family = [holm(&p).unwrap(), benjamini_hochberg(&p).unwrap()];
        for adjusted in &family {
            for (i, &raw) in p.iter().enumerate() {
                prop_assert!(adjusted[i] >= raw && adjusted[i] <= 1.0);
                for (j, &other) in p.iter().enumerate() {
                    prop_assert!(raw > other || adjusted[i] <= adjusted[j]);
                }
            }
        }
        for (strict, lenient) in family[0].iter().zip(&family[1]) {
            prop_assert!(strict >= lenient);
        }
    }

    #[test]
    fn more_items_detect_smaller_differences(items in 20_u64..3000, psi in 0.05_f64..1.0) {
        let few = minimum_detectable_difference_paired(items, psi, 0.05, 0.8).unwrap();
        let more = minimum_detectable_difference_paired(2 * items, psi, 0.05, 0.8).unwrap();
        if let (Some(few), Some(more)) = (few, more) {
            prop_assert!(more < few && few <= psi);
        }
        prop_assert!(few.is_none() || more.is_some());
    }
}

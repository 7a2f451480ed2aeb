//! Levels of the tests of equivalence, of their sequence, and what their power comes to.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statistics::{
    ConfidenceLevel, Effect, EquivalencePlan, PairedCounts, WindowLoss, equivalence_exact,
    equivalence_ratio, fixed_sequence, least_items, paired_exact_p, tango_interval, tango_z,
};

use crate::proportions::{mass, tables};
use crate::{chance, normal, share};

const ALPHA: f64 = 0.05;

/// The cells of a true difference of `-margin`, for a share `q` that only the first gets right.
fn at_the_margin(margin: f64, q: f64) -> [f64; 4] {
    let agree = 1.0 - 2.0 * q - margin;
    [0.7 * agree, q, q + margin, 0.3 * agree]
}

/// Tango's interval covers about its level, and less where nearly all items agree.
#[test]
fn tangos_interval_covers_about_its_level() {
    let level = ConfidenceLevel::P95;
    let all: Vec<_> =
        tables(40).map(|table| (table, tango_interval(table, level).unwrap())).collect();
    for (q, least, most) in [(0.2, 0.94, 0.96), (0.1, 0.94, 0.965), (0.0, 0.90, 1.0)] {
        let cells = at_the_margin(0.1, q);
        let covering = all.iter().filter(|(_, limits)| limits.contains(-0.1));
        let found: f64 = covering.map(|(table, _)| mass(*table, cells)).sum();
        assert!((least..most).contains(&found), "{q}: {found}");
    }
}

/// The score test goes above its level where dense is nearly always right and the margin is small; the exact
/// test, whose p-value is the worst case, does not, whatever the discordant share.
#[test]
fn the_exact_test_keeps_its_level_where_the_score_test_does_not() {
    let mut worst_of_scores = 0.0_f64;
    for (n, margin) in [(30, 0.1), (45, 0.05), (45, 0.1)] {
        let far = 1.6448536269514722;
        let both: Vec<(PairedCounts, bool, bool)> = discordant(n)
            .map(|table| {
                let exact = paired_exact_p(table, -margin).unwrap() <= ALPHA;
                (table, exact, tango_z(table, -margin).unwrap() >= far)
            })
            .collect();
        for step in 0..=60 {
            let q = (1.0 - margin) / 2.0 * (f64::from(step) / 60.0).powi(2);
            let of = |is: fn(&(PairedCounts, bool, bool)) -> bool| -> f64 {
                let rejected = both.iter().filter(|own| is(own));
                rejected.map(|own| of_discordant(own.0, q, q + margin)).sum()
            };
            let exact = of(|own| own.1);
            assert!(exact <= ALPHA + 1e-6, "{n} items, {margin}, {q}: {exact}");
            worst_of_scores = worst_of_scores.max(of(|own| own.2));
        }
    }
    assert!(worst_of_scores > 0.055, "{worst_of_scores}");
}

/// Tables by their discordant cells alone, on which the tests hang.
fn discordant(n: u64) -> impl Iterator<Item = PairedCounts> {
    (0..=n).flat_map(move |only_first| {
        (0..=n - only_first).map(move |only_second| {
            let both = n - only_first - only_second;
            PairedCounts { both, only_first, only_second, neither: 0 }
        })
    })
}

fn of_discordant(table: PairedCounts, first: f64, second: f64) -> f64 {
    mass(table, [1.0 - first - second, first, second, 0.0])
}

/// The statistic grows with one discordant count and falls with the other, without which the worst case over
/// all smaller differences would not lie at the margin.
#[test]
fn the_order_of_tables_is_monotone() {
    let n = 25;
    let z = |only_first: u64, only_second: u64, difference: f64| {
        let both = n - only_first - only_second;
        tango_z(PairedCounts { both, only_first, only_second, neither: 0 }, difference).unwrap()
    };
    for difference in [-0.3, -0.1, -0.02, 0.02, 0.2] {
        for b in 0..n {
            for c in 0..n - b {
                let here = z(b, c, difference);
                assert!(z(b + 1, c, difference) >= here - 1e-9, "{b} {c} {difference}");
                assert!(z(b, c + 1, difference) <= here + 1e-9, "{b} {c} {difference}");
            }
        }
    }
}

/// The limits of the interval are where the p-value crosses the level: a verdict never contradicts its row.
#[test]
fn an_interval_lies_within_the_margins_where_equivalence_is_shown() {
    for table in discordant(30).step_by(11) {
        for margin in [0.05, 0.1] {
            let found = equivalence_exact(table, margin, ALPHA).unwrap();
            let inside = -margin < found.interval.lower && found.interval.upper < margin;
            let close = (found.p - ALPHA).abs() < 1e-6;
            assert!(inside == found.is_shown(ALPHA) || close, "{table:?}: {found:?}");
        }
    }
}

#[test]
fn the_fewest_items_are_those_that_all_agree() {
    for (margin, alpha) in [(0.02, 0.05), (0.05, 0.05), (0.1, 0.025)] {
        let least = least_items(margin, alpha).unwrap();
        let of = |both| PairedCounts { both, only_first: 0, only_second: 0, neither: 0 };
        assert!(paired_exact_p(of(least), -margin).unwrap() <= alpha + 1e-12);
        assert!(paired_exact_p(of(least - 1), -margin).unwrap() > alpha);
    }
    assert_eq!(least_items(0.02, 0.05).unwrap(), 149);
}

/// What one window adds to the difference, with mean 0 and spread 1.
type Law = fn(&mut ChaCha8Rng) -> f64;

fn skewed(rng: &mut ChaCha8Rng) -> f64 {
    -(rng.random_range(1e-12..1.0_f64)).ln() - 1.0
}

/// Windows of unlike lengths whose true log ratio is `log_ratio`.
fn pair(
    rng: &mut ChaCha8Rng,
    n: usize,
    log_ratio: f64,
    spread: f64,
    law: Law,
) -> [Vec<WindowLoss>; 2] {
    let mut sides = [Vec::new(), Vec::new()];
    for _ in 0..n {
        let n_targets = rng.random_range(200..256_u32);
        let dense = 3.0 + 0.4 * normal(rng);
        let own = dense + log_ratio + spread * law(rng);
        let targets = f64::from(n_targets);
        sides[0].push(WindowLoss { nll_nats: targets * dense, n_targets });
        sides[1].push(WindowLoss { nll_nats: targets * own, n_targets });
    }
    sides
}

/// At the margin, equivalence of a ratio is shown as often as the level: of normal differences from 8 windows
/// on; of exponential ones, which are skewed by 2 and of which the plain t test has 9 %, within two points at
/// 40 windows.
#[test]
fn a_ratio_at_its_margin_is_called_equal_as_often_as_the_level() {
    let repetitions = 4000;
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    for (n, law, allowed) in
        [(8, normal as Law, 0.0), (40, normal as Law, 0.0), (40, skewed as Law, 0.02)]
    {
        for side in [1.0, -1.0] {
            let shown = share(repetitions, |_| {
                let truth = side * 0.05_f64.ln_1p();
                let [dense, own] = pair(&mut rng, n, truth, 0.02, law);
                equivalence_ratio(&dense, &own, 0.05, ALPHA).unwrap().is_shown(ALPHA)
            });
            let most = ALPHA + allowed + chance(ALPHA, repetitions);
            assert!(shown <= most, "{n} windows, side {side}: {shown}");
            assert!(shown >= 0.02, "{n} windows, side {side}: {shown}");
        }
    }
}

/// As many windows as are said to be needed show equivalence about as often as was asked for. Two points are
/// allowed for the normal quantile in place of Student's.
#[test]
fn what_is_needed_is_enough() {
    let (repetitions, spread, truth) = (2000, 0.05, 0.01);
    let plan = EquivalencePlan { margin: 0.05_f64.ln_1p(), alpha: ALPHA };
    let n = plan.needed(Effect { estimate: truth, spread }, 0.8).unwrap().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(32);
    let shown = share(repetitions, |_| {
        let [dense, own] = pair(&mut rng, n as usize, truth, spread, normal);
        equivalence_ratio(&dense, &own, 0.05, ALPHA).unwrap().is_shown(ALPHA)
    });
    assert!((shown - 0.8).abs() < 0.04 + chance(0.8, repetitions), "{n} windows: {shown}");
}

/// The chance that is foreseen from some windows is how often the test then succeeds, over true effects as a
/// flat prior has them. Three points are allowed for spreads that are known only from the windows seen.
#[test]
fn assurance_is_how_often_the_test_succeeds() {
    let (repetitions, seen, n, spread) = (3000, 30, 60, 0.06);
    let plan = EquivalencePlan { margin: 0.05_f64.ln_1p(), alpha: ALPHA };
    let mut rng = ChaCha8Rng::seed_from_u64(33);
    let (mut foreseen, mut shown) = (0.0, 0.0);
    for _ in 0..repetitions {
        let truth = rng.random_range(-0.12..0.12);
        let found = truth + spread / f64::from(seen).sqrt() * normal(&mut rng);
        let effect = Effect { estimate: found, spread };
        foreseen += plan.assurance(effect, n, Some(u64::from(seen as u32))).unwrap();
        let [dense, own] = pair(&mut rng, n as usize, truth, spread, normal);
        shown += f64::from(u8::from(
            equivalence_ratio(&dense, &own, 0.05, ALPHA).unwrap().is_shown(ALPHA),
        ));
    }
    let [foreseen, shown] = [foreseen, shown].map(|sum| sum / f64::from(repetitions));
    let allowed = 0.03 + chance(shown, u64::from(repetitions as u32));
    assert!((foreseen - shown).abs() < allowed, "foreseen {foreseen}, found {shown}");
}

/// Of hypotheses that are all true, some is rejected no more often than the level, however many there are;
/// tested side by side, five would be rejected in a quarter of all cases.
#[test]
fn a_fixed_sequence_keeps_the_level() {
    let repetitions = 20_000;
    let mut rng = ChaCha8Rng::seed_from_u64(34);
    let mut any = 0.0;
    let shown = share(repetitions, |_| {
        let p: Vec<f64> = (0..5).map(|_| rng.random_range(0.0..1.0)).collect();
        any += f64::from(u8::from(p.iter().any(|p| *p <= ALPHA)));
        fixed_sequence(&p, ALPHA) > 0
    });
    assert!((shown - ALPHA).abs() < chance(ALPHA, repetitions), "{shown}");
    assert!(any / repetitions as f64 > 0.2);
    assert_eq!(fixed_sequence(&[0.01, 0.05, f64::NAN, 0.0], ALPHA), 2);
    assert_eq!(fixed_sequence(&[0.2, 0.0], ALPHA), 0);
}

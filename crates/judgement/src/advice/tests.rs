//! The advice over many simulated searches and tests.

use plan::{AdviceJudged, AdviceKeep, AdviceNumber, AdviceSize, Smallest};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statistics::{PairedCounts, WindowLoss};

use super::choose::{arranged, narrowed, shown};
use super::number::{searched, tested};
use super::paired::Pairs;
use super::*;

const DENSE: AdviceSize = AdviceSize { stored_bytes: 1000, parameters: 500, decode_seconds: None };

fn perplexity() -> AdviceKeep {
    AdviceKeep { protocol: "ppl-256".parse().unwrap(), margin: 0.05, test_units: 40 }
}

fn last_words() -> AdviceKeep {
    AdviceKeep { protocol: "lambada-openai".parse().unwrap(), margin: 0.05, test_units: 200 }
}

/// A normal number, by the sum of twelve even ones.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random_range(0.0..1.0)).sum::<f64>() - 6.0
}

/// Windows of a recipe whose true log ratio is `truth`.
fn windows(rng: &mut ChaCha8Rng, n: usize, truth: f64) -> Pairs {
    let (mut dense, mut own) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let n_targets = rng.random_range(200..256_u32);
        let loss = 3.0 + 0.4 * normal(rng);
        let change = truth + 0.04 * normal(rng);
        let window = |nats: f64| WindowLoss { nll_nats: f64::from(n_targets) * nats, n_targets };
        dense.push(window(loss));
        own.push(window(loss + change));
    }
    Pairs::Losses { dense, own }
}

/// Items of a recipe that is wrong on `lost` more of them than it wins.
fn items(rng: &mut ChaCha8Rng, n: usize, lost: f64) -> Pairs {
    let won = 0.01;
    let mut counts = PairedCounts { both: 0, only_first: 0, only_second: 0, neither: 0 };
    for _ in 0..n {
        let u: f64 = rng.random_range(0.0..1.0);
        match u {
            u if u < won => counts.only_first += 1,
            u if u < won + won + lost => counts.only_second += 1,
            u if u < 0.8 => counts.both += 1,
            _ => counts.neither += 1,
        }
    }
    Pairs::Answers(counts)
}

fn judged(place: usize, keeps: Vec<AdviceNumber>) -> AdviceJudged {
    let assurance = keeps.iter().map(|own| own.assurance).product();
    let stored_bytes = 900 - 50 * place as u64;
    let size = AdviceSize { stored_bytes, parameters: 400, decode_seconds: None };
    AdviceJudged { size: Some(size), keeps, assurance, failed: None }
}

/// Tests of counts that have come before, by both discordant ones: there are few.
type Known = BTreeMap<(u64, u64), AdviceNumber>;

/// [`tested`], but every table of the same items only once.
fn tested_once(pairs: &Pairs, keep: &AdviceKeep, known: &mut Known) -> AdviceNumber {
    let found = || tested(pairs, keep).unwrap();
    match pairs {
        Pairs::Losses { .. } => found(),
        Pairs::Answers(own) => {
            *known.entry((own.only_first, own.only_second)).or_insert_with(found)
        }
    }
}

/// Runs a search over candidates and the test of those that are left; whether any was shown.
fn any_is_shown(
    candidates: usize,
    keeps: &[AdviceKeep],
    draw: impl Fn(&mut ChaCha8Rng, usize, usize, bool) -> Pairs,
    (rng, known): (&mut ChaCha8Rng, &mut Known),
) -> bool {
    let mut of = |place: usize, is_test: bool| -> Vec<AdviceNumber> {
        let one = |(index, keep): (usize, &AdviceKeep)| {
            let pairs = draw(rng, place, index, is_test);
            if is_test { tested_once(&pairs, keep, known) } else { searched(&pairs, keep).unwrap() }
        };
        keeps.iter().enumerate().map(one).collect()
    };
    let search: Vec<AdviceJudged> =
        (0..candidates).map(|place| judged(place, of(place, false))).collect();
    let left = narrowed(&search, DENSE, Smallest::Bytes, candidates.div_ceil(2));
    let last: Vec<AdviceJudged> = left.iter().map(|place| search[*place].clone()).collect();
    let order = arranged(&last, DENSE, Smallest::Bytes);
    let test: Vec<AdviceJudged> =
        order.iter().map(|at| judged(left[*at], of(left[*at], true))).collect();
    !shown(&test, ALPHA).is_empty()
}

/// Four standard errors of a share that is α.
fn allowed(repetitions: u32) -> f64 {
    ALPHA + 4.0 * (ALPHA * (1.0 - ALPHA) / f64::from(repetitions)).sqrt()
}

/// Eight recipes whose perplexity is truly at the margin, on either side: any is called equivalent with a
/// probability of at most 5 %, although the search has picked the luckiest.
#[test]
fn recipes_at_the_margin_of_perplexity_are_rarely_shown() {
    let repetitions = 3000;
    let mut rng = ChaCha8Rng::seed_from_u64(1601);
    let mut known = Known::new();
    for side in [1.0, -1.0] {
        let draw = |rng: &mut ChaCha8Rng, _, _, is_test| {
            windows(rng, if is_test { 40 } else { 12 }, side * 0.05_f64.ln_1p())
        };
        let found = (0..repetitions)
            .filter(|_| any_is_shown(8, &[perplexity()], draw, (&mut rng, &mut known)));
        let share = found.count() as f64 / f64::from(repetitions);
        assert!(share <= allowed(repetitions), "side {side}: {share}");
        assert!(share > 0.01, "side {side}: a test that shows nothing controls nothing: {share}");
    }
}

/// The same of last words, and of both conditions where only one of them is at its margin.
#[test]
fn recipes_at_the_margin_of_last_words_are_rarely_shown() {
    let repetitions = 2000;
    let mut rng = ChaCha8Rng::seed_from_u64(1602);
    let mut known = Known::new();
    let answers = |rng: &mut ChaCha8Rng, is_test| items(rng, if is_test { 200 } else { 60 }, 0.05);
    let one = |rng: &mut ChaCha8Rng, _, _, is_test| answers(rng, is_test);
    let both = |rng: &mut ChaCha8Rng, _, index, is_test| match index {
        0 => windows(rng, if is_test { 40 } else { 12 }, 0.005),
        _ => answers(rng, is_test),
    };
    let share = |found: usize| found as f64 / f64::from(repetitions);
    let alone =
        (0..repetitions).filter(|_| any_is_shown(6, &[last_words()], one, (&mut rng, &mut known)));
    let alone = share(alone.count());
    let keeps = [perplexity(), last_words()];
    let together =
        (0..repetitions).filter(|_| any_is_shown(6, &keeps, both, (&mut rng, &mut known)));
    let together = share(together.count());
    assert!(alone <= allowed(repetitions), "{alone}");
    assert!(together <= allowed(repetitions), "{together}");
}

/// Without a test of its own, what the search likes best would be called equivalent far too often: the
/// simulation could fail.
#[test]
fn judging_by_the_search_itself_would_be_wrong() {
    let repetitions = 500;
    let mut rng = ChaCha8Rng::seed_from_u64(1603);
    let keep = perplexity();
    let wrong = (0..repetitions).filter(|_| {
        let one = |place| {
            let pairs = windows(&mut rng, 12, 0.05_f64.ln_1p());
            judged(place, vec![tested(&pairs, &keep).unwrap()])
        };
        let search: Vec<AdviceJudged> = (0..8).map(one).collect();
        let best = narrowed(&search, DENSE, Smallest::Bytes, 1)[0];
        !shown(&search[best..=best], ALPHA).is_empty()
    });
    let share = wrong.count() as f64 / f64::from(repetitions);
    assert!(share > 0.15, "{share}");
}

/// Recipes that are truly equivalent are found, and of them a small one.
#[test]
fn a_good_recipe_is_found() {
    let mut rng = ChaCha8Rng::seed_from_u64(1604);
    let mut known = Known::new();
    let draw = |rng: &mut ChaCha8Rng, place, _, is_test| {
        let truth = if place < 4 { 0.002 } else { 0.3 };
        windows(rng, if is_test { 40 } else { 12 }, truth)
    };
    let found =
        (0..200).filter(|_| any_is_shown(8, &[perplexity()], draw, (&mut rng, &mut known))).count();
    assert!(found >= 190, "{found} of 200");
}

fn known(assurance: f64, stored_bytes: u64, p: &[Option<f64>]) -> AdviceJudged {
    let number = |p: &Option<f64>| AdviceNumber {
        n: 10,
        dense: 1.0,
        own: 1.0,
        estimate: 1.0,
        lower: 1.0,
        upper: 1.0,
        p: *p,
        assurance,
        needed: Some(5),
    };
    let size = AdviceSize { stored_bytes, ..DENSE };
    let keeps = p.iter().map(number).collect();
    AdviceJudged { size: Some(size), keeps, assurance, failed: None }
}

#[test]
fn the_expected_saving_decides_who_goes_on() {
    let failed = AdviceJudged { size: None, failed: Some("no".into()), ..known(1.0, 1, &[]) };
    let all = [
        known(0.9, 800, &[None]),
        known(0.5, 400, &[None]),
        failed,
        known(1.0, 1000, &[None]),
        known(0.0, 100, &[None]),
    ];
    // .18, .30, nothing, no saving, 0.
    assert_eq!(narrowed(&all, DENSE, Smallest::Bytes, 9), [1, 0, 4]);
    assert_eq!(narrowed(&all, DENSE, Smallest::Bytes, 1), [1]);
    // As many parameters as dense in all of them.
    assert_eq!(narrowed(&all, DENSE, Smallest::Parameters, 9), Vec::<usize>::new());
}

#[test]
fn the_order_goes_from_the_safest_to_the_smallest() {
    let all = [
        known(0.5, 300, &[None]),
        known(0.9, 600, &[None]),
        known(0.7, 700, &[None]),
        known(0.2, 200, &[None]),
        known(0.9, 500, &[None]),
    ];
    // Of the two safest the smaller; the third is no smaller than that.
    assert_eq!(arranged(&all, DENSE, Smallest::Bytes), [4, 0, 3]);
}

#[test]
fn all_conditions_are_required_and_the_first_failure_ends_it() {
    let p = |p: &[f64]| known(1.0, 1, &p.iter().copied().map(Some).collect::<Vec<_>>());
    let all = [p(&[0.01, 0.05]), p(&[0.04, 0.0]), p(&[0.0, 0.06]), p(&[0.0, 0.0])];
    assert_eq!(shown(&all, ALPHA), [0, 1]);
    assert_eq!(shown(&[p(&[0.0, f64::NAN]), p(&[0.0])], ALPHA), Vec::<usize>::new());
    assert_eq!(shown(&[known(1.0, 1, &[Some(0.0), None])], ALPHA), Vec::<usize>::new());
    assert_eq!(shown(&[known(1.0, 1, &[])], ALPHA), Vec::<usize>::new());
}

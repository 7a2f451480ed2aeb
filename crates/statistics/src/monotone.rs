//! Is a dial monotone: does perplexity never fall from a level to a later one?

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::bootstrap::{check_size, draw_windows, quantile};
use crate::isotonic::isotonic_fit;
use crate::{BootstrapPlan, Dial, StatisticsError};

/// Outcome of the test of "perplexity never falls along the dial".
#[derive(Debug, Clone, PartialEq)]
pub struct MonotoneTest {
    /// `ln` of each level's perplexity, in nats.
    pub level_nats: Vec<f64>,
    /// The never falling sequence closest to them ([`isotonic_fit`](crate::isotonic_fit)).
    pub fitted_nats: Vec<f64>,
    /// Sum over levels of the squared differences of the two, in nats²; 0 when no level falls.
    pub distance: f64,
    /// p-value of "the dial is monotone": small when a level lies too low for chance.
    pub p: f64,
    /// The largest fall along the dial.
    pub largest_fall: LargestFall,
}

/// The largest fall of `ln` perplexity from a level to any later one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LargestFall {
    /// Its size in nats, at least 0.
    pub nats: f64,
    /// One-sided upper confidence limit of its size at the plan's level, in nats.
    pub upper_nats: f64,
    /// Positions of the two levels, higher first; nothing when no level falls.
    pub between: Option<(usize, usize)>,
}

/// Tests whether a dial is monotone, and bounds how far it falls where it is not.
///
/// **Distance.** With `m_k` the `ln` perplexity of level k and `f` its isotonic fit, the distance is
/// `D = Σ(m_k - f_k)²`. All levels are judged on the same targets, so that they weigh the same.
///
/// **p-value.** Whole windows are drawn with replacement (in circular blocks of the plan), the same
/// ones for every level, giving means `m*`. Under the null the level means are `c`, a monotone
/// sequence, and vary about it as `m*` varies about `m`:
///
/// ```text
/// p = (1 + #{ D(c + s·(m* - m)) ≥ D(m) }) / (1 + resamples)        s = sqrt(b / (b - 1))
/// ```
///
/// with `b` the number of blocks (windows, where a block is one); `s` gives resampled means the
/// spread that few blocks take from them: Hesterberg 2015, The American Statistician 69, 371–386.
/// "Monotone" leaves `c` open. `D` is the distance from a convex cone, and so is never larger about
/// a rising sequence than about a constant one with the same deviations: a constant `c` is always
/// safe but cannot see a fall in the middle of a steep dial; the isotonic fit itself as `c` is too
/// bold, because where true levels are equal it rises by chance (simulated: up to 9 % rejected at
/// 5 %). So `c` is the isotonic fit with those rises closed that are within noise, no larger than
/// `sqrt(ln b)` of their own bootstrap standard errors: the moment selection of Andrews & Soares
/// 2010, "Inference for parameters defined by moment inequalities using generalized moment
/// selection", Econometrica 78, 119–157, whose level holds for many windows whatever the true dial.
///
/// It is conservative where the true dial rises steeply (`D` is then 0 and p = 1) and where small
/// true rises are closed; it is exact in the limit where neighbouring levels are equal. Below some
/// 10 windows the bootstrap knows little of the deviations.
///
/// **Largest fall.** `F = max(0, max over j < k of m_j - m_k)`; its upper limit is the quantile of
/// `F(m + s·(m* - m))` at the plan's level (Efron & Tibshirani 1993, chapter 13, one-sided). `F` is
/// a maximum of differences, none of which exceeds it, so the limit is at least the percentile limit
/// of the very difference that falls most, and covers at least as often. It is conservative where
/// several falls are about as large, and where nothing falls. A p-value that is not small proves
/// nothing; an upper limit below a fall that would matter does.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer windows than two blocks or two windows, and
/// [`StatisticsError::OutOfRange`] for zero resamples or a zero block.
pub fn monotone_test(dial: &Dial, plan: BootstrapPlan) -> Result<MonotoneTest, StatisticsError> {
    check_size(dial.windows(), plan.block_windows.saturating_mul(2), plan)?;
    let level_nats = dial.mean_nll_nats();
    let fitted_nats = isotonic_fit(&level_nats);
    let distance = squared_distance(&level_nats, &fitted_nats);
    let blocks = dial.windows() as f64 / plan.block_windows as f64;
    let deviations = resampled_deviations(dial, &level_nats, blocks, plan);

    let centre = null_centre(&fitted_nats, &deviations, blocks);
    // Of sums over so many windows nothing smaller can be told.
    let largest = level_nats.iter().fold(0.0_f64, |largest, level| largest.max(level.abs()));
    let rounding = (64 + dial.windows()) as f64 * f64::EPSILON * largest;
    let as_far = deviations.iter().filter(|deviation| {
        let levels = added(&centre, deviation);
        let drawn = squared_distance(&levels, &isotonic_fit(&levels));
        drawn.sqrt() >= distance.sqrt() - rounding
    });
    let p = (1 + as_far.count()) as f64 / (1 + plan.resamples) as f64;

    let (nats, between) = largest_fall(&level_nats);
    let fall_of = |deviation: &Vec<f64>| largest_fall(&added(&level_nats, deviation)).0;
    let mut falls: Vec<f64> = deviations.iter().map(fall_of).collect();
    falls.sort_by(f64::total_cmp);
    let upper_nats = quantile(&falls, plan.level.get());
    let largest_fall = LargestFall { nats, upper_nats, between };
    Ok(MonotoneTest { level_nats, fitted_nats, distance, p, largest_fall })
}

/// `s·(m* - m)` of each resample, one number a level.
fn resampled_deviations(
    dial: &Dial,
    level_nats: &[f64],
    blocks: f64,
    plan: BootstrapPlan,
) -> Vec<Vec<f64>> {
    let widening = (blocks / (blocks - 1.0)).sqrt();
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    (0..plan.resamples)
        .map(|_| {
            let drawn = dial.mean_nll_nats_of(|visit| {
                draw_windows(&mut rng, dial.windows(), plan.block_windows, visit);
            });
            drawn.iter().zip(level_nats).map(|(drawn, own)| widening * (drawn - own)).collect()
        })
        .collect()
}

/// The isotonic fit without those of its rises that are within noise; it starts at 0, since a
/// constant on all levels changes no distance.
fn null_centre(fitted: &[f64], deviations: &[Vec<f64>], blocks: f64) -> Vec<f64> {
    let mut centre = Vec::with_capacity(fitted.len());
    let (mut height, mut before) = (0.0, 0..0);
    for pool in fitted.chunk_by(|a, b| a == b) {
        let own = before.end..before.end + pool.len();
        if !before.is_empty() {
            let rise = pool[0] - fitted[before.start];
            let mean = |levels: &[f64]| levels.iter().sum::<f64>() / levels.len() as f64;
            let noise = deviations
                .iter()
                .map(|levels| mean(&levels[own.clone()]) - mean(&levels[before.clone()]));
            if rise > blocks.ln().sqrt() * standard_deviation(noise) {
                height += rise;
            }
        }
        centre.resize(own.end, height);
        before = own;
    }
    centre
}

/// Root of the mean square: deviations are about 0.
fn standard_deviation(deviations: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = deviations.len() as f64;
    (deviations.map(|deviation| deviation * deviation).sum::<f64>() / count).sqrt()
}

/// The largest running maximum minus a later level, and where it is; ties go to the earliest.
fn largest_fall(levels: &[f64]) -> (f64, Option<(usize, usize)>) {
    let (mut highest, mut fall, mut between) = (0, 0.0, None);
    for (position, level) in levels.iter().enumerate() {
        if *level > levels[highest] {
            highest = position;
        } else if levels[highest] - level > fall {
            fall = levels[highest] - level;
            between = Some((highest, position));
        }
    }
    (fall, between)
}

fn squared_distance(levels: &[f64], fitted: &[f64]) -> f64 {
    levels.iter().zip(fitted).map(|(level, fit)| (level - fit) * (level - fit)).sum()
}

fn added(levels: &[f64], deviation: &[f64]) -> Vec<f64> {
    levels.iter().zip(deviation).map(|(level, deviation)| level + deviation).collect()
}

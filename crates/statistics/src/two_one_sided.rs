//! Equivalence by two one-sided tests, each with its level: of accuracies exactly, of perplexities by
//! Student's t with the skewness taken out.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::power::check_range;
use crate::{
    ConfidenceLevel, Interval, PairedCounts, StatisticsError, WindowLoss, paired_exact_p,
    perplexity_ratio, ratio_spread_nats, tango_interval,
};

/// Halvings of the stretch in which a limit lies: to a millionth of it.
const BISECTIONS: usize = 20;

/// Two one-sided tests against both margins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoOneSided {
    /// Every value that neither one-sided test at α rejects: an interval of `1 - 2α`.
    pub interval: Interval,
    /// The larger of the two p-values, of "smaller by the margin or more" and "larger by the margin or more".
    pub p: f64,
}

impl TwoOneSided {
    /// Whether equivalence is shown at level `alpha`; never by a p-value that is no number.
    pub fn is_shown(&self, alpha: f64) -> bool {
        self.p <= alpha
    }
}

fn check(margin: f64, alpha: f64) -> Result<(), StatisticsError> {
    let is_positive = margin > 0.0 && margin.is_finite();
    check_range("margin", margin, "a positive number", is_positive)?;
    check_range("alpha", alpha, "above 0 and below 0.5", alpha > 0.0 && alpha < 0.5)
}

/// Are two policies equally accurate on the same items, within `margin` (a difference of proportions, such
/// as 0.02)?
///
/// Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657–680, with the exact test [`paired_exact_p`] on both
/// sides: where the true difference is the margin or more, equivalence is shown with a probability of at most
/// α. The limits of the interval are the differences that this test just rejects.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] unless `0 < margin < 1` and `0 < alpha < 0.5`;
/// [`StatisticsError::Empty`] when there are no items.
pub fn equivalence_exact(
    counts: PairedCounts,
    margin: f64,
    alpha: f64,
) -> Result<TwoOneSided, StatisticsError> {
    check(margin, alpha)?;
    let turned =
        PairedCounts { only_first: counts.only_second, only_second: counts.only_first, ..counts };
    let (above, below) = (paired_exact_p(counts, -margin)?, paired_exact_p(turned, -margin)?);
    let p = if above >= below { above } else { below };
    let estimate = (counts.only_first as f64 - counts.only_second as f64) / counts.items() as f64;
    let lower = least(counts, estimate, alpha)?;
    let upper = -least(turned, -estimate, alpha)?;
    Ok(TwoOneSided { interval: Interval { lower, estimate, upper }, p })
}

/// The largest difference that is rejected as an upper bound of the true one. It lies near the limit of the
/// score interval, from where it is enclosed, since every p-value takes a while.
fn least(counts: PairedCounts, estimate: f64, alpha: f64) -> Result<f64, StatisticsError> {
    if estimate <= -1.0 {
        return Ok(-1.0);
    }
    let near = tango_interval(counts, ConfidenceLevel::new(1.0 - 2.0 * alpha)?)?.lower;
    let is_rejected =
        |difference: f64| Ok::<_, StatisticsError>(paired_exact_p(counts, difference)? <= alpha);
    let mut width = (estimate - near) / 8.0;
    let (mut rejected, mut open) = (near - width, estimate);
    while rejected > -1.0 && !is_rejected(rejected)? {
        open = rejected;
        width *= 2.0;
        rejected -= width;
    }
    rejected = rejected.max(-1.0);
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(rejected, open);
        if is_rejected(middle)? { rejected = middle } else { open = middle }
    }
    Ok(rejected)
}

/// Are two perplexities on the same windows equal within a factor of `1 + margin` either way: is
/// `ln(treated / baseline)` between `-ln(1 + margin)` and `ln(1 + margin)`?
///
/// With δ the logarithm of the ratio, s its standard error over n windows ([`ratio_spread_nats`] / √n, the
/// linearised one of a ratio of sums) and g their skewness, each side by
///
/// ```text
/// h(t) = t + g·t²/(3√n) + g²·t³/(27n) + g/(6√n),   t = (δ ± m)/s,   m = ln(1 + margin)
/// ```
///
/// which is compared with Student's t of n - 1 degrees of freedom. h takes the skewness out of t: Hall 1992,
/// "On the removal of skewness by transformation", J. R. Statist. Soc. B 54, 221–228. A few windows that lose
/// much more than the others would else make a recipe look safer than it is. Without skewness it is the t
/// test. Windows are taken as independent. Without any spread the ratio is known. The interval is of the ratio.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] unless `margin > 0` and `0 < alpha < 0.5`; those of
/// [`ratio_spread_nats`] and [`perplexity_ratio`].
pub fn equivalence_ratio(
    baseline: &[WindowLoss],
    treated: &[WindowLoss],
    margin: f64,
    alpha: f64,
) -> Result<TwoOneSided, StatisticsError> {
    check(margin, alpha)?;
    let spread = ratio_spread_nats(baseline, treated)?;
    let ratio = perplexity_ratio(baseline, treated)?;
    let n = baseline.len() as f64;
    let (delta, error) = (ratio.ln(), spread / n.sqrt());
    let m = margin.ln_1p();
    if error == 0.0 {
        let interval = Interval { lower: ratio, estimate: ratio, upper: ratio };
        return Ok(TwoOneSided { interval, p: if delta.abs() < m { 0.0 } else { 1.0 } });
    }
    let student = StudentsT::new(0.0, 1.0, n - 1.0).map_err(|_| StatisticsError::TooFew {
        what: "t interval",
        needed: 2,
        got: 1,
    })?;
    let hall = Hall { skewness: skewness(baseline, treated, delta), root_n: n.sqrt() };
    let above = student.cdf(-hall.of((delta + m) / error));
    let below = student.cdf(hall.of((delta - m) / error));
    let far = -student.inverse_cdf(alpha);
    let (lower, upper) = (delta - error * hall.back(far), delta - error * hall.back(-far));
    let p = if above >= below { above } else { below };
    let interval = Interval { lower: lower.exp(), estimate: ratio, upper: upper.exp() };
    Ok(TwoOneSided { interval, p })
}

/// Skewness of what windows add to the ratio.
fn skewness(baseline: &[WindowLoss], treated: &[WindowLoss], delta: f64) -> f64 {
    let residuals = baseline
        .iter()
        .zip(treated)
        .map(|(base, own)| own.nll_nats - base.nll_nats - f64::from(base.n_targets) * delta);
    let (mut squares, mut cubes) = (0.0, 0.0);
    for residual in residuals {
        squares += residual.powi(2);
        cubes += residual.powi(3);
    }
    let n = baseline.len() as f64;
    (cubes / n) / (squares / n).powf(1.5)
}

/// Hall's transformation of a studentised mean, and its inverse.
struct Hall {
    skewness: f64,
    root_n: f64,
}

impl Hall {
    fn of(&self, t: f64) -> f64 {
        let a = self.skewness / self.root_n;
        t + a * t * t / 3.0 + a * a * t * t * t / 27.0 + a / 6.0
    }

    fn back(&self, h: f64) -> f64 {
        let a = self.skewness / self.root_n;
        // So small that the cube would lose more digits than it takes out skewness.
        if a.abs() < 1e-6 {
            return h - a * h * h / 3.0 - a / 6.0;
        }
        ((1.0 + a * (h - a / 6.0)).cbrt() - 1.0) * 3.0 / a
    }
}

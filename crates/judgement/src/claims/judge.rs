//! From findings to verdicts: all p-values of a claims file are adjusted as one family.

use statistics::{StatisticsError, holm};

use super::finding::{Found, Side};
use super::verdict::{Check, Note, Shape, Verdict};

/// The checks of every claim with their verdicts, and the number of tests that share the adjustment.
///
/// # Errors
/// When a p-value is no probability.
pub(super) fn judge_all(
    mut found: Vec<Vec<Found>>,
    alpha: f64,
) -> Result<(usize, Vec<Vec<Check>>), StatisticsError> {
    let raw: Vec<f64> = found.iter().flatten().filter_map(p).collect();
    let mut adjusted = holm(&raw)?.into_iter();
    for finding in found.iter_mut().flatten() {
        if p(finding).is_some()
            && let Some(measurement) = &mut finding.check.measurement
        {
            measurement.p_holm = adjusted.next();
        }
        judge(finding, alpha, raw.len());
    }
    let checks = found.into_iter().map(|of_claim| of_claim.into_iter().map(|f| f.check).collect());
    Ok((raw.len(), checks.collect()))
}

fn p(finding: &Found) -> Option<f64> {
    finding.check.measurement.as_ref()?.p
}

/// The interval and the test must say the same.
fn judge(finding: &mut Found, alpha: f64, n_tests: usize) {
    let Some(side) = finding.side else { return };
    let measurement = finding.check.measurement.as_ref();
    let p_holm = measurement.and_then(|measured| measured.p_holm);
    // What has no chance in it has no test.
    let is_significant = match measurement.and_then(|measured| measured.p) {
        Some(_) => p_holm.is_some_and(|p| p < alpha),
        None => true,
    };
    let (verdict, why) = match side {
        Side::For if is_significant => (Verdict::Holds, None),
        Side::Against if is_significant => (Verdict::Fails, None),
        Side::Between => (Verdict::Undecided, Some(Note::WithinInterval)),
        Side::For | Side::Against => (Verdict::Undecided, p_holm.map(Note::AdjustedP)),
    };
    finding.check.verdict = verdict;
    // A flat dial is found to be flat; nothing was missed.
    let is_flat = |note: &Note| matches!(note, Note::Dial(Shape { is_flat: true, .. }));
    if verdict == Verdict::Undecided && !finding.check.notes.iter().any(is_flat) {
        // The level that the smallest of all p-values has to reach.
        let level = alpha / n_tests.max(1) as f64;
        let few = finding.least_p.filter(|least| *least >= level);
        let few = few.map(Note::TooFew);
        let detectable =
            finding.detectable.and_then(|own| own.distance(level)).map(Note::Detectable);
        let notes = [why, few.or(detectable)].into_iter().flatten();
        finding.check.notes.splice(0..0, notes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::verdict::Measurement;

    fn finding(p: Option<f64>, side: Option<Side>) -> Found {
        let measurement = side.map(|_| Measurement {
            quantity: "perplexity × dense".to_owned(),
            effect: 2.0,
            lower: Some(1.5),
            upper: Some(2.5),
            threshold: 1.0,
            n: 8,
            unit: "windows",
            p,
            p_holm: None,
            cells: vec!["a".to_owned()],
        });
        let check = Check {
            group: "g".to_owned(),
            model: "m".to_owned(),
            dataset: "d".to_owned(),
            protocol: None,
            what: "dynamic".to_owned(),
            verdict: Verdict::NotMeasured,
            measurement,
            notes: Vec::new(),
        };
        Found { check, side, least_p: None, detectable: None }
    }

    #[test]
    fn interval_and_adjusted_test_must_agree_and_absence_is_no_verdict() {
        let found = vec![
            vec![finding(Some(0.001), Some(Side::For)), finding(Some(0.04), Some(Side::Against))],
            vec![finding(Some(1e-6), Some(Side::Between)), finding(None, None)],
            vec![finding(None, Some(Side::Against))],
        ];
        let (n_tests, checks) = judge_all(found, 0.05).unwrap();
        assert_eq!(n_tests, 3);
        let verdicts: Vec<Vec<Verdict>> =
            checks.iter().map(|of| of.iter().map(|check| check.verdict).collect()).collect();
        // .04 is the largest of three and stays what it is.
        assert_eq!(verdicts[0], [Verdict::Holds, Verdict::Fails]);
        assert_eq!(verdicts[1], [Verdict::Undecided, Verdict::NotMeasured]);
        assert_eq!(verdicts[2], [Verdict::Fails]);
        let two =
            vec![vec![finding(Some(0.03), Some(Side::For)), finding(Some(0.03), Some(Side::For))]];
        let (_, checks) = judge_all(two, 0.05).unwrap();
        assert_eq!(checks[0][0].verdict, Verdict::Undecided, "2 × .03 is above .05");
        assert_eq!(checks[0][0].notes, [Note::AdjustedP(0.06)]);
    }
}

//! What a claims file comes to, and the note beside each verdict.

use std::collections::BTreeSet;

use judgement::claims::{Assessment, Check, Distance, Note, Reason, Shape, Verdict};

use crate::format::{correlation, count, p_value, percent, points, significant};

/// One line that counts the verdicts.
pub(crate) fn finding(assessment: &Assessment) -> String {
    let n = |verdict: Verdict| {
        assessment.claims.iter().filter(|claim| claim.verdict == verdict).count()
    };
    let source = &assessment.source;
    let n_sentences = count(assessment.claims.len(), "sentence");
    let parts = [
        (Verdict::Holds, "true wherever measured"),
        (Verdict::Mixed, "true of some models and false of others"),
        (Verdict::Fails, "false"),
        (Verdict::Undecided, "open"),
        (Verdict::NotMeasured, "not measured"),
    ];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(verdict, _)| n(*verdict) > 0)
        .map(|(verdict, words)| format!("{} {words}", n(verdict)))
        .collect();
    let models = |is_measured: bool| -> BTreeSet<&str> {
        let checks = assessment.claims.iter().flat_map(|claim| &claim.checks);
        let own = checks.filter(|check| check.measurement.is_some() == is_measured);
        own.map(|check| check.model.as_str()).collect()
    };
    let measured = models(true);
    if measured.is_empty() {
        return format!("{n_sentences} of {source}: none could be judged on these tables.");
    }
    let absent: Vec<&str> = models(false).difference(&measured).copied().collect();
    let absent = match absent.is_empty() {
        true => String::new(),
        false => format!("; nothing was measured of {}", absent.join(", ")),
    };
    let measured: Vec<&str> = measured.into_iter().collect();
    let on = measured.join(", ");
    format!("{n_sentences} of {source}, judged on {on}: {}{absent}.", told.join(", "))
}

/// Why nothing was measured, or why it is undecided; what else has to be said.
pub(crate) fn note(check: &Check) -> String {
    check.notes.iter().map(of_note).collect::<Vec<_>>().join("; ")
}

fn of_note(note: &Note) -> String {
    match note {
        Note::NotMeasured(reason) => of_reason(reason),
        Note::WithinInterval => "the threshold lies within the interval".to_owned(),
        Note::AdjustedP(p) => format!("adjusted p is {}", p_value(*p)),
        Note::TooFew(least) => format!("so few cannot give a p below {}", p_value(*least)),
        Note::Detectable(effect) => {
            let distance = match effect {
                Distance::Factor(factor) => format!("a factor of {}", significant(*factor, 4)),
                Distance::Share(share) => {
                    format!("{} points", points(*share).trim_start_matches('+'))
                }
                Distance::Correlation(own) => correlation(*own, 3),
            };
            format!("detectable: {distance} from the threshold")
        }
        Note::OfAlike(n) => {
            format!("of {n} such cells the one with the most rows, then the newest")
        }
        Note::Correct { treated, dense, mcnemar_p } => {
            format!("{treated} correct, dense {dense}; McNemar p {}", p_value(*mcnemar_p))
        }
        Note::Dial(shape) => of_shape(shape),
    }
}

fn of_reason(reason: &Reason) -> String {
    match reason {
        Reason::NotRun => "not run".to_owned(),
        Reason::DenseAtMargin(share) => {
            let dense = percent(*share);
            format!("dense itself is right on {dense} only, no more than the margin")
        }
        Reason::Said(why) => why.clone(),
    }
}

fn of_shape(shape: &Shape) -> String {
    let Shape { is_flat, rise, first, last, n_levels, fall, monotone_p, trend_p } = shape;
    let flat = if *is_flat { "flat within the tolerance: " } else { "" };
    let fall = fall.map(|(from, to)| format!(", the largest fall from W={from} to W={to}"));
    format!(
        "{flat}× {} from W={first} to W={last} over {n_levels} windows{}; monotone p {}, Page's trend p {}",
        significant(*rise, 4),
        fall.unwrap_or_default(),
        p_value(*monotone_p),
        p_value(*trend_p),
    )
}

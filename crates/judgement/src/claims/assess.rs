//! Judging a claims file: what is found of every claim on every model, then all verdicts together.

use evidence::{Archive, Run};
use plan::Expectation;
use statistics::StatisticsError;

use super::file::ClaimsFile;
use super::finding::Found;
use super::perplexity::Bound;
use super::verdict::{Assessment, Judged, Verdict};
use super::{accuracy, correlation, dial, judge, layers, perplexity, share};
use crate::atlas::Atlas;

/// Judges every claim on the tables of `runs`, each with its atlas.
///
/// # Errors
/// When a p-value is no probability.
pub fn assess(file: &ClaimsFile, runs: &[(&Run, &Atlas)]) -> Result<Assessment, StatisticsError> {
    let claims = &file.claims;
    let (runs, atlases): (Vec<&Run>, Vec<&Atlas>) = runs.iter().copied().unzip();
    let evidence = Archive::from_runs(&runs);
    let mut found: Vec<Vec<Found>> = Vec::new();
    for claim in &claims.claims {
        let groups = claim.groups.iter().map(|&position| &claims.groups[position]);
        let of_group = |group| match &claim.expectation {
            Expectation::PerplexityAtLeast { recipes, times } => {
                perplexity::against_dense(&evidence, group, recipes, Bound::AtLeast(*times))
            }
            Expectation::PerplexityAtMost { recipes, times } => {
                perplexity::against_dense(&evidence, group, recipes, Bound::AtMost(*times))
            }
            Expectation::CostsMore { pairs, times } => {
                perplexity::one_against_another(&evidence, group, pairs, Bound::AtLeast(*times))
            }
            Expectation::CostsNoMore { pairs, times } => {
                perplexity::one_against_another(&evidence, group, pairs, Bound::AtMost(*times))
            }
            Expectation::AccuracyUnchanged { recipes, margin } => {
                accuracy::unchanged(&evidence, group, recipes, *margin)
            }
            Expectation::AccuracyFalls { recipes, margin } => {
                accuracy::falls(&evidence, group, recipes, *margin)
            }
            Expectation::DialRises { treatments, tolerance } => {
                dial::rises(&evidence, group, treatments, *tolerance)
            }
            Expectation::CorrelationSame { first, second, margin } => {
                correlation::same(&atlases, group, (*first, *second), *margin)
            }
            Expectation::LinearityGrows { rho } => layers::linearity_grows(&runs, group, *rho),
            Expectation::DirectionsDisagree { rho } => {
                layers::directions_disagree(&runs, group, *rho)
            }
            Expectation::ShareAtMost { part, of, share } => {
                share::at_most(&evidence, group, *part, *of, *share)
            }
        };
        found.push(groups.flat_map(of_group).collect());
    }
    let (n_tests, checks) = judge::judge_all(found, claims.alpha)?;
    let judged = claims.claims.iter().zip(checks).map(|(claim, checks)| {
        let has = |verdict| checks.iter().any(|check| check.verdict == verdict);
        let verdict = match checks.iter().map(|check| check.verdict).min() {
            Some(Verdict::Fails) if has(Verdict::Holds) => Verdict::Mixed,
            worst => worst.unwrap_or(Verdict::NotMeasured),
        };
        Judged {
            id: claim.id.clone(),
            sentence: claim.sentence.clone(),
            predicate: claim.expectation.predicate(),
            verdict,
            checks,
        }
    });
    Ok(Assessment {
        name: claims.name.clone(),
        source: claims.source.clone(),
        file: file.path.display().to_string(),
        alpha: claims.alpha,
        n_tests,
        claims: judged.collect(),
    })
}

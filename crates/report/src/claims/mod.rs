//! Claims: each sentence of a claims file, judged on the tables of one run or of several.
//!
//! Every model that a claim names gets a verdict of its own. The whole 95 % interval must lie on one
//! side of the claim's threshold, and the test against that threshold must be significant after Holm's
//! adjustment over all tests of the file (a share is counted and has neither); what was not run, was
//! refused or failed is not measured, which is never a pass.

mod accuracy;
mod correlation;
mod detectable;
mod dial;
mod evidence;
mod judge;
mod page;
mod perplexity;
mod share;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use plan::{Claims, Expectation, Predicate};
use serde::Serialize;
use statistics::StatisticsError;

use crate::atlas::Atlas;
use crate::run::Run;
use evidence::{Evidence, Finding};
use perplexity::Bound;

pub(crate) use page::{details, finding, section};

/// A claims file that was read.
pub(crate) struct ClaimsFile {
    pub(crate) path: PathBuf,
    pub(crate) claims: Claims,
}

impl ClaimsFile {
    /// Reads and checks a claims file.
    ///
    /// # Errors
    /// When it cannot be read, or with every mistake in it.
    pub(crate) fn read(path: &Path) -> Result<ClaimsFile> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the claims file {}", path.display()))?;
        let claims = Claims::parse(&text)
            .map_err(|mistakes| anyhow!("the claims file {}: {mistakes}", path.display()))?;
        Ok(ClaimsFile { path: path.to_owned(), claims })
    }
}

/// What the tables say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Of a claim: it holds on some of its models and fails on others.
    Mixed,
    Fails,
    Undecided,
    Holds,
    NotMeasured,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Mixed => "mixed",
            Verdict::Fails => "fails",
            Verdict::Undecided => "undecided",
            Verdict::Holds => "holds",
            Verdict::NotMeasured => "not measured",
        }
    }
}

/// What a check measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Measurement {
    /// What `effect` is: `perplexity × dense`, `share of parameters`.
    pub(crate) quantity: String,
    pub(crate) effect: f64,
    /// Limits of the 95 % interval; none for what has no chance in it.
    pub(crate) lower: Option<f64>,
    pub(crate) upper: Option<f64>,
    /// The number that decides, as the claim has it.
    pub(crate) threshold: f64,
    pub(crate) n: usize,
    /// What `n` counts: windows, items, sites.
    pub(crate) unit: &'static str,
    /// The test against the threshold; none for what has no chance in it.
    pub(crate) p: Option<f64>,
    /// The same, adjusted by Holm over all tests of the claims file.
    pub(crate) p_holm: Option<f64>,
    /// Ids of the cells that the numbers come from.
    pub(crate) cells: Vec<String>,
}

/// One claim on one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) group: String,
    pub(crate) model: String,
    /// The text, or the texts that are compared.
    pub(crate) dataset: String,
    pub(crate) protocol: Option<String>,
    /// What is done to the model.
    pub(crate) what: String,
    pub(crate) verdict: Verdict,
    pub(crate) measurement: Option<Measurement>,
    /// Why nothing was measured, or why it is undecided; what else has to be said.
    pub(crate) note: String,
}

/// A claim with the verdicts on all its models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Judged {
    pub(crate) id: String,
    pub(crate) sentence: String,
    pub(crate) predicate: Predicate,
    /// Mixed where models speak for it and against it; else fails where one speaks against it, undecided
    /// where one leaves it open, holds where one speaks for it.
    pub(crate) verdict: Verdict,
    pub(crate) checks: Vec<Check>,
}

impl Judged {
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }
}

/// A claims file, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Assessment {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) file: String,
    pub(crate) alpha: f64,
    /// Tests that share the adjustment.
    pub(crate) n_tests: usize,
    pub(crate) claims: Vec<Judged>,
}

/// Judges every claim on the tables of `runs`, each with its atlas.
///
/// # Errors
/// When a p-value is no probability.
pub(crate) fn assess(
    file: &ClaimsFile,
    runs: &[(&Run, &Atlas)],
) -> Result<Assessment, StatisticsError> {
    let claims = &file.claims;
    let evidence = Evidence::of(runs);
    let mut found: Vec<Vec<Finding>> = Vec::new();
    for claim in &claims.claims {
        let groups = claim.groups.iter().map(|&position| &claims.groups[position]);
        let of_group = |group| match &claim.expectation {
            Expectation::PerplexityAtLeast { treatments, times } => {
                perplexity::against_dense(&evidence, group, treatments, Bound::AtLeast(*times))
            }
            Expectation::PerplexityAtMost { treatments, times } => {
                perplexity::against_dense(&evidence, group, treatments, Bound::AtMost(*times))
            }
            Expectation::CostsMore { pairs, times } => {
                perplexity::one_against_another(&evidence, group, pairs, Bound::AtLeast(*times))
            }
            Expectation::CostsNoMore { pairs, times } => {
                perplexity::one_against_another(&evidence, group, pairs, Bound::AtMost(*times))
            }
            Expectation::AccuracyUnchanged { treatments, margin } => {
                accuracy::unchanged(&evidence, group, treatments, *margin)
            }
            Expectation::AccuracyFalls { treatments, margin } => {
                accuracy::falls(&evidence, group, treatments, *margin)
            }
            Expectation::DialRises { treatments, tolerance } => {
                dial::rises(&evidence, group, treatments, *tolerance)
            }
            Expectation::CorrelationSame { first, second, margin } => {
                correlation::same(&evidence, group, (*first, *second), *margin)
            }
            Expectation::ShareAtMost { part, of, share } => {
                share::at_most(&evidence, group, *part, *of, *share)
            }
        };
        found.push(groups.flat_map(of_group).collect());
    }
    let (n_tests, checks) = judge::all(found, claims.alpha)?;
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

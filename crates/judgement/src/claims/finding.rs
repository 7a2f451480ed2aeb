//! What was found of a claim at one place, before all p-values are adjusted.

use evidence::{Absence, Match};
use plan::{ModelGroup, Part, Protocol, Recipe, shortest_decimal};
use statistics::Margins;

use super::detectable::Detectable;
use super::verdict::{Check, Measurement, Note, Reason, Verdict};

/// On which side of a claim's threshold the whole interval lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    For,
    Against,
    /// The threshold lies within the interval.
    Between,
}

impl Side {
    /// Of a claim that the quantity is at least `threshold`.
    pub(super) fn at_least(lower: f64, upper: f64, threshold: f64) -> Side {
        match () {
            () if lower >= threshold => Side::For,
            () if upper < threshold => Side::Against,
            () => Side::Between,
        }
    }

    /// Of a claim that two things are the same within a margin.
    pub(super) fn of_margins(margins: Margins) -> Side {
        match margins {
            Margins::Within => Side::For,
            Margins::Beyond => Side::Against,
            Margins::Across => Side::Between,
        }
    }

    /// Of the opposite claim.
    pub(super) fn reversed(self) -> Side {
        match self {
            Side::For => Side::Against,
            Side::Against => Side::For,
            Side::Between => Side::Between,
        }
    }
}

/// What was found of a claim on one model, before the adjustment of all p-values.
pub(super) struct Found {
    /// With the verdict left open.
    pub check: Check,
    /// None where nothing was measured.
    pub side: Option<Side>,
    /// The least p-value that so little data can give, where that is worth saying.
    pub least_p: Option<f64>,
    /// What so much data would find: said where nothing is decided.
    pub detectable: Option<Detectable>,
}

/// Where a claim is checked.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub group: &'a ModelGroup,
    pub model: &'a str,
    pub dataset: String,
    pub protocol: Option<Protocol>,
    pub what: String,
}

impl Place<'_> {
    fn check(&self, measurement: Option<Measurement>, notes: Vec<Note>) -> Check {
        Check {
            group: self.group.name.clone(),
            model: self.model.to_owned(),
            dataset: self.dataset.clone(),
            protocol: self.protocol.map(|protocol| protocol.to_string()),
            what: self.what.clone(),
            verdict: Verdict::NotMeasured,
            measurement,
            notes,
        }
    }

    /// Nothing was measured here.
    pub(super) fn not_measured(&self, why: impl Into<Reason>) -> Found {
        let check = self.check(None, vec![Note::NotMeasured(why.into())]);
        Found { check, side: None, least_p: None, detectable: None }
    }

    /// Something was.
    pub(super) fn measured(&self, measurement: Measurement, side: Side, notes: Vec<Note>) -> Found {
        let check = self.check(Some(measurement), notes);
        Found { check, side: Some(side), least_p: None, detectable: None }
    }
}

/// What has to be said of the choice of a cell.
pub(super) fn of_alike(found: &Match<'_>) -> Option<Note> {
    (found.n_alike > 1).then_some(Note::OfAlike(found.n_alike))
}

/// Why a treatment has no result.
pub(super) fn reason(absence: Absence) -> Reason {
    match absence {
        Absence::NotRun => Reason::NotRun,
        Absence::Lost(why) => Reason::Said(why),
    }
}

/// `dynamic magnitude κ=0.9`, `state dynamic read ghost κ=0.9`, `weights wanda κ=.5 + bits rtn 4 bits`
pub(super) fn describe(recipe: &Recipe) -> String {
    let Some(treatment) = recipe.treatment() else { return recipe.label() };
    let part = (treatment.part != Part::Ffn).then(|| treatment.part.to_string());
    let words = [
        part,
        Some(treatment.policy.to_string()),
        treatment.mode.map(|mode| mode.to_string()),
        treatment.rule.map(|rule| rule.to_string()),
        treatment.prompt_tokens.map(|tokens| format!("P={tokens}")),
        treatment.score.map(|score| score.to_string()),
        treatment.recalibration.map(|how| how.to_string()),
        Some(format!("κ={}", shortest_decimal(treatment.sparsity))),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

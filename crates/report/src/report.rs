//! One run with all that is said of it.

use evidence::Run;
use judgement::Summary;
use judgement::claims::ClaimsFile;

use crate::sentences::{self, AtlasSentences, Finding};

/// The report of one run.
pub(crate) struct Report {
    pub(crate) run: Run,
    /// What its tables say, as values.
    pub(crate) summary: Summary,
    /// The sentences that open it: those of the run first, then model by model.
    pub(crate) findings: Vec<Finding>,
    /// What the atlas says of each model.
    pub(crate) atlas: Vec<AtlasSentences>,
}

impl Report {
    /// `margin` is what counts as no difference on a task.
    pub(crate) fn from_run(run: Run, claims: Option<&ClaimsFile>, margin: f64) -> Report {
        let summary = Summary::from_run(&run, claims, margin);
        let atlas = sentences::of_atlas(&summary.atlas);
        let findings = sentences::all(&summary, &atlas);
        Report { run, summary, findings, atlas }
    }
}

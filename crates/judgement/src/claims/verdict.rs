//! What the tables say of a claim, and what that rests on.

use plan::Predicate;
use serde::Serialize;

/// What the tables say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Of a claim: it holds on some of its models and fails on others.
    Mixed,
    /// It does not hold.
    Fails,
    /// It is left open.
    Undecided,
    /// It holds.
    Holds,
    /// Nothing was measured.
    NotMeasured,
}

impl Verdict {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
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
pub struct Measurement {
    /// What `effect` is: `perplexity × dense`, `share of parameters`.
    pub quantity: String,
    /// The estimate.
    pub effect: f64,
    /// Lower limit of the 95 % interval; none for what has no chance in it.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
    /// The number that decides, as the claim has it.
    pub threshold: f64,
    /// How many were measured.
    pub n: usize,
    /// What `n` counts: windows, items, sites.
    pub unit: &'static str,
    /// The test against the threshold; none for what has no chance in it.
    pub p: Option<f64>,
    /// The same, adjusted by Holm over all tests of the claims file.
    pub p_holm: Option<f64>,
    /// Ids of the cells that the numbers come from.
    pub cells: Vec<String>,
}

/// One claim on one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The group of models that the claim names.
    pub group: String,
    /// The model.
    pub model: String,
    /// The text, or the texts that are compared.
    pub dataset: String,
    /// How it was asked; none where nothing was run.
    pub protocol: Option<String>,
    /// What is done to the model.
    pub what: String,
    /// What the tables say.
    pub verdict: Verdict,
    /// What it rests on; none where nothing was measured.
    pub measurement: Option<Measurement>,
    /// Why nothing was measured, or why it is undecided; what else has to be said.
    #[serde(skip)]
    pub notes: Vec<Note>,
}

/// A claim with the verdicts on all its models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Its name in the file.
    pub id: String,
    /// The sentence.
    pub sentence: String,
    /// What kind of thing it says.
    pub predicate: Predicate,
    /// Mixed where models speak for it and against it; else fails where one speaks against it, undecided
    /// where one leaves it open, holds where one speaks for it.
    pub verdict: Verdict,
    /// One a model, text and treatment.
    pub checks: Vec<Check>,
}

impl Judged {
    /// Checks with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }
}

/// A claims file, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assessment {
    /// What the file is called.
    pub name: String,
    /// Where its sentences come from.
    pub source: String,
    /// Where it lies.
    pub file: String,
    /// The level of its tests.
    pub alpha: f64,
    /// Tests that share the adjustment.
    pub n_tests: usize,
    /// In the order of the file.
    pub claims: Vec<Judged>,
}

/// What has to be said beside a verdict.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// Why nothing was measured.
    NotMeasured(Reason),
    /// The threshold lies within the interval.
    WithinInterval,
    /// The interval is on one side, but the adjusted p-value is too large.
    AdjustedP(f64),
    /// So little data cannot give a p-value below this one.
    TooFew(f64),
    /// What so much data would have found: the smallest distance from the threshold.
    Detectable(Distance),
    /// Of so many cells of one treatment the one with the most rows stands, then the newest.
    OfAlike(usize),
    /// Answers that are right, and the paired test of their difference.
    Correct {
        /// Right in the treated cell.
        treated: u64,
        /// Right in the dense one.
        dense: u64,
        /// McNemar's p-value.
        mcnemar_p: f64,
    },
    /// The shape of a dial.
    Dial(Shape),
}

/// Why nothing was measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// No such cell was ordered.
    NotRun,
    /// Dense itself gets this share of items right, which is no more than the margin.
    DenseAtMargin(f64),
    /// What those say who looked for it: lost, refused, without an interval.
    Said(String),
}

impl From<String> for Reason {
    fn from(said: String) -> Reason {
        Reason::Said(said)
    }
}

impl From<&str> for Reason {
    fn from(said: &str) -> Reason {
        Reason::Said(said.to_owned())
    }
}

/// A distance from a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distance {
    /// Of a ratio of perplexities, as a factor.
    Factor(f64),
    /// Of accuracies.
    Share(f64),
    /// Of correlations.
    Correlation(f64),
}

/// The shape of a dial, from its shortest window to its longest.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Whether it neither rises nor falls by the tolerance.
    pub is_flat: bool,
    /// The last perplexity over the first.
    pub rise: f64,
    /// The shortest window.
    pub first: usize,
    /// The longest.
    pub last: usize,
    /// Windows that were run.
    pub n_levels: usize,
    /// The windows between which it falls most, the shorter first; none where it falls nowhere.
    pub fall: Option<(usize, usize)>,
    /// The test that it nowhere falls.
    pub monotone_p: f64,
    /// Page's test of a trend.
    pub trend_p: f64,
}

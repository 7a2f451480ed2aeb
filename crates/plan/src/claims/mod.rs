//! Claims files: sentences of a publication as predicates over the tables of a run.
//!
//! A claims file says what each sentence would mean for numbers, before anyone looks at them; whether
//! it holds is for the report to find out. The file names models and texts that may not have been run:
//! then nothing is measured, which is neither a yes nor a no.

mod read;

use crate::{Part, Predicate, Recipe, Score, Treatment, Whole};

/// A claims file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// The name of the list.
    pub name: String,
    /// Whose sentences these are.
    pub source: String,
    /// The level of every test, after adjustment for their number.
    pub alpha: f64,
    /// The models that the sentences are about, in the order of the file.
    pub groups: Vec<ModelGroup>,
    /// The sentences, in the order of the file.
    pub claims: Vec<Claim>,
}

/// Models that a sentence is about, with the texts that it is tested on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelGroup {
    /// The name used by claims.
    pub name: String,
    /// Names of models, as cells have them.
    pub models: Vec<String>,
    /// Texts on which perplexities are compared.
    pub texts: Vec<String>,
    /// Texts between which correlations are compared.
    pub corpora: Vec<String>,
    /// Last-word tasks.
    pub last_word: Vec<String>,
}

/// One sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// A short name, unique in the file.
    pub id: String,
    /// What is claimed, in words.
    pub sentence: String,
    /// Positions in [`Claims::groups`] of the models that it is about.
    pub groups: Vec<usize>,
    /// What it means for the tables.
    pub expectation: Expectation,
}

/// What a claim expects of every model of its groups.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// Each recipe has at least `times` the perplexity of dense.
    PerplexityAtLeast {
        /// What is done to the model.
        recipes: Vec<Recipe>,
        /// Multiple of the dense perplexity.
        times: f64,
    },
    /// Each recipe has at most `times` the perplexity of dense.
    PerplexityAtMost {
        /// What is done to the model.
        recipes: Vec<Recipe>,
        /// Multiple of the dense perplexity.
        times: f64,
    },
    /// Each recipe has the accuracy of dense on the same items, within `margin` on either side.
    AccuracyUnchanged {
        /// What is done to the model.
        recipes: Vec<Recipe>,
        /// Difference of proportions that counts as none.
        margin: f64,
    },
    /// Each recipe has an accuracy below that of dense by more than `margin`.
    AccuracyFalls {
        /// What is done to the model.
        recipes: Vec<Recipe>,
        /// Difference of proportions that is still no fall.
        margin: f64,
    },
    /// Along the windows of each line, perplexity rises, and nowhere falls by more than `tolerance`.
    DialRises {
        /// The windows of every line; lines differ in anything but the window.
        treatments: Vec<Treatment>,
        /// Ratio of perplexities, more than 1, that still counts as no fall.
        tolerance: f64,
    },
    /// The rank correlation of two scores over neurons, mean over sites, differs between no two corpora
    /// by `margin`.
    CorrelationSame {
        /// One score.
        first: Score,
        /// The other score.
        second: Score,
        /// Difference of correlations that counts as none.
        margin: f64,
    },
    /// The first recipe of each pair has more than `times` the perplexity of the second.
    CostsMore {
        /// The same but for the score, the policy or both, or two recipes.
        pairs: Vec<(Recipe, Recipe)>,
        /// Ratio of perplexities, at least 1.
        times: f64,
    },
    /// The first recipe of each pair has at most `times` the perplexity of the second.
    CostsNoMore {
        /// The same but for the score, the policy or both, or two recipes.
        pairs: Vec<(Recipe, Recipe)>,
        /// Ratio of perplexities, at least 1.
        times: f64,
    },
    /// The rank correlation of R² of a linear map of each layer with its depth is at least `rho`.
    LinearityGrows {
        /// Spearman's ρ.
        rho: f64,
    },
    /// The rank correlation of variance and sensitivity over directions of the residual stream, mean over
    /// layers, is at most `rho`.
    DirectionsDisagree {
        /// Spearman's ρ.
        rho: f64,
    },
    /// A part is at most such a share of the model.
    ShareAtMost {
        /// The part.
        part: Part,
        /// Of what.
        of: Whole,
        /// Between 0 and 1.
        share: f64,
    },
}

impl Expectation {
    /// The predicate by which a file names it.
    pub fn predicate(&self) -> Predicate {
        match self {
            Expectation::PerplexityAtLeast { .. } => Predicate::PerplexityAtLeast,
            Expectation::PerplexityAtMost { .. } => Predicate::PerplexityAtMost,
            Expectation::AccuracyUnchanged { .. } => Predicate::AccuracyUnchanged,
            Expectation::AccuracyFalls { .. } => Predicate::AccuracyFalls,
            Expectation::DialRises { .. } => Predicate::DialRises,
            Expectation::CorrelationSame { .. } => Predicate::CorrelationSame,
            Expectation::CostsMore { .. } => Predicate::CostsMore,
            Expectation::CostsNoMore { .. } => Predicate::CostsNoMore,
            Expectation::LinearityGrows { .. } => Predicate::LinearityGrows,
            Expectation::DirectionsDisagree { .. } => Predicate::DirectionsDisagree,
            Expectation::ShareAtMost { .. } => Predicate::ShareAtMost,
        }
    }
}

//! Why a step or a recipe means nothing.

use crate::{TreatmentError, UnknownName};

/// Why a step means nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StepError {
    /// A piece without `=`.
    #[error("`{0}` is not of the form key=value")]
    NotAPair(String),
    /// Neither a cut nor a skip nor an observation, or several of them.
    #[error("a step has exactly one of `cut`, `skip` and `observe`, e.g. {example}")]
    Way {
        /// A step that is right.
        example: &'static str,
    },
    /// A kind that is not known.
    #[error(transparent)]
    Kind(UnknownName),
    /// A setting that the kind does not have.
    #[error("{step}: {error}")]
    Setting {
        /// The kind of step.
        step: String,
        /// The setting as it was given, and the nearest one.
        error: UnknownName,
    },
    /// A setting given twice.
    #[error("{step}: `{setting}` is given twice")]
    Twice {
        /// The kind of step.
        step: String,
        /// The setting.
        setting: String,
    },
    /// A value that a setting cannot have.
    #[error("{step}: {problem}")]
    Value {
        /// The kind of step.
        step: String,
        /// The setting, what it takes, and what was given.
        problem: String,
    },
    /// A setting that must be there.
    #[error("{step} needs `{setting}`: {doc}")]
    Needed {
        /// The kind of step.
        step: String,
        /// The setting.
        setting: &'static str,
        /// What it means.
        doc: &'static str,
    },
    /// Settings that do not go together.
    #[error("{step}: {problem}")]
    Combination {
        /// The kind of step.
        step: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// What is wrong with a step on neurons or state channels.
    #[error(transparent)]
    Treatment(#[from] TreatmentError),
}

/// Why steps cannot follow each other.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecipeError {
    /// Weights would change while the model runs.
    #[error("`{step}` comes after a skip: cuts come first, skips last")]
    CutAfterSkip {
        /// The cut.
        step: String,
    },
    /// Two decisions about one thing.
    #[error("part `{part}` is skipped twice: a recipe has at most one skip a part")]
    TwoSkips {
        /// The part.
        part: &'static str,
    },
    /// Heads that are not run and positions that are not kept: which comes first is not defined.
    #[error("`heads` and `kv` both stand in for attention: a recipe skips one of them")]
    OneAttention,
    /// Observations measure the model as it is.
    #[error("an observation measures the dense model: it is the only step of its recipe")]
    ObservationInCompany,
    /// Gradients are taken of the model as its file has it.
    #[error(
        "`{step}` needs gradients, which are taken of the model as its file has it: make it the first step"
    )]
    GradientAfterCut {
        /// The step.
        step: String,
    },
    /// What was cut would be there again.
    #[error("`{step}` would fill in the zeros that `{zeros}` left: put it before")]
    FillsZeros {
        /// The step that fills in.
        step: String,
        /// The step that left zeros.
        zeros: String,
    },
}

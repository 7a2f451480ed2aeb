//! Rules that a config leaves open.

/// How the time steps of a Zamba2 model are limited. The two rules differ on checkpoints with small time
/// steps only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeSteps {
    /// Raised to `time_step_min`, as transformers does with whole sequences: what published numbers rest on.
    #[default]
    Transformers,
    /// Not at all, as the original code has it, unless `time_step_limit` says so.
    Original,
}

/// By which rules a model is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Of Zamba2; any other family refuses all but the default.
    pub time_steps: TimeSteps,
}

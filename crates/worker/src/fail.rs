//! What ends a command, with its exit code.

use std::io::Write as _;

/// Why a command ended.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The request makes no sense.
    Usage(anyhow::Error),
    /// Inputs that are missing or cannot be used, all of them.
    Inputs(Vec<anyhow::Error>),
    /// The results folder cannot be used.
    Results(anyhow::Error),
    /// The one cell that was asked for failed.
    Cell(anyhow::Error),
    /// Asked to stop.
    Stopped,
}

impl Fail {
    /// One bad input.
    pub(crate) fn input(error: impl Into<anyhow::Error>) -> Self {
        Self::Inputs(vec![error.into()])
    }

    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Usage(_) => plan::exit::BAD_PIPELINE,
            Self::Inputs(_) => plan::exit::BAD_INPUTS,
            Self::Results(_) => plan::exit::BAD_RESULTS,
            Self::Cell(_) => plan::exit::FAILED_CELLS,
            Self::Stopped => plan::exit::STOPPED,
        }
    }

    pub(crate) fn print(&self) {
        let mut stderr = std::io::stderr().lock();
        // Nobody is left to tell if standard error is closed.
        let _ = match self {
            Self::Usage(error) | Self::Results(error) | Self::Cell(error) => {
                writeln!(stderr, "error: {error:#}")
            }
            Self::Inputs(errors) => {
                errors.iter().try_for_each(|error| writeln!(stderr, "error: {error:#}"))
            }
            Self::Stopped => writeln!(stderr, "stopped"),
        };
    }
}

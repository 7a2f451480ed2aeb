//! Errors that carry the exit code of the program.

use std::fmt;

use plan::exit::{BAD_INPUTS, BAD_PIPELINE, BAD_RESULTS, STOPPED};

/// Anything that has no code of its own: a build that fails, a program that cannot be started.
pub(crate) const OTHER: i32 = 70;

/// The exit codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0   done
  1   some cells failed (they are in the failures table; the same command tries them again)
  2   bad pipeline or usage
  3   missing or bad inputs, all of them listed
  4   results folder unusable
  5   stopped; the same command resumes
  70  anything else, e.g. a failed build";

/// An error, or the context of one, that decides the exit code.
#[derive(Debug)]
pub(crate) struct Exit {
    code: i32,
    message: String,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Exit {}

impl Exit {
    fn new(code: i32, message: impl Into<String>) -> Exit {
        Exit { code, message: message.into() }
    }

    /// A mistake in the pipeline or on the command line: 2.
    pub(crate) fn usage(message: impl Into<String>) -> Exit {
        Exit::new(BAD_PIPELINE, message)
    }

    /// Weights or text that are missing or wrong: 3.
    pub(crate) fn inputs(message: impl Into<String>) -> Exit {
        Exit::new(BAD_INPUTS, message)
    }

    /// A results folder that cannot be used: 4.
    pub(crate) fn results(message: impl Into<String>) -> Exit {
        Exit::new(BAD_RESULTS, message)
    }

    /// The worker ended with a code of its own, which is passed on; why has been told.
    pub(crate) fn of_worker(code: i32, message: impl Into<String>) -> Exit {
        Exit::new(code, message)
    }

    /// Stopped before the end: 5.
    pub(crate) fn stopped(message: impl Into<String>) -> Exit {
        Exit::new(STOPPED, message)
    }
}

/// The exit code that an error asks for.
pub(crate) fn code_of(error: &anyhow::Error) -> i32 {
    error.downcast_ref::<Exit>().map_or(OTHER, |exit| exit.code)
}

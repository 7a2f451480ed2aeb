//! Ctrl-C: the worker stops cleanly, and this program waits for it.

use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::exit::Exit;

/// What is said when a run was stopped.
pub(crate) const MESSAGE: &str = "stopped; run the same command again to resume";

/// Whether a stop was asked for, and the line that keeps the worker alive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    /// The worker stops when its standard input closes, so it never outlives this program.
    lifeline: Arc<Mutex<Option<ChildStdin>>>,
}

impl Stop {
    /// Takes over Ctrl-C and termination: the first closes the worker's lifeline, the second ends
    /// this program at once.
    pub(crate) fn install() -> Result<Stop> {
        let stop = Stop::default();
        let handler = stop.clone();
        ctrlc::set_handler(move || {
            if handler.asked.swap(true, Ordering::SeqCst) {
                std::process::exit(plan::exit::STOPPED);
            }
            handler.hold(None);
        })
        .context("cannot take over Ctrl-C")?;
        Ok(stop)
    }

    /// Keeps the worker's standard input open until a stop is asked for.
    pub(crate) fn hold(&self, stdin: Option<ChildStdin>) {
        // A poisoned lock still holds a valid pipe: nothing here can break it.
        let mut lifeline = self.lifeline.lock().unwrap_or_else(PoisonError::into_inner);
        *lifeline = stdin;
        if self.asked() {
            *lifeline = None;
        }
    }

    /// Whether a stop was asked for.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// An error with the right code when a stop was asked for.
    pub(crate) fn check(&self) -> Result<()> {
        if self.asked() { Err(Exit::stopped(MESSAGE).into()) } else { Ok(()) }
    }
}

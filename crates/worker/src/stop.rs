//! Being asked to stop: Ctrl-C, a termination signal, or the end of standard input (the process that
//! started us is gone).

use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Set once, read between batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens to signals, and to standard input if `follow_stdin`.
    pub(crate) fn listen(follow_stdin: bool) -> anyhow::Result<Self> {
        let stop = Self::default();
        let on_signal = stop.clone();
        ctrlc::set_handler(move || on_signal.0.store(true, Ordering::Relaxed))?;
        if follow_stdin {
            let at_end = stop.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 64];
                while matches!(std::io::stdin().read(&mut buffer), Ok(n) if n > 0) {}
                at_end.0.store(true, Ordering::Relaxed);
            });
        }
        Ok(stop)
    }

    /// Waits, but no longer than until a stop is asked for.
    pub(crate) fn pause(&self, duration: Duration) {
        const STEP: Duration = Duration::from_millis(50);
        let began = Instant::now();
        while !self.asked() && began.elapsed() < duration {
            std::thread::sleep(STEP.min(duration));
        }
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

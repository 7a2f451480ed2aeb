//! The sign that a worker gives while it lives.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::StoreError;
use crate::claims::remove;

/// A thread that raises a number in a file, now and then, until this is dropped.
#[derive(Debug)]
pub(crate) struct Pulse {
    run: PathBuf,
    beat: PathBuf,
    is_gone: Arc<AtomicBool>,
    /// Dropped to end the thread.
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Gives the first sign, and another each time that `every` has passed.
    pub(crate) fn start(run: &Path, beat: PathBuf, every: Duration) -> Result<Pulse, StoreError> {
        if !run.is_dir() {
            return Err(StoreError::Gone(run.to_owned()));
        }
        files::create_folders(files::folder_of(&beat))?;
        give(&beat, 0).map_err(StoreError::io("write", &beat))?;
        let is_gone = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::spawn({
            let (run, beat, is_gone) = (run.to_owned(), beat.clone(), Arc::clone(&is_gone));
            move || {
                for number in 1.. {
                    match ended.recv_timeout(every) {
                        Err(RecvTimeoutError::Timeout) => {}
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                    }
                    if !run.is_dir() {
                        is_gone.store(true, Ordering::Relaxed);
                        return;
                    }
                    // A sign that cannot be given is one that others miss: in the end they take over,
                    // and what is computed here is stored or refused like any result.
                    let _ = fs::create_dir(files::folder_of(&beat));
                    let _ = give(&beat, number);
                }
            }
        });
        let run = run.to_owned();
        Ok(Pulse { run, beat, is_gone, end: Some(end), thread: Some(thread) })
    }

    /// Whether the folder of the run is still there.
    ///
    /// # Errors
    /// [`StoreError::Gone`].
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        // Once gone it stays so: what comes in its place is another run.
        if self.is_gone.load(Ordering::Relaxed) || !self.run.is_dir() {
            self.is_gone.store(true, Ordering::Relaxed);
            return Err(StoreError::Gone(self.run.clone()));
        }
        Ok(())
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A thread that only writes a number has nothing to report.
            let _ = thread.join();
        }
        // One that stays is swept up by the next worker on this machine.
        let _ = remove(&self.beat);
    }
}

/// Writes a number over the one before, in place: a file that is replaced is found late by other machines.
fn give(beat: &Path, number: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(beat)?;
    file.write_all(format!("{number:020}\n").as_bytes())
}

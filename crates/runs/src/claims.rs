//! Who computes which cell, where many workers write into one run.
//!
//! A claim is a small file `claims/<cell id>` that says whose it is. It is made by linking a whole file to
//! its name, which succeeds for one process only, on disks of a network too, where locks often do nothing.
//! It is never rewritten: that its holder lives is said by another file, `claims/<holder>.beat`, in which
//! the holder raises a number ([`Pace`]). A holder of this machine is asked by its process number instead.
//!
//! Claims save work and keep nothing safe. Where one is lost, because its holder stood still for long or
//! two took it from a dead one in the same moment, a cell is computed twice, and the second whole file
//! replaces the first. What keeps results safe is that files appear whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use files::Process;

use crate::folder::{check_name, sweep};
use crate::pulse::Pulse;
use crate::watch::Watch;
use crate::{Pace, StoreError};

/// The folder of claims within a run.
pub(crate) const CLAIMS: &str = "claims";
/// Ending of the files in which holders show that they live.
pub(crate) const BEAT: &str = ".beat";
/// How often a claim is tried for that comes and goes.
const ATTEMPTS: usize = 8;

/// The claims of one worker in a run; while this lives, so do they.
#[derive(Debug)]
pub struct Claims {
    run: PathBuf,
    holder: Holder,
    pace: Pace,
    n_claims: AtomicU64,
    /// The texts of the claims that are held now.
    held: Mutex<BTreeSet<String>>,
    watch: Mutex<Watch>,
    pulse: Pulse,
}

/// What came of trying to claim a cell.
#[derive(Debug)]
pub enum Attempt<'a> {
    /// It is ours until the claim is dropped.
    Taken(Claim<'a>),
    /// Somebody else has it, as people read it: `process 4711 on node07`.
    Held(String),
}

/// A cell that is ours.
#[derive(Debug)]
pub struct Claim<'a> {
    path: PathBuf,
    text: String,
    claims: &'a Claims,
}

/// A worker: a process, and which of the workers in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) process: Process,
    number: u64,
}

impl Holder {
    /// As claims and names of beats carry it.
    fn text(&self) -> String {
        format!("{}.{}", self.process, self.number)
    }

    pub(crate) fn parse(text: &str) -> Option<Holder> {
        let (process, number) = text.rsplit_once('.')?;
        Some(Holder { process: Process::parse(process)?, number: number.parse().ok()? })
    }

    /// Whose claim a file is; none where that cannot be read.
    pub(crate) fn of_claim(bytes: &[u8]) -> Option<Holder> {
        let text = std::str::from_utf8(bytes).ok()?;
        Holder::parse(text.strip_prefix("holder = ")?.lines().next()?)
    }

    /// The file in which a holder shows that it lives.
    pub(crate) fn beat_path(&self, run: &Path) -> PathBuf {
        run.join(CLAIMS).join(format!("{}{BEAT}", self.text()))
    }
}

impl Claims {
    /// Begins to take part in the run at `run`, a folder that exists.
    ///
    /// # Errors
    /// [`StoreError::Gone`] and [`StoreError::Io`].
    pub fn join(run: &Path, pace: Pace) -> Result<Claims, StoreError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let holder = Holder { process: Process::own().clone(), number };
        let pulse = Pulse::start(run, holder.beat_path(run), pace.beat)?;
        let run = run.to_owned();
        let (n_claims, held, watch) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
        Ok(Claims { run, holder, pace, n_claims, held, watch, pulse })
    }

    /// Claims a cell, from a dead holder too.
    ///
    /// # Errors
    /// [`StoreError::Gone`] where the run's folder was deleted, [`StoreError::Name`] and
    /// [`StoreError::Io`].
    pub fn take(&self, id: &str) -> Result<Attempt<'_>, StoreError> {
        let path = self.run.join(CLAIMS).join(check_name("cell id", id)?);
        let number = self.n_claims.fetch_add(1, Ordering::Relaxed);
        let text = format!("holder = {}\nclaim = {number}\n", self.holder.text());
        let claim = Claim { path, text, claims: self };
        guarded(&self.held).insert(claim.text.clone());
        // A folder that is deleted meanwhile fails in many ways, and is gone in each.
        match self.attempt(id, &claim) {
            Ok(None) => Ok(Attempt::Taken(claim)),
            Ok(Some(holder)) => Ok(Attempt::Held(holder)),
            Err(error) => Err(self.pulse.check().err().unwrap_or(error)),
        }
    }

    /// Makes a claim true; or who has the cell.
    fn attempt(&self, id: &str, claim: &Claim<'_>) -> Result<Option<String>, StoreError> {
        for _ in 0..ATTEMPTS {
            self.pulse.check()?;
            if create(&claim.path, &claim.text)? {
                return Ok(None);
            }
            let Some(found) = read(&claim.path)? else { continue };
            match self.living(id, &found)? {
                Some(living) => return Ok(Some(living)),
                None => remove_claim(&claim.path, &found)?,
            }
        }
        Ok(Some("another process".to_owned()))
    }

    /// The holder of a claim, as people read it; none where it is dead. One that is found to be dead on
    /// another machine is cleared away with all that it left.
    fn living(&self, id: &str, claim: &[u8]) -> Result<Option<String>, StoreError> {
        let Some(holder) = Holder::of_claim(claim) else {
            let is_silent = self.is_silent(&format!("claim {id}"), claim.to_vec());
            return Ok((!is_silent).then(|| "another process".to_owned()));
        };
        let described = || Some(holder.process.describe());
        if holder == self.holder {
            // One that was given up while somebody looked whether it was dead, and put it back.
            let is_held = guarded(&self.held).iter().any(|text| text.as_bytes() == claim);
            return Ok(described().filter(|_| is_held));
        }
        match holder.process.is_living() {
            Some(true) => return Ok(described()),
            Some(false) => return Ok(None),
            None => {}
        }
        let sign = read(&holder.beat_path(&self.run))?.unwrap_or_default();
        if !self.is_silent(&holder.text(), sign) {
            return Ok(described());
        }
        sweep(&self.run, &|process| *process == holder.process)?;
        Ok(None)
    }

    fn is_silent(&self, who: &str, sign: Vec<u8>) -> bool {
        guarded(&self.watch).is_silent(who, sign, Instant::now(), self.pace.silence)
    }
}

/// What a lock guards. A panic elsewhere leaves it as it was: nothing here is changed in two steps.
fn guarded<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Claim<'_> {
    /// Whether the run is still there to be written into. That somebody took the claim over does not
    /// matter: both files are whole, and say the same.
    ///
    /// # Errors
    /// [`StoreError::Gone`].
    pub fn check(&self) -> Result<(), StoreError> {
        self.claims.pulse.check()
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        guarded(&self.claims.held).remove(&self.text);
        // A claim that stays behind is taken over once its holder is gone.
        let _ = remove_claim(&self.path, self.text.as_bytes());
    }
}

/// Makes a claim; false where there is one already.
fn create(path: &Path, text: &str) -> Result<bool, StoreError> {
    let temporary = files::temporary_name(path);
    match fs::write(&temporary, text) {
        // The folder of claims was taken away; it comes again with the next sign or attempt.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let _ = fs::create_dir(files::folder_of(path));
            return Ok(false);
        }
        written => written.map_err(StoreError::io("write", &temporary))?,
    }
    let linked = fs::hard_link(&temporary, path);
    // Gone with the folder, or harmless until somebody sweeps.
    let _ = fs::remove_file(&temporary);
    let Err(error) = linked else { return Ok(true) };
    // A server's answer that was lost on the way: the link was made, and made again is refused.
    if read(path)?.is_some_and(|found| found == text.as_bytes()) {
        return Ok(true);
    }
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => Ok(false),
        // A disk without links.
        _ => create_without_link(path, text),
    }
}

/// Makes a claim that is empty for a moment; to whoever looks then, it is one that cannot be read yet.
fn create_without_link(path: &Path, text: &str) -> Result<bool, StoreError> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            let written = file.write_all(text.as_bytes());
            if written.is_err() {
                // Nobody could read whose it is.
                let _ = fs::remove_file(path);
            }
            written.map(|()| true).map_err(StoreError::io("write", path))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(StoreError::io("create", path)(error)),
    }
}

/// Removes a claim if it is still the one that was looked at.
///
/// It is taken out of the way first, which one process alone can do, and looked at then: a claim that came
/// in between goes back, unless a third is there already.
pub(crate) fn remove_claim(path: &Path, expected: &[u8]) -> Result<(), StoreError> {
    if read(path)?.is_none_or(|found| found != expected) {
        return Ok(());
    }
    let aside = files::temporary_name(path);
    match fs::rename(path, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("rename", path)(error)),
    }
    if read(&aside)?.is_some_and(|found| found != expected) {
        let _ = fs::hard_link(&aside, path);
    }
    remove(&aside)
}

/// What a file holds; none where it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// Removes a file that another process may have removed already.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Whether a file is not there, or was replaced on a server since its name was looked up.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Way = fn(&Path, &str) -> Result<bool, StoreError>;

    /// Both ways of making a claim refuse one that is there, whoever made it and how.
    #[test]
    fn a_claim_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let ways: [Way; 2] = [create, create_without_link];
        for (number, first) in ways.into_iter().enumerate() {
            let path = folder.path().join(format!("c{number}"));
            assert!(first(&path, "one").unwrap());
            for second in ways {
                assert!(!second(&path, "two").unwrap());
                assert_eq!(read(&path).unwrap().unwrap(), b"one");
            }
            // A link whose confirmation was lost is ours.
            assert!(create(&path, "one").unwrap());
            remove_claim(&path, b"two").unwrap();
            assert!(path.exists(), "of another");
            remove_claim(&path, b"one").unwrap();
            remove_claim(&path, b"one").unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

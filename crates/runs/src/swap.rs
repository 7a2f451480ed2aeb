//! Putting one file in the place of many in a partition, so that nobody sees a row twice.
//!
//! The new folder of a partition is made beside the run, where no pattern over the run's files looks
//! (`.<run>.<process>.<number>.tmp`), and is then exchanged with the old one in a single operation of the
//! system (`renameat2` with `RENAME_EXCHANGE`): a path leads to the old files or to the new one, never to
//! both. What comes into the old folder meanwhile, of a worker that ends a cell there, is carried over.
//!
//! Where a disk has no such operation (some network file systems), the old folder is renamed away and the
//! new one renamed to its place: for that moment the rows of the partition are absent, still never double.
//!
//! Who opened the old folder before the exchange and lists it behind it still finds every name, and an error
//! when it opens one; it never takes an emptied folder for a run without rows. For that the old files stay in
//! the staging folder for a while ([`Retired`]).
//!
//! A journal in the staging folder says what was to be done. Whoever opens the run next ends or undoes the
//! swap of a process that died in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use files::Process;

use crate::StoreError;
use crate::claims::remove;

/// The folder with the new files, and after an exchange with the old ones.
const NEW: &str = "new";
/// The folder with the old files, where they were renamed away.
const OLD: &str = "old";
/// What is to be swapped.
const JOURNAL: &str = "journal";

/// How a folder comes into the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In one operation.
    Exchange,
    /// In two, where the disk knows no other.
    TwoRenames,
}

/// A partition whose files are about to be replaced. Dropped before [`Swap::finish`], it changes nothing.
#[derive(Debug)]
pub struct Swap {
    run: PathBuf,
    partition: PathBuf,
    staging: PathBuf,
    way: Way,
    is_swapped: bool,
}

/// What a swap is about; one name a line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Journal {
    /// Within the run.
    partition: PathBuf,
    /// Names that only the new folder has.
    made: BTreeSet<String>,
    /// Names whose rows are in what was made.
    folded: BTreeSet<String>,
}

impl Swap {
    /// Prepares a staging folder for `partition`, a folder within the run at `run`.
    ///
    /// # Errors
    /// [`StoreError::Io`] where none can be made beside the run.
    pub fn begin(run: &Path, partition: &Path) -> Result<Swap, StoreError> {
        // A link to a run lies elsewhere than the run, perhaps on another disk.
        let run = run.canonicalize().map_err(StoreError::io("open", run))?;
        let partition = partition.canonicalize().map_err(StoreError::io("open", partition))?;
        let staging = files::temporary_name(&run);
        let new = staging.join(NEW);
        fs::create_dir_all(&new).map_err(StoreError::io("create folder", &new))?;
        Ok(Swap { run, partition, staging, way: Way::Exchange, is_swapped: false })
    }

    /// Where the new files go, each whole and on the disk.
    pub fn folder(&self) -> PathBuf {
        self.staging.join(NEW)
    }

    /// Puts the new files in the place of those whose names are `folded`, which are `retired`; every other
    /// file of the partition stays. False where nothing was changed, because another process made the
    /// partition anew meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Io`]. What is not ended then is ended by whoever opens the run next.
    pub fn finish(
        self,
        folded: &BTreeSet<String>,
        retired: &mut Retired,
    ) -> Result<bool, StoreError> {
        self.finish_after(folded, retired, || {})
    }

    /// As [`Swap::finish`], with what others do in the last moment.
    fn finish_after(
        mut self,
        folded: &BTreeSet<String>,
        retired: &mut Retired,
        last_moment: impl FnOnce(),
    ) -> Result<bool, StoreError> {
        let new = self.folder();
        let made: BTreeSet<String> = names(&new)?.into_keys().collect();
        let relative = self.partition.strip_prefix(&self.run).unwrap_or(&self.partition);
        let journal = Journal { partition: relative.to_owned(), made, folded: folded.clone() };
        files::write(&self.staging.join(JOURNAL), journal.text().as_bytes())?;
        let kept = link_others(&self.partition, &new, folded)?;
        files::sync_folder(&new)?;
        last_moment();
        let Some(old) = self.put_in_place()? else { return Ok(false) };
        files::sync_folder(files::folder_of(&self.partition))?;
        carry_over(&old, &self.partition, folded, &kept)?;
        retired.add(self.staging.clone())?;
        Ok(true)
    }

    /// The folder with the old files once the new ones are in their place; none where that was undone.
    fn put_in_place(&mut self) -> Result<Option<PathBuf>, StoreError> {
        let (new, old) = (self.staging.join(NEW), self.staging.join(OLD));
        if self.way == Way::Exchange {
            match exchange(&new, &self.partition) {
                Ok(()) => {
                    self.is_swapped = true;
                    return Ok(Some(new));
                }
                Err(error) if is_not_offered(&error) => self.way = Way::TwoRenames,
                Err(error) => return Err(StoreError::io("exchange", &self.partition)(error)),
            }
        }
        let aside = fs::rename(&self.partition, &old);
        aside.map_err(StoreError::io("rename", &self.partition))?;
        // From here on the staging folder has rows, and is nobody's to throw away.
        self.is_swapped = true;
        match fs::rename(&new, &self.partition) {
            Ok(()) => Ok(Some(old)),
            Err(error) => {
                put_back(&old, &self.partition)?;
                remove_folder(&self.staging)?;
                match error.kind() {
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Ok(None),
                    _ => Err(StoreError::io("rename", &self.partition)(error)),
                }
            }
        }
    }
}

/// Old files that nobody is led to any more, each kept for a while before it is removed; dropped, it waits for
/// the last.
#[derive(Debug)]
pub struct Retired {
    wait: Duration,
    stagings: VecDeque<(Instant, PathBuf)>,
}

impl Default for Retired {
    /// Longer than a reader takes from opening a folder to the end of its list.
    fn default() -> Retired {
        Retired::after(Duration::from_secs(1))
    }
}

impl Retired {
    /// Keeps each for so long.
    pub fn after(wait: Duration) -> Retired {
        Retired { wait, stagings: VecDeque::new() }
    }

    /// Adds a staging folder, and removes those whose time has come.
    fn add(&mut self, staging: PathBuf) -> Result<(), StoreError> {
        self.stagings.push_back((Instant::now(), staging));
        while let Some((since, staging)) = self.stagings.front()
            && since.elapsed() >= self.wait
        {
            remove_folder(staging)?;
            self.stagings.pop_front();
        }
        Ok(())
    }
}

impl Drop for Retired {
    fn drop(&mut self) {
        for (since, staging) in self.stagings.drain(..) {
            thread::sleep(self.wait.saturating_sub(since.elapsed()));
            // One that stays is removed by whoever opens the run next.
            let _ = remove_folder(&staging);
        }
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        if !self.is_swapped {
            // Nothing of the run is in it but second names; a leftover is swept.
            let _ = fs::remove_dir_all(&self.staging);
        }
    }
}

impl Journal {
    fn text(&self) -> String {
        let mut text = format!("partition {}\n", self.partition.display());
        self.made.iter().for_each(|name| text += &format!("made {name}\n"));
        self.folded.iter().for_each(|name| text += &format!("folded {name}\n"));
        text + "end\n"
    }

    /// None of a text that is not whole: nothing was swapped then.
    fn parse(text: &str) -> Option<Journal> {
        let mut journal = Journal::default();
        let lines = text.strip_suffix("end\n")?.lines();
        for line in lines {
            let (word, name) = line.split_once(' ')?;
            match word {
                "partition" => journal.partition = PathBuf::from(name),
                "made" => drop(journal.made.insert(name.to_owned())),
                "folded" => drop(journal.folded.insert(name.to_owned())),
                _ => return None,
            }
        }
        Some(journal)
    }

    /// None where there is none: nothing was swapped then.
    fn read(staging: &Path) -> Option<Journal> {
        Journal::parse(&fs::read_to_string(staging.join(JOURNAL)).ok()?)
    }
}

/// What swaps of the run left beside it, of processes that `whose` names, with the partition where it is
/// known.
pub(crate) fn left(
    run: &Path,
    whose: &dyn Fn(&Process) -> bool,
) -> Result<Vec<(PathBuf, Option<PathBuf>)>, StoreError> {
    let Ok(run) = run.canonicalize() else { return Ok(Vec::new()) };
    let beside = files::folder_of(&run);
    let begins = format!(".{}.", run.file_name().unwrap_or_default().to_string_lossy());
    let mut left = Vec::new();
    // What cannot be listed holds nothing of ours: a staging folder is made there before anything else.
    let Ok(entries) = fs::read_dir(beside) else { return Ok(left) };
    for entry in entries {
        let path = entry.map_err(StoreError::io("list", beside))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(rest) = name.strip_prefix(&begins) else { continue };
        // A name of another run may begin with ours: of ours only process, number and ending follow.
        let is_ours = files::owner_of(&name).is_some_and(|owner| {
            rest.strip_prefix(&format!("{owner}."))
                .is_some_and(|rest| rest.matches('.').count() == 1)
                && whose(&owner)
        });
        if is_ours && path.is_dir() {
            let partition = Journal::read(&path).map(|journal| run.join(journal.partition));
            left.push((path, partition));
        }
    }
    left.sort();
    Ok(left)
}

/// Those of [`left`] that hold rows which no pattern over the run finds: files that came in the last moment,
/// or all of a partition between two renames.
pub(crate) fn hiding(
    run: &Path,
    whose: &dyn Fn(&Process) -> bool,
) -> Result<Vec<(PathBuf, PathBuf)>, StoreError> {
    let mut hiding = Vec::new();
    for (staging, partition) in left(run, whose)? {
        let (Some(partition), Some(journal)) = (partition, Journal::read(&staging)) else {
            continue;
        };
        let (new, old) = (staging.join(NEW), staging.join(OLD));
        let is_swapped = !old.is_dir() && journal.made.iter().all(|n| partition.join(n).is_file());
        let is_late = |name: &String| {
            let is_known = journal.folded.contains(name) || files::owner_of(name).is_some();
            !is_known && !partition.join(name).exists()
        };
        let is_hiding = match old.is_dir() {
            true => new.is_dir() || names(&old)?.keys().any(is_late),
            false => is_swapped && new.is_dir() && names(&new)?.keys().any(is_late),
        };
        if is_hiding {
            hiding.push((staging, partition));
        }
    }
    Ok(hiding)
}

/// Ends or undoes the swaps of processes that `whose` names and that are not there any more.
///
/// # Errors
/// [`StoreError::Io`].
pub(crate) fn recover(run: &Path, whose: &dyn Fn(&Process) -> bool) -> Result<(), StoreError> {
    for (staging, partition) in left(run, whose)? {
        let (new, old) = (staging.join(NEW), staging.join(OLD));
        if let (Some(partition), Some(journal)) = (partition, Journal::read(&staging)) {
            let is_made = |name: &String| partition.join(name).is_file();
            if old.is_dir() && new.is_dir() {
                put_back(&old, &partition)?;
            } else if old.is_dir() {
                carry_over(&old, &partition, &journal.folded, &BTreeMap::new())?;
            } else if new.is_dir() && journal.made.iter().all(is_made) {
                carry_over(&new, &partition, &journal.folded, &BTreeMap::new())?;
            }
        }
        remove_folder(&staging)?;
    }
    Ok(())
}

/// Gives the files of `partition` that are not `folded` a second name in `new`, those that somebody writes
/// just now among them: their writer then finds them there. The value is what was linked.
fn link_others(
    partition: &Path,
    new: &Path,
    folded: &BTreeSet<String>,
) -> Result<BTreeMap<String, Identity>, StoreError> {
    let mut kept = BTreeMap::new();
    for (name, metadata) in names(partition)? {
        let (from, to) = (partition.join(&name), new.join(&name));
        if folded.contains(&name) || to.exists() {
            continue;
        }
        match fs::hard_link(&from, &to) {
            Ok(()) => drop(kept.insert(name, Identity::of(&metadata))),
            // Its writer was faster; what it has become is carried over.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A disk without links: it is carried over too, and absent for that moment.
            Err(_) => {}
        }
    }
    Ok(kept)
}

/// Leaves the old folder with what is `folded` alone: the rest goes to the partition, unless it has a second
/// name there.
fn carry_over(
    old: &Path,
    partition: &Path,
    folded: &BTreeSet<String>,
    kept: &BTreeMap<String, Identity>,
) -> Result<(), StoreError> {
    for (name, metadata) in names(old)? {
        let (from, to) = (old.join(&name), partition.join(&name));
        let identity = Identity::of(&metadata);
        // One that was linked and is not there any more has got its final name, or was removed.
        let is_there = kept.get(&name) == Some(&identity)
            || fs::metadata(&to).is_ok_and(|there| Identity::of(&there) == identity);
        // Who writes it begins again, as its name has gone.
        let is_unfinished = files::owner_of(&name).is_some();
        if folded.contains(&name) {
            continue;
        }
        if is_there || is_unfinished {
            remove(&from)?;
        } else {
            fs::rename(&from, &to).map_err(StoreError::io("rename", &from))?;
        }
    }
    Ok(files::sync_folder(partition)?)
}

/// Puts old files back that were renamed away, beside what came into the partition meanwhile.
fn put_back(old: &Path, partition: &Path) -> Result<(), StoreError> {
    files::create_folders(partition)?;
    for name in names(old)?.into_keys() {
        let (from, to) = (old.join(&name), partition.join(&name));
        if !to.exists() {
            fs::rename(&from, &to).map_err(StoreError::io("rename", &from))?;
        }
    }
    Ok(files::sync_folder(partition)?)
}

/// Which file it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Identity {
        use std::os::unix::fs::MetadataExt as _;
        Identity(metadata.dev(), metadata.ino())
    }

    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Identity {
        let written = metadata.modified().ok();
        let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Identity(metadata.len(), since.map_or(0, |since| since.as_nanos() as u64))
    }
}

/// What lies in a folder, by name; what is gone before it was looked at is not there.
fn names(folder: &Path) -> Result<BTreeMap<String, Metadata>, StoreError> {
    let list = StoreError::io("list", folder);
    let read = || -> io::Result<BTreeMap<String, Metadata>> {
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            names.insert(entry.file_name().to_string_lossy().into_owned(), metadata);
        }
        Ok(names)
    };
    read().map_err(list)
}

/// Removes a folder with all that is in it; another process may have been faster.
fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Exchanges two folders in one operation.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether kernel or disk know no exchange.
fn is_not_offered(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, Unsupported};
    matches!(error.kind(), InvalidInput | Unsupported)
}

#[cfg(test)]
mod tests;

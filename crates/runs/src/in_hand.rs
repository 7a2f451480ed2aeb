//! Which cells somebody computes at this moment, and whether that somebody lives: for people who ask.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::claims::{CLAIMS, Holder, read};
use crate::folder::list_files;
use crate::{Pace, RunFolder, StoreError};

/// A cell that is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InHand {
    /// The cell.
    pub id: String,
    /// Who has it, as people read it: `process 4711 on node07`.
    pub holder: String,
    /// Whether that process is gone, or silent for longer than [`Pace::silence`]: then any worker takes
    /// the cell over that comes to it.
    pub is_lost: bool,
}

impl RunFolder {
    /// The cells that are claimed, sorted by id.
    ///
    /// How long a worker on another machine has been silent is told from the time of its last sign and
    /// that of a file written now. Both are the clock of the disk's server, so the clocks of the machines
    /// do not matter. Where nothing can be written, everybody on other machines counts as living. Workers
    /// themselves do not rely on this, but watch for longer.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be read.
    pub fn in_hand(&self) -> Result<Vec<InHand>, StoreError> {
        let folder = self.path().join(CLAIMS);
        let mut paths = Vec::new();
        list_files(&folder, 0, &mut paths)?;
        let now = self.now();
        let mut cells = Vec::new();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // A claim is named like its cell; signs of life and unfinished files have a dot.
            if name.contains('.') {
                continue;
            }
            let Some(claim) = read(&path)? else { continue };
            let (holder, is_lost) = match Holder::of_claim(&claim) {
                Some(holder) => {
                    let is_lost = match holder.process.is_living() {
                        Some(is_living) => !is_living,
                        None => is_silent(&holder.beat_path(self.path()), now),
                    };
                    (holder.process.describe(), is_lost)
                }
                None => ("another process".to_owned(), false),
            };
            cells.push(InHand { id: name.into_owned(), holder, is_lost });
        }
        Ok(cells)
    }

    /// The instant by the clock that stamps this folder's files, which on a shared disk is its server's: the
    /// time of a file that is written now. None where nothing can be written.
    pub fn now(&self) -> Option<SystemTime> {
        let probe = files::temporary_name(&self.path().join("status"));
        let written = fs::write(&probe, b"").and_then(|()| fs::metadata(&probe)?.modified());
        // If it stays it is swept like all that is unfinished.
        let _ = fs::remove_file(&probe);
        written.ok()
    }
}

/// Whether the last sign is older than a living worker's can be; one that is not there is.
fn is_silent(beat: &Path, now: Option<SystemTime>) -> bool {
    let Some(now) = now else { return false };
    let given = fs::metadata(beat).and_then(|about| about.modified());
    let age = |given| now.duration_since(given).unwrap_or(Duration::ZERO);
    given.is_ok_and(|given| age(given) >= Pace::default().silence) || !beat.exists()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::Attempt;

    #[test]
    fn the_living_and_the_lost() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::open(folder.path()).unwrap();
        assert_eq!(run.in_hand().unwrap(), []);
        let claims = run.join(Pace::default()).unwrap();
        let Attempt::Taken(own) = claims.take("aa").unwrap() else { panic!("the cell is free") };
        let foreign = "node07-0123456789abcdef-4711-88123.0";
        fs::write(folder.path().join(CLAIMS).join("bb"), format!("holder = {foreign}\n")).unwrap();
        let lost = |run: &RunFolder| -> Vec<(String, bool)> {
            run.in_hand().unwrap().into_iter().map(|cell| (cell.id, cell.is_lost)).collect()
        };
        let expected = |b: bool| vec![("aa".to_owned(), false), ("bb".to_owned(), b)];
        assert_eq!(lost(&run), expected(true), "no sign of life at all");
        let beat = folder.path().join(CLAIMS).join(format!("{foreign}.beat"));
        fs::write(&beat, "3").unwrap();
        assert_eq!(lost(&run), expected(false));
        assert_eq!(run.in_hand().unwrap()[1].holder, "process 4711 on node07");
        let aged = |seconds| {
            let file = File::options().write(true).open(&beat).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        };
        aged(100);
        assert_eq!(lost(&run), expected(false));
        aged(130);
        assert_eq!(lost(&run), expected(true));
        drop(own);
        assert_eq!(run.in_hand().unwrap().len(), 1);
        // The probe leaves nothing behind.
        assert_eq!(fs::read_dir(folder.path().join(CLAIMS)).unwrap().count(), 3);
    }
}

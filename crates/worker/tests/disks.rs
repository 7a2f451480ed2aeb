//! Disks that fill up or turn read-only under a run: one message, exit code 4, and nothing lost.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{cells, golden_model, order, rows, run, start, stderr};
use tables::Store;

/// A file system of its own in a file of so many MiB, mounted; unmounted when dropped.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// None, and why, where this process may mount nothing.
    fn new(mebibytes: u64) -> Result<Disk, String> {
        let disk = Disk { folder: tempfile::tempdir().unwrap() };
        let image = disk.folder.path().join("image");
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        fs::create_dir(disk.path()).unwrap();
        // No blocks kept for root, which the tests may be run by.
        done(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))?;
        done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(disk.path()))?;
        Ok(disk)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn remount(&self, option: &str) -> Result<(), String> {
        let option = format!("remount,{option}");
        done(Command::new("mount").args(["-o", &option]).arg(self.path()))
    }

    /// Fills it up but for so many KiB; the value is what has to go to make room again.
    fn fill(&self, but_kibibytes: usize) -> PathBuf {
        let [reserve, ballast] = ["reserve", "ballast"].map(|name| self.path().join(name));
        let block = [7_u8; 1024];
        let mut file = File::create(&reserve).unwrap();
        (0..but_kibibytes).for_each(|_| file.write_all(&block).unwrap());
        file.sync_all().unwrap();
        let mut file = File::create(&ballast).unwrap();
        while file.write_all(&block).is_ok() {}
        let _ = file.sync_all();
        fs::remove_file(reserve).unwrap();
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a test that panics may leave a process there.
        let _ = done(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

fn done(command: &mut Command) -> Result<(), String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

/// Or says why not.
fn disk(mebibytes: u64) -> Option<Disk> {
    // Containers may mount nothing, and only root may: no fault of theirs, whatever is required.
    Disk::new(mebibytes).map_err(|reason| eprintln!("skipped: no disk of its own: {reason}")).ok()
}

/// The rows of a run that nothing befalls.
fn expected() -> std::collections::BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    rows(&order.results)
}

/// Files that look whole are whole, whatever happened.
fn assert_undamaged(run: &Path) {
    let survey = Store::open_read_only(run).unwrap().survey().unwrap();
    assert!(survey.damaged.is_empty(), "{:?}", survey.damaged);
}

#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let Some(disk) = disk(8) else { return };
    let folder = tempfile::tempdir().unwrap();
    let order = order(&disk.path().join("run"), &golden_model("llama"), cells());
    // Room for some cells, but not for all.
    let ballast = disk.fill(150);
    let output = run(&order, folder.path());
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{message}");
    assert!(message.contains("No space left on device"), "{message}");
    assert!(message.contains(disk.path().to_str().unwrap()), "{message}");
    assert_undamaged(&order.results);
    let stored = rows(&order.results);
    let expected = expected();
    assert!(!stored.is_empty() && stored.len() < expected.len(), "{} cells", stored.len());
    assert!(stored.iter().all(|(id, rows)| expected[id] == *rows));
    // Room again: the same order goes on where it stopped.
    fs::remove_file(ballast).unwrap();
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    let done = String::from_utf8_lossy(&output.stdout).matches("\"cell_done\"").count();
    assert!(done < order.cells.len(), "nothing is computed twice");
    assert_eq!(rows(&order.results), expected);
}

#[test]
fn a_disk_that_turns_read_only_loses_nothing() {
    let Some(disk) = disk(16) else { return };
    let folder = tempfile::tempdir().unwrap();
    let order = order(&disk.path().join("run"), &golden_model("llama"), cells());
    let mut child = start(&order, folder.path());
    let stdin = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("\"cell_done\"")));
    // Refused while a file is open for writing, which none is for long.
    let began = Instant::now();
    while let Err(why) = disk.remount("ro") {
        assert!(began.elapsed() < Duration::from_secs(10), "{why}");
        thread::sleep(Duration::from_millis(1));
    }
    let rest = lines.filter(|line| line.contains("\"cell_done\"")).count();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert!(rest < order.cells.len() - 1, "it went on as if nothing were");
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{message}");
    assert!(message.contains("Read-only file system"), "{message}");
    // A new run is refused before anything is computed.
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{}", stderr(&output));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("cell_start"));
    disk.remount("rw").unwrap();
    assert_undamaged(&order.results);
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    assert_eq!(rows(&order.results), expected());
}

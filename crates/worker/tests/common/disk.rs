//! A small disk that tests may fill and turn read-only.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A file system of its own in a file of so many MiB, mounted; unmounted when dropped.
pub(crate) struct Disk {
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

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    pub(crate) fn remount(&self, option: &str) -> Result<(), String> {
        let option = format!("remount,{option}");
        done(Command::new("mount").args(["-o", &option]).arg(self.path()))
    }

    /// Fills it up but for so many KiB; the value is what has to go to make room again.
    pub(crate) fn fill(&self, but_kibibytes: usize) -> PathBuf {
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
pub(crate) fn disk(mebibytes: u64) -> Option<Disk> {
    // Containers may mount nothing, and only root may: no fault of theirs, whatever is required.
    Disk::new(mebibytes).map_err(|reason| eprintln!("skipped: no disk of its own: {reason}")).ok()
}

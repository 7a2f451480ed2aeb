//! The Slurm that is started for the check: bench/slurm/cluster.sh.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;

/// What it is made of: programs, and the packages of Debian that have them.
const PROGRAMS: &[&str] = &["slurmctld", "slurmd", "sbatch", "munged", "ip", "unshare"];
const PACKAGES: &[&str] = &["slurm-wlm", "munge", "iproute2", "util-linux"];

/// A cluster that runs; it ends with this value.
pub(super) struct Cluster {
    script: PathBuf,
    folder: PathBuf,
}

impl Cluster {
    /// Installs what is missing where that may be, and starts two nodes.
    ///
    /// # Errors
    /// Why there can be none here.
    pub(super) fn start(workspace: &Workspace, folder: &Path) -> Result<Cluster> {
        ensure!(is_root(), "the nodes have networks of their own, which only root can make");
        if let Some(missing) = missing() {
            install().with_context(|| format!("`{missing}` is not installed"))?;
        }
        if let Some(missing) = missing() {
            bail!("`{missing}` is not installed");
        }
        fs::create_dir_all(folder).context("cannot make a folder")?;
        let script = workspace.root().join("bench/slurm/cluster.sh");
        let cluster = Cluster { script, folder: folder.to_owned() };
        cluster.ask(&["start"])?;
        Ok(cluster)
    }

    /// What `SLURM_CONF` is to name.
    pub(super) fn configuration(&self) -> PathBuf {
        self.folder.join("slurm.conf")
    }

    /// Takes away a node's power, or gives it back.
    pub(super) fn power(&self, node: u32, is_on: bool) -> Result<()> {
        self.ask(&[if is_on { "node" } else { "lose" }, &node.to_string()])
    }

    /// A command of Slurm; what it prints.
    pub(super) fn slurm(&self, words: &[&str]) -> Result<String> {
        let (program, words) = words.split_first().context("no command")?;
        let output = Command::new(program)
            .args(words)
            .env("SLURM_CONF", self.configuration())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {program}"))?;
        ensure!(
            output.status.success(),
            "{program} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The ends of its logs, for people who look for a reason.
    pub(super) fn logs(&self) -> String {
        const LINES: usize = 15;
        let Ok(entries) = fs::read_dir(self.folder.join("log")) else { return String::new() };
        let mut text = String::new();
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let Ok(log) = fs::read_to_string(&path) else { continue };
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
            text += &format!("--- {}\n{last}\n", path.display());
        }
        text
    }

    fn ask(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new("bash");
        command.arg(&self.script).args(words).arg(&self.folder);
        // Daemons keep what they are given: a pipe would stay open for as long as they run.
        let log = self.folder.join("cluster.out");
        let file = fs::File::create(&log).context("cannot write a log")?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let status = command.status().context("cannot start bash")?;
        let said = || fs::read_to_string(&log).unwrap_or_default();
        ensure!(status.success(), "cluster.sh {} failed: {}", words.join(" "), said().trim());
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.ask(&["stop"]) {
            eprintln!("warning: {error:#}");
        }
    }
}

fn is_root() -> bool {
    let answer = Command::new("id").arg("-u").output();
    answer.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The first program that cannot be found.
fn missing() -> Option<&'static str> {
    let is_found = |name: &str| {
        let asked = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    PROGRAMS.iter().copied().find(|name| !is_found(name))
}

fn install() -> Result<()> {
    for words in [vec!["update", "-qq"], [&["install", "--yes", "-qq"], PACKAGES].concat()] {
        let status = Command::new("apt-get")
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status();
        ensure!(status.context("cannot start apt-get")?.success(), "apt-get failed");
    }
    Ok(())
}

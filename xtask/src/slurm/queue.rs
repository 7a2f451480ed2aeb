//! What Slurm is asked and told: `sbatch`, `squeue`, `sacct`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

/// A task of a job array, as Slurm last knew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// Its number within the array.
    pub(crate) number: usize,
    /// `RUNNING`, `PENDING`, `NODE_FAIL`, …
    pub(crate) state: String,
    /// The node, or why it waits.
    pub(crate) place: String,
}

impl Task {
    /// Whether it runs or will.
    pub(crate) fn is_in_queue(&self) -> bool {
        const ENDED: &[&str] = &[
            "BOOT_FAIL",
            "CANCELLED",
            "COMPLETED",
            "DEADLINE",
            "FAILED",
            "NODE_FAIL",
            "OUT_OF_MEMORY",
            "PREEMPTED",
            "REVOKED",
            "TIMEOUT",
        ];
        !ENDED.contains(&self.state.as_str())
    }
}

/// Asks whether this machine submits to Slurm.
pub(super) fn check_is_there() -> Result<()> {
    match Command::new("sbatch").arg("--version").output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "sbatch is not found: this command is for a machine that submits to Slurm; elsewhere \
             `cargo xtask run-grid --shard I/N` shares a grid out (docs/machines.md)"
        ),
        answer => {
            let answer = answer.context("cannot start sbatch")?;
            ensure!(
                answer.status.success(),
                "sbatch does not work here: {}",
                words(&answer.stderr)
            );
            Ok(())
        }
    }
}

/// Submits a script, behind another job where one is given; the value is the job's number.
pub(super) fn submit(script: &Path, after: Option<&str>) -> Result<String> {
    let mut command = Command::new("sbatch");
    command.arg("--parsable");
    if let Some(job) = after {
        // Whether its tasks went well or not: the report says what failed.
        command.arg(format!("--dependency=afterany:{job}"));
    }
    let output = command.arg(script).output().context("cannot start sbatch")?;
    if !output.status.success() {
        bail!("sbatch refused {}: {}", script.display(), words(&output.stderr));
    }
    // `JOB` or `JOB;CLUSTER`.
    let job = words(&output.stdout);
    let job = job.split(';').next().unwrap_or_default().to_owned();
    ensure!(
        !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit()),
        "sbatch answered with `{job}` where a job's number was expected"
    );
    Ok(job)
}

/// The tasks of a job array: those in the queue, and, where the site keeps accounts, those that have ended.
///
/// # Errors
/// When Slurm does not answer.
pub(crate) fn tasks(job: &str) -> Result<Vec<Task>> {
    let mut tasks = BTreeMap::new();
    // Without accounting sacct fails or says nothing: what has ended is then known from the cells alone.
    let accounted = Command::new("sacct")
        .args(["--noheader", "--parsable2", "--allocations", "--array"])
        .args(["--format=JobID,State,NodeList", "--jobs", job])
        .output();
    if let Some(output) = accounted.ok().filter(|output| output.status.success()) {
        read(&words(&output.stdout), &mut tasks);
    }
    let queued = Command::new("squeue")
        .args(["--noheader", "--array", "--states=all", "--format=%i|%T|%R", "--jobs", job])
        .output()
        .context("cannot start squeue")?;
    match queued {
        Output { status, ref stdout, .. } if status.success() => {
            read(&words(stdout), &mut tasks);
        }
        // What a controller says of a job that it has forgotten.
        Output { ref stderr, .. } if words(stderr).contains("Invalid job id") => {}
        Output { ref stderr, .. } => bail!("squeue does not answer: {}", words(stderr)),
    }
    Ok(tasks.into_values().collect())
}

/// Lines of `JOB_TASK|STATE|PLACE`; a later one of the same task counts.
fn read(lines: &str, tasks: &mut BTreeMap<usize, Task>) {
    for line in lines.lines() {
        let mut parts = line.split('|');
        let (Some(name), Some(state), place) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let number = name.rsplit_once('_').and_then(|(_, number)| number.parse().ok());
        let Some(number) = number else { continue };
        // sacct says `CANCELLED by 1000`.
        let state = state.split_whitespace().next().unwrap_or_default().to_owned();
        let place = place.unwrap_or_default().trim_matches(['(', ')']).to_owned();
        tasks.insert(number, Task { number, state, place });
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_counts_before_the_accounts() {
        let mut tasks = BTreeMap::new();
        read("12_1|COMPLETED|n1\n12_2|CANCELLED by 0|None assigned\n12_3|RUNNING|n2\n", &mut tasks);
        read(
            "12_3|COMPLETING|n2\n12_[5-8]|PENDING|\n12_10|PENDING|(Resources)\n\n12\n",
            &mut tasks,
        );
        let told: Vec<(usize, &str, &str)> = tasks
            .values()
            .map(|own| (own.number, own.state.as_str(), own.place.as_str()))
            .collect();
        let expected = [
            (1, "COMPLETED", "n1"),
            (2, "CANCELLED", "None assigned"),
            (3, "COMPLETING", "n2"),
            (10, "PENDING", "Resources"),
        ];
        assert_eq!(told, expected);
        let queued: Vec<bool> = tasks.values().map(Task::is_in_queue).collect();
        assert_eq!(queued, [false, false, true, true]);
    }
}

//! What Slurm is asked and told: `sbatch`, `squeue`, `sacct`.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
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
    if let Some(lines) = accounted(job) {
        read_accounts(&lines, &mut tasks);
    }
    let queued = Command::new("squeue")
        .args(["--noheader", "--array", "--states=all", "--format=%i|%T|%r|%N", "--jobs", job])
        .output()
        .context("cannot start squeue")?;
    match queued {
        Output { status, ref stdout, .. } if status.success() => {
            read_queue(&words(stdout), &mut tasks);
        }
        // What a controller says of a job that it has forgotten.
        Output { ref stderr, .. } if words(stderr).contains("Invalid job id") => {}
        Output { ref stderr, .. } => bail!("squeue does not answer: {}", words(stderr)),
    }
    Ok(tasks.into_values().collect())
}

/// What the accounts say; nothing where a site keeps none: what has ended is then known from the cells alone.
fn accounted(job: &str) -> Option<String> {
    let output = Command::new("sacct")
        .args(["--noheader", "--parsable2", "--allocations"])
        .args(["--format=JobID,State,NodeList", "--jobs", job])
        .output()
        .ok()?;
    if output.status.success() {
        return Some(words(&output.stdout));
    }
    let said = words(&output.stderr);
    if !said.contains("accounting storage is disabled") {
        eprintln!(
            "warning: sacct does not answer, so tasks that have ended may lack their state: {said}"
        );
    }
    None
}

/// Lines of `JOB_TASK|STATE|REASON|NODE`.
fn read_queue(lines: &str, tasks: &mut BTreeMap<usize, Task>) {
    for line in lines.lines() {
        let parts: Vec<&str> = line.split('|').collect();
        let [name, state, reason, node] = parts[..] else { continue };
        let Some(number) = numbers(name).next() else { continue };
        // Of a task that has ended, the reason says why; where it ran says the node, as of one that runs.
        let place = if state == "PENDING" { reason } else { node };
        tasks.insert(number, Task { number, state: state.to_owned(), place: place.to_owned() });
    }
}

/// Lines of `JOB_TASK|STATE|NODE`, where those that wait stand on one: `12_[3,8-12%2]`.
fn read_accounts(lines: &str, tasks: &mut BTreeMap<usize, Task>) {
    for line in lines.lines() {
        let parts: Vec<&str> = line.split('|').collect();
        let [name, state, node] = parts[..] else { continue };
        // `CANCELLED by 1000`.
        let state = state.split_whitespace().next().unwrap_or_default().to_owned();
        let place = if node == "None assigned" { "" } else { node };
        for number in numbers(name) {
            let task = Task { number, state: state.clone(), place: place.to_owned() };
            // A line of its own says more of a task than one of many.
            if name.ends_with(']') {
                tasks.entry(number).or_insert(task);
            } else {
                tasks.insert(number, task);
            }
        }
    }
}

/// The tasks that `12_3` or `12_[3,8-12%2]` stands for; none of a job without tasks, or of what is cut off
/// with `...`.
fn numbers(name: &str) -> impl Iterator<Item = usize> {
    let list = name.split_once('_').map_or("", |(_, list)| list);
    let list = list.trim_matches(['[', ']']).split('%').next().unwrap_or_default();
    list.split(',').filter_map(range).flatten()
}

fn range(text: &str) -> Option<RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that Slurm 22.05 printed with slurmdbd, put together of several arrays: some tasks have other numbers
    /// here, so that none stands twice. Task 3 was back in the queue, 10 to 12 waited for a place, 13 and 14 were
    /// cancelled before they ran. `OUT_OF_MEMORY` takes control groups, which were not there: it was put into the
    /// data base, and printed by sacct.
    const ACCOUNTS: &str = "\
1_1|COMPLETED|n1
1_2|FAILED|n2
1_4|FAILED|n2
1_6|TIMEOUT|n2
12_7|OUT_OF_MEMORY|n1
18_8|NODE_FAIL|n1
1_9|CANCELLED by 0|n2
1_[10-12%2]|PENDING|None assigned
1_3|REQUEUED|n1
20_[13-14%2]|CANCELLED by 0|None assigned
";
    const QUEUE: &str = "\
1_2|FAILED|NonZeroExitCode|n2
1_3|PENDING|BeginTime|
1_10|PENDING|JobArrayTaskLimit|
1_11|RUNNING|None|n2
1_6|TIMEOUT|TimeLimit|n2
";

    fn told(tasks: &BTreeMap<usize, Task>) -> Vec<(usize, &str, &str, bool)> {
        tasks
            .values()
            .map(|own| (own.number, own.state.as_str(), own.place.as_str(), own.is_in_queue()))
            .collect()
    }

    #[test]
    fn the_queue_counts_before_the_accounts() {
        let mut tasks = BTreeMap::new();
        read_accounts(ACCOUNTS, &mut tasks);
        read_queue(QUEUE, &mut tasks);
        let expected = [
            (1, "COMPLETED", "n1", false),
            (2, "FAILED", "n2", false),
            (3, "PENDING", "BeginTime", true),
            (4, "FAILED", "n2", false),
            (6, "TIMEOUT", "n2", false),
            (7, "OUT_OF_MEMORY", "n1", false),
            (8, "NODE_FAIL", "n1", false),
            (9, "CANCELLED", "n2", false),
            (10, "PENDING", "JobArrayTaskLimit", true),
            (11, "RUNNING", "n2", true),
            (12, "PENDING", "", true),
            (13, "CANCELLED", "", false),
            (14, "CANCELLED", "", false),
        ];
        assert_eq!(told(&tasks), expected);
    }

    #[test]
    fn a_task_on_a_line_of_its_own_counts_before_a_list() {
        let mut tasks = BTreeMap::new();
        read_accounts(
            "1_2|COMPLETED|n1\n1_[1-2]|PENDING|None assigned\n1_1|RUNNING|n2\n",
            &mut tasks,
        );
        assert_eq!(told(&tasks), [(1, "RUNNING", "n2", true), (2, "COMPLETED", "n1", false)]);
    }

    #[test]
    fn lists_of_tasks_are_read() {
        let read = |name: &str| numbers(name).collect::<Vec<_>>();
        assert_eq!(read("12_3"), [3]);
        assert_eq!(read("12_[3-5%2]"), [3, 4, 5]);
        assert_eq!(read("1_[3,8-10,12]"), [3, 8, 9, 10, 12]);
        assert_eq!(read("1_[1,3,...]"), [1, 3]);
        for none in ["12", "12_", "12_[]", "12_[a-b]", "12.batch"] {
            assert!(read(none).is_empty(), "{none}");
        }
    }
}

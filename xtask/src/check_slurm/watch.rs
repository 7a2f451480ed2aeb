//! What happens to the cluster while the grid runs on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Check, run_in};

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(1200);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// What is done to the grid, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// The signal that Slurm sends before a time limit.
    TimeLimit,
    /// The power of the second node fails, with all that runs there.
    LoseNode,
    /// `kill -9` of a worker.
    KillWorker,
}

const BLOWS: [Blow; 3] = [Blow::TimeLimit, Blow::LoseNode, Blow::KillWorker];

impl Check<'_> {
    /// Waits for both jobs, and disturbs them; the value is what was not as it should be.
    pub(super) fn watch(&self, results: &Path, job: &str, report: &str) -> Result<Vec<String>> {
        let began = Instant::now();
        let mut blows = BLOWS.into_iter().peekable();
        let mut done_at_last_blow = 0;
        let mut lost: Option<Instant> = None;
        let mut most_lost = 0;
        while self.is_queued(job)? || self.is_queued(report)? {
            ensure!(began.elapsed() < LIMIT, "it takes too long: {}", self.status(results)?);
            sleep(PAUSE);
            if lost.is_some_and(|instant| instant.elapsed() > Duration::from_secs(25)) {
                self.cluster.power(2, true)?;
                eprintln!("node n2 is back");
                lost = None;
            }
            let status = self.status(results)?;
            most_lost = status["all"]["lost"].as_u64().unwrap_or(0).max(most_lost);
            let done = status["all"]["done"].as_u64().unwrap_or(0);
            let Some(blow) = blows.peek().copied() else { continue };
            // Each in the middle of work: some cells after the one before.
            if done < done_at_last_blow + 3 || !self.strike(blow, job, &status, results)? {
                continue;
            }
            eprintln!("{done} cells done: {}", blow.told());
            if blow == Blow::LoseNode {
                lost = Some(Instant::now());
            }
            done_at_last_blow = done;
            blows.next();
        }
        // Whether a lost cell is seen hangs on who comes to it first.
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("both jobs have ended after {seconds:.0} s; {most_lost} lost cells were told");
        let mut problems: Vec<String> =
            blows.map(|blow| format!("all was over before this came: {}", blow.told())).collect();
        problems.extend(self.not_in_logs(results)?);
        Ok(problems)
    }

    /// Does it where there is something to hit; whether it did.
    fn strike(&self, blow: Blow, job: &str, status: &Value, results: &Path) -> Result<bool> {
        let shares = status["shares"].as_array().map(Vec::as_slice).unwrap_or_default();
        let runs_on = |node: &str| {
            let is_there = |share: &&Value| {
                share["task"]["state"] == "RUNNING" && share["task"]["place"] == node
            };
            shares
                .iter()
                .find(is_there)
                .and_then(|share| share["share"].as_str()?.split('/').next())
        };
        match blow {
            Blow::TimeLimit => {
                let Some(task) = runs_on("n1") else { return Ok(false) };
                let task = format!("{job}_{task}");
                // A task that is on its way back into the queue makes scancel try again for minutes; that
                // the signal came is seen in the log.
                let signal = ["timeout", "4", "scancel", "--batch", "--signal=USR1", &task];
                let _ = self.cluster.slurm(&signal);
            }
            Blow::LoseNode => {
                if runs_on("n2").is_none() {
                    return Ok(false);
                }
                self.cluster.power(2, false)?;
            }
            Blow::KillWorker => {
                if runs_on("n1").is_none() {
                    return Ok(false);
                }
                // That of the other node died with it.
                let programs = run_in(results)?.join("programs/worker-");
                let killed = Command::new("pkill")
                    .args(["-KILL", "--oldest", "--full"])
                    .arg(programs)
                    .status()
                    .context("cannot start pkill")?;
                return Ok(killed.success());
            }
        }
        Ok(true)
    }

    /// Whether Slurm still has a job.
    fn is_queued(&self, job: &str) -> Result<bool> {
        let words = ["squeue", "--noheader", "--jobs", job];
        Ok(!self.cluster.slurm(&words)?.trim().is_empty())
    }

    /// What each blow leaves in the logs of the tasks, where it is missing.
    fn not_in_logs(&self, results: &Path) -> Result<Vec<String>> {
        let folder: PathBuf = run_in(results)?.join("slurm/1/logs");
        let entries = fs::read_dir(&folder).context("there are no logs")?;
        let logs: String = entries
            .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
            .collect::<Vec<_>>()
            .concat();
        let expected = [
            "the time limit is near; queued again",
            "the worker was killed by signal 9",
            "begun 1 times before",
        ];
        let missing = expected.iter().filter(|words| !logs.contains(*words));
        Ok(missing.map(|words| format!("no log says `{words}`:\n{logs}")).collect())
    }
}

impl Blow {
    fn told(self) -> &'static str {
        match self {
            Blow::TimeLimit => "a task on n1 is told that its time is up",
            Blow::LoseNode => "node n2 loses its power",
            Blow::KillWorker => "the worker on n1 is killed",
        }
    }
}

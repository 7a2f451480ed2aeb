//! `check slurm`: a small grid through a real Slurm of two nodes on this machine, one of which is lost in the
//! middle, while workers are stopped and killed; its tables are those of a run without any of that.

mod cluster;
mod gpus;
mod watch;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use plan::exit::{BAD_RESULTS, DONE};
use serde_json::Value;

use crate::exit::OTHER;
use crate::python;
use crate::workspace::Workspace;

use cluster::Cluster;

/// Arguments of `check slurm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The pipeline file [default: pipelines/quick.toml]
    #[arg(long, value_name = "FILE.toml")]
    pipeline: Option<PathBuf>,
    /// Only these cells, as in `run-grid` [default: all]
    #[arg(long, value_name = "KEY=VALUE,...")]
    filter: Option<String>,
    /// Fail where Slurm cannot be started, instead of skipping
    #[arg(long)]
    require: bool,
    /// Where the results and the logs of Slurm stay [default: nowhere]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Shares that the grid is cut in: more than nodes, so that tasks wait for each other.
const TASKS: &str = "4";

/// Runs the command; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let temporary = tempfile::tempdir().context("cannot make an empty folder")?;
    let folder = match &args.keep {
        Some(folder) => std::path::absolute(folder).context("cannot use the folder")?,
        None => temporary.path().to_owned(),
    };
    let cluster = match Cluster::start(workspace, &folder.join("cluster")) {
        Ok(cluster) => cluster,
        Err(why) if args.require => return Err(why.context("Slurm cannot be started")),
        Err(why) => {
            eprintln!("skipped: check slurm: {why:#}");
            return Ok(DONE);
        }
    };
    // Asked once: whoever builds meanwhile replaces it.
    let program = std::env::current_exe().context("cannot find this program")?;
    let check = Check { workspace, args, program, cluster: &cluster, folder: &folder };
    check.run()
}

struct Check<'a> {
    workspace: &'a Workspace,
    args: &'a Args,
    /// This program.
    program: PathBuf,
    cluster: &'a Cluster,
    folder: &'a Path,
}

impl Check<'_> {
    fn run(&self) -> Result<i32> {
        self.gpus()?;
        let unbroken = self.folder.join("unbroken");
        let mut words = self.words("run-grid", &unbroken);
        words.push("--json".to_owned());
        eprintln!("computing the grid unbroken, on this machine");
        let reference = self.xtask(&words, DONE)?;
        eprintln!("unbroken run: {} cells", reference["cells"]["done"]);

        let spread = self.folder.join("spread");
        let submitted = self.xtask(&self.submission(&spread), DONE)?;
        let job = submitted["array_job"].as_str().context("no job was submitted")?.to_owned();
        let report =
            submitted["report_job"].as_str().context("no report was submitted")?.to_owned();
        eprintln!("submitted: job {job} in {TASKS} tasks, report {report}");
        // Twice at once is refused, and says how it is meant.
        self.xtask(&self.submission(&spread), BAD_RESULTS)?;
        let watched = self.watch(&spread, &job, &report)?;

        let run = run_in(&spread)?;
        let mut problems = watched;
        let status = self.status(&spread)?;
        let [all, done] = [&reference["cells"]["done"], &status["all"]["done"]].map(Value::as_u64);
        if done != all || all.is_none_or(|cells| cells == 0) {
            problems.push(format!("not all cells are done: {}", status["all"]));
        }
        for page in ["report.md", "report.html"] {
            if !run.join(page).is_file() {
                problems.push(format!("the report job wrote no {page}"));
            }
        }
        let again = self.xtask(&self.submission(&spread), DONE)?;
        if !again.is_null() {
            problems.push(format!("a run that is done was submitted again: {again}"));
        }
        if let Err(error) = self.same_rows(&run_in(&unbroken)?, &run) {
            problems.push(format!("{error:#}"));
        }
        for problem in &problems {
            eprintln!("error: {problem}");
        }
        if !problems.is_empty() {
            eprintln!("{}", self.cluster.logs());
        }
        Ok(if problems.is_empty() { DONE } else { OTHER })
    }

    /// A command on the pipeline, with its results in `results`.
    fn words(&self, command: &str, results: &Path) -> Vec<String> {
        let usual = || self.workspace.root().join("pipelines/quick.toml");
        let pipeline = self.args.pipeline.clone().unwrap_or_else(usual);
        let (pipeline, results) = (pipeline.display(), results.display());
        let mut words =
            vec![command.to_owned(), pipeline.to_string(), "--results".into(), results.to_string()];
        if let Some(filter) = self.args.filter.as_ref().filter(|_| command != "status") {
            words.extend(["--filter".to_owned(), filter.clone()]);
        }
        words
    }

    fn submission(&self, results: &Path) -> Vec<String> {
        let mut words = self.words("slurm", results);
        let own = ["--nodes", "2", "--tasks", TASKS, "--cpus", "1", "--mem", "2000M", "--json"];
        words.extend(own.map(str::to_owned));
        words
    }

    fn status(&self, results: &Path) -> Result<Value> {
        let mut words = self.words("status", results);
        words.push("--json".to_owned());
        self.xtask(&words, DONE)
    }

    /// Runs this program against the cluster; the value is the object that it prints, if any.
    fn xtask(&self, words: &[String], expected: i32) -> Result<Value> {
        let mut command = Command::new(&self.program);
        command.args(words).env("SLURM_CONF", self.cluster.configuration());
        let output = command.stdin(Stdio::null()).output().context("cannot start this program")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(expected) {
            bail!("`{}` ended with {}, not {expected}: {said}", words.join(" "), output.status);
        }
        // Slurm's programs differ in the options that they know; no accounts is nothing to warn of.
        ensure!(!said.contains("warning: sacct"), "`{}` warned: {said}", words.join(" "));
        if output.stdout.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`{}` printed no JSON object", words.join(" ")))
    }

    /// Compares both runs as users read them.
    fn same_rows(&self, a: &Path, b: &Path) -> Result<()> {
        let requirements = self.workspace.root().join("notebooks/requirements.txt");
        let python = python::environment(self.workspace, "notebooks-venv", &requirements)?;
        let script = self.workspace.root().join("bench/slurm/same_rows.py");
        let output = Command::new(python)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(script)
            .args([a, b])
            .output()
            .context("cannot start Python")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the rows are not the same: {said}{errors}");
        eprintln!("same rows: {}", said.trim());
        Ok(())
    }
}

/// The folder of the only run in a folder of runs.
fn run_in(results: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(results).context("there are no results")?;
    let mut folders = entries.filter_map(Result::ok).map(|entry| entry.path());
    folders.find(|path| path.is_dir()).with_context(|| format!("{} is empty", results.display()))
}

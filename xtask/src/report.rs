//! `report`: spawns the report binary. What it prints is the screen that ends a run; nothing pages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use plan::Pipeline;

use crate::build;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask report                             every run in results/, on one screen
  cargo xtask report --full | less -S            all of it, as Markdown
  cargo xtask report --results results/smollm2
  cargo xtask report --results results/smollm2 --json
  cargo xtask report --results results/smollm2-tasks --margin 0.01          tasks, within a point
  cargo xtask report --results results/smollm2-tasks --export lm-eval out   as the harness writes
  cargo xtask report --compare results/quick old/quick            what changed, cell by cell
  cargo xtask report --compare results/quick old/quick --out compare.md";

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run's folder, or a folder of runs [default: results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Say what changed from one run to another, cell by cell: the folders of two runs
    #[arg(long, num_args = 2, value_names = ["RUN_A", "RUN_B"], conflicts_with = "results")]
    compare: Option<Vec<PathBuf>>,
    /// Print the whole report as Markdown instead of one screen
    #[arg(long, conflicts_with = "json")]
    full: bool,
    /// Print one JSON object instead, and write no file
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// Sentences to be judged on the tables [default: what the run's pipeline names, else
    /// pipelines/claims/two-ways.toml]
    #[arg(long, value_name = "FILE.toml")]
    claims: Option<PathBuf>,
    /// Share of a task's items below which a difference counts as none [default: 0.02]
    #[arg(long, value_name = "SHARE")]
    margin: Option<f64>,
    /// Also write results and samples as lm-evaluation-harness does: `lm-eval DIR`
    #[arg(
        long,
        num_args = 2,
        value_names = ["FORMAT", "DIR"],
        conflicts_with_all = ["compare", "json"]
    )]
    export: Option<Vec<PathBuf>>,
    /// Where the Markdown goes [default: report.md in each run's folder; of a comparison nowhere]
    #[arg(long, value_name = "FILE.md")]
    out: Option<PathBuf>,
}

/// Runs the command; the value is the report's exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let mut command = Command::new(build::report(workspace)?);
    match &args.compare {
        Some(runs) => {
            command.arg("--compare").args(runs);
        }
        None => {
            let usual = || workspace.root().join("results");
            let results = args.results.clone().unwrap_or_else(usual);
            command.arg("--results").arg(&results);
            command.args(claims(workspace, args.claims.as_deref(), &results));
            command.args(sweeps(workspace));
        }
    }
    if let Some(file) = &args.out {
        command.arg("--out").arg(file);
    }
    if let Some(margin) = args.margin {
        command.arg("--margin").arg(margin.to_string());
    }
    if let Some(export) = &args.export {
        command.arg("--export").args(export);
    }
    if args.full {
        command.arg("--full");
    }
    if args.json {
        command.arg("--json");
    }
    status(&mut command)
}

/// The sentences that every report judges when nothing else is said.
const CLAIMS: &str = "pipelines/claims/two-ways.toml";

/// What names the claims file to the report binary: that which is given, that which the run's pipeline
/// names, else the usual one; nothing where there is none.
fn claims(workspace: &Workspace, given: Option<&Path>, results: &Path) -> Vec<OsString> {
    let usual = workspace.root().join(CLAIMS);
    let file = given.map(Path::to_owned).or_else(|| named_by(workspace, results));
    let file = file.or_else(|| usual.is_file().then_some(usual));
    file.map(|file| vec!["--claims".into(), file.into()]).unwrap_or_default()
}

/// The claims file that the pipeline of a run names; a folder of several runs has none.
fn named_by(workspace: &Workspace, results: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(results.join(runs::PLAN)).ok()?;
    let models = workspace.models_lock().ok()?.names();
    let named = Pipeline::parse(&text, &models).ok()?.claims?;
    // Names are relative to where pipelines lie, which the copy in the run is not.
    let file = workspace.root().join("pipelines").join(named);
    file.is_file().then_some(file)
}

/// Names the workspace's sweeps to the report, where there are any.
fn sweeps(workspace: &Workspace) -> Vec<OsString> {
    let folder = workspace.root().join("data/sweeps");
    if folder.is_dir() { vec!["--sweeps".into(), folder.into()] } else { Vec::new() }
}

/// Writes the report of one run and prints its screen (unless `quiet`); the value is the page.
///
/// `took` is how long the run took, where there was one.
pub(crate) fn write(
    workspace: &Workspace,
    report: &Path,
    results: &Path,
    quiet: bool,
    took: Option<Duration>,
) -> Result<PathBuf> {
    let path = page(results);
    let mut command = Command::new(report);
    command.args(words_of_run(workspace, results));
    if let Some(took) = took {
        command.arg("--took").arg(format!("{:.1}", took.as_secs_f64()));
    }
    // It says where it wrote, which the caller says too: keep its words for when it fails.
    let output = command
        .stdout(if quiet { Stdio::null() } else { Stdio::inherit() })
        .stderr(Stdio::piped())
        .spawn()
        .and_then(|child| child.wait_with_output())
        .with_context(|| format!("cannot start {}", report.display()))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        bail!("the results are stored, but the report failed: try `cargo xtask report`");
    }
    Ok(path.with_extension("html"))
}

/// Where the report of a run goes, as Markdown; the page lies beside it.
fn page(results: &Path) -> PathBuf {
    results.join("report.md")
}

/// The arguments with which the report binary writes the report of one run.
pub(crate) fn words_of_run(workspace: &Workspace, results: &Path) -> Vec<OsString> {
    let mut words = vec!["--results".into(), results.into(), "--out".into(), page(results).into()];
    words.extend(claims(workspace, None, results));
    words.extend(sweeps(workspace));
    words
}

/// Runs a program to its end and passes its exit code through.
pub(crate) fn status(command: &mut Command) -> Result<i32> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    match status.code() {
        Some(code) => Ok(code),
        None => bail!("{} was killed ({status})", command.get_program().to_string_lossy()),
    }
}

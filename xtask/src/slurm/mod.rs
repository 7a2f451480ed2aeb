//! `slurm`: a grid as a job array of Slurm, and a report job behind it.
//!
//! Everything that a node needs is written into the run's folder before anything is submitted: the programs,
//! named by their hash, and one work order a task. A node builds nothing and works nothing out.

mod programs;
mod queue;
mod requests;
mod script;
mod submission;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use plan::exit::DONE;
use plan::{DeviceName, Filter, Inspection, WorkOrder};
use serde_json::json;

use crate::exit::Exit;
use crate::grid::Grid;
use crate::inputs::Purpose;
use crate::run_grid::{describe, open, prepare, survey};
use crate::stop::Stop;
use crate::workspace::Workspace;
use crate::{build, dry_run, report};

pub(crate) use queue::{Task, tasks};
pub(crate) use submission::{Share, Submission, latest};

use requests::{MEBIBYTE, Requests};
use script::Script;

const EXAMPLES: &str = "\
Examples:
  cargo xtask slurm pipelines/two-ways.toml --nodes 4
  cargo xtask slurm pipelines/two-ways.toml --nodes 4 --gpus 1 --time 08:00:00 --partition gpu
  cargo xtask slurm pipelines/two-ways.toml --nodes 4 --cpus 16 --tasks 16
  cargo xtask slurm pipelines/two-ways.toml --nodes 4 --sbatch account=nlp --sbatch qos=low
  cargo xtask slurm pipelines/two-ways.toml --nodes 4 --dry-run     the scripts, and what each task has
  cargo xtask status pipelines/two-ways.toml                        how far it is

The cells that are not done are shared out, and each share is a task of one job array; a second job writes
the report when the array has ended. A task that reaches its time limit, is preempted or loses its node goes
back into the queue and takes up what is left of its share. The checkout, the texts and the results must lie
on a disk that all nodes see; nothing is compiled there. docs/machines.md has the rest.";

/// Arguments of `slurm`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// How many nodes work at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    nodes: u64,
    /// In how many shares the cells are cut, each a task [default: as many as nodes]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=4000))]
    tasks: Option<u64>,
    /// GPUs of a task; it then computes on cuda:0, unless --device says otherwise
    #[arg(long, default_value_t = 0)]
    gpus: u64,
    /// Cores of a task [default: whole nodes; with --gpus what the site gives with them]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    cpus: Option<u64>,
    /// Time limit of a task, as Slurm takes it [default: twice what the dry run expects, and ten minutes]
    #[arg(long, value_name = "D-HH:MM:SS")]
    time: Option<String>,
    /// Memory of a task, as Slurm takes it [default: what the dry run expects, and a quarter more]
    #[arg(long, value_name = "SIZE")]
    mem: Option<String>,
    /// Where it runs
    #[arg(long)]
    partition: Option<String>,
    /// Another option of sbatch for both jobs, without its dashes; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    sbatch: Vec<String>,
    /// Only these cells, as in `run-grid`
    #[arg(long, value_name = "KEY=VALUE,...")]
    filter: Option<Filter>,
    /// The folder of all runs, on a disk that all nodes see [default: results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Where to compute: cpu, cuda:0 or wgpu:0 [default: cpu, with --gpus cuda:0]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceName>,
    /// Print the scripts and what each task has; submit nothing and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Submit even though an earlier submission of this run is still in the queue
    #[arg(long)]
    again: bool,
    /// Print one JSON object on standard output and nothing else
    #[arg(long)]
    json: bool,
}

/// Runs the command; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    script::check_options(&args.sbatch)?;
    let stop = Stop::install()?;
    if !args.dry_run {
        queue::check_is_there()?;
    }
    let results = args.results.clone().unwrap_or_else(|| workspace.root().join("results"));
    let device = device(args)?;
    let filter = args.filter.as_ref();
    let mut grid = Grid::read(workspace, &args.pipeline, filter, &results, device, Purpose::Run)?;
    stop.check()?;
    let folder = grid.order.results.clone();
    if !args.dry_run {
        open(&folder)?;
        prepare(&folder, &grid)?;
        check_is_free(&folder, args.again)?;
    }
    let worker = build::worker_for(workspace, device);
    stop.check()?;
    let worker = worker?;
    programs::check_device(&worker, device)?;
    let reporter = build::report(workspace)?;
    let status = survey(&worker, &folder)?.status();
    let counts = grid.counts(&status);
    grid.keep_left(&status);
    if grid.selected().next().is_none() {
        eprintln!("{}: {}; nothing to submit", grid.order.run, describe(&counts));
        return Ok(DONE);
    }
    let inspection = match dry_run::inspect(&worker, &grid.selected_order())? {
        Ok(inspection) => inspection,
        Err(code) => return Ok(code),
    };
    let n_tasks = usize::try_from(args.tasks.unwrap_or(args.nodes))?.min(grid.selected().count());
    let shares = shares(&grid, &inspection, n_tasks);
    let requests = Requests::of(&inspection, &shares, args.time.clone(), args.mem.clone());
    let submission = Submission {
        run: grid.order.run.clone(),
        number: submission::next_number(&folder)?,
        pipeline: workspace.show(&args.pipeline),
        shares,
        array_job: None,
        report_job: None,
    };
    let home = submission.folder(&folder);
    let named = |program: &Path, name: &str| programs::named(&folder, program, name);
    let report_words = report::words_of_run(workspace, &folder);
    let (worker_named, report_named) = (named(&worker, "worker")?, named(&reporter, "report")?);
    let script = Script {
        submission: &submission,
        folder: &home,
        results: &folder,
        requests: &requests,
        nodes: args.nodes,
        gpus: args.gpus,
        cpus: args.cpus,
        partition: args.partition.as_deref(),
        options: &args.sbatch,
        worker: &worker_named.path,
        report: &report_named.path,
        report_words: &report_words,
        command: &grid.order.provenance.command,
    };
    if args.dry_run {
        show(&submission, &requests, &script, args.json);
        return Ok(DONE);
    }
    stop.check()?;
    programs::keep(&worker_named)?;
    programs::keep(&report_named)?;
    write(&home, &submission, &grid, &script)?;
    let submission = submit(&home, submission, &requests.told(args.gpus))?;
    tell(workspace, args, &submission, &requests, &folder);
    Ok(DONE)
}

/// The device that is asked for; a GPU where GPUs are.
fn device(args: &Args) -> Result<DeviceName> {
    match args.device {
        Some(device) => Ok(device),
        None if args.gpus > 0 => "cuda:0".parse().map_err(anyhow::Error::msg),
        None => Ok(DeviceName::default()),
    }
}

/// Refuses to submit a run twice at once: the second array would only wait for the first.
fn check_is_free(folder: &Path, again: bool) -> Result<()> {
    let Some(earlier) = submission::latest(folder)?.filter(|_| !again) else { return Ok(()) };
    let Some(job) = &earlier.array_job else { return Ok(()) };
    let queued = tasks(job)?.into_iter().filter(Task::is_in_queue).count();
    if queued == 0 {
        return Ok(());
    }
    let message = format!(
        "{queued} tasks of job {job} of this run are still in the queue: see `cargo xtask status`, end them \
         with `scancel {job}`, or submit beside them with --again"
    );
    Err(Exit::results(message).into())
}

/// The chosen cells in so many shares, each with what it is expected to take.
fn shares(grid: &Grid, inspection: &Inspection, n_tasks: usize) -> Vec<Share> {
    let costs: BTreeMap<&str, _> =
        inspection.cells.iter().map(|cell| (cell.id.as_str(), cell)).collect();
    let share = |cells: Vec<String>| {
        let own = cells.iter().filter_map(|id| costs.get(id.as_str()));
        let flops = own.clone().map(|cell| cell.flops_expected).collect();
        let seconds = own.fold(0.0, |sum, cell| sum + cell.seconds_expected);
        Share { cells, flops_expected: flops, seconds_expected: seconds }
    };
    grid.shares(n_tasks, inspection).into_iter().map(share).collect()
}

/// Work orders, scripts and the record of a submission, before anything is submitted.
fn write(home: &Path, submission: &Submission, grid: &Grid, script: &Script<'_>) -> Result<()> {
    let unusable = || Exit::results("the results folder cannot be used");
    let make = || -> Result<()> {
        fs::create_dir_all(home.join("orders"))?;
        fs::create_dir_all(home.join("logs"))?;
        for (number, share) in (1..).zip(&submission.shares) {
            let order = order_of(grid, share);
            let text = serde_json::to_string(&order).context("cannot encode a work order")?;
            files::write(&home.join(format!("orders/{number}.json")), text.as_bytes())?;
        }
        files::write(&home.join("array.sh"), script.array().as_bytes())?;
        files::write(&home.join("report.sh"), script.report().as_bytes())?;
        submission.write(home)
    };
    make().with_context(unusable)
}

fn order_of(grid: &Grid, share: &Share) -> WorkOrder {
    let ids: BTreeSet<&str> = share.cells.iter().map(String::as_str).collect();
    let mut order = grid.order_of(grid.selected().filter(|own| ids.contains(own.id.as_str())));
    let named: BTreeSet<&str> = order.cells.iter().map(|own| own.cell.model.as_str()).collect();
    order.models.retain(|model| named.contains(model.name.as_str()));
    order
}

/// Submits both jobs, and records each as soon as it is in the queue.
fn submit(home: &Path, mut submission: Submission, asks: &str) -> Result<Submission> {
    // Slurm does not say which of them it cannot give.
    let refused = |error: anyhow::Error| {
        anyhow!(
            "{error:#}; nothing was submitted: a task asks for {asks}, and \
             `sinfo --format='%P %D %c %m %l %G'` shows nodes, cores, memory, time limit and GPUs of each \
             partition"
        )
    };
    let array = queue::submit(&home.join("array.sh"), None).map_err(refused)?;
    submission.array_job = Some(array.clone());
    submission.write(home)?;
    let report = queue::submit(&home.join("report.sh"), Some(&array)).with_context(|| {
        format!("job {array} is submitted, but the job that writes its report is not")
    })?;
    submission.report_job = Some(report);
    submission.write(home)?;
    Ok(submission)
}

/// The scripts, and what each task has, of a submission that is not made.
fn show(submission: &Submission, requests: &Requests, script: &Script<'_>, as_json: bool) {
    if as_json {
        let scripts = json!({ "array": script.array(), "report": script.report() });
        println!(
            "{}",
            json!({ "shares": submission.told(), "requests": requests, "scripts": scripts })
        );
        return;
    }
    println!("{}", script.array());
    println!("# ---- and when it has ended ----\n{}", script.report());
    println!("{}", submission.table());
    println!("{}", requests.line());
    println!("nothing was submitted");
}

/// What was submitted, and how it goes on.
fn tell(
    workspace: &Workspace,
    args: &Args,
    submission: &Submission,
    requests: &Requests,
    folder: &Path,
) {
    let job = submission.array_job.as_deref().unwrap_or("?");
    let report = submission.report_job.as_deref().unwrap_or("?");
    if args.json {
        let told = json!({
            "run": submission.run,
            "results": folder,
            "array_job": job,
            "report_job": report,
            "shares": submission.told(),
            "requests": requests,
        });
        println!("{told}");
        return;
    }
    println!("{}", submission.table());
    println!("{}", requests.line());
    let at_once = args.nodes.min(submission.shares.len() as u64);
    println!(
        "submitted: job {job}, {} tasks, {at_once} at once; job {report} writes the report when all have ended",
        submission.shares.len()
    );
    println!("logs: {}", submission.folder(folder).join("logs").display());
    println!("how far it is:  cargo xtask status {}", workspace.show(&args.pipeline));
    println!("to stop it:     scancel {job}      the same command goes on with what is left");
}

/// `3.25 GiB` as people read it.
fn gibibytes(mebibytes: u64) -> String {
    format!("{:.2} GiB", (mebibytes * MEBIBYTE) as f64 / (1u64 << 30) as f64)
}

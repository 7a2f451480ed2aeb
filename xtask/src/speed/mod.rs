//! `speed`: dense, cut, rounded and skipped models side by side, and who else runs them
//! (docs/SPEC.md section 17).

mod model;
mod process;
mod spread;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use plan::{SpeedModel, SpeedPeer, SpeedPlan};
use serde_json::{Value, json};

use crate::bench_record::{self, Begun, Kind};
use crate::build;
use crate::exit::Exit;
use crate::python::succeed;
use crate::stop::Stop;
use crate::workspace::Workspace;

pub(crate) use process::Process;
pub(crate) use table::{rows as table, targets};

const EXAMPLES: &str = "\
Examples:
  cargo xtask speed --python ~/venv/bin/python --llama-python ~/llama/bin/python
  cargo xtask speed --only llama-relu-99 --repeats 9 --json
  cargo xtask speed --plan my-models.toml --results results/my-models

Every row of the plan is a process that loads its model once; then all of a model's processes are timed in
turn, `--repeats` times, one at a time. What is reported is the median and the spread of the repeats, and of
the ratios of what was measured side by side. A peer whose Python is not given or lacks its package is left
out, and that is said.

The rows lie in RESULTS as speed.json and speed.parquet, which `cargo xtask report --results RESULTS` shows.
A run of the whole committed plan is also kept in bench/record, from where `cargo xtask readme` writes it into
docs/speed.md.";

/// Arguments of `speed`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What is timed [default: bench/speed.toml]
    #[arg(long, value_name = "FILE.toml")]
    plan: Option<PathBuf>,
    /// Only this model; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A Python with the packages of bench/peer/requirements.txt, for transformers
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// A Python with llama-cpp-python [default: that of --python]
    #[arg(long, value_name = "PYTHON")]
    llama_python: Option<PathBuf>,
    /// Times that everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    repeats: u64,
    /// Threads of every process [default: one a core]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
    /// Where the rows go [default: results/speed]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The rows and the targets.
const JSON: &str = "speed.json";

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let plan = plan_of(workspace, args)?;
    make_models(workspace, args, &plan)?;
    // All of them, before the first one is timed for minutes.
    let problems: Vec<String> =
        plan.models.iter().flat_map(|own| model::problems(workspace, own)).collect();
    if !problems.is_empty() {
        return Err(Exit::inputs(problems.join("\n  ")).into());
    }
    let worker = build::worker(workspace)?;
    let begun = Begun::now();
    let threads = args.threads.and_then(|threads| usize::try_from(threads).ok());
    let sides = model::Sides {
        workspace,
        worker: &worker,
        python: args.python.as_deref(),
        llama_python: args.llama_python.as_deref().or(args.python.as_deref()),
        threads: threads.unwrap_or_else(cores),
        repeats: usize::try_from(args.repeats).unwrap_or(usize::MAX),
        stop: Stop::install()?,
    };
    let results = args.results.clone().unwrap_or_else(|| workspace.root().join("results/speed"));
    let [rows, aims] = time(&sides, &plan, &results)?;
    let whole = json!({ "rows": rows, "targets": aims });
    eprintln!("rows: {0}/{JSON} and {0}/{1}", workspace.show(&results), runs::SPEED);
    if args.json {
        println!("{whole}");
    } else {
        print!("{}", table(&rows));
        if !aims.is_empty() {
            print!("\n{}", targets(&aims));
        }
    }
    if args.only.is_empty() && args.plan.is_none() {
        let file =
            bench_record::keep(workspace, Kind::Speed, &begun, args.python.as_deref(), &[whole])?;
        eprintln!("record: {}", workspace.show(&file));
    }
    Ok(plan::exit::DONE)
}

/// The plan, of the models that are asked for.
fn plan_of(workspace: &Workspace, args: &Args) -> Result<SpeedPlan> {
    let file = args.plan.clone().unwrap_or_else(|| workspace.root().join("bench/speed.toml"));
    let text = fs::read_to_string(&file);
    let text = text.map_err(|error| {
        Exit::usage(format!("cannot read the plan {}: {error}", workspace.show(&file)))
    })?;
    let mut plan = SpeedPlan::parse(&text)
        .map_err(|error| Exit::usage(format!("{}: {error}", file.display())))?;
    if let Some(name) =
        args.only.iter().find(|name| !plan.models.iter().any(|own| own.name == **name))
    {
        let known: Vec<&str> = plan.models.iter().map(|own| own.name.as_str()).collect();
        let message = format!("--only {name}: the plan has {}", known.join(", "));
        return Err(Exit::usage(message).into());
    }
    plan.models.retain(|own| args.only.is_empty() || args.only.contains(&own.name));
    Ok(plan)
}

/// Times one model after the other; the rows and the targets, which are kept as they come.
fn time(sides: &model::Sides<'_>, plan: &SpeedPlan, results: &Path) -> Result<[Vec<Value>; 2]> {
    let [mut rows, mut aims] = [Vec::new(), Vec::new()];
    for model in &plan.models {
        let timed = model::run(sides, model).with_context(|| model.name.clone());
        if timed.is_err() && !rows.is_empty() {
            let results = sides.workspace.show(results);
            eprintln!("what was timed before {} is kept: {results}", model.name);
        }
        let (own, of_model) = match timed {
            // Whatever else ends then.
            Err(_) if sides.stop.asked() => return Err(Exit::stopped("stopped").into()),
            timed => timed?,
        };
        rows.extend(own);
        aims.extend(of_model);
        keep(results, sides.worker, &json!({ "rows": rows, "targets": aims }))?;
    }
    Ok([rows, aims])
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Random models of the plan are made where they are missing.
fn make_models(workspace: &Workspace, args: &Args, plan: &SpeedPlan) -> Result<()> {
    let folder = Path::new("data/cache/families");
    let is_missing = |own: &&SpeedModel| {
        own.path.starts_with(folder) && !workspace.root().join(&own.path).is_dir()
    };
    let Some(missing) = plan.models.iter().find(is_missing) else { return Ok(()) };
    let Some(python) = &args.python else {
        let path = missing.path.display();
        let message =
            format!("{path} is missing: give --python, with which bench/peer/zeros.py makes it");
        return Err(Exit::inputs(message).into());
    };
    eprintln!("random models of about 100 M parameters: {}", folder.display());
    let script = workspace.root().join("bench/peer/zeros.py");
    succeed(Command::new(python).arg(script).arg(workspace.root().join(folder)))
}

/// Writes the rows as JSON and as a table.
fn keep(results: &Path, worker: &Path, whole: &Value) -> Result<()> {
    fs::create_dir_all(results).with_context(|| format!("cannot make {}", results.display()))?;
    let file = results.join(JSON);
    let mut text = serde_json::to_string_pretty(whole).context("cannot encode the rows")?;
    text.push('\n');
    files::write(&file, text.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let table = results.join(runs::SPEED);
    succeed(
        Command::new(worker).arg("speed-table").arg("--rows").arg(&file).arg("--out").arg(&table),
    )
}

/// Whether a Python has a peer's packages; why not, for people.
fn has_peer(python: Option<&Path>, peer: SpeedPeer) -> Result<(), String> {
    let (flag, module) = match peer {
        SpeedPeer::Transformers => ("--python", "transformers"),
        SpeedPeer::LlamaCpp => ("--llama-python", "llama_cpp"),
    };
    let Some(python) = python else { return Err(format!("{flag} is not given")) };
    let code = format!("import {module}");
    let found = Command::new(python).args(["-c", &code]).output();
    match found {
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) => Err(format!("{} has no {module}", python.display())),
        Err(error) => Err(format!("cannot start {}: {error}", python.display())),
    }
}

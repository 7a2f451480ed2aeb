//! `explain`: what a cell is, what it rests on, why it would be run again, what changed since, and what
//! depends on it.

mod again;
mod json;
pub(crate) mod known;
mod page;
pub(crate) mod rests;
mod search;
mod since;
pub(crate) mod state;
mod words;

use std::path::{Path, PathBuf};

use anyhow::Result;
use plan::Cell;
use plan::exit::DONE;
use serde_json::json;

use crate::build;
use crate::workspace::Workspace;
use again::{Again, Asked};
use known::{KnownCell, KnownRun, find, read_runs};
use rests::{Dependents, Rests};
use since::Since;
use state::State;

const EXAMPLES: &str = "\
Examples:
  cargo xtask explain c1c4474c                       the beginning of an id, from a report or a file name
  cargo xtask explain opt-relu narrative ppl-256 dense
  cargo xtask explain c1c4474c --results results/quick --json
  cargo xtask explain c1c4474c --pipeline my.toml    where the run's pipeline is not in pipelines/

CELL is an id, its beginning (at least 4 characters), or a label as run-grid and the report show it.
What stands for several cells, or for none, ends with exit code 2 and a list of what could be meant.

States: done; failed; damaged (a file of its name does not count); waiting (ordered, and a process is at
work in the run); missing.";

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A cell's id, its beginning, or its label
    #[arg(required = true, value_name = "CELL")]
    cell: Vec<String>,
    /// A run's folder, or a folder of runs [default: results]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    results: Option<PathBuf>,
    /// The pipeline that would be run now [default: the one of the run's name in pipelines/]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pipeline: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// All that there is to say of a cell of a run.
struct Explanation<'a> {
    run: &'a KnownRun,
    id: &'a str,
    known: &'a KnownCell,
    state: State,
    /// Of a cell of a search, where it stands in it.
    stage: Option<String>,
    /// What needs the cell itself; none where only a damaged file bears the id.
    about: Option<About<'a>>,
    /// None where nothing was computed yet.
    since: Option<Since>,
    dependents: Dependents,
}

/// What is said of a cell that is known.
struct About<'a> {
    cell: &'a Cell,
    rests: Rests,
    again: Again,
}

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let folder = args.results.clone().unwrap_or_else(|| workspace.root().join("results"));
    let worker = build::worker(workspace)?;
    let runs = read_runs(&worker, &folder)?;
    let id = find(&args.cell.join(" "), &runs)?;
    let with_it = runs.iter().filter_map(|run| Some((run, run.get(&id)?)));
    let explanations = with_it
        .map(|(run, known)| Explanation::of(workspace, &worker, run, &id, known, args))
        .collect::<Result<Vec<_>>>()?;
    if args.json {
        let runs: Vec<_> = explanations.iter().map(|own| json::value(workspace, own)).collect();
        println!("{}", json!({ "id": id, "runs": runs }));
    } else {
        let pages: Vec<String> =
            explanations.iter().map(|own| page::render(workspace, own)).collect();
        print!("{}", pages.join("\n"));
    }
    Ok(DONE)
}

impl<'a> Explanation<'a> {
    fn of(
        workspace: &Workspace,
        worker: &Path,
        run: &'a KnownRun,
        id: &'a str,
        known: &'a KnownCell,
        args: &Args,
    ) -> Result<Self> {
        let state = State::of(worker, run, known)?;
        let about = known.cell.as_ref().map(|cell| {
            let rests = Rests::of(run, id, cell, &state);
            let recorded = rests.recorded.as_ref();
            let asked = Asked { run, id, cell, state: &state, recorded };
            let again = Again::of(workspace, &asked, args.pipeline.as_deref());
            About { cell, rests, again }
        });
        let code = state.code();
        let since =
            code.map(|(code, revision)| Since::of(workspace, code, revision)).transpose()?;
        let space = runs::space_of(run.folder.path());
        let stage =
            space.zip(known.cell.as_ref()).and_then(|(own, cell)| search::stage(&own, cell));
        let dependents = Dependents::of(run, id);
        Ok(Explanation { run, id, known, state, stage, about, since, dependents })
    }

    /// The command of the last order, if that names the cell or one that reads it.
    fn command(&self) -> Option<&str> {
        let order = self.run.order.as_ref().filter(|_| self.known.is_current())?;
        Some(order.provenance.command.as_str())
    }
}

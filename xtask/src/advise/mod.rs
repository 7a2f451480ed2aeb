//! `advise`: the smallest recipe of a space that is shown to be as good as the dense model.

mod answer;
mod campaign;
mod cost;
mod judge;
mod screen;
mod seconds;
mod setup;

use std::path::PathBuf;

use anyhow::Result;
use plan::exit::{DONE, STOPPED};
use plan::{DeviceName, Smallest};

use crate::build;
use crate::exit::Exit;
use crate::stop::{self, Stop};
use crate::workspace::Workspace;

use self::answer::Answer;
use self::campaign::Campaign;
use self::setup::Setup;

const EXAMPLES: &str = "\
Examples:
  cargo xtask advise data/models/qwen2-silu \\
      --keep 'perplexity narrative within 5 %' --keep 'last-word within 5 points'
  cargo xtask advise data/models/opt-relu --keep 'perplexity dialogue within 3 %' --smallest parameters
  cargo xtask advise smollm2 --keep 'lambada-openai within 2 points' \\
      --keep 'perplexity wikitext2 within 5 %' --dry-run

A condition is NAME [DATASET] within NUMBER points|%. NAME is perplexity, a protocol, a task or a dataset
of the space; % is of perplexity, points are of items answered right. Within is meant either way: a recipe
that is better by more is not within.

The space (pipelines/advise.toml) lists recipes, stages of the search and the size of the test. All recipes
are measured on a little text; those of the largest expected saving go on to more of it. Those left at the
end are tested on windows and items that the search did not see, from the safest to the smallest, up to the
first that is not shown. What is printed as advice is wrong with a probability of at most 5 %.

A cell that is done is never computed again; Ctrl-C stops, and the same command resumes and comes to the
same answer. That nothing could be shown is an answer too, with exit code 0. docs/advise.md has the rest.";

/// Arguments of `advise`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A Hugging Face folder, a GGUF file, or a name of data/models.lock
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// What has to stay as it is, e.g. 'perplexity narrative within 5 %'; may be given several times
    #[arg(long = "keep", value_name = "CONDITION", required = true)]
    keeps: Vec<String>,
    /// What is to be as small as can be: bytes, parameters or decode-seconds
    #[arg(long, value_name = "SIZE", default_value_t = Smallest::Bytes)]
    smallest: Smallest,
    /// The space of recipes [default: pipelines/advise.toml]
    #[arg(long, value_name = "FILE.toml")]
    space: Option<PathBuf>,
    /// The name of the run [default: advise-MODEL]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The folder of all runs [default: results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Where to compute: cpu, cuda:0 or wgpu:0 (the first use builds for it)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
    /// List the stages with their cells and the time expected; run nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object on standard output and nothing else
    #[arg(long)]
    json: bool,
    /// Print a line for every cell that ends
    #[arg(long)]
    verbose: bool,
}

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let stop = Stop::install()?;
    let setup = Setup::read(workspace, args)?;
    stop.check()?;
    let worker = build::worker_for(workspace, args.device);
    stop.check()?;
    let worker = worker?;
    if args.dry_run {
        return cost::dry_run(&setup, &worker, args.json);
    }
    if args.smallest == Smallest::DecodeSeconds && args.device != DeviceName::Cpu {
        return Err(Exit::usage(
            "--smallest decode-seconds is timed on the CPU: leave --device out",
        )
        .into());
    }
    let report = build::report(workspace);
    stop.check()?;
    let programs = campaign::Programs { worker, report: report? };
    let mut campaign = Campaign::open(setup, programs, args.verbose, stop)?;
    match campaign.run()? {
        Some(outcome) => {
            let answer = Answer::of(workspace, &campaign.setup, &outcome);
            match args.json {
                true => println!("{}", serde_json::to_string(&answer)?),
                false => print!("{}", screen::of(&answer)),
            }
            Ok(DONE)
        }
        None => {
            eprintln!("{}", stop::MESSAGE);
            Ok(STOPPED)
        }
    }
}

//! `cargo xtask`: the commands of this project. It builds and spawns the other binaries; it computes
//! no number itself.

#![expect(clippy::print_stdout, reason = "a command line talks on standard output")]

mod advise;
mod bench;
mod bench_cuts;
mod bench_families;
mod bench_record;
mod build;
mod building;
mod cell;
mod check;
mod check_dependencies;
mod check_fresh;
mod check_gpu;
mod check_harness;
mod check_notebooks;
mod check_page;
mod check_slim;
mod check_slurm;
mod code_version;
mod compact;
mod completions;
mod dry_run;
mod exit;
mod explain;
mod fetch;
mod golden;
mod grid;
mod hashing;
mod hub_inputs;
mod inputs;
mod licence;
mod logits;
mod progress;
mod python;
mod readme;
mod report;
mod run_grid;
mod slim;
mod slim_cell;
mod slow_tests;
mod slurm;
mod snapshot;
mod speed;
mod status;
mod stop;
mod stored;
mod test;
mod texts;
mod train;
mod worker;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Slims language models and measures what that costs: fetch a model, run a grid, read the report.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get a model or texts and check their hash
    Fetch(fetch::Args),
    /// Run all cells of a pipeline that are not done yet, then write the report
    RunGrid(run_grid::Args),
    /// Submit a pipeline to Slurm: a job array that shares its cells out, and a job for the report
    Slurm(slurm::Args),
    /// Say how far a run is: by share, with rate and time left, from its folder and from Slurm
    Status(status::Args),
    /// Print and write the report of what is in a results folder
    Report(report::Args),
    /// Fold the files of finished cells into large ones, which are faster to read
    Compact(compact::Args),
    /// Find the smallest recipe that is shown to keep what you ask for
    Advise(advise::Args),
    /// Say what a cell is, what it rests on, and why it would be run again
    Explain(explain::Args),
    /// Run one cell by hand, without a pipeline or a results folder
    Cell(cell::Args),
    /// Write what a recipe's cuts leave as a model that transformers or llama.cpp opens
    Slim(slim::Args),
    /// Write a model's logits for given tokens, to compare with another framework
    Logits(logits::Args),
    /// Train the small models of the project
    Train(train::Args),
    /// Time this project against PyTorch + transformers on this machine
    Bench(bench::Args),
    /// Time dense, cut, rounded and skipped models side by side, beside other programs
    Speed(speed::Args),
    /// Write the tables and pictures of README.md and docs/ from results, or check them
    Readme(readme::Args),
    /// Make the golden files again, with PyTorch + transformers
    Golden(golden::Args),
    /// Run every test of the workspace, or those that take seconds
    Test(test::Args),
    /// Check format and lints, cheapest first; or what needs a build of its own
    Check(check::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = run(&cli.command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        exit::code_of(&error)
    });
    // The codes are small; anything else a child ended with is told apart by its low byte.
    ExitCode::from((code & 0xff) as u8)
}

/// Runs a command; the value is its exit code.
fn run(command: &Command) -> anyhow::Result<i32> {
    let workspace = Workspace::find();
    match command {
        Command::Fetch(args) => fetch::run(&workspace, args),
        Command::RunGrid(args) => run_grid::run(&workspace, args),
        Command::Slurm(args) => slurm::run(&workspace, args),
        Command::Status(args) => status::run(&workspace, args),
        Command::Report(args) => report::run(&workspace, args),
        Command::Compact(args) => compact::run(&workspace, args),
        Command::Advise(args) => advise::run(&workspace, args),
        Command::Explain(args) => explain::run(&workspace, args),
        Command::Cell(args) => cell::run(&workspace, args),
        Command::Slim(args) => slim::run(&workspace, args),
        Command::Logits(args) => logits::run(&workspace, args),
        Command::Train(args) => train::run(&workspace, args),
        Command::Bench(args) => bench::run(&workspace, args),
        Command::Speed(args) => speed::run(&workspace, args),
        Command::Readme(args) => readme::run(&workspace, args),
        Command::Golden(args) => golden::run(&workspace, args),
        Command::Test(args) => test::run(&workspace, args),
        Command::Check(args) => check::run(&workspace, args),
        Command::Completions(args) => {
            completions::run(args);
            Ok(plan::exit::DONE)
        }
    }
}

//! `report`: says what the Parquet tables of a run hold.
//!
//! `evidence` reads the tables, `judgement` says what their rows come to; this program puts that into
//! words, writes the page as Markdown and as one HTML file, its pictures and the tables of the importance
//! atlas beside the tables, and prints one screen of it (or all of the Markdown, or JSON). A file that cannot be read, a cell that failed and a cell that
//! is missing are part of the report, never its end. The same tables give the same bytes.

mod atlas_tables;
mod bounded;
mod card;
mod document;
mod export;
mod format;
mod headings;
mod html;
mod json;
mod markdown;
mod pages;
mod pictures;
mod report;
mod screen;
mod sections;
mod sentences;
mod units;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use evidence::{Run, Sweeps, find_runs};
use judgement::claims::{self, Assessment, ClaimsFile};
use judgement::compare::Comparison;
use judgement::tasks::DEFAULT_MARGIN;
use serde::Serialize;

use crate::export::Exported;
use crate::report::Report;
use crate::screen::Ending;
use crate::sections::comparison;

/// Writes what the tables of a run hold, as a page with pictures, and prints one screen of it.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  report --results results/smollm2-tasks                          the page, its pictures, one screen
  report --results results/smollm2-tasks --margin 0.01            equivalent within a point
  report --results results/smollm2-tasks --export lm-eval out     results_*.json and samples_*.jsonl
  report --results results/cuts --card 3f2a9c…                    what a written model's card says
Exit codes: 0 done, 2 usage or claims file, 4 the results folder cannot be used"
)]
struct Args {
    /// A run's folder (with windows/, items/, neurons/ or the like), or a folder that holds runs
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Say what changed from one run to another, cell by cell: the folders of two runs
    #[arg(long, num_args = 2, value_names = ["RUN_A", "RUN_B"], conflicts_with = "results")]
    compare: Option<Vec<PathBuf>>,
    /// Print the whole report as Markdown instead of one screen
    #[arg(long, conflicts_with = "json")]
    full: bool,
    /// Print one JSON object with every row in full precision instead; write no file
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// Where the Markdown goes, the same as FILE.html and its pictures beside it [default: report.md
    /// in each run's folder, and one of all runs beside several; of a comparison nowhere]
    #[arg(long, value_name = "FILE.md", value_parser = markdown_file)]
    out: Option<PathBuf>,
    /// Sentences to be judged on the tables: a claims file such as pipelines/claims/two-ways.toml
    #[arg(long, value_name = "FILE.toml")]
    claims: Option<PathBuf>,
    /// Sweeps over the price of hidden activations, each in a folder of its own [default: data/sweeps
    /// where it exists]
    #[arg(long, value_name = "DIR")]
    sweeps: Option<PathBuf>,
    /// Two recipes count as equally good at a task where they are sure to differ by less than this
    /// share of its items
    #[arg(long, value_name = "SHARE", default_value_t = DEFAULT_MARGIN, value_parser = share)]
    margin: f64,
    /// Also write what lm-evaluation-harness 0.4.13 would have written, results and samples of every model
    /// and recipe, into a folder: `lm-eval DIR`. Files that are there are never overwritten
    #[arg(long, num_args = 2, value_names = ["FORMAT", "DIR"], conflicts_with_all = ["compare", "json"])]
    export: Option<Vec<PathBuf>>,
    /// Print what was measured of the recipe and the model of one cell, for the card of the written model;
    /// write no file
    #[arg(long, value_name = "CELL_ID", conflicts_with_all = ["compare", "json", "full", "out", "export"])]
    card: Option<String>,
    /// Answer a question of `cargo xtask advise` about one run, JSON for JSON; write no file
    #[arg(long, value_name = "FILE.json", hide = true)]
    advise: Option<PathBuf>,
    /// Seconds that the whole run took, where whoever calls knows: the screen says it
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    took: Option<f64>,
}

/// A time that has passed.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err("expected a number of seconds, 0 or more".to_owned()),
    }
}

/// A share between 0 and 1.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a share of items between 0 and 1, such as 0.02".to_owned()),
    }
}

/// A file beside which another of the ending `.html` can lie.
fn markdown_file(text: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(text);
    match file.extension().is_some_and(|ending| ending == "html") {
        true => Err("this is the Markdown; the same as .html is written beside it".to_owned()),
        false => Ok(file),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let claims = match args.claims.as_deref().map(ClaimsFile::read).transpose() {
        Ok(claims) => claims,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(plan::exit::BAD_PIPELINE as u8);
        }
    };
    let export = match args.export.as_deref().map(export_folder).transpose() {
        Ok(export) => export,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(plan::exit::BAD_PIPELINE as u8);
        }
    };
    match report(&args, claims.as_ref(), export) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // Whatever goes wrong after the usage is checked is the results folder's doing.
            ExitCode::from(plan::exit::BAD_RESULTS as u8)
        }
    }
}

/// The folder of `--export lm-eval DIR`.
fn export_folder(given: &[PathBuf]) -> Result<&Path, String> {
    match given {
        [format, folder] if format.as_os_str() == "lm-eval" => Ok(folder),
        [format, _] => Err(format!("--export knows no format {}, only lm-eval", format.display())),
        _ => Err("--export takes a format and a folder: --export lm-eval DIR".to_owned()),
    }
}

fn report(args: &Args, claims: Option<&ClaimsFile>, export: Option<&Path>) -> Result<()> {
    if let Some([a, b]) = args.compare.as_deref() {
        return compare(a, b, args);
    }
    if let Some(request) = &args.advise {
        return advise(&args.results, request);
    }
    if let Some(id) = &args.card {
        let runs = find_runs(&args.results)?.into_iter().map(|folder| Run::load(&folder));
        return print(&card::of(&runs.collect::<Result<Vec<Run>>>()?, id)?);
    }
    let reported = |folder: &PathBuf| Ok(Report::from_run(Run::load(folder)?, claims, args.margin));
    let folders = find_runs(&args.results)?;
    let runs = folders.iter().map(reported).collect::<Result<Vec<Report>>>()?;
    let sweeps = Sweeps::read(args.sweeps.as_deref());
    let together =
        claims.filter(|_| runs.len() > 1).map(|file| together(file, &runs)).transpose()?;
    if args.json {
        return print_json(&json::Output::of(&runs, together.as_ref(), &sweeps));
    }
    if let Some(folder) = export {
        let Exported { n_files, n_same } = export::lm_eval(&runs, folder)?;
        let same = if n_same > 0 { format!(" ({n_same} were there)") } else { String::new() };
        eprintln!("exported {}{same} to {}", format::count(n_files, "file"), folder.display());
    }
    let pages = pages::of(&runs, &sweeps, args.out.is_some())?;
    let overview = pages::overview(&args.results, &runs, together.as_ref());
    let whole = pages::whole(&overview, &pages);
    let written = match &args.out {
        Some(file) => pages::write_one(file, &whole, &pages)?,
        None if overview.is_empty() => pages::write_each(&pages)?.context("there is no page")?,
        None => {
            pages::write_each(&pages)?;
            let file = args.results.join("report.md");
            pages::write_one(&file, &overview.iter().collect::<Vec<_>>(), &[])?
        }
    };
    if args.full {
        return print(&markdown::render(whole));
    }
    let ending = Ending { html: written.html, beside: written.beside, took: args.took };
    let has_colours = has_colours(&io::stdout());
    print(&match runs.as_slice() {
        [only] => screen::of_run(&only.summary, &ending, has_colours),
        runs => screen::of_runs(&args.results, runs, together.as_ref(), &ending, has_colours),
    })
}

/// Answers a question about the tables of a run.
fn advise(run: &Path, request: &Path) -> Result<()> {
    let shown = || format!("cannot read the question {}", request.display());
    let text = std::fs::read_to_string(request).with_context(shown)?;
    let request = serde_json::from_str(&text).with_context(shown)?;
    let answer = judgement::advice::advise(&Run::load(run)?, &request);
    print_json(&answer.map_err(anyhow::Error::msg)?)
}

/// Whether someone sees colours there and has not asked for none (<https://no-color.org>).
fn has_colours(stdout: &impl IsTerminal) -> bool {
    let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    stdout.is_terminal() && !is_unwanted && !is_dumb
}

/// The claims on the tables of all runs.
fn together(file: &ClaimsFile, runs: &[Report]) -> Result<Assessment> {
    let tables: Vec<_> = runs.iter().map(|own| (&own.run, &own.summary.atlas)).collect();
    claims::assess(file, &tables).context("cannot judge the claims on all runs")
}

/// What changed from run `a` to run `b`.
fn compare(a: &Path, b: &Path, args: &Args) -> Result<()> {
    let compared = Comparison::read([a, b])?;
    if args.json {
        return print_json(&json::OfComparison::of(&compared));
    }
    let page = markdown::render(&comparison::page(&compared));
    print(&page)?;
    let Some(file) = &args.out else { return Ok(()) };
    pages::write(file, page.as_bytes())?;
    eprintln!("wrote {}", file.display());
    Ok(())
}

fn print_json(value: &impl Serialize) -> Result<()> {
    let mut json =
        serde_json::to_string_pretty(value).context("cannot encode the report as JSON")?;
    json.push('\n');
    print(&json)
}

/// Prints to standard output. A reader that has seen enough (`report | head`) is no error.
fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

//! `report`: says what the Parquet tables of a run hold.
//!
//! Reads every table of a run with polars (this is the only crate that does), compares each cell
//! with its dense baseline through `statistics`, prints the result as Markdown (or JSON) and writes
//! the Markdown beside the tables. A file that cannot be read, a cell that failed and a cell that
//! is missing are part of the report, never its end. The same tables give the same bytes.

mod accuracy;
mod baseline;
mod dial;
mod findings;
mod format;
mod markdown;
mod page;
mod perplexity;
mod provenance;
mod read;
mod row;
mod run;
mod summary;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;

use crate::run::{Run, find_runs};
use crate::summary::Summary;

/// Prints what the tables of a run hold, and writes it as Markdown beside them.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 done, 2 usage, 4 the results folder cannot be used")]
struct Args {
    /// A run's folder (with windows/, items/ or failures/), or a folder that holds runs
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Print one JSON object with every row in full precision instead of Markdown
    #[arg(long)]
    json: bool,
    /// Where the Markdown goes [default: report.md in each run's folder]
    #[arg(long, value_name = "FILE.md")]
    out: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output<'a> {
    runs: &'a [Summary],
}

fn main() -> ExitCode {
    let args = Args::parse();
    match report(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // Whatever goes wrong after the usage is checked is the results folder's doing.
            ExitCode::from(plan::exit::BAD_RESULTS as u8)
        }
    }
}

fn report(args: &Args) -> Result<()> {
    let folders = find_runs(&args.results)?;
    let mut summaries = Vec::new();
    let mut pages = Vec::new();
    for folder in &folders {
        let run = Run::load(folder)?;
        let summary = Summary::of(&run);
        pages.push(page::render(&summary));
        summaries.push(summary);
    }

    let text = if args.json {
        let mut json = serde_json::to_string_pretty(&Output { runs: &summaries })
            .context("cannot encode the report as JSON")?;
        json.push('\n');
        json
    } else {
        pages.join("\n")
    };
    print(&text)?;

    match &args.out {
        Some(file) => write(file, &pages.join("\n")),
        None => {
            let files = folders.iter().map(|folder| folder.join("report.md"));
            files.zip(&pages).try_for_each(|(file, page)| write(&file, page))
        }
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| {
        format!("cannot write {}: choose another place with --out FILE.md", file.display())
    })?;
    eprintln!("wrote {}", file.display());
    Ok(())
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

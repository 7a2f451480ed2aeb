//! `report`: says what the Parquet tables of a run hold.
//!
//! Reads every table of a run with polars (this is the only crate that does), compares each cell
//! with its dense baseline through `statistics`, prints the result as Markdown (or JSON) and writes
//! the Markdown, its pictures and the tables of the importance atlas beside the tables. A file that
//! cannot be read, a cell that failed and a cell that is missing are part of the report, never its
//! end. The same tables give the same bytes.

mod accuracy;
mod atlas;
mod baseline;
mod contrast;
mod dial;
mod findings;
mod format;
mod gradients;
mod markdown;
mod observed;
mod page;
mod perplexity;
mod pictures;
mod provenance;
mod quadrants;
mod read;
mod recall;
mod row;
mod run;
mod state;
mod summary;
mod sweeps;
mod unequal;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rayon::prelude::*;
use serde::Serialize;

use crate::pictures::Picture;
use crate::run::{Run, find_runs};
use crate::summary::Summary;
use crate::sweeps::Sweeps;

/// Prints what the tables of a run hold, and writes it as Markdown with pictures beside them.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 done, 2 usage, 4 the results folder cannot be used")]
struct Args {
    /// A run's folder (with windows/, items/, neurons/ or the like), or a folder that holds runs
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Print one JSON object with every row in full precision instead of Markdown; write no file
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// Where the Markdown goes, its pictures beside it [default: report.md in each run's folder]
    #[arg(long, value_name = "FILE.md")]
    out: Option<PathBuf>,
    /// Sweeps over the price of hidden activations, each in a folder of its own [default: data/sweeps
    /// where it exists]
    #[arg(long, value_name = "DIR")]
    sweeps: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output<'a> {
    runs: &'a [Summary],
    sweeps: &'a Sweeps,
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
    let runs = folders.iter().map(|folder| Run::load(folder));
    let summaries = runs.map(|run| Ok(Summary::of(&run?))).collect::<Result<Vec<_>>>()?;
    let sweeps = Sweeps::read(args.sweeps.as_deref());
    if args.json {
        let output = Output { runs: &summaries, sweeps: &sweeps };
        let mut json =
            serde_json::to_string_pretty(&output).context("cannot encode the report as JSON")?;
        json.push('\n');
        return print(&json);
    }

    let mut pages = Vec::new();
    let mut pictures = Vec::new();
    for (folder, summary) in folders.iter().zip(&summaries) {
        // Several runs in one page have pictures of the same names in one folder.
        let prefix = match (&args.out, folder.file_name()) {
            (Some(_), Some(name)) if folders.len() > 1 => format!("{}-", name.to_string_lossy()),
            _ => String::new(),
        };
        let own = pictures::of(summary, &sweeps, &prefix)?;
        pages.push(page::render(summary, &own, &prefix));
        pictures.push((prefix, own));
    }
    let whole = pages.join("\n");
    print(&whole)?;

    if let Some(file) = &args.out {
        write(file, whole.as_bytes())?;
    }
    for ((folder, page), (prefix, own)) in folders.iter().zip(&pages).zip(&pictures) {
        let file = args.out.clone().unwrap_or_else(|| folder.join("report.md"));
        if args.out.is_none() {
            write(&file, page.as_bytes())?;
        }
        write_pictures(own, &file, prefix)?;
    }
    for ((folder, summary), (prefix, _)) in folders.iter().zip(&summaries).zip(&pictures) {
        let beside = args.out.as_deref().map_or(folder.as_path(), folder_of);
        for written in atlas::write(&summary.atlas, beside, prefix)? {
            eprintln!("wrote {written}");
        }
    }
    Ok(())
}

/// The folder that a file lies in.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the pictures that there are beside `page`. Making pixels takes longest: each has a thread.
fn write_pictures(pictures: &[Picture], page: &Path, prefix: &str) -> Result<()> {
    let files = pictures.par_iter().map(Picture::files).collect::<Result<Vec<_>>>()?;
    for (name, bytes) in files.into_iter().flatten() {
        write(&page.with_file_name(format!("{prefix}{name}")), &bytes)?;
    }
    Ok(())
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(file, bytes).with_context(|| {
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

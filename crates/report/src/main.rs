//! `report`: says what the Parquet tables of a run hold.
//!
//! Reads every table of a run with polars (this is the only crate that does), compares each cell
//! with its dense baseline through `statistics`, prints the result as Markdown (or JSON) and writes
//! the Markdown, the same as one HTML file, its pictures and the tables of the importance atlas beside
//! the tables. A file that
//! cannot be read, a cell that failed and a cell that is missing are part of the report, never its
//! end. The same tables give the same bytes.

mod accuracy;
mod atlas;
mod baseline;
mod claims;
mod compare;
mod contrast;
mod dial;
mod findings;
mod format;
mod glance;
mod gradients;
mod html;
mod markdown;
mod observed;
mod page;
mod perplexity;
mod pictures;
mod provenance;
mod quadrants;
mod read;
mod row;
mod run;
mod state;
mod summary;
mod unequal;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;

use crate::claims::ClaimsFile;
use crate::compare::Comparison;
use crate::html::Cells;
use crate::pictures::{Content, Picture};
use crate::run::{Run, find_runs};
use crate::summary::Summary;

/// Prints what the tables of a run hold, and writes it as Markdown with pictures beside them.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 done, 2 usage, 4 the results folder cannot be used")]
struct Args {
    /// A run's folder (with windows/, items/, neurons/ or the like), or a folder that holds runs
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Say what changed from one run to another, cell by cell: the folders of two runs
    #[arg(long, num_args = 2, value_names = ["RUN_A", "RUN_B"], conflicts_with = "results")]
    compare: Option<Vec<PathBuf>>,
    /// Print one JSON object with every row in full precision instead of Markdown; write no file
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// Where the Markdown goes, the same as FILE.html and its pictures beside it
    /// [default: report.md in each run's folder; of a comparison nowhere]
    #[arg(long, value_name = "FILE.md", value_parser = markdown_file)]
    out: Option<PathBuf>,
    /// Sentences to be judged on the tables: a claims file such as pipelines/claims/two-ways.toml
    #[arg(long, value_name = "FILE.toml")]
    claims: Option<PathBuf>,
}

/// A file beside which another of the ending `.html` can lie.
fn markdown_file(text: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(text);
    match file.extension().is_some_and(|ending| ending == "html") {
        true => Err("this is the Markdown; the same as .html is written beside it".to_owned()),
        false => Ok(file),
    }
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
    if let Some([a, b]) = args.compare.as_deref() {
        return compare(a, b, args);
    }
    let folders = find_runs(&args.results)?;
    let claims = args.claims.as_deref().map(ClaimsFile::read).transpose()?;
    let runs = folders.iter().map(|folder| Run::load(folder));
    let summarise = |run: Result<Run>| Ok(Summary::of(&run?, claims.as_ref()));
    let summaries = runs.map(summarise).collect::<Result<Vec<_>>>()?;
    if args.json {
        return print_json(&Output { runs: &summaries });
    }

    let mut pages = Vec::new();
    let mut pictures = Vec::new();
    for (folder, summary) in folders.iter().zip(&summaries) {
        // Several runs in one page have pictures of the same names in one folder.
        let prefix = match (&args.out, folder.file_name()) {
            (Some(_), Some(name)) if folders.len() > 1 => format!("{}-", name.to_string_lossy()),
            _ => String::new(),
        };
        let own = pictures::of(summary)?;
        pages.push(page::render(summary, &own, &prefix));
        pictures.push((prefix, own));
    }
    let whole = pages.join("\n");
    print(&whole)?;

    if let Some(file) = &args.out {
        write(file, &whole)?;
        write_html(file, &whole, &pictures, &summaries)?;
    }
    let runs = folders.iter().zip(&pages).zip(pictures.chunks(1).zip(summaries.chunks(1)));
    for ((folder, page), (pictures, summary)) in runs {
        let file = args.out.clone().unwrap_or_else(|| folder.join("report.md"));
        if args.out.is_none() {
            write(&file, page)?;
            write_html(&file, page, pictures, summary)?;
        }
        for (prefix, own) in pictures {
            write_pictures(own, &file, prefix)?;
        }
    }
    for ((folder, summary), (prefix, _)) in folders.iter().zip(&summaries).zip(&pictures) {
        let beside = args.out.as_deref().map_or(folder.as_path(), folder_of);
        for written in atlas::write(&summary.atlas, beside, prefix)? {
            eprintln!("wrote {written}");
        }
    }
    Ok(())
}

/// What changed from run `a` to run `b`.
fn compare(a: &Path, b: &Path, args: &Args) -> Result<()> {
    let comparison = Comparison::read([a, b])?;
    if args.json {
        return print_json(&comparison);
    }
    let page = compare::render(&comparison);
    print(&page)?;
    args.out.as_deref().map_or(Ok(()), |file| write(file, &page))
}

/// The folder that a file lies in.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes `page`, the Markdown of some runs with their pictures, as HTML beside `file`.
fn write_html(
    file: &Path,
    page: &str,
    pictures: &[(String, Vec<Picture>)],
    summaries: &[Summary],
) -> Result<()> {
    let mut drawn = BTreeMap::new();
    for (prefix, picture) in
        pictures.iter().flat_map(|(prefix, own)| own.iter().map(move |one| (prefix, one)))
    {
        if let Content::Drawn { svg, .. } = &picture.content {
            drawn.insert(format!("{prefix}{}", picture.name), svg.as_str());
        }
    }
    write(&file.with_extension("html"), &html::render(page, &drawn, &Cells::of(summaries)))
}

/// Writes the pictures that there are beside `page`.
fn write_pictures(pictures: &[Picture], page: &Path, prefix: &str) -> Result<()> {
    for picture in pictures {
        if let Content::Drawn { svg, .. } = &picture.content {
            write(&page.with_file_name(format!("{prefix}{}", picture.name)), svg)?;
        }
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| {
        format!("cannot write {}: choose another place with --out FILE.md", file.display())
    })?;
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

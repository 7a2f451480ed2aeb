//! `readme`: the tables and pictures of README.md and docs/, from what commands have measured.
//!
//! A page says between which markers a table stands and which command makes its numbers; this writes
//! the table there. `--check` asks whether the pages have the tables that would be written now: the
//! same headings, the same first columns, a value wherever there is one. Digits may differ, since they
//! do from one machine to another.

mod blocks;
mod figures;
mod pictures;
mod records;
mod skeleton;
mod slimming;
mod tables;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use plan::exit::DONE;
use serde_json::Value;

use crate::exit::OTHER;
use crate::python::output_of;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask readme                              from results/ and bench/record
  cargo xtask readme --check --results target/fresh

Written is what there are results for: `cargo xtask run-grid` for most, the runs of cuts.toml,
atlas.toml, smollm2-quadrants.toml and smollm2-claims.toml, and `cargo xtask bench` for the rest.";

/// Arguments of `readme`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A folder of runs [default: results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Write nothing; fail where a page has not the tables that would be written
    #[arg(long)]
    check: bool,
}

/// What makes the text of a block; none where there are no results for it.
type Make = fn(&Sources) -> Result<Option<String>>;

/// A part of a page that a command writes.
struct Block {
    page: &'static str,
    name: &'static str,
    /// The command whose numbers these are, as the marker names it.
    command: &'static str,
    make: Make,
}

const QUICK: &str = "cargo xtask run-grid";
const BLOCKS: &[Block] = &[
    Block { page: "README.md", name: "glance", command: QUICK, make: tables::glance },
    Block {
        page: "README.md",
        name: "slimming",
        command: "cargo xtask run-grid pipelines/cuts.toml",
        make: slimming::slimming,
    },
    Block { page: "docs/findings.md", name: "findings", command: QUICK, make: tables::findings },
    Block { page: "docs/findings.md", name: "quadrants", command: QUICK, make: tables::quadrants },
    Block {
        page: "docs/findings.md",
        name: "memory",
        command: "cargo xtask run-grid pipelines/memory.toml",
        make: tables::memory,
    },
    Block {
        page: "docs/findings.md",
        name: "verdicts",
        command: "cargo xtask report",
        make: tables::verdicts,
    },
    Block {
        page: "docs/findings.md",
        name: "smollm2-neurons",
        command: "cargo xtask run-grid pipelines/smollm2-quadrants.toml",
        make: tables::smollm2_neurons,
    },
    Block {
        page: "docs/speed.md",
        name: "bench",
        command: "cargo xtask bench",
        make: records::cases,
    },
    Block {
        page: "docs/speed.md",
        name: "speed",
        command: "cargo xtask speed",
        make: records::speed,
    },
    Block {
        page: "docs/speed.md",
        name: "bench-cuts",
        command: "cargo xtask bench --cuts",
        make: records::cuts,
    },
    Block {
        page: "docs/speed.md",
        name: "bench-families",
        command: "cargo xtask bench --families",
        make: records::families,
    },
];

/// What tables are made from.
struct Sources {
    /// What `report --json` prints; none where no run is there.
    report: Option<Value>,
    /// The folder of what benches measured.
    records: PathBuf,
}

impl Sources {
    fn read(workspace: &Workspace, results: &Path) -> Result<Sources> {
        let report = holds_run(results).then(|| report(results)).transpose()?;
        Ok(Sources { report, records: workspace.root().join("bench/record") })
    }

    /// The report's numbers of one run; none of a run that is not complete, which would write a part of a
    /// table as if it were the whole.
    fn run(&self, name: &str) -> Option<&Value> {
        let runs = self.report.as_ref()?["runs"].as_array()?;
        let lacks = |run: &Value, what: &str| run["counts"][what].as_u64().is_some_and(|n| n > 0);
        let is_whole = |run: &Value| !lacks(run, "n_missing") && !lacks(run, "n_failed");
        runs.iter().find(|run| run["run"] == name && is_whole(run))
    }
}

/// Whether a folder is a run or has one in it.
fn holds_run(folder: &Path) -> bool {
    let is_run = |folder: &Path| folder.join("order.json").is_file();
    let entries = folder.read_dir().into_iter().flatten().flatten();
    is_run(folder) || entries.into_iter().any(|entry| is_run(&entry.path()))
}

/// The report's numbers of all runs of a folder.
fn report(results: &Path) -> Result<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["report", "--json", "--results"]).arg(results);
    let text = output_of(&mut command).context("cannot read the results")?;
    serde_json::from_str(&text).context("the report printed no JSON")
}

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let results = args.results.clone().unwrap_or_else(|| workspace.root().join("results"));
    let sources = Sources::read(workspace, &results)?;
    let mut problems = Vec::new();
    let mut pages: Vec<&str> = BLOCKS.iter().map(|block| block.page).collect();
    pages.dedup();
    for page in pages {
        let path = workspace.root().join(page);
        let cannot = || format!("cannot use {page}");
        let before = std::fs::read_to_string(&path).with_context(cannot)?;
        let own: Vec<&Block> = BLOCKS.iter().filter(|block| block.page == page).collect();
        let after = filled(&before, &own, &sources).with_context(cannot)?;
        if args.check {
            problems.extend(skeleton::differences(page, &before, &after));
        } else if after != before {
            std::fs::write(&path, after).with_context(cannot)?;
            eprintln!("wrote {page}");
        }
    }
    problems.extend(pictures::bring(workspace, &results, args.check)?);
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    if !problems.is_empty() {
        eprintln!("`cargo xtask readme` writes the pages anew");
        return Ok(OTHER);
    }
    Ok(DONE)
}

/// A page with its blocks written anew; one without results stays as it is, and is named.
fn filled(page: &str, own: &[&Block], sources: &Sources) -> Result<String> {
    let mut page = page.to_owned();
    let expected: Vec<_> = own.iter().map(|block| (block.name, block.command)).collect();
    let found = blocks::markers(&page)?;
    ensure!(
        found == expected,
        "its markers are {found:?}, and xtask/src/readme/mod.rs writes {expected:?}"
    );
    for block in own {
        let text = (block.make)(sources).with_context(|| format!("block {}", block.name))?;
        match text {
            Some(text) => page = blocks::replaced(&page, block.name, &text)?,
            None => eprintln!(
                "{}: left as it is: there are no complete results of `{}`",
                block.name, block.command
            ),
        }
    }
    Ok(page)
}

//! `bench`: this project against PyTorch + transformers, side by side in one run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench_record::{Begun, Kind};
use crate::python::{self, object, succeed};
use crate::workspace::Workspace;
use crate::{bench_cuts, bench_families, bench_record, build};

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench                         # makes target/bench-venv with pip (about 5 GB), once
  cargo xtask bench --python ~/venv/bin/python --repeats 5
  cargo xtask bench --case dense --json
  cargo xtask bench --families              # dense, every model family, random weights
  cargo xtask bench --cuts                  # SparseGPT: seconds and memory of the cut alone

Both sides run the same windows of WikiText-2 on the same machine, one after the other, `--repeats`
times; what is reported is the median of the ratios of neighbouring runs, since machines drift.
What all cases (or families) measured is kept in bench/record, and `cargo xtask readme` writes it
into docs/speed.md.";

/// Cases: name, policy arguments of ours, arguments of the peer, and the ratio that is aimed at.
const CASES: [Case; 4] = [
    Case { name: "dense", ours: &["--policy", "dense"], peer: &["--case", "dense"], target: 1.0 },
    Case {
        name: "dynamic",
        ours: &["--policy", "dynamic", "--score", "magnitude", "--sparsity", "0.9"],
        peer: &["--case", "dynamic", "--sparsity", "0.9"],
        target: 3.0,
    },
    Case {
        name: "window",
        ours: &[
            "--policy",
            "window",
            "--score",
            "magnitude",
            "--sparsity",
            "0.9",
            "--window",
            "64",
            "--rule",
            "window-mean",
        ],
        peer: &["--case", "window", "--sparsity", "0.9", "--window", "64"],
        target: 1.2,
    },
    Case {
        name: "static",
        ours: &["--policy", "static", "--score", "magnitude", "--sparsity", "0.9"],
        peer: &["--case", "static", "--sparsity", "0.9"],
        target: 1.5,
    },
];

/// Largest share of the peer's peak memory that is aimed at.
const MEMORY_TARGET: f64 = 0.6;

struct Case {
    name: &'static str,
    ours: &'static [&'static str],
    peer: &'static [&'static str],
    target: f64,
}

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A Python that has the packages of bench/peer/requirements.txt
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Only this case
    #[arg(long, value_parser = ["dense", "dynamic", "window", "static"])]
    case: Option<String>,
    /// Instead: dense tokens per second of every model family, at about 100 M parameters
    #[arg(long, conflicts_with_all = ["case", "windows"])]
    families: bool,
    /// Instead: the time and memory of cutting half of the weights by SparseGPT
    #[arg(long, conflicts_with_all = ["case", "windows", "families"])]
    cuts: bool,
    /// Windows of 1,024 tokens in one run
    #[arg(long, default_value_t = 4)]
    windows: usize,
    /// Pairs of runs
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One run of one side.
struct Run {
    perplexity: f64,
    tokens_per_second: f64,
    peak_rss_bytes: f64,
}

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    ensure!(args.repeats > 0, "--repeats must be at least 1");
    if args.families {
        return families(workspace, args);
    }
    let gguf = workspace.cache().join("SmolLM2-135M-Instruct.Q4_1.gguf");
    ensure!(gguf.is_file(), "{} is missing: run `cargo xtask fetch smollm2`", gguf.display());
    let data = workspace.data().join("wikitext2");
    for name in ["wiki.test.raw", "wiki.valid.raw"] {
        let file = data.join(name);
        let advice = format!("set SLIM_DATA to the folder that holds wikitext2/{name}");
        ensure!(file.is_file(), "{} is missing: {advice}", workspace.show(&file));
    }
    build::worker(workspace)?;
    let python = match &args.python {
        Some(python) => python.clone(),
        None => environment(workspace)?,
    };
    let folder = workspace.cache().join("smollm2-hf");
    if !folder.join("model.safetensors").is_file() {
        eprintln!("converting the weights for the peer");
        let script = workspace.root().join("bench/peer/to_hf.py");
        let mut command = Command::new(&python);
        succeed(command.arg(script).arg(&gguf).arg(&folder))?;
    }
    let begun = Begun::now();
    if args.cuts {
        let sides = bench_cuts::Sides {
            workspace,
            python: &python,
            gguf: &gguf,
            folder: &folder,
            data: &data,
        };
        let rows = bench_cuts::run(&sides, args.repeats)?;
        return finish(workspace, args, (Kind::Cuts, "cuts"), &begun, &python, &rows);
    }
    let bench = Bench { workspace, args, python, gguf, folder, data };
    let mut rows = Vec::new();
    for case in &CASES {
        if args.case.as_deref().is_none_or(|name| name == case.name) {
            rows.push(bench.case(case)?);
        }
    }
    if args.json {
        println!("{}", json!({ "cases": rows }));
    } else {
        print!("{}", table(&rows));
    }
    if args.case.is_none() {
        let file = bench_record::keep(workspace, Kind::Cases, &begun, Some(&bench.python), &rows)?;
        eprintln!("record: {}", workspace.show(&file));
    }
    Ok(plan::exit::DONE)
}

fn families(workspace: &Workspace, args: &Args) -> Result<i32> {
    let worker = build::worker(workspace)?;
    let python = match &args.python {
        Some(python) => python.clone(),
        None => environment(workspace)?,
    };
    let begun = Begun::now();
    let rows = bench_families::run(workspace, &worker, &python, args.repeats)?;
    finish(workspace, args, (Kind::Families, "families"), &begun, &python, &rows)
}

/// Prints the rows and keeps them.
fn finish(
    workspace: &Workspace,
    args: &Args,
    (kind, name): (Kind, &str),
    begun: &Begun,
    python: &Path,
    rows: &[Value],
) -> Result<i32> {
    match kind {
        _ if args.json => println!("{}", json!({ name: rows })),
        Kind::Cuts => print!("{}", bench_cuts::table(rows)),
        Kind::Families => print!("{}", bench_families::table(rows)),
        Kind::Cases | Kind::Speed => print!("{}", table(rows)),
    }
    let file = bench_record::keep(workspace, kind, begun, Some(python), rows)?;
    eprintln!("record: {}", workspace.show(&file));
    Ok(plan::exit::DONE)
}

struct Bench<'a> {
    workspace: &'a Workspace,
    args: &'a Args,
    python: PathBuf,
    gguf: PathBuf,
    folder: PathBuf,
    data: PathBuf,
}

impl Bench<'_> {
    fn case(&self, case: &Case) -> Result<Value> {
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for repeat in 0..self.args.repeats {
            eprintln!("{}: pair {} of {}", case.name, repeat + 1, self.args.repeats);
            ours.push(self.ours(case)?);
            peers.push(self.peer(case)?);
        }
        let ratios = |of: fn(&Run) -> f64| {
            median(ours.iter().zip(&peers).map(|(ours, peer)| of(ours) / of(peer)))
        };
        let figure = |runs: &[Run], of: fn(&Run) -> f64| median(runs.iter().map(of));
        Ok(json!({
            "case": case.name,
            "speed_ratio": ratios(|run| run.tokens_per_second),
            "speed_target": case.target,
            "memory_ratio": ratios(|run| run.peak_rss_bytes),
            "memory_target": MEMORY_TARGET,
            "ours_tokens_per_second": figure(&ours, |run| run.tokens_per_second),
            "peer_tokens_per_second": figure(&peers, |run| run.tokens_per_second),
            "ours_peak_rss_bytes": figure(&ours, |run| run.peak_rss_bytes),
            "peer_peak_rss_bytes": figure(&peers, |run| run.peak_rss_bytes),
            "ours_perplexity": figure(&ours, |run| run.perplexity),
            "peer_perplexity": figure(&peers, |run| run.perplexity),
        }))
    }

    fn ours(&self, case: &Case) -> Result<Run> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("cell").arg("--model").arg(&self.gguf);
        command.arg("--dataset").arg(self.data.join("wiki.test.raw"));
        command.args(["--protocol", "ppl-1024", "--limit", &self.args.windows.to_string()]);
        command.args(case.ours).arg("--json");
        if case.name == "static" {
            command.arg("--calibrate").arg(self.data.join("wiki.valid.raw"));
            command.args(["--calibrate-limit", "4"]);
        }
        answer(command.current_dir(self.workspace.root()))
    }

    fn peer(&self, case: &Case) -> Result<Run> {
        let mut command = Command::new(&self.python);
        command.arg(self.workspace.root().join("bench/peer/peer.py"));
        command.arg("--model").arg(&self.folder);
        command.arg("--dataset").arg(self.data.join("wiki.test.raw"));
        command.args(["--windows", &self.args.windows.to_string(), "--repeats", "1"]);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        command.args(["--threads", &threads.to_string(), "--json"]).args(case.peer);
        if case.name == "static" {
            command.arg("--calibrate").arg(self.data.join("wiki.valid.raw"));
            command.args(["--calibrate-windows", "4"]);
        }
        answer(&mut command)
    }
}

/// The JSON object that a run prints on its last line.
fn answer(command: &mut Command) -> Result<Run> {
    let value = object(command)?;
    let number = |name: &str| value[name].as_f64().with_context(|| format!("a run has no {name}"));
    Ok(Run {
        perplexity: number("perplexity")?,
        tokens_per_second: number("tokens_per_second")?,
        peak_rss_bytes: number("peak_rss_bytes")?,
    })
}

fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let requirements = workspace.root().join("bench/peer/requirements.txt");
    python::environment(workspace, "bench-venv", &requirements)
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// The rows as a Markdown table.
pub(crate) fn table(rows: &[Value]) -> String {
    let mut table =
        "| case | tokens/s | PyTorch | ratio | target | peak MiB | PyTorch | ratio | target \
                     |\n| --- | --: | --: | --: | --: | --: | --: | --: | --: |\n"
            .to_owned();
    for row in rows {
        let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
        let mib = |name: &str| number(name) / f64::from(1 << 20);
        table += &format!(
            "| {} | {:.0} | {:.0} | {:.2} | ≥ {} | {:.0} | {:.0} | {:.2} | ≤ {} |\n",
            row["case"].as_str().unwrap_or_default(),
            number("ours_tokens_per_second"),
            number("peer_tokens_per_second"),
            number("speed_ratio"),
            number("speed_target"),
            mib("ours_peak_rss_bytes"),
            mib("peer_peak_rss_bytes"),
            number("memory_ratio"),
            number("memory_target"),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}

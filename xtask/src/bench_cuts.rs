//! `bench --cuts`: SparseGPT of SmolLM2 beside the same in plain PyTorch, pair by pair.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bench::median;
use crate::python::object;
use crate::workspace::Workspace;

/// What the peer does, as a step here: half of the weights, calibrated on 16 windows of 512 ids.
const STEP: &str = "cut=weights,method=sparsegpt,sparsity=0.5";
/// At least as fast as the peer, with at most such a share of its memory.
const SPEED_TARGET: f64 = 1.0;
const MEMORY_TARGET: f64 = 0.6;

/// Where everything lies.
pub(crate) struct Sides<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) python: &'a Path,
    /// The weights, as we read them.
    pub(crate) gguf: &'a Path,
    /// The same weights, as the peer reads them.
    pub(crate) folder: &'a Path,
    /// `wikitext2` with its test and validation text.
    pub(crate) data: &'a Path,
}

/// One run of one side.
struct Run {
    seconds: f64,
    peak_rss_bytes: f64,
    perplexity: f64,
}

impl Run {
    /// Of the object that a run prints, by its names for the time of the cut alone and for the largest
    /// memory when it ends, loading included.
    fn of(value: &Value, [seconds, peak]: [&str; 2]) -> Result<Run> {
        let number =
            |name: &str| value[name].as_f64().with_context(|| format!("a run has no {name}"));
        Ok(Run {
            seconds: number(seconds)?,
            peak_rss_bytes: number(peak)?,
            perplexity: number("perplexity")?,
        })
    }
}

/// The medians of `repeats` pairs; ratios are of neighbouring runs.
pub(crate) fn run(sides: &Sides<'_>, repeats: usize) -> Result<Vec<Value>> {
    let mut pairs = Vec::new();
    for repeat in 0..repeats {
        eprintln!("sparsegpt: pair {} of {repeats}", repeat + 1);
        pairs.push((sides.ours()?, sides.peer()?));
    }
    let ratio = |of: fn(&Run) -> f64| median(pairs.iter().map(|(our, peer)| of(our) / of(peer)));
    let ours = |of: fn(&Run) -> f64| median(pairs.iter().map(|(our, _)| of(our)));
    let peers = |of: fn(&Run) -> f64| median(pairs.iter().map(|(_, peer)| of(peer)));
    Ok(vec![json!({
        "case": "sparsegpt κ=.5",
        "speed_ratio": 1.0 / ratio(|run| run.seconds),
        "speed_target": SPEED_TARGET,
        "memory_ratio": ratio(|run| run.peak_rss_bytes),
        "memory_target": MEMORY_TARGET,
        "ours_seconds": ours(|run| run.seconds),
        "peer_seconds": peers(|run| run.seconds),
        "ours_peak_rss_bytes": ours(|run| run.peak_rss_bytes),
        "peer_peak_rss_bytes": peers(|run| run.peak_rss_bytes),
        "ours_perplexity": ours(|run| run.perplexity),
        "peer_perplexity": peers(|run| run.perplexity),
    })])
}

impl Sides<'_> {
    fn ours(&self) -> Result<Run> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("cell").arg("--model").arg(self.gguf);
        command.arg("--dataset").arg(self.data.join("wiki.test.raw"));
        command.args(["--protocol", "ppl-1024", "--limit", "4", "--step", STEP]);
        command.arg("--calibrate").arg(self.data.join("wiki.valid.raw"));
        command.args(["--calibrate-limit", "16", "--calibrate-window", "512", "--json"]);
        Run::of(
            &object(command.current_dir(self.workspace.root()))?,
            ["cut_seconds", "cut_peak_rss_bytes"],
        )
    }

    fn peer(&self) -> Result<Run> {
        let mut command = Command::new(self.python);
        command.arg(self.workspace.root().join("bench/cuts/peer.py"));
        command.arg("--model").arg(self.folder);
        command.arg("--dataset").arg(self.data.join("wiki.test.raw"));
        command.arg("--calibrate").arg(self.data.join("wiki.valid.raw"));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        command.args(["--threads", &threads.to_string(), "--json"]);
        Run::of(&object(&mut command)?, ["seconds", "peak_rss_bytes"])
    }
}

/// The rows as a Markdown table.
pub(crate) fn table(rows: &[Value]) -> String {
    let mut table =
        "| cut | seconds | PyTorch | speed | target | peak MiB | PyTorch | ratio | target \
                     | perplexity | PyTorch |\n\
                     | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n"
            .to_owned();
    for row in rows {
        let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
        let mib = |name: &str| number(name) / f64::from(1 << 20);
        table += &format!(
            "| {} | {:.1} | {:.1} | {:.2} | ≥ {} | {:.0} | {:.0} | {:.2} | ≤ {} | {:.3} | {:.3} |\n",
            row["case"].as_str().unwrap_or_default(),
            number("ours_seconds"),
            number("peer_seconds"),
            number("speed_ratio"),
            number("speed_target"),
            mib("ours_peak_rss_bytes"),
            mib("peer_peak_rss_bytes"),
            number("memory_ratio"),
            number("memory_target"),
            number("ours_perplexity"),
            number("peer_perplexity"),
        );
    }
    table
}

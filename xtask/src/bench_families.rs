//! `bench --families`: dense tokens per second of every model family, beside transformers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::median;
use crate::build::Programs;
use crate::python::{object, output_of};
use crate::workspace::Workspace;

/// Families, as `bench/peer/families.py` names them, and the ratio that is aimed at: the reference runs
/// the recurrent ones by plain PyTorch operations on a CPU.
const FAMILIES: [(&str, f64); 10] = [
    ("opt", 1.0),
    ("gpt2", 1.0),
    ("llama", 1.0),
    ("llama-relu", 1.0),
    ("mistral", 1.0),
    ("qwen2", 1.0),
    ("qwen3", 1.0),
    ("gemma3", 1.0),
    ("mamba2", 2.0),
    ("zamba2", 2.0),
];
/// Windows of a run and their tokens.
const WINDOWS: &str = "2";
const TOKENS: &str = "1024";
/// Mean losses of both sides agree this closely: they run the same weights on the same ids.
const NATS: f64 = 1e-4;

/// Times every family `repeats` times, both sides in turn.
pub(crate) fn run(
    workspace: &Workspace,
    programs: &Programs,
    python: &Path,
    repeats: usize,
) -> Result<Vec<Value>> {
    let script = workspace.root().join("bench/peer/families.py");
    let folder = workspace.cache().join("families");
    eprintln!("random models of about 100 M parameters: {}", folder.display());
    output_of(Command::new(python).arg(&script).arg("make").arg(&folder))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    let mut rows = Vec::new();
    for (name, target) in FAMILIES {
        let model = folder.join(name);
        let shared = ["--windows", WINDOWS, "--tokens", TOKENS];
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for repeat in 0..repeats {
            eprintln!("{name}: pair {} of {repeats}", repeat + 1);
            let mut command = Command::new(&programs.worker);
            ours.push(object(command.arg("speed").arg("--model").arg(&model).args(shared))?);
            let mut command = Command::new(python);
            command.arg(&script).arg("run").arg(&model).args(shared);
            peers.push(object(command.args(["--threads", &threads]))?);
        }
        rows.push(row(name, target, &ours, &peers)?);
    }
    Ok(rows)
}

fn row(name: &str, target: f64, ours: &[Value], peers: &[Value]) -> Result<Value> {
    let number = |value: &Value, field: &str| {
        value[field].as_f64().with_context(|| format!("{name}: a run has no {field}"))
    };
    let all = |runs: &[Value], field: &str| {
        runs.iter().map(|run| number(run, field)).collect::<Result<Vec<f64>>>()
    };
    let rates = (all(ours, "tokens_per_second")?, all(peers, "tokens_per_second")?);
    let (loss, peer_loss) = (all(ours, "nll_per_target")?, all(peers, "nll_per_target")?);
    if (loss[0] - peer_loss[0]).abs() > NATS {
        bail!("{name}: the losses differ, {} and {}: no comparison", loss[0], peer_loss[0]);
    }
    Ok(json!({
        "family": name,
        "parameters": number(&ours[0], "parameters")?,
        "ours_tokens_per_second": median(rates.0.iter().copied()),
        "peer_tokens_per_second": median(rates.1.iter().copied()),
        "speed_ratio": median(rates.0.iter().zip(&rates.1).map(|(a, b)| a / b)),
        "speed_target": target,
        "share_of_product_rate": median(all(ours, "share_of_product_rate")?.into_iter()),
        "nll_difference": loss[0] - peer_loss[0],
    }))
}

/// The rows as a Markdown table.
pub(crate) fn table(rows: &[Value]) -> String {
    let mut table =
        "| family | M parameters | tokens/s | transformers | ratio | target | of matmul rate \
                     |\n| --- | --: | --: | --: | --: | --: | --: |\n"
            .to_owned();
    for row in rows {
        let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
        table += &format!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.2} | ≥ {:.1} | {:.0} % |\n",
            row["family"].as_str().unwrap_or_default(),
            number("parameters") / 1e6,
            number("ours_tokens_per_second"),
            number("peer_tokens_per_second"),
            number("speed_ratio"),
            number("speed_target"),
            100.0 * number("share_of_product_rate"),
        );
    }
    table
}

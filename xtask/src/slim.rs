//! `slim`: what a recipe's cuts leave, written as a model that other programs open.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressDrawTarget};
use plan::exit::{DONE, STOPPED};
use plan::{
    DeviceName, OrderProvenance, Recipe, SlimAnswer, SlimEvent, SlimFormat, SlimRequest, Step,
    TextShape, TimeSteps,
};

use crate::build;
use crate::code_version::{code_version, revision};
use crate::exit::Exit;
use crate::inputs::{absolute, any_model};
use crate::progress::style;
use crate::slim_cell;
use crate::stop::Stop;
use crate::texts;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask slim data/models/qwen2-silu --out slim/half \\
      --step cut=ffn,score=magnitude,sparsity=0.5 \\
      --calibrate data/stories/narrative.calibration.jsonl --calibrate-window 256
  cargo xtask slim smollm2 --out slim/smollm2-pairs --format f16 \\
      --step cut=weights,method=wanda,pattern=2:4 --calibrate wikitext2-valid --calibrate-limit 16
  cargo xtask slim smollm2 --out slim/smollm2-int4 --format packed-f16 \\
      --step cut=bits,method=gptq,bits=4 --calibrate wikitext2-valid --calibrate-limit 16
  cargo xtask slim smollm2 --out slim/smollm2-q8 --format gguf-q8_0 \\
      --step cut=layers,method=drop,score=last,n=2
  cargo xtask slim --from-cell results/cuts/3f2a9c --out slim/best

MODEL is a folder, a GGUF file, or a name of data/models.lock. The steps are cuts as `cargo xtask cell
--help` lists them, in their order; without any the model is written as it is, in another format.
Then: cargo xtask cell --model slim/half …, or in Python AutoModelForCausalLM.from_pretrained(\"slim/half\").

Formats:
  f32, f16, bf16               a Hugging Face folder that transformers and vLLM open
  packed-f32, -f16, -bf16      the same, matrices that cut=bits rounded packed (compressed-tensors)
  gguf-f32, -f16, -q8_0, -q4_0 a GGUF file for llama.cpp: Llama, Mistral, Qwen2, Qwen3, Gemma 3

A skip decides while a model runs and is no checkpoint; a layer made linear is in no format. Both are refused.";

/// Arguments of `slim`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A Hugging Face folder, a GGUF file, or a name of data/models.lock
    #[arg(value_name = "MODEL", required_unless_present = "from_cell")]
    model: Option<PathBuf>,
    /// A cut, e.g. cut=weights,method=wanda,sparsity=0.5; may be given several times
    #[arg(long = "step", value_name = "KEY=VALUE,...")]
    steps: Vec<String>,
    /// Take model, cuts and calibration of a cell: the folder of its run, and its id or label
    #[arg(
        long,
        value_name = "RUN/CELL",
        conflicts_with_all = ["model", "steps", "calibrate", "seed", "time_steps"]
    )]
    from_cell: Option<String>,
    /// The folder to be made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// In which form
    #[arg(long, value_parser = names::<SlimFormat>(SlimFormat::NAMES), default_value = "f32")]
    format: SlimFormat,
    /// Where layers keep different numbers of units, give all of them as many as the widest has, in place
    /// of as many as before the cut
    #[arg(long)]
    uniform: bool,
    /// The text that is looked at before the cuts
    #[arg(long, value_name = "FILE_OR_NAME")]
    calibrate: Option<PathBuf>,
    /// Windows of it [default: all]
    #[arg(long, value_name = "N", requires = "calibrate")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    calibrate_limit: Option<u64>,
    /// Tokens in one of its windows [default: 1024, or what the model has positions for]
    #[arg(long, value_name = "TOKENS", requires = "calibrate")]
    #[arg(value_parser = clap::value_parser!(u64).range(2..))]
    calibrate_window: Option<u64>,
    /// What a row of a .parquet text is
    #[arg(long, requires = "calibrate", value_parser = names::<TextShape>(TextShape::NAMES))]
    shape: Option<TextShape>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Most bytes of one file of weights, e.g. 500MB or 5GB [default: 50GB]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    shard_size: Option<u64>,
    /// Where to compute: cpu, cuda:0 or wgpu:0 (the first use builds for it)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
    /// How the time steps of a Zamba2 model are limited
    #[arg(long, value_parser = names::<TimeSteps>(TimeSteps::NAMES), default_value_t)]
    time_steps: TimeSteps,
    /// Say what would be done, and what cannot be; nothing is cut or written
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A parser that lists the names in `--help` and proposes the nearest one.
fn names<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = plan::UnknownName> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names.iter().copied()).try_map(|name| name.parse::<T>())
}

/// A number of bytes with a unit of a thousand, a million or a thousand million.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        unit => return Err(format!("`{unit}` is no unit: expected B, KB, MB or GB")),
    };
    let count: u64 = digits.trim().parse().map_err(|_| format!("`{digits}` is no whole number"))?;
    count.checked_mul(factor).filter(|n| *n > 0).ok_or("expected at least one byte".to_owned())
}

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let out = absolute(&args.out);
    if std::fs::symlink_metadata(&out).is_ok() {
        let shown = workspace.show(&out);
        let message = format!("--out: {shown} is there already: name another folder, or remove it");
        return Err(Exit::usage(message).into());
    }
    let request = match &args.from_cell {
        Some(cell) => slim_cell::request(workspace, cell, |request| finished(args, &out, request))?,
        None => finished(args, &out, given(workspace, args)?),
    };
    SlimRequest::check(&request.recipe).map_err(Exit::usage)?;
    let worker = build::worker_for(workspace, args.device)?;
    let stop = Stop::install()?;
    let mut file = tempfile::NamedTempFile::new().context("cannot write a temporary file")?;
    let text = serde_json::to_string(&request).context("cannot encode the request")?;
    file.write_all(text.as_bytes()).context("cannot write a temporary file")?;
    match follow(&worker, file.path(), &stop)? {
        (code, None) => Ok(code),
        (_, Some(answer)) => {
            print(workspace, &request, &answer, args.json)?;
            Ok(DONE)
        }
    }
}

/// The request of the arguments.
fn given(workspace: &Workspace, args: &Args) -> Result<SlimRequest> {
    let see = |error: String| Exit::usage(format!("{error} (see `cargo xtask cell --help`)"));
    let steps = args
        .steps
        .iter()
        .map(|text| text.parse::<Step>().map_err(|error| see(format!("--step {text}: {error}"))));
    let recipe = Recipe::new(steps.collect::<Result<Vec<_>, Exit>>()?, args.seed)
        .map_err(|error| see(error.to_string()))?;
    SlimRequest::check(&recipe).map_err(Exit::usage)?;
    let needs = recipe.steps().iter().find(|step| step.needs_calibration());
    let calibration = match (needs, &args.calibrate) {
        (Some(step), None) => {
            let message = format!("step `{step}` looks at calibration text: give --calibrate FILE");
            return Err(Exit::usage(message).into());
        }
        (None, Some(_)) => {
            eprintln!("note: no step looks at a text: --calibrate is not used");
            None
        }
        (None, None) => None,
        (Some(_), Some(text)) => Some(plan::SlimText {
            text: texts::given(workspace, text, args.shape)?,
            limit: count(args.calibrate_limit),
            window_tokens: count(args.calibrate_window),
        }),
    };
    let model = args.model.as_deref().context("a model is named")?;
    let model = any_model(workspace, model)
        .map_err(|problems| Exit::inputs(format!("MODEL: {}", problems.join("\n  "))))?;
    Ok(SlimRequest {
        model: plan::ModelInput { time_steps: args.time_steps, ..model },
        recipe,
        calibration,
        out: PathBuf::new(),
        format: args.format,
        uniform: false,
        shard_bytes: None,
        device: args.device,
        provenance: provenance(workspace)?,
        measured: None,
        dry_run: false,
    })
}

fn count(limit: Option<u64>) -> Option<usize> {
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Who asks, and how.
pub(crate) fn provenance(workspace: &Workspace) -> Result<OrderProvenance> {
    Ok(OrderProvenance {
        revision: revision(workspace.root()),
        code_version: code_version(workspace.root())?,
        command: command(std::env::args().skip(1)),
    })
}

/// The command line, such that a shell takes it once more.
pub(crate) fn command(args: impl Iterator<Item = String>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/+@%".contains(c);
    let quoted = args.map(|arg| match !arg.is_empty() && arg.chars().all(is_plain) {
        true => arg,
        false => format!("'{}'", arg.replace('\'', r"'\''")),
    });
    format!("cargo xtask {}", quoted.collect::<Vec<_>>().join(" "))
}

/// What does not hang on where model and recipe come from.
fn finished(args: &Args, out: &Path, request: SlimRequest) -> SlimRequest {
    SlimRequest {
        out: out.to_owned(),
        format: args.format,
        uniform: args.uniform,
        shard_bytes: args.shard_size,
        device: args.device,
        dry_run: args.dry_run,
        ..request
    }
}

/// Runs `worker slim` and shows what it says; its exit code, and its answer where it came to one.
fn follow(worker: &Path, request: &Path, stop: &Stop) -> Result<(i32, Option<SlimAnswer>)> {
    let mut child = Command::new(worker)
        .arg("slim")
        .arg("--request")
        .arg(request)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", worker.display()))?;
    stop.hold(child.stdin.take());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let talks = std::io::stderr().is_terminal();
    let (mut answer, mut wrote) = (None, false);
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.context("cannot read what the worker says")?;
        match serde_json::from_str::<SlimEvent>(&line) {
            Ok(SlimEvent::Phase { message }) if talks => {
                bar.set_style(style("{spinner} {msg}  {elapsed}"));
                bar.enable_steady_tick(std::time::Duration::from_millis(200));
                bar.set_message(message);
            }
            Ok(SlimEvent::Phase { message }) => eprintln!("{message}"),
            Ok(SlimEvent::Writing { bytes_done, bytes }) => {
                if !wrote && talks {
                    bar.set_style(style("writing [{bar:30}] {bytes}/{total_bytes}  {eta} left"));
                } else if !wrote {
                    eprintln!("writing {bytes} bytes");
                }
                wrote = true;
                bar.set_length(bytes);
                bar.set_position(bytes_done);
            }
            Ok(SlimEvent::Written(written)) => answer = Some(written),
            // What a run says of its cells is not of interest here.
            Err(_) => {}
        }
    }
    bar.finish_and_clear();
    let status = child.wait().context("cannot wait for the worker")?;
    stop.hold(None);
    match status.code() {
        Some(code) => Ok((code, answer)),
        None if stop.asked() => Ok((STOPPED, None)),
        None => bail!("the worker was killed ({status}): was there too little memory?"),
    }
}

fn print(
    workspace: &Workspace,
    request: &SlimRequest,
    answer: &SlimAnswer,
    json: bool,
) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(answer).context("cannot encode the answer")?);
        return Ok(());
    }
    let shown = workspace.show(&answer.folder);
    let steps: Vec<String> = request.recipe.cuts().map(ToString::to_string).collect();
    let steps = if steps.is_empty() { "no cut".to_owned() } else { steps.join(", then ") };
    if answer.dry_run {
        println!(
            "would write {shown} as {}: {} ({:.2} M parameters), {steps}; nothing is in the way",
            answer.format,
            request.model.name,
            answer.parameters_before as f64 / 1e6,
        );
        return Ok(());
    }
    println!(
        "wrote {shown}: {} after {steps}; {:.2} M parameters of {:.2} M, {:.2} MB as {} (cut in {:.1} s, \
         written in {:.1} s)",
        request.model.name,
        answer.parameters as f64 / 1e6,
        answer.parameters_before as f64 / 1e6,
        answer.bytes as f64 / 1e6,
        answer.format,
        answer.cut_seconds,
        answer.write_seconds,
    );
    for note in &answer.notes {
        println!("note: {note}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("5GB"), Ok(5_000_000_000));
        assert_eq!(bytes("500 MB"), Ok(500_000_000));
        assert_eq!(bytes("77"), Ok(77));
        for bad in ["", "GB", "0", "5TB", "1.5GB", "-3"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_command_can_be_pasted() {
        let args = ["slim", "a b", "--step", "cut=ffn,sparsity=0.5", "it's"].map(str::to_owned);
        let expected = r"cargo xtask slim 'a b' --step cut=ffn,sparsity=0.5 'it'\''s'";
        assert_eq!(command(args.into_iter()), expected);
    }
}

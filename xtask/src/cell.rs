//! `cell`: one cell by hand, without a pipeline or a results folder.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use plan::{
    CalibrationText, CellRequest, DeviceName, Mode, Part, Policy, Protocol, Reading, Recalibration,
    Rule, Score, TextShape, TimeSteps, Treatment, TreatmentSpec,
};

use crate::build;
use crate::exit::Exit;
use crate::inputs::{absolute, model_problems};
use crate::report::status;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask cell --model data/cache/SmolLM2-135M-Instruct.Q4_1.gguf \\
      --dataset ../shared/data/wikitext2/wiki.test.raw --protocol ppl-1024 --limit 4 \\
      --policy dynamic --score magnitude --sparsity 0.9 --json
  ... --policy window --score magnitude --sparsity 0.9 --window 16 --rule window-mean
  ... --policy static --score magnitude --sparsity 0.5 \\
      --calibrate ../shared/data/wikitext2/wiki.valid.raw --calibrate-limit 4
  ... --dataset ../shared/data/lambada/lambada_test.jsonl --protocol lambada-openai --policy dense

Which options a policy takes:
  dense     none
  static    --score --sparsity, --calibrate unless the score looks at no text (weight, state-weight,
            random), --cut if wanted, of a state --recalibration if wanted
  dynamic   --score --sparsity, of a state --mode if wanted
  window    --score --sparsity --window --rule, of a state --mode if wanted

With --part state the scores are ghost, ghost-factored, state-weight, state-taylor and random.";

/// Arguments of `cell`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A GGUF file or a Hugging Face folder
    #[arg(long, value_name = "DIR_OR_GGUF")]
    model: PathBuf,
    /// A text: .raw (WikiText), .jsonl, .jsonl.gz or .json.gz (one object with `text` a line), .parquet
    /// (a column `text`)
    #[arg(long, value_name = "FILE")]
    dataset: PathBuf,
    /// What a row of a .parquet text is
    #[arg(long, value_parser = names::<TextShape>(TextShape::NAMES))]
    shape: Option<TextShape>,
    /// ppl-T (perplexity over windows of T ids), lambada-openai or lambada-last-token
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Protocol,
    /// How the kept set changes over time
    #[arg(long, value_parser = names::<Policy>(Policy::NAMES))]
    policy: Policy,
    /// What is pruned: ffn (neurons) or state (channels of Mamba-2 mixers)
    #[arg(long, value_parser = names::<Part>(Part::NAMES), default_value_t = Part::Ffn)]
    part: Part,
    /// What ranks the neurons or channels
    #[arg(long, value_parser = names::<Score>(Score::NAMES))]
    score: Option<Score>,
    /// Share of neurons or channels dropped, 0 <= S < 1
    #[arg(long, value_name = "S", default_value_t = 0.0, allow_negative_numbers = true)]
    sparsity: f64,
    /// Tokens that share one kept set
    #[arg(long, value_name = "TOKENS")]
    window: Option<usize>,
    /// How a window's kept set is chosen
    #[arg(long, value_parser = names::<Rule>(Rule::NAMES))]
    rule: Option<Rule>,
    /// Tokens whose scores the rule `prompt` sums [default: 64]
    #[arg(long, value_name = "TOKENS")]
    prompt_tokens: Option<usize>,
    /// What a dynamic or windowed set of state channels acts on [default: read]
    #[arg(long, value_parser = names::<Mode>(Mode::NAMES))]
    mode: Option<Mode>,
    /// On which activations state channels are chosen for a static set [default: sequential]
    #[arg(long, value_parser = names::<Recalibration>(Recalibration::NAMES))]
    recalibration: Option<Recalibration>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Windows or items evaluated [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// The text on which kept sets are chosen before the run
    #[arg(long, value_name = "FILE")]
    calibrate: Option<PathBuf>,
    /// Windows of the calibration text [default: all]
    #[arg(long, value_name = "N", requires = "calibrate")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    calibrate_limit: Option<u64>,
    /// Where to compute: cpu, cuda:0 or wgpu:0 (the first use builds for it)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
    /// How the time steps of a Zamba2 model are limited
    #[arg(long, value_parser = names::<TimeSteps>(TimeSteps::NAMES), default_value_t)]
    time_steps: TimeSteps,
    /// Run a static cell on weights that are really cut: faster, but natural sparsity and kept energy
    /// are not measured
    #[arg(long)]
    cut: bool,
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

/// Runs the command; the value is the worker's exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let request = request(args)?;
    check_files(workspace, &request)?;
    let programs = build::programs(workspace)?;
    let worker = build::worker_for(workspace, &programs, args.device)?;
    let mut file = tempfile::NamedTempFile::new().context("cannot write a temporary file")?;
    let text = serde_json::to_string(&request).context("cannot encode the request")?;
    file.write_all(text.as_bytes()).context("cannot write a temporary file")?;
    status(Command::new(worker).arg("cell").arg("--request").arg(file.path()))
}

fn as_count(limit: Option<u64>) -> Option<usize> {
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The arguments as one checked request.
fn request(args: &Args) -> Result<CellRequest, Exit> {
    let spec = TreatmentSpec {
        part: args.part,
        policy: args.policy,
        score: args.score,
        sparsity: args.sparsity,
        window: args.window,
        rule: args.rule,
        prompt_tokens: args.prompt_tokens,
        mode: args.mode,
        recalibration: args.recalibration,
        ..TreatmentSpec::of(args.policy, args.seed)
    };
    if args.policy == Policy::Observe {
        let message =
            "what is observed is a table: ask for it in a pipeline (pipelines/atlas.toml)";
        return Err(Exit::usage(message.to_owned()));
    }
    let treatment = Treatment::new(spec)
        .map_err(|error| Exit::usage(format!("{error} (see `cargo xtask cell --help`)")))?;
    if args.cut && args.policy != Policy::Static {
        let message = format!("--cut belongs to the policy `static`, not `{}`", args.policy);
        return Err(Exit::usage(message));
    }
    let needs_calibration = treatment.needs_calibration();
    if needs_calibration && args.calibrate.is_none() {
        let score = args.score.map_or("none", Score::as_str);
        let message = format!(
            "the score `{score}` chooses this kept set on calibration text: give --calibrate FILE"
        );
        return Err(Exit::usage(message));
    }
    if !needs_calibration && args.calibrate.is_some() {
        eprintln!("note: nothing is chosen on calibration text here: --calibrate is not used");
    }
    let calibration = args.calibrate.as_deref().filter(|_| needs_calibration);
    // The other formats say themselves what they hold.
    let is_parquet = |path: &Path| path.extension().is_some_and(|ending| ending == "parquet");
    let reading =
        |path: &Path| Reading { shape: args.shape.filter(|_| is_parquet(path)), documents: None };
    let texts = [Some(args.dataset.as_path()), calibration];
    if texts.into_iter().flatten().any(is_parquet) && args.shape.is_none() {
        return Err(Exit::usage("a .parquet text needs --shape rows or --shape documents"));
    }
    Ok(CellRequest {
        model: absolute(&args.model),
        dataset: absolute(&args.dataset),
        reading: reading(&args.dataset),
        protocol: args.protocol,
        treatment,
        limit: as_count(args.limit),
        calibration: calibration.map(|path| CalibrationText {
            path: absolute(path),
            reading: reading(path),
            limit: as_count(args.calibrate_limit),
        }),
        device: args.device,
        time_steps: args.time_steps,
        cut: args.cut,
        json: args.json,
    })
}

/// All files that are missing, at once.
fn check_files(workspace: &Workspace, request: &CellRequest) -> Result<(), Exit> {
    let mut problems: Vec<String> = model_problems(workspace, &request.model)
        .into_iter()
        .map(|problem| format!("--model: {problem}"))
        .collect();
    let mut check = |flag: &str, path: &Path| {
        if !path.is_file() {
            problems.push(format!("{flag}: {} is not a file", workspace.show(path)));
        }
    };
    check("--dataset", &request.dataset);
    if let Some(calibration) = &request.calibration {
        check("--calibrate", &calibration.path);
    }
    if problems.is_empty() { Ok(()) } else { Err(Exit::inputs(problems.join("\n  "))) }
}

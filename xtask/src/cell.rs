//! `cell`: one cell by hand, without a pipeline or a results folder.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use plan::{
    CalibrationText, CellRequest, Compare, DeviceName, Measure, Mode, Part, Policy, Protocol,
    Reading, Recalibration, Recipe, Rule, Score, Step, TaskName, TextShape, TimeSteps, Treatment,
    TreatmentSpec, UnknownName, datasets, kinds,
};

use crate::build;
use crate::exit::Exit;
use crate::inputs::{Reads, absolute, model_path, model_problems};
use crate::report::status;
use crate::texts;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask cell --model data/cache/SmolLM2-135M-Instruct.Q4_1.gguf \\
      --dataset wikitext2 --protocol ppl-1024 --limit 4 \\
      --policy dynamic --score magnitude --sparsity 0.9 --json
  ... --policy window --score magnitude --sparsity 0.9 --window 16 --rule window-mean
  ... --policy static --score magnitude --sparsity 0.5 \\
      --calibrate wikitext2-valid --calibrate-limit 4
  ... --step cut=weights,method=sparsegpt,sparsity=0.5 --step cut=bits,method=gptq,bits=4 \\
      --calibrate wikitext2-valid --calibrate-limit 16 --calibrate-window 512 --compare dense
  ... --dataset data/stories/last-word.test.jsonl --protocol lambada-openai
  ... --dataset piqa --protocol choice-piqa --limit 100
  ... --dataset piqa --protocol choice-piqa --offset 100 --limit 100     the second hundred

What is done to the model is a list of steps: cuts in order, then skips. For one step on neurons or
state channels --policy is a short form, which takes
  dense     nothing, as does no step at all
  static    --score --sparsity, --calibrate unless the score looks at no text (weight, state-weight,
            random), of a state --recalibration if wanted
  dynamic   --score --sparsity, of a state --mode if wanted
  window    --score --sparsity --window --rule, of a state --mode if wanted

With --part state the scores are ghost, ghost-factored, state-weight, state-taylor and random.

Kinds of steps, each with an example; `--step KEY` with a wrong setting says what there is:
";

/// The help, with every kind of step.
fn help() -> String {
    let lines = kinds().iter().filter(|kind| kind.way != plan::Way::Observe).map(|kind| {
        let settings: Vec<String> = kind
            .settings
            .iter()
            .map(|own| format!("      {:<14} {}: {}", own.name, own.doc, own.takes.expected()))
            .collect();
        let (key, doc, example) = (kind.key(), kind.doc, kind.example);
        format!("  {key}: {doc}\n      --step {example}\n{}", settings.join("\n"))
    });
    format!("{EXAMPLES}{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Arguments of `cell`.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub(crate) struct Args {
    /// A GGUF file, a Hugging Face folder, or a name of data/models.lock
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// A text: .raw (WikiText), .jsonl, .jsonl.gz or .json.gz (one object with `text` a line), .parquet
    /// (a column `text`); or the name of a known text, e.g. wikitext2
    #[arg(long, value_name = "FILE_OR_NAME")]
    dataset: PathBuf,
    /// What a row of a .parquet text is
    #[arg(long, value_parser = names::<TextShape>(TextShape::NAMES))]
    shape: Option<TextShape>,
    /// ppl-T (perplexity over windows of T ids), lambada-openai, lambada-last-token or choice-TASK (one
    /// of the tasks of docs/tasks.md, or that of --task)
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Protocol,
    /// The TOML file that defines TASK of --protocol choice-TASK, where it is your own
    #[arg(long, value_name = "FILE.toml")]
    task: Option<PathBuf>,
    /// A step of the recipe, e.g. cut=weights,method=wanda,sparsity=0.5; may be given several times
    #[arg(long = "step", value_name = "KEY=VALUE,...", conflicts_with = "policy")]
    steps: Vec<String>,
    /// How the kept set of neurons or state channels changes over time: the short form of one step
    #[arg(long, value_parser = names::<Policy>(Policy::NAMES))]
    policy: Option<Policy>,
    /// Also compare every prediction with the dense model's (Jensen-Shannon divergence)
    #[arg(long, value_parser = names::<Compare>(Compare::NAMES))]
    compare: Option<Compare>,
    /// What the policy is about: ffn (neurons) or state (channels of Mamba-2 mixers)
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
    /// Windows or items left out at the beginning of the text [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    offset: Option<u64>,
    /// The text that is looked at before the run
    #[arg(long, value_name = "FILE_OR_NAME")]
    calibrate: Option<PathBuf>,
    /// Windows of the calibration text [default: all]
    #[arg(long, value_name = "N", requires = "calibrate")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    calibrate_limit: Option<u64>,
    /// Tokens in one of its windows [default: as in a window of the protocol, else 1024]
    #[arg(long, value_name = "TOKENS", requires = "calibrate")]
    #[arg(value_parser = clap::value_parser!(u64).range(2..))]
    calibrate_window: Option<u64>,
    /// Where to compute: cpu, cuda:0 or wgpu:0 (the first use builds for it)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
    /// How the time steps of a Zamba2 model are limited
    #[arg(long, value_parser = names::<TimeSteps>(TimeSteps::NAMES), default_value_t)]
    time_steps: TimeSteps,
    /// Run token by token, as in generation, and measure what is cached
    #[arg(long)]
    decode: bool,
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
    let request = request(workspace, args)?;
    check_files(workspace, &request)?;
    let worker = build::worker_for(workspace, args.device)?;
    let mut file = tempfile::NamedTempFile::new().context("cannot write a temporary file")?;
    let text = serde_json::to_string(&request).context("cannot encode the request")?;
    file.write_all(text.as_bytes()).context("cannot write a temporary file")?;
    status(Command::new(worker).arg("cell").arg("--request").arg(file.path()))
}

fn as_count(limit: Option<u64>) -> Option<usize> {
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// What is done to the model: the steps, or the short form of one.
fn recipe(args: &Args) -> Result<Recipe, Exit> {
    let see = |error: String| Exit::usage(format!("{error} (see `cargo xtask cell --help`)"));
    let policy = args.policy.unwrap_or(Policy::Dense);
    let spec = TreatmentSpec {
        part: args.part,
        policy,
        score: args.score,
        sparsity: args.sparsity,
        window: args.window,
        rule: args.rule,
        prompt_tokens: args.prompt_tokens,
        mode: args.mode,
        recalibration: args.recalibration,
        ..TreatmentSpec::of(policy, args.seed)
    };
    if policy == Policy::Observe {
        return Err(Exit::usage(NO_OBSERVATION.to_owned()));
    }
    let short = Treatment::new(spec).map_err(|error| match args.policy {
        None => see(format!("{error}: give --policy or --step")),
        Some(_) => see(error.to_string()),
    })?;
    if args.steps.is_empty() {
        return Ok(short.into());
    }
    let steps = args
        .steps
        .iter()
        .map(|text| text.parse::<Step>().map_err(|error| see(format!("--step {text}: {error}"))));
    let recipe = Recipe::new(steps.collect::<Result<Vec<_>, Exit>>()?, args.seed)
        .map_err(|error| see(error.to_string()))?;
    if recipe.observation().is_some() {
        return Err(Exit::usage(NO_OBSERVATION.to_owned()));
    }
    Ok(recipe)
}

const NO_OBSERVATION: &str =
    "what is observed is a table: ask for it in a pipeline (pipelines/atlas.toml)";

/// The arguments as one checked request.
fn request(workspace: &Workspace, args: &Args) -> Result<CellRequest> {
    let (recipe, task) = (recipe(args)?, own_task(args)?);
    let needs_calibration = recipe.needs_calibration();
    if needs_calibration && args.calibrate.is_none() {
        let step = recipe.steps().iter().find(|step| step.needs_calibration());
        let message = match (recipe.treatment().and_then(|own| own.score), step) {
            (Some(score), _) => format!(
                "the score `{score}` chooses this kept set on calibration text: give --calibrate FILE"
            ),
            (None, Some(step)) => {
                format!("step `{step}` looks at calibration text: give --calibrate FILE")
            }
            (None, None) => "a step looks at calibration text: give --calibrate FILE".to_owned(),
        };
        return Err(Exit::usage(message).into());
    }
    if !needs_calibration && args.calibrate.is_some() {
        eprintln!("note: nothing is chosen on calibration text here: --calibrate is not used");
    }
    let calibration = args.calibrate.as_deref().filter(|_| needs_calibration);
    let is_text = args.protocol.measure() == Measure::MeanLoss;
    if args.compare.is_some() && !is_text {
        let message =
            "--compare looks at the predictions of windows of text: give --protocol ppl-T";
        return Err(Exit::usage(message).into());
    }
    if args.shape.is_some() && args.protocol.task().is_some() {
        return Err(Exit::usage("--shape is of texts: a task has items").into());
    }
    let given = args.dataset.to_str().filter(|_| !args.dataset.exists()).unwrap_or_default();
    datasets::check_protocol(given, args.protocol).map_err(Exit::usage)?;
    let (dataset, reading) = text(workspace, args, &args.dataset)?;
    let calibration = match calibration {
        None => None,
        Some(given) => {
            let (path, reading) = text(workspace, args, given)?;
            let limit = as_count(args.calibrate_limit);
            let window_tokens = as_count(args.calibrate_window);
            Some(CalibrationText { path, reading, limit, window_tokens })
        }
    };
    let model = model_path(workspace, &args.model)
        .map_err(|problem| Exit::inputs(format!("--model: {problem}")))?;
    Ok(CellRequest {
        model,
        dataset,
        reading,
        protocol: args.protocol,
        task,
        recipe,
        compare: args.compare,
        limit: as_count(args.limit),
        offset: as_count(args.offset),
        calibration,
        device: args.device,
        time_steps: args.time_steps,
        decode: args.decode,
        json: args.json,
    })
}

/// The file that defines the task of the protocol, where it is a user's own.
fn own_task(args: &Args) -> Result<Option<PathBuf>, Exit> {
    let is_known = |task: TaskName| datasets::tasks().any(|known| known == task.as_str());
    match (args.protocol.task(), &args.task) {
        (None, Some(_)) => {
            let message =
                format!("--task belongs to --protocol choice-TASK, not {}", args.protocol);
            Err(Exit::usage(message))
        }
        (Some(task), Some(_)) if is_known(task) => {
            let message = format!("`{task}` is a task of this project: give yours another name");
            Err(Exit::usage(message))
        }
        (Some(task), None) if !is_known(task) => {
            let error = UnknownName::new("task", task.as_str(), datasets::tasks());
            Err(Exit::usage(format!("{error}; or give --task, the TOML file that defines it")))
        }
        (_, task) => Ok(task.as_deref().map(absolute)),
    }
}

/// A text by its path, or by its name where no such file is there, and how it is read.
fn text(workspace: &Workspace, args: &Args, given: &Path) -> Result<(PathBuf, Reading)> {
    let name = given.to_str().filter(|name| datasets::find(name).is_some() && !given.exists());
    if let Some(name) = name {
        let found = texts::find_known(workspace, name, &workspace.data_lock()?)
            .map_err(|problem| Exit::inputs(format!("text `{name}`: {problem}")))?;
        return Ok((found.path, found.reading));
    }
    // The other formats say themselves what they hold.
    let is_text = args.protocol.task().is_none() || args.calibrate.as_deref() == Some(given);
    let is_parquet = is_text && given.extension().is_some_and(|ending| ending == "parquet");
    if is_parquet && args.shape.is_none() {
        let message = "a .parquet text needs --shape rows or --shape documents";
        return Err(Exit::usage(message).into());
    }
    let shape = args.shape.filter(|_| is_parquet);
    Ok((absolute(given), Reading { shape, documents: None }))
}

/// All files that are missing, at once.
fn check_files(workspace: &Workspace, request: &CellRequest) -> Result<(), Exit> {
    let mut problems: Vec<String> =
        model_problems(workspace, &request.model, Reads::WeightsAndTokenizer)
            .into_iter()
            .map(|problem| format!("--model: {problem}"))
            .collect();
    let mut check = |flag: &str, path: &Path| {
        if !path.is_file() {
            let known = datasets::examples().collect::<Vec<_>>().join(", ");
            let shown = workspace.show(path);
            problems.push(format!("{flag}: {shown} is no file, nor a known text ({known})"));
        }
    };
    check("--dataset", &request.dataset);
    if let Some(calibration) = &request.calibration {
        check("--calibrate", &calibration.path);
    }
    if let Some(task) = request.task.as_deref().filter(|task| !task.is_file()) {
        problems.push(format!("--task: {} is no file", workspace.show(task)));
    }
    if problems.is_empty() { Ok(()) } else { Err(Exit::inputs(problems.join("\n  "))) }
}

//! One model of a plan: its rows and peers, timed in turn.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use plan::{
    CalibrationText, CellRequest, DENSE_ROW, DeviceName, Protocol, Reading, SpeedAsk, SpeedLoss,
    SpeedMeasure, SpeedModel, SpeedPeer, SpeedReady, SpeedRequest, SpeedRow, TimeSteps, Timed,
    WeightType, ZeroEntries, datasets,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::has_peer;
use super::process::Process;
use super::spread::Spread;
use crate::exit::Exit;
use crate::inputs::{Reads, model_problems};
use crate::python::succeed;
use crate::stop::Stop;
use crate::texts;
use crate::workspace::Workspace;

/// Threads of whoever was timed before may look for work for a while (OpenMP's do for a fifth of a second)
/// before they sleep.
const SETTLE: Duration = Duration::from_millis(400);
/// Windows of made-up ids, where cuts look at text and there is none, and their tokens.
const MADE_UP: (usize, usize) = (4, 512);
/// Losses of programs that run the same weights on the same ids agree this closely, in nats.
const NATS: f64 = 1e-3;
/// The same of what leaves out zeros, as a share of the loss: the sums have another order.
const OF_ZEROS: f64 = 1e-5;

/// Who runs, and how often.
pub(super) struct Sides<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) worker: &'a Path,
    pub(super) python: Option<&'a Path>,
    pub(super) llama_python: Option<&'a Path>,
    pub(super) threads: usize,
    pub(super) repeats: usize,
    pub(super) stop: Stop,
}

/// What a peer says when it is ready.
#[derive(Deserialize)]
struct PeerReady {
    parameters: u64,
    about: String,
}

/// A process and what was measured of it.
struct Runner {
    process: Process,
    about: About,
    /// By [`SpeedMeasure`]: prefill, decode.
    timed: [Vec<Timed>; 2],
    loss: Option<SpeedLoss>,
}

/// What stands in a row beside what is measured.
struct About {
    program: String,
    recipe: String,
    weights: WeightType,
    zeros: ZeroEntries,
    parameters: u64,
    stored_bytes: Option<u64>,
}

const MEASURES: [(SpeedMeasure, SpeedAsk); 2] =
    [(SpeedMeasure::Prefill, SpeedAsk::Prefill), (SpeedMeasure::Decode, SpeedAsk::Decode)];

/// Times a model; its rows, and its targets with what came out.
pub(super) fn run(sides: &Sides<'_>, model: &SpeedModel) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut runners = Vec::new();
    let mut ids = Vec::new();
    for row in &model.rows {
        sides.stop.check()?;
        eprintln!("{}: {} is made ready", model.name, row.name);
        let (runner, own) = worker(sides, model, row)?;
        if row.name == DENSE_ROW {
            ids = own;
        }
        runners.push(runner);
    }
    for peer in &model.peers {
        sides.stop.check()?;
        match peer_of(sides, model, *peer, &ids) {
            Ok(Some(runner)) => runners.push(runner),
            Ok(None) => {}
            Err(error) => return Err(error.context(peer.name())),
        }
    }
    time(sides, model, &mut runners)?;
    for runner in runners.iter_mut().take(model.rows.len()) {
        let loss: SpeedLoss = runner.process.ask(SpeedAsk::Loss)?;
        if runner.about.zeros == ZeroEntries::Skip && loss.zeros.is_none_or(|share| share == 0.0) {
            let row = runner.process.name();
            eprintln!("{}: {row}: nothing is left out, for nothing is exactly zero", model.name);
        }
        runner.loss = Some(loss);
    }
    agree(&runners)?;
    let rows = runners.iter().map(|own| own.row(&model.name, &runners[0])).collect();
    Ok((rows, aims(model, &runners)))
}

/// What a model lacks, a line each.
pub(super) fn problems(workspace: &Workspace, model: &SpeedModel) -> Vec<String> {
    let reads = match model.dataset {
        Some(_) => Reads::WeightsAndTokenizer,
        None => Reads::Weights,
    };
    let mut problems = model_problems(workspace, &workspace.root().join(&model.path), reads);
    for given in model.dataset.iter().chain(&model.calibrate) {
        match text(workspace, given) {
            Ok((path, _)) if !path.is_file() => {
                problems.push(format!("text {} is missing", workspace.show(&path)));
            }
            Ok(_) => {}
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    problems.into_iter().map(|problem| format!("{}: {problem}", model.name)).collect()
}

fn worker(sides: &Sides<'_>, model: &SpeedModel, row: &SpeedRow) -> Result<(Runner, Vec<u32>)> {
    let request = request(sides, model, row)?;
    let recipe = request.cell.recipe.text();
    let mut process = Process::worker(sides.worker, &request, &row.name)?;
    let SpeedReady { ids, parameters, stored_bytes } = process.hear()?;
    let about = About {
        program: "slim".to_owned(),
        recipe,
        weights: row.weights,
        zeros: row.zeros,
        parameters,
        stored_bytes: Some(stored_bytes),
    };
    Ok((Runner { process, about, timed: Default::default(), loss: None }, ids))
}

fn request(sides: &Sides<'_>, model: &SpeedModel, row: &SpeedRow) -> Result<SpeedRequest> {
    let recipe = row.recipe().map_err(Exit::usage)?;
    let made_up = model.dataset.is_none();
    let (dataset, reading) = match &model.dataset {
        Some(given) => text(sides.workspace, given)?,
        None => (PathBuf::new(), Reading::default()),
    };
    let calibration = match (&model.calibrate, recipe.needs_calibration()) {
        (_, false) => None,
        (Some(given), true) => {
            let (path, reading) = text(sides.workspace, given)?;
            let limit = model.calibrate_limit;
            Some(CalibrationText { path, reading, limit, window_tokens: None })
        }
        (None, true) if made_up => Some(CalibrationText {
            path: PathBuf::new(),
            reading: Reading::default(),
            limit: Some(MADE_UP.0),
            window_tokens: Some(MADE_UP.1),
        }),
        (None, true) => {
            let message = format!("row `{}` looks at text: give the model `calibrate`", row.name);
            return Err(Exit::usage(message).into());
        }
    };
    let cell = CellRequest {
        model: sides.workspace.root().join(&model.path),
        dataset,
        reading,
        protocol: model.protocol.unwrap_or(Protocol::LambadaLastToken),
        task: None,
        recipe,
        offset: None,
        compare: None,
        limit: model.limit,
        calibration,
        device: DeviceName::Cpu,
        time_steps: TimeSteps::default(),
        decode: false,
        json: true,
    };
    let SpeedRow { weights, zeros, .. } = *row;
    let (tokens, threads) = (model.tokens, sides.threads);
    Ok(SpeedRequest { cell, made_up, weights, zeros, tokens, threads })
}

/// A text by its path, or by its name where no such file is there.
fn text(workspace: &Workspace, given: &Path) -> Result<(PathBuf, Reading)> {
    let path = workspace.root().join(given);
    let name = given.to_str().filter(|name| datasets::find(name).is_some() && !path.exists());
    let Some(name) = name else { return Ok((path, Reading::default())) };
    let found = texts::find_known(workspace, name, &workspace.data_lock()?)
        .map_err(|problem| Exit::inputs(format!("text `{name}`: {problem}")))?;
    Ok((found.path, found.reading))
}

/// A peer that is ready; none where it is not to be had, which is said.
fn peer_of(
    sides: &Sides<'_>,
    model: &SpeedModel,
    peer: SpeedPeer,
    ids: &[u32],
) -> Result<Option<Runner>> {
    let python = match peer {
        SpeedPeer::Transformers => sides.python,
        SpeedPeer::LlamaCpp => sides.llama_python,
    };
    if let Err(reason) = has_peer(python, peer) {
        eprintln!("{}: {} is left out: {reason}", model.name, peer.name());
        return Ok(None);
    }
    let root = sides.workspace.root();
    let folder = root.join(model.folder.as_ref().unwrap_or(&model.path));
    if !folder.exists()
        && let Some(python) = sides.python
    {
        eprintln!("{}: its weights as a folder: {}", model.name, sides.workspace.show(&folder));
        let script = root.join("bench/peer/to_hf.py");
        succeed(Command::new(python).arg(script).arg(root.join(&model.path)).arg(&folder))?;
    }
    let file = match (peer, &model.gguf) {
        (SpeedPeer::Transformers, _) => folder,
        (SpeedPeer::LlamaCpp, Some(gguf)) => {
            let gguf = root.join(gguf);
            if !gguf.is_file() {
                let Some(python) = sides.python else {
                    eprintln!(
                        "{}: llama.cpp is left out: {} is missing",
                        model.name,
                        gguf.display()
                    );
                    return Ok(None);
                };
                let script = root.join("bench/peer/to_gguf.py");
                succeed(Command::new(python).arg(script).arg(&folder).arg(&gguf))?;
            }
            gguf
        }
        (SpeedPeer::LlamaCpp, None) => {
            let message = format!("model `{}` names no `gguf` for llama.cpp", model.name);
            return Err(Exit::usage(message).into());
        }
    };
    eprintln!("{}: {} is made ready", model.name, peer.name());
    let mut command = Command::new(python.unwrap_or(Path::new("python3")));
    command.arg(root.join("bench/peer/speed.py")).arg(peer.name()).arg(file);
    command.args(["--threads", &sides.threads.to_string()]);
    let mut process = Process::peer(&mut command, peer.name())?;
    let PeerReady { parameters, about } = process.hear()?;
    process.tell(&json!({ "ids": ids, "tokens": model.tokens }))?;
    let about = About {
        program: about,
        recipe: String::new(),
        weights: WeightType::F32,
        zeros: ZeroEntries::Read,
        parameters,
        stored_bytes: None,
    };
    Ok(Some(Runner { process, about, timed: Default::default(), loss: None }))
}

/// Everything in turn, after one round that is not counted.
fn time(sides: &Sides<'_>, model: &SpeedModel, runners: &mut [Runner]) -> Result<()> {
    let n = runners.len();
    for repeat in 0..=sides.repeats {
        match repeat {
            0 => eprintln!("{}: warming up", model.name),
            _ => eprintln!("{}: {repeat} of {}", model.name, sides.repeats),
        }
        for (index, (_, ask)) in MEASURES.into_iter().enumerate() {
            // Another one begins in every round, and every second round goes backwards, so that none
            // always follows the same.
            for turn in 0..n {
                let turn = if repeat % 2 == 0 { turn } else { n - 1 - turn };
                let runner = &mut runners[(turn + repeat) % n];
                sides.stop.check()?;
                sleep(SETTLE);
                let timed: Timed = runner.process.ask(ask)?;
                if repeat > 0 {
                    runner.timed[index].push(timed);
                }
            }
        }
    }
    Ok(())
}

/// What runs the same model must come to the same loss: else there is nothing to compare.
fn agree(runners: &[Runner]) -> Result<()> {
    let dense = &runners[0];
    for other in runners {
        let is_peer = other.about.program != dense.about.program;
        let skips_zeros = other.about.zeros == ZeroEntries::Skip
            && other.about.recipe == dense.about.recipe
            && other.about.weights == dense.about.weights;
        for (own, of_dense) in other.timed.iter().zip(&dense.timed) {
            let (Some(own), Some(of_dense)) = (own.first(), of_dense.first()) else { continue };
            let apart = (own.nll_nats - of_dense.nll_nats).abs();
            let allowed = match (is_peer, skips_zeros) {
                (true, _) => NATS,
                (_, true) => OF_ZEROS * of_dense.nll_nats.abs(),
                _ => continue,
            };
            ensure!(
                apart <= allowed,
                "{} has a loss of {} nats on the same ids, dense {}: no comparison",
                other.process.name(),
                own.nll_nats,
                of_dense.nll_nats
            );
        }
    }
    Ok(())
}

impl Runner {
    /// Tokens per second, repeat by repeat.
    fn rates(&self, measure: SpeedMeasure) -> Spread {
        let timed = &self.timed[measure as usize];
        Spread(timed.iter().map(|own| own.tokens as f64 / own.seconds).collect())
    }

    fn row(&self, model: &str, dense: &Runner) -> Value {
        let About { program, recipe, weights, zeros, parameters, stored_bytes } = &self.about;
        let last = |index: usize| self.timed[index].last();
        let a_token = |own: &Timed| Some(own.weight_bytes? as f64 / own.tokens as f64);
        let peak = self.timed.iter().flatten().map(|own| own.peak_rss_bytes).max();
        let cores = |measure: SpeedMeasure| {
            let timed = &self.timed[measure as usize];
            let a_token = |own: &Timed| Some(own.core_seconds? / own.tokens as f64);
            Spread(timed.iter().filter_map(a_token).collect()).median()
        };
        let perplexity = |own: &Runner| own.loss.and_then(|loss| loss.perplexity);
        let times = perplexity(self).zip(perplexity(dense)).map(|(own, dense)| own / dense);
        let over = |measure| self.rates(measure).over(&dense.rates(measure)).json();
        json!({
            "model": model,
            "row": self.process.name(),
            "program": program,
            "recipe": recipe,
            "weights": weights.name(),
            "zeros": zeros,
            "parameters": parameters,
            "stored_bytes": stored_bytes,
            "prefill_tokens_per_second": self.rates(SpeedMeasure::Prefill).json(),
            "decode_tokens_per_second": self.rates(SpeedMeasure::Decode).json(),
            "prefill_over_dense": over(SpeedMeasure::Prefill),
            "decode_over_dense": over(SpeedMeasure::Decode),
            "decode_core_seconds_per_token": cores(SpeedMeasure::Decode),
            "weight_bytes_per_token": last(1).and_then(a_token),
            "cache_bytes": last(1).and_then(|own| own.cache_bytes),
            "peak_rss_bytes": peak,
            "natural_zeros": self.loss.and_then(|loss| loss.zeros),
            "perplexity": perplexity(self),
            "perplexity_over_dense": times,
            "decode_nll_nats": last(1).map(|own| own.nll_nats),
        })
    }
}

/// What came out of the targets whose sides ran.
fn aims(model: &SpeedModel, runners: &[Runner]) -> Vec<Value> {
    let find = |name: &str| runners.iter().find(|own| own.process.name() == name);
    let aims = model.targets.iter().filter_map(|target| {
        let (of, over) = (find(&target.of)?, find(&target.over)?);
        let ratio = of.rates(target.measure).over(&over.rates(target.measure));
        Some(json!({
            "model": model.name,
            "of": target.of,
            "over": target.over,
            "measure": target.measure.name(),
            "ratio": ratio.json(),
            "target": target.least,
        }))
    });
    aims.collect()
}

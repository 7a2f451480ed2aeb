//! Seconds to decode a token of the recipes that are left, as `cargo xtask speed` times models: each in a
//! process of its own, in turn. They are kept beside the results, so that a resumed run decides as it did.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plan::{
    CalibrationText, CellRequest, DeviceName, Reading, Recipe, SpeedAsk, SpeedReady, SpeedRequest,
    SpeedTokens, Timed, WeightType, ZeroEntries,
};

use super::setup::Setup;
use crate::speed::Process;
use crate::stop::Stop;

/// The file of the run's folder.
const FILE: &str = "seconds.json";
/// Few enough for models of few positions.
const TOKENS: SpeedTokens = SpeedTokens { prefill: 64, prompt: 64, decode: 64 };
/// Rounds that count, behind one that does not.
const ROUNDS: usize = 5;
/// Windows of made-up text that recipes look at: what is timed hangs on shapes, not on values.
const MADE_UP: (usize, usize) = (2, 64);

/// Median seconds a token, in the order of the recipes; none where it was stopped.
pub(super) fn of(
    setup: &Setup,
    worker: &Path,
    results: &Path,
    recipes: &[&Recipe],
    stop: &Stop,
) -> Result<Option<Vec<f64>>> {
    let file = results.join(FILE);
    let mut known = read(&file)?;
    let key =
        |recipe: &Recipe| format!("{} {}", setup.order.provenance.code_version, recipe.text());
    let of = |known: &BTreeMap<String, f64>| -> Option<Vec<f64>> {
        recipes.iter().map(|recipe| known.get(&key(recipe)).copied()).collect()
    };
    if let Some(found) = of(&known) {
        return Ok(Some(found));
    }
    // Those of another moment are no measure beside new ones: all are timed side by side.
    let Some(found) = timed(setup, worker, recipes, stop)? else { return Ok(None) };
    known.extend(recipes.iter().map(|recipe| key(recipe)).zip(found.iter().copied()));
    let text = serde_json::to_string_pretty(&known).context("cannot encode what was timed")?;
    files::write(&file, text.as_bytes()).context("cannot keep what was timed")?;
    Ok(Some(found))
}

fn read(file: &Path) -> Result<BTreeMap<String, f64>> {
    if !file.is_file() {
        return Ok(BTreeMap::new());
    }
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!("{} is damaged: remove it, and models are timed again", file.display())
    })
}

fn timed(
    setup: &Setup,
    worker: &Path,
    recipes: &[&Recipe],
    stop: &Stop,
) -> Result<Option<Vec<f64>>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut processes = Vec::new();
    for recipe in recipes {
        stop.check()?;
        let mut process =
            Process::worker(worker, &request(setup, recipe, threads), &recipe.label())?;
        process.hear::<SpeedReady>()?;
        processes.push((process, Vec::new()));
    }
    let n = processes.len();
    for round in 0..=ROUNDS {
        eprintln!("{}, timing {n} models: {round} of {ROUNDS}", setup.order.run);
        for turn in 0..n {
            if stop.asked() {
                return Ok(None);
            }
            // Another one begins in every round, so that none always follows the same.
            let (process, seconds) = &mut processes[(turn + round) % n];
            let Timed { tokens, seconds: took, .. } = process.ask(SpeedAsk::Decode)?;
            if round > 0 {
                seconds.push(took / tokens as f64);
            }
        }
    }
    let median = |mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    Ok(Some(processes.into_iter().map(|(_, seconds)| median(seconds)).collect()))
}

fn request(setup: &Setup, recipe: &Recipe, threads: usize) -> SpeedRequest {
    let model = setup.order.models.first();
    let calibration = recipe.needs_calibration().then(|| CalibrationText {
        path: PathBuf::new(),
        reading: Reading::default(),
        limit: Some(MADE_UP.0),
        window_tokens: Some(MADE_UP.1),
    });
    let cell = CellRequest {
        model: model.map(|own| own.path.clone()).unwrap_or_default(),
        dataset: PathBuf::new(),
        reading: Reading::default(),
        protocol: plan::Protocol::LambadaLastToken,
        task: None,
        recipe: recipe.clone(),
        compare: None,
        limit: None,
        offset: None,
        calibration,
        device: DeviceName::Cpu,
        time_steps: model.map(|own| own.time_steps).unwrap_or_default(),
        decode: false,
        json: true,
    };
    let (weights, zeros) = (WeightType::F32, ZeroEntries::Read);
    SpeedRequest { cell, made_up: true, weights, zeros, tokens: TOKENS, threads }
}

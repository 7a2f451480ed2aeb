//! Cuts of layers, of rank and rotations on a real model: what each step took and what perplexity is left;
//! for `blocks`, how nearly affine every layer is; for `directions=LAYER/R` alone, how the variance of the
//! stream's directions goes with what the loss minds.
//!
//! ```text
//! cargo run --release -p cuts --example layers -- MODEL WINDOWS.json blocks angular=3 svd=200,4/64
//! ```
//!
//! `WINDOWS.json` holds token ids, `{"calibration": [[…], …], "test": [[…], …]}`.

#![allow(clippy::print_stdout, reason = "what an example says")]

use std::{error::Error, path::Path, sync::Arc, time::Instant};

use cuts::{
    BitCut, BitMethod, DirectionChoice, Directions, DropScore, FitInputs, LayerDrop, Linearise,
    LowRankCut, LowRankMethod, Rounding, Slim, Watch, directions, drop_layers, linear_blocks,
    linearise, rotate,
};
use models::{Batch, Dense, Device, Model, load, nll_by_sequence};
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Token ids, for calibration and to measure on.
struct Text {
    calibration: Vec<Vec<u32>>,
    test: Vec<Vec<u32>>,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, windows, steps @ ..] = &arguments[..] else {
        return Err("name a model and a file of windows".into());
    };
    let windows: Value = serde_json::from_str(&std::fs::read_to_string(windows)?)?;
    let [calibration, test] = ["calibration", "test"].map(|name| ids(&windows[name]));
    let text = Text { calibration, test };
    let mut slim = Slim::dense(load(Path::new(model), &Device::flex())?.model);
    if let [step] = steps
        && let Some(setting) = step.strip_prefix("directions=")
    {
        return measure_directions(Path::new(model), setting, &text);
    }
    for step in steps {
        let began = Instant::now();
        slim = match step.split_once('=') {
            Some((method, setting)) => cut(&slim, method, setting, &text)?,
            None => {
                let (windows, held_out) = (&text.calibration, &text.test);
                let found = linear_blocks(&*slim.model, windows, held_out, &Watch::default())?;
                println!("R² of every layer: {:.4?}", found.unwrap_or_default());
                slim
            }
        };
        println!("{step}: {:.2} s", began.elapsed().as_secs_f64());
    }
    let (bytes, parameters) = (slim.storage.bytes(), slim.storage.parameters());
    let perplexity = perplexity(&*slim.model, &text.test)?;
    println!("{perplexity:.4} perplexity, {bytes} bytes, {parameters} parameters");
    Ok(())
}

fn ids(windows: &Value) -> Vec<Vec<u32>> {
    let id = |id: &Value| id.as_u64().map(|id| id as u32);
    let window = |window: &Value| window.as_array().into_iter().flatten().filter_map(id).collect();
    windows.as_array().into_iter().flatten().map(window).collect()
}

fn rounding(text: &str) -> Outcome<Rounding> {
    let (bits, group) = text.split_once('/').ok_or("bits/group")?;
    Ok(Rounding { bits: bits.parse()?, group: group.parse()? })
}

fn cut(slim: &Slim, method: &str, setting: &str, text: &Text) -> Outcome<Slim> {
    let (watch, windows) = (Watch::default(), &text.calibration);
    let stopped = || -> Box<dyn Error> { "stopped".into() };
    if let Ok(score) = DropScore::named(method) {
        let cut = LayerDrop { score, n: setting.parse()?, seed: 1 };
        let dropped = drop_layers(slim, &cut, windows, &watch)?.ok_or_else(stopped)?;
        println!("dropped {:?} of {:.6?}", dropped.layers, dropped.distances);
        return Ok(dropped.slim);
    }
    if let Ok(method) = LowRankMethod::named(method) {
        let (rank, bits) = setting.split_once(',').unzip();
        let rounding = bits.map(rounding).transpose()?;
        let cut = LowRankCut { method, rank: rank.unwrap_or(setting).parse()?, rounding };
        return cut.apply(slim.shared(), windows, &watch)?.ok_or_else(stopped);
    }
    if let Ok(method) = BitMethod::named(method) {
        let cut = BitCut { method, rounding: rounding(setting)? };
        return cut.apply(slim.shared(), windows, &watch)?.ok_or_else(stopped);
    }
    match method {
        "rotate" => Ok(rotate(slim, setting.parse()?)?),
        "linearise" => {
            let (layers, rank) = setting.split_once('/').unzip();
            let layers = layers.unwrap_or(setting).split(',').map(str::parse);
            let layers = layers.collect::<Result<Vec<usize>, _>>()?;
            let rank = rank.map(str::parse).transpose()?;
            let cut = Linearise { layers: &layers, rank, inputs: FitInputs::Drifted };
            let found = linearise(slim, &cut, windows, &text.test, &watch)?.ok_or_else(stopped)?;
            println!("R² by layer: {:.4?}", found.r_squared);
            Ok(found.slim)
        }
        _ => Err(format!("`{method}` is unknown").into()),
    }
}

/// Spearman's correlation of variance and sensitivity at every layer, and the perplexity with the stream of
/// one layer projected on some directions: `LAYER/DIRECTIONS`.
fn measure_directions(path: &Path, setting: &str, text: &Text) -> Outcome<()> {
    let began = Instant::now();
    let recording = load(path, &Device::flex().autodiff())?.model;
    let found = directions(&*recording, &text.calibration, &Watch::default())?.unwrap_or_default();
    drop(recording);
    let ranks: Vec<f64> = found.iter().map(Directions::spearman).collect();
    println!("Spearman by layer: {ranks:.3?}, {:.2} s", began.elapsed().as_secs_f64());
    let (layer, r) = setting.split_once('/').ok_or("layer/directions")?;
    let (layer, r): (usize, usize) = (layer.parse()?, r.parse()?);
    let at = found.get(layer).ok_or("no such layer")?;
    let model: Arc<dyn Model> = Arc::from(load(path, &Device::flex())?.model);
    for choice in
        [DirectionChoice::Variance, DirectionChoice::Sensitivity, DirectionChoice::Random(1)]
    {
        let projected = at.project(model.clone(), &at.chosen(choice, r))?;
        let perplexity = perplexity(&projected, &text.test)?;
        println!("{perplexity:.3} perplexity on {r} directions of layer {layer} by {choice:?}");
    }
    Ok(())
}

/// exp of the mean negative log-likelihood of all tokens but the first of each window.
fn perplexity(model: &dyn Model, windows: &[Vec<u32>]) -> Outcome<f64> {
    let (mut sum, mut targets) = (0.0, 0);
    for window in windows {
        let batch = Batch::new([window.as_slice()]);
        let hidden = model.forward(&batch, &mut Dense)?;
        sum += nll_by_sequence(model, &hidden, &batch)?.iter().sum::<f64>();
        targets += window.len() - 1;
    }
    Ok((sum / targets as f64).exp())
}

//! Perplexity of a model after some cuts, with what they took and what is stored.
//!
//! ```text
//! cargo run --release -p cuts --example perplexity -- MODEL WINDOWS.json wanda=0.5 rtn=4/64
//! ```
//!
//! `WINDOWS.json` holds token ids, `{"calibration": [[…], …], "test": [[…], …]}`. A step is a method and its
//! share or pattern (`sparsegpt=2:4`), or its bits and group; `sparsegpt=0.5,4/64` does both at once.

#![allow(clippy::print_stdout, reason = "what an example says")]

use std::{error::Error, path::Path, time::Instant};

use cuts::{
    BITS, BitCut, BitMethod, Rounding, Slim, Watch, WeightCut, WeightMethod, cut_weights,
    round_weights,
};
use models::{Batch, Dense, Device, Model, load, nll_by_sequence};
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, windows, steps @ ..] = &arguments[..] else {
        return Err("name a model and a file of windows".into());
    };
    let text: Value = serde_json::from_str(&std::fs::read_to_string(windows)?)?;
    let [calibration, test] = ["calibration", "test"].map(|name| ids(&text[name]));
    let mut slim = Slim::dense(load(Path::new(model), &Device::flex())?.model);
    println!("peak after loading {} MB", peak_mb());
    for step in steps {
        let began = Instant::now();
        slim = cut(&slim, step, &calibration)?;
        println!("{step}: {:.2} s, peak {} MB", began.elapsed().as_secs_f64(), peak_mb());
    }
    let (bytes, parameters) = (slim.storage.bytes(), slim.storage.parameters());
    println!(
        "{:.4} perplexity, {bytes} bytes, {parameters} parameters",
        perplexity(&*slim.model, &test)?
    );
    Ok(())
}

fn ids(windows: &Value) -> Vec<Vec<u32>> {
    let ids = |window: &Value| {
        window
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_u64().map(|id| id as u32))
            .collect()
    };
    windows.as_array().into_iter().flatten().map(ids).collect()
}

fn rounding(text: &str) -> Outcome<Rounding> {
    let (bits, group) = text.split_once('/').ok_or("bits/group")?;
    Ok(Rounding { bits: bits.parse()?, group: group.parse()? })
}

fn cut(slim: &Slim, step: &str, calibration: &[Vec<u32>]) -> Outcome<Slim> {
    let (method, setting) = step.split_once('=').ok_or("a step is method=setting")?;
    let watch = Watch::default();
    let slim = if BITS.iter().any(|(name, _)| *name == method) {
        let cut = BitCut { method: BitMethod::named(method)?, rounding: rounding(setting)? };
        round_weights(slim, &cut, calibration, &watch)?
    } else {
        let (pattern, bits) = setting.split_once(',').unzip();
        let pattern = pattern.unwrap_or(setting).parse()?;
        let cut = WeightCut {
            rounding: bits.map(rounding).transpose()?,
            ..WeightCut::new(WeightMethod::named(method)?, pattern)
        };
        cut_weights(slim, &cut, calibration, &watch)?
    };
    slim.ok_or_else(|| "stopped".into())
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

/// The largest resident set so far; 0 where the system does not tell.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

//! What one pass that gathers the moments of all forward-only scores costs beside a dense forward pass, without
//! those of heads and with them:
//!
//! ```text
//! cargo run --release -p importance --example calibration_cost -- MODEL...
//! ```
//!
//! They take turns, so that a busy machine slows them alike; the ratio is the median over the rounds.

#![allow(clippy::print_stdout, reason = "what it is for")]

use std::{error::Error, path::Path, sync::Arc, time::Instant};

use importance::{AllHeadEffects, Calibrating};
use models::{Batch, Dense, Device, Executor, load};

const ROUNDS: usize = 41;
const SEQUENCES: usize = 4;
const TOKENS: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    for path in std::env::args().skip(1) {
        let model = load(Path::new(&path), &Device::flex())?.model;
        let vocabulary = model.facts().vocabulary;
        let ids: Vec<u32> =
            (0..SEQUENCES * TOKENS).map(|i| (i * 7919 % vocabulary) as u32).collect();
        let batch = Batch::new(ids.chunks(TOKENS));
        let seconds = |executor: &mut dyn Executor| -> Result<f64, Box<dyn Error>> {
            let start = Instant::now();
            model.forward(&batch, executor)?;
            Ok(start.elapsed().as_secs_f64())
        };
        let effects = Arc::new(AllHeadEffects::new(model.attentions().len()));
        let (mut dense, mut ratios) = (Vec::new(), [Vec::new(), Vec::new()]);
        for _ in 0..ROUNDS {
            let before = seconds(&mut Dense)?;
            let plain = seconds(&mut Calibrating::new())?;
            let with_heads = seconds(&mut Calibrating::with_heads(Arc::clone(&effects)))?;
            let after = seconds(&mut Dense)?;
            dense.push(before);
            for (ratios, own) in ratios.iter_mut().zip([plain, with_heads]) {
                ratios.push(2.0 * own / (before + after));
            }
        }
        let [_, dense, _] = quartiles(dense);
        println!("{path}: dense {:.1} ms", dense * 1e3);
        for (what, ratios) in ["calibrating", "with heads"].into_iter().zip(ratios) {
            let [low, ratio, high] = quartiles(ratios);
            println!("  {what} {ratio:.3} × that (quartiles {low:.3}, {high:.3})");
        }
    }
    Ok(())
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

//! What one pass that gathers the moments of all forward-only scores costs beside a dense forward pass:
//!
//! ```text
//! cargo run --release -p importance --example calibration_cost -- MODEL...
//! ```
//!
//! The two take turns, so that a busy machine slows them alike; the ratio is the median over the rounds.

#![allow(clippy::print_stdout, reason = "what it is for")]

use std::{error::Error, path::Path, time::Instant};

use importance::Calibrating;
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
        let (mut dense, mut ratios) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let before = seconds(&mut Dense)?;
            let calibrating = seconds(&mut Calibrating::new())?;
            let after = seconds(&mut Dense)?;
            dense.push(before);
            ratios.push(2.0 * calibrating / (before + after));
        }
        let [_, dense, _] = quartiles(dense);
        let [low, ratio, high] = quartiles(ratios);
        println!(
            "{path}: dense {:.1} ms, calibrating {ratio:.3} × that (quartiles {low:.3}, {high:.3})",
            dense * 1e3
        );
    }
    Ok(())
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

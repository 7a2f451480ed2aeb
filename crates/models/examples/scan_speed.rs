//! How fast the chunked scan of a mixer is beside the plain recurrence, and the model that it stands in:
//!
//! ```text
//! cargo run --release -p models --example scan_speed -- MODEL [TOKENS]
//! ```
//!
//! Every figure is the median of rounds in which the ways take turns, so that a busy machine slows them
//! alike.

#![allow(clippy::print_stdout, reason = "what it is for")]

use std::{error::Error, path::Path, time::Instant};

use models::{Batch, Dense, Device, Mixer, Model, StateInputs, load, matrix};

const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: scan_speed MODEL [TOKENS]")?;
    let tokens = arguments.next().map_or(Ok(1024), |tokens| tokens.parse())?;
    let model = load(Path::new(&path), &Device::flex())?.model;
    let mixers = model.mixers();
    let mixer = mixers.first().ok_or("the model has no mixer")?;
    let vocabulary = model.facts().vocabulary;
    let ids: Vec<u32> = (0..tokens).map(|i| (i * 7919 % vocabulary) as u32).collect();
    let batch = Batch::new([ids.as_slice()]);
    println!("{:?}, {tokens} tokens", mixer.shape());

    let [mut scan, mut recurrence, mut forward, mut head] = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let inputs = inputs(mixer, tokens);
        scan.push(seconds(|| mixer.scan(inputs.clone(), &batch, None)));
        recurrence.push(seconds(|| mixer.recurrence(inputs.clone(), &batch, None)));
        let mut hidden = None;
        forward.push(seconds(|| hidden = model.forward(&batch, &mut Dense).ok()));
        let hidden = hidden.ok_or("the forward pass failed")?;
        head.push(seconds(|| model.logits(hidden)));
    }
    let [scan, recurrence, forward, head] = [scan, recurrence, forward, head].map(median);
    let milliseconds = 1e3;
    println!("scan of one mixer:       {:8.2} ms", scan * milliseconds);
    println!("recurrence of one mixer: {:8.2} ms", recurrence * milliseconds);
    println!("ratio:                   {:8.2}", recurrence / scan);
    println!("scans in a forward pass: {:8.2} %", 100.0 * scan * mixers.len() as f64 / forward);
    println!("forward:                 {:8.1} tokens/s", tokens as f64 / forward);
    println!("forward and logits:      {:8.1} tokens/s", tokens as f64 / (forward + head));
    decode(model.as_ref(), &ids[..ids.len().min(16)])
}

/// Latency of one token at a time.
fn decode(model: &dyn Model, ids: &[u32]) -> Result<(), Box<dyn Error>> {
    let mut cache = model.new_cache();
    let mut each = Vec::new();
    for id in ids {
        let mut hidden = None;
        each.push(seconds(|| hidden = model.extend(&[*id], &mut cache, &mut Dense).ok()));
        hidden.ok_or("decoding failed")?;
    }
    println!("one token at a time:     {:8.2} ms a token", 1e3 * median(each));
    Ok(())
}

/// Numbers of the size that they have in a trained model.
fn inputs(mixer: &Mixer, tokens: usize) -> StateInputs {
    let shape = mixer.shape();
    let values = |width: usize, salt: usize, scale: f32, least: f32| {
        let value = |i: usize| ((i + salt) * 7919 % 1009) as f32 / 1009.0;
        let values = (0..tokens * width).map(|i| least + scale * value(i)).collect();
        matrix(values, [tokens, width], &Device::flex())
    };
    StateInputs {
        x: values(shape.inner(), 1, 2.0, -1.0),
        b: values(shape.mixed(), 2, 2.0, -1.0),
        c: values(shape.mixed(), 3, 2.0, -1.0),
        dt: values(shape.heads, 4, 0.1, 0.001),
    }
}

fn seconds<T>(run: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let result = run();
    let seconds = start.elapsed().as_secs_f64();
    drop(result);
    seconds
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

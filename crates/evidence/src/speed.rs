//! What `cargo xtask speed` left in a run: models as they ran, side by side.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tables::{Frame, Repeats};

use crate::table_file::{all, f64s, guarded, optional_f64s};

/// Repeats of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl From<Repeats> for Spread {
    fn from(Repeats { median, least, most }: Repeats) -> Self {
        Self { median, least, most }
    }
}

/// One model as it ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimedRow {
    /// The model.
    pub model: String,
    /// What the row is called; `dense` is what the others are compared with.
    pub row: String,
    /// What ran it: `slim`, or a peer with its version.
    pub program: String,
    /// Tokens one by one per second.
    pub decode_tokens_per_second: Spread,
    /// Tokens of a prompt per second.
    pub prefill_tokens_per_second: Spread,
    /// Both over the dense row's, repeat by repeat.
    pub decode_over_dense: Spread,
    /// Both over the dense row's, repeat by repeat.
    pub prefill_over_dense: Spread,
    /// Bytes of matrices read for a decoded token.
    pub weight_bytes_per_token: Option<f64>,
    /// Bytes of keys, values and states at the end.
    pub cache_bytes: Option<u64>,
    /// Largest resident memory while it ran.
    pub peak_rss_bytes: u64,
    /// Share of hidden entries that are exactly zero.
    pub natural_zeros: Option<f64>,
    /// Perplexity over the dense row's.
    pub perplexity_over_dense: Option<f64>,
}

/// The rows of a file, in its order.
///
/// # Errors
/// A file that is no such table.
pub(crate) fn read_speed(path: &Path) -> Result<Vec<TimedRow>> {
    guarded(|| {
        let frame = Frame::read(path, None).context("it is no table")?;
        ensure!(frame.rows() > 0, "it has no rows");
        rows(&frame)
    })
}

fn rows(frame: &Frame) -> Result<Vec<TimedRow>> {
    let text = |name| all(name, frame.texts(name)?);
    let (models, names, programs) = (text("model")?, text("row")?, text("program")?);
    let [decode, prefill, decode_over, prefill_over] = [
        "decode_tokens_per_second",
        "prefill_tokens_per_second",
        "decode_over_dense",
        "prefill_over_dense",
    ]
    .map(|name| spreads(frame, name));
    let (decode, prefill) = (decode?, prefill?);
    let (decode_over, prefill_over) = (decode_over?, prefill_over?);
    let [weights, zeros, perplexity] =
        ["weight_bytes_per_token", "natural_zeros", "perplexity_over_dense"]
            .map(|name| optional_f64s(frame, name));
    let (weights, zeros, perplexity) = (weights?, zeros?, perplexity?);
    let cache = frame.u64s("cache_bytes")?;
    let peak = all("peak_rss_bytes", frame.u64s("peak_rss_bytes")?)?;
    let row = |i: usize| TimedRow {
        model: models[i].clone(),
        row: names[i].clone(),
        program: programs[i].clone(),
        decode_tokens_per_second: decode[i],
        prefill_tokens_per_second: prefill[i],
        decode_over_dense: decode_over[i],
        prefill_over_dense: prefill_over[i],
        weight_bytes_per_token: weights[i],
        cache_bytes: cache[i],
        peak_rss_bytes: peak[i],
        natural_zeros: zeros[i],
        perplexity_over_dense: perplexity[i],
    };
    Ok((0..frame.rows()).map(row).collect())
}

fn spreads(frame: &Frame, name: &str) -> Result<Vec<Spread>> {
    let median = f64s(frame, name)?;
    let (least, most) =
        (f64s(frame, &format!("{name}_least"))?, f64s(frame, &format!("{name}_most"))?);
    let ranges = median.into_iter().zip(least).zip(most);
    Ok(ranges.map(|((median, least), most)| Spread { median, least, most }).collect())
}

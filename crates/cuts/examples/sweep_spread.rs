//! How far a sweep's perplexity moves by changes that mean nothing: SparseGPT and GPTQ of SmolLM2 with noise
//! of a millionth on every weight before the cut, in several draws, beside the check values.
//!
//! ```text
//! cargo run --release -p cuts --example sweep_spread -- MODEL.gguf VALID.raw TEST.raw [DRAWS [NOISE]]
//! ```
//!
//! A sweep decides which entries stay and to which point each is rounded; a decision that falls the other
//! way changes all that follow it, in its matrix and in the layers above. So the procedure has a spread of
//! its own, and no two programs that add in another order agree better than that.
//!
//! As in the check values: calibrated on the first 16 windows of 512 ids of the one text, measured on the
//! first 4 of 1,024 of the other.

#![allow(clippy::print_stdout, reason = "what an example says")]

use std::{error::Error, path::Path};

use corpora::{Metadata, Text, Tokenizer, calibration_windows, windows};
use cuts::{BitCut, BitMethod, Matrix, Pattern, Rounding, Slim, Watch, WeightCut, WeightMethod};
use models::{
    Batch, Dense, Device, Model, Tensor, divergence_by_sequence, gguf_vocabulary, load,
    nll_by_sequence,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Name, perplexity and divergence of the check values (docs/SPEC.md section 7).
const SWEEPS: [(&str, [f64; 2]); 3] = [
    ("gptq 4 bits", [29.028, 0.05347]),
    ("sparsegpt 0.5", [43.995, 0.13257]),
    ("sparsegpt 2:4", [80.858, 0.22320]),
];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, valid, test, rest @ ..] = &arguments[..] else {
        return Err("name a GGUF file, a text to calibrate on and one to measure on".into());
    };
    let draws: u64 = rest.first().map_or(Ok(9), |n| n.parse())?;
    let noise: f64 = rest.get(1).map_or(Ok(1e-6), |noise| noise.parse())?;
    let tokenizer = tokenizer(Path::new(model))?;
    let read = |path: &str| Text::read(Path::new(path));
    let calibration = calibration_windows(&read(valid)?, &tokenizer, 512, Some(16))?;
    let (test, _) = windows(&read(test)?, &tokenizer, 1024, Some(4))?;
    let dense = load(Path::new(model), &Device::flex())?.model;
    let others = Others::of(&*dense, &test)?;
    println!("noise of {noise:e}, {draws} draws");
    let mut found: [[Vec<f64>; 2]; SWEEPS.len()] = Default::default();
    for draw in 1..=draws {
        let noisy = Slim::dense(with_noise(&*dense, draw, noise));
        let [perplexity, js] = others.measured(&*noisy.model)?;
        println!("draw {draw}, dense: perplexity {perplexity:.5}, JS {js:.1e}");
        for ((name, _), found) in SWEEPS.iter().zip(&mut found) {
            let cut = swept(name, noisy.shared(), &calibration)?;
            let values = others.measured(&*cut.model)?;
            println!("draw {draw}, {name}: perplexity {:.4}, JS {:.5}", values[0], values[1]);
            found.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
        }
    }
    for ((name, expected), found) in SWEEPS.iter().zip(&found) {
        for ((what, found), expected) in ["perplexity", "JS"].iter().zip(found).zip(expected) {
            println!("{name}, {what}: {}", spread(found, *expected));
        }
    }
    Ok(())
}

fn swept(name: &str, slim: Slim, calibration: &[Vec<u32>]) -> Outcome<Slim> {
    let watch = Watch::default();
    let slim = match name.split_once(' ') {
        Some(("sparsegpt", pattern)) => {
            let pattern: Pattern = pattern.parse()?;
            WeightCut::new(WeightMethod::SparseGpt, pattern).apply(slim, calibration, &watch)?
        }
        _ => {
            let rounding = Rounding { bits: 4, group: 64 };
            BitCut { method: BitMethod::Gptq, rounding }.apply(slim, calibration, &watch)?
        }
    };
    slim.ok_or_else(|| "stopped".into())
}

/// The model with every weight times 1 ± at most `size`; the draws of an entry are its own.
fn with_noise(model: &dyn Model, draw: u64, size: f64) -> Box<dyn Model> {
    // SplitMix64 (Steele, Lea & Flood 2014, section 5).
    let mut state = draw.wrapping_mul(0xD1B5_4A32_D192_ED03);
    let mut uniform = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    model.map_linears(&mut |of| {
        let mut matrix = Matrix::of(of);
        for weight in &mut matrix.values {
            *weight = (f64::from(*weight) * (1.0 + size * (2.0 * uniform() - 1.0))) as f32;
        }
        Some(matrix.into_parts(of))
    })
}

/// The text to measure on, and what the dense model makes of it.
struct Others<'a> {
    dense: &'a dyn Model,
    windows: Vec<(Batch, Tensor<2>)>,
}

impl<'a> Others<'a> {
    fn of(dense: &'a dyn Model, test: &[Vec<u32>]) -> Outcome<Self> {
        let window = |ids: &Vec<u32>| {
            let batch = Batch::new([ids.as_slice()]);
            let hidden = dense.forward(&batch, &mut Dense)?;
            Ok((batch, hidden))
        };
        Ok(Self { dense, windows: test.iter().map(window).collect::<Outcome<_>>()? })
    }

    /// Perplexity, and the mean Jensen–Shannon divergence to the dense model in nats.
    fn measured(&self, model: &dyn Model) -> Outcome<[f64; 2]> {
        let (mut nll, mut divergence, mut targets) = (0.0, 0.0, 0.0);
        for (batch, others) in &self.windows {
            let hidden = model.forward(batch, &mut Dense)?;
            let own = (batch.n_tokens() - 1) as f64;
            nll += nll_by_sequence(model, &hidden, batch)?.iter().sum::<f64>();
            let both = ((model, &hidden), (self.dense, others));
            divergence += own * divergence_by_sequence(both.0, both.1, batch)?.iter().sum::<f64>();
            targets += own;
        }
        Ok([(nll / targets).exp(), divergence / targets])
    }
}

/// Mean, standard deviation and ends, and where the check value lies in them.
fn spread(found: &[f64], expected: f64) -> String {
    let n = found.len() as f64;
    let mean = found.iter().sum::<f64>() / n;
    let squares: f64 = found.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (n - 1.0)).sqrt();
    let (least, most) =
        found.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(*v), b.max(*v)));
    format!(
        "mean {mean:.5}, standard deviation {deviation:.5} ({:.2} %), {least:.5} to {most:.5}; check value \
         {expected}, {:+.1} standard deviations, {:+.2} % from the mean",
        100.0 * deviation / mean,
        (expected - mean) / deviation,
        100.0 * (expected / mean - 1.0),
    )
}

fn tokenizer(path: &Path) -> Outcome<Tokenizer> {
    let vocabulary = gguf_vocabulary(path)?;
    Ok(Tokenizer::from_gguf(&Metadata {
        path,
        model: &vocabulary.model,
        pre_tokenizer: vocabulary.pre_tokenizer.as_deref(),
        tokens: &vocabulary.tokens,
        scores: vocabulary.scores.as_deref(),
        kinds: vocabulary.kinds.as_deref(),
        merges: vocabulary.merges.as_deref(),
        charsmap: vocabulary.charsmap.as_deref(),
        bos: vocabulary.bos,
        eos: vocabulary.eos,
        unknown: vocabulary.unknown,
        add_bos: vocabulary.add_bos,
        add_eos: vocabulary.add_eos,
        add_space_prefix: vocabulary.add_space_prefix,
        remove_extra_whitespaces: vocabulary.remove_extra_whitespaces,
    })?)
}

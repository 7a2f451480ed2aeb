//! The parameters that a training run starts from.

use std::collections::BTreeMap;

use models::{Device, Parameter, Parameters, vector_of};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

/// How the values of a tensor are drawn.
enum Draw {
    /// The same value everywhere.
    Constant(f32),
    /// Normal about zero.
    Normal(f64),
    /// Uniform about zero.
    Uniform(f64),
    /// `ln a` for rates `a = −A` of a Mamba-2 mixer that are log-uniform in \[1/64, 1\].
    LogRates,
    /// Sines and cosines of the row's number (Vaswani et al. 2017, section 3.5), of the given standard
    /// deviation: a learned table begins with what lets attention find near neighbours. Drawn at random
    /// instead, models of this size learn far more slowly.
    Waves { width: usize, deviation: f64 },
    /// The inverse of softplus of time steps that are log-uniform in \[0.03, 0.3\].
    TimeSteps,
}

/// The rule of a tensor, by the last parts of its name in the Hugging Face format.
///
/// Embeddings are normal with the standard deviation of the recipe, matrices with one over the root of
/// their inputs, those that lead out of a block with half of that. A mixer starts as its authors have it
/// (Dao & Gu 2024, `mamba_ssm`) but for its memory: there rates lie in \[1, 16\] and time steps in
/// \[0.001, 0.1\], so that what is kept for long is written faintly. Texts of 200 words are learned
/// sooner from states that keep for 2 to 1,500 tokens what they write.
fn draw_of(name: &str, shape: &[usize], embedding_deviation: f64) -> Draw {
    const OUT: [&str; 4] = ["fc2", "down_proj", "out_proj", "linear"];
    let mut parts = name.rsplit('.');
    let (last, owner) = (parts.next().unwrap_or(name), parts.next().unwrap_or_default());
    match (last, shape) {
        ("A_log", _) => Draw::LogRates,
        ("dt_bias", _) => Draw::TimeSteps,
        ("D", _) => Draw::Constant(1.0),
        ("bias", _) => Draw::Constant(0.0),
        ("weight", [_]) => Draw::Constant(1.0),
        ("weight", [_, 1, kernel]) => Draw::Uniform(1.0 / (*kernel as f64).sqrt()),
        ("weight", [_, width]) if owner == "embed_positions" => {
            Draw::Waves { width: *width, deviation: embedding_deviation }
        }
        ("weight", [_, _]) if owner.starts_with("embed") => Draw::Normal(embedding_deviation),
        (_, [_, inputs]) => {
            let scale = if OUT.contains(&owner) { 0.5 } else { 1.0 };
            Draw::Normal(scale / (*inputs as f64).sqrt())
        }
        _ => Draw::Normal(embedding_deviation),
    }
}

/// Draws every tensor from the seed and its own name, so that none depends on another, then lets
/// attention begin with what it mostly ends up with.
pub(crate) fn initial(
    shapes: &BTreeMap<String, Vec<usize>>,
    seed: u64,
    embedding_deviation: f64,
) -> Parameters {
    let mut drawn: BTreeMap<&String, Vec<f32>> = shapes
        .iter()
        .map(|(name, shape)| {
            let draw = draw_of(name, shape, embedding_deviation);
            (name, draw.values(shape.iter().product(), &mut rng(seed, name)))
        })
        .collect();
    for name in shapes.keys() {
        if let Some(block) = name.strip_suffix("q_proj.weight") {
            mimic(block, shapes, &mut drawn);
        }
        if let Some(mixer) = name.strip_suffix("in_proj.weight") {
            mimic_mixer(mixer, shapes, &mut drawn);
        }
    }
    let device = Device::flex();
    let parameter = |(name, values): (&String, Vec<f32>)| {
        let shape = shapes[name].clone();
        (name.clone(), Parameter { shape, values: vector_of(values, &device) })
    };
    drawn.into_iter().map(parameter).collect()
}

/// How much a key's map is the query's at first; what is left is its own.
const ALIKE: f32 = 0.95;

/// Keys start much like queries, so that a token looks for others like it, and the output map as the
/// transpose of the values' (after Trockman & Kolter 2023, "Mimetic initialization of self-attention
/// layers", arXiv:2305.09828). Without it, models of this size need several times the steps before they
/// copy a name from far back. Maps of unequal shapes stay as they were drawn.
fn mimic<'n>(
    block: &str,
    shapes: &'n BTreeMap<String, Vec<usize>>,
    drawn: &mut BTreeMap<&'n String, Vec<f32>>,
) {
    let find = |map: &str| shapes.get_key_value(&format!("{block}{map}.weight"));
    let (Some((query, q)), Some((key, k))) = (find("q_proj"), find("k_proj")) else { return };
    if q == k {
        let query = drawn[query].clone();
        let own = (1.0 - ALIKE * ALIKE).sqrt();
        if let Some(key) = drawn.get_mut(key) {
            key.iter_mut().zip(query).for_each(|(key, query)| *key = ALIKE * query + own * *key);
        }
    }
    let output = find("out_proj").or_else(|| find("o_proj"));
    let (Some((value, v)), Some((output, o))) = (find("v_proj"), output) else { return };
    if let ([rows, columns], [out_rows, out_columns]) = (&v[..], &o[..])
        && (rows, columns) == (out_columns, out_rows)
    {
        let value = drawn[value].clone();
        let transposed = (0..*columns).flat_map(|c| (0..*rows).map(move |r| r * columns + c));
        drawn.insert(output, transposed.map(|at| value[at]).collect());
    }
}

/// The same for a Mamba-2 mixer: it reads (`C`) much as it writes (`B`), its convolution passes the
/// token at hand on, and its output map is half the transpose of the part of the input map that `x`
/// comes from.
fn mimic_mixer<'n>(
    mixer: &str,
    shapes: &'n BTreeMap<String, Vec<usize>>,
    drawn: &mut BTreeMap<&'n String, Vec<f32>>,
) {
    let find = |part: &str| shapes.get_key_value(&format!("{mixer}{part}"));
    let (Some((input, _)), Some((output, o)), Some((taps, t))) =
        (find("in_proj.weight"), find("out_proj.weight"), find("conv1d.weight"))
    else {
        return;
    };
    let ([d_model, inner], [convolved, _, kernel]) = (&o[..], &t[..]) else { return };
    let (d_model, inner) = (*d_model, *inner);
    // Rows of the input map: gate, x, B, C, time steps.
    let mixed = (convolved - inner) / 2;
    let own = (1.0 - ALIKE * ALIKE).sqrt();
    let (b, c) = (2 * inner * d_model, (2 * inner + mixed) * d_model);
    let Some(rows) = drawn.get_mut(input) else { return };
    for at in 0..mixed * d_model {
        rows[c + at] = ALIKE * rows[b + at] + own * rows[c + at];
    }
    let x = &rows[inner * d_model..2 * inner * d_model];
    let transposed =
        (0..d_model).flat_map(|column| (0..inner).map(move |row| row * d_model + column));
    let transposed = transposed.map(|at| 0.5 * x[at]).collect();
    drawn.insert(output, transposed);
    if let Some(taps) = drawn.get_mut(taps) {
        for channel in taps.chunks_exact_mut(*kernel) {
            channel.iter_mut().for_each(|tap| *tap *= 0.2);
            if let Some(newest) = channel.last_mut() {
                *newest += 1.0;
            }
        }
    }
}

/// A generator keyed by the seed and a name.
fn rng(seed: u64, name: &str) -> ChaCha8Rng {
    // FNV-1a, which is the same everywhere and for good.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&hash.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

impl Draw {
    fn values(&self, n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let uniform = |rng: &mut ChaCha8Rng, low: f64, high: f64| rng.random_range(low..high);
        match *self {
            Self::Constant(value) => vec![value; n],
            Self::Normal(deviation) => match Normal::new(0.0, deviation) {
                Ok(normal) => (0..n).map(|_| normal.sample(rng) as f32).collect(),
                Err(_) => vec![0.0; n],
            },
            Self::Uniform(reach) => (0..n).map(|_| uniform(rng, -reach, reach) as f32).collect(),
            Self::Waves { width, deviation } => {
                let (half, amplitude) = (width.div_ceil(2), deviation * 2.0_f64.sqrt());
                let wave = |at: usize| {
                    let (row, column) = ((at / width) as f64, at % width);
                    let frequency = 10_000_f64.powf(-((column % half) as f64) / half as f64);
                    let angle = row * frequency;
                    amplitude * if column < half { angle.sin() } else { angle.cos() }
                };
                (0..n).map(|at| wave(at) as f32).collect()
            }
            Self::LogRates => {
                (0..n).map(|_| uniform(rng, (1.0_f64 / 64.0).ln(), 0.0) as f32).collect()
            }
            Self::TimeSteps => (0..n)
                .map(|_| {
                    let step = uniform(rng, 0.03_f64.ln(), 0.3_f64.ln()).exp();
                    step.exp_m1().ln() as f32
                })
                .collect(),
        }
    }
}

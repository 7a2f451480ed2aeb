//! The scores of state channels against the words of the specification, on small random models.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "the largest differences are worth a look")]

use std::path::Path;

use importance::{Calibrating, Calibration, Draw, Ghost, StateScore as _, StateWeights};
use models::{
    Batch, Dense, Device, Executor, ExecutorError, FfnSite, Mixer, Model, RecurrentState,
    StateInputs, StateRows, StateSite, Tensor, into_values, load,
};

/// One group, several heads a group, a head a group; a hybrid.
const MODELS: [&str; 4] = ["mamba2", "mamba2-one-group", "mamba2-head-groups", "zamba2"];
const LENGTHS: [usize; 2] = [37, 11];

fn model(name: &str) -> Box<dyn Model> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    load(&golden.join(name), &Device::flex()).unwrap().model
}

fn sequences() -> [Vec<u32>; 2] {
    let ids = |length: usize| (0..length).map(move |i| (i * i * 7 + i * 3 + length) as u32 % 61);
    LENGTHS.map(|length| ids(length).collect())
}

fn calibrate(model: &dyn Model, sequences: &[Vec<u32>]) -> Calibration {
    let mut calibrating = Calibrating::new();
    let batch = Batch::new(sequences.iter().map(Vec::as_slice));
    model.forward(&batch, &mut calibrating).unwrap();
    calibrating.finish()
}

/// Shows the inputs of every state site of a dense pass.
struct Looking<F>(F);

impl<F: FnMut(&StateSite<'_>, StateInputs)> Executor for Looking<F> {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        (self.0)(site, inputs.clone());
        Ok(site.mixer.scan(inputs, site.batch, past))
    }
}

/// The largest relative difference.
fn worst(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    vector::largest(found.iter().zip(expected).map(|(f, e)| (f - e).abs() / e))
}

/// `sqrt(mean_t Σ_k Σ_p H²·C'²)` by the loops of the formula over an explicit state in `f64`.
fn naive_ghost(mixer: &Mixer, batch: &Batch, inputs: StateInputs) -> Vec<f64> {
    let (shape, rates) = (mixer.shape(), mixer.decay_rates());
    let inputs = StateRows::of(inputs);
    let heads_of_group = shape.heads / shape.groups;
    let mut sums = vec![0.0; shape.mixed()];
    for sequence in batch.sequences() {
        let mut state = vec![0.0_f64; shape.inner() * shape.channels];
        for t in sequence {
            for h in 0..shape.heads {
                let dt = f64::from(inputs.dt[t * shape.heads + h]);
                for p in 0..shape.head_dim {
                    let x = f64::from(inputs.x[(t * shape.heads + h) * shape.head_dim + p]);
                    for n in 0..shape.channels {
                        let channel = h / heads_of_group * shape.channels + n;
                        let [b, c] = [&inputs.b, &inputs.c]
                            .map(|values| f64::from(values[t * shape.mixed() + channel]));
                        let state = &mut state[(h * shape.head_dim + p) * shape.channels + n];
                        *state = (dt * f64::from(rates[h])).exp() * *state + dt * x * b;
                        sums[channel] += state.powi(2) * c.powi(2);
                    }
                }
            }
        }
    }
    sums.into_iter().map(|sum| (sum / batch.n_tokens() as f64).sqrt()).collect()
}

/// The kernel's energies are sums of `f32`: some ten roundings of 6e-8 each, halved by the root. 1e-5
/// relative, channel by channel.
#[test]
fn ghost_is_the_formula() {
    for name in MODELS {
        let model = model(name);
        let calibration = calibrate(model.as_ref(), &sequences());
        let mut off = 0.0_f64;
        let mut looking = Looking(|site: &StateSite<'_>, inputs: StateInputs| {
            let weights = StateWeights::of(site.mixer);
            let found = calibration.score_state(site.index, &Ghost, &weights, 0);
            off = off.max(worst(&found, &naive_ghost(site.mixer, site.batch, inputs)));
        });
        let sequences = sequences();
        let batch = Batch::new(sequences.iter().map(Vec::as_slice));
        model.forward(&batch, &mut looking).unwrap();
        println!("{name}: ghost is the formula within {off:e}");
        assert!(off < 1e-5, "{name}: {off:e}");
    }
}

/// The square of `ghost` is the local error of zeroing the channel: outputs of the plain recurrence with
/// `C'_n` zeroed less those without, squared, summed over heads and entries, averaged over tokens.
///
/// A difference of two outputs has the rounding of both (6e-8 of their size), which for a channel of a
/// hundredth of the output is 1e-5 of the difference, and averages out over tokens: 1e-4 relative.
#[test]
fn ghost_is_the_local_error() {
    for name in MODELS {
        let model = model(name);
        let calibration = calibrate(model.as_ref(), &sequences());
        let mut off = 0.0_f64;
        let mut looking = Looking(|site: &StateSite<'_>, inputs: StateInputs| {
            let channels = site.mixer.shape().mixed();
            let outputs =
                |inputs: StateInputs| into_values(site.mixer.recurrence(inputs, site.batch, None));
            let whole = outputs(inputs.clone());
            let measured: Vec<f64> = (0..channels)
                .map(|channel| {
                    let mut zeroed = StateRows::of(inputs.clone());
                    zeroed.c.iter_mut().skip(channel).step_by(channels).for_each(|c| *c = 0.0);
                    let without = outputs(zeroed.into_inputs());
                    let squares = whole
                        .iter()
                        .zip(without)
                        .map(|(y, z)| (f64::from(*y) - f64::from(z)).powi(2));
                    squares.sum::<f64>() / site.batch.n_tokens() as f64
                })
                .collect();
            let moments = &calibration.states()[site.index];
            let weights = StateWeights::of(site.mixer);
            let scores = Ghost.score(&weights, moments, &Draw::of_state_site(0, site.index));
            let squares: Vec<f64> = scores.iter().map(|score| score.powi(2)).collect();
            off = off.max(worst(&squares, &measured));
        });
        let sequences = sequences();
        let batch = Batch::new(sequences.iter().map(Vec::as_slice));
        model.forward(&batch, &mut looking).unwrap();
        println!("{name}: ghost² is the local error within {off:e}");
        assert!(off < 1e-4, "{name}: {off:e}");
    }
}

/// The sums of two sequences are those of each by itself, added. The matrix products before the state may
/// round differently for another number of rows: 1e-5.
#[test]
fn sums_over_sequences_add_up() {
    for name in MODELS {
        let model = model(name);
        let [first, second] = sequences();
        let together = calibrate(model.as_ref(), &[first.clone(), second.clone()]);
        let parts = [first, second].map(|ids| calibrate(model.as_ref(), &[ids]));
        let sum = Calibration::sum(parts);
        assert_eq!(sum.states().len(), model.mixers().len(), "{name}");
        for (sum, together) in sum.states().iter().zip(together.states()) {
            assert_eq!(sum.tokens, together.tokens);
            assert!(worst(&sum.readout, &together.readout) < 1e-5, "{name}");
            assert!(worst(&sum.energy, &together.energy) < 1e-5, "{name}");
            assert!(worst(&sum.reads, &together.reads) < 1e-5, "{name}");
            assert!(worst(&sum.decay, &together.decay) < 1e-5, "{name}");
        }
    }
}

/// A pass that looks computes what the dense model computes, to the last bit, and sees the blocks of a
/// hybrid beside its states.
#[test]
fn looking_changes_nothing() {
    for name in MODELS {
        let model = model(name);
        let sequences = sequences();
        let batch = Batch::new(sequences.iter().map(Vec::as_slice));
        let run = |executor: &mut dyn Executor| {
            into_values(model.logits(model.forward(&batch, executor).unwrap()))
        };
        let mut calibrating = Calibrating::new();
        assert_eq!(run(&mut calibrating), run(&mut Dense), "{name}");
        let calibration = calibrating.finish();
        let sites = (calibration.sites().len(), calibration.states().len());
        assert_eq!(sites, (model.ffns().len(), model.mixers().len()), "{name}");
        for (state, mixer) in calibration.states().iter().zip(model.mixers()) {
            let half_lives = state.channel_half_lives(mixer.shape().groups);
            assert_eq!(half_lives.len(), mixer.shape().mixed());
            assert!(half_lives.iter().all(|tokens| *tokens > 0.0), "{half_lives:?}");
        }
    }
}

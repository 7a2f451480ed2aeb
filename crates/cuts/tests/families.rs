//! Every method on every family: what is counted, what survives, what is stored, and that the model runs.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{families, logits, matrices, model};
use cuts::{
    BITS, BitCut, Index, Matrix, Pattern, Pool, Rounding, Slim, WEIGHTS, Watch, WeightCut,
    WeightMethod, kept_count,
};
use models::{Ffn, Model, Tensor};

const HALF: Pattern = Pattern::Share(0.5);
const PAIRS: Pattern = Pattern::NofM { n: 2, m: 4 };
const ROUNDING: Rounding = Rounding { bits: 4, group: 16 };

/// Calibration windows of ids that every small model knows.
fn windows() -> Vec<Vec<u32>> {
    (0..6_u32).map(|w| (0..24).map(|t| (w * 7 + t * t + t * w) % 31).collect()).collect()
}

fn cut(slim: &Slim, cut: &WeightCut) -> Slim {
    cut.apply(slim.shared(), &windows(), &Watch::default()).unwrap().unwrap()
}

fn rounded(slim: &Slim, method: &str) -> Slim {
    let method = cuts::BitMethod::named(method).unwrap();
    let cut = BitCut { method, rounding: ROUNDING };
    cut.apply(slim.shared(), &windows(), &Watch::default()).unwrap().unwrap()
}

fn nonzeros(values: &[f32]) -> usize {
    values.iter().filter(|value| **value != 0.0).count()
}

fn divides(matrices: &BTreeMap<String, Matrix>, m: usize) -> bool {
    matrices.values().all(|matrix| matrix.columns.is_multiple_of(m))
}

/// Each pool holds as many as the rule says. Weights of these models are never zero before; a ReLU that is
/// silent on all calibration tokens makes its inputs dead, whose weights a sweep may count among the kept.
fn check_counts(of: &str, method: WeightMethod, pattern: Pattern, all: &BTreeMap<String, Matrix>) {
    let share = match pattern {
        Pattern::Share(share) => share,
        Pattern::NofM { n, m } => {
            for matrix in all.values() {
                for group in matrix.values.chunks(m) {
                    assert!(nonzeros(group) <= n, "{of}: {}", matrix.name);
                }
            }
            return;
        }
    };
    let whole: usize = all.values().map(|matrix| matrix.values.len()).sum();
    let left: usize = all.values().map(|matrix| nonzeros(&matrix.values)).sum();
    match method {
        WeightMethod::Score(score) => match score.pool() {
            Pool::Model => assert_eq!(left, kept_count(whole, share), "{of}"),
            Pool::Matrix => all.values().for_each(|matrix| {
                let kept = kept_count(matrix.values.len(), share);
                assert_eq!(nonzeros(&matrix.values), kept, "{of}: {}", matrix.name);
            }),
            Pool::Row => all.values().for_each(|matrix| {
                for row in matrix.values.chunks(matrix.columns) {
                    assert_eq!(
                        nonzeros(row),
                        kept_count(row.len(), share),
                        "{of}: {}",
                        matrix.name
                    );
                }
            }),
        },
        WeightMethod::SparseGpt | WeightMethod::SparseGptMask => all.values().for_each(|matrix| {
            let blocks = (0..matrix.columns).step_by(128);
            let kept = blocks
                .map(|start| kept_count(matrix.rows * (matrix.columns - start).min(128), share));
            let (kept, left) = (kept.sum::<usize>(), nonzeros(&matrix.values));
            assert!(left <= kept, "{of}: {}", matrix.name);
            assert!(left * 10 >= kept * 9, "{of}: {} keeps {left} of {kept}", matrix.name);
        }),
    }
}

#[test]
fn every_method_cuts_every_family() {
    for folder in families() {
        let dense = Slim::dense(model(&folder));
        let before = matrices(&*dense.model);
        let all =
            (dense.model.facts().parameters as u64, 2 * dense.model.facts().parameters as u64);
        assert_eq!((dense.storage.parameters(), dense.storage.bytes()), all);
        let logits_before = logits(&*dense.model, &[1, 2, 3, 4, 5]);
        for (name, method) in WEIGHTS {
            for pattern in [HALF, PAIRS] {
                let of = format!("{}, {name}, {pattern}", folder.display());
                if pattern == PAIRS && !divides(&before, 4) {
                    continue;
                }
                let slim = cut(&dense, &WeightCut { seed: 5, ..WeightCut::new(method, pattern) });
                let after = matrices(&*slim.model);
                check_counts(&of, method, pattern, &after);
                let is_mask = !matches!(method, WeightMethod::SparseGpt);
                for (before, after) in before.values().zip(after.values()) {
                    assert_eq!(before.name, after.name);
                    let kept =
                        before.values.iter().zip(&after.values).all(|(a, b)| a == b || *b == 0.0);
                    assert!(kept || !is_mask, "{of}: a mask leaves what stays as it was");
                    let stored = slim.storage.matrices[&*after.name];
                    assert_eq!(stored.kept, nonzeros(&after.values) as u64, "{of}");
                    assert_ne!(stored.index, Index::None, "{of}");
                }
                let left: u64 = after.values().map(|matrix| nonzeros(&matrix.values) as u64).sum();
                let whole: u64 = before.values().map(|matrix| matrix.values.len() as u64).sum();
                assert_eq!(slim.storage.parameters(), all.0 - whole + left, "{of}");
                assert!(slim.storage.bytes() < all.1, "{of}");
                let logits = logits(&*slim.model, &[1, 2, 3, 4, 5]);
                assert!(logits.iter().all(|logit| logit.is_finite()), "{of}");
                assert_ne!(logits, logits_before, "{of}");
            }
        }
    }
}

/// Two steps: whatever comes second, what the first made zero stays zero, and everything is on its grid.
#[test]
fn zeros_survive_later_steps() {
    for folder in families() {
        let dense = Slim::dense(model(&folder));
        let first = cut(
            &dense,
            &WeightCut::new(WeightMethod::named("magnitude-rows").unwrap(), Pattern::Share(0.3)),
        );
        let before = matrices(&*first.model);
        let mut then: Vec<(String, Slim)> =
            BITS.iter().map(|(name, _)| ((*name).to_owned(), rounded(&first, name))).collect();
        for (name, method) in WEIGHTS {
            then.push((name.to_owned(), cut(&first, &WeightCut::new(method, HALF))));
        }
        let both =
            WeightCut { rounding: Some(ROUNDING), ..WeightCut::new(WeightMethod::SparseGpt, HALF) };
        then.push(("sparsegpt with bits".to_owned(), cut(&first, &both)));
        for (name, then) in then {
            for (before, after) in before.values().zip(matrices(&*then.model).values()) {
                let stays =
                    before.values.iter().zip(&after.values).all(|(a, b)| *a != 0.0 || *b == 0.0);
                assert!(stays, "{}: {name} after magnitude-rows: {}", folder.display(), after.name);
            }
            assert!(then.storage.bytes() < first.storage.bytes(), "{name}");
        }
    }
}

/// A group of a rounded row has 2^b values at most.
#[test]
fn rounded_weights_are_on_a_grid() {
    for folder in families() {
        let dense = Slim::dense(model(&folder));
        for (name, _) in BITS {
            let slim = rounded(&dense, name);
            for matrix in matrices(&*slim.model).values() {
                for group in matrix.values.chunks(matrix.columns).flat_map(|row| row.chunks(16)) {
                    let mut points: Vec<u32> = group.iter().map(|value| value.to_bits()).collect();
                    points.sort_unstable();
                    points.dedup();
                    assert!(points.len() <= 16, "{}: {name}: {}", folder.display(), matrix.name);
                }
                let stored = slim.storage.matrices[&*matrix.name];
                assert_eq!(stored.rounding, Some(ROUNDING));
            }
            assert_eq!(slim.storage.parameters(), dense.storage.parameters());
        }
    }
}

/// The same bits whatever the number of threads, with the whole order of calibration.
#[test]
fn threads_change_nothing() {
    for folder in families() {
        let dense = Slim::dense(model(&folder));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let slim = cut(&dense, &WeightCut::new(WeightMethod::SparseGpt, HALF));
                matrices(&*rounded(&slim, "gptq").model)
            })
        };
        assert_eq!(run(1), run(2), "{}", folder.display());
    }
}

/// An input of no calibration token, a pattern that does not fit, a stop: each ends the cut and says so.
#[test]
fn refusals_name_what_is_wrong() {
    let dense = Slim::dense(model(&families()[0]));
    let refused = |weights: WeightCut| {
        let error = weights.apply(dense.shared(), &[], &Watch::default()).err().unwrap();
        error.to_string()
    };
    let sparsegpt = WeightCut::new(WeightMethod::SparseGpt, HALF);
    assert!(refused(sparsegpt).contains("no calibration window"));
    let odd = Pattern::NofM { n: 2, m: 7919 };
    let error = refused(WeightCut { pattern: odd, ..sparsegpt });
    assert!(error.contains("`") && error.contains("7919"), "{error}");
    let magnitude = WeightMethod::named("magnitude").unwrap();
    let bits = WeightCut { rounding: Some(ROUNDING), ..WeightCut::new(magnitude, HALF) };
    assert!(refused(bits).contains("sparsegpt"));
    assert!(WeightMethod::named("wonder").err().unwrap().to_string().contains("`wanda`"));
    let stop = Watch { stop: &|| true, ..Watch::default() };
    for (_, method) in WEIGHTS {
        let stopped = WeightCut::new(method, HALF).apply(dense.shared(), &windows(), &stop);
        assert!(stopped.unwrap().is_none());
    }
}

/// Zamba2's shared block is one matrix: all its uses get the cut one, each with its own adapter.
#[test]
fn shared_blocks_are_cut_once() {
    let mut seen = 0;
    for folder in families() {
        let dense = model(&folder);
        let uses = |model: &dyn Model| -> BTreeMap<String, Vec<Vec<f32>>> {
            let mut uses: BTreeMap<String, Vec<Vec<f32>>> = BTreeMap::new();
            for layer in 0..model.facts().layers {
                for of in model.linears(layer) {
                    uses.entry(of.name().to_string()).or_default().push(Matrix::of(&of).values);
                }
            }
            uses
        };
        let slim = Slim::dense(dense);
        let cut = cut(&slim, &WeightCut::new(WeightMethod::SparseGpt, HALF));
        for (name, uses) in uses(&*cut.model) {
            seen += uses.len() - 1;
            assert!(uses.iter().all(|values| *values == uses[0]), "{name}");
        }
    }
    assert!(seen > 0, "some family shares a block");
}

/// Surgery that makes matrices smaller is counted: what leaves with a neuron, a state channel or a head, and
/// on a model that is sparse already only what of it was kept.
#[test]
fn smaller_matrices_are_counted() {
    for folder in families() {
        let dense = Slim::dense(model(&folder));
        let method = WeightMethod::named("magnitude").unwrap();
        let half = cut(&dense, &WeightCut::new(method, HALF));
        for slim in [&dense, &half] {
            let model = smaller(&*slim.model);
            let storage = slim.storage.after_surgery(&*model);
            let after = matrices(&*model);
            let kept = |values: &[f32]| match std::ptr::eq(slim, &dense) {
                true => values.len(),
                false => nonzeros(values),
            };
            let entries: usize = after.values().map(|matrix| kept(&matrix.values)).sum();
            let beside = beside(&*model);
            let of = folder.display();
            assert_eq!(storage.parameters(), (entries + beside) as u64 + slim.storage.rest, "{of}");
            assert!(storage.bytes() < slim.storage.bytes(), "{of}");
            assert!(logits(&*model, &[1, 2, 3]).iter().all(|logit| logit.is_finite()), "{of}");
        }
    }
}

/// Half of the neurons and channels, and the heads of one key head.
fn smaller(model: &dyn Model) -> Box<dyn Model> {
    let neurons = |ffn: &Ffn| (0..ffn.neurons() / 2).collect::<Vec<usize>>();
    let model = model.with_ffns(model.ffns().iter().map(|ffn| ffn.cut(&neurons(ffn))).collect());
    let mixers = model.mixers().into_iter().map(|mixer| {
        let channels: Vec<u32> = (0..mixer.shape().channels as u32 / 2).collect();
        mixer.cut(&vec![channels; mixer.shape().groups])
    });
    let model = model.with_mixers(mixers.collect());
    let attentions = model.attentions().into_iter().map(|attention| {
        let heads = attention.shape().heads / attention.shape().kv_heads;
        attention.cut(&(0..heads).collect::<Vec<usize>>())
    });
    model.with_attentions(attentions.collect())
}

/// Biases of all matrices once, adapters of all uses, and convolutions.
fn beside(model: &dyn Model) -> usize {
    let (mut seen, mut beside) = (BTreeSet::new(), 0);
    let entries = |factor: &Tensor<2>| factor.dims().iter().product::<usize>();
    for of in (0..model.facts().layers).flat_map(|layer| model.linears(layer)) {
        let is_first = seen.insert(of.name().to_string());
        for (i, part) in of.parts.iter().enumerate() {
            let bias = part.bias.as_ref().filter(|_| is_first);
            beside += bias.map_or(0, |bias| bias.dims()[0]);
            if let Some(adapter) = &part.adapter {
                // Parts of one matrix read it through one factor.
                beside += entries(&adapter.up) + if i == 0 { entries(&adapter.down) } else { 0 };
            }
        }
    }
    beside + model.mixers().iter().map(|mixer| mixer.convolution_parameters()).sum::<usize>()
}

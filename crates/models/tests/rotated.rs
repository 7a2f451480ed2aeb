//! Models in another basis of their residual stream, over every golden family.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod families;

use std::sync::Arc;

use families::{folders, logits, model, name};
use models::{
    AffineLayer, Architecture, Device, Layered, Parameter, Parameters, RotationError, SaveError,
    Tensor, into_values, matrix, vector_of,
};
use vector::worst;

/// An orthogonal matrix: reflections `I − 2·v·vᵀ/‖v‖²` one after the other.
fn orthogonal(d: usize) -> Tensor<2> {
    let mut q: Vec<f64> = (0..d * d).map(|i| f64::from(u8::from(i / d == i % d))).collect();
    for k in 0..4 {
        let v: Vec<f64> = (0..d).map(|i| ((i * 7 + k * 13) % 11) as f64 - 4.5).collect();
        let square: f64 = v.iter().map(|v| v * v).sum();
        for row in q.chunks_exact_mut(d) {
            let along: f64 = row.iter().zip(&v).map(|(q, v)| q * v).sum();
            row.iter_mut().zip(&v).for_each(|(q, v)| *q -= 2.0 * along * v / square);
        }
    }
    matrix(q.into_iter().map(|q| q as f32).collect(), [d, d], &Device::flex())
}

fn is_refused(name: &str) -> bool {
    name.starts_with("gemma") || name == "opt-post-norm"
}

#[test]
fn a_rotation_leaves_logits() {
    for folder in folders() {
        let (name, model) = (name(&folder), model(&folder));
        let q = orthogonal(model.facts().d_model);
        let rotated = match (model.rotated(&q), is_refused(&name)) {
            (Ok(rotated), false) => rotated.model,
            (Err(RotationError::Unsupported { .. }), true) => continue,
            (Ok(_), true) => panic!("{name} was rotated"),
            (Err(error), _) => panic!("{name}: {error}"),
        };
        let before = logits(model.as_ref());
        let difference = worst(&logits(rotated.as_ref()), &before);
        assert!(difference < 1e-3, "{name}: {difference:e}");
        // The stream itself is another one.
        let stream = |model: &dyn models::Model| {
            into_values(model.start(&models::Batch::new([&[1, 2, 3][..]])).unwrap())
        };
        assert_ne!(stream(rotated.as_ref()), stream(model.as_ref()), "{name}");
        // Twice is once more.
        let twice = rotated.rotated(&q).unwrap_or_else(|e| panic!("{name}: {e}")).model;
        let difference = worst(&logits(twice.as_ref()), &before);
        assert!(difference < 1e-3, "{name}, twice: {difference:e}");
        assert_eq!(twice.facts(), rotated.facts(), "{name}");
    }
}

/// The head is a matrix of its own afterwards.
#[test]
fn a_rotation_unties_the_head() {
    for folder in folders() {
        let (name, model) = (name(&folder), model(&folder));
        let Ok(rotated) = model.rotated(&orthogonal(model.facts().d_model)) else { continue };
        let (before, after) = (model.facts(), rotated.model.facts());
        assert_eq!(after.multiplied, before.multiplied, "{name}");
        let table = before.vocabulary * before.d_model;
        let grown = after.parameters as isize - before.parameters as isize;
        assert!(grown == 0 || grown == table as isize, "{name}: {grown}");
    }
}

#[test]
fn layers_of_a_rotated_model_can_be_dropped_and_the_other_way_round() {
    for folder in folders() {
        let (name, model) = (name(&folder), Arc::from(model(&folder)));
        let model: Arc<dyn models::Model> = model;
        if model.facts().layers == 1 || is_refused(&name) {
            continue;
        }
        let q = orthogonal(model.facts().d_model);
        let dropped = Layered::without(model.clone(), &[0]).unwrap();
        let expected = logits(&dropped);
        let one_way = models::Model::rotated(&dropped, &q).unwrap().model;
        let other = Layered::without(Arc::from(model.rotated(&q).unwrap().model), &[0]).unwrap();
        assert!(worst(&logits(one_way.as_ref()), &expected) < 1e-3, "{name}");
        assert_eq!(logits(&other), logits(one_way.as_ref()), "{name}");
        assert_eq!(models::Model::facts(&other), one_way.facts(), "{name}");
    }
}

#[test]
fn affine_layers_turn_along() {
    for folder in folders() {
        let (name, model) = (name(&folder), Arc::from(model(&folder)));
        let model: Arc<dyn models::Model> = model;
        let d = model.facts().d_model;
        if is_refused(&name) {
            continue;
        }
        let device = Device::flex();
        let values = |n: usize| (0..n).map(|i| ((i * 29) % 23) as f32 / 110.0 - 0.1).collect();
        let of = |rows, columns| matrix(values(rows * columns), [rows, columns], &device);
        let bias = || vector_of(values(d), &device);
        for map in [
            AffineLayer::full("affine.weight", of(d, d), bias()),
            AffineLayer::factored(["a.weight", "b.weight"], [of(d, 3), of(3, d)], bias()),
        ] {
            let layered = Layered::replacing(model.clone(), vec![(0, map)]).unwrap();
            let rotated = models::Model::rotated(&layered, &orthogonal(d)).unwrap();
            let difference = worst(&logits(rotated.model.as_ref()), &logits(&layered));
            assert!(difference < 1e-3, "{name}: {difference:e}");
        }
    }
}

/// What LayerNorms read has its mean where it had it; what was asked for moves it elsewhere.
#[test]
fn a_mean_stays_where_layer_norms_take_it() {
    for folder in folders() {
        let (name, model) = (name(&folder), model(&folder));
        let d = model.facts().d_model;
        let Ok(rotated) = model.rotated(&orthogonal(d)) else { continue };
        let has_layer_norms = name.starts_with("opt") || name.starts_with("gpt2");
        let basis = into_values(rotated.basis);
        let sums = |values: &[f32]| -> Vec<f64> {
            values.chunks_exact(d).map(|row| row.iter().map(|q| f64::from(*q)).sum()).collect()
        };
        let sums = sums(&basis);
        assert!(sums.iter().all(|sum| sum.is_finite()), "{name}");
        let moved = sums.into_iter().map(|sum| (sum - 1.0).abs()).fold(0.0, f64::max);
        assert_eq!(moved < 1e-5, has_layer_norms, "{name}: {moved}");
        for (i, row) in basis.chunks_exact(d).enumerate() {
            for (j, other) in basis.chunks_exact(d).enumerate() {
                let product: f64 =
                    row.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-5, "{name}: {i}, {j}");
            }
        }
    }
}

/// The last norm's shift over its gain would be huge: it becomes a bias of the logits, and no checkpoint can
/// say that.
#[test]
fn a_gain_next_to_zero_makes_the_last_shift_a_bias() {
    let folder = folders().into_iter().find(|folder| name(folder) == "opt").unwrap();
    let plain = model(&folder);
    let layers: Vec<usize> = (0..plain.facts().layers).collect();
    let device = Device::flex();
    let parameters: Parameters = plain
        .save(&layers)
        .unwrap()
        .tensors
        .into_iter()
        .map(|tensor| {
            let mut values = tensor.values();
            if tensor.name == "model.decoder.final_layer_norm.weight" {
                values[3] = 1e-7;
            }
            let values = vector_of(values, &device);
            (tensor.name, Parameter { shape: tensor.shape, values })
        })
        .collect();
    let config = folder.join("config.json");
    let model = Architecture::read(&config).unwrap().build(&parameters, &device).unwrap();
    let rotated = model.rotated(&orthogonal(model.facts().d_model)).unwrap().model;
    let twice = rotated.rotated(&orthogonal(model.facts().d_model)).unwrap().model;
    for own in [&rotated, &twice] {
        assert!(worst(&logits(own.as_ref()), &logits(model.as_ref())) < 1e-3);
    }
    let table = model.facts().vocabulary * (model.facts().d_model + 1);
    assert_eq!(rotated.facts().parameters, model.facts().parameters + table);
    assert!(matches!(rotated.save(&layers), Err(SaveError::Rotated { family: "OPT" })));
}

/// Weights that several layers share are turned once, and still shared; their adapters are not.
#[test]
fn shared_weights_stay_shared() {
    for folder in folders().into_iter().filter(|folder| name(folder).starts_with("zamba2")) {
        let model = model(&folder);
        let rotated = model.rotated(&orthogonal(model.facts().d_model)).unwrap().model;
        let mut first = std::collections::BTreeMap::new();
        let mut again = 0;
        for of in (0..model.facts().layers).flat_map(|layer| rotated.linears(layer)) {
            let weights: Vec<_> =
                of.parts.iter().map(|part| into_values(part.weight.clone())).collect();
            let known = first.entry(of.name().clone()).or_insert_with(|| weights.clone());
            again += usize::from(of.layer > 1);
            assert_eq!(*known, weights, "{}", of.name());
        }
        assert!(again > 0);
        assert_eq!(rotated.facts().multiplied, model.facts().multiplied);
    }
}

#[test]
fn another_size_is_refused() {
    let folder = folders().into_iter().find(|folder| name(folder) == "llama").unwrap();
    let error = model(&folder).rotated(&orthogonal(5)).err().unwrap();
    assert_eq!(error, RotationError::Size { rows: 5, columns: 5, d_model: 48 });
}

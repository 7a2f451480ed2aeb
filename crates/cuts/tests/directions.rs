//! Directions of the residual stream, over every golden family.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod golden_models;

use std::sync::Arc;

use cuts::{DirectionChoice, Directions, Watch, directions};
use golden_models::{folders, logits, model, model_on, name, windows};
use models::{
    AffineLayer, Batch, Dense, Device, Layered, Model, Place, into_values, matrix, nll_by_sequence,
    streams, vector_of,
};
use vector::{largest, worst};

fn found(folder: &std::path::Path, text: &[Vec<u32>]) -> Vec<Directions> {
    let recording = model_on(folder, &Device::flex().autodiff());
    directions(recording.as_ref(), text, &Watch::default()).unwrap().unwrap()
}

/// Variances are those along the directions, which are orthonormal and uncorrelated.
#[test]
fn directions_are_the_principal_ones() {
    for folder in folders() {
        let (name, model) = (name(&folder), model(&folder));
        let text = windows(model.as_ref(), 3, 1);
        let d = model.facts().d_model;
        let all = found(&folder, &text);
        assert_eq!(all.len(), model.facts().layers + 1, "{name}");
        for at in all {
            let rows: Vec<f64> = text
                .iter()
                .flat_map(|ids| {
                    let streams = streams(model.as_ref(), &Batch::new([ids.as_slice()])).unwrap();
                    into_values(streams[at.layer].clone())
                })
                .map(f64::from)
                .collect();
            assert_eq!(rows.len() / d, at.tokens, "{name}");
            let along = |row: &[f64], i: usize| -> f64 {
                (0..d).map(|k| (row[k] - at.mean[k]) * at.vectors[(k, i)]).sum()
            };
            let moment = |i: usize, j: usize| {
                rows.chunks(d).map(|row| along(row, i) * along(row, j)).sum::<f64>()
                    / at.tokens as f64
            };
            assert!(at.variance.is_sorted_by(|a, b| a >= b), "{name}");
            let scale = at.variance[0];
            for i in [0, 1, d / 2, d - 1] {
                assert!((moment(i, i) - at.variance[i]).abs() < 1e-5 * scale, "{name} {i}");
                assert!(moment(i, (i + 1) % d).abs() < 1e-5 * scale, "{name} {i}");
                let length: f64 = (0..d).map(|k| at.vectors[(k, i)].powi(2)).sum();
                assert!((length - 1.0).abs() < 1e-9, "{name} {i}");
            }
            assert!(at.sensitivity.iter().all(|s| *s >= -1e-15 && s.is_finite()), "{name}");
        }
    }
}

/// The total sensitivity, Σ_i E[(g·u_i)²] = E[‖g‖²], against slopes of the loss: moving the stream of a
/// token along a direction changes the loss as the gradient there says. One window, so that the sum over
/// its tokens is what is compared.
#[test]
fn sensitivities_are_slopes_of_the_loss() {
    for folder in folders() {
        let (name, model) = (name(&folder), model(&folder));
        let text: Vec<Vec<u32>> = vec![windows(model.as_ref(), 1, 1)[0][..6].to_vec()];
        let (ids, d) = (&text[0], model.facts().d_model);
        let layer = model.facts().layers - 1;
        let at = &found(&folder, &text)[layer];
        let batch = Batch::new([ids.as_slice()]);
        let x = into_values(streams(model.as_ref(), &batch).unwrap()[layer].clone());
        let loss = |token: usize, direction: usize, step: f64| {
            let mut x = x.clone();
            for k in 0..d {
                x[token * d + k] += (step * at.vectors[(k, direction)]) as f32;
            }
            let x = matrix(x, [ids.len(), d], &Device::flex());
            let range = layer..layer + 1;
            let x = model.through(range, x, &batch, None, &mut Dense).unwrap();
            nll_by_sequence(model.as_ref(), &model.finish(x), &batch).unwrap()[0]
                / (ids.len() - 1) as f64
        };
        for direction in [0, d / 3] {
            let slopes = (0..ids.len()).map(|token| {
                let step = 2e-2;
                (loss(token, direction, step) - loss(token, direction, -step)) / (2.0 * step)
            });
            let expected = slopes.map(|s| s * s).sum::<f64>() / ids.len() as f64;
            let found = at.sensitivity[direction];
            let apart = (found - expected).abs();
            let mean = at.sensitivity.iter().sum::<f64>() / d as f64;
            assert!(apart < 0.05 * expected.max(mean), "{name}: {found:e} {expected:e}");
        }
    }
}

/// A projection on all directions changes nothing; one on some is what its formula says.
#[test]
fn projections_leave_what_they_keep() {
    for folder in folders() {
        let (name, shared) = (name(&folder), Arc::<dyn Model>::from(model(&folder)));
        let text = windows(shared.as_ref(), 3, 1);
        let d = shared.facts().d_model;
        for at in found(&folder, &text) {
            let all: Vec<usize> = (0..d).collect();
            let same = at.project(shared.clone(), &all).unwrap();
            let apart = worst(&logits(&same), &logits(shared.as_ref()));
            assert!(apart < 1e-3, "{name}: {apart:e}");
            for choice in [
                DirectionChoice::Variance,
                DirectionChoice::Sensitivity,
                DirectionChoice::Random(1),
            ] {
                let kept = at.chosen(choice, d / 2);
                assert!(kept.len() == d / 2 && kept.is_sorted() && kept[d / 2 - 1] < d);
                let projected = at.project(shared.clone(), &kept).unwrap();
                let ids = &text[0];
                let batch = Batch::new([ids.as_slice()]);
                let before =
                    into_values(streams(shared.as_ref(), &batch).unwrap()[at.layer].clone());
                let after = streams(&projected, &batch).unwrap()[at.layer + 1].clone();
                let expected: Vec<f32> = before
                    .chunks(d)
                    .flat_map(|row| {
                        let mut out = at.mean.clone();
                        for i in &kept {
                            let along: f64 = (0..d)
                                .map(|k| (f64::from(row[k]) - at.mean[k]) * at.vectors[(k, *i)])
                                .sum();
                            (0..d).for_each(|k| out[k] += along * at.vectors[(k, *i)]);
                        }
                        out.into_iter().map(|v| v as f32).collect::<Vec<_>>()
                    })
                    .collect();
                let scale = largest(before.iter().map(|v| f64::from(v.abs()))).max(1.0);
                let apart = worst(&into_values(after), &expected);
                assert!(apart < 1e-4 * scale, "{name}: {apart:e}");
            }
            let chosen = at.chosen(DirectionChoice::Variance, 3);
            assert_eq!(chosen, [0, 1, 2], "{name}");
            let rank = at.spearman();
            assert!((-1.0..=1.0).contains(&rank), "{name}: {rank}");
        }
    }
}

#[test]
fn a_model_with_fewer_layers_is_refused() {
    let folder = folders().into_iter().find(|folder| name(folder) == "llama").unwrap();
    let model = Arc::<dyn Model>::from(model(&folder));
    let text = windows(model.as_ref(), 2, 1);
    let device = Device::flex();
    let d = model.facts().d_model;
    let nothing = AffineLayer::full(
        "nothing.weight",
        matrix(vec![0.0; d * d], [d, d], &device),
        vector_of(vec![0.0; d], &device),
    );
    let one = Layered::new(model.clone(), vec![Place::Kept(0)]).unwrap();
    let all = found(&folder, &text);
    let Err(error) = all[2].project(Arc::new(one), &[0]) else { panic!("it was projected") };
    assert!(error.to_string().contains("layer 2"), "{error}");
    // An affine layer in front is one more layer.
    let places = vec![Place::Affine(nothing), Place::Kept(0), Place::Kept(1)];
    let more = Layered::new(model, places).unwrap();
    assert!(all[2].project(Arc::new(more), &[0]).is_ok());
    assert!(
        directions(
            model_on(&folder, &Device::flex().autodiff()).as_ref(),
            &[vec![1]],
            &Watch::default()
        )
        .is_err()
    );
}

//! Cuts of whole layers, over every golden family.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod golden_models;

use cuts::{
    CutError, DropScore, FitInputs, LAYER_SCORES, LayerDrop, Linearise, Pattern, Slim, Storage,
    Watch, WeightCut, WeightMethod, drop_layers, linear_blocks, linearise,
};
use golden_models::{folders, logits, model, name, windows};
use models::{Batch, Dense, Layered, Model, into_values, streams};
use vector::worst;

fn dropped(
    slim: &Slim,
    score: DropScore,
    n: usize,
    windows: &[Vec<u32>],
) -> Result<(Slim, Vec<usize>, Vec<f64>), CutError> {
    let cut = LayerDrop { score, n, seed: 7 };
    let found = drop_layers(slim, &cut, windows, &Watch::default())?.unwrap();
    Ok((found.slim, found.layers, found.distances.map_or(Vec::new(), |d| d.values)))
}

/// The residual streams of a window, in plain rows: `[layers + 1][tokens][d_model]`.
fn rows(model: &dyn Model, ids: &[u32]) -> Vec<Vec<Vec<f64>>> {
    let d_model = model.facts().d_model;
    let streams = streams(model, &Batch::new([ids])).unwrap();
    let wide = |row: &[f32]| row.iter().map(|v| f64::from(*v)).collect();
    streams.into_iter().map(|s| into_values(s).chunks(d_model).map(wide).collect()).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

/// The distances are those of their formulas, and the layers that go are those of the least.
#[test]
fn distances_and_choices_are_those_of_the_formulas() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let layers = slim.model.facts().layers;
        let windows = windows(slim.model.as_ref(), 3, 1);
        let all: Vec<_> = windows.iter().map(|ids| rows(slim.model.as_ref(), ids)).collect();
        for n in 1..layers {
            let angle = |l: usize| {
                let of = |s: &Vec<Vec<Vec<f64>>>| cosine(&s[l][39], &s[l + n][39]).acos();
                all.iter().map(of).sum::<f64>() / 3.0 / std::f64::consts::PI
            };
            let expected: Vec<f64> = (0..=layers - n).map(angle).collect();
            let (left, gone, found) = dropped(&slim, DropScore::Angular, n, &windows).unwrap();
            assert!(worst(&found, &expected) < 1e-9, "{name}: {found:?} {expected:?}");
            let first = (0..=layers - n).min_by(|a, b| found[*a].total_cmp(&found[*b])).unwrap();
            assert_eq!(gone, (first..first + n).collect::<Vec<_>>(), "{name}");
            assert_eq!(left.model.facts().layers, layers - n, "{name}");

            let influence = |l: usize| {
                let of = |s: &Vec<Vec<Vec<f64>>>| {
                    (0..40).map(|t| 1.0 - cosine(&s[l][t], &s[l + 1][t])).sum::<f64>()
                };
                all.iter().map(of).sum::<f64>() / 120.0
            };
            let expected: Vec<f64> = (0..layers).map(influence).collect();
            let (_, gone, found) = dropped(&slim, DropScore::Influence, n, &windows).unwrap();
            assert!(worst(&found, &expected) < 1e-9, "{name}");
            let kept = (0..layers).filter(|l| !gone.contains(l));
            let least_kept = kept.map(|l| found[l]).min_by(f64::total_cmp).unwrap();
            assert!(gone.len() == n && gone.iter().all(|l| found[*l] <= least_kept), "{name}");

            let (_, gone, found) = dropped(&slim, DropScore::Last, n, &[]).unwrap();
            assert_eq!(gone, (layers - 1 - n..layers - 1).collect::<Vec<_>>(), "{name}");
            assert!(found.is_empty());
            let (_, gone, _) = dropped(&slim, DropScore::Random, n, &[]).unwrap();
            assert_eq!(gone.len(), n, "{name}");
            let again = dropped(&slim, DropScore::Random, n, &[]).unwrap().1;
            assert_eq!(gone, again, "{name}");
        }
    }
}

/// What is stored of a model without layers is what is stored of a model that never had them.
#[test]
fn stored_sizes_follow_the_layers() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let layers = slim.model.facts().layers;
        let windows = windows(slim.model.as_ref(), 2, 1);
        for n in 1..layers {
            let (left, ..) = dropped(&slim, DropScore::Random, n, &[]).unwrap();
            assert_eq!(left.storage, Storage::of(left.model.as_ref()), "{name}");
            let facts = left.model.facts();
            assert_eq!(left.storage.parameters(), facts.parameters as u64, "{name}");
        }
        for rank in [None, Some(2)] {
            let cut = Linearise { layers: &[0], rank, inputs: FitInputs::Drifted };
            let cut = linearise(&slim, &cut, &windows, &[], &Watch::default()).unwrap().unwrap();
            assert_eq!(cut.slim.storage, Storage::of(cut.slim.model.as_ref()), "{name}");
            assert!(cut.r_squared[0].1.is_nan(), "{name}");
        }
    }
}

/// Zeros and smaller matrices of earlier steps are still counted as such in the layers that are left.
#[test]
fn earlier_cuts_are_stored_as_they_were() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let layers = slim.model.facts().layers;
        if layers < 2 {
            continue;
        }
        let method = WeightMethod::named("magnitude").unwrap();
        let cut = WeightCut::new(method, Pattern::Share(0.5));
        let half = |slim: &Slim| cut.apply(slim.shared(), &[], &Watch::default()).unwrap().unwrap();
        let narrow = |slim: &Slim| {
            let ffns = slim.model.ffns().into_iter().map(|ffn| ffn.cut(&[0, 2, 5])).collect();
            let model = slim.model.with_ffns(ffns);
            let storage = slim.storage.after_surgery(model.as_ref());
            Slim { model, storage }
        };
        let short = |slim: &Slim| dropped(slim, DropScore::Last, 1, &[]).unwrap().0;
        let (one_way, other) = (short(&half(&slim)), half(&short(&slim)));
        assert_eq!(one_way.storage, other.storage, "{name}");
        let (one_way, other) = (short(&narrow(&slim)), narrow(&short(&slim)));
        assert_eq!(one_way.storage, other.storage, "{name}");
        assert_eq!(logits(one_way.model.as_ref()), logits(other.model.as_ref()), "{name}");
    }
}

#[test]
fn impossible_cuts_are_refused() {
    let folder = folders().into_iter().find(|folder| name(folder) == "llama").unwrap();
    let slim = Slim::dense(model(&folder));
    let text = windows(slim.model.as_ref(), 1, 1);
    let refusal = |score, n, text: &[Vec<u32>]| dropped(&slim, score, n, text).err().unwrap();
    for n in [0, 2, 9] {
        let error = refusal(DropScore::Last, n, &text).to_string();
        assert!(error.contains("`n`"), "{error}");
    }
    let error = refusal(DropScore::Angular, 1, &[]);
    assert!(matches!(error, CutError::NoText), "{error}");
    assert!(DropScore::named("angel").is_err());
    for (name, score) in LAYER_SCORES {
        assert_eq!(DropScore::named(name).unwrap(), score);
    }
    let fit = |layers: &[usize], rank, text: &[Vec<u32>]| {
        let cut = Linearise { layers, rank, inputs: FitInputs::Dense };
        linearise(&slim, &cut, text, &[], &Watch::default()).err().unwrap().to_string()
    };
    assert!(fit(&[0], Some(0), &text).contains("`rank`"));
    assert!(fit(&[0], Some(49), &text).contains("`rank`"));
    assert!(fit(&[], None, &text).contains("`layer`"));
    assert!(fit(&[2], None, &text).contains("layer 2"));
    assert!(fit(&[1, 1], None, &text).contains("layer 1 is named twice"));
    assert!(fit(&[1], None, &[]).contains("text"));
}

#[test]
fn a_watch_stops_them() {
    let folder = folders().into_iter().find(|folder| name(folder) == "llama").unwrap();
    let slim = Slim::dense(model(&folder));
    let text = windows(slim.model.as_ref(), 2, 1);
    let watch = Watch { stop: &|| true, ..Watch::default() };
    for (_, score) in LAYER_SCORES.into_iter().filter(|(_, score)| score.needs_text()) {
        let cut = LayerDrop { score, n: 1, seed: 0 };
        assert!(drop_layers(&slim, &cut, &text, &watch).unwrap().is_none());
    }
    let cut = Linearise { layers: &[0], rank: None, inputs: FitInputs::Dense };
    assert!(linearise(&slim, &cut, &text, &text, &watch).unwrap().is_none());
    assert!(linear_blocks(slim.model.as_ref(), &text, &text, &watch).unwrap().is_none());
}

/// A layer that is affine already is found again, and its map is one matrix of the model with a name of
/// its own.
#[test]
fn an_affine_layer_is_found_again() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        // More tokens than the stream is wide, in many windows: the map is determined.
        let text = windows(slim.model.as_ref(), 16, 1);
        let held_out = windows(slim.model.as_ref(), 2, 5);
        let last = slim.model.facts().layers - 1;
        let cut = Linearise { layers: &[last], rank: None, inputs: FitInputs::Drifted };
        let watch = Watch::default();
        let once = linearise(&slim, &cut, &text, &held_out, &watch).unwrap().unwrap();
        let twice = linearise(&once.slim, &cut, &text, &held_out, &watch).unwrap().unwrap();
        // The penalty shrinks a map that is fitted exactly by 1e-4 of a mean direction, more along those
        // of little variance.
        assert!(twice.r_squared[0].1 > 0.99, "{name}: {:?}", twice.r_squared);
        assert!(once.r_squared[0].1 < 1.0, "{name}: {:?}", once.r_squared);
        let names: Vec<String> =
            [&once, &twice].map(|cut| cut.slim.model.linears(last)[0].name().to_string()).to_vec();
        assert_eq!(names, ["affine.0.weight", "affine.1.weight"], "{name}");
        let blocks = linear_blocks(slim.model.as_ref(), &text, &held_out, &watch).unwrap().unwrap();
        assert_eq!(blocks.len(), last + 1, "{name}");
        assert_eq!(blocks[last], once.r_squared[0].1, "{name}");
    }
}

/// Full rank says the same with and without factors; less rank fits the calibration text no better.
#[test]
fn rank_is_paid_for() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let text = windows(slim.model.as_ref(), 8, 1);
        let d_model = slim.model.facts().d_model;
        let fit = |rank| {
            let cut = Linearise { layers: &[0], rank, inputs: FitInputs::Drifted };
            linearise(&slim, &cut, &text, &text, &Watch::default()).unwrap().unwrap()
        };
        let (full, all) = (fit(None), fit(Some(d_model)));
        let logits_apart =
            worst(&logits(full.slim.model.as_ref()), &logits(all.slim.model.as_ref()));
        assert!(logits_apart < 1e-3, "{name}: {logits_apart:e}");
        let r_squared: Vec<f64> =
            [1, 4, d_model / 2, d_model].map(|rank| fit(Some(rank)).r_squared[0].1).to_vec();
        assert!(r_squared.is_sorted(), "{name}: {r_squared:?}");
        assert!((r_squared[3] - full.r_squared[0].1).abs() < 1e-9, "{name}");
    }
}

/// The first map does not know of later ones; the later ones differ with what they are fitted on.
#[test]
fn later_maps_are_fitted_on_what_was_asked_for() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let text = windows(slim.model.as_ref(), 8, 1);
        if slim.model.facts().layers < 2 {
            continue;
        }
        let fit = |slim: &Slim, layers: &[usize], inputs| {
            let cut = Linearise { layers, rank: None, inputs };
            linearise(slim, &cut, &text, &text, &Watch::default()).unwrap().unwrap()
        };
        let dense = fit(&slim, &[1, 0], FitInputs::Dense);
        let drifted = fit(&slim, &[0, 1], FitInputs::Drifted);
        assert_eq!(dense.r_squared[0], drifted.r_squared[0], "{name}");
        assert_ne!(dense.r_squared[1].1, drifted.r_squared[1].1, "{name}");
        // Drifted is one after the other, dense is each by itself.
        let first = fit(&slim, &[0], FitInputs::Drifted);
        let second = fit(&first.slim, &[1], FitInputs::Drifted);
        assert_eq!(
            logits(second.slim.model.as_ref()),
            logits(drifted.slim.model.as_ref()),
            "{name}"
        );
        let alone = fit(&slim, &[1], FitInputs::Dense);
        assert_eq!(dense.r_squared[1], alone.r_squared[0], "{name}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let folder = folders().into_iter().find(|folder| name(folder) == "zamba2").unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let slim = Slim::dense(model(&folder));
            let text = windows(slim.model.as_ref(), 5, 1);
            let cut = Linearise { layers: &[1, 2], rank: Some(5), inputs: FitInputs::Drifted };
            let cut = linearise(&slim, &cut, &text, &text, &Watch::default()).unwrap().unwrap();
            let (left, gone, distances) = dropped(&cut.slim, DropScore::Angular, 2, &text).unwrap();
            (logits(left.model.as_ref()), gone, distances, cut.r_squared)
        })
    };
    assert_eq!(run(1), run(2));
}

/// Cuts of cut models: what is dropped, replaced and dropped again runs token by token as a whole.
#[test]
fn cuts_follow_each_other() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        if slim.model.facts().layers < 3 {
            continue;
        }
        let text = windows(slim.model.as_ref(), 4, 1);
        let (left, ..) = dropped(&slim, DropScore::Influence, 1, &text).unwrap();
        let cut = Linearise { layers: &[0], rank: Some(3), inputs: FitInputs::Drifted };
        let cut = linearise(&left, &cut, &text, &text, &Watch::default()).unwrap().unwrap();
        let (last, ..) = dropped(&cut.slim, DropScore::Last, 1, &[]).unwrap();
        assert_eq!(last.storage, Storage::of(last.model.as_ref()), "{name}");
        let ids = &text[0];
        let whole = last.model.forward(&Batch::new([ids.as_slice()]), &mut Dense).unwrap();
        let mut cache = last.model.new_cache();
        let mut pieces = Vec::new();
        for id in ids {
            pieces.extend(into_values(last.model.extend(&[*id], &mut cache, &mut Dense).unwrap()));
        }
        let difference = worst(&pieces, &into_values(whole));
        assert!(difference < 1e-4, "{name}: {difference:e}");
    }
}

/// A wrapper that drops nothing is the model, for all that cuts ask of it.
#[test]
fn matrices_of_dropped_layers_are_gone() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let layers = slim.model.facts().layers;
        if layers < 2 {
            continue;
        }
        let inner: std::sync::Arc<dyn Model> = std::sync::Arc::from(model(&folder));
        let left = Layered::without(inner, &[0]).unwrap();
        let mut seen = Vec::new();
        let same = left.map_linears(&mut |of| {
            assert!(of.layer < layers - 1, "{name}");
            seen.push(of.name().to_string());
            None
        });
        assert_eq!(logits(same.as_ref()), logits(&left), "{name}");
        let mut expected: Vec<String> = (0..layers - 1)
            .flat_map(|layer| left.linears(layer))
            .map(|of| of.name().to_string())
            .collect();
        expected.sort();
        expected.dedup();
        seen.sort();
        assert_eq!(seen, expected, "{name}");
    }
}

//! Matrices of low rank, over every golden family.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod golden_models;

use std::collections::BTreeMap;

use cuts::{
    CutError, LOW_RANK, LowRankCut, LowRankMethod, Matrix, Needs, Rounding, Slim, Watch,
    cut_in_order,
};
use faer::{Mat, MatRef};
use golden_models::{folders, logits, model, name, windows};
use models::Model;

fn matrices(model: &dyn Model) -> BTreeMap<String, Matrix> {
    let uses = (0..model.facts().layers).flat_map(|layer| model.linears(layer));
    uses.map(|of| (of.name().to_string(), Matrix::of(&of))).collect()
}

fn wide(matrix: &Matrix) -> Mat<f64> {
    Mat::from_fn(matrix.rows, matrix.columns, |i, j| f64::from(matrix.row(i)[j]))
}

fn cut(slim: &Slim, method: LowRankMethod, rank: usize, text: &[Vec<u32>]) -> Slim {
    LowRankCut::new(method, rank).apply(slim.shared(), text, &Watch::default()).unwrap().unwrap()
}

/// Of every family: no other matrix of rank `r` is nearer (Eckart & Young: the error is what the singular
/// values from `r` on hold), and what is stored are the factors.
#[test]
fn svd_is_the_nearest_matrix_of_its_rank() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let left = cut(&slim, LowRankMethod::Svd, 3, &[]);
        let after = matrices(left.model.as_ref());
        for (matrix, before) in matrices(slim.model.as_ref()) {
            let stored = left.storage.matrices[&matrix];
            let after = &after[&matrix];
            let before = wide(&before);
            let values = before.singular_values().unwrap();
            let error = (&before - wide(after)).norm_l2();
            let tail = values.iter().skip(3).map(|s| s * s).sum::<f64>().sqrt();
            assert!((error - tail).abs() < 1e-5 * values[0], "{name} {matrix}: {error} {tail}");
            let (rows, columns) = (before.nrows(), before.ncols());
            match 3 * (rows + columns) < rows * columns {
                true => assert_eq!(stored.rank, Some(3), "{name} {matrix}"),
                false => assert_eq!(stored.rank, None, "{name} {matrix}"),
            }
        }
        assert!(left.storage.bytes() < slim.storage.bytes(), "{name}");
    }
}

#[test]
fn a_rank_that_is_there_changes_nothing() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let text = windows(slim.model.as_ref(), 2, 1);
        for (_, method) in LOW_RANK {
            let left = cut(&slim, method, 1000, &text);
            assert_eq!(logits(left.model.as_ref()), logits(slim.model.as_ref()), "{name}");
            assert_eq!(left.storage, slim.storage, "{name}");
        }
    }
}

/// On what a matrix reads, the whitened form errs less than the plain one, and no less than the tail of
/// the singular values of `W·Xᵀ` allows. First layers only: later ones read what cut ones hand on.
#[test]
fn svd_activations_is_the_nearest_on_its_inputs() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let text = windows(slim.model.as_ref(), 8, 1);
        let first: Vec<String> =
            slim.model.linears(0).iter().map(|of| of.name().to_string()).collect();
        let grams = std::sync::Mutex::new(BTreeMap::new());
        cut_in_order(
            slim.model.as_ref(),
            &text,
            Needs::Products,
            &Watch::default(),
            &|matrices, gram| {
                let products = gram.unwrap().products();
                let names = matrices.iter().map(|m| (m.name.to_string(), products.clone()));
                grams.lock().unwrap().extend(names);
                Ok(matrices)
            },
        )
        .unwrap();
        let grams = grams.into_inner().unwrap();
        let before = matrices(slim.model.as_ref());
        let plain = matrices(cut(&slim, LowRankMethod::Svd, 3, &[]).model.as_ref());
        let white = matrices(cut(&slim, LowRankMethod::SvdActivations, 3, &text).model.as_ref());
        for matrix in first {
            let (w, gram) = (wide(&before[&matrix]), &grams[&matrix]);
            let error = |other: &Matrix| {
                let apart = &w - wide(other);
                let squares = &apart * gram * apart.transpose();
                (0..squares.nrows()).map(|i| squares[(i, i)]).sum::<f64>()
            };
            let outputs = &w * gram * w.transpose();
            let values = MatRef::from(outputs.as_ref()).singular_values().unwrap();
            let least: f64 = values.iter().skip(3).sum();
            let (plain, white) = (error(&plain[&matrix]), error(&white[&matrix]));
            assert!(white <= plain + 1e-6 * values[0], "{name} {matrix}: {white} {plain}");
            let apart = (white - least).abs() / values[0];
            assert!(apart < 1e-6, "{name} {matrix}: {white} {least}");
        }
    }
}

/// Rounded factors: at 8 bits the product is nearly the exact one, at 2 it is not; what is stored is
/// counted by the factors; zero directions do no harm.
#[test]
fn factors_are_rounded_and_not_their_product() {
    for folder in folders() {
        let (name, slim) = (name(&folder), Slim::dense(model(&folder)));
        let plain = cut(&slim, LowRankMethod::Svd, 3, &[]);
        let exact = matrices(plain.model.as_ref());
        let rounded = |bits| {
            let rounding = Some(Rounding { bits, group: 16 });
            let cut = LowRankCut { rounding, ..LowRankCut::new(LowRankMethod::Svd, 3) };
            cut.apply(slim.shared(), &[], &Watch::default()).unwrap().unwrap()
        };
        let (fine, coarse) = (rounded(8), rounded(2));
        let (fine_matrices, coarse_matrices) =
            (matrices(fine.model.as_ref()), matrices(coarse.model.as_ref()));
        for (matrix, exact) in exact {
            let stored = fine.storage.matrices[&matrix];
            assert_eq!(stored.rounding, Some(Rounding { bits: 8, group: 16 }), "{name} {matrix}");
            let exact = wide(&exact);
            let apart = |of: &Matrix| (&exact - wide(of)).norm_l2() / exact.norm_l2();
            let (fine, coarse) = (apart(&fine_matrices[&matrix]), apart(&coarse_matrices[&matrix]));
            assert!(fine < 0.03 && fine < coarse, "{name} {matrix}: {fine} {coarse}");
            if stored.rank.is_some() {
                // The product of two factors still has their rank.
                let values = wide(&coarse_matrices[&matrix]).singular_values().unwrap();
                assert!(values[3] < 1e-5 * values[0], "{name} {matrix}: {values:?}");
            }
        }
        assert!(coarse.storage.bytes() < fine.storage.bytes(), "{name}");
        assert!(fine.storage.bytes() < plain.storage.bytes(), "{name}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let folder = folders().into_iter().find(|folder| name(folder) == "llama").unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let slim = Slim::dense(model(&folder));
            let text = windows(slim.model.as_ref(), 5, 1);
            logits(cut(&slim, LowRankMethod::SvdActivations, 5, &text).model.as_ref())
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn impossible_cuts_are_refused() {
    let folder = folders().into_iter().find(|folder| name(folder) == "llama").unwrap();
    let slim = Slim::dense(model(&folder));
    let refusal = |method, rank| {
        let cut = LowRankCut::new(method, rank);
        cut.apply(slim.shared(), &[], &Watch::default()).err().unwrap()
    };
    let error = refusal(LowRankMethod::Svd, 0);
    assert!(matches!(error, CutError::Setting { setting: "rank", .. }), "{error}");
    let error = refusal(LowRankMethod::SvdActivations, 2);
    assert!(error.to_string().contains("text"), "{error}");
    assert!(LowRankMethod::named("qr").is_err());
    for (name, method) in LOW_RANK {
        assert_eq!(LowRankMethod::named(name).unwrap(), method);
    }
}

//! Choices that begin alike: reading the beginning once gives what whole sequences give, on every family,
//! dense and with a kept set a token; and what was measured of the tokens is the same.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

use std::path::{Path, PathBuf};

use corpora::{Item, Request};
use evaluation::{Passes, RequestResult, evaluate, tokens_read};
use importance::by_name;
use models::{Device, Model, load};
use skips::{Commitment, Measuring, Selection, Shares, Skipping, Windowed};

/// Two ways through the same sums of f32: as between a batch and its sequences.
const TOLERANCE: f64 = 2e-5;

fn folders() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    let entries = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> =
        entries.filter(|path| path.join("expected.safetensors").is_file()).collect();
    folders.sort();
    folders
}

/// Items whose choices are longer, one id long, all alike but for the last id, and the end of another's.
fn items(vocabulary: u32) -> Vec<Item> {
    let ids =
        |n: u32, salt: u32| -> Vec<u32> { (0..n).map(|i| (i * i + salt) % vocabulary).collect() };
    let item = |index: usize, stem: &[u32], choices: &[Vec<u32>]| {
        let request = |choice: &Vec<u32>| {
            Request::continuation([stem, choice].concat(), choice.len()).unwrap()
        };
        let requests = choices.iter().map(request).collect();
        Item { requests, ..Item::single(index, Request::window(vec![0, 1])) }
    };
    let first = ids(11, 3);
    vec![
        item(0, &ids(12, 5), &[ids(4, 1), ids(3, 9), ids(6, 2)]),
        item(1, &ids(9, 6), &[ids(1, 1), ids(1, 4), ids(1, 8)]),
        item(2, &ids(2, 7), &[ids(3, 1), ids(2, 9)]),
        item(3, &first, &[ids(1, 1), [ids(1, 1), ids(3, 2)].concat()]),
        item(4, &ids(10, 8), &[ids(2, 3), ids(2, 5)]),
    ]
}

fn executor(model: &dyn Model, sparsity: f64) -> Skipping {
    let windowed = Windowed {
        score: by_name("magnitude").unwrap(),
        sparsity,
        commitment: Commitment::DYNAMIC,
        seed: 1,
        calibrated: Vec::new(),
    };
    let selection = if sparsity == 0.0 { Selection::All } else { Selection::Windowed(windowed) };
    Skipping::new(selection, model.ffns().len())
}

fn run(
    model: &dyn Model,
    sparsity: f64,
    items: &[Item],
    passes: Passes,
) -> Vec<(RequestResult, Shares)> {
    let mut executor = executor(model, sparsity);
    assert!(executor.takes_pieces());
    let results = evaluate(model, &mut executor, items, passes, None).unwrap();
    let sequences = executor.take_shares();
    let shares = |result: &RequestResult| {
        let mut sum = Shares::default();
        let own = result.sequences.iter().filter_map(|sequence| sequences.get(*sequence));
        own.for_each(|own| sum.add(own));
        sum
    };
    results.into_iter().map(|result| (shares(&result), result)).map(|(s, r)| (r, s)).collect()
}

#[test]
fn a_shared_beginning_gives_what_whole_sequences_give() {
    for folder in folders() {
        let model = load(&folder, &Device::flex()).unwrap().model;
        let items = items(model.facts().vocabulary as u32);
        let read = |passes| items.iter().map(|item| tokens_read(item, passes)).sum::<usize>();
        assert!(read(Passes::SharedBeginning) < read(Passes::Whole));
        let mut largest = 0.0_f64;
        for sparsity in [0.0, 0.5] {
            let whole = run(model.as_ref(), sparsity, &items, Passes::Whole);
            let shared = run(model.as_ref(), sparsity, &items, Passes::SharedBeginning);
            assert_eq!(whole.len(), shared.len());
            for ((a, a_shares), (b, b_shares)) in whole.iter().zip(&shared) {
                let off = (a.logprob_nats - b.logprob_nats).abs();
                assert!(off < TOLERANCE, "{}: {a:?} {b:?}", folder.display());
                largest = largest.max(off);
                assert_eq!((a.n_targets, a.n_read), (b.n_targets, b.n_read));
                assert_eq!(a_shares.entries, b_shares.entries, "{}", folder.display());
                assert_eq!(a_shares.kept, b_shares.kept);
            }
        }
        println!("{}: off by {largest:.1e} nats at most", folder.display());
    }
}

/// A window looks beyond its own token, and a drawn score hangs on the whole sequence: neither may begin
/// anywhere but at the first id.
#[test]
fn what_looks_beyond_a_token_is_read_whole() {
    let windowed = |score: &str, window: usize| Windowed {
        score: by_name(score).unwrap(),
        sparsity: 0.5,
        commitment: Commitment { window, ..Commitment::DYNAMIC },
        seed: 1,
        calibrated: Vec::new(),
    };
    let takes = |own: Windowed| Skipping::new(Selection::Windowed(own), 2).takes_pieces();
    assert!(takes(windowed("magnitude", 1)));
    assert!(!takes(windowed("magnitude", 4)));
    assert!(!takes(windowed("random", 1)));
}

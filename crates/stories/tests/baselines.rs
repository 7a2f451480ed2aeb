//! How far a few tokens of context go: the figures that a trained model has to beat.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use stories::{Distances, NGram, Register, Split, Stories, train_tokenizer, words};

const TRAIN_PER_REGISTER: usize = 4000;
const TEST_PER_REGISTER: usize = 300;
const ITEMS: usize = 1000;

#[test]
fn short_contexts_do_not_suffice() {
    let stories = Stories::new(1);
    let tokenizer = train_tokenizer(stories).unwrap();
    let ids = |text: String| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
    let documents = |split, register, n| {
        stories.documents(split, register).take(n).map(|document| document.text)
    };
    let train: Vec<Vec<u32>> =
        stories.mixture(Split::Train).take(3 * TRAIN_PER_REGISTER).map(|d| ids(d.text)).collect();
    let size = tokenizer.get_vocab_size(true);
    println!("vocabulary {size}, {} training ids", train.iter().map(Vec::len).sum::<usize>());
    let models: Vec<NGram> = (1..=3).map(|order| NGram::train(order, size, &train)).collect();
    for register in Register::ALL {
        let texts: Vec<String> = documents(Split::Test, register, TEST_PER_REGISTER).collect();
        let lengths: Vec<usize> = texts.iter().map(|text| words(text).count()).collect();
        let test: Vec<Vec<u32>> = texts.into_iter().map(ids).collect();
        let perplexities: Vec<f64> =
            models.iter().map(|model| model.loss(&test).perplexity()).collect();
        println!(
            "{}: {:.1} words a document ({} to {}), {:.1} ids; perplexity {perplexities:.2?}",
            register.name(),
            lengths.iter().sum::<usize>() as f64 / lengths.len() as f64,
            lengths.iter().min().unwrap(),
            lengths.iter().max().unwrap(),
            test.iter().map(Vec::len).sum::<usize>() as f64 / test.len() as f64,
        );
        assert!(perplexities[2] < perplexities[1] && perplexities[1] < perplexities[0] / 2.0);
    }
    let items: Vec<Vec<u32>> =
        stories.items(Split::Test, Distances::ALL).take(ITEMS).map(|item| ids(item.text)).collect();
    let right = items.iter().filter(|item| models[2].predicts_last(item, 1)).count();
    println!("last word by the 3-gram: {right} of {ITEMS}");
    // One of 32 words.
    assert!(right * 12 < ITEMS, "{right} of {ITEMS}");
}

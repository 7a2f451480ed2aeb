//! The tokenizer: the same bytes in every process, one token a word, any text encoded.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{collections::BTreeSet, process::Command};

use stories::{BEGINNING, Distances, Split, Stories, VOCABULARY, pieces, train_tokenizer, words};

const CHILD: &str = "child_prints_its_tokenizer";
/// Set in the other process.
const IS_CHILD: &str = "STORIES_PRINT_TOKENIZER";

#[test]
fn training_repeats_in_another_process() {
    let here = train_tokenizer(Stories::new(1)).unwrap().to_string(true).unwrap();
    // Hash tables are seeded anew in every process.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(IS_CHILD, "1")
        .output()
        .unwrap();
    let there = String::from_utf8(output.stdout).unwrap();
    assert!(there.contains(&here), "two processes trained different tokenizers");
}

/// The other process of the test above; on its own it has nothing to show.
#[test]
fn child_prints_its_tokenizer() {
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    println!("{}", train_tokenizer(Stories::new(1)).unwrap().to_string(true).unwrap());
}

#[test]
fn every_word_is_one_token() {
    let stories = Stories::new(1);
    let tokenizer = train_tokenizer(stories).unwrap();
    let size = tokenizer.get_vocab_size(true);
    assert!(size <= VOCABULARY, "{size}");
    let beginning = tokenizer.token_to_id(BEGINNING).unwrap();
    assert_eq!(beginning, 0);
    let mut distinct: BTreeSet<String> = BTreeSet::new();
    let (mut n_ids, mut n_words, mut n) = (0, 0, 0);
    let passages = stories.items(Split::Test, Distances::ALL).take(500).map(|item| item.text);
    let documents = stories.mixture(Split::Test).take(3000).map(|document| document.text);
    for text in documents.chain(passages) {
        let encoding = tokenizer.encode(text.as_str(), true).unwrap();
        let ids = encoding.get_ids();
        assert_eq!(ids[0], beginning);
        assert_eq!(ids.len(), 1 + pieces(&text), "{text}");
        assert_eq!(tokenizer.decode(ids, true).unwrap(), text);
        distinct.extend(words(&text).map(str::to_lowercase));
        n_ids += ids.len();
        n_words += words(&text).count();
        n += 1;
    }
    println!("{size} entries; {} distinct words", distinct.len());
    println!(
        "{:.1} ids a text, {:.3} a word",
        n_ids as f64 / f64::from(n),
        n_ids as f64 / n_words as f64
    );
}

#[test]
fn any_text_can_be_encoded() {
    let tokenizer = train_tokenizer(Stories::new(1)).unwrap();
    let text = "Größe 42: naïve \u{1F980}\n\n\ttabs & <tags>";
    let encoding = tokenizer.encode(text, true).unwrap();
    assert_eq!(tokenizer.decode(encoding.get_ids(), true).unwrap(), text);
}

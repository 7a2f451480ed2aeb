//! Train, calibration and test share no text, no passage of an item and no long run of words.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;

use stories::{Distances, Person, Reading, Register, Runs, Split, Stories, Thing};

/// Long enough that chance makes no equal runs: see [`Runs`].
const WORDS_OF_A_RUN: usize = 48;
const DOCUMENTS: u64 = 20_000;

fn texts(split: Split, n: u64) -> Vec<String> {
    let stories = Stories::new(1);
    let per_register = n / Register::ALL.len() as u64;
    let documents = Register::ALL.into_iter().flat_map(|register| {
        (0..per_register).map(move |index| stories.document(split, register, index).text)
    });
    documents.collect()
}

fn passages(split: Split, n: usize) -> Vec<String> {
    Stories::new(1).items(split, Distances::ALL).take(n).map(|item| item.text).collect()
}

#[test]
fn splits_share_nothing() {
    let train = texts(Split::Train, DOCUMENTS);
    let known: BTreeSet<&str> = train.iter().map(String::as_str).collect();
    assert_eq!(known.len(), train.len(), "a train document occurs twice");
    let runs = Runs::of(WORDS_OF_A_RUN, &train);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for split in [Split::Calibration, Split::Test] {
        let held_out = [texts(split, DOCUMENTS / 4), passages(split, 3000)].concat();
        for text in held_out {
            assert!(!known.contains(text.as_str()), "{text}");
            // A passage that stood in a train document would share all its runs.
            assert_eq!(runs.shared_with(&text), None, "{text}");
            assert!(seen.insert(text), "calibration and test share a text, or one has it twice");
        }
    }
}

#[test]
fn the_opening_tells_the_split() {
    for split in Split::ALL {
        for text in texts(split, 600).into_iter().chain(passages(split, 200)) {
            let reading = Reading::of(&text).or_else(|_| Reading::of(&format!("{text}.")));
            assert_eq!(reading.unwrap().split(), Ok(split), "{text}");
        }
    }
}

#[test]
fn pairs_are_not_held_out() {
    let mut pairs: BTreeSet<(Person, Thing)> = BTreeSet::new();
    for text in texts(Split::Train, DOCUMENTS) {
        let reading = Reading::of(&text).unwrap();
        pairs.extend(reading.world.things().filter_map(|(t, w)| Some((w.holder()?, t))));
    }
    let all = Person::words().len() * Thing::words().len();
    assert!(pairs.len() * 100 > all * 99, "{} of {all}", pairs.len());
}

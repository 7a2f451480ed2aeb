//! Every text is good English of a kind, consistent, and where its address says; every item has one
//! answer, at the distance it states.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use proptest::{prelude::*, test_runner::RngSeed};
use stories::{
    Distances, LONGEST_DISTANCE, MOST_PIECES, Question, Reading, Register, Split, Stories, answers,
    pieces, sentences, words,
};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(11),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn split() -> impl Strategy<Value = Split> {
    prop::sample::select(Split::ALL.to_vec())
}

fn register() -> impl Strategy<Value = Register> {
    prop::sample::select(Register::ALL.to_vec())
}

/// What holds for the looks of every text.
fn check_style(text: &str) {
    assert!(text.is_ascii(), "{text}");
    assert!(!text.contains("  ") && text.trim() == text, "{text}");
    for sentence in sentences(text) {
        let first = sentence.trim_start_matches('"').chars().next().unwrap();
        assert!(first.is_ascii_uppercase(), "{sentence}");
        assert!(sentence.ends_with(['.', '?', '!']), "{sentence}");
        assert!((5..=12).contains(&words(sentence).count()), "{sentence}");
        let quotes = sentence.matches('"').count();
        assert!(quotes == 0 || quotes == 2, "{sentence}");
    }
    let all: Vec<&str> = words(text).collect();
    for pair in all.windows(2) {
        let vowel = pair[1].starts_with(['a', 'e', 'i', 'o', 'u']);
        assert!(pair[0] != "a" || !vowel, "{pair:?} in {text}");
        assert!(pair[0] != "an" || vowel, "{pair:?} in {text}");
    }
    assert!(pieces(text) <= MOST_PIECES, "{text}");
    assert!((45..=250).contains(&all.len()), "{} words: {text}", all.len());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn documents_are_consistent(
        seed: u64, split in split(), register in register(), index in 0_u64..1_000_000,
    ) {
        let document = Stories::new(seed).document(split, register, index);
        check_style(&document.text);
        let reading = Reading::of(&document.text).unwrap();
        prop_assert_eq!(reading.register, register);
        prop_assert_eq!(reading.split(), Ok(split));
    }

    #[test]
    fn the_last_word_follows_from_the_text(
        seed: u64, split in split(), index in 0_u64..1_000_000,
    ) {
        let item = Stories::new(seed).item(split, Distances::ALL, index);
        check_style(&format!("{}.", item.text));
        prop_assert_eq!(item.text.rsplit(' ').next(), Some(item.answer.as_str()));
        prop_assert_eq!(answers(&item.text).unwrap(), [item.answer.as_str()]);

        // The passage itself shows the distances.
        let reading = Reading::of(&format!("{}.", item.text)).unwrap();
        prop_assert_eq!(reading.split(), Ok(split));
        let question = reading.events.last().and_then(Question::of);
        prop_assert_eq!(question, Some(item.question));
        let last = reading.events.len() - 1;
        let settled = reading.settled(item.question).unwrap();
        prop_assert_eq!(reading.named(item.question), Some(settled), "named in between");
        prop_assert_eq!(last - settled, item.distance_sentences as usize);

        let told = sentences(&item.text);
        prop_assert!(words(told[settled]).any(|word| word == item.answer));
        let tail = told[settled..].join(" ");
        let behind = words(&tail).count() - item.distance_words as usize;
        let at = words(told[settled]).collect::<Vec<_>>();
        let at = at.iter().rposition(|word| *word == item.answer).unwrap();
        prop_assert_eq!(behind, at + 1);
    }
}

#[test]
fn an_address_is_enough() {
    let stories = Stories::new(3);
    for (index, document) in (0..20).zip(stories.documents(Split::Train, Register::Dialogue)) {
        assert_eq!(document, stories.document(Split::Train, Register::Dialogue, index));
    }
    let distances = Distances::new(2, 9).unwrap();
    for (index, item) in (0..20).zip(stories.items(Split::Test, distances)) {
        assert_eq!(item, stories.item(Split::Test, distances, index));
        assert_eq!(u64::from(item.distance_sentences), 2 + index % 8);
    }
    for (index, document) in stories.mixture(Split::Calibration).take(9).enumerate() {
        let register = Register::ALL[index % 3];
        let other = stories.document(Split::Calibration, register, index as u64 / 3);
        assert_eq!(document, other);
    }
    let one = stories.document(Split::Train, Register::Narrative, 0);
    assert_ne!(one, Stories::new(4).document(Split::Train, Register::Narrative, 0));
    assert_ne!(one, stories.document(Split::Train, Register::Narrative, 1));
}

#[test]
fn every_distance_has_as_many_items() {
    let stories = Stories::new(5);
    let mut counts = std::collections::BTreeMap::new();
    for item in stories.items(Split::Test, Distances::ALL).take(3 * Distances::ALL.cycle() as usize)
    {
        *counts.entry((item.distance_sentences, item.question)).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 3 * LONGEST_DISTANCE as usize);
    assert!(counts.values().all(|n| *n == 3), "{counts:?}");
}

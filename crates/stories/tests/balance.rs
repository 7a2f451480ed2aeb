//! Nothing but the settling sentence gives the answer away.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;

use stories::{Distances, Question, Split, Stories, sentences, words};

const ITEMS: usize = 9600;

/// Of all words of the list that is asked for, a passage names one, in two sentences: the settling one
/// and the last.
#[test]
fn no_other_word_of_the_list_is_named() {
    for item in Stories::new(2).items(Split::Test, Distances::ALL).take(ITEMS / 4) {
        let told = sentences(&item.text);
        let last = told.len() - 1;
        let settled = last - item.distance_sentences as usize;
        for (number, sentence) in told.iter().enumerate() {
            let list = item.question.words();
            let named: Vec<&str> = words(sentence).filter(|word| list.contains(word)).collect();
            match number == settled || number == last {
                true => assert_eq!(named, [item.answer.as_str()], "{}", item.text),
                false => assert!(named.is_empty(), "{}", item.text),
            }
        }
    }
}

/// A guess that knows the list and nothing of the text is right once in 32.
#[test]
fn answers_are_spread_over_the_lists() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in Stories::new(2).items(Split::Test, Distances::ALL).take(ITEMS) {
        *counts.entry(item.answer).or_default() += 1;
    }
    for question in Question::ALL {
        let list = question.words();
        assert_eq!(list.len(), 32, "{question:?}");
        let expected = ITEMS as f64 / 3.0 / list.len() as f64;
        for word in list {
            let n = counts.get(*word).copied().unwrap_or(0) as f64;
            // Poisson: 5 standard deviations.
            assert!((n - expected).abs() < 5.0 * expected.sqrt(), "{question:?}, {word}: {n}");
        }
    }
}

/// What comes before the settling sentence is as long at every distance: a far answer is not an early
/// one.
#[test]
fn distance_is_not_position() {
    let mut before: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for item in Stories::new(2).items(Split::Test, Distances::ALL).take(ITEMS) {
        let told = sentences(&item.text).len() - 1 - item.distance_sentences as usize;
        before.entry(item.distance_sentences.div_ceil(5)).or_default().push(told);
    }
    let means: Vec<f64> =
        before.values().map(|n| n.iter().sum::<usize>() as f64 / n.len() as f64).collect();
    println!("sentences before the settling one, by distance in fives: {means:.2?}");
    // 2,400 texts a bin, each from 5 to 10 sentences; texts that outgrow the limit are drawn anew,
    // which favours short beginnings at the far end.
    let (low, high) = means.iter().fold((f64::MAX, 0.0_f64), |(l, h), m| (l.min(*m), h.max(*m)));
    assert!(high - low < 0.3, "{means:?}");
}

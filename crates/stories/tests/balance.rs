//! Nothing but the settling sentence gives the answer away: simple guesses are right as often as
//! chance has it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;

use stories::{
    CROWDED_FROM, Distances, Item, Person, Place, Question, Split, Stories, sentences, words,
};

const ITEMS: usize = 8000;

/// How often each guess was right.
#[derive(Default)]
struct Guesses {
    items: usize,
    right: BTreeMap<&'static str, usize>,
}

impl Guesses {
    fn add(&mut self, item: &Item) {
        let told = sentences(&item.text);
        let (last, before) = told.split_last().unwrap();
        let before = before.join(" ");
        let list = match item.question {
            Question::Holder => Person::words(),
            Question::Place => Place::words(),
        };
        let named: Vec<&str> = words(&before).filter(|word| list.contains(word)).collect();
        let mut introduced: Vec<&str> = Vec::new();
        let mut recent: Vec<&str> = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &named {
            if !introduced.contains(name) {
                introduced.push(name);
            }
            *counts.entry(name).or_default() += 1;
        }
        for name in named.iter().rev() {
            if !recent.contains(name) {
                recent.push(name);
            }
        }
        let thing = words(last).find(|word| stories::Thing::words().contains(word)).unwrap();
        let most = counts.iter().max_by_key(|(_, n)| **n).map(|(name, _)| *name);
        let guesses = [
            ("named last", recent.first().copied()),
            ("not named for longest", recent.last().copied()),
            ("introduced first", introduced.first().copied()),
            ("introduced second", introduced.get(1).copied()),
            ("introduced third", introduced.get(2).copied()),
            ("introduced fourth", introduced.get(3).copied()),
            ("named most", most),
            ("had it at first", at_first(&told, thing, list)),
        ];
        self.items += 1;
        for (guess, name) in guesses {
            *self.right.entry(guess).or_default() +=
                usize::from(name == Some(item.answer.as_str()));
        }
    }

    fn share(&self, guess: &str) -> f64 {
        self.right[guess] as f64 / self.items as f64
    }
}

/// The candidate in the sentence that first names the thing.
fn at_first<'t>(told: &[&'t str], thing: &str, list: &[&str]) -> Option<&'t str> {
    let first = told.iter().find(|sentence| words(sentence).any(|word| word == thing))?;
    words(first).find(|word| list.contains(word))
}

fn guesses(question: Question, from: u32, to: u32) -> Guesses {
    let mut guesses = Guesses::default();
    let distances = Distances::new(from, to).unwrap();
    let items = Stories::new(2).items(Split::Test, distances);
    for item in items.filter(|item| item.question == question).take(ITEMS / 2) {
        guesses.add(&item);
    }
    guesses
}

/// How far a share may lie from one in four: six standard errors of 4,000 items, of which the guesses
/// themselves use a part.
const MARGIN: f64 = 0.04;

#[test]
fn far_answers_cannot_be_guessed() {
    for question in Question::ALL {
        let guesses = guesses(question, CROWDED_FROM, 20);
        for guess in guesses.right.keys() {
            println!("{question:?}, from {CROWDED_FROM} on, {guess}: {:.3}", guesses.share(guess));
        }
        for guess in guesses.right.keys() {
            let share = guesses.share(guess);
            assert!((share - 0.25).abs() < MARGIN, "{question:?}, {guess}: {share}");
        }
    }
}

#[test]
fn near_answers_are_among_the_last_named() {
    for question in Question::ALL {
        let guesses = guesses(question, 1, CROWDED_FROM - 1);
        for guess in guesses.right.keys() {
            println!("{question:?}, below {CROWDED_FROM}, {guess}: {:.3}", guesses.share(guess));
        }
        assert!(guesses.share("named last") < 0.6);
        assert!(guesses.share("named most") < 0.25 + MARGIN);
        for guess in ["introduced first", "introduced fourth", "had it at first"] {
            let share = guesses.share(guess);
            assert!((share - 0.25).abs() < MARGIN, "{question:?}, {guess}: {share}");
        }
    }
}

#[test]
fn answers_are_spread_over_the_lists() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in Stories::new(2).items(Split::Test, Distances::ALL).take(ITEMS) {
        *counts.entry(item.answer).or_default() += 1;
    }
    for (list, name) in [(Person::words(), "people"), (Place::words(), "places")] {
        let expected = ITEMS as f64 / 2.0 / list.len() as f64;
        for word in list {
            let n = counts.get(*word).copied().unwrap_or(0) as f64;
            // Poisson: 5 standard deviations.
            assert!((n - expected).abs() < 5.0 * expected.sqrt(), "{name}, {word}: {n}");
        }
    }
}

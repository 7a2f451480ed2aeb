//! Every score that a step can name is implemented, and needs what the plan thinks that it needs.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use importance::{NAMES, STATE_NAMES, by_name, by_state_name};
use plan::{Needs, Part, Score};

#[test]
fn vocabulary_is_covered() {
    let names = |part| -> Vec<&str> {
        let of_part = Score::ALL.iter().filter(|score| score.ranks(part));
        of_part.map(|score| score.as_str()).collect()
    };
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(names(Part::Ffn)), sorted(NAMES.to_vec()));
    assert_eq!(sorted(names(Part::State)), sorted(STATE_NAMES.to_vec()));
    let needs = |text, gradients| match (text, gradients) {
        (_, true) => Needs::Gradient,
        (true, false) => Needs::Forward,
        (false, false) => Needs::Nothing,
    };
    for score in Score::ALL.iter().filter(|score| score.ranks(Part::Ffn)) {
        let known = by_name(score.as_str()).unwrap();
        assert_eq!(needs(known.needs_text(), known.needs_gradient()), score.needs(), "{score}");
    }
    for score in Score::ALL.iter().filter(|score| score.ranks(Part::State)) {
        let known = by_state_name(score.as_str()).unwrap();
        let found = needs(known.needs_text(), known.needs_gradients());
        assert_eq!(found, score.needs(), "{score}");
    }
}

//! Which candidates matter most.
//!
//! The rule. Each candidate answers one question (static against dynamic, the dial, last words, …) and
//! has an effect on a logarithmic scale with 95 % intervals. What counts is the *sure effect*: the
//! smallest one that the intervals leave possible, so that a large effect which may be nothing counts
//! as nothing.
//!
//! 1. Of every question the candidate with the largest sure effect comes first, so that five of them
//!    say five different things; then of every question the second, and so on.
//! 2. Among those of one round the larger sure effect comes first.
//! 3. Of equals the larger estimate, then the earlier question, model and text: never the order in
//!    which they were found.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::effect::Effect;

/// So many stand first.
pub const SHOWN: usize = 5;

/// What a candidate answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Does it matter whether a set is chosen for the whole run or for every token?
    StaticAgainstDynamic,
    /// How does the price rise with the time for which a set is kept?
    Dial,
    /// How many last words are lost?
    LastWords,
    /// How many items of downstream tasks are lost?
    Tasks,
    /// What do channels of a recurrent state cost?
    State,
    /// Does it pay to look at the output, and not at a size alone?
    ByEffect,
    /// Is what is large important?
    Importance,
    /// How fast do kept sets change?
    KeptSets,
    /// How few bytes does a model need?
    Bytes,
    /// Which method of cutting weights costs least?
    Methods,
    /// What is there before anything is dropped? Asked where there is nothing else.
    Dense,
}

/// What may stand first.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<T> {
    /// What it answers.
    pub question: Question,
    /// The model that it is about.
    pub model: String,
    /// How large it is.
    pub effect: Effect,
    /// What it says.
    pub content: T,
}

impl<T> Candidate<T> {
    /// The same with its content said otherwise.
    pub fn map<U>(self, say: impl FnOnce(T) -> U) -> Candidate<U> {
        let Candidate { question, model, effect, content } = self;
        Candidate { question, model, effect, content: say(content) }
    }
}

fn order<T: Ord>(a: &Candidate<T>, b: &Candidate<T>) -> Ordering {
    b.effect
        .sure
        .total_cmp(&a.effect.sure)
        .then(b.effect.estimate.total_cmp(&a.effect.estimate))
        .then_with(|| (a.question, &a.model, &a.content).cmp(&(b.question, &b.model, &b.content)))
}

/// The candidates that matter most, the most important first.
pub fn choose<T: Ord>(mut candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    candidates.sort_by(order);
    let mut of_question: BTreeMap<Question, usize> = BTreeMap::new();
    let with_round = candidates.into_iter().map(|own| {
        let round = of_question.entry(own.question).or_default();
        *round += 1;
        (*round, own)
    });
    let mut rounds: Vec<(usize, Candidate<T>)> = with_round.collect();
    // Stable: within a round the order stays.
    rounds.sort_by_key(|(round, _)| *round);
    rounds.into_iter().take(SHOWN).map(|(_, own)| own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(question: Question, model: &str, sure: f64, estimate: f64) -> Candidate<String> {
        let effect = Effect { sure, estimate };
        Candidate { question, model: model.to_owned(), effect, content: format!("{question:?}") }
    }

    #[test]
    fn the_surest_of_each_question_comes_first_whatever_the_order() {
        use Question::*;
        let candidates = vec![
            candidate(Dial, "a", 0.1, 9.0),
            candidate(StaticAgainstDynamic, "b", 2.0, 2.1),
            candidate(StaticAgainstDynamic, "a", 3.0, 3.1),
            candidate(LastWords, "a", 0.0, 0.7),
            candidate(State, "m", 0.5, 0.6),
            candidate(State, "l", 0.5, 0.6),
            candidate(LastWords, "b", 0.0, 0.8),
        ];
        let chosen = |candidates: &[Candidate<String>]| -> Vec<(Question, String)> {
            let chosen = choose(candidates.to_vec());
            chosen.into_iter().map(|own| (own.question, own.model)).collect()
        };
        let expected = [
            (StaticAgainstDynamic, "a"),
            (State, "l"),
            (Dial, "a"),
            (LastWords, "b"),
            // The second round.
            (StaticAgainstDynamic, "b"),
        ];
        let expected = expected.map(|(question, model)| (question, model.to_owned()));
        let mut candidates = candidates;
        for _ in 0..candidates.len() {
            assert_eq!(chosen(&candidates), expected);
            candidates.rotate_left(1);
        }
        candidates.reverse();
        assert_eq!(chosen(&candidates), expected);
        assert!(choose::<String>(Vec::new()).is_empty());
    }
}

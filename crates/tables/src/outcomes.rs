//! From the choices of items to what is right: the metrics `acc` and `acc_norm`.

use crate::ChoiceRow;

/// What the choices of one item come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Position of the item in the file, from 0.
    pub item_index: u32,
    /// Choices of the item.
    pub n_choices: u32,
    /// The right one.
    pub gold: u32,
    /// Whether the likeliest choice is the right one.
    pub acc: bool,
    /// The same by log-probability a character.
    pub acc_norm: bool,
}

/// One outcome an item, in the order of the rows, which are sorted by item and choice. Of equally likely
/// choices the first counts, as in lm-evaluation-harness (numpy's `argmax`).
///
/// An item of which no choice is right has none right.
pub fn outcomes(rows: &[ChoiceRow]) -> Vec<Outcome> {
    let by_item = rows.chunk_by(|a, b| a.item_index == b.item_index);
    by_item
        .map(|choices| {
            let likeliest = first_largest(choices.iter().map(|own| own.logprob_nats));
            let by_length = first_largest(
                choices.iter().map(|own| own.logprob_nats / f64::from(own.n_characters)),
            );
            let is_gold = |index: Option<usize>| index.is_some_and(|index| choices[index].is_gold);
            let gold = choices.iter().find(|own| own.is_gold).map_or(u32::MAX, |g| g.choice_index);
            Outcome {
                item_index: choices[0].item_index,
                n_choices: choices.len() as u32,
                gold,
                acc: is_gold(likeliest),
                acc_norm: is_gold(by_length),
            }
        })
        .collect()
}

/// The first of the largest; a NaN is never one.
fn first_largest(values: impl Iterator<Item = f64>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (index, value) in values.enumerate() {
        if !value.is_nan() && best.is_none_or(|(_, largest)| value > largest) {
            best = Some((index, value));
        }
    }
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RowShares, TokenColumns};

    fn row(
        item: u32,
        choice: u32,
        is_gold: bool,
        logprob_nats: f64,
        n_characters: u32,
    ) -> ChoiceRow {
        ChoiceRow {
            item_index: item,
            choice_index: choice,
            is_gold,
            logprob_nats,
            n_target_tokens: 1,
            n_tokens: 1,
            n_characters,
            n_bytes: n_characters,
            is_greedy: false,
            request_sha256: String::new(),
            shares: RowShares::default(),
            tokens: TokenColumns::default(),
        }
    }

    #[test]
    fn the_first_of_equals_counts_and_length_divides() {
        let rows = [
            row(0, 0, false, -2.0, 2),
            row(0, 1, true, -2.0, 4),
            row(3, 0, true, -5.0, 5),
            row(3, 1, false, -5.0, 5),
            row(3, 2, false, f64::NAN, 5),
        ];
        let found = outcomes(&rows);
        let of = |own: &Outcome| (own.item_index, own.n_choices, own.gold, own.acc, own.acc_norm);
        assert_eq!(of(&found[0]), (0, 2, 1, false, true), "-1 a character against -0.5");
        assert_eq!(of(&found[1]), (3, 3, 0, true, true));
        assert!(outcomes(&[]).is_empty());
    }
}

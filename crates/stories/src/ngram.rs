//! Baselines that see a few tokens back: what a model must beat to have learned more than phrases.

use std::collections::BTreeMap;

/// A model of order n (1 unigram, 2 bigram, 3 trigram), interpolated down to the uniform
/// distribution by Witten and Bell's method C ("The zero-frequency problem", IEEE Transactions on
/// Information Theory 37(4), 1991):
///
/// `P(w | h) = (c(h w) + T(h) · P(w | h′)) / (c(h) + T(h))`
///
/// with `c(h w)` how often `w` followed `h` in training, `c(h)` the sum of these, `T(h)` how many
/// different tokens followed `h`, and `h′` the context `h` without its oldest token. Below the empty
/// context stands `1 / vocabulary`; for a context that was never seen `P(w | h) = P(w | h′)`. The
/// weights follow from the counts: nothing is tuned.
#[derive(Clone, Debug, PartialEq)]
pub struct NGram {
    order: usize,
    vocabulary: usize,
    contexts: BTreeMap<Box<[u32]>, Followers>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Followers {
    total: u64,
    counts: BTreeMap<u32, u64>,
}

/// A sum of losses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// Σ −log P, nats.
    pub nll_nats: f64,
    /// Tokens that were predicted.
    pub n_targets: u64,
}

impl Loss {
    /// `exp(Σ NLL / Σ targets)`; not a number where there are no targets.
    pub fn perplexity(self) -> f64 {
        (self.nll_nats / self.n_targets as f64).exp()
    }
}

impl NGram {
    /// Counts sequences of ids. No context reaches over the border of a sequence, and the first id of
    /// one is context only, as in a window of the `ppl-T` protocol.
    pub fn train<S: AsRef<[u32]>>(
        order: usize,
        vocabulary: usize,
        sequences: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut contexts: BTreeMap<Box<[u32]>, Followers> = BTreeMap::new();
        for sequence in sequences {
            let sequence = sequence.as_ref();
            for at in 1..sequence.len() {
                for start in at.saturating_sub(order.saturating_sub(1))..=at {
                    let context = &sequence[start..at];
                    if !contexts.contains_key(context) {
                        contexts.insert(context.into(), Followers::default());
                    }
                    if let Some(followers) = contexts.get_mut(context) {
                        followers.total += 1;
                        *followers.counts.entry(sequence[at]).or_default() += 1;
                    }
                }
            }
        }
        Self { order, vocabulary, contexts }
    }

    /// P(next | context), of which the last `order - 1` ids count.
    pub fn probability(&self, context: &[u32], next: u32) -> f64 {
        let uniform = 1.0 / self.vocabulary as f64;
        self.followers(context).fold(uniform, |below, followers| {
            let count = followers.counts.get(&next).copied().unwrap_or(0);
            followers.interpolated(count, below)
        })
    }

    /// The id with the highest probability after a context, the lowest id of equals.
    pub fn most_likely(&self, context: &[u32]) -> u32 {
        let mut probabilities = vec![1.0 / self.vocabulary as f64; self.vocabulary];
        for followers in self.followers(context) {
            for (id, probability) in (0..).zip(&mut probabilities) {
                let count = followers.counts.get(&id).copied().unwrap_or(0);
                *probability = followers.interpolated(count, *probability);
            }
        }
        let mut best = 0;
        for (id, probability) in probabilities.iter().enumerate() {
            if *probability > probabilities[best] {
                best = id;
            }
        }
        best as u32
    }

    /// Loss over sequences; the first id of each is context only.
    pub fn loss<S: AsRef<[u32]>>(&self, sequences: impl IntoIterator<Item = S>) -> Loss {
        let mut loss = Loss::default();
        for sequence in sequences {
            let sequence = sequence.as_ref();
            for at in 1..sequence.len() {
                loss.nll_nats -= self.probability(&sequence[..at], sequence[at]).ln();
                loss.n_targets += 1;
            }
        }
        loss
    }

    /// Whether the last `n_targets` ids are each the most likely one after those before it.
    pub fn predicts_last(&self, ids: &[u32], n_targets: usize) -> bool {
        let first = ids.len().saturating_sub(n_targets);
        (first..ids.len()).all(|at| self.most_likely(&ids[..at]) == ids[at])
    }

    /// What followed the endings of a context, from the empty one to the longest that was seen.
    fn followers<'m>(&'m self, context: &'m [u32]) -> impl Iterator<Item = &'m Followers> {
        let longest = context.len().min(self.order.saturating_sub(1));
        (0..=longest).map_while(move |n| self.contexts.get(&context[context.len() - n..]))
    }
}

impl Followers {
    /// One step of the formula: the probability of a follower with this count, given its probability
    /// in the shorter context.
    fn interpolated(&self, count: u64, below: f64) -> f64 {
        let kinds = self.counts.len() as f64;
        (count as f64 + kinds * below) / (self.total as f64 + kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids 0 1 2 of a vocabulary of 4: predicted are 1, 2, 1, 2, 1 after 0.
    const TEXT: [u32; 6] = [0, 1, 2, 1, 2, 1];

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn a_unigram_by_hand() {
        let model = NGram::train(1, 4, [TEXT]);
        // c = 5, T = 2; id 1 three times, id 2 twice.
        close(model.probability(&[], 1), (3.0 + 2.0 / 4.0) / 7.0);
        close(model.probability(&[0, 1], 2), (2.0 + 2.0 / 4.0) / 7.0);
        close(model.probability(&[], 3), (2.0 / 4.0) / 7.0);
        let loss = model.loss([[0, 1, 3]]);
        assert_eq!(loss.n_targets, 2);
        close(loss.perplexity(), (7.0 / 3.5 * 7.0 / 0.5_f64).sqrt());
    }

    #[test]
    fn a_trigram_by_hand() {
        let model = NGram::train(3, 4, [TEXT]);
        let unigram = (2.0 + 2.0 / 4.0) / 7.0;
        // After 1: always 2, twice. After 2 1: 2, once.
        let bigram = (2.0 + unigram) / 3.0;
        close(model.probability(&[2, 1], 2), (1.0 + bigram) / 2.0);
        // 3 1 was never seen: the bigram. After 3 nothing was seen: the unigram.
        close(model.probability(&[3, 1], 2), bigram);
        close(model.probability(&[3, 3], 2), unigram);
    }

    #[test]
    fn probabilities_add_up_to_one() {
        let model = NGram::train(3, 4, [TEXT]);
        for context in [&[][..], &[1], &[2, 1], &[3, 1], &[0, 1, 2]] {
            close((0..4).map(|next| model.probability(context, next)).sum(), 1.0);
        }
    }

    #[test]
    fn sequences_have_borders() {
        let model = NGram::train(2, 3, [[0, 1], [2, 1]]);
        close(model.probability(&[1], 2), model.probability(&[], 2));
    }

    #[test]
    fn the_last_word_by_hand() {
        let model = NGram::train(3, 4, [TEXT]);
        assert_eq!(model.most_likely(&[2, 1]), 2);
        assert_eq!(model.most_likely(&[3, 3]), 1, "the most frequent id");
        assert!(model.predicts_last(&[0, 2, 1, 2], 1));
        assert!(model.predicts_last(&[0, 2, 1, 2], 2));
        assert!(!model.predicts_last(&[0, 2, 1, 3], 2));
        assert_eq!(NGram::train(1, 4, [[3]]).most_likely(&[]), 0, "ties go to the lowest id");
    }
}

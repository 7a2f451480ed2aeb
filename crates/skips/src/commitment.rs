//! Commitment: which tokens share a kept set, and whose scores choose it.

use std::ops::Range;

/// How a window's set is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// From the window's own tokens: looks ahead (the published dial).
    WindowMean,
    /// From the window's first token: causal.
    FirstToken,
    /// From the window before; the first window from its first token: causal.
    PreviousWindow,
    /// From the first tokens of the sequence, then held to its end. The tokens of the prompt run with
    /// that set too, so the rule looks ahead inside the prompt; W has no effect.
    Prompt {
        /// Number of tokens; a shorter sequence is all prompt.
        tokens: usize,
    },
    /// The static set of a calibration text, whatever the window.
    Calibration,
    /// Drawn anew for every window, whatever the score.
    Random,
}

/// Where a window's set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The scores of these rows of the sequence.
    Rows(Range<usize>),
    /// The static set of the site.
    Calibration,
    /// A draw.
    Random,
}

/// Windows of `window` tokens, counted from a sequence's first token, each with one kept set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// W, tokens; at least 1.
    pub window: usize,
    /// How the set is chosen.
    pub rule: Rule,
}

impl Commitment {
    /// W = 1: every token chooses for itself.
    pub const DYNAMIC: Self = Self { window: 1, rule: Rule::WindowMean };

    /// Windows of a sequence of `length` tokens: rows, counted from the sequence's first token. The
    /// last may be short. Rules that choose once have one window.
    pub fn windows(&self, length: usize) -> impl Iterator<Item = Range<usize>> {
        let window = match self.rule {
            Rule::Prompt { .. } | Rule::Calibration => length,
            _ => self.window,
        }
        .max(1);
        (0..length).step_by(window).map(move |start| start..(start + window).min(length))
    }

    /// Whether a window of one token is chosen by that token.
    fn looks_at_itself(&self) -> bool {
        matches!(self.rule, Rule::WindowMean | Rule::FirstToken)
    }

    /// Whether every token chooses a set of its own, so that nothing hangs on its neighbours.
    pub fn is_per_token(&self) -> bool {
        self.window == 1 && self.looks_at_itself()
    }

    /// Where the set of window `rows` comes from, in a sequence of `length` tokens.
    pub fn source(&self, rows: &Range<usize>, length: usize) -> Source {
        let first = rows.start;
        Source::Rows(match self.rule {
            Rule::WindowMean => rows.clone(),
            Rule::FirstToken => first..first + 1,
            Rule::PreviousWindow if first == 0 => 0..1,
            Rule::PreviousWindow => first - self.window..first,
            Rule::Prompt { tokens } => 0..tokens.clamp(1, length),
            Rule::Calibration => return Source::Calibration,
            Rule::Random => return Source::Random,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(rule: Rule, window: usize, length: usize) -> Vec<Source> {
        let commitment = Commitment { window, rule };
        commitment.windows(length).map(|rows| commitment.source(&rows, length)).collect()
    }

    #[test]
    fn rules_by_hand() {
        let rows = Source::Rows;
        assert_eq!(sources(Rule::WindowMean, 4, 9), [rows(0..4), rows(4..8), rows(8..9)]);
        assert_eq!(sources(Rule::FirstToken, 4, 9), [rows(0..1), rows(4..5), rows(8..9)]);
        assert_eq!(sources(Rule::PreviousWindow, 4, 9), [rows(0..1), rows(0..4), rows(4..8)]);
        assert_eq!(sources(Rule::Prompt { tokens: 5 }, 4, 9), [rows(0..5)]);
        assert_eq!(sources(Rule::Prompt { tokens: 50 }, 4, 9), [rows(0..9)]);
        assert_eq!(sources(Rule::WindowMean, 100, 9), [rows(0..9)], "one set per sequence");
    }

    /// W = 1 is the same under every rule that looks at the window's own tokens.
    #[test]
    fn window_of_one() {
        assert_eq!(sources(Rule::WindowMean, 1, 7), sources(Rule::FirstToken, 1, 7));
    }
}

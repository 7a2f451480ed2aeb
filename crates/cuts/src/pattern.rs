//! Which entries of a matrix may stay: a share of a pool, or some of every few neighbours.

use std::{fmt, str::FromStr};

use crate::CutError;

/// What a cut leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// This share of a pool is dropped, `0 ≤ κ < 1`.
    Share(f64),
    /// Of every `m` consecutive inputs of a row `n` stay.
    NofM {
        /// Entries that stay.
        n: usize,
        /// Entries of a group.
        m: usize,
    },
}

impl Pattern {
    /// Whether it can be met.
    ///
    /// # Errors
    /// A share outside of `[0, 1)`, or `n:m` without `1 ≤ n ≤ m`.
    pub fn check(&self) -> Result<(), CutError> {
        let refuse = |setting, reason| Err(CutError::Setting { setting, reason });
        match *self {
            Self::Share(share) if !(0.0..1.0).contains(&share) => {
                refuse("sparsity", format!("is {share}, and must be at least 0 and below 1"))
            }
            Self::NofM { n, m } if n == 0 || n > m => {
                refuse("pattern", format!("is {n}:{m}, and must keep 1 to {m} entries of {m}"))
            }
            _ => Ok(()),
        }
    }

    /// Whether groups fill the inputs of a matrix.
    pub(crate) fn check_inputs(&self, matrix: &str, inputs: usize) -> Result<(), CutError> {
        match *self {
            Self::NofM { m, .. } if !inputs.is_multiple_of(m) => {
                Err(CutError::Groups { matrix: matrix.to_owned(), inputs, m })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{share}"),
            Self::NofM { n, m } => write!(f, "{n}:{m}"),
        }
    }
}

impl FromStr for Pattern {
    type Err = CutError;

    /// `2:4`, or a share such as `0.5`.
    fn from_str(text: &str) -> Result<Self, CutError> {
        let pattern = match text.split_once(':') {
            Some((n, m)) => n.parse().ok().zip(m.parse().ok()).map(|(n, m)| Self::NofM { n, m }),
            None => text.parse().ok().map(Self::Share),
        };
        let pattern = pattern.ok_or_else(|| CutError::Setting {
            setting: "pattern",
            reason: format!("`{text}` is neither n:m nor a share; write 2:4 or 0.5"),
        })?;
        pattern.check()?;
        Ok(pattern)
    }
}

/// Entries of a pool that stay: `max(1, round((1 − κ)·n))`, half away from zero.
pub fn kept_count(pool: usize, share: f64) -> usize {
    // 1 − κ is inexact: without the nudge (1 − .9)·15 = 1.4999999999999998 would round to 1.
    let exact = (1.0 - share) * pool as f64;
    let nudged = (exact * 1e9).round() / 1e9;
    (nudged.round() as usize).clamp(1, pool.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_round_half_away_from_zero() {
        for (pool, share, kept) in [
            (5, 0.5, 3),
            (4, 0.5, 2),
            (15, 0.9, 2),
            (10, 0.99, 1),
            (7, 0.0, 7),
            (106_168_320, 0.5, 53_084_160),
        ] {
            assert_eq!(kept_count(pool, share), kept, "{pool} at {share}");
        }
    }

    #[test]
    fn patterns_are_read_and_checked() {
        for pattern in [Pattern::NofM { n: 2, m: 4 }, Pattern::Share(0.25)] {
            assert_eq!(pattern.to_string().parse::<Pattern>().unwrap(), pattern);
        }
        for bad in ["0:4", "5:4", "1", "-0.1", "NaN", "2:", "half", ""] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
        let error = Pattern::NofM { n: 2, m: 4 }.check_inputs("h.0.weight", 6).unwrap_err();
        assert!(error.to_string().contains("h.0.weight"), "{error}");
    }
}

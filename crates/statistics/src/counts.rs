//! Counts of correct and wrong items: of one policy, and of two policies on the same items.

use crate::StatisticsError;

/// A number of successes in a number of trials; at least one trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proportion {
    successes: u64,
    trials: u64,
}

impl Proportion {
    /// `successes` of `trials`.
    ///
    /// # Errors
    /// [`StatisticsError::Empty`] for zero trials (the proportion does not exist),
    /// [`StatisticsError::MoreSuccessesThanTrials`] for an impossible count.
    pub fn new(successes: u64, trials: u64) -> Result<Self, StatisticsError> {
        if trials == 0 {
            return Err(StatisticsError::Empty { what: "proportion" });
        }
        if successes > trials {
            return Err(StatisticsError::MoreSuccessesThanTrials { successes, trials });
        }
        Ok(Self { successes, trials })
    }

    /// Number of successes.
    pub fn successes(self) -> u64 {
        self.successes
    }

    /// Number of trials, at least 1.
    pub fn trials(self) -> u64 {
        self.trials
    }

    /// Share of successes, from 0 to 1.
    pub fn value(self) -> f64 {
        self.successes as f64 / self.trials as f64
    }
}

/// The four-fold table of two policies judged on the same items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairedCounts {
    /// Items both get right.
    pub both: u64,
    /// Items only the first gets right.
    pub only_first: u64,
    /// Items only the second gets right.
    pub only_second: u64,
    /// Items neither gets right.
    pub neither: u64,
}

impl PairedCounts {
    /// Counts pairs; position i of both slices is the same item.
    ///
    /// # Errors
    /// [`StatisticsError::UnequalLengths`] when the slices differ in length.
    pub fn from_outcomes(first: &[bool], second: &[bool]) -> Result<Self, StatisticsError> {
        if first.len() != second.len() {
            let (first, second) = (first.len(), second.len());
            return Err(StatisticsError::UnequalLengths { first, second });
        }
        let mut counts = Self { both: 0, only_first: 0, only_second: 0, neither: 0 };
        for pair in first.iter().zip(second) {
            match pair {
                (true, true) => counts.both += 1,
                (true, false) => counts.only_first += 1,
                (false, true) => counts.only_second += 1,
                (false, false) => counts.neither += 1,
            }
        }
        Ok(counts)
    }

    /// Number of items.
    pub fn items(self) -> u64 {
        self.both + self.only_first + self.only_second + self.neither
    }

    /// Number of items on which the two disagree.
    pub fn discordant(self) -> u64 {
        self.only_first + self.only_second
    }

    /// The first policy's proportion of correct items.
    ///
    /// # Errors
    /// [`StatisticsError::Empty`] when there are no items.
    pub fn first(self) -> Result<Proportion, StatisticsError> {
        Proportion::new(self.both + self.only_first, self.items())
    }

    /// The second policy's proportion of correct items.
    ///
    /// # Errors
    /// [`StatisticsError::Empty`] when there are no items.
    pub fn second(self) -> Result<Proportion, StatisticsError> {
        Proportion::new(self.both + self.only_second, self.items())
    }
}

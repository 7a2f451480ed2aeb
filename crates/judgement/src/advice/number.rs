//! How a recipe stands to dense on one condition: in the search with what is to be expected of the test, in
//! the test with its p-value.

use plan::{AdviceKeep, AdviceNumber};
use statistics::{
    ConfidenceLevel, Effect, EquivalencePlan, StatisticsError, TwoOneSided, equivalence_exact,
    equivalence_ratio, least_items, perplexity, ratio_spread_nats, tango_interval,
};

use super::paired::Pairs;
use super::{ALPHA, POWER};

/// In the search: an interval that is quick to make, and no p-value.
pub(super) fn searched(pairs: &Pairs, keep: &AdviceKeep) -> Result<AdviceNumber, StatisticsError> {
    let interval = match pairs {
        Pairs::Losses { dense, own } => equivalence_ratio(dense, own, keep.margin, ALPHA)?.interval,
        Pairs::Answers(counts) => {
            tango_interval(*counts, ConfidenceLevel::new(1.0 - 2.0 * ALPHA)?)?
        }
    };
    number(pairs, keep, TwoOneSided { interval, p: 1.0 }, true)
}

/// In the test.
pub(super) fn tested(pairs: &Pairs, keep: &AdviceKeep) -> Result<AdviceNumber, StatisticsError> {
    let found = match pairs {
        Pairs::Losses { dense, own } => equivalence_ratio(dense, own, keep.margin, ALPHA)?,
        Pairs::Answers(counts) => equivalence_exact(*counts, keep.margin, ALPHA)?,
    };
    number(pairs, keep, found, false)
}

fn number(
    pairs: &Pairs,
    keep: &AdviceKeep,
    found: TwoOneSided,
    is_search: bool,
) -> Result<AdviceNumber, StatisticsError> {
    let n = pairs.n();
    let (effect, margin, least) = match pairs {
        Pairs::Losses { dense, own } => {
            let estimate = found.interval.estimate.ln();
            let effect = Effect { estimate, spread: ratio_spread_nats(dense, own)? };
            (effect, keep.margin.ln_1p(), 2)
        }
        Pairs::Answers(counts) => {
            (Effect::of_counts(*counts)?, keep.margin, least_items(keep.margin, ALPHA)?)
        }
    };
    let plan = EquivalencePlan { margin, alpha: ALPHA };
    // Fewer than the test takes at the least show nothing, whatever a normal approximation says.
    let is_enough = keep.test_units >= least;
    let assurance = match is_enough {
        true => plan.assurance(effect, keep.test_units, Some(n))?,
        false => 0.0,
    };
    let needed = plan.needed(effect, POWER)?.map(|needed| needed.max(least));
    let (dense, own) = match pairs {
        Pairs::Losses { dense, own } => (perplexity(dense)?, perplexity(own)?),
        Pairs::Answers(counts) => (counts.second()?.value(), counts.first()?.value()),
    };
    Ok(AdviceNumber {
        n,
        dense,
        own,
        estimate: found.interval.estimate,
        lower: found.interval.lower,
        // What is no number in JSON is still large.
        upper: found.interval.upper.min(f64::MAX),
        p: (!is_search).then_some(found.p),
        assurance,
        needed,
    })
}

//! McNemar's exact test: do two policies, judged on the same items, differ?

use statrs::distribution::{Binomial, DiscreteCDF};

use crate::PairedCounts;

/// Two-sided exact p-value of McNemar's test.
///
/// Under "no difference" each of the `n = b + c` discordant items is equally likely to favour
/// either policy, so `p = min(1, 2·P(X ≤ min(b, c)))` with `X ~ Binomial(n, 1/2)`. McNemar 1947,
/// Psychometrika 12, 153–157; the exact form is Cochran 1950 and equals R's
/// `binom.test(b, b + c)`. Concordant items carry no information and do not enter.
///
/// No discordant item, and so also no item at all, gives 1: nothing speaks against equality.
pub fn mcnemar_exact_p(counts: PairedCounts) -> f64 {
    let discordant = counts.discordant();
    let fewer = counts.only_first.min(counts.only_second);
    // At an exact half split the two tails overlap and their sum passes 1.
    if 2 * fewer >= discordant {
        return 1.0;
    }
    let coin = Binomial::new(0.5, discordant).expect("one half is a probability");
    (2.0 * coin.cdf(fewer)).min(1.0)
}

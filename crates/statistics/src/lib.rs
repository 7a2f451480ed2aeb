//! Statistics of the experiment: intervals, paired tests, the bootstrap, dials, many comparisons.
//!
//! Everything here is a pure function of numbers: no files, no models, no clock, no hidden random
//! state. A function that draws random numbers takes its seed. Each file holds one concept, with
//! its formula, the paper it comes from and what it does at the edges (no trials, none, all).
//!
//! Proportions are dimensionless, losses are in nats, p-values are two-sided unless a name says
//! otherwise. A quantity that does not exist (an interval of no trials) is an error, never NaN.
//!
//! # Example
//!
//! Of 300 items both policies answer 190, only the first 15 and only the second 4:
//!
//! ```
//! use statistics::{ConfidenceLevel, PairedCounts, holm, mcnemar_exact_p, newcombe_paired};
//!
//! let counts = PairedCounts { both: 190, only_first: 15, only_second: 4, neither: 91 };
//! let difference = newcombe_paired(counts, ConfidenceLevel::P95)?;
//! assert!((difference.estimate - 11.0 / 300.0).abs() < 1e-12);
//! assert!(difference.lower > 0.0 && difference.contains(difference.estimate));
//!
//! let p = mcnemar_exact_p(counts);
//! assert!((p - 0.0192).abs() < 1e-4);
//! // With a second test beside it, the smaller p counts twice.
//! assert!(holm(&[p, 0.5])?[0] > p);
//! # Ok::<(), statistics::StatisticsError>(())
//! ```

mod bca;
mod bootstrap;
mod correlation;
mod counts;
mod dial;
mod draws;
mod equivalence;
mod equivalence_power;
mod error;
mod interval;
mod isotonic;
mod largest;
mod mcnemar;
mod monotone;
mod multiple;
mod newcombe;
mod page;
mod paired_exact;
mod permutation;
mod perplexity;
mod power;
mod ratio_power;
mod ratio_test;
mod sequence;
mod standard_error;
mod stratified;
mod tango;
mod two_one_sided;
mod unpaired;
mod wilson;

pub use bca::{Bca, bca_interval, mean_interval_bca, perplexity_ratio_interval_bca};
pub use bootstrap::{BootstrapPlan, mean_interval, perplexity_ratio_interval};
pub use correlation::{mid_ranks, pearson, spearman};
pub use counts::{PairedCounts, Proportion};
pub use dial::Dial;
pub use draws::Draws;
pub use equivalence::{Equivalence, Margins, equivalence, equivalence_paired};
pub use equivalence_power::{Effect, EquivalencePlan, least_items};
pub use error::StatisticsError;
pub use interval::{ConfidenceLevel, Interval};
pub use isotonic::isotonic_fit;
pub use largest::largest;
pub use mcnemar::mcnemar_exact_p;
pub use monotone::{LargestFall, MonotoneTest, monotone_test};
pub use multiple::{benjamini_hochberg, holm};
pub use newcombe::{newcombe_paired, newcombe_paired_p};
pub use page::{PageTrend, page_trend};
pub use paired_exact::paired_exact_p;
pub use permutation::{PermutationPlan, SignFlip, sign_flip_test};
pub use perplexity::{WindowLoss, mean_nll_nats, perplexity, perplexity_ratio, word_perplexity};
pub use power::minimum_detectable_difference_paired;
pub use ratio_power::{minimum_detectable_ratio_paired, ratio_spread_nats};
pub use ratio_test::{RatioTest, perplexity_ratio_p};
pub use sequence::fixed_sequence;
pub use standard_error::{pooled_stderr, proportion_stderr};
pub use stratified::{Stratum, stratified_mean_interval};
pub use tango::{tango_interval, tango_p, tango_z};
pub use two_one_sided::{TwoOneSided, equivalence_exact, equivalence_ratio};
pub use unpaired::{PooledZ, fisher_exact_p, pooled_z};
pub use wilson::wilson;

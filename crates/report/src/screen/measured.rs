//! Numbers with their intervals, each on one line.

use judgement::notable::Ratio;

use super::layout::TOGETHER;
use crate::format::significant;

/// `4.832 × dense [4.1, 5.6]`
pub(super) fn words(ratio: Ratio) -> String {
    format!("{}{TOGETHER}×{TOGETHER}dense{}", significant(ratio.value, 4), interval(ratio))
}

/// `4.832 [4.1, 5.6]`
pub(super) fn short(ratio: Ratio) -> String {
    format!("{}{}", significant(ratio.value, 4), interval(ratio))
}

fn interval(ratio: Ratio) -> String {
    match ratio.limits {
        Some((lower, upper)) => {
            let [lower, upper] = [lower, upper].map(|limit| significant(limit, 4));
            format!(" {}", bracket(&lower, &upper))
        }
        None => " (one window, no interval)".to_owned(),
    }
}

/// `[4.1, 5.6]`, on one line.
pub(super) fn bracket(lower: &str, upper: &str) -> String {
    format!("[{lower},{TOGETHER}{upper}]")
}

//! The notes of a row.

use evidence::{Distinction, Row};
use judgement::{Remark, Remarked};
use plan::Calibration;

use crate::format::{points, short};

/// What a reader has to know of a row: how it differs from a row with the same key, then what was not
/// measured or could have been missed.
pub(crate) fn notes<M: Remarked>(row: &Row<M>) -> Vec<String> {
    let distinctions = row.distinctions.iter().map(distinction);
    distinctions.chain(row.measured.remarks().iter().map(remark)).collect()
}

fn distinction(own: &Distinction) -> String {
    match own {
        Distinction::Seed(seed) => format!("seed {seed}"),
        Distinction::Limit(Some(limit)) => format!("limit {limit}"),
        Distinction::Limit(None) => "no limit".to_owned(),
        Distinction::Offset(Some(offset)) => format!("from {offset}"),
        Distinction::Offset(None) => "from the beginning".to_owned(),
        Distinction::Calibration(Some(Calibration {
            dataset,
            limit: Some(limit),
            window_tokens,
        })) => format!("calibrated on {limit} × {window_tokens} tokens of {dataset}"),
        Distinction::Calibration(Some(Calibration { dataset, .. })) => {
            format!("calibrated on all of {dataset}")
        }
        Distinction::Calibration(None) => "not calibrated".to_owned(),
        Distinction::Code(version) => format!("code {}", short(version)),
    }
}

fn remark(own: &Remark) -> String {
    match own {
        Remark::NoPerplexity(error) => format!("no perplexity: {error}"),
        Remark::NoWordPerplexity(error) => format!("no word perplexity: {error}"),
        Remark::OneWindow => "1 window: no interval".to_owned(),
        Remark::Refused(reason) => reason.clone(),
        Remark::SameAnswers => "same answers".to_owned(),
        Remark::NotSignificant { detectable: Some(least) } => {
            let least = points(*least);
            format!("not significant; detectable: {} points", least.trim_start_matches('+'))
        }
        Remark::NotSignificant { detectable: None } => {
            "not significant; too few discordant items to detect any difference".to_owned()
        }
    }
}

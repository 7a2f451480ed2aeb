//! The sentences that open a page.

use crate::format::count;
use crate::markdown::{plain, sentence};
use crate::sentences::Finding;

/// So many findings about models open the page; more stand behind a click, below the tables that sum them
/// up.
const OPEN_FINDINGS: usize = 8;

/// The findings of the run, then those of its models where they are few.
pub(crate) fn opening(findings: &[Finding]) -> String {
    let of_models = findings.iter().filter(|finding| finding.model.is_some()).count();
    let is_open = |finding: &&Finding| finding.model.is_none() || of_models <= OPEN_FINDINGS;
    findings.iter().filter(is_open).map(|own| format!("- {}\n", sentence(&own.text))).collect()
}

/// The findings model by model, where they are too many to open the page.
pub(crate) fn all(findings: &[Finding]) -> String {
    let of_models: Vec<&Finding> = findings.iter().filter(|f| f.model.is_some()).collect();
    if of_models.len() <= OPEN_FINDINGS {
        return String::new();
    }
    let n = count(of_models.len(), "finding");
    let mut text = format!("\n<details><summary>{n}, model by model</summary>\n");
    for own in of_models.chunk_by(|a, b| a.model == b.model) {
        text += &format!("\n**{}**\n\n", plain(own[0].model.as_deref().unwrap_or_default()));
        text.extend(own.iter().map(|finding| format!("- {}\n", sentence(&finding.text))));
    }
    text + "\n</details>\n"
}

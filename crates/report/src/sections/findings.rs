//! The sentences that open a page.

use crate::document::{Block, Line};
use crate::format::count;
use crate::sentences::Finding;

/// So many findings about models open the page; more stand behind a click, below the tables that sum them
/// up.
const OPEN_FINDINGS: usize = 8;

/// The findings of the run, then those of its models where they are few.
pub(super) fn opening(findings: &[Finding]) -> Block {
    let of_models = findings.iter().filter(|finding| finding.model.is_some()).count();
    let is_open = |finding: &&Finding| finding.model.is_none() || of_models <= OPEN_FINDINGS;
    Block::Findings(findings.iter().filter(is_open).map(|own| own.text.clone()).collect())
}

/// The findings model by model, where they are too many to open the page.
pub(super) fn all(findings: &[Finding]) -> Option<Block> {
    let of_models: Vec<&Finding> = findings.iter().filter(|f| f.model.is_some()).collect();
    if of_models.len() <= OPEN_FINDINGS {
        return None;
    }
    let summary = format!("{}, model by model", count(of_models.len(), "finding"));
    let mut blocks = Vec::new();
    for own in of_models.chunk_by(|a, b| a.model == b.model) {
        let model = own[0].model.as_deref().unwrap_or_default();
        blocks.push(Block::paragraph(Line::new().strong(model)));
        blocks.push(Block::list(own.iter().map(|finding| finding.text.as_str())));
    }
    Some(Block::Fold { summary, blocks })
}

//! What is left to do: the plan minus what is done.

use std::collections::{BTreeMap, BTreeSet};

use crate::CellStatus;

/// The cells of `plan` that are not done, each once, in the plan's order.
///
/// A failed cell is tried again. Cells of `status` that are not in the plan do not matter.
pub fn outstanding(plan: &[String], status: &BTreeMap<String, CellStatus>) -> Vec<String> {
    let mut listed = BTreeSet::new();
    plan.iter()
        .filter(|id| status.get(*id) != Some(&CellStatus::Done))
        .filter(|id| listed.insert(*id))
        .cloned()
        .collect()
}

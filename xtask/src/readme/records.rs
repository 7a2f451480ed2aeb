//! Tables made of what benches measured, from the newest record.

use anyhow::Result;

use super::Sources;
use crate::bench_record::{Kind, newest};
use crate::{bench, bench_cuts, bench_families, speed as side_by_side};

/// Pruned and dense, beside PyTorch.
pub(super) fn cases(sources: &Sources) -> Result<Option<String>> {
    let record = newest(&sources.records, Kind::Cases)?;
    Ok(record.map(|record| format!("{}\n\n{}", record.origin, bench::table(&record.rows))))
}

/// Every family, beside transformers.
pub(super) fn families(sources: &Sources) -> Result<Option<String>> {
    let record = newest(&sources.records, Kind::Families)?;
    Ok(record.map(|record| format!("{}\n\n{}", record.origin, bench_families::table(&record.rows))))
}

/// Cuts of weights, beside plain PyTorch.
pub(super) fn cuts(sources: &Sources) -> Result<Option<String>> {
    let record = newest(&sources.records, Kind::Cuts)?;
    Ok(record.map(|record| format!("{}\n\n{}", record.origin, bench_cuts::table(&record.rows))))
}

/// Dense, cut, rounded and skipped models side by side, and their targets.
pub(super) fn speed(sources: &Sources) -> Result<Option<String>> {
    let Some(record) = newest(&sources.records, Kind::Speed)? else { return Ok(None) };
    let list = |name: &str| record.rows[0][name].as_array().cloned().unwrap_or_default();
    let (rows, targets) = (list("rows"), list("targets"));
    let (table, aims) = (side_by_side::table(&rows), side_by_side::targets(&targets));
    Ok(Some(format!("{}\n\n{table}\n{aims}", record.origin)))
}

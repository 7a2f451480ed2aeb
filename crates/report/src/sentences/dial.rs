//! A sentence about a line of a dial.

use judgement::dial::DialRow;
use judgement::extremes::line_ends as ends;
use judgement::perplexity::PerplexityTable;
use plan::shortest_decimal;

use super::numbers::times;

/// What a line of a dial costs at its shortest and at its longest window.
pub(super) fn line_ends(table: &PerplexityTable, line: &DialRow) -> Option<String> {
    let [first, last] = ends(table, line)?.map(|(window, row)| {
        Some(format!("{} at W={window}", times(row, row.measured.ratio()?.ratio)))
    });
    let mode = line.mode.map(|mode| format!(", {mode}")).unwrap_or_default();
    Some(format!(
        "Keeping each set for W tokens (κ={}, {}, {}{mode}) costs {} and {}.",
        shortest_decimal(line.sparsity),
        line.score,
        line.rule,
        first?,
        last?
    ))
}

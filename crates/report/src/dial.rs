//! The dial: perplexity × dense by commitment window, one line per κ, rule and score.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Mode, Part, Policy, Protocol, Rule, Score, shortest_decimal};
use serde::Serialize;

use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::{Row, is_of, newest};

/// A table has a dial from this many different windows on.
const FEWEST_WINDOWS: usize = 3;

/// Rules that choose a token's own set when a window is one token, so that the `dynamic` policy is
/// their W = 1.
pub(crate) const SAME_AT_ONE: [Rule; 2] = [Rule::WindowMean, Rule::FirstToken];

/// One field of a dial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DialValue {
    pub(crate) window: usize,
    pub(crate) cell_id: String,
    pub(crate) ratio: f64,
}

/// One line of a dial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DialRow {
    pub(crate) sparsity: f64,
    pub(crate) rule: Rule,
    /// Tokens that the rule `prompt` sums over.
    pub(crate) prompt_tokens: Option<usize>,
    pub(crate) score: Score,
    /// What a set of state channels acts on; none for neurons.
    pub(crate) mode: Option<Mode>,
    /// By window, ascending; windows without a compared cell are absent.
    pub(crate) values: Vec<DialValue>,
}

/// The dial of one part of one model, on one dataset and protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Dial {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    pub(crate) part: Part,
    pub(crate) windows: Vec<usize>,
    pub(crate) rows: Vec<DialRow>,
    /// Fields that several cells could fill (other seeds, code or calibration); the newest is
    /// shown.
    pub(crate) n_ambiguous: usize,
}

impl DialRow {
    /// `window-mean`, `prompt P=64`
    pub(crate) fn rule_name(&self) -> String {
        rule_name(self.rule, self.prompt_tokens)
    }
}

/// A rule with the tokens that it sums over, where it does: `prompt P=64`.
pub(crate) fn rule_name(rule: Rule, prompt_tokens: Option<usize>) -> String {
    match prompt_tokens {
        Some(tokens) => format!("{rule} P={tokens}"),
        None => rule.to_string(),
    }
}

impl Dial {
    /// Whether this is a dial of `table`.
    pub(crate) fn is_of(&self, table: &PerplexityTable) -> bool {
        (&self.model, &self.dataset, self.protocol)
            == (&table.model, &table.dataset, table.protocol)
    }
}

/// The dial of a part in `table`; none with fewer than three windows or without compared cells.
pub(crate) fn of(table: &PerplexityTable, part: Part) -> Option<Dial> {
    // κ as text sorts as it reads: all are "0.…" without trailing zeros.
    type Line = (String, Rule, Option<usize>, Score, Option<Mode>);
    let mut lines: BTreeMap<Line, BTreeMap<usize, Vec<&Row<Perplexity>>>> = BTreeMap::new();
    let key = |row: &Row<Perplexity>, rule: Rule| -> Option<Line> {
        let treatment = &row.cell.treatment;
        let sparsity = shortest_decimal(treatment.sparsity);
        Some((sparsity, rule, treatment.prompt_tokens, treatment.score?, treatment.mode))
    };
    let compared = || {
        let rows = table.rows.iter().filter(|row| is_of(row, part));
        rows.filter(|row| row.measured.against_dense.compared().is_some())
    };
    for row in compared().filter(|row| row.cell.treatment.policy == Policy::Window) {
        let treatment = &row.cell.treatment;
        if let (Some(rule), Some(window)) = (treatment.rule, treatment.window)
            && let Some(key) = key(row, rule)
        {
            lines.entry(key).or_default().entry(window).or_default().push(row);
        }
    }
    for row in compared().filter(|row| row.cell.treatment.policy == Policy::Dynamic) {
        for rule in SAME_AT_ONE {
            if let Some(values) = key(row, rule).and_then(|key| lines.get_mut(&key)) {
                let at_one = values.entry(1).or_default();
                // A window of 1 that was run as such goes before.
                if at_one.iter().all(|other| other.cell.treatment.policy == Policy::Dynamic) {
                    at_one.push(row);
                }
            }
        }
    }

    let windows: BTreeSet<usize> =
        lines.values().flat_map(|values| values.keys().copied()).collect();
    if windows.len() < FEWEST_WINDOWS {
        return None;
    }
    let n_ambiguous =
        lines.values().flat_map(BTreeMap::values).filter(|candidates| candidates.len() > 1).count();
    let rows = lines.into_iter().filter_map(|((_, rule, prompt_tokens, score, mode), values)| {
        let sparsity = values.values().flatten().next()?.cell.treatment.sparsity;
        let values = values.into_iter().filter_map(|(window, candidates)| {
            let newest = newest(candidates)?;
            let ratio = newest.measured.against_dense.compared()?.ratio;
            Some(DialValue { window, cell_id: newest.cell_id.clone(), ratio })
        });
        Some(DialRow { sparsity, rule, prompt_tokens, score, mode, values: values.collect() })
    });
    Some(Dial {
        model: table.model.clone(),
        dataset: table.dataset.clone(),
        protocol: table.protocol,
        part,
        windows: windows.iter().copied().collect(),
        rows: rows.collect(),
        n_ambiguous,
    })
}

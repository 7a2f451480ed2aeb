//! The dial: perplexity × dense by commitment window, one line per κ, rule and score.

use std::collections::{BTreeMap, BTreeSet};

use evidence::{Key, Newest, Query, Subject, Wanted};
use plan::{Mode, Part, Policy, Protocol, Rule, Score, Share};
use serde::Serialize;

use crate::perplexity::{Perplexity, PerplexityTable};

/// A table has a dial from this many different windows on.
const FEWEST_WINDOWS: usize = 3;

/// Rules that choose a token's own set when a window is one token, so that the `dynamic` policy is
/// their W = 1.
pub const SAME_AT_ONE: [Rule; 2] = [Rule::WindowMean, Rule::FirstToken];

/// One field of a dial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DialValue {
    /// Tokens W that share one set.
    pub window: usize,
    /// The cell that stands there.
    pub cell_id: String,
    /// Its perplexity over that of dense.
    pub ratio: f64,
}

/// One line of a dial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DialRow {
    /// Share dropped, κ.
    pub sparsity: f64,
    /// How a window's set is chosen.
    pub rule: Rule,
    /// Tokens that the rule `prompt` sums over.
    pub prompt_tokens: Option<usize>,
    /// What ranks the neurons or channels.
    pub score: Score,
    /// What a set of state channels acts on; none for neurons.
    pub mode: Option<Mode>,
    /// By window, ascending; windows without a compared cell are absent.
    pub values: Vec<DialValue>,
}

/// The dial of one part of one model, on one dataset and protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dial {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How it was cut.
    pub protocol: Protocol,
    /// What is dropped.
    pub part: Part,
    /// Every W of some line, ascending.
    pub windows: Vec<usize>,
    /// By κ, rule, score and mode.
    pub rows: Vec<DialRow>,
    /// Fields that several cells could fill (other seeds, code or calibration); the newest is
    /// shown.
    pub n_ambiguous: usize,
}

impl Dial {
    /// What it is about.
    pub fn subject(&self) -> Subject<'_> {
        (&self.model, &self.dataset, self.protocol)
    }

    /// Whether this is a dial of `table`.
    pub fn is_of(&self, table: &PerplexityTable) -> bool {
        self.subject() == table.subject()
    }
}

/// What tells two lines apart, in the order of the table.
type Line = (Share, Rule, Option<usize>, Score, Option<Mode>);

fn line(key: &Key, rule: Rule) -> Option<Line> {
    Some((key.sparsity, rule, key.prompt_tokens, key.score?, key.mode))
}

/// The dial of a part in `table`; none with fewer than three windows or without compared cells.
pub fn dial(table: &PerplexityTable, part: Part) -> Option<Dial> {
    let lines = lines(table, part);
    let windows: BTreeSet<usize> =
        lines.values().flat_map(|values| values.keys().copied()).collect();
    if windows.len() < FEWEST_WINDOWS {
        return None;
    }
    let fields = lines.values().flat_map(BTreeMap::values);
    let n_ambiguous = fields.filter(|newest| newest.n_alike > 1).count();
    let rows = lines.into_iter().map(|((sparsity, rule, prompt_tokens, score, mode), values)| {
        let values = values.into_iter().filter_map(|(window, newest)| {
            let ratio = newest.row.measured.ratio()?.ratio;
            Some(DialValue { window, cell_id: newest.row.cell_id.clone(), ratio })
        });
        let (sparsity, values) = (sparsity.get(), values.collect());
        DialRow { sparsity, rule, prompt_tokens, score, mode, values }
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

/// The newest row at every window of every line. A window of 1 that was run as such goes before the
/// dynamic policy, which stands for it elsewhere.
fn lines(
    table: &PerplexityTable,
    part: Part,
) -> BTreeMap<Line, BTreeMap<usize, Newest<'_, Perplexity>>> {
    let query = Query::of_any_dense(&table.rows);
    let of = |policy| Wanted { part: Some(part), policy: Some(policy), ..Wanted::default() };
    let mut lines: BTreeMap<Line, BTreeMap<usize, Newest<'_, Perplexity>>> = BTreeMap::new();
    let windowed = query.by(of(Policy::Window), |key| Some((line(key, key.rule?)?, key.window?)));
    for ((line, window), newest) in windowed {
        lines.entry(line).or_default().insert(window, newest);
    }
    for rule in SAME_AT_ONE {
        for (line, newest) in query.by(of(Policy::Dynamic), |key| line(key, rule)) {
            if let Some(values) = lines.get_mut(&line) {
                values.entry(1).or_insert(newest);
            }
        }
    }
    lines
}

//! The recurrent state: what a set of channels that holds for the whole run costs, and a set for every
//! token, one way to choose it beside the other.

use std::collections::{BTreeMap, BTreeSet};

use evidence::{Paired, Row, Wanted, newest};
use plan::{Mode, Part, Policy, Recalibration, Rule, Score, Share};

use crate::accuracy::Accuracy;
use crate::dial::{Dial, DialRow};
use crate::perplexity::Perplexity;
use crate::table::Table;
use crate::unequal::{Unequal, unequal};

/// One way to choose channels: the score, and the mode of its sets or the activations that it looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chooser {
    /// What ranks the channels.
    pub score: Option<Score>,
    /// What a set acts on.
    pub mode: Option<Mode>,
    /// What a static set is chosen on.
    pub recalibration: Option<Recalibration>,
}

impl Chooser {
    fn of<M>(row: &Row<M>) -> Chooser {
        let (score, mode, recalibration) = (row.key.score, row.key.mode, row.key.recalibration);
        Chooser { score, mode, recalibration }
    }

    /// `ghost (sequential)`, `ghost (read)`, `state-weight`.
    pub fn name(&self) -> String {
        let score = self.score.map_or("no score", Score::as_str);
        match self.mode.map(Mode::as_str).or(self.recalibration.map(Recalibration::as_str)) {
            Some(how) => format!("{score} ({how})"),
            None => score.to_owned(),
        }
    }
}

/// What the ways to choose one kind of set cost at one sparsity.
#[derive(Debug)]
pub struct Costs<'a, M> {
    /// What is dropped.
    pub sparsity: f64,
    /// The newest row of every way but the wrong way round, mode by mode, the cheapest first.
    pub ways: Vec<(Chooser, &'a Row<M>)>,
    /// What each way is called, and the share that it drops.
    reached: Vec<(String, f64)>,
}

/// What sets of channels cost, for the whole run and for every token.
#[derive(Debug)]
pub struct StateCosts<'a, M> {
    /// One set for the whole run.
    pub fixed: Option<Costs<'a, M>>,
    /// One for every token.
    pub dynamic: Option<Costs<'a, M>>,
}

impl<M> StateCosts<'_, M> {
    /// Whether both are of one sparsity.
    pub fn is_one_sparsity(&self) -> bool {
        let both = self.fixed.as_ref().zip(self.dynamic.as_ref());
        both.is_some_and(|(a, b)| a.sparsity.total_cmp(&b.sparsity).is_eq())
    }

    /// Whether they dropped different shares of one sparsity.
    pub fn unequal(&self) -> Option<Unequal> {
        let (fixed, dynamic) = self.fixed.as_ref().zip(self.dynamic.as_ref())?;
        let reached = fixed.reached.iter().chain(&dynamic.reached).cloned();
        if self.is_one_sparsity() { unequal(reached) } else { None }
    }
}

/// What a row is rated by; less is better.
pub trait Cost {
    /// None for a row that was not compared.
    fn cost(&self) -> Option<f64>;
}

impl Cost for Perplexity {
    fn cost(&self) -> Option<f64> {
        Some(self.ratio()?.ratio)
    }
}

impl Cost for Accuracy {
    fn cost(&self) -> Option<f64> {
        Some(-self.difference()?.difference)
    }
}

/// The costs in a table; nothing where no state channel is dropped.
pub fn state_costs<M: Paired + Cost>(table: &Table<M>) -> Option<StateCosts<'_, M>> {
    let costs = StateCosts {
        fixed: at_one_sparsity(table, Policy::Static),
        dynamic: at_one_sparsity(table, Policy::Dynamic),
    };
    (costs.fixed.is_some() || costs.dynamic.is_some()).then_some(costs)
}

/// Of the sparsities that most ways have the largest, and what they cost there.
fn at_one_sparsity<M: Paired + Cost>(table: &Table<M>, policy: Policy) -> Option<Costs<'_, M>> {
    let wanted = Wanted { part: Some(Part::State), policy: Some(policy), ..Wanted::default() };
    let mut by_sparsity: BTreeMap<Share, BTreeMap<String, Vec<&Row<M>>>> = BTreeMap::new();
    for row in table.query().rows(wanted) {
        let ways = by_sparsity.entry(row.key.sparsity).or_default();
        ways.entry(Chooser::of(row).name()).or_default().push(row);
    }
    let (sparsity, ways) = by_sparsity.into_iter().max_by_key(|(_, ways)| ways.len())?;
    let rated = ways.into_values().filter_map(|rows| {
        let row = newest(rows)?;
        Some((row.measured.cost()?, row))
    });
    let mut rated: Vec<(f64, &Row<M>)> = rated.collect();
    rated.sort_by(|a, b| a.0.total_cmp(&b.0));
    let reached = rated.iter().map(|(_, row)| {
        (format!("{policy} {}", Chooser::of(row).name()), row.shares.reached_sparsity)
    });
    let reached = reached.collect();
    Some(Costs { sparsity: sparsity.get(), ways: shown(&rated), reached })
}

/// What is shown of `rated` (the best first), mode by mode: every way but the wrong way round.
fn shown<'a, M>(rated: &[(f64, &'a Row<M>)]) -> Vec<(Chooser, &'a Row<M>)> {
    let modes: BTreeSet<Option<Mode>> = rated.iter().map(|(_, row)| row.key.mode).collect();
    let of_mode = |mode: Option<Mode>| {
        let own = rated.iter().filter(move |(_, row)| row.key.mode == mode);
        own.filter(|(_, row)| row.key.score != Some(Score::Reversed))
    };
    modes.into_iter().flat_map(of_mode).map(|(_, row)| (Chooser::of(row), *row)).collect()
}

/// The lines of a dial with the largest sparsity, one a score and mode.
pub fn largest_lines(dial: &Dial) -> Vec<&DialRow> {
    let mut lines: BTreeMap<(Score, Option<Mode>), &DialRow> = BTreeMap::new();
    for row in dial.rows.iter().filter(|row| row.rule == Rule::WindowMean) {
        let line = lines.entry((row.score, row.mode)).or_insert(row);
        if row.sparsity > line.sparsity {
            *line = row;
        }
    }
    lines.into_values().collect()
}

//! A grid in shares: which of several machines does which cells.

use std::fmt;
use std::str::FromStr;

/// One of so many shares of a grid: `3/16` is the third of sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 0.
    index: usize,
    of: usize,
}

/// Why a text names no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share: write I/N with 1 <= I <= N, such as 3/16")]
pub struct ShardError(String);

impl Shard {
    /// Its cells, of those that are listed.
    pub fn of<'a>(self, cells: &[Costed<'a>]) -> Vec<&'a str> {
        shares(cells, self.of).swap_remove(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let read = || {
            let (index, of) = text.split_once('/').filter(|(a, b)| digits(a) && digits(b))?;
            let (index, of) = (index.parse::<usize>().ok()?, of.parse::<usize>().ok()?);
            (1..=of).contains(&index).then(|| Shard { index: index - 1, of })
        };
        read().ok_or_else(|| ShardError(text.to_owned()))
    }
}

/// A cell, as it is shared out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costed<'a> {
    /// Its id.
    pub id: &'a str,
    /// The model that has to be loaded for it.
    pub model: &'a str,
    /// What it is expected to cost, in any unit that all cells share; no number counts as nothing.
    pub cost: f64,
}

/// How much more than its equal part a share may hold, so that a model stays in one piece.
pub const SLACK: f64 = 0.1;

/// Shares out cells: `n` lists of ids, which together are all ids, each once and in the order given.
///
/// It is a function of the cells and `n` alone, so every machine works out the same for itself. Models are
/// placed one by one, the dearest first, into the fullest share that has room for all of a model: an equal
/// part of the whole and [`SLACK`]. Where none has, the emptiest share is filled to its equal part with the
/// first cells of the model, and what is left of it is placed likewise. The cell at the border goes to the
/// nearer side, and what a share lacks by that is given to the next. So no share holds more than its part
/// and the slack, or its part and the dearest cell; and as every cut of a model fills a share, `m` models
/// are loaded at most `m + n - 1` times in all.
pub fn shares<'a>(cells: &[Costed<'a>], n: usize) -> Vec<Vec<&'a str>> {
    let costs: Vec<f64> = cells.iter().map(|cell| finite(cell.cost)).collect();
    // Without costs every cell counts alike.
    let is_free = costs.iter().all(|cost| *cost <= 0.0);
    let costs: Vec<f64> = if is_free { vec![1.0; cells.len()] } else { costs };
    let total = |places: &[usize]| places.iter().map(|place| costs[*place]).sum::<f64>();
    let equal = costs.iter().sum::<f64>() / n.max(1) as f64;
    let mut models = by_model(cells);
    // Stable: models of one cost stay in the order given.
    models.sort_by(|a, b| total(b).total_cmp(&total(a)));
    let mut bins = vec![Bin::default(); n];
    let mut lacking = 0.0;
    for mut places in models {
        while !places.is_empty() && n > 0 {
            let cost = total(&places);
            let has_room = |bin: &&mut Bin| bin.load + cost <= equal * (1.0 + SLACK);
            let fullest = bins.iter_mut().rev().filter(has_room);
            if let Some(bin) = fullest.max_by(|a, b| a.load.total_cmp(&b.load)) {
                bin.add(places.drain(..), &costs);
                continue;
            }
            let n_open = bins.iter().filter(|bin| !bin.is_full).count();
            let open = bins.iter_mut().filter(|bin| !bin.is_full || n_open == 0);
            let Some(bin) = open.min_by(|a, b| a.load.total_cmp(&b.load)) else { break };
            if n_open <= 1 {
                bin.add(places.drain(..), &costs);
                continue;
            }
            let count = bin.fill(&places, &costs, equal + lacking);
            bin.add(places.drain(..count), &costs);
            bin.is_full = true;
            lacking += equal - bin.load;
        }
    }
    let ids = |mut bin: Bin| {
        bin.places.sort_unstable();
        bin.places.into_iter().map(|place| cells[place].id).collect()
    };
    bins.into_iter().map(ids).collect()
}

#[derive(Debug, Clone, Default)]
struct Bin {
    places: Vec<usize>,
    load: f64,
    is_full: bool,
}

impl Bin {
    /// How many of the cells bring the load nearest to `target`.
    fn fill(&self, places: &[usize], costs: &[f64], target: f64) -> usize {
        let mut load = self.load;
        let is_nearer = |place: &&usize| {
            let before = load;
            load += costs[**place];
            load - target <= target - before
        };
        places.iter().take_while(is_nearer).count()
    }

    fn add(&mut self, places: impl Iterator<Item = usize>, costs: &[f64]) {
        for place in places {
            self.load += costs[place];
            self.places.push(place);
        }
    }
}

fn finite(cost: f64) -> f64 {
    if cost.is_finite() { cost.max(0.0) } else { 0.0 }
}

/// The places of the cells of each model, models in the order in which they come first.
fn by_model(cells: &[Costed<'_>]) -> Vec<Vec<usize>> {
    let mut models: Vec<(&str, Vec<usize>)> = Vec::new();
    for (place, cell) in cells.iter().enumerate() {
        match models.iter_mut().find(|(name, _)| *name == cell.model) {
            Some((_, places)) => places.push(place),
            None => models.push((cell.model, vec![place])),
        }
    }
    models.into_iter().map(|(_, places)| places).collect()
}

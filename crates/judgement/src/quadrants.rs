//! Part × method: what is pruned (neurons, state channels) by what kind of set (one for the whole run,
//! one for every token), every score in its quadrant, one table a model, dataset and protocol.

use std::collections::{BTreeMap, BTreeSet};

use evidence::{Key, Paired, Subject, Touches, Wanted, newest};
use plan::{Mode, Part, Policy, Protocol, Recalibration, Score, Share};
use serde::Serialize;

use crate::accuracy::{Accuracy, AccuracyTable};
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::table::Table;
use crate::unequal::{UnequalAt, unequal};

/// What a score has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A size: of the activation or of the weights, never both.
    Cheap,
    /// What dropping changes behind the neuron or channel: in the block's output or in the loss.
    OutputAware,
    /// Random, and the wrong way round.
    Control,
}

impl Kind {
    /// The kind of a score.
    pub fn of(score: Score) -> Kind {
        match score {
            Score::Magnitude | Score::Weight | Score::Energy | Score::StateWeight => Kind::Cheap,
            Score::Random | Score::Reversed => Kind::Control,
            Score::Impact | Score::Wanda | Score::Taylor | Score::Fisher => Kind::OutputAware,
            Score::Ghost | Score::GhostFactored | Score::StateTaylor => Kind::OutputAware,
            // Key, value and place are there before any attention is paid.
            Score::KeySize | Score::KeySizeReversed | Score::ValueSize | Score::Recency => {
                Kind::Cheap
            }
            Score::Attention | Score::AttentionValue | Score::Accumulated => Kind::OutputAware,
        }
    }

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Cheap => "cheap",
            Kind::OutputAware => "output-aware",
            Kind::Control => "control",
        }
    }
}

/// What the values of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// Perplexity divided by that of dense.
    PerplexityRatio,
    /// Share of correct items.
    Accuracy,
}

/// One cell of the grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Value {
    /// Share to be dropped, κ.
    pub sparsity: f64,
    /// The cell.
    pub cell_id: String,
    /// What it is rated by.
    pub value: f64,
    /// Lower limit of the 95 % interval; none for a single window.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
    /// Share dropped.
    pub reached_sparsity: f64,
}

/// A quadrant: the state has two dynamic ones, by what its sets act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Quadrant {
    /// What is dropped.
    pub part: Part,
    /// One set for the whole run, or one for every token.
    pub policy: Policy,
    /// What a set of state channels acts on.
    pub mode: Option<Mode>,
}

impl Quadrant {
    /// `state dynamic read`
    pub fn name(self) -> String {
        let mode = self.mode.map(|mode| format!(" {mode}")).unwrap_or_default();
        format!("{} {}{mode}", self.part, self.policy)
    }
}

/// One way to choose sets, at every sparsity that was run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Where it stands.
    #[serde(flatten)]
    pub quadrant: Quadrant,
    /// What its score has to know.
    pub kind: Kind,
    /// What ranks the neurons or channels.
    pub score: Score,
    /// What a static set of state channels is chosen on.
    pub recalibration: Option<Recalibration>,
    /// The first positions of a cache, which come before every score.
    pub sinks: Option<usize>,
    /// By ascending sparsity.
    pub values: Vec<Value>,
}

impl Line {
    /// The value at one sparsity.
    pub fn at(&self, sparsity: f64) -> Option<&Value> {
        self.values.iter().find(|value| value.sparsity.total_cmp(&sparsity).is_eq())
    }

    /// `state static ghost sequential`
    fn name(&self) -> String {
        let recalibration = self.recalibration.map(|how| format!(" {how}")).unwrap_or_default();
        format!("{} {}{recalibration}", self.quadrant.name(), self.score_name())
    }

    /// `recency, 4 sinks`
    pub fn score_name(&self) -> String {
        let sinks = self.sinks.map(|n| format!(", {n} sinks")).unwrap_or_default();
        format!("{}{sinks}", self.score)
    }
}

/// The quadrants of one model, dataset and protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadrants {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How it was asked.
    pub protocol: Protocol,
    /// What its values are.
    pub measure: Rating,
    /// Ascending.
    pub sparsities: Vec<f64>,
    /// By quadrant, kind and score.
    pub lines: Vec<Line>,
    /// How much of the model each part is.
    pub parts: Vec<(Part, Touches)>,
    /// Sparsities at which the lines dropped different shares.
    pub unequal: Vec<UnequalAt>,
    /// Places that several cells could fill (other seeds or calibration); the newest is shown.
    pub n_ambiguous: usize,
}

/// The quadrants of every table that has at least two, and more than one score in them.
pub fn quadrants(perplexity: &[PerplexityTable], accuracy: &[AccuracyTable]) -> Vec<Quadrants> {
    let perplexity = perplexity.iter().map(of_perplexity);
    let quadrants = perplexity.chain(accuracy.iter().map(of_accuracy));
    let has_choice = |table: &Quadrants| {
        let scores: BTreeSet<Score> = table.lines.iter().map(|line| line.score).collect();
        table.quadrants().len() > 1 && scores.len() > 1
    };
    quadrants.filter(has_choice).collect()
}

/// The lines of a perplexity table, however few.
pub fn of_perplexity(table: &PerplexityTable) -> Quadrants {
    collect(table, Rating::PerplexityRatio, rated_perplexity)
}

fn of_accuracy(table: &AccuracyTable) -> Quadrants {
    collect(table, Rating::Accuracy, rated_accuracy)
}

/// What a row is rated by.
struct RatedBy {
    value: f64,
    lower: Option<f64>,
    upper: Option<f64>,
}

fn rated_perplexity(own: &Perplexity) -> Option<RatedBy> {
    let compared = own.ratio()?;
    Some(RatedBy { value: compared.ratio, lower: compared.lower, upper: compared.upper })
}

fn rated_accuracy(own: &Accuracy) -> Option<RatedBy> {
    Some(RatedBy { value: own.accuracy, lower: Some(own.lower), upper: Some(own.upper) })
}

/// What tells two lines apart, in the order of the table.
type LineKey = (Quadrant, Kind, Score, Option<Recalibration>, Option<usize>);

/// Where a row stands: its way and its κ; none for one whose sets last for a while, or that no score chose.
fn place(key: &Key) -> Option<(LineKey, Share)> {
    let score = key.score.filter(|_| key.has_one_set())?;
    let quadrant = Quadrant { part: key.part, policy: key.policy, mode: key.mode };
    Some(((quadrant, Kind::of(score), score, key.recalibration, key.sinks), key.sparsity))
}

/// Only rows compared with the newest dense cell count, so that all values of a table have one baseline.
fn collect<M: Paired>(
    table: &Table<M>,
    measure: Rating,
    rated: impl Fn(&M) -> Option<RatedBy>,
) -> Quadrants {
    let query = table.query();
    let places = query.by(Wanted::default(), place);
    let n_ambiguous = places.values().filter(|newest| newest.n_alike > 1).count();
    let mut by_line: BTreeMap<LineKey, Vec<Value>> = BTreeMap::new();
    for ((way, sparsity), newest) in places {
        let row = newest.row;
        let Some(RatedBy { value, lower, upper }) = rated(&row.measured) else { continue };
        let (cell_id, sparsity) = (row.cell_id.clone(), sparsity.get());
        let reached_sparsity = row.shares.reached_sparsity;
        let value = Value { sparsity, cell_id, value, lower, upper, reached_sparsity };
        by_line.entry(way).or_default().push(value);
    }
    let lines = by_line.into_iter().map(|(way, values)| {
        let (quadrant, kind, score, recalibration, sinks) = way;
        Line { quadrant, kind, score, recalibration, sinks, values }
    });
    let lines: Vec<Line> = lines.collect();
    let rows = || query.rows(Wanted::default()).filter(|row| place(&row.key).is_some());
    let touches = |part: Part| newest(rows().filter(|row| row.key.part == part)).map(|r| r.touches);
    let parts = Part::ALL.iter().filter_map(|&part| Some((part, touches(part)?))).collect();
    let sparsities = sparsities(&lines);
    let unequal = sparsities.iter().filter_map(|&sparsity| unequal_at(&lines, sparsity)).collect();
    let (model, dataset, protocol) = (table.model.clone(), table.dataset.clone(), table.protocol);
    Quadrants { model, dataset, protocol, measure, sparsities, lines, parts, unequal, n_ambiguous }
}

/// Every sparsity of some line, ascending.
fn sparsities(lines: &[Line]) -> Vec<f64> {
    let all = lines.iter().flat_map(|line| &line.values);
    let mut sparsities: Vec<f64> = all.map(|value| value.sparsity).collect();
    sparsities.sort_by(f64::total_cmp);
    sparsities.dedup();
    sparsities
}

/// Whether the lines dropped different shares at one sparsity.
pub fn unequal_at(lines: &[Line], sparsity: f64) -> Option<UnequalAt> {
    let at = |line: &Line| Some((line.name(), line.at(sparsity)?.reached_sparsity));
    let unequal = unequal(lines.iter().filter_map(at))?;
    Some(UnequalAt { sparsity, unequal })
}

impl Quadrants {
    /// What they are about.
    pub fn subject(&self) -> Subject<'_> {
        (&self.model, &self.dataset, self.protocol)
    }

    /// The quadrants that have a line.
    pub fn quadrants(&self) -> BTreeSet<Quadrant> {
        self.lines.iter().map(|line| line.quadrant).collect()
    }

    /// The lowest value of a kind in a quadrant at one sparsity; of equals the first. Of the controls
    /// only chance counts.
    pub fn best(&self, quadrant: Quadrant, kind: Kind, sparsity: f64) -> Option<(&Line, &Value)> {
        let own = self.lines.iter().filter(|line| {
            let is_meant = kind != Kind::Control || line.score == Score::Random;
            (line.quadrant, line.kind) == (quadrant, kind) && is_meant
        });
        let rated = own.filter_map(|line| Some((line, line.at(sparsity)?)));
        rated.min_by(|a, b| a.1.value.total_cmp(&b.1.value))
    }

    /// Whether the best cheap score of a quadrant suffices: it costs at most [`SUFFICES`] times what the
    /// best output-aware one costs. None where one of them was not run.
    pub fn cheap_suffices(&self, quadrant: Quadrant, sparsity: f64) -> Option<Sufficiency> {
        let (_, cheap) = self.best(quadrant, Kind::Cheap, sparsity)?;
        let (_, aware) = self.best(quadrant, Kind::OutputAware, sparsity)?;
        let times = cheap.value / aware.value;
        Some(Sufficiency { times, suffices: cheap.value <= SUFFICES * aware.value })
    }

    /// The sparsity that most scores of all quadrants were run at; of equals the highest.
    pub fn shared_sparsity(&self) -> Option<f64> {
        let quadrants = self.quadrants();
        let has = |quadrant: &Quadrant, sparsity: f64| {
            let mut lines = self.lines.iter().filter(|line| line.quadrant == *quadrant);
            lines.any(|line| line.at(sparsity).is_some())
        };
        let in_all = |sparsity: &&f64| quadrants.iter().all(|quadrant| has(quadrant, **sparsity));
        let n_lines =
            |sparsity: f64| self.lines.iter().filter(|line| line.at(sparsity).is_some()).count();
        let shared = self.sparsities.iter().filter(in_all);
        shared.max_by(|a, b| n_lines(**a).cmp(&n_lines(**b)).then(a.total_cmp(b))).copied()
    }
}

/// A cheap score suffices when it costs at most this many times what an output-aware one costs.
pub const SUFFICES: f64 = 1.05;

/// The best cheap score against the best output-aware one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sufficiency {
    /// What the cheap one costs, as a multiple of the other.
    pub times: f64,
    /// Whether that is little enough.
    pub suffices: bool,
}

/// One table a model: of its perplexity tables the one with the most quadrants, of equals the one with the
/// most scores, of equals the first.
pub fn of_each_model(tables: &[Quadrants]) -> Vec<&Quadrants> {
    let tables = || tables.iter().filter(|table| table.measure == Rating::PerplexityRatio);
    let mut models: Vec<&str> = tables().map(|table| table.model.as_str()).collect();
    models.dedup();
    let of_model = |model: &str| {
        let own = tables().filter(|table| table.model == model);
        own.rev().max_by_key(|table| (table.quadrants().len(), table.lines.len()))
    };
    models.into_iter().filter_map(of_model).collect()
}

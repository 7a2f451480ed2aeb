//! What part × method shows of one model: in each quadrant the best score of its kind, or what has become
//! of its cells.

use std::collections::{BTreeMap, BTreeSet};

use evidence::absent::{Absent, Why, absent};
use evidence::{Key, Subject, subject};
use judgement::Summary;
use judgement::quadrants::{Kind, Line, Quadrant, Quadrants, Rating, Value};
use plan::{Cell, Measure, Score, Share};

use crate::pictures::choose::{Choice, Found};

/// What is set side by side.
pub(super) const SIDES: [&str; 3] = ["cheap", "output-aware", "random"];
/// What stands at a place: the best score of its kind, or what has become of its cells.
pub(super) enum Best<'a> {
    Line(&'a Line, &'a Value),
    Absent(Absent<'a>),
}

impl Best<'_> {
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Best::Line(_, value) => Some(value),
            Best::Absent(_) => None,
        }
    }

    pub(super) fn why(&self) -> Option<Why> {
        match self {
            Best::Line(..) => None,
            Best::Absent(absent) => Some(absent.why),
        }
    }
}

/// The places of one model, by quadrant, in the order of [`SIDES`].
pub(super) type Squares<'a> = BTreeMap<Quadrant, [Option<Best<'a>>; 3]>;

pub(super) fn found(summary: &Summary) -> Vec<Found<'_, Squares<'_>>> {
    let tables = summary.quadrants.iter().filter(|own| own.measure == Rating::PerplexityRatio);
    let mut models: BTreeMap<Subject<'_>, (Option<&Quadrants>, Vec<Absent<'_>>)> =
        tables.map(|own| (own.subject(), (Some(own), Vec::new()))).collect();
    for absent in absent(&summary.failed, &summary.missing) {
        if quadrant_of(absent.cell).is_some() {
            models.entry(subject(absent.cell)).or_default().1.push(absent);
        }
    }
    let mut found = Vec::new();
    for (key, (table, absent)) in models {
        let sparsities = table.into_iter().flat_map(|table| table.sparsities.iter().copied());
        let of_absent = absent.iter().filter_map(|absent| Key::of(absent.cell));
        let of_absent = of_absent.map(|key| key.sparsity);
        let sparsities: BTreeSet<Share> = sparsities.map(Share::nearest).chain(of_absent).collect();
        for sparsity in sparsities.into_iter().map(Share::get) {
            let value = squares(table, &absent, sparsity);
            let is_measured = value.values().flatten().flatten().any(|best| best.value().is_some());
            found.push(Found { key, sparsity, value, is_measured });
        }
    }
    found
}

/// The quadrant of a cell of a perplexity; none for one that has no set for ever or for every token.
fn quadrant_of(cell: &Cell) -> Option<Quadrant> {
    let key = Key::of(cell)
        .filter(|key| key.has_one_set() && cell.protocol.measure() == Measure::MeanLoss)?;
    Some(Quadrant { part: key.part, policy: key.policy, mode: key.mode })
}

/// Where a score stands among [`SIDES`]; the control that is the wrong way round stands nowhere.
fn side_of(score: Score) -> Option<usize> {
    match Kind::of(score) {
        Kind::Cheap => Some(0),
        Kind::OutputAware => Some(1),
        Kind::Control => (score == Score::Random).then_some(2),
    }
}

fn squares<'a>(table: Option<&'a Quadrants>, absent: &[Absent<'a>], sparsity: f64) -> Squares<'a> {
    let mut squares: Squares<'_> = BTreeMap::new();
    if let Some(table) = table {
        for quadrant in table.quadrants() {
            let best = |kind| {
                let (line, value) = table.best(quadrant, kind, sparsity)?;
                Some(Best::Line(line, value))
            };
            let places = [Kind::Cheap, Kind::OutputAware, Kind::Control].map(best);
            if places.iter().any(Option::is_some) {
                squares.insert(quadrant, places);
            }
        }
    }
    for absent in absent {
        if let Some(key) = Key::of(absent.cell)
            && key.sparsity == Share::nearest(sparsity)
            && let Some(quadrant) = quadrant_of(absent.cell)
            && let Some(side) = key.score.and_then(side_of)
        {
            let place = &mut squares.entry(quadrant).or_default()[side];
            place.get_or_insert(Best::Absent(*absent));
        }
    }
    squares
}

/// The sparsity with the most numbers; of equals the largest.
pub(super) fn fullest(found: &[Found<'_, Squares<'_>>]) -> Option<f64> {
    let mut counts: BTreeMap<Share, usize> = BTreeMap::new();
    for found in found {
        let numbers = found.value.values().flatten().flatten().filter_map(Best::value);
        *counts.entry(Share::nearest(found.sparsity)).or_default() += numbers.count();
    }
    counts.into_iter().map(|(sparsity, n)| (n, sparsity)).max().map(|(_, own)| own.get())
}

pub(super) fn bests<'a, 'b>(
    choice: &'b Choice<'a, Squares<'a>>,
) -> impl Iterator<Item = &'b Best<'a>> {
    choice.shown.iter().flat_map(|(_, squares)| squares.values().flatten().flatten())
}

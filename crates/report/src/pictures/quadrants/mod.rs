//! `quadrants`: part × method; in each quadrant what the best score that looks at a size alone costs
//! beside the best one that looks at the output, and beside chance.

mod chart;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use plan::{Cell, Policy, Score, shortest_decimal};

use self::chart::{Band, Pens, bands, chart};
use super::Content;
use super::absent::{Absent, Why, absent};
use super::canvas::{self, Key, Words};
use super::choose::{Choice, Found, Key as ModelKey, Preferred, choose, sizes};
use super::inks::{Ink, Inks, REFERENCE, series_colour};
use super::places::{code, hatched, reasons};
use crate::format::{NOTHING, or_nothing, percent, significant};
use crate::markdown::Align::{Left, Right};
use crate::markdown::Table;
use crate::perplexity::BOOTSTRAP;
use crate::quadrants::{self, Kind, Line, Measure, Quadrant, Quadrants, Value};
use crate::summary::Summary;

/// What is set side by side.
const SIDES: [&str; 3] = ["cheap", "output-aware", "random"];
/// What stands at a place: the best score of its kind, or what has become of its cells.
enum Best<'a> {
    Line(&'a Line, &'a Value),
    Absent(Absent<'a>),
}

impl Best<'_> {
    fn value(&self) -> Option<&Value> {
        match self {
            Best::Line(_, value) => Some(value),
            Best::Absent(_) => None,
        }
    }

    fn why(&self) -> Option<Why> {
        match self {
            Best::Line(..) => None,
            Best::Absent(absent) => Some(absent.why),
        }
    }
}

/// The places of one model, by quadrant, in the order of [`SIDES`].
type Squares<'a> = BTreeMap<Quadrant, [Option<Best<'a>>; 3]>;

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let found = found(summary);
    let sparsity = fullest(&found);
    let Some(choice) = choose(summary, found, Preferred { sparsity, protocol: None }) else {
        let reason = "no model has two quadrants of part × method with several scores, compared with \
                      dense on a text of protocol ppl-T";
        return Ok(Content::Nothing { reason: reason.to_owned() });
    };
    let words = words(summary, &choice);
    let whys = reasons(bests(&choice).filter_map(Best::why));
    let mut inks = Inks::new();
    let pens: [(usize, Ink); 3] = std::array::from_fn(|index| {
        let (series, colour) = [(0, 0), (1, 1), (3, 7)][index];
        (series, inks.add(SIDES[index], series_colour(colour), None))
    });
    let dense = inks.add("dense", series_colour(7), REFERENCE);
    let about = ["cheap: a size alone", "output-aware", "random"];
    let keys = pens.iter().zip(about);
    let mut legend: Vec<Key> =
        keys.map(|(&(series, ink), name)| Key::of(series, ink, None, name)).collect();
    legend.push(Key::line(dense, "dense = 1"));
    legend.extend(whys.iter().map(|&why| Key::hatch(why)));
    let bands = bands(&choice);
    let body = bands.iter().map(Band::height).sum();
    let pens = Pens { sides: pens, dense };
    let svg = canvas::paint(id, body, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &choice, &bands, &pens, top)
    })?;
    let mut caption = vec![
        words.opening(),
        format!(
            "Of several scores of one kind the best is drawn; the tables have them all. Whiskers are \
             95 % intervals (paired bootstrap over windows, {} resamples) of that score alone, not of \
             the choice among several. The horizontal axes are logarithmic and the same.",
            BOOTSTRAP.resamples
        ),
    ];
    caption.extend(hatched(&whys));
    caption.extend(choice.not_shown("quadrants"));
    let is_shown = |table: &&Quadrants| {
        (table.dataset.as_str(), table.protocol) == (choice.dataset, choice.protocol)
            && choice.shown.iter().any(|(model, _)| *model == table.model)
    };
    Ok(Content::Drawn {
        svg,
        alternative: format!("{} on {}", words.title, choice.text()),
        caption,
        tables: summary.quadrants.iter().filter(is_shown).map(quadrants::heading).collect(),
        numbers: numbers(&choice),
    })
}

fn found(summary: &Summary) -> Vec<Found<'_, Squares<'_>>> {
    let tables = summary.quadrants.iter().filter(|own| own.measure == Measure::PerplexityRatio);
    let mut models: BTreeMap<ModelKey<'_>, (Option<&Quadrants>, Vec<Absent<'_>>)> = tables
        .map(|own| {
            let key = (own.model.as_str(), own.dataset.as_str(), own.protocol);
            (key, (Some(own), Vec::new()))
        })
        .collect();
    for absent in absent(summary).into_iter().filter(|absent| quadrant_of(absent.cell).is_some()) {
        let Cell { model, dataset, protocol, .. } = absent.cell;
        let key = (model.as_str(), dataset.as_str(), *protocol);
        models.entry(key).or_default().1.push(absent);
    }
    let mut found = Vec::new();
    for (key, (table, absent)) in models {
        let sparsities = table.into_iter().flat_map(|table| table.sparsities.iter().copied());
        let of_absent = absent.iter().map(|absent| absent.cell.treatment.sparsity);
        let mut sparsities: Vec<f64> = sparsities.chain(of_absent).collect();
        sparsities.sort_by(f64::total_cmp);
        sparsities.dedup();
        for sparsity in sparsities {
            let value = squares(table, &absent, sparsity);
            let is_measured = value.values().flatten().flatten().any(|best| best.value().is_some());
            found.push(Found { key, sparsity, value, is_measured });
        }
    }
    found
}

/// The quadrant of a cell of a perplexity; none for one that has no set for ever or for every token.
fn quadrant_of(cell: &Cell) -> Option<Quadrant> {
    let treatment = &cell.treatment;
    let has_quadrant = matches!(treatment.policy, Policy::Static | Policy::Dynamic);
    let quadrant =
        Quadrant { part: treatment.part, policy: treatment.policy, mode: treatment.mode };
    (has_quadrant && cell.protocol.is_perplexity()).then_some(quadrant)
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
    for line in table.into_iter().flat_map(|table| &table.lines) {
        if let (Some(value), Some(side)) = (line.at(sparsity), side_of(line.score)) {
            let place = &mut squares.entry(line.quadrant).or_default()[side];
            let known = place.as_ref().and_then(Best::value);
            if known.is_none_or(|known| value.value < known.value) {
                *place = Some(Best::Line(line, value));
            }
        }
    }
    for absent in absent {
        let treatment = &absent.cell.treatment;
        if treatment.sparsity.total_cmp(&sparsity).is_eq()
            && let Some(quadrant) = quadrant_of(absent.cell)
            && let Some(side) = treatment.score.and_then(side_of)
        {
            let place = &mut squares.entry(quadrant).or_default()[side];
            place.get_or_insert(Best::Absent(*absent));
        }
    }
    squares
}

/// The sparsity with the most numbers; of equals the largest.
fn fullest(found: &[Found<'_, Squares<'_>>]) -> Option<f64> {
    let mut counts: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for found in found {
        let numbers = found.value.values().flatten().flatten().filter_map(Best::value);
        counts.entry(shortest_decimal(found.sparsity)).or_insert((0, found.sparsity)).0 +=
            numbers.count();
    }
    let most = counts.into_values().max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    most.map(|(_, sparsity)| sparsity)
}

fn bests<'a, 'b>(choice: &'b Choice<'a, Squares<'a>>) -> impl Iterator<Item = &'b Best<'a>> {
    choice.shown.iter().flat_map(|(_, squares)| squares.values().flatten().flatten())
}

fn words(summary: &Summary, choice: &Choice<'_, Squares<'_>>) -> Words {
    let sparsity = shortest_decimal(choice.sparsity);
    let values = choice.shown.iter().map(|(model, squares)| {
        let squares = squares.iter().map(|(quadrant, places)| {
            let places = SIDES.into_iter().zip(places).filter_map(|(side, place)| {
                let best = place.as_ref()?;
                let text = match best.value() {
                    Some(value) => significant(value.value, 4),
                    None => best.why().map_or("", Why::as_str).to_owned(),
                };
                Some(format!("{side} {text}"))
            });
            format!("{} {}", quadrant.name(), places.collect::<Vec<_>>().join(", "))
        });
        format!("{model}: {}", squares.collect::<Vec<_>>().join("; "))
    });
    let values: Vec<String> = values.collect();
    let ids: BTreeSet<&str> =
        bests(choice).filter_map(Best::value).map(|value| value.cell_id.as_str()).collect();
    let rows = summary.perplexity_tables.iter().flat_map(|table| &table.rows);
    let drawn = rows.filter(|row| ids.contains(row.cell_id.as_str()));
    Words {
        title: "Part × method: cheap scores, output-aware ones and chance".to_owned(),
        subtitle: format!(
            "{}, κ={sparsity}, best score of each kind, {}; 95 % intervals",
            choice.text(),
            sizes(drawn)
        ),
        description: format!(
            "Perplexity as a multiple of dense by part and method on {} at κ={sparsity}. {}.",
            choice.text(),
            values.join(". ")
        ),
    }
}

fn numbers(choice: &Choice<'_, Squares<'_>>) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("quadrant", Left),
        ("kind", Left),
        ("score", Left),
        ("recalibration", Left),
        ("× dense", Right),
        ("lower", Right),
        ("upper", Right),
        ("reached sparsity", Right),
        ("cell", Left),
    ]);
    for (model, squares) in &choice.shown {
        for (quadrant, places) in squares {
            for (side, best) in SIDES.into_iter().zip(places) {
                let Some(best) = best else { continue };
                let first = [(*model).to_owned(), quadrant.name(), side.to_owned()];
                table.push(first.into_iter().chain(best_numbers(best)));
            }
        }
    }
    table
}

/// Score, recalibration, ratio with its limits, reached sparsity and cell.
fn best_numbers(best: &Best<'_>) -> [String; 7] {
    let number = |value: f64| significant(value, 5);
    match best {
        Best::Line(line, value) => [
            line.score.to_string(),
            line.recalibration.map(|how| how.to_string()).unwrap_or_default(),
            number(value.value),
            or_nothing(value.lower.map(number)),
            or_nothing(value.upper.map(number)),
            percent(value.reached_sparsity),
            code(&value.cell_id),
        ],
        Best::Absent(absent) => [
            or_nothing(absent.cell.treatment.score),
            absent.cell.treatment.recalibration.map(|how| how.to_string()).unwrap_or_default(),
            absent.why.as_str().to_owned(),
            NOTHING.to_owned(),
            NOTHING.to_owned(),
            NOTHING.to_owned(),
            code(absent.id),
        ],
    }
}

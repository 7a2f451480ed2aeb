//! `last-word`: how many last words each model gets right, dense and with neurons dropped.

use anyhow::Result;
use evidence::Key as RowKey;
use plan::{Cell, Measure, Protocol, shortest_decimal};
use plotters::style::text_anchor::HPos;

use super::axes::{AXIS, Area, Scale};
use super::canvas::{self, Key, Words};
use super::choose::{Choice, Found, Preferred, choose, span};
use super::inks::{Ink, Inks, TEXT, series_colour};
use super::picture::Content;
use super::sheet::{MARGIN, Sheet, WIDTH, fitting, text_width, write};
use super::strips::{self, BESIDE, Dot, LONGEST, Slot, row_height};
use super::words::{NEWEST, hatched, place_cell, sentences, share_label};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{NOTHING, percent};
use crate::headings;
use evidence::Row;
use evidence::absent::{Why, absent};
use evidence::place::{Model, Place, models, reasons};
use judgement::Summary;
use judgement::accuracy::Accuracy;
use judgement::contrast::{DYNAMIC, FIXED, SCORE};

/// What was published: the last token alone, with 90 % of the neurons dropped.
const PUBLISHED: Preferred =
    Preferred { protocol: Some(Protocol::LambadaLastToken), sparsity: Some(0.9) };
/// Pixels of a model.
const ROW: i32 = row_height(3);
const NAMES: [&str; 3] = ["dense", "dynamic", "static"];

/// One model: dense, dynamic and, where it was ordered, static.
struct Ends<'a> {
    places: [Place<'a, Accuracy>; 3],
    is_ambiguous: bool,
}

impl<'a> Ends<'a> {
    fn rows(&self) -> impl Iterator<Item = &'a Row<Accuracy>> {
        self.places.iter().filter_map(Place::row)
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Place<'a, Accuracy>)> {
        NAMES.into_iter().zip(&self.places)
    }
}

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let Some(choice) = choose(summary, found(summary), PUBLISHED) else {
        let reason = format!(
            "no model has a dense cell and a dynamic one with score {SCORE} on the same items of a \
             last-word task"
        );
        return Ok(Content::Nothing { reason });
    };
    let words = words(&choice);
    let places = choice.shown.iter().flat_map(|(_, ends)| &ends.places);
    let whys = reasons(places.filter_map(Place::why));
    let mut inks = Inks::new();
    let (colours, between) = ([7, 0, 1], inks.add("between", series_colour(7), None));
    let pens: [(usize, Ink); 3] = std::array::from_fn(|index| {
        // The marks of dynamic and static are those of the other pictures.
        let series = [3, 0, 1][index];
        (series, inks.add(NAMES[index], series_colour(colours[index]), None))
    });
    let has_static = choice.shown.iter().any(|(_, ends)| !ends.places[2].is_nothing());
    let about = ["dense", "dynamic: a set for every token", "static: one set for the whole run"];
    let keys = pens.iter().zip(about).take(if has_static { 3 } else { 2 });
    let mut legend: Vec<Key> =
        keys.map(|(&(series, ink), name)| Key::of(series, ink, None, name)).collect();
    legend.extend(whys.iter().map(|&why| Key::hatch(why)));
    let body = i32::try_from(choice.shown.len())? * ROW + AXIS;
    let svg = canvas::paint(id, body, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &choice, (&pens, between), top)
    })?;
    let mut caption = vec![
        words.opening(),
        "Whiskers are Wilson's 95 % intervals, at every point; the items of a model are the same, so \
         that its points are to be compared by the paired test of the table and not by whether \
         whiskers overlap."
            .to_owned(),
    ];
    caption.extend(hatched(&whys));
    if choice.shown.iter().any(|(_, ends)| ends.is_ambiguous) {
        caption.push(NEWEST.to_owned());
    }
    caption.extend(choice.not_shown("a dense and a dynamic cell"));
    let is_shown = |model: &str| choice.shown.iter().any(|(own, _)| *own == model);
    let tables = summary.accuracy_tables.iter().filter(|table| {
        (table.dataset.as_str(), table.protocol) == (choice.dataset, choice.protocol)
            && is_shown(&table.model)
    });
    Ok(Content::Drawn {
        svg,
        alternative: format!("{} on {}", words.title, choice.text()),
        caption: sentences(&caption),
        tables: tables.map(|table| headings::of_table(table.subject())).collect(),
        numbers: numbers(&choice),
    })
}

fn found(summary: &Summary) -> Vec<Found<'_, Ends<'_>>> {
    let tables =
        summary.accuracy_tables.iter().map(|table| (table.subject(), table.rows.as_slice()));
    let is_wanted = |cell: &Cell| {
        let is_shown = |key: RowKey| key.is_dense() || DYNAMIC.fits(&key) || FIXED.fits(&key);
        cell.protocol.measure() == Measure::Proportion && RowKey::of(cell).is_some_and(is_shown)
    };
    let mut found = Vec::new();
    for model in &models(tables, &absent(&summary.failed, &summary.missing), is_wanted) {
        for sparsity in model.sparsities(&[DYNAMIC, FIXED]) {
            let value = ends(model, sparsity);
            let [dense, dynamic, _] = &value.places;
            if !dense.is_nothing() && !dynamic.is_nothing() {
                let is_measured = dense.row().is_some() && dynamic.row().is_some();
                found.push(Found { key: model.subject, sparsity, value, is_measured });
            }
        }
    }
    found
}

fn ends<'a>(model: &Model<'a, Accuracy>, sparsity: f64) -> Ends<'a> {
    let (dynamic, has_several) = model.place(DYNAMIC.at(sparsity));
    let (fixed, has_more) = model.place(FIXED.at(sparsity));
    Ends { places: [model.dense_place(), dynamic, fixed], is_ambiguous: has_several || has_more }
}

fn words(choice: &Choice<'_, Ends<'_>>) -> Words {
    let sparsity = shortest_decimal(choice.sparsity);
    let items: Vec<u64> = choice
        .shown
        .iter()
        .flat_map(|(_, ends)| ends.rows().map(|row| row.measured.n_items))
        .collect();
    let values = choice.shown.iter().map(|(model, ends)| {
        let values = ends.named().filter(|(_, place)| !place.is_nothing());
        let values = values.map(|(name, place)| match place.row() {
            Some(row) => format!("{name} {}", percent(row.measured.accuracy)),
            None => format!("{name} {}", place.why().map_or("", Why::as_str)),
        });
        format!("{model}: {}", values.collect::<Vec<_>>().join(", "))
    });
    let values: Vec<String> = values.collect();
    Words {
        title: "Last words, dense and with neurons dropped".to_owned(),
        subtitle: format!(
            "{}, κ={sparsity}, {SCORE}, {}; Wilson's 95 % intervals",
            choice.text(),
            span(&items, "item")
        ),
        description: format!(
            "Share of last words that are right on {} at κ={sparsity}. {}.",
            choice.text(),
            values.join("; ")
        ),
    }
}

fn chart(
    sheet: &Sheet<'_>,
    choice: &Choice<'_, Ends<'_>>,
    (pens, between): (&[(usize, Ink); 3], Ink),
    top: i32,
) -> Result<()> {
    let names: Vec<String> = choice.shown.iter().map(|(model, ends)| name(model, ends)).collect();
    let longest = names.iter().map(|name| text_width(name)).max().unwrap_or(0).min(LONGEST);
    let n_models = i32::try_from(choice.shown.len())?;
    let area = Area {
        left: MARGIN + longest + 24,
        top,
        right: WIDTH - BESIDE,
        bottom: top + n_models * ROW,
    };
    let rows = choice.shown.iter().flat_map(|(_, ends)| ends.rows());
    let limits = rows.flat_map(|row| [row.measured.lower, row.measured.upper]);
    let scale = Scale::even_around(limits, 0.06, 8).between(area.left + BESIDE, area.right);
    scale.draw_below(sheet, area, &share_label, "last words that are right")?;
    for (index, ((_, ends), name)) in (0..).zip(choice.shown.iter().zip(&names)) {
        let y = top + index * ROW + ROW / 2;
        write(sheet, &fitting(name, LONGEST), TEXT, HPos::Right, (area.left - 12, y))?;
        let slots = ends.named().zip(pens).map(|((name, place), &(series, ink))| {
            if let Some(why) = place.why() {
                return Slot::Hatched(name.to_owned(), why);
            }
            let Some(row) = place.row() else { return Slot::Empty };
            let Accuracy { accuracy, lower, upper, .. } = row.measured;
            let (limits, number) = (Some((lower, upper)), percent(accuracy));
            Slot::Dot(Dot { series, ink, value: accuracy, limits, number })
        });
        strips::row(sheet, (&scale, area), y, &slots.collect::<Vec<_>>(), Some(between))?;
    }
    Ok(())
}

/// `opt-1.3b, n=300`
fn name(model: &str, ends: &Ends<'_>) -> String {
    match ends.rows().map(|row| row.measured.n_items).max() {
        Some(n) => format!("{model}, n={n}"),
        None => model.to_owned(),
    }
}

fn numbers(choice: &Choice<'_, Ends<'_>>) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("policy", Left),
        ("correct", Right),
        ("items", Right),
        ("accuracy", Right),
        ("lower", Right),
        ("upper", Right),
        ("cell", Left),
    ]);
    for (model, ends) in &choice.shown {
        for (policy, place) in ends.named().filter(|(_, place)| !place.is_nothing()) {
            let first = [Field::text(*model), Field::text(policy)];
            let values = match place.row() {
                Some(row) => {
                    let Accuracy { n_correct, n_items, accuracy, lower, upper, .. } = row.measured;
                    let [accuracy, lower, upper] = [accuracy, lower, upper].map(percent);
                    [n_correct.to_string(), n_items.to_string(), accuracy, lower, upper]
                }
                None => {
                    let mut values = [NOTHING; 5].map(str::to_owned);
                    values[0] = place.why().map_or(NOTHING, Why::as_str).to_owned();
                    values
                }
            };
            table.push(
                first.into_iter().chain(values.map(Field::Number)).chain([place_cell(place)]),
            );
        }
    }
    table
}

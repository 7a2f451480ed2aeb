//! `quadrants`: part × method; in each quadrant what the best score that looks at a size alone costs
//! beside the best one that looks at the output, and beside chance.

mod chart;
mod squares;

use std::collections::BTreeSet;

use anyhow::Result;
use evidence::absent::Why;
use evidence::place::reasons;
use judgement::Summary;
use judgement::perplexity::BOOTSTRAP;
use judgement::quadrants::Quadrants;
use plan::shortest_decimal;

use self::chart::{Band, QuadrantPens, bands, chart};
use self::squares::{Best, SIDES, Squares, bests, found, fullest};
use super::canvas::{self, Key, Words};
use super::choose::{Choice, Preferred, choose, sizes};
use super::inks::{Ink, Inks, REFERENCE, series_colour};
use super::picture::Content;
use super::words::{hatched, sentences};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{NOTHING, or_nothing, percent, significant};
use crate::headings;

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
    let pens = QuadrantPens { sides: pens, dense };
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
        caption: sentences(&caption),
        tables: summary.quadrants.iter().filter(is_shown).map(headings::of_quadrants).collect(),
        numbers: numbers(&choice),
    })
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
                let first = [Field::text(*model), Field::Text(quadrant.name()), Field::text(side)];
                table.push(first.into_iter().chain(best_numbers(best)));
            }
        }
    }
    table
}

/// Score, recalibration, ratio with its limits, reached sparsity and cell.
fn best_numbers(best: &Best<'_>) -> [Field; 7] {
    let number = |value: f64| significant(value, 5);
    let (fields, id) = match best {
        Best::Line(line, value) => {
            let fields = [
                line.score.to_string(),
                line.recalibration.map(|how| how.to_string()).unwrap_or_default(),
                number(value.value),
                or_nothing(value.lower.map(number)),
                or_nothing(value.upper.map(number)),
                percent(value.reached_sparsity),
            ];
            (fields, value.cell_id.as_str())
        }
        Best::Absent(absent) => {
            let treatment = absent.cell.recipe.treatment();
            let recalibration = treatment.as_ref().and_then(|own| own.recalibration);
            let fields = [
                or_nothing(treatment.and_then(|own| own.score)),
                recalibration.map(|how| how.to_string()).unwrap_or_default(),
                absent.why.as_str().to_owned(),
                NOTHING.to_owned(),
                NOTHING.to_owned(),
                NOTHING.to_owned(),
            ];
            (fields, absent.id)
        }
    };
    let [score, recalibration, ratio, lower, upper, reached] = fields.map(Field::Number);
    [score, recalibration, ratio, lower, upper, reached, Field::cell(id)]
}

//! `loss-and-speed`: what every row of `cargo xtask speed` costs against how fast it decodes, a series a model;
//! the points that no other beats are joined.

use anyhow::Result;
use judgement::Summary;
use judgement::speed::{SideBySide, SpeedRow};
use plotters::style::text_anchor::HPos;

use super::axes::{AXIS, Area, Scale, tick_label};
use super::canvas::{self, Key, Words};
use super::inks::{Ink, Inks, TEXT, series_colour, series_dashes};
use super::marks::{mark, path};
use super::picture::Content;
use super::sheet::{LINE, MARGIN, Sheet, WIDTH, write};
use super::words::sentences;
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{count, or_nothing, significant};
use crate::headings;

const HEIGHT: i32 = 340;

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let shown: Vec<Series<'_>> = summary.speed.iter().filter_map(Series::of).collect();
    if shown.is_empty() {
        let reason = "no model has rows beside dense whose loss is known".to_owned();
        return Ok(Content::Nothing { reason });
    }
    let words = words(&shown);
    let mut inks = Inks::new();
    let pens: Vec<(Ink, Ink)> = (0..shown.len())
        .map(|series| {
            let colour = series_colour(series);
            let line = inks.add(&format!("line s{series}"), colour, series_dashes(series));
            (line, inks.add(&format!("mark s{series}"), colour, None))
        })
        .collect();
    let keys = shown.iter().zip(&pens).enumerate();
    let legend: Vec<Key> = keys
        .map(|(index, (own, (line, mark)))| Key::of(index, *mark, Some(*line), &own.of.model))
        .collect();
    let svg = canvas::paint(id, HEIGHT + LINE + AXIS, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &shown, &pens, top)
    })?;
    let opening = [
        words.opening(),
        "Each point is one model as it ran. A line joins those that no other beats: none decodes as fast \
         at no more loss."
            .to_owned(),
    ];
    Ok(Content::Drawn {
        svg,
        alternative: words.title.clone(),
        caption: sentences(&opening),
        tables: shown.iter().map(|own| headings::of_speed(&own.of.model)).collect(),
        numbers: numbers(&shown),
    })
}

/// The points of a model: rows with their loss and speed, both as multiples of dense.
struct Series<'a> {
    of: &'a SideBySide,
    rows: Vec<(&'a SpeedRow, (f64, f64))>,
}

impl<'a> Series<'a> {
    fn of(of: &'a SideBySide) -> Option<Series<'a>> {
        let rows: Vec<_> = of.rows.iter().filter_map(|row| Some((row, row.place()?))).collect();
        (rows.len() > 1).then_some(Series { of, rows })
    }
}

fn words(shown: &[Series<'_>]) -> Words {
    let n_points: usize = shown.iter().map(|own| own.rows.len() - 1).sum();
    let front = |own: &Series<'_>| {
        let rows = own.rows.iter().filter(|(row, _)| row.is_on_front);
        let rows: Vec<String> = rows
            .map(|(row, (loss, speed))| {
                let (loss, speed) = (significant(*loss, 4), significant(*speed, 3));
                format!("{} {speed} × as fast and {loss} × dense", row.timed.row)
            })
            .collect();
        format!("{}: {}", own.of.model, rows.join(", "))
    };
    let fronts: Vec<String> = shown.iter().map(front).collect();
    Words {
        title: "Perplexity against decoded tokens per second".to_owned(),
        subtitle: format!("{} beside dense", count(n_points, "row")),
        description: format!(
            "Perplexity and decoded tokens per second as multiples of dense. Not beaten: {}.",
            fronts.join("; ")
        ),
    }
}

fn chart(sheet: &Sheet<'_>, shown: &[Series<'_>], pens: &[(Ink, Ink)], top: i32) -> Result<()> {
    let all = || shown.iter().flat_map(|own| own.rows.iter().map(|(_, place)| *place));
    let vertical = Scale::log_around(all().map(|(loss, _)| loss), 0.05, 8);
    let area = Area {
        left: MARGIN + vertical.label_width(&tick_label) + 14,
        top: top + LINE,
        right: WIDTH - 2 * MARGIN,
        bottom: top + LINE + HEIGHT,
    };
    let horizontal =
        Scale::even_around(all().map(|(_, speed)| speed), 0.05, 9).between(area.left, area.right);
    let vertical = vertical.between(area.bottom, area.top);
    write(sheet, "perplexity, × dense (log)", TEXT, HPos::Left, (MARGIN, top + 4))?;
    vertical.draw_left(sheet, area, &tick_label)?;
    horizontal.draw_below(sheet, area, &tick_label, "decoded tokens per second, × dense")?;
    for (index, (own, (line, ink))) in shown.iter().zip(pens).enumerate() {
        let at = |(loss, speed): (f64, f64)| (horizontal.at(speed), vertical.at(loss));
        let mut front: Vec<(f64, f64)> =
            own.rows.iter().filter(|(row, _)| row.is_on_front).map(|(_, place)| *place).collect();
        front.sort_by(|a, b| a.1.total_cmp(&b.1));
        if front.len() > 1 {
            path(sheet, front.into_iter().map(at).collect::<Vec<_>>(), *line, 2)?;
        }
        for (_, place) in &own.rows {
            mark(sheet, index, *ink, at(*place))?;
        }
    }
    Ok(())
}

fn numbers(shown: &[Series<'_>]) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("as it ran", Left),
        ("decode × dense", Right),
        ("perplexity × dense", Right),
        ("not beaten", Left),
    ]);
    for own in shown {
        for (row, (loss, speed)) in &own.rows {
            table.push([
                Field::text(&own.of.model),
                Field::text(&row.timed.row),
                Field::number(significant(*speed, 4)),
                Field::number(significant(*loss, 5)),
                Field::text(or_nothing(row.is_on_front.then_some("yes"))),
            ]);
        }
    }
    table
}

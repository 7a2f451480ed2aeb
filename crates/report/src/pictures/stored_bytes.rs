//! `stored-bytes`: what every recipe costs against the bytes that it leaves, a series a model; the points
//! that no other beats are joined.

use anyhow::Result;
use evidence::Subject;
use judgement::Summary;
use judgement::recipes::{RecipeRow, Recipes};
use plan::Protocol;
use plotters::style::text_anchor::HPos;

use super::axes::{AXIS, Area, Scale, tick_label};
use super::canvas::{self, Key, Words};
use super::inks::{Ink, Inks, TEXT, series_colour, series_dashes};
use super::marks::{mark, path};
use super::picture::Content;
use super::sheet::{LINE, MARGIN, Sheet, WIDTH, write};
use super::words::{sentences, share_label};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{count, or_nothing, percent, significant};
use crate::headings;

const HEIGHT: i32 = 360;

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let Some((dataset, protocol)) = text_of(&summary.recipes) else {
        let reason = "no cell changes weights and is compared with a dense one".to_owned();
        return Ok(Content::Nothing { reason });
    };
    let is_shown = |own: &&Recipes| own.dataset == dataset && own.protocol == protocol;
    let shown: Vec<Series<'_>> =
        summary.recipes.iter().filter(is_shown).filter_map(Series::of).collect();
    let words = words(&shown, dataset, protocol);
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
        .map(|(index, (own, (line, mark)))| Key::of(index, *mark, Some(*line), own.model))
        .collect();
    let svg = canvas::paint(id, HEIGHT + LINE + AXIS, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &shown, &pens, top)
    })?;
    let opening = [
        words.opening(),
        "Each point is one recipe. A line joins a model's recipes that no other beats: none costs less \
         with no more bytes. Bytes count the index of zeros, scales and zero points."
            .to_owned(),
    ];
    Ok(Content::Drawn {
        svg,
        alternative: words.title.clone(),
        caption: sentences(&opening),
        tables: shown.iter().map(|own| headings::of_recipes(own.subject)).collect(),
        numbers: numbers(&shown),
    })
}

/// The text on which most models have recipes; of equals the first.
fn text_of(all: &[Recipes]) -> Option<(&str, Protocol)> {
    let texts = all.iter().map(|own| (own.dataset.as_str(), own.protocol));
    let n_models = |text: &(&str, Protocol)| {
        let on_text = |own: &&Recipes| {
            (own.dataset.as_str(), own.protocol) == *text && Series::of(own).is_some()
        };
        all.iter().filter(on_text).count()
    };
    let texts: Vec<(&str, Protocol)> = texts.filter(|text| n_models(text) > 0).collect();
    texts.into_iter().rev().max_by_key(n_models)
}

/// The points of a model.
struct Series<'a> {
    subject: Subject<'a>,
    model: &'a str,
    dense_bytes: u64,
    rows: Vec<(&'a RecipeRow, f64)>,
}

impl<'a> Series<'a> {
    fn of(recipes: &'a Recipes) -> Option<Series<'a>> {
        let dense = recipes.rows.iter().find(|row| row.recipe == "dense")?;
        let rows: Vec<(&RecipeRow, f64)> =
            recipes.rows.iter().filter_map(|row| Some((row, row.times()?))).collect();
        (rows.len() > 1).then_some(Series {
            subject: recipes.subject(),
            model: &recipes.model,
            dense_bytes: dense.stored_bytes,
            rows,
        })
    }

    fn share(&self, row: &RecipeRow) -> f64 {
        row.stored_bytes as f64 / self.dense_bytes as f64
    }
}

fn words(shown: &[Series<'_>], dataset: &str, protocol: Protocol) -> Words {
    let n_points: usize = shown.iter().map(|own| own.rows.len() - 1).sum();
    let front = |own: &Series<'_>| {
        let rows = own.rows.iter().filter(|(row, _)| row.is_on_front);
        let rows: Vec<String> = rows
            .map(|(row, times)| {
                let (bytes, times) = (percent(own.share(row)), significant(*times, 4));
                format!("{} {bytes} of the bytes and {times} × dense", row.label)
            })
            .collect();
        format!("{}: {}", own.model, rows.join(", "))
    };
    let fronts: Vec<String> = shown.iter().map(front).collect();
    Words {
        title: "Perplexity against stored bytes".to_owned(),
        subtitle: format!("{dataset}, {protocol}; {}", count(n_points, "recipe")),
        description: format!(
            "Perplexity as a multiple of dense and share of the dense model's bytes. Not beaten: {}.",
            fronts.join("; ")
        ),
    }
}

fn chart(sheet: &Sheet<'_>, shown: &[Series<'_>], pens: &[(Ink, Ink)], top: i32) -> Result<()> {
    let all = || shown.iter().flat_map(|own| own.rows.iter().map(move |row| (own, row)));
    let vertical = Scale::log_around(all().map(|(_, (_, times))| *times), 0.05, 8);
    let area = Area {
        left: MARGIN + vertical.label_width(&tick_label) + 14,
        top: top + LINE,
        right: WIDTH - 2 * MARGIN,
        bottom: top + LINE + HEIGHT,
    };
    let horizontal = Scale::even_around(all().map(|(own, (row, _))| own.share(row)), 0.05, 9)
        .between(area.left, area.right);
    let vertical = vertical.between(area.bottom, area.top);
    write(sheet, "perplexity, × dense (log)", TEXT, HPos::Left, (MARGIN, top + 4))?;
    vertical.draw_left(sheet, area, &tick_label)?;
    horizontal.draw_below(sheet, area, &share_label, "stored bytes, share of the dense model's")?;
    for (index, (own, (line, ink))) in shown.iter().zip(pens).enumerate() {
        let at = |row: &RecipeRow, times: f64| (horizontal.at(own.share(row)), vertical.at(times));
        let mut front: Vec<&(&RecipeRow, f64)> =
            own.rows.iter().filter(|(row, _)| row.is_on_front).collect();
        front.sort_by_key(|(row, _)| row.stored_bytes);
        if front.len() > 1 {
            let points: Vec<(i32, i32)> =
                front.iter().map(|(row, times)| at(row, *times)).collect();
            path(sheet, points, *line, 2)?;
        }
        for (row, times) in &own.rows {
            mark(sheet, index, *ink, at(row, *times))?;
        }
    }
    Ok(())
}

fn numbers(shown: &[Series<'_>]) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("recipe", Left),
        ("× dense", Right),
        ("bytes", Right),
        ("share of dense", Right),
        ("not beaten", Left),
        ("cell", Left),
    ]);
    for own in shown {
        for (row, times) in &own.rows {
            table.push([
                Field::text(own.model),
                Field::text(&row.label),
                Field::number(significant(*times, 5)),
                Field::number(row.stored_bytes.to_string()),
                Field::number(percent(own.share(row))),
                Field::text(or_nothing(row.is_on_front.then_some("yes"))),
                Field::cell(&row.cell_id),
            ]);
        }
    }
    table
}

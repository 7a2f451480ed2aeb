//! `overlap`: what the kept sets of two tokens share, by the distance between them; a panel a sparsity, a
//! line a model, and what two sets drawn by chance share.

use std::collections::BTreeSet;

use anyhow::Result;
use plan::{Score, shortest_decimal};

use super::axes::{Area, Scale, panels, panels_height, tick_label};
use super::canvas::{self, Key, Words, head};
use super::inks::{Ink, Inks, REFERENCE, series_colour, series_dashes};
use super::marks::{mark, path, upright_whisker};
use super::picture::Content;
use super::sheet::{Sheet, WIDTH};
use super::words::{sentences, share_label};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{or_nothing, percent};
use judgement::Summary;
use judgement::atlas::{BOOTSTRAP, Lag, Overlap};
use judgement::contrast::SCORE;

/// Pixels above a panel for its name, of its plot and below it for its axis.
const PANEL: (i32, i32, i32) = (30, 250, 56);
const COLUMNS: usize = 2;

/// What is drawn: one score on one text.
struct OneScore<'a> {
    dataset: &'a str,
    score: Score,
    /// Ascending.
    sparsities: Vec<f64>,
    models: Vec<&'a str>,
    overlaps: Vec<&'a Overlap>,
    /// Texts and scores that are not drawn.
    others: Vec<String>,
}

/// How a model's line is drawn.
struct ModelPen {
    line: Ink,
    mark: Ink,
}

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let Some(choice) = choose(&summary.atlas.overlaps) else {
        let reason = "no overlaps of kept sets were observed".to_owned();
        return Ok(Content::Nothing { reason });
    };
    let words = words(&choice);
    let mut inks = Inks::new();
    let pens: Vec<ModelPen> = (0..choice.models.len())
        .map(|model| {
            let colour = series_colour(model);
            let line = inks.add(&format!("line m{model}"), colour, series_dashes(model));
            ModelPen { line, mark: inks.add(&format!("mark m{model}"), colour, None) }
        })
        .collect();
    let chance = inks.add("chance", series_colour(7), REFERENCE);
    let keys = choice.models.iter().zip(&pens).enumerate();
    let mut legend: Vec<Key> = keys
        .map(|(series, (model, pen))| Key::of(series, pen.mark, Some(pen.line), model))
        .collect();
    legend.push(Key::line(chance, "by chance"));
    let body = panels_height(choice.sparsities.len(), COLUMNS, PANEL);
    let svg = canvas::paint(id, body, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &choice, &pens, (chance, top))
    })?;
    let mut caption = vec![
        words.opening(),
        format!(
            "Points are means over sites; whiskers are 95 % intervals (percentile bootstrap over sites, {} \
             resamples). The dashed line is what two sets of that size share by chance.",
            BOOTSTRAP.resamples
        ),
    ];
    if !choice.others.is_empty() {
        caption.push(format!("Not shown: {}.", choice.others.join(", ")));
    }
    Ok(Content::Drawn {
        svg,
        alternative: format!("{} on {}", words.title, choice.dataset),
        caption: sentences(&caption),
        // The tables of the atlas have no headings of their own.
        tables: Vec::new(),
        numbers: numbers(&choice),
    })
}

/// The text with the most models, of equals the first; sets by size where there are any.
fn choose(overlaps: &[Overlap]) -> Option<OneScore<'_>> {
    let score = match overlaps.iter().any(|own| own.score == SCORE) {
        true => SCORE,
        false => overlaps.first()?.score,
    };
    let of_score = || overlaps.iter().filter(|own| own.score == score);
    let models_on = |dataset: &str| -> BTreeSet<&str> {
        let on_text = of_score().filter(|own| own.dataset == dataset);
        on_text.map(|own| own.model.as_str()).collect()
    };
    let texts: BTreeSet<&str> = of_score().map(|own| own.dataset.as_str()).collect();
    let dataset = texts.into_iter().rev().max_by_key(|text| models_on(text).len())?;
    let chosen: Vec<&Overlap> = of_score().filter(|own| own.dataset == dataset).collect();
    let mut sparsities: Vec<f64> = chosen.iter().map(|own| own.sparsity).collect();
    sparsities.sort_by(f64::total_cmp);
    sparsities.dedup();
    let others = overlaps.iter().filter(|own| own.dataset != dataset || own.score != score);
    let others: BTreeSet<String> =
        others.map(|own| format!("{} by {}", own.dataset, own.score)).collect();
    Some(OneScore {
        dataset,
        score,
        sparsities,
        models: models_on(dataset).into_iter().collect(),
        overlaps: chosen,
        others: others.into_iter().collect(),
    })
}

fn words(choice: &OneScore<'_>) -> Words {
    let values = choice.overlaps.iter().map(|overlap| {
        let lags = overlap.lags.iter();
        let lags = lags.map(|lag| format!("{} {}", lag.lag_tokens, percent(lag.overlap.value)));
        let lags: Vec<String> = lags.collect();
        format!(
            "{} at κ={}: {}",
            overlap.model,
            shortest_decimal(overlap.sparsity),
            lags.join(", ")
        )
    });
    let values: Vec<String> = values.collect();
    let sites = choice.overlaps.iter().flat_map(|overlap| &overlap.lags);
    let sites: Vec<u64> = sites.map(|lag| lag.overlap.n_sites as u64).collect();
    let sites = super::choose::span(&sites, "site");
    Words {
        title: "How fast kept sets change".to_owned(),
        subtitle: format!(
            "{}, {}: share of a token's kept neurons that a later token keeps too; mean over {sites}",
            choice.dataset, choice.score
        ),
        description: format!(
            "Share of kept neurons that two tokens have in common by lag in tokens on {}. {}.",
            choice.dataset,
            values.join("; ")
        ),
    }
}

fn chart(
    sheet: &Sheet<'_>,
    choice: &OneScore<'_>,
    pens: &[ModelPen],
    (chance, top): (Ink, i32),
) -> Result<()> {
    let lags: BTreeSet<u32> =
        choice.overlaps.iter().flat_map(|own| &own.lags).map(|lag| lag.lag_tokens).collect();
    let longest = lags.last().copied().unwrap_or(1);
    let ticks = lags.iter().map(|&lag| f64::from(lag)).collect();
    let horizontal = Scale::log(0.8, f64::from(longest) * 1.25, ticks);
    let vertical = Scale::even(0.0, 1.0, 6);
    let left = vertical.label_width(&share_label) + 14;
    let areas = panels(choice.sparsities.len(), COLUMNS, top, PANEL, left, WIDTH);
    for (&sparsity, area) in choice.sparsities.iter().zip(areas) {
        let vertical = vertical.between(area.bottom, area.top);
        let horizontal = horizontal.between(area.left, area.right);
        let name = format!("κ={}", shortest_decimal(sparsity));
        head(sheet, &name, "shared neurons", area)?;
        vertical.draw_left(sheet, area, &share_label)?;
        horizontal.draw_below(sheet, area, &tick_label, "lag (tokens, log scale)")?;
        draw_panel(sheet, choice, sparsity, pens, (chance, area, &horizontal, &vertical))?;
    }
    Ok(())
}

fn draw_panel(
    sheet: &Sheet<'_>,
    choice: &OneScore<'_>,
    sparsity: f64,
    pens: &[ModelPen],
    (chance, area, horizontal, vertical): (Ink, Area, &Scale, &Scale),
) -> Result<()> {
    let own = choice.overlaps.iter().filter(|own| own.sparsity.total_cmp(&sparsity).is_eq());
    // Kept sets of one sparsity share the same by chance but for rounding: one line a share.
    let by_chance: BTreeSet<i32> =
        own.clone().flat_map(|own| &own.lags).map(|lag| vertical.at(lag.by_chance)).collect();
    for y in by_chance {
        path(sheet, [(area.left, y), (area.right, y)], chance, 2)?;
    }
    for overlap in own {
        let Some(series) = choice.models.iter().position(|model| *model == overlap.model) else {
            continue;
        };
        let pen = &pens[series];
        let at =
            |lag: &Lag| (horizontal.at(f64::from(lag.lag_tokens)), vertical.at(lag.overlap.value));
        if overlap.lags.len() > 1 {
            path(sheet, overlap.lags.iter().map(at).collect::<Vec<_>>(), pen.line, 2)?;
        }
        for lag in &overlap.lags {
            let (x, y) = at(lag);
            if let Some((lower, upper)) = lag.overlap.lower.zip(lag.overlap.upper) {
                upright_whisker(sheet, pen.mark, x, (vertical.at(lower), vertical.at(upper)))?;
            }
            mark(sheet, series, pen.mark, (x, y))?;
        }
    }
    Ok(())
}

fn numbers(choice: &OneScore<'_>) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("κ", Right),
        ("lag, tokens", Right),
        ("shared", Right),
        ("lower", Right),
        ("upper", Right),
        ("by chance", Right),
        ("sites", Right),
        ("cell", Left),
    ]);
    for overlap in &choice.overlaps {
        for lag in &overlap.lags {
            table.push([
                Field::text(&overlap.model),
                Field::Number(shortest_decimal(overlap.sparsity)),
                Field::Number(lag.lag_tokens.to_string()),
                Field::Number(percent(lag.overlap.value)),
                Field::Number(or_nothing(lag.overlap.lower.map(percent))),
                Field::Number(or_nothing(lag.overlap.upper.map(percent))),
                Field::Number(percent(lag.by_chance)),
                Field::Number(lag.overlap.n_sites.to_string()),
                Field::cell(&overlap.cell_id),
            ]);
        }
    }
    table
}

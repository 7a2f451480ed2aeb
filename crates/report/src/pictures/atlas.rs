//! `atlas`: mean Spearman correlation of every two scores, one panel for each part of each model.

use std::collections::BTreeMap;

use anyhow::Result;
use plan::Part;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Words};
use super::choose::span;
use super::inks::{FAINT, GRID, Ink, Inks, TEXT, shade};
use super::marks::{fill, frame};
use super::picture::Content;
use super::sheet::{MARGIN, Sheet, text_width, write};
use super::words::sentences;
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{correlation, or_nothing};
use crate::headings;
use judgement::Summary;
use judgement::atlas::{BOOTSTRAP, Entry, Measure};

/// Pixels of a field.
const FIELD: (i32, i32) = (66, 26);
/// Pixels above a panel's fields: its name and the numbers of its columns.
const PANEL_HEADER: i32 = 52;
/// Pixels below a panel.
const GAP: i32 = 24;

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let panels = panels(&summary.atlas.entries);
    if panels.is_empty() {
        let reason = "no two scores of a text were observed together".to_owned();
        return Ok(Content::Nothing { reason });
    }
    let words = words(&panels);
    let height: i32 = panels.iter().map(|entry| panel_height(entry)).sum();
    let mut inks = Inks::new();
    let mut shades: BTreeMap<String, Ink> = BTreeMap::new();
    for value in panels.iter().flat_map(|entry| squares(entry)).filter_map(|square| square.value) {
        let (class, colour) = shade(value);
        shades.entry(class.clone()).or_insert_with(|| inks.add(&class, colour, None));
    }
    let svg = canvas::paint(id, height, &inks, &words, &[], |sheet, mut top| {
        for entry in &panels {
            panel(sheet, entry, top, &shades)?;
            top += panel_height(entry);
        }
        Ok(())
    })?;
    let mut caption = vec![
        words.opening(),
        "A darker field is a stronger correlation of either sign; an empty one has none, because a \
         score is constant or was not observed."
            .to_owned(),
        format!(
            "The table of its numbers has 95 % intervals (percentile bootstrap over sites, {} \
             resamples).",
            BOOTSTRAP.resamples
        ),
    ];
    let is_shown = |entry: &&Entry| panels.iter().any(|shown| std::ptr::eq(*shown, *entry));
    let others = summary.atlas.entries.iter().filter(|entry| !is_shown(entry));
    let others: Vec<String> = others.map(headings::of_entry).collect();
    if !others.is_empty() {
        caption.push(format!("Not shown: {}.", others.join(", ")));
    }
    let tables = panels.iter().map(|entry| headings::of_entry(entry)).collect();
    Ok(Content::Drawn {
        svg,
        alternative: words.title.clone(),
        caption: sentences(&caption),
        tables,
        numbers: numbers(&panels),
    })
}

/// Of each part of each model the text with the most scores; of equals the first.
fn panels(entries: &[Entry]) -> Vec<&Entry> {
    let mut panels: BTreeMap<(&str, Part), &Entry> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.correlations.is_empty()) {
        let panel = panels.entry((entry.model.as_str(), entry.part)).or_insert(entry);
        if entry.scores.len() > panel.scores.len() {
            *panel = entry;
        }
    }
    panels.into_values().collect()
}

fn panel_height(entry: &Entry) -> i32 {
    let n_scores = i32::try_from(entry.scores.len()).unwrap_or(0);
    PANEL_HEADER + n_scores * FIELD.1 + GAP
}

/// One square of a panel.
struct Square {
    row: i32,
    column: i32,
    value: Option<f64>,
}

fn squares(entry: &Entry) -> Vec<Square> {
    let scores = || (0..).zip(entry.scores.iter().copied());
    let at = |(row, first), (column, second)| {
        let similarity = entry.correlation(first, second, Measure::Spearman);
        let mean = similarity.and_then(|similarity| similarity.mean).map(|mean| mean.value);
        Square { row, column, value: mean }
    };
    scores().flat_map(|row| scores().map(move |column| at(row, column))).collect()
}

fn panel(sheet: &Sheet<'_>, entry: &Entry, top: i32, shades: &BTreeMap<String, Ink>) -> Result<()> {
    let scores: Vec<&str> = entry.scores.iter().map(|score| score.as_str()).collect();
    let longest = scores.iter().map(|score| text_width(score)).max().unwrap_or(0);
    let left = MARGIN + longest + 34;
    let first_row = top + PANEL_HEADER;
    write(sheet, &headings::of_entry(entry), TEXT, HPos::Left, (MARGIN, top + 12))?;
    for (index, score) in (0..).zip(&scores) {
        let number = format!("{}", index + 1);
        let across = left + index * FIELD.0 + FIELD.0 / 2;
        let down = first_row + index * FIELD.1 + FIELD.1 / 2;
        write(sheet, &number, FAINT, HPos::Center, (across, first_row - 12))?;
        write(sheet, &format!("{number} {score}"), TEXT, HPos::Left, (MARGIN, down))?;
    }
    for Square { row, column, value } in squares(entry) {
        let (x, y) = (left + column * FIELD.0, first_row + row * FIELD.1);
        let corners = [(x, y), (x + FIELD.0, y + FIELD.1)];
        if let Some(value) = value {
            if let Some(ink) = shades.get(&shade(value).0) {
                fill(sheet, corners, *ink)?;
            }
            let centre = (x + FIELD.0 / 2, y + FIELD.1 / 2);
            write(sheet, &correlation(value, 2), TEXT, HPos::Center, centre)?;
        }
        if row == column {
            write(sheet, "1", FAINT, HPos::Center, (x + FIELD.0 / 2, y + FIELD.1 / 2))?;
        }
        frame(sheet, corners, GRID)?;
    }
    Ok(())
}

fn words(panels: &[&Entry]) -> Words {
    let of_panel = |entry: &&Entry| {
        let pairs = entry.correlations.iter().filter(|own| own.measure == Measure::Spearman);
        let pairs = pairs.filter_map(|own| {
            let mean = correlation(own.mean?.value, 2);
            Some(format!("{} and {} {mean}", own.first.as_str(), own.second.as_str()))
        });
        let pairs: Vec<String> = pairs.collect();
        format!("{}: {}", headings::of_entry(entry), pairs.join(", "))
    };
    let described: Vec<String> = panels.iter().map(of_panel).collect();
    let sites: Vec<u64> = panels.iter().map(|entry| entry.n_sites as u64).collect();
    Words {
        title: "How well one score predicts another".to_owned(),
        subtitle: format!(
            "Spearman correlation of every two scores per site, mean over {}",
            span(&sites, "site")
        ),
        description: format!(
            "Mean Spearman correlation over sites of every two scores. {}.",
            described.join("; ")
        ),
    }
}

/// Every pair once.
fn numbers(panels: &[&Entry]) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("text", Left),
        ("part", Left),
        ("first", Left),
        ("second", Left),
        ("Spearman", Right),
        ("lower", Right),
        ("upper", Right),
        ("sites", Right),
        ("cells", Left),
    ]);
    let number = |value: f64| correlation(value, 4);
    for entry in panels {
        for own in entry.correlations.iter().filter(|own| own.measure == Measure::Spearman) {
            let Some(mean) = own.mean else { continue };
            table.push([
                Field::text(&entry.model),
                Field::text(&entry.dataset),
                Field::Text(entry.part.to_string()),
                Field::text(own.first.as_str()),
                Field::text(own.second.as_str()),
                Field::Number(number(mean.value)),
                Field::Number(or_nothing(mean.lower.map(number))),
                Field::Number(or_nothing(mean.upper.map(number))),
                Field::Number(mean.n_sites.to_string()),
                Field::Cells(entry.cell_ids.clone()),
            ]);
        }
    }
    table
}

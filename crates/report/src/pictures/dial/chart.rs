//! Drawing the dial.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::panel::{Choosing, Panel, REFERENCES, RuleLine};
use crate::format::rule_name;
use crate::pictures::axes::{Area, Scale, panels, panels_height, tick_label};
use crate::pictures::canvas::{Key, head};
use crate::pictures::choose::Choice;
use crate::pictures::inks::{Ink, Inks, REFERENCE, series_colour, series_dashes};
use crate::pictures::marks::{hatch, mark, path, upright_whisker};
use crate::pictures::ratios::ratio;
use crate::pictures::sheet::{LINE, Sheet, WIDTH};
use crate::pictures::strips;
use evidence::absent::Why;

/// Pixels above a panel for its name, of its plot and below it for its axis.
const PANEL: (i32, i32, i32) = (30, 210, 56);
const COLUMNS: usize = 2;
/// Pixels of a hatched column on either side of its window.
const HALF: i32 = 6;

/// Pixels that the panels of `n` models take.
pub(super) fn height(n: usize) -> i32 {
    panels_height(n, COLUMNS, PANEL)
}

/// How each line and each reference is drawn.
pub(super) struct DialPens {
    lines: BTreeMap<Choosing, RulePen>,
    references: [Ink; 2],
    dense: Ink,
}

/// The number of a line's mark, and its inks.
struct RulePen {
    series: usize,
    line: Ink,
    mark: Ink,
}

impl DialPens {
    pub(super) fn new(inks: &mut Inks, rules: &BTreeSet<Choosing>) -> DialPens {
        let pen = |(series, rule): (usize, &Choosing)| {
            let colour = series_colour(series);
            let line = inks.add(&format!("line r{series}"), colour, series_dashes(series));
            let mark = inks.add(&format!("mark r{series}"), colour, None);
            (*rule, RulePen { series, line, mark })
        };
        let lines = rules.iter().enumerate().map(pen).collect();
        let references = [(6, Some("10 3 2 3")), (3, Some("2 4"))];
        let mut number = 0;
        let references = references.map(|(colour, dashes)| {
            number += 1;
            inks.add(&format!("reference f{number}"), series_colour(colour), dashes)
        });
        DialPens { lines, references, dense: inks.add("dense", series_colour(7), REFERENCE) }
    }
}

pub(super) fn legend(choice: &Choice<'_, Panel<'_>>, pens: &DialPens, whys: &[Why]) -> Vec<Key> {
    let lines = pens.lines.iter().map(|((rule, prompt_tokens), pen)| {
        Key::of(pen.series, pen.mark, Some(pen.line), &rule_name(*rule, *prompt_tokens))
    });
    let mut legend: Vec<Key> = lines.collect();
    for (index, (name, _)) in REFERENCES.iter().enumerate() {
        let mut panels = choice.shown.iter().map(|(_, panel)| panel);
        if panels.any(|panel| panel.references[index].row().is_some()) {
            legend.push(Key::line(pens.references[index], name));
        }
    }
    legend.push(Key::line(pens.dense, "dense = 1"));
    legend.extend(whys.iter().map(|&why| Key::hatch(why)));
    legend
}

pub(super) fn chart(
    sheet: &Sheet<'_>,
    choice: &Choice<'_, Panel<'_>>,
    pens: &DialPens,
    top: i32,
) -> Result<()> {
    let panels_of = || choice.shown.iter().map(|(_, panel)| panel);
    let ratios = panels_of().flat_map(Panel::rows).filter_map(ratio);
    let numbers = ratios
        .flat_map(|ratio| [Some(ratio.ratio), ratio.lower, ratio.upper].into_iter().flatten());
    let vertical = Scale::log_around(numbers.chain([1.0]), 0.05, 7);
    let windows: BTreeSet<usize> = panels_of()
        .flat_map(|panel| panel.lines.values().flat_map(BTreeMap::keys))
        .copied()
        .collect();
    let longest = windows.last().copied().unwrap_or(1) as f64;
    let ticks = windows.iter().map(|&window| window as f64).collect();
    let horizontal = Scale::log(0.8, longest * 1.25, ticks);
    let left = vertical.label_width(&tick_label) + 14;
    let areas = panels(choice.shown.len(), COLUMNS, top, PANEL, left, WIDTH);
    for ((model, panel), area) in choice.shown.iter().zip(areas) {
        let vertical = vertical.between(area.bottom, area.top);
        let horizontal = horizontal.between(area.left, area.right);
        head(sheet, model, "perplexity × dense", area)?;
        vertical.draw_left(sheet, area, &tick_label)?;
        horizontal.draw_below(sheet, area, &tick_label, "commitment window W (tokens)")?;
        draw_panel(sheet, panel, pens, area, (&horizontal, &vertical))?;
    }
    Ok(())
}

fn draw_panel(
    sheet: &Sheet<'_>,
    panel: &Panel<'_>,
    pens: &DialPens,
    area: Area,
    (horizontal, vertical): (&Scale, &Scale),
) -> Result<()> {
    let across = |value: f64| [(area.left, vertical.at(value)), (area.right, vertical.at(value))];
    path(sheet, across(1.0), pens.dense, 2)?;
    for (place, ink) in panel.references.iter().zip(pens.references) {
        if let Some(ratio) = place.row().and_then(ratio) {
            path(sheet, across(ratio.ratio), ink, 2)?;
        }
    }
    for (window, why) in absent_windows(panel) {
        let x = horizontal.at(window as f64);
        hatch(sheet, why, (x - HALF, area.top), (x + HALF, area.bottom))?;
    }
    for (choosing, line) in &panel.lines {
        let Some(pen) = pens.lines.get(choosing) else { continue };
        draw_line(sheet, line, pen, (horizontal, vertical))?;
    }
    let references = REFERENCES.iter().zip(&panel.references);
    let absent = references.filter_map(|((name, _), place)| Some((*name, place.why()?)));
    for (index, (name, why)) in (0..).zip(absent) {
        strips::hatched(sheet, (area.left + 12, area.top + 14 + LINE * index), name, why)?;
    }
    Ok(())
}

/// A rule's line, broken where a cell is absent, with its whiskers and marks.
fn draw_line(
    sheet: &Sheet<'_>,
    line: &RuleLine<'_>,
    pen: &RulePen,
    (horizontal, vertical): (&Scale, &Scale),
) -> Result<()> {
    let places: Vec<_> = line.iter().map(|(&window, place)| (window, place.row())).collect();
    for unbroken in places.split(|(_, row)| row.is_none()) {
        let measured = unbroken.iter().filter_map(|(window, row)| {
            let ratio = ratio((*row)?)?;
            Some((ratio, (horizontal.at(*window as f64), vertical.at(ratio.ratio))))
        });
        let measured: Vec<_> = measured.collect();
        if measured.len() > 1 {
            let points: Vec<(i32, i32)> = measured.iter().map(|(_, point)| *point).collect();
            path(sheet, points, pen.line, 2)?;
        }
        for (ratio, point) in measured {
            if let Some((lower, upper)) = ratio.lower.zip(ratio.upper) {
                let ends = (vertical.at(lower), vertical.at(upper));
                upright_whisker(sheet, pen.mark, point.0, ends)?;
            }
            mark(sheet, pen.series, pen.mark, point)?;
        }
    }
    Ok(())
}

/// Windows at which a rule's cell is absent: a failed one goes before a missing one.
fn absent_windows(panel: &Panel<'_>) -> BTreeMap<usize, Why> {
    let mut windows = BTreeMap::new();
    for (&window, place) in panel.lines.values().flatten() {
        if let Some(why) = place.why() {
            windows
                .entry(window)
                .and_modify(|known: &mut Why| *known = why.min(*known))
                .or_insert(why);
        }
    }
    windows
}

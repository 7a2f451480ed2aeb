//! Drawing part × method: a panel a quadrant, the parts below each other.

use std::collections::BTreeSet;

use anyhow::Result;
use plan::{Part, Policy};
use plotters::style::text_anchor::HPos;

use super::squares::{Best, SIDES, Squares, bests};
use crate::format::significant;
use crate::pictures::axes::{AXIS, Area, Scale, tick_label};
use crate::pictures::choose::Choice;
use crate::pictures::inks::{Ink, TEXT};
use crate::pictures::marks::path;
use crate::pictures::sheet::{LINE, MARGIN, Sheet, WIDTH, fitting, text_width, write};
use crate::pictures::strips::{self, Dot, Slot, row_height};
use crate::units::units;
use judgement::quadrants::Quadrant;

/// Pixels of a model.
const ROW: i32 = row_height(3);
/// Pixels of the longest name of a row that is not cut.
const LONGEST: i32 = 130;
/// Pixels for the name of a panel.
const NAME: i32 = 30;
/// Pixels for the numbers of dots at the ends of an axis.
const BESIDE: i32 = 46;

/// One row of a panel: a model in one quadrant.
type RowOf<'a, 'b> = (String, &'b [Option<Best<'a>>; 3]);

/// The panels of one part side by side.
pub(super) struct Band<'a, 'b> {
    /// Name and rows.
    panels: Vec<(String, Vec<RowOf<'a, 'b>>)>,
}

impl Band<'_, '_> {
    pub(super) fn height(&self) -> i32 {
        NAME + self.rows() * ROW + AXIS + 8
    }

    fn rows(&self) -> i32 {
        let most = self.panels.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
        i32::try_from(most).unwrap_or(0)
    }
}

/// The parts that have a row, each with its two panels.
pub(super) fn bands<'a, 'b>(choice: &'b Choice<'a, Squares<'a>>) -> Vec<Band<'a, 'b>> {
    let quadrants: BTreeSet<Quadrant> =
        choice.shown.iter().flat_map(|(_, squares)| squares.keys().copied()).collect();
    let panel = |part: Part, policy: Policy| {
        let is_own = |quadrant: &&Quadrant| (quadrant.part, quadrant.policy) == (part, policy);
        let own: Vec<&Quadrant> = quadrants.iter().filter(is_own).collect();
        let rows = choice.shown.iter().flat_map(|(model, squares)| {
            let rows = own.iter().filter_map(|quadrant| Some((*quadrant, squares.get(quadrant)?)));
            rows.map(move |(quadrant, places)| {
                let mode = quadrant.mode.map(|mode| format!(" ({mode})")).unwrap_or_default();
                (format!("{model}{mode}"), places)
            })
        });
        let rows: Vec<RowOf<'_, '_>> = rows.collect();
        (format!("{}, {policy}", units(part)), rows)
    };
    let parts = Part::ALL.iter().map(|&part| {
        let panels = [Policy::Static, Policy::Dynamic].map(|policy| panel(part, policy));
        Band { panels: panels.into_iter().collect() }
    });
    parts.filter(|band| band.rows() > 0).collect()
}

/// One scale for all panels.
fn scale(choice: &Choice<'_, Squares<'_>>) -> Scale {
    let values = bests(choice).filter_map(Best::value);
    let numbers = values
        .flat_map(|value| [Some(value.value), value.lower, value.upper].into_iter().flatten());
    Scale::log_around(numbers.chain([1.0]), 0.1, 5)
}

/// What a panel is drawn with.
pub(super) struct QuadrantPens {
    pub(super) sides: [(usize, Ink); 3],
    pub(super) dense: Ink,
}

/// Draws the bands from `top` down.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn chart(
    sheet: &Sheet<'_>,
    choice: &Choice<'_, Squares<'_>>,
    bands: &[Band<'_, '_>],
    pens: &QuadrantPens,
    mut top: i32,
) -> Result<()> {
    let scale = scale(choice);
    let panels = bands.iter().flat_map(|band| &band.panels);
    let names = panels.flat_map(|(_, rows)| rows.iter().map(|(name, _)| text_width(name)));
    let names = names.max().unwrap_or(0).min(LONGEST);
    for band in bands {
        draw_band(sheet, band, (&scale, names), pens, top)?;
        top += band.height();
    }
    Ok(())
}

fn draw_band(
    sheet: &Sheet<'_>,
    band: &Band<'_, '_>,
    (scale, names): (&Scale, i32),
    pens: &QuadrantPens,
    top: i32,
) -> Result<()> {
    let across = (WIDTH - 2 * MARGIN) / 2;
    for (column, (name, rows)) in (0..).zip(&band.panels) {
        let start = MARGIN + column * across;
        let right = start + across - BESIDE;
        let rows_top = top + NAME;
        let bottom = rows_top + band.rows() * ROW;
        let area = Area { left: start + names + 12, top: rows_top, right, bottom };
        write(sheet, name, TEXT, HPos::Left, (start, top + LINE / 2))?;
        let scale = scale.between(area.left + BESIDE, area.right);
        scale.draw_below(sheet, area, &tick_label, "× dense (log scale)")?;
        path(sheet, [(scale.at(1.0), area.top), (scale.at(1.0), area.bottom)], pens.dense, 2)?;
        for (index, (name, places)) in (0..).zip(rows) {
            draw_row(sheet, name, places, &scale, pens, (area, area.top + index * ROW + ROW / 2))?;
        }
    }
    Ok(())
}

fn draw_row(
    sheet: &Sheet<'_>,
    name: &str,
    places: &[Option<Best<'_>>; 3],
    scale: &Scale,
    pens: &QuadrantPens,
    (area, y): (Area, i32),
) -> Result<()> {
    write(sheet, &fitting(name, LONGEST), TEXT, HPos::Right, (area.left - 8, y))?;
    let slots = SIDES.into_iter().zip(places).zip(pens.sides);
    let slots = slots.map(|((side, place), (series, ink))| match place {
        Some(Best::Line(_, value)) => {
            let limits = value.lower.zip(value.upper);
            let number = significant(value.value, 3);
            Slot::Dot(Dot { series, ink, value: value.value, limits, number })
        }
        Some(Best::Absent(absent)) => Slot::Hatched(side.to_owned(), absent.why),
        None => Slot::Empty,
    });
    strips::row(sheet, (scale, area), y, &slots.collect::<Vec<_>>(), None)
}

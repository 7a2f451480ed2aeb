//! Rows of dots on one horizontal axis: each dot has a line of its own with its interval and its number,
//! and so has what failed or is missing.

use anyhow::Result;
use plotters::style::text_anchor::HPos;

use super::axes::{Area, Scale};
use super::inks::{Ink, PAPER, TEXT};
use super::marks::{fill, hatch, mark, path, whisker};
use super::sheet::{Sheet, WIDTH, text_width, write, write_clear};
use evidence::absent::Why;

/// Pixels of one dot, and of the gap between two rows.
const DOT: i32 = 17;
const GAP: i32 = 18;
/// One value of a row.
pub(super) struct Dot {
    /// Which mark.
    pub(super) series: usize,
    pub(super) ink: Ink,
    pub(super) value: f64,
    pub(super) limits: Option<(f64, f64)>,
    /// The number beside it.
    pub(super) number: String,
}

/// Pixels of the longest name of a row that is not cut.
pub(super) const LONGEST: i32 = 250;
/// Pixels for the numbers of dots at the ends of an axis.
pub(super) const BESIDE: i32 = 66;

/// Pixels of a row of `n` dots.
pub(super) const fn row_height(n: i32) -> i32 {
    n * DOT + GAP
}

/// One line of a row.
pub(super) enum Slot {
    Dot(Dot),
    /// What failed or is missing, by name.
    Hatched(String, Why),
    Empty,
}

/// Draws a row about the height `y`, its slots one below the other; dots are joined by a line where there
/// is an ink for it. Each number stands at the outer side of its dot, within `area`.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn row(
    sheet: &Sheet<'_>,
    (scale, area): (&Scale, Area),
    y: i32,
    slots: &[Slot],
    between: Option<Ink>,
) -> Result<()> {
    let n = i32::try_from(slots.len())?;
    let mut dots = Vec::new();
    for (index, slot) in (0..n).zip(slots) {
        let y = y + DOT * index - DOT * (n - 1) / 2;
        match slot {
            Slot::Dot(dot) => dots.push((dot, (scale.at(dot.value), y))),
            Slot::Hatched(name, why) => hatched(sheet, (area.left + 8, y), name, *why)?,
            Slot::Empty => {}
        }
    }
    let places: Vec<(i32, i32)> = dots.iter().map(|(_, place)| *place).collect();
    if let Some(between) = between.filter(|_| places.len() > 1) {
        path(sheet, places.clone(), between, 1)?;
    }
    let middle = places.iter().map(|(x, _)| x).sum::<i32>() / i32::try_from(places.len().max(1))?;
    dots.into_iter().try_for_each(|(dot, place)| draw_dot(sheet, scale, area, dot, (place, middle)))
}

/// A dot with its interval, and its number on the side away from `middle`.
fn draw_dot(
    sheet: &Sheet<'_>,
    scale: &Scale,
    area: Area,
    dot: &Dot,
    ((x, y), middle): ((i32, i32), i32),
) -> Result<()> {
    let ends = dot.limits.map(|(lower, upper)| (scale.at(lower), scale.at(upper)));
    if let Some(ends) = ends {
        whisker(sheet, dot.ink, ends, y)?;
    }
    mark(sheet, dot.series, dot.ink, (x, y))?;
    let (first, last) = ends.unwrap_or((x, x));
    let half = text_width(&dot.number) / 2;
    let left = first.min(x - 7) - half - 6;
    let right = last.max(x + 7) + half + 6;
    let is_left = x < middle && left - half > area.left || right + half > WIDTH;
    write_clear(sheet, &dot.number, TEXT, (if is_left { left } else { right }, y))
}

/// A hatched place from `x` on with its name on clear ground: `static failed`.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn hatched(sheet: &Sheet<'_>, (x, y): (i32, i32), name: &str, why: Why) -> Result<()> {
    let text = format!("{name} {}", why.as_str());
    let right = x + 38 + text_width(&text);
    fill(sheet, [(x - 4, y - 8), (right, y + 8)], PAPER)?;
    hatch(sheet, why, (x, y - 6), (x + 28, y + 6))?;
    write(sheet, &text, TEXT, HPos::Left, (x + 34, y))
}

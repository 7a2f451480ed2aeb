//! What stands in a picture: lines, bars, whiskers, marks that are told apart without colour, and the
//! hatches of cells that failed or are missing.

use anyhow::Result;
use plotters::prelude::{Color, PathElement, Polygon, Rectangle};

use super::inks::{FAILED, Ink, MISSING};
use super::sheet::Sheet;
use evidence::absent::Why;

/// Draws a line from point to point.
pub(crate) fn path(
    sheet: &Sheet<'_>,
    points: impl Into<Vec<(i32, i32)>>,
    ink: Ink,
    width: u32,
) -> Result<()> {
    Ok(sheet.draw(&PathElement::new(points.into(), ink.stroke(width)))?)
}

/// Draws a filled rectangle.
pub(crate) fn fill(sheet: &Sheet<'_>, corners: [(i32, i32); 2], ink: Ink) -> Result<()> {
    Ok(sheet.draw(&Rectangle::new(corners, ink.key().filled()))?)
}

/// Draws the frame of a rectangle.
pub(crate) fn frame(sheet: &Sheet<'_>, corners: [(i32, i32); 2], ink: Ink) -> Result<()> {
    Ok(sheet.draw(&Rectangle::new(corners, ink.stroke(1)))?)
}

/// Pixels between the lines of a hatch.
const HATCH: i32 = 6;

/// Hatches a rectangle: a failed cell both ways, a missing one in one direction.
pub(crate) fn hatch(
    sheet: &Sheet<'_>,
    why: Why,
    (left, top): (i32, i32),
    (right, bottom): (i32, i32),
) -> Result<()> {
    let ink = match why {
        Why::Failed => FAILED,
        Why::Missing => MISSING,
    };
    frame(sheet, [(left, top), (right, bottom)], ink)?;
    stripes(sheet, ink, (left, top), (right, bottom), false)?;
    if why == Why::Failed {
        stripes(sheet, ink, (left, top), (right, bottom), true)?;
    }
    Ok(())
}

/// Diagonal lines in a rectangle, rising to the right or falling.
fn stripes(
    sheet: &Sheet<'_>,
    ink: Ink,
    (left, top): (i32, i32),
    (right, bottom): (i32, i32),
    falls: bool,
) -> Result<()> {
    let (width, height) = (right - left, bottom - top);
    for step in (1..).map(|n| n * HATCH).take_while(|step| *step < width + height) {
        // From the left or lower edge to the upper or right one, along x + y = step.
        let (first, last) = ((step - height).max(0), step.min(width));
        let y = |across: i32| if falls { bottom - (step - across) } else { top + step - across };
        let ends = [(left + first, y(first)), (left + last, y(last))];
        path(sheet, ends, ink, 1)?;
    }
    Ok(())
}

/// Pixels of a bar from top to bottom.
pub(crate) const BAR: i32 = 14;

/// A bar about the height `y` from one pixel to another, full or striped.
pub(crate) fn bar(
    sheet: &Sheet<'_>,
    is_striped: bool,
    ink: Ink,
    (from, to): (i32, i32),
    y: i32,
) -> Result<()> {
    let corners = [(from.min(to), y - BAR / 2), (from.max(to), y + BAR / 2)];
    if !is_striped {
        return fill(sheet, corners, ink);
    }
    let [upper_left, lower_right] = corners;
    stripes(sheet, ink, upper_left, lower_right, false)?;
    frame(sheet, corners, ink)
}

/// The corners of each mark about its centre, in pixels; told apart without colour.
const MARKS: [&[(i32, i32)]; 8] = [
    &[(-2, -5), (2, -5), (5, -2), (5, 2), (2, 5), (-2, 5), (-5, 2), (-5, -2)],
    &[(-5, -5), (5, -5), (5, 5), (-5, 5)],
    &[(0, -7), (6, 5), (-6, 5)],
    &[(0, -7), (7, 0), (0, 7), (-7, 0)],
    &[(0, 7), (6, -5), (-6, -5)],
    &[
        (-6, -4),
        (-4, -6),
        (0, -2),
        (4, -6),
        (6, -4),
        (2, 0),
        (6, 4),
        (4, 6),
        (0, 2),
        (-4, 6),
        (-6, 4),
        (-2, 0),
    ],
    &[
        (-2, -7),
        (2, -7),
        (2, -2),
        (7, -2),
        (7, 2),
        (2, 2),
        (2, 7),
        (-2, 7),
        (-2, 2),
        (-7, 2),
        (-7, -2),
        (-2, -2),
    ],
    &[(-7, -3), (7, -3), (7, 3), (-7, 3)],
];

/// Draws the mark of a series: one polygon.
pub(crate) fn mark(sheet: &Sheet<'_>, series: usize, ink: Ink, (x, y): (i32, i32)) -> Result<()> {
    let corners = MARKS[series % MARKS.len()].iter().map(|(dx, dy)| (x + dx, y + dy));
    Ok(sheet.draw(&Polygon::new(corners.collect::<Vec<_>>(), ink.key()))?)
}

/// Half the stroke across the end of a whisker.
const CAP: i32 = 4;

/// A line from limit to limit with a short stroke across each end, as one path.
pub(crate) fn whisker(
    sheet: &Sheet<'_>,
    ink: Ink,
    (lower, upper): (i32, i32),
    y: i32,
) -> Result<()> {
    let end = |x: i32| [(x, y - CAP), (x, y + CAP), (x, y)];
    let points: Vec<_> = end(lower).into_iter().chain(end(upper).into_iter().rev()).collect();
    path(sheet, points, ink, 2)
}

/// The same upright, at `x`.
pub(crate) fn upright_whisker(
    sheet: &Sheet<'_>,
    ink: Ink,
    x: i32,
    (lower, upper): (i32, i32),
) -> Result<()> {
    let end = |y: i32| [(x - CAP, y), (x + CAP, y), (x, y)];
    let points: Vec<_> = end(lower).into_iter().chain(end(upper).into_iter().rev()).collect();
    path(sheet, points, ink, 1)
}

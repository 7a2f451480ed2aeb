//! Axes: where a number stands between two pixels, with ticks at round numbers.

use anyhow::Result;
use plotters::style::text_anchor::HPos;

use super::inks::{FAINT, GRID, TEXT};
use super::marks::path;
use super::sheet::{MARGIN, Sheet, text_width, write};

/// Leading digits that the ticks of a logarithmic axis may have, from few to many.
const LEADING: [&[u32]; 3] = [&[1], &[1, 3], &[1, 2, 5]];
/// How many ticks an axis should have at least.
const FEWEST_TICKS: usize = 4;
/// Pixels below a horizontal axis: its labels, and with its title.
const LABELS: i32 = 14;
const TITLE: i32 = 36;
/// Pixels that a horizontal axis takes with labels and title.
pub(crate) const AXIS: i32 = TITLE + 14;

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) right: i32,
    pub(crate) bottom: i32,
}

/// Where numbers stand between two pixels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    is_log: bool,
    lower: f64,
    upper: f64,
    ticks: Vec<f64>,
    /// The pixels of `lower` and `upper`.
    ends: (i32, i32),
}

impl Scale {
    /// A logarithmic scale over `values` with a margin of `margin` of its length on either side, but
    /// at least over a factor of 1.2, with at most `most` ticks.
    pub(crate) fn log_around(values: impl Iterator<Item = f64>, margin: f64, most: usize) -> Scale {
        let (lower, upper) = extremes(values.map(f64::ln));
        let margin = margin * (upper - lower).max(0.2);
        let (lower, upper) = ((lower - margin).exp(), (upper + margin).exp());
        Scale { is_log: true, lower, upper, ticks: log_ticks(lower, upper, most), ends: (0, 1) }
    }

    /// A logarithmic scale with these ends and ticks.
    pub(crate) fn log(lower: f64, upper: f64, ticks: Vec<f64>) -> Scale {
        Scale { is_log: true, lower, upper, ticks, ends: (0, 1) }
    }

    /// An even scale with these ends, with at most `most` ticks.
    pub(crate) fn even(lower: f64, upper: f64, most: usize) -> Scale {
        let ticks = even_ticks(lower, upper, most);
        Scale { is_log: false, lower, upper, ticks, ends: (0, 1) }
    }

    /// An even scale with these ends and ticks.
    pub(crate) fn placed(lower: f64, upper: f64, ticks: Vec<f64>) -> Scale {
        Scale { is_log: false, lower, upper, ticks, ends: (0, 1) }
    }

    /// An even scale over `values` with a margin of `margin` of its length on either side.
    pub(crate) fn even_around(
        values: impl Iterator<Item = f64>,
        margin: f64,
        most: usize,
    ) -> Scale {
        let (lower, upper) = extremes(values);
        let margin = margin * (upper - lower).max(upper.abs() * 1e-3).max(f64::MIN_POSITIVE);
        Scale::even(lower - margin, upper + margin, most)
    }

    /// The same scale between these pixels.
    pub(crate) fn between(&self, first: i32, last: i32) -> Scale {
        Scale { ends: (first, last), ..self.clone() }
    }

    /// The pixel of a number.
    pub(crate) fn at(&self, value: f64) -> i32 {
        let place = |value: f64| if self.is_log { value.ln() } else { value };
        let (lower, upper) = (place(self.lower), place(self.upper));
        let share = (place(value) - lower) / (upper - lower);
        let (first, last) = (f64::from(self.ends.0), f64::from(self.ends.1));
        (first + share * (last - first)).round() as i32
    }

    /// Draws a horizontal axis below `area`, with a line upwards at each tick.
    ///
    /// # Errors
    /// When `plotters` refuses to draw.
    pub(crate) fn draw_below(
        &self,
        sheet: &Sheet<'_>,
        area: Area,
        label: &dyn Fn(f64) -> String,
        title: &str,
    ) -> Result<()> {
        for &tick in &self.ticks {
            let x = self.at(tick);
            path(sheet, [(x, area.top), (x, area.bottom)], GRID, 1)?;
        }
        let labels: Vec<(i32, String)> =
            self.ticks.iter().map(|&tick| (self.at(tick), label(tick))).collect();
        for (x, text) in labels.iter().step_by(step(&labels)) {
            write(sheet, text, TEXT, HPos::Center, (*x, area.bottom + LABELS))?;
        }
        path(sheet, [(area.left, area.bottom), (area.right, area.bottom)], FAINT, 1)?;
        let centre = (area.left + area.right) / 2;
        write(sheet, title, FAINT, HPos::Center, (centre, area.bottom + TITLE))
    }

    /// Draws a vertical axis left of `area`, with a line to the right at each tick; the title stands
    /// above it.
    ///
    /// # Errors
    /// When `plotters` refuses to draw.
    pub(crate) fn draw_left(
        &self,
        sheet: &Sheet<'_>,
        area: Area,
        label: &dyn Fn(f64) -> String,
    ) -> Result<()> {
        for &tick in &self.ticks {
            let y = self.at(tick);
            path(sheet, [(area.left, y), (area.right, y)], GRID, 1)?;
            write(sheet, &label(tick), TEXT, HPos::Right, (area.left - 8, y))?;
        }
        path(sheet, [(area.left, area.top), (area.left, area.bottom)], FAINT, 1)
    }

    /// Pixels of the longest label.
    pub(crate) fn label_width(&self, label: &dyn Fn(f64) -> String) -> i32 {
        self.ticks.iter().map(|&tick| text_width(&label(tick))).max().unwrap_or(0)
    }
}

/// Every how many labels one stands, so that none touches the next.
fn step(labels: &[(i32, String)]) -> usize {
    let is_free = |step: &usize| {
        let shown: Vec<&(i32, String)> = labels.iter().step_by(*step).collect();
        shown.windows(2).all(|pair| {
            let halves = (text_width(&pair[0].1) + text_width(&pair[1].1)) / 2;
            pair[0].0 + halves + 4 <= pair[1].0
        })
    };
    (1..labels.len().max(2)).find(is_free).unwrap_or(labels.len().max(1))
}

/// The plots of `n` panels in at most `columns` columns from `top` down, each `height` pixels high with
/// `(above, below)` pixels around it for its name and its axis, and `left` pixels for labels.
pub(crate) fn panels(
    n: usize,
    columns: usize,
    top: i32,
    (above, height, below): (i32, i32, i32),
    left: i32,
    width: i32,
) -> Vec<Area> {
    let columns = columns.min(n).max(1);
    let across = (width - 2 * MARGIN) / i32::try_from(columns).unwrap_or(1);
    let place = |panel: usize| {
        let (row, column) = (panel / columns, panel % columns);
        let (row, column) = (i32::try_from(row).unwrap_or(0), i32::try_from(column).unwrap_or(0));
        let top = top + row * (above + height + below) + above;
        let start = MARGIN + column * across;
        Area { left: start + left, top, right: start + across - MARGIN / 2, bottom: top + height }
    };
    (0..n).map(place).collect()
}

/// Pixels that the panels take from top to bottom.
pub(crate) fn panels_height(
    n: usize,
    columns: usize,
    (above, height, below): (i32, i32, i32),
) -> i32 {
    let rows = n.div_ceil(columns.min(n).max(1));
    i32::try_from(rows).unwrap_or(0) * (above + height + below)
}

fn extremes(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lower, upper), value| {
        (lower.min(value), upper.max(value))
    })
}

/// Round numbers between `lower` and `upper`: the fewest kinds that give enough of them, and evenly
/// spaced ones on an axis too short for those.
fn log_ticks(lower: f64, upper: f64, most: usize) -> Vec<f64> {
    let (first, last) = (lower.log10().floor() as i32, upper.log10().floor() as i32);
    for leading in LEADING {
        let numbers =
            (first..=last).flat_map(|decade| leading.iter().map(move |&digit| (digit, decade)));
        let ticks: Vec<f64> = numbers
            .map(|(digit, decade)| decimal(digit.into(), decade))
            .filter(|tick| (lower..=upper).contains(tick))
            .collect();
        if ticks.len() >= FEWEST_TICKS.min(most) {
            let step = ticks.len().div_ceil(most);
            return ticks.into_iter().step_by(step).collect();
        }
    }
    even_ticks(lower, upper, most)
}

/// Evenly spaced round numbers between `lower` and `upper`.
fn even_ticks(lower: f64, upper: f64, most: usize) -> Vec<f64> {
    let decade = ((upper - lower) / most as f64).log10().floor() as i32;
    let steps = [(1, decade), (2, decade), (5, decade), (1, decade + 1), (2, decade + 1)];
    let evenly = steps.map(|(digit, decade)| {
        let step = decimal(digit, decade);
        let multiples = (lower / step).ceil() as i64..=(upper / step).floor() as i64;
        multiples.map(|multiple| decimal(multiple * digit, decade)).collect::<Vec<_>>()
    });
    evenly.into_iter().find(|ticks| ticks.len() <= most).unwrap_or_default()
}

/// `digits` · 10^`exponent`, through text, so that 11e-1 is 1.1 and not the nearest product.
fn decimal(digits: i64, exponent: i32) -> f64 {
    format!("{digits}e{exponent}").parse().unwrap_or(f64::NAN)
}

/// A tick as it is written: `0.5`, `20`, `1e7`.
pub(crate) fn tick_label(value: f64) -> String {
    if value < 1e6 { value.to_string() } else { format!("{value:e}") }
}

#[cfg(test)]
mod tests {
    use super::{Area, Scale, even_ticks, log_ticks, panels, step};

    #[test]
    fn ticks_are_round_and_neither_few_nor_many() {
        let ticks = |lower, upper| log_ticks(lower, upper, 9);
        assert_eq!(ticks(0.9, 7.7), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(ticks(0.9, 12.0), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(ticks(0.9, 150.0), [1.0, 3.0, 10.0, 30.0, 100.0]);
        assert_eq!(ticks(0.8, 2000.0), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(ticks(9.8, 12.2), [10.0, 10.5, 11.0, 11.5, 12.0]);
        assert_eq!(ticks(0.99, 1.03), [0.99, 0.995, 1.0, 1.005, 1.01, 1.015, 1.02, 1.025, 1.03]);
        assert!(ticks(1.0, 1e300).len() <= 9);
        assert_eq!(even_ticks(-1.0, 1.0, 5), [-1.0, -0.5, 0.0, 0.5, 1.0]);
    }

    #[test]
    fn numbers_stand_between_the_ends() {
        let even = Scale::even(-1.0, 1.0, 5).between(100, 300);
        assert_eq!([-1.0, 0.0, 1.0].map(|value| even.at(value)), [100, 200, 300]);
        let upright = Scale::log(1.0, 100.0, Vec::new()).between(200, 0);
        assert_eq!([1.0, 10.0, 100.0].map(|value| upright.at(value)), [200, 100, 0]);
    }

    #[test]
    fn labels_do_not_touch() {
        let labels = |apart: i32| -> Vec<(i32, String)> {
            (0..11).map(|power| (apart * power, (1 << power).to_string())).collect()
        };
        assert_eq!(step(&labels(40)), 1);
        assert_eq!(step(&labels(26)), 2);
        assert_eq!(step(&labels(0)), 11);
        assert_eq!(step(&[]), 1);
    }

    #[test]
    fn panels_fill_rows_from_the_left() {
        let areas = panels(3, 2, 100, (20, 200, 50), 60, 800);
        let lefts: Vec<i32> = areas.iter().map(|area| area.left).collect();
        assert_eq!(lefts, [78, 460, 78]);
        let tops: Vec<(i32, i32)> = areas.iter().map(|area| (area.top, area.bottom)).collect();
        assert_eq!(tops, [(120, 320), (120, 320), (390, 590)]);
        let only = panels(1, 2, 0, (0, 10, 0), 60, 800);
        assert_eq!(only, [Area { left: 78, top: 0, right: 773, bottom: 10 }]);
    }
}

//! Logarithmic axes with ticks at round numbers.

use plotters::prelude::{BindKeyPoints, IntoLogRange};

/// Leading digits that ticks may have, from few to many.
const LEADING: [&[u32]; 3] = [&[1], &[1, 3], &[1, 2, 5]];
/// How many ticks an axis should have.
const FEWEST_TICKS: usize = 4;
const MOST_TICKS: usize = 9;

/// What `plotters` takes for an axis.
pub(crate) type LogAxis =
    plotters::coord::combinators::WithKeyPoints<plotters::coord::combinators::LogCoord<f64>>;

/// A logarithmic axis over `values` with a margin of `margin` of its length on either side, but at
/// least over a factor of 1.2.
pub(crate) fn around(values: impl Iterator<Item = f64>, margin: f64) -> LogAxis {
    let logarithms = values.map(f64::ln);
    let (lower, upper) = logarithms
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lower, upper), value| {
            (lower.min(value), upper.max(value))
        });
    let margin = margin * (upper - lower).max(0.2);
    let (lower, upper) = ((lower - margin).exp(), (upper + margin).exp());
    over(lower, upper, ticks(lower, upper))
}

/// A logarithmic axis with these ends and ticks.
pub(crate) fn over(lower: f64, upper: f64, ticks: Vec<f64>) -> LogAxis {
    (lower..upper).log_scale().with_key_points(ticks)
}

/// Round numbers between `lower` and `upper`: the fewest kinds that give enough of them, and evenly
/// spaced ones on an axis too short for those.
fn ticks(lower: f64, upper: f64) -> Vec<f64> {
    let (first, last) = (lower.log10().floor() as i32, upper.log10().floor() as i32);
    for leading in LEADING {
        let numbers =
            (first..=last).flat_map(|decade| leading.iter().map(move |&digit| (digit, decade)));
        let ticks: Vec<f64> = numbers
            .map(|(digit, decade)| decimal(digit.into(), decade))
            .filter(|tick| (lower..=upper).contains(tick))
            .collect();
        if ticks.len() >= FEWEST_TICKS {
            let step = ticks.len().div_ceil(MOST_TICKS);
            return ticks.into_iter().step_by(step).collect();
        }
    }
    let decade = ((upper - lower) / MOST_TICKS as f64).log10().floor() as i32;
    let steps = [(1, decade), (2, decade), (5, decade), (1, decade + 1)];
    let evenly = steps.map(|(digit, decade)| {
        let step = decimal(digit, decade);
        let multiples = (lower / step).ceil() as i64..=(upper / step).floor() as i64;
        multiples.map(|multiple| decimal(multiple * digit, decade)).collect::<Vec<_>>()
    });
    evenly.into_iter().find(|ticks| ticks.len() <= MOST_TICKS).unwrap_or_default()
}

/// `digits` · 10^`exponent`, through text, so that 11e-1 is 1.1 and not the nearest product.
fn decimal(digits: i64, exponent: i32) -> f64 {
    format!("{digits}e{exponent}").parse().unwrap_or(f64::NAN)
}

/// A tick as it is written: `0.5`, `20`, `1e7`.
pub(crate) fn tick_label(value: &f64) -> String {
    if *value < 1e6 { value.to_string() } else { format!("{value:e}") }
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn ticks_are_round_and_neither_few_nor_many() {
        assert_eq!(ticks(0.9, 7.7), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(ticks(0.9, 12.0), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(ticks(0.9, 150.0), [1.0, 3.0, 10.0, 30.0, 100.0]);
        assert_eq!(ticks(0.8, 2000.0), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(ticks(9.8, 12.2), [10.0, 10.5, 11.0, 11.5, 12.0]);
        assert_eq!(ticks(0.99, 1.03), [0.99, 0.995, 1.0, 1.005, 1.01, 1.015, 1.02, 1.025, 1.03]);
        assert!(ticks(1.0, 1e300).len() <= super::MOST_TICKS);
    }
}

//! What became of the scores and overlaps of an `observe` cell.

use evidence::Measured;
use evidence::text::count;
use serde::Serialize;
use statistics::largest;

/// Scores that are further apart than this share of the largest of their column are no rounding.
pub(super) const ROUNDING: f64 = 1e-4;

/// Scores of the same neurons, channels, or sites and lags.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoresChange {
    /// Neurons, channels, or sites and lags.
    pub n_rows: usize,
    /// Rows with another number in some column.
    pub n_changed: usize,
    /// The largest difference of two numbers, as a share of the largest number of their column;
    /// infinite where one run has a number and the other none.
    pub largest: f64,
}

/// A row: what it is about, and its numbers.
struct Flat {
    place: [u64; 4],
    numbers: Vec<Option<f64>>,
}

/// Compares two measurements row by row.
///
/// # Errors
/// The reason why they are not of the same places.
pub(super) fn compare(a: &Measured, b: &Measured) -> Result<ScoresChange, String> {
    let (a, b) = (flat(a), flat(b));
    if a.len() != b.len() {
        return Err(format!("{}, A has {}", count(b.len(), "row"), a.len()));
    }
    if let Some(row) = a.iter().zip(&b).position(|(a, b)| a.place != b.place) {
        return Err(format!("row {row} is of another place, or of other tokens, than in A"));
    }
    let bits =
        |row: &Flat| row.numbers.iter().map(|number| number.map(f64::to_bits)).collect::<Vec<_>>();
    let n_changed = a.iter().zip(&b).filter(|(a, b)| bits(a) != bits(b)).count();
    let n_columns = a.first().map_or(0, |row| row.numbers.len());
    let columns = (0..n_columns).map(|column| largest_of(&a, &b, column));
    let largest = largest(columns);
    Ok(ScoresChange { n_rows: a.len(), n_changed, largest })
}

/// The largest difference in a column as a share of its largest number.
fn largest_of(a: &[Flat], b: &[Flat], column: usize) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (a.numbers[column], b.numbers[column]));
    if pairs().any(|(a, b)| a.is_some() != b.is_some()) {
        return f64::INFINITY;
    }
    let numbers = || pairs().filter_map(|(a, b)| a.zip(b));
    let scale = largest(numbers().flat_map(|(a, b)| [a.abs(), b.abs()]));
    let apart = largest(numbers().map(|(a, b)| (b - a).abs()));
    if apart == 0.0 { 0.0 } else { apart / scale }
}

fn flat(measured: &Measured) -> Vec<Flat> {
    match measured {
        Measured::Blocks(rows) => rows
            .iter()
            .map(|row| Flat {
                place: [row.layer.into(), 0, 0, row.tokens],
                numbers: vec![Some(row.r2)],
            })
            .collect(),
        Measured::Directions(rows) => rows
            .iter()
            .map(|row| Flat {
                place: [row.layer.into(), row.direction.into(), 0, 0],
                numbers: vec![Some(row.variance), Some(row.sensitivity)],
            })
            .collect(),
        Measured::Attention(rows) => rows
            .iter()
            .map(|row| {
                // Axes have names; three of them have a number each that tells them apart.
                let axis = row.axis.bytes().next().unwrap_or_default();
                Flat {
                    place: [row.site.into(), row.head.into(), axis.into(), row.from_tokens.into()],
                    numbers: vec![
                        Some(row.share),
                        Some(row.entropy_nats),
                        row.rho_key_size,
                        row.rho_value_size,
                    ],
                }
            })
            .collect(),
        Measured::Lens(rows) => rows
            .iter()
            .map(|row| Flat {
                place: [row.layer.into(), 0, 0, row.tokens],
                numbers: vec![
                    Some(row.settled as f64),
                    Some(row.agreeing as f64),
                    Some(row.probability),
                    row.leaving.map(|tokens| tokens as f64),
                ],
            })
            .collect(),
        Measured::Neurons(rows) => rows
            .iter()
            .map(|row| Flat {
                place: [row.site.into(), row.neuron.into(), 0, row.tokens],
                numbers: vec![
                    row.magnitude,
                    row.energy,
                    row.weight,
                    row.impact,
                    row.wanda,
                    row.slope,
                    row.taylor,
                    row.fisher,
                    row.ablation,
                ],
            })
            .collect(),
        Measured::Channels(rows) => rows
            .iter()
            .map(|row| Flat {
                place: [row.site.into(), row.group.into(), row.channel.into(), row.tokens],
                numbers: vec![
                    row.readout,
                    row.state_energy,
                    row.read_energy,
                    row.half_life_tokens,
                    row.ghost,
                    row.ghost_factored,
                    row.state_weight,
                    row.slope,
                    row.state_taylor,
                    row.ablation,
                    row.ablation_read,
                    row.ablation_write,
                ],
            })
            .collect(),
        Measured::Overlaps(rows) => rows
            .iter()
            .map(|row| Flat {
                place: [row.site.into(), row.lag_tokens.into(), 0, row.pairs],
                numbers: vec![Some(row.overlap), Some(row.jaccard), Some(row.by_chance)],
            })
            .collect(),
    }
}

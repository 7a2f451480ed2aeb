//! What a slimmed model's speed costs: rows of one model, and which of them no other beats.

use evidence::TimedRow;
use serde::Serialize;

/// One row with its judgement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeedRow {
    /// What was measured.
    #[serde(flatten)]
    pub timed: TimedRow,
    /// Whether no other row decodes as fast at no more loss, and one of both better; false where no loss
    /// is known.
    pub is_on_front: bool,
}

/// The rows of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideBySide {
    /// The model.
    pub model: String,
    /// In the order in which they were listed.
    pub rows: Vec<SpeedRow>,
}

impl SpeedRow {
    /// Perplexity as a multiple of dense, and decoded tokens per second as one; none where no loss is known.
    pub fn place(&self) -> Option<(f64, f64)> {
        Some((self.timed.perplexity_over_dense?, self.timed.decode_over_dense.median))
    }
}

/// Every model's rows, models in the order of the table.
pub fn side_by_side(rows: &[TimedRow]) -> Vec<SideBySide> {
    let mut models: Vec<SideBySide> = Vec::new();
    for timed in rows {
        let row = SpeedRow { timed: timed.clone(), is_on_front: false };
        match models.iter_mut().find(|own| own.model == timed.model) {
            Some(own) => own.rows.push(row),
            None => models.push(SideBySide { model: timed.model.clone(), rows: vec![row] }),
        }
    }
    for own in &mut models {
        mark_front(&mut own.rows);
    }
    models
}

fn mark_front(rows: &mut [SpeedRow]) {
    let places: Vec<Option<(f64, f64)>> = rows.iter().map(SpeedRow::place).collect();
    for (row, own) in rows.iter_mut().zip(&places) {
        let Some((loss, speed)) = *own else { continue };
        let beats = |&(other_loss, other_speed): &(f64, f64)| {
            other_loss <= loss && other_speed >= speed && (other_loss < loss || other_speed > speed)
        };
        row.is_on_front = !places.iter().flatten().any(beats);
    }
}

#[cfg(test)]
mod tests {
    use evidence::Spread;

    use super::*;

    fn row(model: &str, loss: Option<f64>, speed: f64) -> TimedRow {
        let spread = |median| Spread { median, least: median, most: median };
        TimedRow {
            model: model.to_owned(),
            row: "r".to_owned(),
            program: "slim".to_owned(),
            decode_tokens_per_second: spread(speed),
            prefill_tokens_per_second: spread(speed),
            decode_over_dense: spread(speed),
            prefill_over_dense: spread(speed),
            weight_bytes_per_token: None,
            cache_bytes: None,
            peak_rss_bytes: 0,
            natural_zeros: None,
            perplexity_over_dense: loss,
        }
    }

    #[test]
    fn the_front_has_nothing_that_is_beaten() {
        let rows = [
            row("a", Some(1.0), 1.0),
            row("b", Some(9.0), 0.1),
            row("a", Some(1.1), 2.0),
            row("a", Some(1.2), 1.5),
            row("a", None, 9.0),
            row("a", Some(1.1), 2.0),
        ];
        let models = side_by_side(&rows);
        let names: Vec<&str> = models.iter().map(|own| own.model.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let front: Vec<bool> = models[0].rows.iter().map(|row| row.is_on_front).collect();
        assert_eq!(front, [true, true, false, false, true]);
        assert!(models[1].rows[0].is_on_front);
    }
}

//! Several hypotheses in an order that was fixed beforehand.

/// How many hypotheses of a fixed sequence are rejected: those before the first whose p-value is above
/// `alpha`.
///
/// Each is tested at the full level, and the chance of any false rejection is at most `alpha`: the first true
/// hypothesis of the sequence would have to be rejected for there to be one. The order must not hang on the
/// data of the tests. Maurer, Hothorn & Lehmacher 1995, in "Biometrie in der chemisch-pharmazeutischen
/// Industrie" 6, 3–18; Wiens 2003, Pharmaceutical Statistics 2, 211–215. A p-value that is no number ends it.
pub fn fixed_sequence(p: &[f64], alpha: f64) -> usize {
    p.iter().take_while(|p| **p <= alpha).count()
}

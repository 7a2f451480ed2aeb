//! A state whose tokens wrote only some of its channels.

use crate::{exp::exp, wide::vectorised};

/// Makes of the state before some tokens the one after them, where only some channels were written: those
/// are as if all had been, since channels do not touch each other; the others fade by
/// `exp(Σ_t Δ_t·A)`. Head `h` is of group `h // (heads / groups)`.
///
/// # Shapes
/// - `state` and `all_written`: `[heads, head_dim, channels]`, before the tokens and after them
/// - `written`: `[groups · channels]`
/// - `dt`: `Δ`, `[tokens, heads]`
/// - `rates`: `A`, `[heads]`
///
/// # Panics
/// Where the states are of different sizes.
pub fn fade_unwritten(
    state: &mut [f32],
    all_written: &[f32],
    written: &[bool],
    dt: &[f32],
    rates: &[f32],
    groups: usize,
) {
    assert_eq!(state.len(), all_written.len(), "states of the same sizes");
    let (heads, channels) = (rates.len(), written.len() / groups);
    let of_head = state.len() / heads;
    let states = state.chunks_exact_mut(of_head).zip(all_written.chunks_exact(of_head));
    for (head, ((state, all_written), rate)) in states.zip(rates).enumerate() {
        let steps = dt.iter().skip(head).step_by(heads);
        let exponent: f64 = steps.map(|dt| f64::from(*dt) * f64::from(*rate)).sum();
        let written = &written[head / (heads / groups) * channels..][..channels];
        fade_head(state, all_written, written, exp(exponent as f32));
    }
}

vectorised! {
    fn fade_head<'a>(
        state: &'a mut [f32],
        all_written: &'a [f32],
        written: &'a [bool],
        left: f32,
    ) -> () {
        let channels = written.len();
        let rows = state.chunks_exact_mut(channels).zip(all_written.chunks_exact(channels));
        for (state, all_written) in rows {
            for ((state, new), written) in state.iter_mut().zip(all_written).zip(written) {
                let faded = left * *state;
                *state = if *written { *new } else { faded };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Writes, energies};

    /// The recurrence with `B` masked gives the same state: six products of decays against one power of
    /// their sum, 2e-6 of states below 2.
    #[test]
    fn equals_a_masked_recurrence() {
        let (groups, heads, head_dim, channels, tokens) = (2, 4, 3, 37, 6);
        let value = |i: usize| ((i * 7919 % 101) as f32 - 50.0) / 50.0;
        let values = |n: usize, salt: usize| (0..n).map(|i| value(i + salt)).collect::<Vec<_>>();
        let (x, mut b) =
            (values(tokens * heads * head_dim, 1), values(tokens * groups * channels, 2));
        let dt: Vec<f32> = values(tokens * heads, 3).iter().map(|v| v.abs()).collect();
        let rates = [-0.1, -1.0, -4.0, -0.5];
        let written: Vec<bool> = (0..groups * channels).map(|n| n * n % 5 < 2).collect();
        let before = values(heads * head_dim * channels, 4);
        let after = |b: &[f32]| {
            let mut state = before.clone();
            energies(&mut state, Writes { x: &x, b, dt: &dt }, &rates, groups);
            state
        };
        let all_written = after(&b);
        let mut found = before.clone();
        fade_unwritten(&mut found, &all_written, &written, &dt, &rates, groups);
        for (b, written) in b.iter_mut().zip(written.iter().cycle()) {
            *b = if *written { *b } else { 0.0 };
        }
        for (found, expected) in found.iter().zip(after(&b)) {
            assert!((found - expected).abs() < 2e-6, "{found} is not {expected}");
        }
    }
}

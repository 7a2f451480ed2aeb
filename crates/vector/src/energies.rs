//! How much every channel of a Mamba-2 state holds, token by token: the half of the `ghost` score that
//! needs the state itself.
//!
//! The chunked scan never has the state of a token in its hands, so the state is stepped through here,
//! by blocks of channels: a block of one head's state stays in the nearest cache for all tokens.

use rayon::prelude::*;

use crate::{exp::exp, wide::vectorised};

/// Channels of a block: their sums fill the registers of the narrowest machine and no more.
const LANES: usize = 32;
/// Pieces of up to this many tokens are stepped through in place: putting a state into blocks and back
/// costs as much as a few tokens.
const STEPPED: usize = 4;
/// Entries of state times tokens below which handing out tasks costs more than it saves.
const WORTH_SHARING: usize = 1 << 18;

type Block = [f32; LANES];

/// What the tokens of one sequence bring to a state.
#[derive(Clone, Copy, Debug)]
pub struct Writes<'a> {
    /// `[tokens, heads · head_dim]`.
    pub x: &'a [f32],
    /// `B'`: `[tokens, groups · channels]`.
    pub b: &'a [f32],
    /// `Δ`: `[tokens, heads]`.
    pub dt: &'a [f32],
}

/// `E_t[g, n] = Σ_k Σ_p H_t[h_k, p, n]²` over the heads `h_k` of group `g`, with
/// `H_t = exp(Δ_t·A)·H_{t−1} + Δ_t·x_t·B'_tᵀ`; head `h` is of group `h // (heads / groups)`.
///
/// A channel's sum runs over its heads in their order and over `p` within each, whatever the number of
/// threads.
///
/// # Shapes
/// - `state`: `H`, `[heads, head_dim, channels]`, brought up to the last token
/// - `rates`: `A`, `[heads]`
/// - returns: `[tokens, groups · channels]`
///
/// # Panics
/// Where the shapes disagree.
pub fn energies(state: &mut [f32], writes: Writes<'_>, rates: &[f32], groups: usize) -> Vec<f32> {
    let heads = rates.len();
    let tokens = writes.dt.len() / heads;
    if tokens == 0 {
        return Vec::new();
    }
    let mixed = writes.b.len() / tokens;
    let shape = Shape {
        tokens,
        heads,
        head_dim: writes.x.len() / (tokens * heads),
        heads_of_group: heads / groups,
        channels: mixed / groups,
    };
    assert_eq!(state.len(), heads * shape.head_dim * shape.channels, "a state of the same sizes");
    let decays = decays(writes.dt, rates);
    let mut out = vec![0.0; tokens * mixed];
    if tokens <= STEPPED {
        step_in_place(&shape, state, &mut out, writes, &decays);
        return out;
    }
    let blocks = shape.channels.div_ceil(LANES);
    let run = |task: usize| {
        let (group, first) = (task / blocks, task % blocks * LANES);
        let mut part = Part::of(&shape, group, first, state, writes.b);
        part.run(&shape, writes, &decays);
        part
    };
    let parts: Vec<Part> = match tokens * state.len() < WORTH_SHARING {
        true => (0..groups * blocks).map(run).collect(),
        false => (0..groups * blocks).into_par_iter().map(run).collect(),
    };
    for part in parts {
        part.put_back(&shape, state, &mut out);
    }
    out
}

/// The same without blocks: every channel's sum has the same order, so the bits are the same.
fn step_in_place(
    shape: &Shape,
    state: &mut [f32],
    out: &mut [f32],
    writes: Writes<'_>,
    decays: &[f32],
) {
    let Shape { tokens, heads, head_dim, heads_of_group, channels } = *shape;
    let mixed = out.len() / tokens;
    for (t, out) in out.chunks_exact_mut(mixed).enumerate() {
        for (head, state) in state.chunks_exact_mut(head_dim * channels).enumerate() {
            let (at, group) = (t * heads + head, head / heads_of_group * channels);
            let x = &writes.x[at * head_dim..][..head_dim];
            let b = &writes.b[t * mixed + group..][..channels];
            let energies = &mut out[group..][..channels];
            step_head(state, energies, b, x, decays[at], writes.dt[at]);
        }
    }
}

vectorised! {
    fn step_head<'a>(
        state: &'a mut [f32],
        energies: &'a mut [f32],
        b: &'a [f32],
        x: &'a [f32],
        decay: f32,
        dt: f32,
    ) -> () {
        for (row, x) in state.chunks_exact_mut(b.len()).zip(x) {
            let write = dt * x;
            for ((state, b), sum) in row.iter_mut().zip(b).zip(energies.iter_mut()) {
                *state = write.mul_add(*b, decay * *state);
                *sum = state.mul_add(*state, *sum);
            }
        }
    }
}

struct Shape {
    tokens: usize,
    heads: usize,
    head_dim: usize,
    heads_of_group: usize,
    channels: usize,
}

/// A block of channels of one group, filled up with zeros, which stay zero.
struct Part {
    group: usize,
    /// First channel.
    first: usize,
    /// Channels that are no filling.
    width: usize,
    /// `[heads of the group · head_dim]`.
    state: Vec<Block>,
    /// `[tokens]`.
    b: Vec<Block>,
    /// `[tokens]`.
    energies: Vec<Block>,
}

impl Part {
    fn of(shape: &Shape, group: usize, first: usize, state: &[f32], b: &[f32]) -> Self {
        let width = LANES.min(shape.channels - first);
        // A whole block is a copy of known size: pieces of one token are mostly copies.
        let block = |row: &[f32]| match row[first..].first_chunk::<LANES>() {
            Some(whole) => *whole,
            None => {
                let mut block = [0.0; LANES];
                block[..width].copy_from_slice(&row[first..]);
                block
            }
        };
        let of_group = shape.heads_of_group * shape.head_dim * shape.channels;
        let state = &state[group * of_group..][..of_group];
        let mixed = b.len() / shape.tokens;
        let of_token = |row: &[f32]| block(&row[group * shape.channels..][..shape.channels]);
        Self {
            group,
            first,
            width,
            state: state.chunks_exact(shape.channels).map(block).collect(),
            b: b.chunks_exact(mixed).map(of_token).collect(),
            energies: vec![[0.0; LANES]; shape.tokens],
        }
    }

    fn run(&mut self, shape: &Shape, writes: Writes<'_>, decays: &[f32]) {
        let first = self.group * shape.heads_of_group;
        for (head, state) in self.state.chunks_exact_mut(shape.head_dim).enumerate() {
            let of = OfHead { head: first + head, heads: shape.heads };
            run_head(state, &mut self.energies, &self.b, writes, decays, of);
        }
    }

    fn put_back(&self, shape: &Shape, state: &mut [f32], out: &mut [f32]) {
        let of_group = shape.heads_of_group * shape.head_dim * shape.channels;
        let state = &mut state[self.group * of_group..][..of_group];
        for (row, block) in state.chunks_exact_mut(shape.channels).zip(&self.state) {
            let row = &mut row[self.first..];
            match row.first_chunk_mut::<LANES>() {
                Some(whole) => *whole = *block,
                None => row.copy_from_slice(&block[..self.width]),
            }
        }
        let mixed = out.len() / shape.tokens;
        let first = self.group * shape.channels + self.first;
        for (row, block) in out.chunks_exact_mut(mixed).zip(&self.energies) {
            row[first..][..self.width].copy_from_slice(&block[..self.width]);
        }
    }
}

#[derive(Clone, Copy)]
struct OfHead {
    head: usize,
    heads: usize,
}

vectorised! {
    /// All tokens of one head, added to the energies of its group.
    fn run_head<'a>(
        state: &'a mut [Block],
        energies: &'a mut [Block],
        b: &'a [Block],
        writes: Writes<'a>,
        decays: &'a [f32],
        of: OfHead,
    ) -> () {
        let OfHead { head, heads } = of;
        let head_dim = state.len();
        for (t, (energies, b)) in energies.iter_mut().zip(b).enumerate() {
            let (decay, dt) = (decays[t * heads + head], writes.dt[t * heads + head]);
            let x = &writes.x[(t * heads + head) * head_dim..][..head_dim];
            // Copies, so that the compiler keeps them in registers.
            let (mut sums, b) = (*energies, *b);
            for (row, x) in state.iter_mut().zip(x) {
                let write = dt * x;
                let mut next = *row;
                for ((next, b), sum) in next.iter_mut().zip(&b).zip(&mut sums) {
                    *next = write.mul_add(*b, decay * *next);
                    *sum = next.mul_add(*next, *sum);
                }
                *row = next;
            }
            *energies = sums;
        }
    }
}

/// `exp(Δ·A)`: `[tokens, heads]`.
fn decays(dt: &[f32], rates: &[f32]) -> Vec<f32> {
    let mut decays = vec![0.0; dt.len()];
    exponentials(&mut decays, dt, rates);
    decays
}

vectorised! {
    fn exponentials<'a>(decays: &'a mut [f32], dt: &'a [f32], rates: &'a [f32]) -> () {
        let rows = decays.chunks_exact_mut(rates.len()).zip(dt.chunks_exact(rates.len()));
        for (decays, dt) in rows {
            for ((decay, dt), rate) in decays.iter_mut().zip(dt).zip(rates) {
                *decay = exp(dt * rate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| (((i + salt) * 7919 % 101) as f32 - 50.0) / 50.0).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against plain loops in `f64`, at once and in two pieces. A square is a sum over at most 60
        /// entries of a state of at most 40 writes, all of one sign: 2e-6 of the largest energy (or of 1)
        /// is some ten roundings of `f32`.
        #[test]
        fn equals_naive(
            sizes in (1_usize..4, 1_usize..4, 1_usize..20, 1_usize..80, 1_usize..40),
            cut in 0.0_f64..1.0,
        ) {
            let (groups, heads_of_group, head_dim, channels, tokens) = sizes;
            let heads = groups * heads_of_group;
            let (inner, mixed) = (heads * head_dim, groups * channels);
            let x = values(tokens * inner, 1);
            let b = values(tokens * mixed, 2);
            let dt: Vec<f32> =
                values(tokens * heads, 4).iter().map(|v| 10_f32.powf(2.5 * v - 1.5)).collect();
            let rates: Vec<f32> = values(heads, 5).iter().map(|v| -16_f32.powf(*v)).collect();
            let start = values(inner * channels, 7);

            let mut exact: Vec<f64> = start.iter().map(|h| f64::from(*h)).collect();
            let mut expected = vec![0.0_f64; tokens * mixed];
            for t in 0..tokens {
                for h in 0..heads {
                    let dt = f64::from(dt[t * heads + h]);
                    let decay = (dt * f64::from(rates[h])).exp();
                    for p in 0..head_dim {
                        for n in 0..channels {
                            let mixed = t * mixed + h / heads_of_group * channels + n;
                            let state = &mut exact[(h * head_dim + p) * channels + n];
                            let x = f64::from(x[(t * heads + h) * head_dim + p]);
                            *state = decay * *state + dt * x * f64::from(b[mixed]);
                            expected[mixed] += *state * *state;
                        }
                    }
                }
            }

            let pieces = [0, (cut * tokens as f64) as usize, tokens];
            for bounds in [vec![0, tokens], pieces.to_vec()] {
                let (mut state, mut found) = (start.clone(), Vec::new());
                for piece in bounds.windows(2) {
                    let of = |values: &'_ [f32], width: usize| {
                        values[piece[0] * width..piece[1] * width].to_vec()
                    };
                    let (x, b, dt) = (of(&x, inner), of(&b, mixed), of(&dt, heads));
                    let writes = Writes { x: &x, b: &b, dt: &dt };
                    found.extend(energies(&mut state, writes, &rates, groups));
                }
                prop_assert_eq!(found.len(), expected.len());
                let largest = expected.iter().fold(1.0_f64, |m, v| m.max(*v));
                for (found, expected) in found.iter().zip(&expected) {
                    let off = (f64::from(*found) - expected).abs();
                    prop_assert!(off < 2e-6 * largest, "{found} is not {expected} ({largest})");
                }
                let largest = exact.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
                for (found, expected) in state.iter().zip(&exact) {
                    prop_assert!((f64::from(*found) - expected).abs() < 2e-6 * largest);
                }
            }
        }
    }

    /// In place, by blocks, shared among threads: the same bits.
    #[test]
    fn every_way_gives_the_same_bits() {
        let (heads, head_dim, channels, tokens) = (4, 8, 70, 150);
        let (x, b) = (values(tokens * heads * head_dim, 1), values(tokens * 2 * channels, 2));
        let dt: Vec<f32> = values(tokens * heads, 3).iter().map(|v| v.abs()).collect();
        let rates = [-0.1, -1.0, -4.0, -0.5];
        let run = |from: usize, to: usize, state: &mut [f32]| {
            let writes = Writes {
                x: &x[from * heads * head_dim..to * heads * head_dim],
                b: &b[from * 2 * channels..to * 2 * channels],
                dt: &dt[from * heads..to * heads],
            };
            energies(state, writes, &rates, 2)
        };
        let mut whole = vec![0.0; heads * head_dim * channels];
        let (mut stepped, mut pieces) = (whole.clone(), whole.clone());
        assert!(tokens * whole.len() > WORTH_SHARING, "shared");
        let all = run(0, tokens, &mut whole);
        let one_by_one: Vec<f32> = (0..tokens).flat_map(|t| run(t, t + 1, &mut stepped)).collect();
        assert_eq!((&all, &whole), (&one_by_one, &stepped));
        let unshared = STEPPED + 1;
        assert!(unshared * whole.len() < WORTH_SHARING, "not shared");
        let by_pieces: Vec<f32> = (0..tokens)
            .step_by(unshared)
            .flat_map(|t| run(t, (t + unshared).min(tokens), &mut pieces))
            .collect();
        assert_eq!((all, whole), (by_pieces, pieces));
    }
}

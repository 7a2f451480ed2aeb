//! The loops of the state-space scan, token by token and by chunks, against the recurrence in `f64`.

use proptest::prelude::*;
use vector::{Columns, Decays, Token, step, time_steps, worst};

/// Inputs of spec.md, section 5.
#[derive(Debug)]
struct Case {
    groups: usize,
    heads: usize,
    head_dim: usize,
    channels: usize,
    tokens: usize,
    x: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    dt: Vec<f32>,
    rates: Vec<f32>,
    skip: Vec<f32>,
    state: Vec<f32>,
}

fn values(n: usize, salt: usize) -> Vec<f32> {
    (0..n).map(|i| (((i + salt) * 7919 % 101) as f32 - 50.0) / 50.0).collect()
}

/// Time steps over five powers of ten, so that a small one stands beside a long sum of large ones.
fn case(
    (groups, heads_of_group, head_dim, channels, tokens): (usize, usize, usize, usize, usize),
) -> Case {
    let heads = groups * heads_of_group;
    Case {
        groups,
        heads,
        head_dim,
        channels,
        tokens,
        x: values(tokens * heads * head_dim, 1),
        b: values(tokens * groups * channels, 2),
        c: values(tokens * groups * channels, 3),
        dt: values(tokens * heads, 4).iter().map(|v| 10_f32.powf(2.5 * v - 1.5)).collect(),
        rates: values(heads, 5).iter().map(|v| -16_f32.powf(*v)).collect(),
        skip: values(heads, 6),
        state: values(heads * head_dim * channels, 7),
    }
}

impl Case {
    fn x(&self, t: usize, h: usize, p: usize) -> f64 {
        self.x[(t * self.heads + h) * self.head_dim + p].into()
    }

    /// `B` or `C`, of the group of a head.
    fn of_head(&self, values: &[f32], t: usize, h: usize, n: usize) -> f64 {
        let group = h / (self.heads / self.groups);
        values[(t * self.groups + group) * self.channels + n].into()
    }

    /// `Σ_{i < n} f(i)` in `f64`, rounded.
    fn sum(n: usize, f: impl Fn(usize) -> f64) -> f32 {
        (0..n).map(f).sum::<f64>() as f32
    }

    /// `y` and the last state.
    fn exact(&self) -> [Vec<f64>; 2] {
        let mut state: Vec<f64> = self.state.iter().map(|h| f64::from(*h)).collect();
        let mut y = Vec::new();
        for t in 0..self.tokens {
            for h in 0..self.heads {
                let dt = f64::from(self.dt[t * self.heads + h]);
                let decay = (dt * f64::from(self.rates[h])).exp();
                for p in 0..self.head_dim {
                    let mut sum = f64::from(self.skip[h]) * self.x(t, h, p);
                    for n in 0..self.channels {
                        let state = &mut state[(h * self.head_dim + p) * self.channels + n];
                        let write = dt * self.x(t, h, p) * self.of_head(&self.b, t, h, n);
                        *state = decay * *state + write;
                        sum += self.of_head(&self.c, t, h, n) * *state;
                    }
                    y.push(sum);
                }
            }
        }
        [y, state]
    }

    fn by_steps(&self) -> [Vec<f32>; 2] {
        let (mut state, mut y) = (self.state.clone(), vec![0.0; self.x.len()]);
        let (inner, mixed) = (self.heads * self.head_dim, self.groups * self.channels);
        for (t, y) in y.chunks_exact_mut(inner).enumerate() {
            let token = Token {
                x: &self.x[t * inner..][..inner],
                b: &self.b[t * mixed..][..mixed],
                c: &self.c[t * mixed..][..mixed],
                dt: &self.dt[t * self.heads..][..self.heads],
            };
            step(&mut state, token, &self.rates, &self.skip, y);
        }
        [y, state]
    }

    /// All tokens as one chunk, with the matrix products written out.
    fn by_chunk(&self) -> [Vec<f32>; 2] {
        let (heads, head_dim, channels) = (self.heads, self.head_dim, self.channels);
        let decays = Decays::new(&self.dt, &self.rates);
        let first_heads = (0..self.groups).map(|g| g * (heads / self.groups));
        let pairs = first_heads.flat_map(|h| {
            (0..self.tokens).flat_map(move |t| (0..self.tokens).map(move |s| (h, t, s)))
        });
        let scores: Vec<f32> = pairs
            .map(|(h, t, s)| {
                let product = |n| self.of_head(&self.c, t, h, n) * self.of_head(&self.b, s, h, n);
                Self::sum(channels, product)
            })
            .collect();
        let mixing = decays.mix(&scores, &self.skip);
        let mut weighed = self.x.clone();
        decays.weigh(&mut weighed);

        let mut near = Vec::new();
        let mut written = Vec::new();
        let mut far = vec![0.0; self.x.len()];
        for h in 0..heads {
            for t in 0..self.tokens {
                let row = &mixing[(h * self.tokens + t) * self.tokens..][..self.tokens];
                assert!(row[t + 1..].iter().all(|m| *m == 0.0), "nothing is read ahead");
                near.extend(
                    (0..head_dim)
                        .map(|p| Self::sum(self.tokens, |s| f64::from(row[s]) * self.x(s, h, p))),
                );
            }
            for p in 0..head_dim {
                let state = &self.state[(h * head_dim + p) * channels..][..channels];
                for t in 0..self.tokens {
                    let (group, of_group) = (h / (heads / self.groups), h % (heads / self.groups));
                    let row = (group * self.tokens + t) * (heads / self.groups) + of_group;
                    far[row * head_dim + p] = Self::sum(channels, |n| {
                        self.of_head(&self.c, t, h, n) * f64::from(state[n])
                    });
                }
                written.extend((0..channels).map(|n| {
                    Self::sum(self.tokens, |s| {
                        f64::from(weighed[(s * heads + h) * head_dim + p])
                            * self.of_head(&self.b, s, h, n)
                    })
                }));
            }
        }
        let mut y = vec![0.0; near.len()];
        decays.read(&near, Some(&far), self.groups, &mut y);
        let mut state = self.state.clone();
        decays.carry(&mut state, &written);
        [y, state]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// 2e-6 of the largest number (or of 1): some ten roundings of `f32`. It does not hold for a chunk
    /// whose sums of `Δ·A` are kept in one `f32` each.
    #[test]
    fn steps_and_chunk_equal_the_recurrence(
        sizes in (1_usize..4, 1_usize..4, 1_usize..20, 1_usize..40, 1_usize..40),
    ) {
        let case = case(sizes);
        let exact = case.exact();
        for (way, found) in [("steps", case.by_steps()), ("chunk", case.by_chunk())] {
            for (what, (found, exact)) in ["y", "state"].iter().zip(found.iter().zip(&exact)) {
                let worst = worst(found, exact);
                let size = exact.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
                prop_assert!(worst < 2e-6 * size, "{way}, {what}: {worst:e} of {size}");
            }
        }
    }

    /// Against `f64` where nothing is clipped, to a few roundings; the limits hold.
    #[test]
    fn time_steps_are_softplus_within_limits(raw in prop::collection::vec(-30.0_f32..60.0, 1..80)) {
        let bias = [0.25];
        let steps = time_steps(Columns::all(&raw, 1), &bias, [0.0, f32::INFINITY]);
        let clipped = time_steps(Columns::all(&raw, 1), &bias, [0.01, 1.5]);
        for ((raw, step), clipped) in raw.iter().zip(&steps).zip(clipped) {
            let exact = f64::from(raw + bias[0]).exp().ln_1p();
            prop_assert!((f64::from(*step) - exact).abs() < 3e-7 * exact);
            prop_assert_eq!(clipped, step.clamp(0.01, 1.5));
        }
    }
}

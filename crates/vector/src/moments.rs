//! Sums of magnitudes and squares, neuron by neuron.

use rayon::prelude::*;

use crate::wide::vectorised;

/// Neurons whose sums stay in registers while the tokens go by.
const LANES: usize = 16;
/// Neurons of a task.
const NEURONS_PER_TASK: usize = 4 * LANES;
/// Entries below which handing out tasks costs more than it saves.
const WORTH_SHARING: usize = 1 << 16;

/// Adds `|h_ti|` and `h_ti²` to the sums of every neuron `i`, in `f64`, token after token.
///
/// # Shapes
/// - `h`: `[tokens, neurons]`
/// - `magnitude`, `energy`: `[neurons]`
///
/// # Panics
/// Where the sums are of different lengths.
pub fn add_moments(h: &[f32], magnitude: &mut [f64], energy: &mut [f64]) {
    assert_eq!(magnitude.len(), energy.len(), "both sums for each neuron");
    if h.len() < WORTH_SHARING {
        return add_columns(h, 0, magnitude.len(), magnitude, energy);
    }
    let neurons = magnitude.len();
    magnitude
        .par_chunks_mut(NEURONS_PER_TASK)
        .zip(energy.par_chunks_mut(NEURONS_PER_TASK))
        .enumerate()
        .for_each(|(task, (magnitude, energy))| {
            add_columns(h, task * NEURONS_PER_TASK, neurons, magnitude, energy);
        });
}

vectorised! {
    /// The columns from `first` on, as many as there are sums.
    fn add_columns<'a>(
        h: &'a [f32],
        first: usize,
        neurons: usize,
        magnitude: &'a mut [f64],
        energy: &'a mut [f64],
    ) -> () {
        let blocks = magnitude.chunks_mut(LANES).zip(energy.chunks_mut(LANES));
        for (block, (magnitude, energy)) in blocks.enumerate() {
            let first = first + block * LANES;
            let rows = h.chunks_exact(neurons);
            match (magnitude.as_mut_array::<LANES>(), energy.as_mut_array::<LANES>()) {
                (Some(magnitude), Some(energy)) => add_block(rows, first, magnitude, energy),
                _ => rows.for_each(|row| {
                    let sums = magnitude.iter_mut().zip(energy.iter_mut());
                    row[first..].iter().zip(sums).for_each(|(h, sums)| add(*h, sums));
                }),
            }
        }
    }
}

#[inline(always)]
fn add_block<'a>(
    rows: impl Iterator<Item = &'a [f32]>,
    first: usize,
    magnitude: &mut [f64; LANES],
    energy: &mut [f64; LANES],
) {
    // Copies, so that the compiler keeps them in registers.
    let (mut magnitudes, mut energies) = (*magnitude, *energy);
    for row in rows {
        let sums = magnitudes.iter_mut().zip(&mut energies);
        for (h, sums) in row[first..][..LANES].iter().zip(sums) {
            add(*h, sums);
        }
    }
    (*magnitude, *energy) = (magnitudes, energies);
}

#[inline(always)]
fn add(h: f32, (magnitude, energy): (&mut f64, &mut f64)) {
    let h = f64::from(h);
    *magnitude += h.abs();
    *energy += h * h;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// The same bits as one loop over tokens and neurons: every neuron's tokens are added in order.
        #[test]
        fn equals_naive(tokens in 0_usize..300, neurons in 1_usize..500, salt in 0_usize..1000) {
            let value = |i: usize| (((i + salt) * 7919 % 8191) as f32 - 4096.0) / 511.0;
            let h: Vec<f32> = (0..tokens * neurons).map(value).collect();
            let (mut magnitude, mut energy) = (vec![0.25; neurons], vec![0.5; neurons]);
            let (mut expected, mut squares) = (magnitude.clone(), energy.clone());
            for row in h.chunks(neurons) {
                for (i, h) in row.iter().enumerate() {
                    expected[i] += f64::from(h.abs());
                    squares[i] += f64::from(*h) * f64::from(*h);
                }
            }
            add_moments(&h, &mut magnitude, &mut energy);
            prop_assert_eq!((magnitude, energy), (expected, squares));
        }
    }
}

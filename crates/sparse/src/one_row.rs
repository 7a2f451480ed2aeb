//! Products of one row with matrices: what decoding token by token consists of. They are as fast as memory
//! is read, so what need not be read is what saves time.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::{
    Map, Rows,
    lines::{add_rows, dot_rows},
};

/// Parts of a matrix that lies by its inputs: each is added up by itself, then they are added in order.
const PARTS: usize = 16;
/// Tasks of one that lies by its outputs.
const TASKS: usize = 64;
/// Bytes that are worth a task.
const TASK_BYTES: usize = 1 << 16;

/// What is done with inputs that are exactly zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zeros {
    /// Their weights are read and multiplied, as with any other.
    Read,
    /// Their weights are not read, where a matrix lies by its inputs.
    Skip,
}

/// `x·W` for several `W` that read the same row, in one go over all threads.
///
/// Both ways with zeros give the same bits: a row of weights times zero adds nothing to a sum, and where
/// parts of a sum end hangs on the shape alone, neither on zeros nor on threads.
///
/// # Shapes
/// - `x`: `[d_in]`
/// - returns: `[d_out]` of every map
///
/// # Panics
/// Where a map has another number of inputs.
pub fn products(x: &[f32], maps: &[Map<'_>], zeros: Zeros) -> Vec<Vec<f32>> {
    let mut outputs: Vec<Vec<f32>> = maps.iter().map(|map| vec![0.0; sums(map)]).collect();
    let mut tasks = Vec::new();
    for (map, out) in maps.iter().zip(&mut outputs) {
        assert_eq!(x.len(), map.inputs(), "a number for every input");
        tasks.extend(tasks_of(map, x, out, zeros));
    }
    run(tasks);
    for (map, out) in maps.iter().zip(&mut outputs) {
        add_parts(out, map.outputs());
    }
    outputs
}

/// The same for some outputs of a matrix that lies by them: the others are not read.
///
/// # Shapes
/// - `x`: `[d_in]`
/// - `rows`: `[d_out, d_in]`
/// - `picked`: outputs, each below `d_out`
/// - returns: one number for each of `picked`
pub fn picked_outputs(x: &[f32], rows: Rows<'_>, picked: &[u32]) -> Vec<f32> {
    let mut out = vec![0.0; picked.len()];
    let rows_a_task = (TASK_BYTES / rows.row_bytes().max(1)).max(1);
    let tasks = out.chunks_mut(rows_a_task).zip(picked.chunks(rows_a_task));
    run(tasks.map(|(out, picked)| Task::Picked { out, rows, x, picked }).collect());
    out
}

/// `x·W`, one multiplication after the other: the oracle.
pub fn product_naive(x: &[f32], w: &[f32], d_out: usize) -> Vec<f32> {
    let mut out = vec![0.0; d_out];
    for (x, row) in x.iter().zip(w.chunks_exact(d_out.max(1))) {
        for (out, w) in out.iter_mut().zip(row) {
            *out += x * w;
        }
    }
    out
}

/// Numbers that a product is added up in.
fn sums(map: &Map<'_>) -> usize {
    match map {
        Map::ByInput(rows) => rows.width * rows.count.div_ceil(rows_of_a_part(*rows)).max(1),
        Map::ByOutput(rows) => rows.count,
    }
}

fn rows_of_a_part(rows: Rows<'_>) -> usize {
    rows.count.div_ceil(PARTS).max(TASK_BYTES / rows.row_bytes().max(1)).max(1)
}

/// Some of the work of a product.
enum Task<'a> {
    /// A part of the sum over inputs, from `first`.
    Part { out: &'a mut [f32], rows: Rows<'a>, first: usize, x: &'a [f32], zeros: Zeros },
    /// Outputs, from `first`.
    Outputs { out: &'a mut [f32], rows: Rows<'a>, first: usize, x: &'a [f32] },
    /// Outputs here and there.
    Picked { out: &'a mut [f32], rows: Rows<'a>, x: &'a [f32], picked: &'a [u32] },
}

impl Task<'_> {
    /// Bytes of weights that it reads; what is skipped is not among them.
    fn bytes(&self) -> usize {
        match self {
            Self::Part { rows, x, zeros: Zeros::Read, .. } => x.len() * rows.row_bytes(),
            Self::Part { rows, x, .. } => {
                x.iter().filter(|x| **x != 0.0).count() * rows.row_bytes()
            }
            Self::Outputs { out, rows, .. } | Self::Picked { out, rows, .. } => {
                out.len() * rows.row_bytes()
            }
        }
    }

    fn run(self) {
        match self {
            Self::Part { out, rows, first, x, zeros } => {
                let scaled = x.iter().enumerate().map(|(i, x)| (first + i, *x));
                match zeros {
                    Zeros::Read => add_rows(out, rows, scaled),
                    Zeros::Skip => add_rows(out, rows, scaled.filter(|(_, x)| *x != 0.0)),
                }
            }
            Self::Outputs { out, rows, first, x } => dot_rows(out, rows, x, first..),
            Self::Picked { out, rows, x, picked } => {
                dot_rows(out, rows, x, picked.iter().map(|row| *row as usize));
            }
        }
    }
}

fn tasks_of<'a>(map: &Map<'a>, x: &'a [f32], out: &'a mut [f32], zeros: Zeros) -> Vec<Task<'a>> {
    match *map {
        Map::ByInput(rows) => {
            let each = rows_of_a_part(rows);
            let parts = out.chunks_mut(rows.width.max(1)).zip(x.chunks(each)).enumerate();
            parts
                .map(|(part, (out, x))| Task::Part { out, rows, first: part * each, x, zeros })
                .collect()
        }
        Map::ByOutput(rows) => {
            let least = TASK_BYTES / rows.row_bytes().max(1);
            let each = rows.count.div_ceil(TASKS).max(least).max(1);
            let tasks = out.chunks_mut(each).enumerate();
            tasks.map(|(task, out)| Task::Outputs { out, rows, first: task * each, x }).collect()
        }
    }
}

/// Bytes of weights that products with one row have read in this process.
static READ: AtomicU64 = AtomicU64::new(0);

/// Bytes of weights that [`products`] and [`picked_outputs`] have read in this process so far: what was read
/// between two calls is their difference.
pub fn weight_bytes_read() -> u64 {
    READ.load(Ordering::Relaxed)
}

/// On all threads where there is enough to read for more than one.
fn run(tasks: Vec<Task<'_>>) {
    let bytes: usize = tasks.iter().map(Task::bytes).sum();
    READ.fetch_add(bytes as u64, Ordering::Relaxed);
    if bytes <= 2 * TASK_BYTES {
        tasks.into_iter().for_each(Task::run);
    } else {
        tasks.into_par_iter().with_max_len(1).for_each(Task::run);
    }
}

/// Adds the parts of a sum to the first of them, in their order, which then stands alone.
fn add_parts(sums: &mut Vec<f32>, width: usize) {
    let (first, others) = sums.split_at_mut(width);
    for part in others.chunks_exact(width.max(1)) {
        for (sum, part) in first.iter_mut().zip(part) {
            *sum += part;
        }
    }
    sums.truncate(width);
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;
    use crate::Stored;

    fn value(i: usize, seed: u32) -> f32 {
        ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16) as f32 / 65_536.0 - 0.5
    }

    /// The largest difference of two lists, as a share of the largest number that any sum could reach.
    fn apart(found: &[f32], expected: &[f32], reach: f32) -> f32 {
        assert_eq!(found.len(), expected.len());
        let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / reach);
        differences.fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// All layouts and number types, with and without zeros, wide and narrow, rows apart.
        ///
        /// Sums of up to 700 products of halves, in another order: 1e-5 of the sum of their sizes is some
        /// 80 units in the last place. Skipping zeros changes no bit.
        #[test]
        fn equals_naive(
            inputs in prop::sample::select(vec![1_usize, 7, 64, 130, 700]),
            outputs in prop::sample::select(vec![1_usize, 5, 16, 77, 300]),
            gap in 0_usize..3,
            zeros in 0_u32..=10,
            seed in 0_u32..1000,
        ) {
            let x: Vec<f32> = (0..inputs)
                .map(|i| if (i as u32 * 7 + seed) % 10 < zeros { 0.0 } else { value(i, seed) })
                .collect();
            let reach = x.iter().map(|x| x.abs()).sum::<f32>().max(1.0);
            for by_input in [true, false] {
                let (count, width) = if by_input { (inputs, outputs) } else { (outputs, inputs) };
                let stride = width + gap;
                let full: Vec<f32> = (0..count * stride).map(|i| value(i, seed + 1)).collect();
                let brain: Vec<bf16> = full.iter().map(|w| bf16::from_f32(*w)).collect();
                let ieee: Vec<f16> = full.iter().map(|w| f16::from_f32(*w)).collect();
                for stored in [Stored::F32(&full), Stored::Bf16(&brain), Stored::F16(&ieee)] {
                    let rows = Rows::new(stored, count, width, stride);
                    let map = if by_input { Map::ByInput(rows) } else { Map::ByOutput(rows) };
                    let naive = product_naive(&x, &map.to_f32(), outputs);
                    let found = products(&x, &[map, map], Zeros::Read);
                    prop_assert!(apart(&found[0], &naive, reach) < 1e-5);
                    prop_assert_eq!(&found[0], &found[1]);
                    prop_assert_eq!(&found, &products(&x, &[map, map], Zeros::Skip));
                    if !by_input {
                        let picked: Vec<u32> = (0..outputs as u32).filter(|o| o % 3 != 1).collect();
                        let some = picked_outputs(&x, rows, &picked);
                        let all = picked.iter().map(|o| found[0][*o as usize]).collect::<Vec<_>>();
                        prop_assert_eq!(some, all, "a row is multiplied as it is among all");
                    }
                }
            }
        }
    }

    /// More than one task, and the same bits whatever the number of threads.
    #[test]
    fn threads_change_no_bit() {
        let (inputs, outputs) = (900, 400);
        let w: Vec<f32> = (0..inputs * outputs).map(|i| value(i, 3)).collect();
        let x: Vec<f32> = (0..inputs).map(|i| value(i, 4).max(0.0)).collect();
        let by_input = Map::ByInput(Rows::new(Stored::F32(&w), inputs, outputs, outputs));
        let by_output = Map::ByOutput(Rows::new(Stored::F32(&w), outputs, inputs, inputs));
        let with = |threads, zeros| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| products(&x, &[by_input, by_output], zeros))
        };
        let alone = with(1, Zeros::Read);
        assert_eq!(alone, with(3, Zeros::Read));
        assert_eq!(alone, with(2, Zeros::Skip));
    }

    /// What is counted is what is read. Other tests count too, so that it is at least that.
    #[test]
    fn bytes_are_counted_where_they_are_read() {
        let (inputs, outputs) = (50, 30);
        let w = vec![1.0; inputs * outputs];
        let map = Map::ByInput(Rows::new(Stored::F32(&w), inputs, outputs, outputs));
        let mut x = vec![0.0; inputs];
        x[3] = 1.0;
        let bytes = |zeros| {
            let mut out = vec![0.0; sums(&map)];
            let tasks = tasks_of(&map, &x, &mut out, zeros);
            tasks.iter().map(Task::bytes).sum::<usize>()
        };
        assert_eq!(bytes(Zeros::Read), inputs * outputs * 4);
        assert_eq!(bytes(Zeros::Skip), outputs * 4);
        let before = weight_bytes_read();
        products(&x, &[map], Zeros::Skip);
        assert!(weight_bytes_read() >= before + outputs as u64 * 4);
    }

    #[test]
    fn nothing_is_a_product_too() {
        let map = Map::ByInput(Rows::new(Stored::F32(&[]), 0, 4, 4));
        assert_eq!(products(&[], &[map], Zeros::Read), [vec![0.0; 4]]);
        assert!(picked_outputs(&[1.0], Rows::new(Stored::F32(&[2.0]), 1, 1, 1), &[]).is_empty());
    }
}

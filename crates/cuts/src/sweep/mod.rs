//! The sweep over the inputs of a matrix that SparseGPT and GPTQ share: what an input's weights lose is
//! spread over the inputs to its right.

use std::ops::Range;

use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};
use rayon::prelude::*;

use crate::{
    CutError, Grid, Matrix, Pattern, Rounding,
    factor::Factor,
    kept_count,
    select::{keep_largest, keep_n_of_m},
};

/// Inputs whose mask is chosen together, and whose errors reach the inputs behind them in one product.
pub(crate) const BLOCK: usize = 128;

/// Outputs that one thread takes at a time.
const ROWS: usize = 64;

/// What happens to the weights on the way.
pub(crate) struct Sweep<'a> {
    /// Of the inputs.
    pub(crate) factor: &'a Factor,
    /// Which weights go; those that are kept already without.
    pub(crate) pattern: Option<Pattern>,
    /// What those that stay are rounded to.
    pub(crate) rounding: Option<Rounding>,
    /// Whether weights that are zero stay so, since an earlier step made them.
    pub(crate) zeros_stay: bool,
}

/// Some outputs of the matrix. All that is done to an output is its own affair but for the choice of masks,
/// so these are worked on in parallel.
struct Strip {
    /// `[inputs, outputs]`, row-major: the weights of an input lie side by side.
    weights: Vec<f64>,
    /// As `weights`: whether an earlier step made them zero.
    gone: Vec<bool>,
    /// As `weights`: whether they stay.
    kept: Vec<bool>,
    /// Of every output: the grid of the group that the sweep is in.
    grids: Vec<Grid>,
    /// Number of outputs.
    width: usize,
}

impl Sweep<'_> {
    /// Frantar & Alistarh 2023 (arXiv:2301.00774, SparseGPT) and Frantar et al. 2022 (arXiv:2210.17323,
    /// GPTQ). With `U` the factor of the inverse second derivatives, input by input, `j` from the left:
    ///
    /// ```text
    /// ŵ_j = 0 where the mask drops it, the nearest point of the grid of its group where there is one
    /// e = (w_j − ŵ_j) / U_jj;   w_k −= e·U_jk for all k > j
    /// ```
    ///
    /// A share is dropped of every block of 128 inputs, pooled over all outputs: the smallest `w²/U_jj²` as
    /// they are when the block is reached. Of `n:m`, and for the grid of a group, what counts are the
    /// weights when its first input is reached. Errors reach the inputs behind a block in one matrix
    /// product, which changes nothing but the order of the sums.
    ///
    /// # Errors
    /// Where weights are no longer finite.
    pub(crate) fn run(&self, matrix: &Matrix) -> Result<Matrix, CutError> {
        let (rows, inputs) = (matrix.rows, matrix.columns);
        let diagonal = self.factor.diagonal();
        let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
        let strips = starts.par_iter().map(|start| self.strip(matrix, *start));
        let mut strips: Vec<Strip> = strips.collect();
        for segment in self.segments(inputs) {
            if let Some(Pattern::Share(share)) = self.pattern
                && segment.start.is_multiple_of(BLOCK)
            {
                let block = segment.start..(segment.start + BLOCK).min(inputs);
                choose_pooled(&mut strips, block, &diagonal, share, rows);
            }
            let upper = Block::of(self.factor, &segment);
            strips.par_iter_mut().for_each(|strip| {
                let errors = self.within(strip, &segment, &upper, &diagonal);
                self.behind(strip, &segment, &errors);
            });
        }
        let mut values = vec![0.0; matrix.values.len()];
        values.par_chunks_mut(ROWS * inputs).zip(&strips).for_each(|(values, strip)| {
            for (row, values) in values.chunks_exact_mut(inputs).enumerate() {
                for (input, value) in values.iter_mut().enumerate() {
                    *value = strip.weights[input * strip.width + row] as f32;
                }
            }
        });
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(Matrix { values, ..matrix.clone() }),
            false => Err(CutError::NonFinite { matrix: matrix.name.to_string(), what: "a weight" }),
        }
    }

    /// The outputs from `start` on, without the weights of inputs that are always zero.
    fn strip(&self, matrix: &Matrix, start: usize) -> Strip {
        let (inputs, width) = (matrix.columns, ROWS.min(matrix.rows - start));
        let mut weights = vec![0.0; inputs * width];
        for row in 0..width {
            for (input, weight) in matrix.row(start + row).iter().enumerate() {
                weights[input * width + row] = f64::from(*weight);
            }
        }
        let gone: Vec<bool> =
            weights.iter().map(|weight| self.zeros_stay && *weight == 0.0).collect();
        let kept = gone.iter().map(|gone| !gone).collect();
        for (weights, dead) in weights.chunks_exact_mut(width).zip(&self.factor.dead) {
            if *dead {
                weights.fill(0.0);
            }
        }
        Strip { weights, gone, kept, grids: Vec::new(), width }
    }

    /// Runs of inputs after which errors reach those behind: blocks, and shorter where a group begins in
    /// one block and ends in another, since its weights must stand as they then are.
    fn segments(&self, inputs: usize) -> Vec<Range<usize>> {
        let mut starts: Vec<usize> = (0..inputs).step_by(BLOCK).collect();
        let mut groups = Vec::new();
        groups.extend(self.rounding.map(|rounding| rounding.group));
        if let Some(Pattern::NofM { m, .. }) = self.pattern {
            groups.push(m);
        }
        for group in groups {
            let crosses = |start: &usize| start / BLOCK != (start + group - 1) / BLOCK;
            starts.extend((0..inputs).step_by(group).filter(crosses));
        }
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().skip(1).copied().chain([inputs]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    }

    /// One segment input by input; what the weights lost, over `U_jj`: `[segment, outputs]`.
    fn within(
        &self,
        strip: &mut Strip,
        segment: &Range<usize>,
        upper: &Block,
        diagonal: &[f64],
    ) -> Vec<f64> {
        let width = strip.width;
        let mut errors = vec![0.0; segment.len() * width];
        for input in segment.clone() {
            self.begin_groups(strip, input, diagonal);
            let row = &upper.0[(input - segment.start) * segment.len()..][..segment.len()];
            let (now, later) = strip.weights[input * width..].split_at_mut(width);
            let errors = &mut errors[(input - segment.start) * width..][..width];
            let kept = &strip.kept[input * width..][..width];
            for (output, (weight, error)) in now.iter_mut().zip(&mut *errors).enumerate() {
                let left = match (kept[output], self.rounding) {
                    (false, _) => 0.0,
                    (true, None) => *weight,
                    (true, Some(_)) => strip.grids[output].round(*weight),
                };
                *error = (*weight - left) / diagonal[input];
                *weight = left;
            }
            let ahead = &row[input - segment.start + 1..];
            for (u, weights) in ahead.iter().zip(later.chunks_exact_mut(width)) {
                for (weight, error) in weights.iter_mut().zip(&*errors) {
                    *weight -= u * error;
                }
            }
        }
        errors
    }

    /// Masks and grids of the groups that begin at an input.
    fn begin_groups(&self, strip: &mut Strip, input: usize, diagonal: &[f64]) {
        let (width, inputs) = (strip.width, diagonal.len());
        if let Some(Rounding { bits, group }) = self.rounding
            && input.is_multiple_of(group)
        {
            let members = input..(input + group).min(inputs);
            // What was spread on a zero of an earlier step is on its way further, so it has no say here.
            let stands = |at: usize| match strip.gone[at] {
                true => 0.0,
                false => strip.weights[at],
            };
            let grid = |output: usize| {
                Grid::of(members.clone().map(|member| stands(member * width + output)), bits)
            };
            strip.grids = (0..width).map(grid).collect();
        }
        if let Some(Pattern::NofM { n, m }) = self.pattern
            && input.is_multiple_of(m)
        {
            let (mut scores, mut kept) = (vec![0.0; m], vec![false; m]);
            for output in 0..width {
                for (member, score) in scores.iter_mut().enumerate() {
                    *score = strip.score(input + member, output, diagonal);
                }
                keep_n_of_m(&scores, [n, m], &mut kept);
                for (member, kept) in kept.iter().enumerate() {
                    strip.kept[(input + member) * width + output] = *kept;
                }
            }
        }
    }

    /// Spreads the errors of a segment over all inputs behind it: `W −= Uᵀ·E`.
    fn behind(&self, strip: &mut Strip, segment: &Range<usize>, errors: &[f64]) {
        let (width, inputs) = (strip.width, self.factor.dead.len());
        let behind = inputs - segment.end;
        if behind == 0 {
            return;
        }
        let weights = &mut strip.weights[segment.end * width..];
        let weights = MatMut::from_row_major_slice_mut(weights, behind, width);
        let upper = self.factor.upper.submatrix(segment.start, segment.end, segment.len(), behind);
        let errors = MatRef::from_row_major_slice(errors, segment.len(), width);
        matmul(weights, Accum::Add, upper.transpose(), errors, -1.0, Par::Seq);
    }
}

impl Strip {
    /// `w²/U_jj²`: the increase of the squared error where the weight goes and those behind it take up what
    /// they can; −∞ where it is gone already.
    fn score(&self, input: usize, output: usize, diagonal: &[f64]) -> f64 {
        let at = input * self.width + output;
        match self.gone[at] {
            true => f64::NEG_INFINITY,
            false => (self.weights[at] / diagonal[input]).powi(2),
        }
    }
}

/// The part of `U` within a segment, row-major.
struct Block(Vec<f64>);

impl Block {
    fn of(factor: &Factor, segment: &Range<usize>) -> Self {
        let entry = |i| segment.clone().map(move |j| factor.upper[(i, j)]);
        Self(segment.clone().flat_map(entry).collect())
    }
}

/// The mask of a block: the largest scores stay, pooled over all outputs, ties to the lowest output and
/// then the lowest input.
fn choose_pooled(
    strips: &mut [Strip],
    block: Range<usize>,
    diagonal: &[f64],
    share: f64,
    rows: usize,
) {
    let mut scores = vec![0.0; rows * block.len()];
    scores.par_chunks_mut(ROWS * block.len()).zip(&*strips).for_each(|(scores, strip)| {
        for (output, scores) in scores.chunks_exact_mut(block.len()).enumerate() {
            for (input, score) in block.clone().zip(scores) {
                *score = strip.score(input, output, diagonal);
            }
        }
    });
    let mut kept = vec![false; scores.len()];
    keep_largest(&scores, kept_count(scores.len(), share), &mut kept);
    strips.par_iter_mut().zip(kept.par_chunks(ROWS * block.len())).for_each(|(strip, kept)| {
        for (output, kept) in kept.chunks_exact(block.len()).enumerate() {
            for (input, kept) in block.clone().zip(kept) {
                strip.kept[input * strip.width + output] = *kept;
            }
        }
    });
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

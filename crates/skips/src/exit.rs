//! Early exit: a token is predicted from a layer before the last (docs/SPEC.md section 13).
//!
//! At the end of every layer the final norm and the head say what would be predicted there. All layers are
//! computed for all tokens and the streams of those that left are put in their place afterwards, so nothing
//! is saved in time; what is measured is what leaving costs.

use models::{
    Dense, Executor, ExecutorError, FfnSite, FirstChoice, LayerEnd, Tensor, Values, first_choices,
    matrix,
};

use crate::{Measuring, Shares, shares::Tally};

/// When a token leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExitRule {
    /// At the first layer whose largest probability is at least this threshold, τ (CALM, Schuster et al.
    /// 2022, arXiv:2207.07061, without its decay).
    Confidence(f64),
    /// At the first layer that ends so many layers in a row with one argmax, m (PABEE, Zhou et al. 2020,
    /// arXiv:2006.04152, with the model's own head in place of trained ones).
    Patience(usize),
}

/// What the tokens that follow see of a token that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitMode {
    /// Its stream as all layers make it.
    FullContext,
    /// Its exit stream, in every later layer.
    Propagate,
}

/// The argmax of one token through the layers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    last: Option<u32>,
    /// Layers in a row with this argmax.
    run: usize,
}

impl ExitRule {
    /// Whether a token leaves at a layer of this choice, which is added to its course.
    pub(crate) fn leaves(self, course: &mut Course, choice: &FirstChoice) -> bool {
        let is_same = course.last == Some(choice.id);
        *course = Course { last: Some(choice.id), run: if is_same { course.run + 1 } else { 1 } };
        match self {
            Self::Confidence(threshold) => choice.probability >= threshold,
            Self::Patience(layers) => course.run >= layers,
        }
    }
}

/// Lets tokens leave; feed-forward blocks, states and attention are computed as they are.
pub struct Exiting {
    rule: ExitRule,
    mode: ExitMode,
    /// Layers of the model.
    layers: usize,
    batch: Running,
    tally: Tally,
}

/// The tokens of the batch that is running, row by row.
#[derive(Default)]
struct Running {
    courses: Vec<Course>,
    /// The layer at which each left.
    left_at: Vec<Option<usize>>,
    /// `[tokens, d_model]`: the exit streams of those that left.
    streams: Vec<f32>,
}

impl Clone for Exiting {
    fn clone(&self) -> Self {
        Self::new(self.rule, self.mode, self.layers)
    }
}

impl Exiting {
    /// Runs a model of so many layers.
    pub fn new(rule: ExitRule, mode: ExitMode, layers: usize) -> Self {
        Self { rule, mode, layers, batch: Running::default(), tally: Tally::default() }
    }

    /// Rows that leave at this layer, by what would be predicted there.
    fn leaving(
        &mut self,
        end: &LayerEnd<'_>,
        stream: &Tensor<2>,
    ) -> Result<Vec<usize>, ExecutorError> {
        let rows = self.batch.left_at.iter().enumerate();
        let staying: Vec<usize> = rows.filter(|(_, at)| at.is_none()).map(|(row, _)| row).collect();
        if staying.is_empty() {
            return Ok(staying);
        }
        let hidden = end.model.finish(rows_of(stream, &staying));
        let choices = first_choices(end.model, hidden)?;
        let (rule, courses) = (self.rule, &mut self.batch.courses);
        let leaves =
            |(row, choice): &(usize, &FirstChoice)| rule.leaves(&mut courses[*row], choice);
        Ok(staying.into_iter().zip(&choices).filter(leaves).map(|(row, _)| row).collect())
    }

    /// Counts the layers of every sequence, once all have run.
    fn count(&mut self, end: &LayerEnd<'_>) {
        for (shares, rows) in self.tally.sequences.iter_mut().zip(end.batch.sequences()) {
            let left_at = &self.batch.left_at[rows];
            let layers = left_at.iter().map(|at| at.map_or(self.layers, |layer| layer + 1));
            let run = layers.sum::<usize>() as u64;
            shares.entries += (left_at.len() * self.layers) as u64;
            shares.kept += run;
            shares.exit_tokens += left_at.len() as u64;
            shares.exit_layers += run;
        }
    }
}

/// Some rows of a matrix, of which there is one at least.
fn rows_of(x: &Tensor<2>, rows: &[usize]) -> Tensor<2> {
    let [all, width] = x.dims();
    if rows.len() == all {
        return x.clone();
    }
    let values = Values::of(x.clone());
    let row = |row: &usize| values[row * width..(row + 1) * width].iter().copied();
    matrix(rows.iter().flat_map(row).collect(), [rows.len(), width], &x.device())
}

impl Running {
    fn new(tokens: usize, width: usize) -> Self {
        Self {
            courses: vec![Course::default(); tokens],
            left_at: vec![None; tokens],
            streams: vec![0.0; tokens * width],
        }
    }

    /// Keeps the streams of rows that leave at a layer.
    fn keep(&mut self, layer: usize, rows: &[usize], stream: &Tensor<2>) {
        if rows.is_empty() {
            return;
        }
        let [_, width] = stream.dims();
        let values = Values::of(stream.clone());
        for row in rows {
            let own = row * width..(row + 1) * width;
            self.streams[own.clone()].copy_from_slice(&values[own]);
            self.left_at[*row] = Some(layer);
        }
    }

    /// The stream with those that left as they left.
    fn put_back(&self, stream: Tensor<2>) -> Tensor<2> {
        if self.left_at.iter().all(Option::is_none) {
            return stream;
        }
        let [_, width] = stream.dims();
        let mut values = Values::of(stream);
        let rows = values.chunks_exact_mut(width).zip(self.streams.chunks_exact(width));
        for ((row, kept), at) in rows.zip(&self.left_at) {
            if at.is_some() {
                row.copy_from_slice(kept);
            }
        }
        values.into_tensor()
    }
}

impl Executor for Exiting {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn layer_end(
        &mut self,
        end: &LayerEnd<'_>,
        stream: Tensor<2>,
    ) -> Result<Tensor<2>, ExecutorError> {
        self.tally.meet(end.layer, end.batch);
        if end.layer == 0 {
            let [tokens, width] = stream.dims();
            self.batch = Running::new(tokens, width);
        }
        // The last layer predicts whatever has not left.
        if end.layer + 1 == self.layers {
            self.count(end);
            return Ok(self.batch.put_back(stream));
        }
        let leaving = self.leaving(end, &stream)?;
        self.batch.keep(end.layer, &leaving, &stream);
        Ok(match self.mode {
            ExitMode::Propagate => self.batch.put_back(stream),
            ExitMode::FullContext => stream,
        })
    }
}

impl Measuring for Exiting {
    fn take_shares(&mut self) -> Vec<Shares> {
        self.tally.take()
    }

    fn takes_pieces(&self) -> bool {
        true
    }
}

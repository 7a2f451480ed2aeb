//! Cuts of single entries (docs/SPEC.md section 10), one file a method.

mod by_score;
mod magnitude;
mod obd;
mod random;
mod sparsegpt;
mod wanda;
mod whole_model;

pub use magnitude::Magnitude;
pub use obd::Obd;
pub use random::Random;
pub use wanda::Wanda;

use crate::{
    CutError, Gram, Index, Matrix, Needs, Pattern, Rounding, Slim, StoredMatrix, Watch,
    calibration::{cut_each, cut_owned},
    names::by_name,
};
use whole_model::Threshold;

/// Among which entries a score decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Those of one output.
    Row,
    /// Those of one matrix.
    Matrix,
    /// Those of all matrices of the model.
    Model,
}

/// What a score may look at: the weights of one output.
#[derive(Clone, Copy, Debug)]
pub struct ScoredRow<'a> {
    /// Name of the matrix in the checkpoint.
    pub name: &'a str,
    /// The output.
    pub row: usize,
    /// `[inputs]`.
    pub weights: &'a [f32],
    /// Σ x_j² over the calibration text, `[inputs]`; empty where inputs are not needed.
    pub squares: &'a [f64],
    /// Sequences of the calibration text.
    pub sequences: usize,
    /// For what is drawn.
    pub seed: u64,
}

/// A score of single weights; the largest stay.
pub trait WeightScore: Sync {
    /// What it asks of a calibration text.
    fn needs(&self) -> Needs;

    /// Among which entries it decides where a share is dropped.
    fn pool(&self) -> Pool;

    /// Scores of one output, at least 0.
    ///
    /// # Shapes
    /// - `scores`: `[inputs]`
    fn score(&self, row: &ScoredRow<'_>, scores: &mut [f64]);
}

/// How weights are chosen, and what happens to those that stay.
#[derive(Clone, Copy)]
pub enum WeightMethod {
    /// The entries of least score go, the others stay as they are.
    Score(&'static dyn WeightScore),
    /// Those that stay make up for what goes.
    SparseGpt,
    /// Of a matrix the same go, and those that stay are as they were.
    SparseGptMask,
}

/// All methods by their names.
pub const WEIGHTS: [(&str, WeightMethod); 8] = [
    ("magnitude", WeightMethod::Score(&Magnitude(Pool::Matrix))),
    ("magnitude-global", WeightMethod::Score(&Magnitude(Pool::Model))),
    ("magnitude-rows", WeightMethod::Score(&Magnitude(Pool::Row))),
    ("wanda", WeightMethod::Score(&Wanda)),
    ("obd", WeightMethod::Score(&Obd)),
    ("sparsegpt", WeightMethod::SparseGpt),
    ("sparsegpt-mask", WeightMethod::SparseGptMask),
    ("random", WeightMethod::Score(&Random)),
];

impl WeightMethod {
    /// The method of this name.
    ///
    /// # Errors
    /// No such method.
    pub fn named(name: &str) -> Result<Self, CutError> {
        by_name(name, &WEIGHTS)
    }

    /// What it asks of a calibration text.
    pub fn needs(self) -> Needs {
        match self {
            Self::Score(score) => score.needs(),
            Self::SparseGpt | Self::SparseGptMask => Needs::Products,
        }
    }
}

/// A cut of single weights.
#[derive(Clone, Copy)]
pub struct WeightCut {
    /// How they are chosen.
    pub method: WeightMethod,
    /// How many stay.
    pub pattern: Pattern,
    /// What those that stay are rounded to in the same sweep; `sparsegpt` only.
    pub rounding: Option<Rounding>,
    /// For `random`.
    pub seed: u64,
}

impl WeightCut {
    /// Without rounding, of seed 0.
    pub fn new(method: WeightMethod, pattern: Pattern) -> Self {
        Self { method, pattern, rounding: None, seed: 0 }
    }

    fn check(&self, slim: &Slim) -> Result<(), CutError> {
        self.pattern.check()?;
        for (name, matrix) in &slim.storage.matrices {
            self.pattern.check_inputs(name, matrix.columns)?;
        }
        match (self.rounding, self.method) {
            (Some(rounding), WeightMethod::SparseGpt) => rounding.check(),
            (Some(_), _) => Err(CutError::Setting {
                setting: "bits",
                reason: "only `sparsegpt` rounds in the same sweep; add a step that rounds"
                    .to_owned(),
            }),
            (None, _) => Ok(()),
        }
    }

    /// How a matrix is stored after it.
    fn stored(&self, old: &StoredMatrix) -> StoredMatrix {
        let index = match self.pattern {
            Pattern::Share(share) if share > 0.0 => Index::Bitmap,
            Pattern::Share(_) => old.index,
            Pattern::NofM { n, m } => Index::NofM { n, m },
        };
        // A mask leaves what stays on its grid, a sweep does not.
        let rounding = match self.method {
            WeightMethod::Score(_) | WeightMethod::SparseGptMask => old.rounding,
            WeightMethod::SparseGpt => self.rounding,
        };
        StoredMatrix { rounding, index, rank: None, ..*old }
    }
}

impl WeightCut {
    /// The model with single weights cut; `None` where it was stopped. What an earlier step made zero stays
    /// zero.
    ///
    /// # Shapes
    /// - `windows`: token ids of the calibration text, one sequence each; not looked at where the method
    ///   needs nothing
    ///
    /// # Errors
    /// Settings out of range, inputs that groups do not fill, no text where one is needed, or a model that
    /// overflows.
    pub fn apply(
        &self,
        slim: Slim,
        windows: &[Vec<u32>],
        watch: &Watch<'_>,
    ) -> Result<Option<Slim>, CutError> {
        self.check(&slim)?;
        let Slim { model, storage } = slim;
        let model = match (self.method, self.pattern) {
            (WeightMethod::Score(score), Pattern::Share(share)) if score.pool() == Pool::Model => {
                let mut threshold = Threshold::of(&*model, share);
                cut_each(&*model, watch, |matrix| threshold.clear(matrix))
            }
            _ => {
                let zeros_stay = |name: &str| storage.is_sparse(name);
                let cut = |matrices: Vec<Matrix>, gram: Option<&Gram>| {
                    self.cut_matrices(matrices, gram, &zeros_stay)
                };
                cut_owned(model, windows, self.method.needs(), watch, &cut)?
            }
        };
        Ok(model.map(|model| {
            let stored = |old: &StoredMatrix| self.stored(old);
            Slim { storage: storage.recounted(&*model, &stored), model }
        }))
    }

    /// The matrices that read one input.
    fn cut_matrices(
        &self,
        matrices: Vec<Matrix>,
        gram: Option<&Gram>,
        zeros_stay: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Vec<Matrix>, CutError> {
        match (self.method, gram) {
            (WeightMethod::Score(score), gram) => matrices
                .into_iter()
                .map(|matrix| by_score::cut(matrix, gram, score, self))
                .collect(),
            (WeightMethod::SparseGpt, Some(gram)) => {
                sparsegpt::cut(matrices, gram, self, zeros_stay)
            }
            (WeightMethod::SparseGptMask, Some(gram)) => {
                sparsegpt::mask(matrices, gram, self, zeros_stay)
            }
            (WeightMethod::SparseGpt | WeightMethod::SparseGptMask, None) => Err(CutError::NoText),
        }
    }
}

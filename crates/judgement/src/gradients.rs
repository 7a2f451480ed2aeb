//! Gradient against magnitude at the static end: does the slope of the loss choose a better set for the
//! whole run than the size of the activations does?

use plan::{Part, Policy, Protocol, Score};
use serde::Serialize;

use crate::perplexity::PerplexityTable;
use crate::quadrants::{Line, Value, of_perplexity, unequal_at};
use crate::unequal::UnequalAt;

/// Scores side by side, in the order of the table.
pub const SCORES: [Score; 5] =
    [Score::Magnitude, Score::Impact, Score::Taylor, Score::Fisher, Score::Random];
const GRADIENTS: [Score; 2] = [Score::Taylor, Score::Fisher];
/// A model whose perplexity is this many times dense is lost.
pub const LOST: f64 = 10.0;

/// The static FFN rows of one model, dataset and protocol by these scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gradients {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How it was cut.
    pub protocol: Protocol,
    /// Sparsities at which there is a gradient and magnitude, ascending.
    pub sparsities: Vec<f64>,
    /// One a score.
    pub lines: Vec<Line>,
    /// Sparsities at which the lines dropped different shares.
    #[serde(skip)]
    pub unequal: Vec<UnequalAt>,
}

impl Gradients {
    /// What a score costs at one sparsity.
    pub fn at(&self, score: Score, sparsity: f64) -> Option<&Value> {
        self.lines.iter().find(|line| line.score == score)?.at(sparsity)
    }

    /// Whether gradients rescue the static end, at the largest sparsity.
    pub fn rescue(&self) -> Option<Rescue> {
        let sparsity = *self.sparsities.last()?;
        let value = |score: Score| self.at(score, sparsity).map(|value| value.value);
        let magnitude = value(Score::Magnitude)?;
        let by_gradient = GRADIENTS.iter().filter_map(|&score| Some((score, value(score)?)));
        let (score, gradient) = by_gradient.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let verdict = match (gradient >= LOST, magnitude >= LOST) {
            (true, _) => RescueVerdict::StillLost,
            (false, true) => RescueVerdict::Rescued,
            (false, false) => RescueVerdict::NothingToRescue,
        };
        let (random, unequal) = (value(Score::Random), unequal_at(&self.lines, sparsity));
        Some(Rescue { sparsity, score, gradient, magnitude, random, verdict, unequal })
    }
}

/// What gradients do to a static cut.
#[derive(Debug, Clone, PartialEq)]
pub enum RescueVerdict {
    /// Even the better gradient score leaves the model lost.
    StillLost,
    /// Magnitude loses the model, a gradient does not.
    Rescued,
    /// Neither loses it.
    NothingToRescue,
}

/// The better gradient score beside magnitude and chance, perplexity as multiples of dense.
#[derive(Debug, Clone, PartialEq)]
pub struct Rescue {
    /// What is dropped.
    pub sparsity: f64,
    /// The better gradient score.
    pub score: Score,
    /// What it costs.
    pub gradient: f64,
    /// What magnitude costs.
    pub magnitude: f64,
    /// What chance costs, where it was run.
    pub random: Option<f64>,
    /// Which of them lose the model.
    pub verdict: RescueVerdict,
    /// Whether they dropped different shares.
    pub unequal: Option<UnequalAt>,
}

/// The comparison in `table`; none where no sparsity has both.
pub fn gradients(table: &PerplexityTable) -> Option<Gradients> {
    let all = of_perplexity(table);
    let is_meant = |line: &Line| {
        let quadrant = line.quadrant;
        let is_static = (quadrant.part, quadrant.policy) == (Part::Ffn, Policy::Static);
        is_static && SCORES.contains(&line.score)
    };
    let lines: Vec<Line> = all.lines.into_iter().filter(is_meant).collect();
    let has = |score: Score, sparsity: f64| {
        let mut lines = lines.iter().filter(|line| line.score == score);
        lines.any(|line| line.at(sparsity).is_some())
    };
    let is_shared = |sparsity: &f64| {
        has(Score::Magnitude, *sparsity) && GRADIENTS.iter().any(|&score| has(score, *sparsity))
    };
    let sparsities: Vec<f64> = all.sparsities.into_iter().filter(is_shared).collect();
    let unequal = sparsities.iter().filter_map(|&sparsity| unequal_at(&lines, sparsity)).collect();
    let (model, dataset, protocol) = (table.model.clone(), table.dataset.clone(), table.protocol);
    let gradients = Gradients { model, dataset, protocol, sparsities, lines, unequal };
    (!gradients.sparsities.is_empty()).then_some(gradients)
}

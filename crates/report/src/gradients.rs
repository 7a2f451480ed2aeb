//! Gradient against magnitude at the static end: does the slope of the loss choose a better set for the
//! whole run than the size of the activations does?

use plan::{Part, Policy, Protocol, Score, shortest_decimal};
use serde::Serialize;

use crate::findings::Finding;
use crate::format::{NOTHING, significant};
use crate::markdown::Align::Right;
use crate::markdown::Table;
use crate::perplexity::PerplexityTable;
use crate::quadrants::{self, Line, Value, unequal_at};

/// Scores side by side, in the order of the table.
const COLUMNS: [Score; 5] =
    [Score::Magnitude, Score::Impact, Score::Taylor, Score::Fisher, Score::Random];
const GRADIENTS: [Score; 2] = [Score::Taylor, Score::Fisher];
/// A model whose perplexity is this many times dense is lost.
const LOST: f64 = 10.0;

/// The static FFN rows of one model, dataset and protocol by these scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Gradients {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    /// Sparsities at which there is a gradient and magnitude, ascending.
    pub(crate) sparsities: Vec<f64>,
    pub(crate) lines: Vec<Line>,
    pub(crate) unequal: Vec<String>,
}

impl Gradients {
    fn at(&self, score: Score, sparsity: f64) -> Option<&Value> {
        self.lines.iter().find(|line| line.score == score)?.at(sparsity)
    }
}

/// The comparison in `table`; none where no sparsity has both.
pub(crate) fn of(table: &PerplexityTable) -> Option<Gradients> {
    let all = quadrants::of_perplexity(table);
    let is_meant = |line: &Line| {
        let quadrant = line.quadrant;
        let is_static = (quadrant.part, quadrant.policy) == (Part::Ffn, Policy::Static);
        is_static && COLUMNS.contains(&line.score)
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

/// One finding a model, of its first text; those of all texts stand below their tables.
pub(crate) fn findings(all: &[Gradients]) -> Vec<Finding> {
    let is_first =
        |index: usize, own: &Gradients| all[..index].iter().all(|before| before.model != own.model);
    let first = all.iter().enumerate().filter(|(index, own)| is_first(*index, own));
    first.filter_map(|(_, own)| Some(Finding::of_model(&own.model, finding(own)?))).collect()
}

/// Whether gradients rescue the static end, at the largest sparsity.
fn finding(gradients: &Gradients) -> Option<String> {
    let sparsity = *gradients.sparsities.last()?;
    let value = |score: Score| gradients.at(score, sparsity).map(|value| value.value);
    let magnitude = value(Score::Magnitude)?;
    let by_gradient = GRADIENTS.iter().filter_map(|&score| Some((score, value(score)?)));
    let (score, gradient) = by_gradient.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let random = value(Score::Random);
    let random = random.map(|value| format!(" and random {}", significant(value, 4)));
    let less = significant(magnitude / gradient, 3);
    let more = significant(gradient / magnitude, 3);
    let compared = match gradient < magnitude {
        _ if less == "1.00" || more == "1.00" => "as much as magnitude".to_owned(),
        true => format!("{less} times less than magnitude"),
        false => format!("{more} times as much as magnitude"),
    };
    let verdict = match (gradient >= LOST, magnitude >= LOST) {
        (true, _) => format!("gradients do not rescue the static end: still ≥ {LOST} × dense"),
        (false, true) => {
            format!("gradients rescue the static end: below {LOST} × dense, magnitude above")
        }
        (false, false) => format!("there is nothing to rescue: both stay below {LOST} × dense"),
    };
    let unequal = unequal_at(&gradients.lines, sparsity);
    let unequal = unequal.map(|flag| format!(" At {flag}.")).unwrap_or_default();
    Some(format!(
        "{} on {} ({}), a static cut at κ={} costs {} × dense by the better gradient score ({score}), \
         where magnitude costs {}{}: {compared}; {verdict}.{unequal}",
        gradients.model,
        gradients.dataset,
        gradients.protocol,
        shortest_decimal(sparsity),
        significant(gradient, 4),
        significant(magnitude, 4),
        random.unwrap_or_default(),
    ))
}

/// All comparisons of a run; nothing where there are none.
pub(crate) fn section(all: &[Gradients]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let tables: String = all.iter().map(table).collect();
    format!("\n## Gradient against magnitude at the static end\n{tables}")
}

fn table(gradients: &Gradients) -> String {
    let scores = COLUMNS.map(|score| (score.as_str(), Right));
    let mut text = Table::new([("κ", Right)].into_iter().chain(scores));
    for &sparsity in &gradients.sparsities {
        let value = |score: Score| match gradients.at(score, sparsity) {
            Some(Value { value, lower: Some(lower), upper: Some(upper), .. }) => {
                let [value, lower, upper] = [value, lower, upper].map(|n| significant(*n, 4));
                format!("{value} [{lower}, {upper}]")
            }
            Some(value) => significant(value.value, 4),
            None => NOTHING.to_owned(),
        };
        text.push([shortest_decimal(sparsity)].into_iter().chain(COLUMNS.map(value)));
    }
    let Gradients { model, dataset, protocol, unequal, .. } = gradients;
    let flags: String = unequal.iter().map(|flag| format!("\n**At {flag}.**\n")).collect();
    let heading = format!("### {model} · {dataset} · {protocol}: static ffn, perplexity × dense");
    let finding = finding(gradients).map(|finding| format!("\n{finding}\n")).unwrap_or_default();
    format!("\n{heading}\n\n{}{flags}{finding}", text.render())
}

//! What each layer of a model would predict if it were the last (docs/SPEC.md section 13).

use models::{
    Batch, Dense, Executor, ExecutorError, FfnSite, FirstChoice, LayerEnd, Model, Tensor,
    first_choices,
};

use crate::{ExitRule, exit::Course};

/// Sums over tokens of what one layer would predict.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LensSums {
    /// Tokens.
    pub tokens: u64,
    /// Tokens whose argmax does not change from here to the last layer: easy tokens.
    pub settled: u64,
    /// Tokens whose argmax is that of the last layer, whatever lies between.
    pub agreeing: u64,
    /// Σ of the largest probability.
    pub probability: f64,
    /// Tokens that would leave here; none where no rule was given.
    pub leaving: Option<u64>,
}

impl LensSums {
    /// Adds what other tokens say of the same layer.
    pub fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.settled += other.settled;
        self.agreeing += other.agreeing;
        self.probability += other.probability;
        self.leaving = self.leaving.zip(other.leaving).map(|(own, other)| own + other);
    }
}

/// Every layer of a dense forward pass over one sequence, seen through the final norm and the head (the
/// logit lens, nostalgebraist 2020): one sum a layer. With a rule also the tokens that would leave; those
/// that never do leave at the last layer.
///
/// # Errors
/// What the model refuses, and a stream from which no finite logits come.
pub fn lens(
    model: &dyn Model,
    ids: &[u32],
    rule: Option<ExitRule>,
) -> Result<Vec<LensSums>, ExecutorError> {
    let mut looking = Looking { choices: Vec::new() };
    model.forward(&Batch::new([ids]), &mut looking)?;
    let layers = looking.choices;
    let mut sums: Vec<LensSums> = layers.iter().map(|choices| sums_of(choices, rule)).collect();
    let Some((last, before)) = layers.split_last() else { return Ok(sums) };
    for token in 0..last.len() {
        let agrees = |layer: &usize| layers[*layer][token].id == last[token].id;
        let all = 0..layers.len();
        all.clone().rev().take_while(agrees).for_each(|layer| sums[layer].settled += 1);
        all.filter(agrees).for_each(|layer| sums[layer].agreeing += 1);
        if let Some(rule) = rule {
            let mut course = Course::default();
            let leaves = |layer: &Vec<FirstChoice>| rule.leaves(&mut course, &layer[token]);
            let at = before.iter().position(leaves).unwrap_or(before.len());
            sums[at].leaving = sums[at].leaving.map(|n| n + 1);
        }
    }
    Ok(sums)
}

fn sums_of(choices: &[FirstChoice], rule: Option<ExitRule>) -> LensSums {
    LensSums {
        tokens: choices.len() as u64,
        probability: choices.iter().map(|choice| choice.probability).sum(),
        leaving: rule.map(|_| 0),
        ..LensSums::default()
    }
}

/// Runs densely and asks at the end of every layer.
struct Looking {
    /// Of every layer, one a token.
    choices: Vec<Vec<FirstChoice>>,
}

impl Executor for Looking {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn layer_end(
        &mut self,
        end: &LayerEnd<'_>,
        stream: Tensor<2>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let hidden = end.model.finish(stream.clone());
        self.choices.push(first_choices(end.model, hidden)?);
        Ok(stream)
    }
}

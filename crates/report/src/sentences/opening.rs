//! The sentences that open a report, in their order.

use judgement::Summary;

use super::atlas::{self, AtlasSentences};
use super::finding::{Finding, OfModel};
use super::{claims, gradients, quadrants, run, tables, tasks};

/// The sentences of a run first, then model by model in the order in which models first appear; within one
/// by what they are about.
pub(crate) fn all(summary: &Summary, atlas: &[AtlasSentences]) -> Vec<Finding> {
    let mut of_models: Vec<OfModel> = tables::sentences(summary);
    of_models.extend(tasks::sentences(&summary.task_tables));
    of_models.extend(quadrants::sentences(&summary.quadrants));
    of_models.extend(gradients::sentences(&summary.gradients));
    of_models.extend(atlas::headlines(summary, atlas));
    let of_run = summary.claims.iter().map(claims::finding).chain([run::cells(&summary.counts)]);
    let of_run = of_run.map(|text| Finding { model: None, text });
    let of_models = of_models.into_iter().map(|(model, text)| Finding { model: Some(model), text });
    by_model(of_run.chain(of_models).collect())
}

fn by_model(findings: Vec<Finding>) -> Vec<Finding> {
    let mut models: Vec<Option<String>> = vec![None];
    for finding in &findings {
        if !models.contains(&finding.model) {
            models.push(finding.model.clone());
        }
    }
    let mut sorted = findings;
    sorted.sort_by_key(|finding| models.iter().position(|model| *model == finding.model));
    sorted
}

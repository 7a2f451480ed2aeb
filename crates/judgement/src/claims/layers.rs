//! Claims about what was observed of layers: how linear they are, and which directions the loss minds.

use evidence::Run;
use plan::ModelGroup;
use statistics::{StatisticsError, mean_interval, mean_interval_bca, sign_flip_test};

use super::finding::{Found, Place, Side};
use super::perplexity::{PERMUTATIONS, bca_or};
use super::verdict::{Measurement, Reason};
use crate::layers::{directions, linearity};
use crate::perplexity::BOOTSTRAP;

/// Every model and text of a group.
fn places<'a>(group: &'a ModelGroup, what: &'a str) -> impl Iterator<Item = Place<'a>> {
    group.models.iter().flat_map(move |model| {
        group.texts.iter().map(move |dataset| {
            let (dataset, what) = (dataset.clone(), what.to_owned());
            Place { group, model, dataset, protocol: None, what }
        })
    })
}

/// Spearman's ρ of depth and R² is at least `rho`. It describes this model's layers, of which there are no
/// others: there is no interval and no test.
pub(super) fn linearity_grows(runs: &[&Run], group: &ModelGroup, rho: f64) -> Vec<Found> {
    let all: Vec<_> = runs.iter().flat_map(|run| linearity(run, &[])).collect();
    let judge = |place: Place<'_>| {
        let own = all.iter().find(|own| own.model == place.model && own.dataset == place.dataset);
        let Some(own) = own else { return place.not_measured(Reason::NotRun) };
        let Some(effect) = own.rho_with_depth else {
            return place.not_measured("there are too few layers");
        };
        let measurement = Measurement {
            quantity: "rank correlation of depth and R² of a linear map".to_owned(),
            effect,
            lower: None,
            upper: None,
            threshold: rho,
            n: own.layers.len(),
            unit: "layers",
            p: None,
            p_holm: None,
            cells: vec![own.cell_id.clone()],
        };
        let side = if effect >= rho { Side::For } else { Side::Against };
        place.measured(measurement, side, Vec::new())
    };
    places(group, "linear maps by depth").map(judge).collect()
}

/// Spearman's ρ of variance and sensitivity over directions, mean over layers, is at most `rho`: a
/// sign-flip test over layers.
pub(super) fn directions_disagree(runs: &[&Run], group: &ModelGroup, rho: f64) -> Vec<Found> {
    let all: Vec<_> = runs.iter().flat_map(|run| directions(run)).collect();
    let judge = |place: Place<'_>| {
        let own = all.iter().find(|own| own.model == place.model && own.dataset == place.dataset);
        let Some(own) = own else { return place.not_measured(Reason::NotRun) };
        let values: Vec<f64> = own.layers.iter().filter_map(|layer| layer.rho).collect();
        mean_at_most(&place, &values, rho, own.cell_id.clone())
            .unwrap_or_else(|error| place.not_measured(format!("no interval: {error}")))
    };
    places(group, "variance against sensitivity").map(judge).collect()
}

fn mean_at_most(
    place: &Place<'_>,
    values: &[f64],
    rho: f64,
    cell: String,
) -> Result<Found, StatisticsError> {
    let percentile = || mean_interval(values, BOOTSTRAP);
    let interval = bca_or(mean_interval_bca(values, BOOTSTRAP), percentile)?;
    let beyond: Vec<f64> = values.iter().map(|value| value - rho).collect();
    let measurement = Measurement {
        quantity: "rank correlation of variance and sensitivity, mean over layers".to_owned(),
        effect: interval.estimate,
        lower: Some(interval.lower),
        upper: Some(interval.upper),
        threshold: rho,
        n: values.len(),
        unit: "layers",
        p: Some(sign_flip_test(&beyond, PERMUTATIONS)?.p),
        p_holm: None,
        cells: vec![cell],
    };
    let least = PERMUTATIONS.least_p(values.len());
    let side = Side::at_least(interval.lower, interval.upper, rho).reversed();
    Ok(Found { least_p: Some(least), ..place.measured(measurement, side, Vec::new()) })
}

//! What was observed of layers: how linear each is, beside the cost of a linear map in its place; whether
//! the loss minds the directions along which the residual stream varies most; what each would predict.

use std::collections::BTreeMap;

use evidence::{Measured, Observed, Run};
use serde::Serialize;

use crate::perplexity::PerplexityRatio;
use crate::recipes::Recipes;

/// One layer and the linear map that stands for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinearLayer {
    /// Index of the layer.
    pub layer: u32,
    /// R² of the map on the measured text.
    pub r_squared: f64,
    /// Perplexity with this layer alone replaced; where that was run.
    pub replaced: Option<PerplexityRatio>,
}

/// All layers of a model on a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Linearity {
    /// The cell.
    pub cell_id: String,
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// From the first layer.
    pub layers: Vec<LinearLayer>,
    /// Spearman's ρ of depth and R²; none where there are too few layers.
    pub rho_with_depth: Option<f64>,
}

/// The directions of the stream in front of one layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerDirections {
    /// The layer that the stream enters; the number of layers for the stream after the last.
    pub layer: u32,
    /// Directions.
    pub n: usize,
    /// Spearman's ρ of variance and sensitivity; none where one of them is constant.
    pub rho: Option<f64>,
    /// Share of all variance that the first tenth of the directions by variance holds.
    pub variance_of_top_tenth: f64,
    /// Share of all sensitivity that the same directions hold.
    pub sensitivity_of_top_tenth: f64,
}

/// The directions of a model on a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamDirections {
    /// The cell.
    pub cell_id: String,
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// From the first layer.
    pub layers: Vec<LayerDirections>,
}

/// What one layer would predict if it were the last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LensLayer {
    /// Index of the layer.
    pub layer: u32,
    /// Share of tokens whose argmax no longer changes from here on.
    pub settled: f64,
    /// Share of tokens whose argmax is that of the last layer.
    pub agreeing: f64,
    /// Mean of the largest probability.
    pub probability: f64,
    /// Share of tokens that would leave here; none where no rule was given.
    pub leaving: Option<f64>,
}

/// What the layers of a model would predict on a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lens {
    /// The cell.
    pub cell_id: String,
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// When a token would leave, as the settings of the observation say it; none where they do not.
    pub rule: Option<String>,
    /// From the first layer.
    pub layers: Vec<LensLayer>,
}

/// The newest observation of each model and text of those that `is_wanted`.
pub(crate) fn newest(
    run: &Run,
    is_wanted: impl Fn(&Measured) -> bool,
) -> impl Iterator<Item = &Observed> {
    let mut newest: BTreeMap<(&str, &str), &Observed> = BTreeMap::new();
    for own in run.observed.iter().filter(|own| is_wanted(&own.measured)) {
        let key = (own.cell.model.as_str(), own.cell.dataset.as_str());
        let known = newest.entry(key).or_insert(own);
        let age = |own: &Observed| (own.provenance.started_at_ms, own.id.clone());
        if age(own) > age(known) {
            *known = own;
        }
    }
    newest.into_values()
}

/// How linear the layers of every model are.
pub fn linearity(run: &Run, recipes: &[Recipes]) -> Vec<Linearity> {
    let observed = newest(run, |own| matches!(own, Measured::Blocks(_)));
    let of = |own: &Observed| {
        let Measured::Blocks(rows) = &own.measured else { return None };
        let cell = &own.cell;
        let on_text = |other: &&Recipes| other.model == cell.model && other.dataset == cell.dataset;
        let replaced = |layer: u32| {
            let rows = recipes.iter().filter(on_text).flat_map(|own| &own.rows);
            let is_it = |step: &plan::Step| {
                step.name("method") == Some("linearise")
                    && step.count("layer") == Some(u64::from(layer))
                    && step.value("rank").is_none()
            };
            let mut rows = rows.filter(|row| row.only_step().is_some_and(is_it));
            rows.find_map(|row| row.against_dense.compared().cloned())
        };
        let layers: Vec<LinearLayer> = rows
            .iter()
            .map(|row| LinearLayer {
                layer: row.layer,
                r_squared: row.r2,
                replaced: replaced(row.layer),
            })
            .collect();
        let depths: Vec<f64> = layers.iter().map(|own| f64::from(own.layer)).collect();
        let values: Vec<f64> = layers.iter().map(|own| own.r_squared).collect();
        Some(Linearity {
            cell_id: own.id.clone(),
            model: cell.model.clone(),
            dataset: cell.dataset.clone(),
            rho_with_depth: statistics::spearman(&depths, &values).ok(),
            layers,
        })
    };
    observed.filter_map(of).collect()
}

/// The directions of the stream of every model.
pub fn directions(run: &Run) -> Vec<StreamDirections> {
    let observed = newest(run, |own| matches!(own, Measured::Directions(_)));
    let of = |own: &Observed| {
        let Measured::Directions(rows) = &own.measured else { return None };
        let mut by_layer: BTreeMap<u32, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for row in rows {
            let (variance, sensitivity) = by_layer.entry(row.layer).or_default();
            variance.push(row.variance);
            sensitivity.push(row.sensitivity);
        }
        Some(StreamDirections {
            cell_id: own.id.clone(),
            model: own.cell.model.clone(),
            dataset: own.cell.dataset.clone(),
            layers: by_layer.into_iter().map(|(layer, both)| of_layer(layer, &both)).collect(),
        })
    };
    observed.filter_map(of).collect()
}

/// What the layers of every model would predict.
pub fn lens(run: &Run) -> Vec<Lens> {
    let observed = newest(run, |own| matches!(own, Measured::Lens(_)));
    let of = |own: &Observed| {
        let Measured::Lens(rows) = &own.measured else { return None };
        let of_layer = |row: &tables::LensRow| {
            let share = |tokens: u64| tokens as f64 / row.tokens as f64;
            LensLayer {
                layer: row.layer,
                settled: share(row.settled),
                agreeing: share(row.agreeing),
                probability: row.probability / row.tokens as f64,
                leaving: row.leaving.map(share),
            }
        };
        let rule = |step: &plan::Step| {
            let given = |name: &str| Some(format!("{name} {}", step.value(name)?));
            given("threshold").or_else(|| given("patience"))
        };
        Some(Lens {
            cell_id: own.id.clone(),
            model: own.cell.model.clone(),
            dataset: own.cell.dataset.clone(),
            rule: own.cell.recipe.observation().and_then(rule),
            layers: rows.iter().map(of_layer).collect(),
        })
    };
    observed.filter_map(of).collect()
}

/// Directions come by falling variance.
fn of_layer(layer: u32, (variance, sensitivity): &(Vec<f64>, Vec<f64>)) -> LayerDirections {
    let n = variance.len();
    let top = n.div_ceil(10);
    let share = |values: &[f64]| {
        let all: f64 = values.iter().sum();
        if all > 0.0 { values[..top].iter().sum::<f64>() / all } else { 0.0 }
    };
    LayerDirections {
        layer,
        n,
        rho: statistics::spearman(variance, sensitivity).ok(),
        variance_of_top_tenth: share(variance),
        sensitivity_of_top_tenth: share(sensitivity),
    }
}

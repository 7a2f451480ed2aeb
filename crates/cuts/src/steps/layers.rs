//! Whole layers, dropped or replaced by a linear map.

use plan::Step;

use super::{Cut, Done, Ground, count};
use crate::{
    CutError, DropScore, FitInputs, LayerDrop, Linearise, Slim, drop_layers, linearise_like,
};

/// See [`drop_layers`] and [`linearise`].
pub(super) struct Layers;

impl Cut for Layers {
    fn kind(&self) -> &'static str {
        "layers"
    }

    fn cut(&self, step: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        match step.name("method") {
            Some("drop") => dropped(step, slim, ground),
            _ => linearised(step, slim, ground),
        }
    }
}

fn dropped(step: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
    let score = DropScore::named(step.name("score").unwrap_or_default())?;
    let cut = LayerDrop { score, n: count(step, "n")?, seed: ground.seed };
    let all = slim.model.facts().layers;
    let done = drop_layers(&slim, &cut, ground.windows, &ground.watch)?;
    Ok(done.map(|done| {
        let dropped = Some(done.layers.len() as f64 / all as f64);
        Done { slim: done.slim, dropped, lacks_units: false }
    }))
}

fn linearised(step: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
    let layers = [count(step, "layer")?];
    // Earlier steps replaced other layers; the dense model still has what these would have handed on.
    let (inputs, reference) = match step.name("inputs") {
        Some("dense") => {
            let reason = "are those of the dense model, which is not here any more".to_owned();
            let gone = CutError::Setting { setting: "inputs", reason };
            (FitInputs::Dense, ground.dense.ok_or(gone)?)
        }
        _ => (FitInputs::Drifted, &*slim.model),
    };
    let rank = step.count("rank").map(|_| count(step, "rank")).transpose()?;
    let cut = Linearise { layers: &layers, rank, inputs };
    let done = linearise_like(&slim, &cut, reference, ground.windows, &[], &ground.watch)?;
    let share = 1.0 / slim.model.facts().layers as f64;
    Ok(done.map(|done| Done { slim: done.slim, dropped: Some(share), lacks_units: false }))
}

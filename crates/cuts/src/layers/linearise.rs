//! Affine maps in the place of layers, and how nearly affine every layer is.

use std::sync::Arc;

use models::{AffineLayer, Device, Layered, Model, Tensor, Values, matrix, vector_of};

use super::{
    regression::{Fit, Residuals, Sums},
    streams::Streams,
    with_other_layers,
};
use crate::{CutError, Slim, Watch, cross_products::add_rows};

/// What later maps are fitted on, where several layers are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FitInputs {
    /// What the maps in the place of earlier layers hand on, so that a map can make up for their error.
    #[default]
    Drifted,
    /// What the layers that are replaced would have handed on.
    Dense,
}

/// A replacement of layers by affine maps.
#[derive(Clone, Copy, Debug)]
pub struct Linearise<'a> {
    /// Layers that are replaced.
    pub layers: &'a [usize],
    /// Rank of each map; full without.
    pub rank: Option<usize>,
    /// What they are fitted on.
    pub inputs: FitInputs,
}

/// A model with affine maps in the place of some layers.
pub struct Linearised {
    /// What is left.
    pub slim: Slim,
    /// Layers that were replaced, ascending, each with its R² on the held-out windows (NaN without any).
    pub r_squared: Vec<(usize, f64)>,
}

/// Replaces layers by `x + x·W + b`, fitted by ridge least squares in `f64` on what they add to the
/// stream, `y = x_{ℓ+1} − x_ℓ` (docs/SPEC.md section 12; Salfati 2026, arXiv:2604.20682; Whipp 2026,
/// arXiv:2606.19379). `None` where the watch says stop.
///
/// # Errors
/// A layer that is not there or is named twice, a rank outside of `1..=d_model`, no text, what the model
/// refuses, and inputs that do not vary.
pub fn linearise(
    slim: &Slim,
    cut: &Linearise<'_>,
    windows: &[Vec<u32>],
    held_out: &[Vec<u32>],
    watch: &Watch<'_>,
) -> Result<Option<Linearised>, CutError> {
    linearise_like(slim, cut, slim.model.as_ref(), windows, held_out, watch)
}

/// The same with maps that are fitted on what the layers of a `reference` get and give, such as the model
/// before earlier steps; with [`FitInputs::Dense`] nothing of the maps themselves is seen.
///
/// # Errors
/// As [`linearise`], and a reference with another number of layers.
pub fn linearise_like(
    slim: &Slim,
    cut: &Linearise<'_>,
    reference: &dyn Model,
    windows: &[Vec<u32>],
    held_out: &[Vec<u32>],
    watch: &Watch<'_>,
) -> Result<Option<Linearised>, CutError> {
    let model = reference;
    let (own, other) = (slim.model.facts().layers, model.facts().layers);
    if own != other {
        let reason = format!(
            "cannot be those of the dense model: {} of its {other} layers are gone; use `cut`",
            other.abs_diff(own)
        );
        return Err(CutError::Setting { setting: "inputs", reason });
    }
    check(model, cut, windows)?;
    let mut layers = cut.layers.to_vec();
    layers.sort_unstable();
    let mut walk = Walk::start(model, windows, held_out)?;
    let (mut maps, mut r_squared) = (Vec::new(), Vec::new());
    let end = layers.last().map_or(0, |last| last + 1);
    for layer in 0..end {
        if (watch.stop)() {
            return Ok(None);
        }
        let next = walk.next(model, layer)?;
        if !layers.contains(&layer) {
            walk.go_to(next);
            continue;
        }
        let Some((fit, of_fit)) = walk.fit(&next, layer, cut.rank, watch)? else {
            return Ok(None);
        };
        let map = affine(slim.model.as_ref(), &fit, maps.len(), &walk.device());
        match cut.inputs {
            FitInputs::Dense => walk.go_to(next),
            FitInputs::Drifted => walk.pass(&map),
        }
        maps.push((layer, map));
        r_squared.push((layer, of_fit));
        (watch.progress)(layer + 1, end);
    }
    let replaced = Layered::replacing(Arc::from(slim.shared().model), maps)?;
    let slim = with_other_layers(slim, Box::new(replaced));
    Ok(Some(Linearised { slim, r_squared }))
}

/// R² of what every layer adds to the stream, of a map of full rank that was fitted on `windows`, on the
/// held-out windows; one entry a layer. `None` where the watch says stop.
///
/// # Errors
/// No text, what the model refuses, and inputs that do not vary.
pub fn linear_blocks(
    model: &dyn Model,
    windows: &[Vec<u32>],
    held_out: &[Vec<u32>],
    watch: &Watch<'_>,
) -> Result<Option<Vec<f64>>, CutError> {
    if windows.iter().all(Vec::is_empty) || held_out.iter().all(Vec::is_empty) {
        return Err(CutError::NoText);
    }
    let layers = model.facts().layers;
    let mut walk = Walk::start(model, windows, held_out)?;
    let mut r_squared = Vec::with_capacity(layers);
    for layer in 0..layers {
        if (watch.stop)() {
            return Ok(None);
        }
        let next = walk.next(model, layer)?;
        let Some((_, of_fit)) = walk.fit(&next, layer, None, watch)? else { return Ok(None) };
        r_squared.push(of_fit);
        walk.go_to(next);
        (watch.progress)(layer + 1, layers);
    }
    Ok(Some(r_squared))
}

fn check(model: &dyn Model, cut: &Linearise<'_>, windows: &[Vec<u32>]) -> Result<(), CutError> {
    let d_model = model.facts().d_model;
    if windows.iter().all(Vec::is_empty) {
        return Err(CutError::NoText);
    }
    match cut.rank {
        Some(rank) if !(1..=d_model).contains(&rank) => {
            let reason = format!("is {rank}; the stream allows 1 to {d_model}");
            Err(CutError::Setting { setting: "rank", reason })
        }
        _ if cut.layers.is_empty() => {
            let reason = "names no layer".to_owned();
            Err(CutError::Setting { setting: "layer", reason })
        }
        // What is not there or named twice would be found after all the work.
        _ => {
            let layers = model.facts().layers;
            let mut seen = vec![false; layers];
            for layer in cut.layers {
                match seen.get_mut(*layer) {
                    None => Err(models::LayersError::Unknown { layer: *layer, layers })?,
                    Some(true) => Err(models::LayersError::Twice { layer: *layer })?,
                    Some(seen) => *seen = true,
                }
            }
            Ok(())
        }
    }
}

/// The streams of both texts in front of a layer.
struct Walk {
    calibration: Streams,
    held_out: Streams,
}

/// Those of both after it.
struct Next {
    calibration: Vec<Tensor<2>>,
    held_out: Vec<Tensor<2>>,
}

impl Walk {
    fn start(
        model: &dyn Model,
        windows: &[Vec<u32>],
        held_out: &[Vec<u32>],
    ) -> Result<Self, CutError> {
        let calibration = Streams::start(model, windows)?;
        Ok(Self { calibration, held_out: Streams::start(model, held_out)? })
    }

    fn device(&self) -> Device {
        self.calibration.now[0].device()
    }

    fn next(&self, model: &dyn Model, layer: usize) -> Result<Next, CutError> {
        let calibration = self.calibration.after(model, layer)?;
        Ok(Next { calibration, held_out: self.held_out.after(model, layer)? })
    }

    fn go_to(&mut self, next: Next) {
        self.calibration.now = next.calibration;
        self.held_out.now = next.held_out;
    }

    fn pass(&mut self, map: &AffineLayer) {
        for x in self.calibration.now.iter_mut().chain(&mut self.held_out.now) {
            *x = map.forward(x.clone());
        }
    }

    /// The fit of what a layer adds, and its R² on the held-out windows.
    fn fit(
        &self,
        next: &Next,
        layer: usize,
        rank: Option<usize>,
        watch: &Watch<'_>,
    ) -> Result<Option<(Fit, f64)>, CutError> {
        let [_, width] = self.calibration.now[0].dims();
        let mut sums = Sums::new(width, width);
        for (x, next) in self.calibration.now.iter().zip(&next.calibration) {
            if (watch.stop)() {
                return Ok(None);
            }
            let (x, y) = update(x, next);
            sums.add(&x, &y);
        }
        let fit = sums.fit(rank).ok_or(CutError::NoFit { layer })?;
        if self.held_out.now.is_empty() {
            return Ok(Some((fit, f64::NAN)));
        }
        let held_out = self.held_out.now.iter().zip(&next.held_out);
        let held_out: Vec<_> = held_out.map(|(x, next)| update(x, next)).collect();
        let mut mean = vec![0.0; width];
        held_out.iter().for_each(|(_, y)| add_rows(&mut mean, y.iter().copied()));
        let tokens = held_out.iter().map(|(_, y)| y.len() / width).sum::<usize>();
        mean.iter_mut().for_each(|sum| *sum /= tokens as f64);
        let mut residuals = Residuals::new(&fit, mean);
        held_out.iter().for_each(|(x, y)| residuals.add(x, y));
        let r_squared = residuals.r_squared();
        match r_squared.is_finite() {
            true => Ok(Some((fit, r_squared))),
            false => Err(CutError::NoFit { layer }),
        }
    }
}

/// A stream and what a layer adds to it, both `[tokens, d_model]`.
fn update(x: &Tensor<2>, next: &Tensor<2>) -> (Values<2>, Vec<f64>) {
    let (x, next) = (Values::of(x.clone()), Values::of(next.clone()));
    let change = next.iter().zip(x.iter()).map(|(next, x)| f64::from(*next) - f64::from(*x));
    let change = change.collect();
    (x, change)
}

/// The layer of a fit; it is the `earlier`-th new one of the model, and its matrices get names that no
/// other has.
fn affine(model: &dyn Model, fit: &Fit, earlier: usize, device: &Device) -> AffineLayer {
    let taken = |at: &str| {
        let mut layers = 0..model.facts().layers;
        layers.any(|layer| model.linears(layer).iter().any(|of| of.name().starts_with(at)))
    };
    let free = (0..).map(|number| format!("affine.{number}.")).filter(|at| !taken(at));
    let at = free.take(earlier + 1).last().unwrap_or_default();
    let tensor = |m: &faer::Mat<f64>| {
        let rows = (0..m.nrows()).flat_map(|i| (0..m.ncols()).map(move |j| m[(i, j)] as f32));
        matrix(rows.collect(), [m.nrows(), m.ncols()], device)
    };
    let bias = vector_of(fit.bias.iter().map(|b| *b as f32).collect(), device);
    match &fit.factors {
        None => AffineLayer::full(&format!("{at}weight"), tensor(&fit.weight), bias),
        Some(factors) => {
            let names = ["down", "up"].map(|factor| format!("{at}{factor}.weight"));
            AffineLayer::factored(
                names.each_ref().map(String::as_str),
                factors.each_ref().map(tensor),
                bias,
            )
        }
    }
}

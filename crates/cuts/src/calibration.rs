//! The order in which matrices are cut, and the inputs that they are cut by (docs/SPEC.md section 10).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use models::{
    Batch, Dense, Executor, ExecutorError, FfnSite, Linear, MatrixUse, Model, Tap, Tensor, Values,
};
use rayon::prelude::*;

use crate::{CutError, Gram, Matrix, Needs, Watch, slim::second_handle};

/// Windows whose inputs are held at a time.
const WINDOWS: usize = 4;

/// Cuts matrices that read one input; what it was is there where it was asked for.
pub type CutInputs<'a> =
    dyn Fn(Vec<Matrix>, Option<&Gram>) -> Result<Vec<Matrix>, CutError> + Sync + 'a;

/// [`cut_owned`] of a model that others hold: its matrices stay as they are besides.
///
/// # Errors
/// As [`cut_owned`].
pub fn cut_in_order(
    model: &dyn Model,
    windows: &[Vec<u32>],
    needs: Needs,
    watch: &Watch<'_>,
    cut: &CutInputs<'_>,
) -> Result<Option<Box<dyn Model>>, CutError> {
    cut_owned(second_handle(model), windows, needs, watch, cut)
}

/// Cuts all matrices of a model, layer by layer; `None` where it was stopped.
///
/// All matrices of a layer are calibrated on the layer as it still is, fed with what the already cut layers
/// below hand on; then all of them are cut; then the layer runs again and hands its outputs on. A block that
/// several layers share is cut where it is used first, calibrated on all its uses with the layers between
/// them as they still are. Where nothing is needed the model is not run.
///
/// A matrix that no one else holds is freed when it is cut. Besides the model, memory holds the residual
/// streams of all windows, the inputs of four windows and the sums of one layer. Windows are added in their
/// order, so the bits do not depend on the number of threads.
///
/// # Shapes
/// - `windows`: token ids, one sequence each
///
/// # Errors
/// No window where inputs are needed, what the model refuses, inputs that are not finite, and what `cut`
/// refuses.
pub fn cut_owned(
    model: Box<dyn Model>,
    windows: &[Vec<u32>],
    needs: Needs,
    watch: &Watch<'_>,
    cut: &CutInputs<'_>,
) -> Result<Option<Box<dyn Model>>, CutError> {
    let layers = model.facts().layers;
    let mut text = match needs {
        Needs::Nothing => None,
        _ => Some(Text::start(&*model, windows, needs, watch)?),
    };
    let last_uses = last_uses(&*model);
    let mut done = BTreeSet::new();
    let mut current = model;
    for layer in 0..layers {
        let inputs = new_inputs(&*current, layer, &done);
        let grams = match &mut text {
            None => inputs.iter().map(|_| None).collect(),
            Some(text) => {
                let end = inputs.iter().flatten().filter_map(|of| last_uses.get(of.name())).max();
                let end = end.map_or(layer, |last| last + 1);
                let Some(grams) = text.gather(&*current, layer..end, &inputs)? else {
                    return Ok(None);
                };
                grams.into_iter().map(Some).collect()
            }
        };
        done.extend(inputs.iter().flatten().map(|of| of.name().clone()));
        let Some(mut parts) = cut_layer(&inputs, grams, watch, cut)? else { return Ok(None) };
        current = current.map_linears(&mut |of| parts.remove(of.name()));
        if let Some(text) = &mut text
            && layer + 1 < layers
            && !text.hand_on(&*current, layer)?
        {
            return Ok(None);
        }
        (watch.progress)(layer + 1, layers);
    }
    Ok(Some(current))
}

/// Cuts one matrix after the other without looking at inputs; `None` where it was stopped.
pub(crate) fn cut_each(
    model: &dyn Model,
    watch: &Watch<'_>,
    mut cut: impl FnMut(&mut Matrix),
) -> Option<Box<dyn Model>> {
    let (layers, mut stopped) = (model.facts().layers, false);
    let model = model.map_linears(&mut |of| {
        stopped = stopped || (watch.stop)();
        if stopped {
            return None;
        }
        (watch.progress)(of.layer, layers);
        let mut matrix = Matrix::of(of);
        cut(&mut matrix);
        Some(matrix.into_parts(of))
    });
    (!stopped).then_some(model)
}

type Parts = BTreeMap<Arc<str>, Vec<Linear>>;

/// The new parts of the matrices of a layer.
fn cut_layer(
    inputs: &[Vec<MatrixUse<'_>>],
    grams: Vec<Option<Gram>>,
    watch: &Watch<'_>,
    cut: &CutInputs<'_>,
) -> Result<Option<Parts>, CutError> {
    let cut = inputs.par_iter().zip(grams).map(|(uses, gram)| match (watch.stop)() {
        true => Ok(None),
        false => cut(uses.iter().map(Matrix::of).collect(), gram.as_ref()).map(Some),
    });
    // In order, so that the error is always the same one.
    let cut: Vec<Result<Option<Vec<Matrix>>, CutError>> = cut.collect();
    let cut = cut.into_iter().collect::<Result<Option<Vec<_>>, _>>()?;
    // The weights that stay are allocated by one thread, the one that will free those that they replace:
    // glibc gives what a thread frees to no other, and the model would be held twice.
    let uses = inputs.iter().flatten();
    Ok(cut.map(|cut| {
        let new = uses.zip(cut.into_iter().flatten());
        new.map(|(of, new)| (of.name().clone(), new.into_parts(of))).collect()
    }))
}

/// The matrices of a layer that no layer below has, those that read the same input together.
fn new_inputs<'m>(
    model: &'m dyn Model,
    layer: usize,
    done: &BTreeSet<Arc<str>>,
) -> Vec<Vec<MatrixUse<'m>>> {
    let new: Vec<_> =
        model.linears(layer).into_iter().filter(|of| !done.contains(of.name())).collect();
    new.chunk_by(|one, next| one.input == next.input).map(<[_]>::to_vec).collect()
}

/// The last layer that uses each matrix.
fn last_uses(model: &dyn Model) -> BTreeMap<Arc<str>, usize> {
    let uses = (0..model.facts().layers).flat_map(|layer| model.linears(layer));
    uses.map(|of| (of.name().clone(), of.layer)).collect()
}

/// The calibration text on its way through the layers.
struct Text<'a> {
    batches: Vec<Batch>,
    /// The residual stream of every window in front of the layer that is next.
    streams: Vec<Tensor<2>>,
    needs: Needs,
    watch: &'a Watch<'a>,
}

impl<'a> Text<'a> {
    fn start(
        model: &dyn Model,
        windows: &[Vec<u32>],
        needs: Needs,
        watch: &'a Watch<'a>,
    ) -> Result<Self, CutError> {
        let windows = windows.iter().filter(|window| !window.is_empty());
        let batches: Vec<Batch> = windows.map(|ids| Batch::new([ids.as_slice()])).collect();
        if batches.is_empty() {
            return Err(CutError::NoText);
        }
        let streams = batches.par_iter().map(|batch| model.start(batch));
        let streams = streams.collect::<Result<Vec<_>, ExecutorError>>()?;
        Ok(Self { batches, streams, needs, watch })
    }

    /// Sums over the inputs of matrices, from a run through `layers` as they are; `None` where it was
    /// stopped.
    fn gather(
        &self,
        model: &dyn Model,
        layers: Range<usize>,
        inputs: &[Vec<MatrixUse<'_>>],
    ) -> Result<Option<Vec<Gram>>, CutError> {
        let gram = |uses: &Vec<MatrixUse<'_>>| {
            Gram::new(uses[0].widths().0, self.batches.len(), self.needs)
        };
        let mut grams: Vec<Gram> = inputs.iter().map(gram).collect();
        let Some(last) = inputs.last() else { return Ok(Some(grams)) };
        // The first part of the first matrix sees what all of them read.
        let tapped: BTreeMap<Arc<str>, usize> =
            inputs.iter().enumerate().map(|(at, uses)| (uses[0].name().clone(), at)).collect();
        let seeing = Seeing { tapped, last: last[0].name().clone(), layers };
        for (batches, streams) in self.batches.chunks(WINDOWS).zip(self.streams.chunks(WINDOWS)) {
            if (self.watch.stop)() {
                return Ok(None);
            }
            let seen = batches
                .par_iter()
                .zip(streams)
                .map(|(batch, x)| seeing.inputs(model, x.clone(), batch));
            let seen = seen.collect::<Result<Vec<_>, ExecutorError>>()?;
            grams.par_iter_mut().enumerate().for_each(|(at, gram)| {
                for x in seen.iter().flat_map(|of_window| &of_window[at]) {
                    gram.add(&Values::of(x.clone()));
                }
            });
        }
        match grams.iter().position(|gram| !gram.is_finite()) {
            None => Ok(Some(grams)),
            Some(at) => {
                let matrix = inputs[at][0].name().to_string();
                Err(CutError::NonFinite { matrix, what: "a sum over its inputs" })
            }
        }
    }

    /// Runs a layer as it now is; false where it was stopped.
    fn hand_on(&mut self, model: &dyn Model, layer: usize) -> Result<bool, CutError> {
        for (batches, streams) in self.batches.chunks(WINDOWS).zip(self.streams.chunks_mut(WINDOWS))
        {
            if (self.watch.stop)() {
                return Ok(false);
            }
            batches.par_iter().zip(streams).try_for_each(|(batch, x)| {
                *x = model.through(layer..layer + 1, x.clone(), batch, None, &mut Dense)?;
                Ok::<(), ExecutorError>(())
            })?;
        }
        Ok(true)
    }
}

/// A run that shows what matrices read.
struct Seeing {
    /// Their numbers by name.
    tapped: BTreeMap<Arc<str>, usize>,
    /// The last of them in the order of the forward pass.
    last: Arc<str>,
    /// What is run.
    layers: Range<usize>,
}

impl Seeing {
    /// The inputs of one window by the numbers of the matrices, each use in its turn.
    fn inputs(
        &self,
        model: &dyn Model,
        x: Tensor<2>,
        batch: &Batch,
    ) -> Result<Vec<Vec<Tensor<2>>>, ExecutorError> {
        let seen = Arc::new(Mutex::new(vec![Vec::new(); self.tapped.len()]));
        let with_taps = model.map_linears(&mut |of| {
            let at = *self.tapped.get(of.name())?;
            let seen = seen.clone();
            let tap = Tap::new(move |x: &Tensor<2>| {
                seen.lock().unwrap_or_else(PoisonError::into_inner)[at].push(x.clone());
            });
            let mut parts: Vec<Linear> = of.parts.iter().map(|part| (*part).clone()).collect();
            parts[0].tap = Some(tap);
            Some(parts)
        });
        let mut until = Until { last: &self.last, layer: self.layers.end - 1 };
        with_taps.through(self.layers.clone(), x, batch, None, &mut until)?;
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(seen)
    }
}

/// Runs densely up to the last input that is looked at: where that is of a down projection, its product, a
/// quarter of a layer's work, is needed by no one.
struct Until<'a> {
    last: &'a Arc<str>,
    layer: usize,
}

impl Executor for Until<'_> {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let down = &site.ffn.down;
        match &down.tap {
            Some(tap) if site.layer == self.layer && down.name == *self.last => {
                tap.see(&site.ffn.hidden(x.clone()));
                Ok(x.zeros_like())
            }
            _ => Dense.ffn(site, x),
        }
    }
}

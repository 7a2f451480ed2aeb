//! `worker logits`: what anyone needs to compare a model with another framework.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, ensure};
use models::{Batch, Dense, Executor, ExecutorError, FfnSite, Tensor, into_values};
use plan::DeviceName;
use safetensors::{Dtype, tensor::TensorView};

use crate::{Outcome, fail::Fail, subject};

/// Runs densely and remembers `h` of every site.
#[derive(Default)]
struct Remembering {
    hidden: Vec<(usize, Vec<f32>)>,
}

impl Executor for Remembering {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = site.ffn.hidden(x);
        self.hidden.push((site.ffn.neurons(), into_values(h.clone())));
        Ok(site.ffn.project(h))
    }
}

/// Writes `logits` `[tokens, vocabulary]` and, with `hidden`, `h.{site}` `[tokens, F]`, all `f32`.
pub(crate) fn logits(
    model: &Path,
    tokens: &str,
    out: &Path,
    hidden: bool,
    device: DeviceName,
) -> Outcome {
    let device = subject::device(device).map_err(Fail::Usage)?;
    let ids = parse(tokens).map_err(Fail::Usage)?;
    let model = subject::model(model, &device, Default::default()).map_err(Fail::input)?.model;
    let vocabulary = model.facts().vocabulary;
    let batch = Batch::new([ids.as_slice()]);
    let mut remembering = Remembering::default();
    let executor: &mut dyn Executor = if hidden { &mut remembering } else { &mut Dense };
    let last = model.forward(&batch, executor).map_err(|e| Fail::Usage(e.into()))?;
    let logits = into_values(model.logits(last));
    if let Some(at) = logits.iter().position(|logit| !logit.is_finite()) {
        let (row, id, value) = (at / vocabulary, at % vocabulary, logits[at]);
        let overflow = ExecutorError::NonFiniteLogit { row, id, value };
        tracing::warn!("{overflow}; the logits are written as they are");
    }
    let mut tensors = BTreeMap::from([("logits".to_owned(), (vocabulary, logits))]);
    for (site, values) in remembering.hidden.into_iter().enumerate() {
        tensors.insert(format!("h.{site}"), values);
    }
    write(out, ids.len(), &tensors).map_err(Fail::Results)?;
    Ok(plan::exit::DONE)
}

fn parse(tokens: &str) -> anyhow::Result<Vec<u32>> {
    let words = tokens.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
    let ids = words
        .map(|word| word.parse().with_context(|| format!("`{word}` is not a token id")))
        .collect::<anyhow::Result<Vec<u32>>>()?;
    ensure!(!ids.is_empty(), "no token ids: expected something like --tokens \"1 2 3\"");
    Ok(ids)
}

fn write(
    out: &Path,
    rows: usize,
    tensors: &BTreeMap<String, (usize, Vec<f32>)>,
) -> anyhow::Result<()> {
    let bytes: BTreeMap<&String, (usize, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (width, values))| {
            (name, (*width, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, (width, bytes))| {
            Ok((*name, TensorView::new(Dtype::F32, vec![rows, *width], bytes)?))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    safetensors::serialize_to_file(views, None, out)
        .with_context(|| format!("cannot write {}", out.display()))
}

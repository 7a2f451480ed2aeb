//! GGUF files of the families that share one decoder, for llama.cpp.

mod metadata;
mod tokenizer;

use std::path::Path;

use checkpoints::{GgufDraft, GgufFamily, GgufTensor, GgufType};
use models::{Divided, Saved, SavedDecoder, SavedTensor};
use serde_json::{Map, Value};

use self::metadata::Facts;
pub use self::tokenizer::GgufTokenizer;
use crate::{Beside, ExportError, Form, Watch};

/// Divisors of the frequencies, where each has its own.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// A tensor of the file, and where its values come from.
struct Source<'a> {
    planned: GgufTensor,
    values: Values<'a>,
}

enum Values<'a> {
    Of(&'a SavedTensor),
    Given(&'a [f32]),
}

/// Writes `model-TYPE.gguf`, and says what is to be said of it.
pub(crate) fn write(
    folder: &Path,
    saved: &Saved,
    config: &Map<String, Value>,
    beside: &Beside,
    dtype: GgufType,
    watch: &Watch<'_>,
) -> Result<Vec<String>, ExportError> {
    let refused =
        |reason: String| ExportError::Form { form: Form::Gguf(dtype).to_string(), reason };
    let facts = facts(saved, config).map_err(refused)?;
    let (family, decoder) = (facts.family, facts.decoder);
    let mut notes = facts.check().map_err(refused)?;
    let sources = sources(&facts, dtype).map_err(refused)?;
    let (metadata, more) = facts.metadata(config, beside.gguf_tokenizer.as_ref(), dtype);
    notes.extend(more);
    notes.extend(beside.notes.clone());
    if sources.iter().any(|source| source.planned.dtype != dtype && source.planned.shape.len() == 2)
    {
        notes.push("embedding and output head are Q8_0: they lose most by fewer bits".to_owned());
    }
    let planned: Vec<GgufTensor> = sources.iter().map(|source| source.planned.clone()).collect();
    let total: u64 = planned.iter().map(GgufTensor::bytes).sum();
    let path = folder.join(format!("model-{}.gguf", dtype.name().to_lowercase()));
    let mut draft = GgufDraft::begin(&path, &metadata, &planned)?;
    let mut done = 0;
    for Source { planned, values } in sources {
        draft.write(match values {
            Values::Given(values) => values.to_vec(),
            Values::Of(tensor) => {
                let heads = [decoder.heads, decoder.kv_heads];
                family.values(&planned.name, &tensor.shape, tensor.values(), heads)
            }
        })?;
        done += planned.bytes();
        (watch.progress)(done, total);
        if (watch.stop)() {
            return Err(ExportError::Stopped);
        }
    }
    draft.finish()?;
    Ok(notes)
}

/// Refuses a model that llama.cpp would not run, or would run otherwise.
pub(crate) fn check(saved: &Saved, config: &Map<String, Value>) -> Result<(), String> {
    facts(saved, config).and_then(|facts| facts.check()).map(drop)
}

fn facts<'a>(saved: &'a Saved, config: &'a Map<String, Value>) -> Result<Facts<'a>, String> {
    let class = config.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
    let class = class.unwrap_or_default();
    match GgufFamily::of_class(class).zip(saved.decoder.as_ref()) {
        Some((family, decoder)) => Ok(Facts { family, decoder, saved, class }),
        None => Err(format!(
            "{class} is none of the families that are written (Llama, Mistral, Qwen2, Qwen3, Gemma 3): \
             choose f32, f16 or bf16"
        )),
    }
}

/// The tensors in the order of the model. Vectors are F32, as llama.cpp has them.
fn sources<'a>(facts: &Facts<'a>, dtype: GgufType) -> Result<Vec<Source<'a>>, String> {
    let mut sources = Vec::new();
    for tensor in &facts.saved.tensors {
        let name = facts.family.tensor(&tensor.name).ok_or_else(|| {
            format!("`{}` has no place in a file of the family {}", tensor.name, facts.family.key())
        })?;
        let is_table = tensor.linear.is_none() && tensor.shape.len() == 2;
        let dtype = match (tensor.shape.len(), dtype) {
            (1, _) => GgufType::F32,
            (_, GgufType::Q4_0) if is_table => GgufType::Q8_0,
            (_, dtype) => dtype,
        };
        fills(&tensor.name, tensor.shape.last().copied().unwrap_or(1), dtype.block())?;
        let planned = GgufTensor { name, shape: tensor.shape.clone(), dtype };
        sources.push(Source { planned, values: Values::Of(tensor) });
    }
    if let Some(Divided::Each(divisors)) = first_divided(facts.decoder) {
        let planned = GgufTensor {
            name: ROPE_FACTORS.to_owned(),
            shape: vec![divisors.len()],
            dtype: GgufType::F32,
        };
        sources.push(Source { planned, values: Values::Given(divisors) });
    }
    Ok(sources)
}

/// Whether blocks fill the rows of a tensor.
pub(crate) fn fills(name: &str, row: usize, block: usize) -> Result<(), String> {
    if row.is_multiple_of(block) {
        return Ok(());
    }
    Err(format!(
        "`{name}` has rows of {row} numbers, which blocks of {block} do not fill: choose gguf-f16, or a \
         sparsity that leaves a multiple of {block}"
    ))
}

fn first_divided(decoder: &SavedDecoder) -> Option<&Divided> {
    decoder.ropes.first().map(|rope| &rope.divided)
}

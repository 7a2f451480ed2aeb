//! A model together with its tokenizer.

use std::path::Path;

use anyhow::Context as _;
use corpora::{Metadata, Tokenizer};
use models::{
    Device, LoadedModel, ModelFacts, Options, gguf_vocabulary, inspect_with, load_with, sizes,
};
use plan::{DeviceName, TimeSteps};

/// The device of a name.
pub(crate) fn device(name: DeviceName) -> anyhow::Result<Device> {
    device_of(name).with_context(|| {
        let feature = name.feature().unwrap_or_default();
        format!("this worker was built without `{name}`: build it with --features {feature}")
    })
}

/// A device that this build can reach.
fn device_of(name: DeviceName) -> Option<Device> {
    match name {
        DeviceName::Cpu => Some(Device::flex()),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(index) => Some(Device::cuda(index)),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu(0) => Some(Device::wgpu(models::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu(index) => Some(Device::wgpu(models::DeviceKind::DiscreteGpu(index))),
        #[cfg(not(all(feature = "cuda", feature = "wgpu")))]
        _ => None,
    }
}

/// The tokenizer of a GGUF file or a Hugging Face folder.
pub(crate) fn tokenizer(path: &Path) -> anyhow::Result<Tokenizer> {
    if path.is_dir() {
        return Ok(Tokenizer::from_folder(path)?);
    }
    let vocabulary = gguf_vocabulary(path)?;
    Ok(Tokenizer::from_gguf(&Metadata {
        path,
        model: &vocabulary.model,
        pre_tokenizer: vocabulary.pre_tokenizer.as_deref(),
        tokens: &vocabulary.tokens,
        scores: vocabulary.scores.as_deref(),
        kinds: vocabulary.kinds.as_deref(),
        merges: vocabulary.merges.as_deref(),
        charsmap: vocabulary.charsmap.as_deref(),
        bos: vocabulary.bos,
        eos: vocabulary.eos,
        unknown: vocabulary.unknown,
        add_bos: vocabulary.add_bos,
        add_eos: vocabulary.add_eos,
        add_space_prefix: vocabulary.add_space_prefix,
        remove_extra_whitespaces: vocabulary.remove_extra_whitespaces,
    })?)
}

/// Sizes of a model of which nothing but `config.json` is there.
pub(crate) fn planned(folder: &Path) -> anyhow::Result<ModelFacts> {
    Ok(sizes(&folder.join("config.json"))?)
}

/// Sizes and tokenizer of a model, without its weights. The tokenizer may lie in a folder of its own,
/// and may have more ids than the model has rows: such an id is an error where a text holds it.
pub(crate) fn facts_and_tokenizer(
    path: &Path,
    tokenizer_folder: Option<&Path>,
    time_steps: TimeSteps,
) -> anyhow::Result<(ModelFacts, Tokenizer)> {
    let facts = inspect_with(path, options(time_steps))?;
    let tokenizer = tokenizer(tokenizer_folder.unwrap_or(path))?.with_rows(facts.vocabulary);
    Ok((facts, tokenizer))
}

/// The model itself. What was done to its weights is logged where it is more than the number type.
pub(crate) fn model(
    path: &Path,
    device: &Device,
    time_steps: TimeSteps,
) -> anyhow::Result<LoadedModel> {
    let loaded = load_with(path, device, options(time_steps))
        .with_context(|| format!("cannot load the model {}", path.display()))?;
    if loaded.conversions.drops_parts_of_names() {
        tracing::warn!("{}: {}", path.display(), loaded.conversions);
    }
    Ok(loaded)
}

fn options(time_steps: TimeSteps) -> Options {
    let time_steps = match time_steps {
        TimeSteps::Transformers => models::TimeSteps::Transformers,
        TimeSteps::Original => models::TimeSteps::Original,
    };
    Options { time_steps }
}

//! A model together with its tokenizer.

use std::path::Path;

use anyhow::{Context as _, ensure};
use corpora::{BytePairs, Tokenizer};
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
    Ok(Tokenizer::from_byte_pairs(&BytePairs {
        path,
        model: &vocabulary.model,
        pre_tokenizer: &vocabulary.pre_tokenizer,
        tokens: &vocabulary.tokens,
        control: &vocabulary.control,
        merges: &vocabulary.merges,
        bos: vocabulary.bos,
    })?)
}

/// Sizes of a model of which nothing but `config.json` is there.
pub(crate) fn planned(folder: &Path) -> anyhow::Result<ModelFacts> {
    Ok(sizes(&folder.join("config.json"))?)
}

/// Sizes and tokenizer of a model, without its weights; checked against each other. The tokenizer may
/// lie in a folder of its own.
pub(crate) fn facts_and_tokenizer(
    path: &Path,
    tokenizer_folder: Option<&Path>,
    time_steps: TimeSteps,
) -> anyhow::Result<(ModelFacts, Tokenizer)> {
    let facts = inspect_with(path, options(time_steps))?;
    let tokenizer = tokenizer(tokenizer_folder.unwrap_or(path))?;
    ensure!(
        tokenizer.vocabulary_size() <= facts.vocabulary,
        "{}: the tokenizer has {} ids, but vocab_size is {}; the two are not of one model",
        path.display(),
        tokenizer.vocabulary_size(),
        facts.vocabulary
    );
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

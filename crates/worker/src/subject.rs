//! A model together with its tokenizer.

use std::path::Path;

use anyhow::{Context as _, ensure};
use corpora::{BytePairs, Tokenizer};
use models::{Device, LoadedModel, ModelFacts, gguf_vocabulary, inspect, load};

/// The device that cells run on.
pub(crate) fn device() -> Device {
    #[cfg(feature = "cuda")]
    return Device::cuda(0);
    #[cfg(all(feature = "webgpu", not(feature = "cuda")))]
    return Device::webgpu(models::DeviceKind::DefaultDevice);
    #[cfg(not(any(feature = "cuda", feature = "webgpu")))]
    Device::flex()
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

/// Sizes and tokenizer of a model, without its weights; checked against each other. The tokenizer may
/// lie in a folder of its own.
pub(crate) fn facts_and_tokenizer(
    path: &Path,
    tokenizer_folder: Option<&Path>,
) -> anyhow::Result<(ModelFacts, Tokenizer)> {
    let facts = inspect(path)?;
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

/// The model itself.
pub(crate) fn model(path: &Path) -> anyhow::Result<LoadedModel> {
    load(path, &device()).with_context(|| format!("cannot load the model {}", path.display()))
}

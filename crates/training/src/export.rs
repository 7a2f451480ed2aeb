//! A trained model as an ordinary Hugging Face folder.

use std::{collections::BTreeMap, path::Path};

use checkpoints::{Dtype, float_bytes};
use half::f16;
use models::{Parameters, Values, vector_of};
use serde_json::{Map, Value, json};
use stories::BEGINNING;
use tokenizers::Tokenizer;

use crate::{
    checkpoint::{CheckpointError, Stored, write_tensors, write_whole},
    recipe::Recipe,
};

/// The fields of `config.json`: those of the recipe, and those that the tokenizer decides.
pub(crate) fn config(recipe: &Recipe, tokenizer: &Tokenizer) -> Map<String, Value> {
    let beginning = tokenizer.token_to_id(BEGINNING);
    let mut config = recipe.config.clone();
    config.insert("vocab_size".to_owned(), json!(tokenizer.get_vocab_size(true)));
    for token in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        config.insert(token.to_owned(), json!(beginning));
    }
    config.insert("torch_dtype".to_owned(), json!("float16"));
    config
}

/// The parameters as half floats can hold them.
pub(crate) fn rounded(parameters: &Parameters) -> Parameters {
    let mut rounded = parameters.clone();
    for parameter in rounded.values_mut() {
        let device = parameter.values.device();
        let values = Values::of(parameter.values.clone());
        let values = values.iter().map(|value| f16::from_f32(*value).to_f32()).collect();
        parameter.values = vector_of(values, &device);
    }
    rounded
}

/// Writes `config.json`, `model.safetensors` (F16), `tokenizer.json` and `tokenizer_config.json`.
pub(crate) fn export(
    folder: &Path,
    config: &Map<String, Value>,
    tokenizer: &Tokenizer,
    parameters: &Parameters,
) -> Result<(), CheckpointError> {
    let mut tensors = BTreeMap::new();
    for (name, parameter) in parameters {
        let values = Values::of(parameter.values.clone());
        let bytes = float_bytes(Dtype::F16, &values);
        let shape = parameter.shape.clone();
        tensors.insert(name.clone(), Stored { dtype: Dtype::F16, shape, bytes });
    }
    let weights = folder.join("model.safetensors");
    write_tensors(&weights, &tensors, BTreeMap::from([("format", "pt".to_owned())]))?;
    write_json(&folder.join("config.json"), config)?;
    let about = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGINNING,
        "eos_token": BEGINNING,
        "pad_token": BEGINNING,
        "clean_up_tokenization_spaces": false,
        "model_max_length": recipe_length(config),
    });
    write_json(&folder.join("tokenizer_config.json"), &about)?;
    let path = folder.join("tokenizer.json");
    let text = tokenizer.to_string(true).map_err(|error| CheckpointError::Io {
        action: "encode",
        path: path.clone(),
        source: std::io::Error::other(error.to_string()),
    })?;
    write_whole(&path, (text + "\n").as_bytes())
}

/// The longest sequence, where the config names one.
fn recipe_length(config: &Map<String, Value>) -> Value {
    config.get("max_position_embeddings").cloned().unwrap_or(json!(1_000_000))
}

/// Writes a JSON file as people read it.
pub(crate) fn write_json(
    path: &Path,
    value: &impl serde::Serialize,
) -> Result<(), CheckpointError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CheckpointError::Io {
        action: "encode",
        path: path.to_owned(),
        source: error.into(),
    })?;
    write_whole(path, (text + "\n").as_bytes())
}

//! What stands in the files of a folder: tensors whose bytes are made when their turn comes.

use std::{collections::BTreeMap, path::Path};

use checkpoints::{Dtype, Planned, SafetensorsDraft, float_bytes, in_file_order};
use models::SavedTensor;
use serde_json::json;

use crate::{ExportError, Watch};

/// A tensor of a folder.
pub(crate) struct Entry<'a> {
    pub(crate) planned: Planned,
    /// Its bytes.
    pub(crate) bytes: Box<dyn Fn() -> Vec<u8> + 'a>,
}

impl<'a> Entry<'a> {
    /// A tensor as it is, in a float type.
    pub(crate) fn plain(tensor: &'a SavedTensor, dtype: Dtype) -> Self {
        Self {
            planned: Planned { name: tensor.name.clone(), dtype, shape: tensor.shape.clone() },
            bytes: Box::new(move || float_bytes(dtype, &tensor.values())),
        }
    }
}

/// Writes `model.safetensors`; or, where that were longer than `most_bytes`, shards of at most so many
/// bytes (a longer tensor has one to itself) and their index, as transformers names them.
pub(crate) fn write(
    folder: &Path,
    entries: Vec<Entry<'_>>,
    most_bytes: u64,
    watch: &Watch<'_>,
) -> Result<Vec<String>, ExportError> {
    let total: u64 = entries.iter().map(|entry| entry.planned.bytes()).sum();
    let shards = split(entries, most_bytes);
    let n_shards = shards.len();
    let mut done = 0;
    let (mut names, mut map) = (Vec::new(), BTreeMap::new());
    for (index, shard) in shards.into_iter().enumerate() {
        let name = match n_shards {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{n_shards:05}.safetensors", index + 1),
        };
        map.extend(shard.iter().map(|entry| (entry.planned.name.clone(), name.clone())));
        write_shard(&folder.join(&name), shard, &mut |bytes| {
            done += bytes;
            (watch.progress)(done, total);
            if (watch.stop)() { Err(ExportError::Stopped) } else { Ok(()) }
        })?;
        names.push(name);
    }
    if n_shards > 1 {
        let name = "model.safetensors.index.json".to_owned();
        let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
        write_json(&folder.join(&name), &index)?;
        names.push(name);
    }
    Ok(names)
}

/// In the order of the model, each shard as full as it can be.
fn split(entries: Vec<Entry<'_>>, most_bytes: u64) -> Vec<Vec<Entry<'_>>> {
    let mut shards: Vec<Vec<Entry<'_>>> = Vec::new();
    let mut filled = 0;
    for entry in entries {
        let bytes = entry.planned.bytes();
        match shards.last_mut().filter(|_| filled + bytes <= most_bytes) {
            Some(shard) => shard.push(entry),
            None => {
                filled = 0;
                shards.push(vec![entry]);
            }
        }
        filled += bytes;
    }
    shards
}

fn write_shard(
    path: &Path,
    shard: Vec<Entry<'_>>,
    done: &mut dyn FnMut(u64) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut planned: Vec<Planned> = shard.iter().map(|entry| entry.planned.clone()).collect();
    in_file_order(&mut planned);
    let by_name: BTreeMap<&str, &Entry<'_>> =
        shard.iter().map(|entry| (entry.planned.name.as_str(), entry)).collect();
    // transformers asks for the key.
    let about = BTreeMap::from([("format", "pt".to_owned())]);
    let mut draft = SafetensorsDraft::begin(path, &planned, &about)?;
    for tensor in &planned {
        draft.write(&(by_name[tensor.name.as_str()].bytes)())?;
        done(tensor.bytes())?;
    }
    Ok(draft.finish()?)
}

/// Writes a JSON file as people read it.
///
/// # Errors
/// What the disk refuses.
pub(crate) fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), ExportError> {
    Ok(files::write(path, format!("{value:#}\n").as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_as_full_as_they_can_be() {
        let entry = |(at, n): (usize, &usize)| Entry {
            planned: Planned { name: at.to_string(), dtype: Dtype::F32, shape: vec![*n] },
            bytes: Box::new(Vec::new),
        };
        let split = |most| -> Vec<Vec<usize>> {
            let entries = [3, 2, 4, 9, 1, 1].iter().enumerate().map(entry).collect();
            let length = |entry: &Entry<'_>| entry.planned.shape[0];
            super::split(entries, most).iter().map(|own| own.iter().map(length).collect()).collect()
        };
        assert_eq!(split(80), [[3, 2, 4, 9, 1, 1]]);
        assert_eq!(split(20), [&[3, 2][..], &[4], &[9], &[1, 1]]);
    }
}

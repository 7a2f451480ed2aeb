//! What `Model::save` says a checkpoint holds is what the checkpoint that the model was read from holds,
//! bit for bit, for every family of `golden`; and what it says of fewer layers is read again as just those.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod families;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use checkpoints::{
    Dtype, Planned, SafetensorsDraft, Source, float_bytes, in_file_order, open_folder,
};
use families::{folders, logits, model, name};
use models::{Device, Layered, Model, SaveError, Saved, config_text, load, saved_config};

fn all_layers(model: &dyn Model) -> Vec<usize> {
    (0..model.facts().layers).collect()
}

/// Writes a saved model and reads it again.
fn read_again(folder: &Path, saved: &Saved) -> Box<dyn Model> {
    let written = tempfile::tempdir().unwrap();
    let config = config_text(&saved_config(folder, saved).unwrap());
    std::fs::write(written.path().join("config.json"), config).unwrap();
    let planned = saved.tensors.iter().map(|tensor| {
        let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
        Planned { name, dtype: Dtype::F32, shape }
    });
    let mut planned: Vec<Planned> = planned.collect();
    in_file_order(&mut planned);
    let weights = written.path().join("model.safetensors");
    let mut draft = SafetensorsDraft::begin(&weights, &planned, &BTreeMap::new()).unwrap();
    while let Some(name) = draft.next_tensor().map(|next| next.name.clone()) {
        let tensor = saved.tensors.iter().find(|own| own.name == name).unwrap();
        draft.write(&float_bytes(Dtype::F32, &tensor.values())).unwrap();
    }
    draft.finish().unwrap();
    load(written.path(), &Device::flex()).unwrap_or_else(|e| panic!("{}: {e}", name(folder))).model
}

/// Whether two models give the same bits.
fn same_bits(one: &dyn Model, other: &dyn Model) -> bool {
    logits(one) == logits(other)
}

/// Buffers, and copies that say nothing new: a checkpoint need not hold them.
fn is_superfluous(source: &dyn Source, tensor: &str, saved: &BTreeSet<&str>) -> bool {
    let is_buffer = ["inv_freq", "masked_bias", "attn.bias", "version"]
        .iter()
        .any(|buffer| tensor.ends_with(buffer));
    let same = |other: &&str| {
        source.shape(other) == source.shape(tensor)
            && source.values(other).unwrap() == source.values(tensor).unwrap()
    };
    is_buffer || tensor == "lm_head.weight" || saved.iter().any(same)
}

#[test]
fn an_uncut_model_is_saved_as_its_file_has_it() {
    for folder in folders() {
        let (model, source) = (model(&folder), open_folder(&folder).unwrap());
        let saved = model.save(&all_layers(&*model)).unwrap();
        let names: BTreeSet<&str> = saved.tensors.iter().map(|own| own.name.as_str()).collect();
        assert_eq!(names.len(), saved.tensors.len(), "{}: a name twice", name(&folder));
        let is_original = name(&folder) == "mamba2-original";
        for tensor in &saved.tensors {
            // The one name that the original code of Mamba has for itself.
            let stored = match is_original {
                true => tensor.name.replace("backbone.embeddings", "backbone.embedding"),
                false => tensor.name.clone(),
            };
            assert_eq!(source.shape(&stored), Some(tensor.shape.clone()), "{stored}");
            let (found, expected) = (tensor.values(), source.values(&stored).unwrap());
            // Gemma's norms are read plus 1, which rounds; read again they are the same.
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= f32::EPSILON;
            match name(&folder).starts_with("gemma") {
                true => assert!(found.iter().zip(&expected).all(close), "{stored}"),
                false => assert!(found == expected, "{stored}"),
            }
        }
        let lost: Vec<String> = source
            .names()
            .into_iter()
            .filter(|tensor| !names.contains(tensor.as_str()))
            .filter(|tensor| !is_superfluous(&*source, tensor, &names))
            .filter(|tensor| !(is_original && tensor == "backbone.embedding.weight"))
            .collect();
        assert!(lost.is_empty(), "{}: {lost:?}", name(&folder));
    }
}

#[test]
fn what_was_saved_is_read_again_with_the_same_bits() {
    for folder in folders() {
        let model = model(&folder);
        let saved = model.save(&all_layers(&*model)).unwrap();
        let again = read_again(&folder, &saved);
        assert!(same_bits(&*again, &*model), "{}", name(&folder));
        assert_eq!(again.facts(), model.facts(), "{}", name(&folder));
    }
}

/// Every single layer is left out once, and all but the last.
#[test]
fn fewer_layers_are_read_again_as_those() {
    for folder in folders() {
        let whole: Arc<dyn Model> = Arc::from(model(&folder));
        let layers = whole.facts().layers;
        let but_last: Vec<usize> = (0..layers - 1).collect();
        for dropped in (0..layers).map(|layer| vec![layer]).chain([but_last]) {
            let what = format!("{} without {dropped:?}", name(&folder));
            let Ok(cut) = Layered::without(whole.clone(), &dropped) else {
                assert_eq!(layers, dropped.len(), "{what}");
                continue;
            };
            let saved = cut.save(&all_layers(&cut)).unwrap();
            let again = read_again(&folder, &saved);
            assert_eq!(again.facts().layers, layers - dropped.len(), "{what}");
            assert!(same_bits(&*again, &cut), "{what}");
        }
    }
}

/// Neurons and channels cut from all layers alike make smaller shapes; of one layer alone they are refused.
#[test]
fn widths_are_those_of_the_model() {
    for folder in folders() {
        let model = model(&folder);
        let cut: Vec<_> = model.ffns().iter().map(|ffn| ffn.cut(&[0, 2, 3])).collect();
        let mixers = model.mixers().into_iter().map(|mixer| {
            let groups = mixer.shape().groups;
            mixer.cut(&vec![vec![1, 2]; groups])
        });
        let smaller = model.with_ffns(cut).with_mixers(mixers.collect());
        let saved = smaller.save(&all_layers(&*smaller)).unwrap();
        let again = read_again(&folder, &saved);
        assert!(same_bits(&*again, &*smaller), "{}", name(&folder));
        if !model.ffns().is_empty() {
            assert_eq!(again.facts().neurons, 3, "{}", name(&folder));
        }

        let mut ragged: Vec<_> = smaller.ffns().into_iter().cloned().collect();
        let mut uneven: Vec<_> = smaller.mixers().into_iter().cloned().collect();
        if let Some(first) = ragged.first_mut() {
            *first = first.padded(5);
        }
        if let Some(first) = uneven.first_mut() {
            *first = first.padded(5);
        }
        let is_shared = model.ffn_blocks().iter().max() == Some(&0);
        let ragged = smaller.with_ffns(ragged).with_mixers(uneven);
        let found = ragged.save(&all_layers(&*ragged));
        let layers = model.facts().layers;
        assert_eq!(
            matches!(found, Err(SaveError::Ragged { least: 2 | 3, most: 5, .. })),
            layers > 1 && !(is_shared && model.mixers().is_empty()),
            "{}: {found:?}",
            name(&folder)
        );
    }
}

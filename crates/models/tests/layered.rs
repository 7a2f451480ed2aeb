//! Models made of another one's layers, over every golden family.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod families;

use std::{path::Path, sync::Arc};

use families::{folders, logits, model, name, sequences};
use models::{
    AffineLayer, Batch, Dense, Device, Executor, ExecutorError, FfnSite, LayerEnd, Layered,
    LayersError, Model, Place, SiteLayers, Tensor, into_values, load, matrix, vector_of,
};
use safetensors::{SafeTensors, serialize_to_file, tensor::TensorView};
use serde_json::{Value, json};
use vector::worst;

fn shared(folder: &Path) -> Arc<dyn Model> {
    Arc::from(model(folder))
}

fn affine(d_model: usize, rank: Option<usize>) -> AffineLayer {
    let device = Device::flex();
    let values = |n: usize, salt: usize| -> Vec<f32> {
        (0..n).map(|i| ((i * 29 + salt * 7) % 23) as f32 / 110.0 - 0.1).collect()
    };
    let of = |rows, columns, salt| matrix(values(rows * columns, salt), [rows, columns], &device);
    let bias = vector_of(values(d_model, 5), &device);
    match rank {
        None => AffineLayer::full("affine.weight", of(d_model, d_model, 1), bias),
        Some(rank) => AffineLayer::factored(
            ["affine.down.weight", "affine.up.weight"],
            [of(d_model, rank, 2), of(rank, d_model, 3)],
            bias,
        ),
    }
}

#[test]
fn dropping_nothing_changes_nothing() {
    for folder in folders() {
        let (name, inner) = (name(&folder), shared(&folder));
        let layered = Layered::without(inner.clone(), &[]).unwrap();
        assert_eq!(layered.facts(), inner.facts(), "{name}");
        assert_eq!(layered.ffn_blocks(), inner.ffn_blocks(), "{name}");
        assert_eq!(logits(&layered), logits(inner.as_ref()), "{name}");
    }
}

/// What the seam is told of a model: every site under its own number, every layer once.
#[derive(Default)]
struct Numbers {
    ffn: Vec<usize>,
    ends: Vec<usize>,
}

impl Executor for Numbers {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        self.ffn.push(site.index);
        Dense.ffn(site, x)
    }

    fn layer_end(
        &mut self,
        end: &LayerEnd<'_>,
        stream: Tensor<2>,
    ) -> Result<Tensor<2>, ExecutorError> {
        self.ends.push(end.layer);
        Ok(stream)
    }
}

/// Every choice of one layer to drop: the layers that are left, run by hand, give the same bits; sites
/// and layers are counted anew; token by token equals the whole.
#[test]
fn dropping_a_layer_runs_the_others() {
    for folder in folders() {
        let (name, inner) = (name(&folder), shared(&folder));
        let layers = inner.facts().layers;
        for dropped in (0..layers).filter(|_| layers > 1) {
            let left = Layered::without(inner.clone(), &[dropped]).unwrap();
            let ids = &sequences(&left)[0];
            let batch = Batch::new([ids.as_slice()]);
            let mut x = inner.start(&batch).unwrap();
            for layer in (0..layers).filter(|layer| *layer != dropped) {
                x = inner.through(layer..layer + 1, x, &batch, None, &mut Dense).unwrap();
            }
            let expected = into_values(inner.finish(x));
            let mut numbers = Numbers::default();
            let found = into_values(left.forward(&batch, &mut numbers).unwrap());
            assert_eq!(found, expected, "{name} without {dropped}");
            assert_eq!(numbers.ends, (0..layers - 1).collect::<Vec<_>>(), "{name}");
            assert_eq!(numbers.ffn, (0..left.ffns().len()).collect::<Vec<_>>(), "{name}");
            assert_sites_fit(&left, &name);

            let mut cache = left.new_cache();
            let mut pieces = Vec::new();
            for id in ids {
                pieces.extend(into_values(left.extend(&[*id], &mut cache, &mut Dense).unwrap()));
            }
            let difference = worst(&pieces, &found);
            assert!(difference < 1e-4, "{name} without {dropped}, token by token: {difference:e}");
        }
    }
}

/// What the facts, the sites and the caches of a model say of each other.
fn assert_sites_fit(model: &dyn Model, name: &str) {
    let facts = model.facts();
    let sites = SiteLayers::of(model).unwrap();
    assert_eq!(sites.ffn.len(), facts.ffn_sites, "{name}");
    assert_eq!(model.ffns().len(), facts.ffn_sites, "{name}");
    assert_eq!(model.ffn_blocks().len(), facts.ffn_sites, "{name}");
    let states = facts.state.map_or(0, |state| state.sites);
    assert_eq!((sites.states.len(), model.mixers().len()), (states, states), "{name}");
    assert_eq!(model.new_cache().recurrent().len(), states, "{name}");
    assert!(sites.ffn.iter().chain(&sites.states).all(|layer| *layer < facts.layers), "{name}");
    // A cut through the wrapper reaches the sites that are left and no others.
    let ffns = model.ffns().into_iter().cloned().collect();
    let mixers = model.mixers().into_iter().cloned().collect();
    assert_eq!(logits(model.with_ffns(ffns).as_ref()), logits(model), "{name}");
    assert_eq!(logits(model.with_mixers(mixers).as_ref()), logits(model), "{name}");
}

#[test]
fn other_blocks_reach_the_right_sites() {
    for folder in folders() {
        let (name, inner) = (name(&folder), shared(&folder));
        if inner.facts().layers < 3 || inner.facts().ffn_sites != inner.facts().layers {
            continue;
        }
        // Cutting the neurons of what was layer 2, before layer 0 goes and afterwards.
        let cut = |model: &dyn Model, site: usize| {
            let cut = |(i, ffn): (usize, &models::Ffn)| match i == site {
                true => ffn.cut(&[0, 3, 4]),
                false => ffn.clone(),
            };
            model.with_ffns(model.ffns().into_iter().enumerate().map(cut).collect())
        };
        let before = Layered::without(Arc::from(cut(inner.as_ref(), 2)), &[0]).unwrap();
        let after = cut(&Layered::without(inner.clone(), &[0]).unwrap(), 1);
        assert_eq!(logits(&before), logits(after.as_ref()), "{name}");
        assert_ne!(logits(&before), logits(&Layered::without(inner, &[0]).unwrap()), "{name}");
    }
}

/// An affine layer between others, and one in the place of every layer.
#[test]
fn affine_layers_do_what_they_say() {
    for folder in folders() {
        let (name, inner) = (name(&folder), shared(&folder));
        let (facts, batch_ids) = (inner.facts(), sequences(inner.as_ref()));
        let batch = Batch::new(batch_ids.iter().map(Vec::as_slice));
        for (rank, entries) in [(None, facts.d_model), (Some(3), 2 * 3)] {
            let map = affine(facts.d_model, rank);
            let last = facts.layers - 1;
            let replaced = Layered::replacing(inner.clone(), vec![(last, map.clone())]).unwrap();
            let x = inner.start(&batch).unwrap();
            let x = inner.through(0..last, x, &batch, None, &mut Dense).unwrap();
            let expected = into_values(inner.finish(map.forward(x)));
            let found = into_values(replaced.forward(&batch, &mut Dense).unwrap());
            assert_eq!(found, expected, "{name}");
            assert_sites_fit(&replaced, &name);
            let without = match facts.layers {
                1 => continue,
                _ => Layered::without(inner.clone(), &[last]).unwrap().facts(),
            };
            let multiplied = entries * facts.d_model;
            assert_eq!(replaced.facts().layers, facts.layers, "{name}");
            assert_eq!(replaced.facts().multiplied, without.multiplied + multiplied, "{name}");
            let parameters = multiplied + facts.d_model;
            assert_eq!(replaced.facts().parameters, without.parameters + parameters, "{name}");
        }
    }
}

/// The weights of a shared block go when its last use goes, and not before.
#[test]
fn a_shared_block_goes_with_its_last_use() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let inner = shared(&golden.join("zamba2"));
    let of = |dropped: &[usize]| Layered::without(inner.clone(), dropped).unwrap().facts();
    let block = inner.layer_facts(1).shared.unwrap().parameters;
    let own = |layer: usize| inner.layer_facts(layer).parameters;
    let all = inner.facts().parameters;
    assert_eq!(of(&[1]).parameters, all - own(1));
    assert_eq!(of(&[1, 3]).parameters, all - own(1) - own(3));
    assert_eq!(of(&[1, 3, 4]).parameters, all - own(1) - own(3) - own(4) - block);
    assert_eq!((of(&[1, 3, 4]).ffn_sites, of(&[1, 3, 4]).neurons), (0, 0));
    let left = Layered::without(inner.clone(), &[1]).unwrap();
    assert_eq!(left.ffn_blocks(), [0, 0]);
}

#[test]
fn impossible_choices_are_refused() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let inner = shared(&golden.join("llama"));
    let refusal = |places| Layered::new(inner.clone(), places).err().unwrap();
    assert_eq!(refusal(Vec::new()), LayersError::NoneLeft { layers: 2 });
    assert_eq!(refusal(vec![Place::Kept(2)]), LayersError::Unknown { layer: 2, layers: 2 });
    let twice = vec![Place::Kept(1), Place::Kept(1)];
    assert_eq!(refusal(twice), LayersError::Twice { layer: 1 });
    let narrow = vec![Place::Affine(affine(7, None))];
    assert_eq!(refusal(narrow), LayersError::Width { d_model: 48 });
    let all = Layered::without(inner.clone(), &[0, 1]).err().unwrap();
    assert_eq!(all, LayersError::NoneLeft { layers: 2 });
    let unknown = Layered::without(inner, &[5]).err().unwrap();
    assert_eq!(unknown, LayersError::Unknown { layer: 5, layers: 2 });
}

/// A folder without one layer, the layers after it renumbered.
fn write_without(folder: &Path, dropped: usize, prefix: &str, target: &Path) {
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    let layers = config["num_hidden_layers"].as_u64().unwrap();
    config["num_hidden_layers"] = json!(layers - 1);
    if let Some(kinds) = config.get_mut("layer_types").and_then(Value::as_array_mut) {
        kinds.remove(dropped);
    }
    std::fs::write(target.join("config.json"), config.to_string()).unwrap();
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter().filter_map(|(name, view)| {
        let Some(rest) = name.strip_prefix(prefix) else { return Some((name, view)) };
        let (layer, rest) = rest.split_once('.').unwrap();
        let layer: usize = layer.parse().unwrap();
        let below = layer - usize::from(layer > dropped);
        (layer != dropped).then(|| (format!("{prefix}{below}.{rest}"), view))
    });
    let tensors: Vec<(String, TensorView<'_>)> = tensors.collect();
    serialize_to_file(tensors, None, &target.join("model.safetensors")).unwrap();
}

#[test]
fn dropping_equals_a_checkpoint_without_the_layer() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (family, prefix) in [
        ("llama", "model.layers."),
        ("gemma3", "model.layers."),
        ("opt", "model.decoder.layers."),
        ("opt-post-norm", "model.decoder.layers."),
        ("mamba2", "backbone.layers."),
    ] {
        let folder = golden.join(family);
        let inner = shared(&folder);
        for dropped in 0..inner.facts().layers {
            let smaller = tempfile::tempdir().unwrap();
            write_without(&folder, dropped, prefix, smaller.path());
            let smaller = load(smaller.path(), &Device::flex()).unwrap_or_else(|e| panic!("{e}"));
            let left = Layered::without(inner.clone(), &[dropped]).unwrap();
            assert_eq!(left.facts(), smaller.facts, "{family}");
            assert_eq!(logits(&left), logits(smaller.model.as_ref()), "{family}");
        }
    }
}

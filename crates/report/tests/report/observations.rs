//! Small observations with numbers that can be worked out by hand, written through the real store.

use plan::{Cell, Observation, Part, Policy, Protocol, Score, Treatment, TreatmentSpec};
use tables::{ChannelRow, NeuronRow, OverlapRow, Store};

use crate::fixtures::{record, text_cell};

/// Two feed-forward sites of four neurons: what the first text says.
pub(crate) const MAGNITUDE: [[f64; 4]; 2] = [[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]];
pub(crate) const WEIGHT: [[f64; 4]; 2] = [[1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]];
/// What the second text says.
pub(crate) const MAGNITUDE_ELSEWHERE: [[f64; 4]; 2] = [[4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0]];

pub(crate) fn observing(part: Part, observation: Observation) -> Treatment {
    let mut spec = TreatmentSpec {
        part,
        observation: Some(observation),
        ..TreatmentSpec::of(Policy::Observe, 1)
    };
    if observation == Observation::Overlap {
        (spec.score, spec.sparsity) = (Some(Score::Magnitude), 0.9);
    }
    Treatment::new(spec).unwrap()
}

pub(crate) fn cell(dataset: &str, treatment: Treatment) -> Cell {
    let protocol = Protocol::Perplexity { window_tokens: 101 };
    Cell { dataset: dataset.to_owned(), protocol, ..text_cell(treatment) }
}

/// Forward scores; `energy` is constant and `impact` in the order of `magnitude`.
pub(crate) fn neurons(magnitude: [[f64; 4]; 2]) -> Vec<NeuronRow> {
    let at = |site: usize, neuron: usize| {
        let magnitude = magnitude[site][neuron];
        NeuronRow {
            site: site as u32,
            layer: 3 * site as u32,
            block: site as u32,
            neuron: neuron as u32,
            tokens: 400,
            magnitude: Some(magnitude),
            energy: Some(2.0),
            weight: Some(WEIGHT[site][neuron]),
            impact: Some(magnitude * magnitude),
            ..NeuronRow::default()
        }
    };
    (0..2).flat_map(|site| (0..4).map(move |neuron| at(site, neuron))).collect()
}

/// Rises of two neurons a site: with `magnitude` at both, against `weight` at the first.
pub(crate) fn ablations() -> Vec<NeuronRow> {
    let sample =
        [(0, 0, Some(0.3)), (0, 2, Some(0.1)), (1, 0, None), (1, 1, Some(0.1)), (1, 3, Some(0.2))];
    let rows = sample.map(|(site, neuron, ablation)| NeuronRow {
        site,
        layer: 3 * site,
        block: site,
        neuron,
        tokens: 400,
        ablation,
        ..NeuronRow::default()
    });
    rows.to_vec()
}

/// Two mixers of two groups of two channels. Means of H² are 8, 7, 1, 2 and 3, 4, 5, 6.
pub(crate) fn channels() -> Vec<ChannelRow> {
    let energies = [[8.0, 7.0, 1.0, 2.0], [3.0, 4.0, 5.0, 6.0]];
    let half_lives = [[2.0, 2.0, 8.0, 8.0], [32.0, 32.0, 128.0, 128.0]];
    let tokens = [2, 4];
    let at = |site: usize, index: usize| ChannelRow {
        site: site as u32,
        layer: site as u32,
        group: index as u32 / 2,
        channel: index as u32 % 2,
        tokens: tokens[site],
        state_energy: Some(energies[site][index] * tokens[site] as f64),
        state_weight: Some(8.0 - (4 * site + index) as f64),
        ghost: Some(energies[site][index].sqrt()),
        half_life_tokens: Some(half_lives[site][index]),
        ..ChannelRow::default()
    };
    (0..2).flat_map(|site| (0..4).map(move |index| at(site, index))).collect()
}

/// Every channel dropped alone: 0.01 in read mode, and 0.01, 0.02, 0.04, 0.08 in write mode by
/// half-life.
pub(crate) fn channel_ablations() -> Vec<ChannelRow> {
    let writes = [[0.01, 0.01, 0.02, 0.02], [0.04, 0.04, 0.08, 0.08]];
    let forward = channels().into_iter();
    let rows = forward.map(|row| ChannelRow {
        ablation: Some(0.1),
        ablation_read: Some(0.01),
        ablation_write: Some(writes[row.site as usize][(2 * row.group + row.channel) as usize]),
        state_energy: None,
        state_weight: None,
        ghost: None,
        half_life_tokens: None,
        ..row
    });
    rows.collect()
}

fn overlaps() -> Vec<OverlapRow> {
    let at = |site: u32, lag_tokens: u32, overlap: f64| OverlapRow {
        site,
        layer: 3 * site,
        lag_tokens,
        pairs: 100,
        overlap,
        jaccard: overlap / 2.0,
        by_chance: 0.1,
    };
    vec![at(0, 1, 0.5), at(0, 16, 0.2), at(1, 1, 0.3), at(1, 16, 0.2)]
}

pub(crate) fn put_forward(store: &Store, id: &str, dataset: &str, magnitude: [[f64; 4]; 2]) {
    let cell = cell(dataset, observing(Part::Ffn, Observation::Forward));
    store.write_neurons(&record(id, cell, "code-a"), &neurons(magnitude)).unwrap();
}

/// Everything that is observed of a model, but gradients; `reversed` writes it in the other order.
pub(crate) fn put_atlas(store: &Store, reversed: bool) {
    let mut puts: Vec<Box<dyn Fn()>> = vec![
        Box::new(|| put_forward(store, "n0", "wikitext2", MAGNITUDE)),
        Box::new(|| put_forward(store, "n1", "zebras", MAGNITUDE_ELSEWHERE)),
        Box::new(|| {
            let cell = cell("wikitext2", observing(Part::Ffn, Observation::Ablation));
            store.write_neurons(&record("n2", cell, "code-a"), &ablations()).unwrap();
        }),
        Box::new(|| {
            let cell = cell("wikitext2", observing(Part::State, Observation::Forward));
            store.write_channels(&record("c0", cell, "code-a"), &channels()).unwrap();
        }),
        Box::new(|| {
            let cell = cell("wikitext2", observing(Part::State, Observation::Ablation));
            store.write_channels(&record("c1", cell, "code-a"), &channel_ablations()).unwrap();
        }),
        Box::new(|| {
            let cell = cell("wikitext2", observing(Part::Ffn, Observation::Overlap));
            store.write_overlaps(&record("o0", cell, "code-a"), &overlaps()).unwrap();
        }),
    ];
    if reversed {
        puts.reverse();
    }
    puts.iter().for_each(|put| put());
}

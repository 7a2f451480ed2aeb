//! The observations of one part of one model on one text, joined neuron by neuron.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use plan::{Observation, Part, Protocol};

use super::quantity::Quantity;
use crate::format::count;
use crate::observed::{Measured, Observed};

/// A neuron's or a channel's place in its site: group (0 for a neuron) and index.
type Place = (u32, u32);

/// One site with a number, or none, for every place.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) site: u32,
    pub(crate) layer: u32,
    /// Ascending.
    pub(crate) places: Vec<Place>,
    /// One number a place; a quantity that no place has is absent.
    values: BTreeMap<Quantity, Vec<Option<f64>>>,
}

impl Site {
    /// One number a place, or none.
    pub(crate) fn values(&self, quantity: Quantity) -> Option<&[Option<f64>]> {
        self.values.get(&quantity).map(Vec::as_slice)
    }

    /// One number a place; nothing where only a sample has one.
    pub(crate) fn all(&self, quantity: Quantity) -> Option<Vec<f64>> {
        self.values(quantity)?.iter().copied().collect()
    }

    /// Whether all numbers that there are, are the same.
    pub(crate) fn is_constant(&self, quantity: Quantity) -> bool {
        let mut values = self.values(quantity).unwrap_or_default().iter().flatten();
        let first = values.next();
        first.is_some() && values.all(|value| Some(value) == first)
    }

    /// The numbers of the places that have both.
    pub(crate) fn both(&self, first: Quantity, second: Quantity) -> (Vec<f64>, Vec<f64>) {
        let (first, second) = (self.values(first), self.values(second));
        let pairs = first.unwrap_or_default().iter().zip(second.unwrap_or_default());
        pairs.filter_map(|(first, second)| first.zip(*second)).unzip()
    }
}

/// What was observed of one part of one model on one text.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    pub(crate) part: Part,
    pub(crate) weights_sha256: String,
    pub(crate) code_version: String,
    /// Tokens for which an ablation of the state drops a channel at a time.
    pub(crate) dropped_tokens: Option<usize>,
    /// By index.
    pub(crate) sites: Vec<Site>,
    /// What a reader has to know: what was not observed, what was left out.
    pub(crate) notes: Vec<String>,
}

impl Joined {
    /// What some neuron or channel has, of what is compared pair by pair.
    pub(crate) fn quantities(&self) -> Vec<Quantity> {
        let compared = Quantity::compared(self.part).iter().copied();
        compared.filter(|&quantity| self.has(quantity)).collect()
    }

    /// What does not vary at some sites, with the layers of these.
    pub(crate) fn constant(&self) -> Vec<(Quantity, Vec<u32>)> {
        let with_layers = |quantity: Quantity| {
            let constant = self.sites.iter().filter(|site| site.is_constant(quantity));
            let layers: Vec<u32> = constant.map(|site| site.layer).collect();
            (quantity, layers)
        };
        let all = self.quantities().into_iter().map(with_layers);
        all.filter(|(_, layers)| !layers.is_empty()).collect()
    }

    pub(crate) fn has(&self, quantity: Quantity) -> bool {
        self.sites.iter().any(|site| site.values(quantity).is_some())
    }
}

/// Everything observed in a run, by model, text and part.
pub(crate) fn join(observed: &[Observed]) -> Vec<Joined> {
    let mut groups: BTreeMap<(&str, &str, Part), Vec<&Observed>> = BTreeMap::new();
    let with_scores = |observed: &&Observed| !matches!(observed.measured, Measured::Overlaps(_));
    for observed in observed.iter().filter(with_scores) {
        let cell = &observed.cell;
        let key = (cell.model.as_str(), cell.dataset.as_str(), cell.treatment.part);
        groups.entry(key).or_default().push(observed);
    }
    groups.into_values().filter_map(|group| of_group(&group)).collect()
}

/// The newest observation of each kind among those that agree in protocol, code, weights and text: of
/// several such sets that with the most kinds, of equals one with forward scores, then the newest.
fn of_group(group: &[&Observed]) -> Option<Joined> {
    type Key<'a> = (Protocol, [&'a str; 4]);
    let mut sets: BTreeMap<Key<'_>, BTreeMap<Observation, Vec<&Observed>>> = BTreeMap::new();
    for observed in group {
        let from = &observed.provenance;
        let hashes = [&from.code_version, &from.weights_sha256, &from.tokenizer_sha256];
        let [code, weights, tokenizer] = hashes.map(String::as_str);
        let key = (observed.cell.protocol, [code, weights, tokenizer, from.text_sha256.as_str()]);
        if let Some(observation) = observed.cell.treatment.observation {
            sets.entry(key).or_default().entry(observation).or_default().push(observed);
        }
    }
    let newest = |kinds: &BTreeMap<Observation, Vec<&Observed>>| {
        kinds.values().flatten().map(|observed| observed.provenance.started_at_ms).max()
    };
    let best = sets.into_values().max_by_key(|kinds| {
        (kinds.len(), kinds.contains_key(&Observation::Forward), newest(kinds))
    })?;
    let n_in_best: usize = best.values().map(Vec::len).sum();

    let mut notes = Vec::new();
    let kinds = [Observation::Forward, Observation::Gradient, Observation::Ablation];
    let absent: Vec<&str> =
        kinds.iter().filter(|kind| !best.contains_key(kind)).map(|kind| kind.as_str()).collect();
    if !absent.is_empty() {
        notes.push(format!("not observed: {}", absent.join(", ")));
    }
    if n_in_best > best.len() {
        notes.push("of several observations of one kind the newest is used".to_owned());
    }
    if group.len() > n_in_best {
        let others = count(group.len() - n_in_best, "observation");
        notes
            .push(format!("{others} by other code or of another protocol, model or text left out"));
    }
    let chosen: Vec<&Observed> = best
        .into_values()
        .filter_map(|twins| {
            let order = |observed: &&Observed| {
                (observed.provenance.started_at_ms, Reverse(observed.id.clone()))
            };
            twins.into_iter().max_by_key(order)
        })
        .collect();
    let first = chosen.first()?;
    Some(Joined {
        model: first.cell.model.clone(),
        dataset: first.cell.dataset.clone(),
        protocol: first.cell.protocol,
        part: first.cell.treatment.part,
        weights_sha256: first.provenance.weights_sha256.clone(),
        code_version: first.provenance.code_version.clone(),
        dropped_tokens: chosen.iter().find_map(|observed| observed.cell.treatment.window),
        sites: sites(&chosen),
        notes,
    })
}

/// Calls `visit` with site, layer, place and number of every quantity of every row.
fn for_each(
    observed: &Observed,
    mut visit: impl FnMut(u32, u32, Place, &dyn Fn(Quantity) -> Option<f64>),
) {
    match &observed.measured {
        Measured::Neurons(rows) => rows.iter().for_each(|row| {
            visit(row.site, row.layer, (0, row.neuron), &|quantity| quantity.of_neuron(row));
        }),
        Measured::Channels(rows) => rows.iter().for_each(|row| {
            let place = (row.group, row.channel);
            visit(row.site, row.layer, place, &|quantity| quantity.of_channel(row));
        }),
        Measured::Overlaps(_) => {}
    }
}

fn sites(chosen: &[&Observed]) -> Vec<Site> {
    let mut places: BTreeMap<(u32, u32), BTreeSet<Place>> = BTreeMap::new();
    for observed in chosen {
        for_each(observed, |site, layer, place, _| {
            places.entry((site, layer)).or_default().insert(place);
        });
    }
    let mut sites: BTreeMap<(u32, u32), Site> = places
        .into_iter()
        .map(|((site, layer), places)| {
            let places = places.into_iter().collect();
            ((site, layer), Site { site, layer, places, values: BTreeMap::new() })
        })
        .collect();
    for observed in chosen {
        for_each(observed, |site, layer, place, value| {
            let Some(site) = sites.get_mut(&(site, layer)) else { return };
            let Ok(position) = site.places.binary_search(&place) else { return };
            let n_places = site.places.len();
            for quantity in Quantity::ALL {
                if let Some(value) = value(quantity) {
                    let values =
                        site.values.entry(quantity).or_insert_with(|| vec![None; n_places]);
                    // The first observation that has it; the weights are in all of them.
                    values[position].get_or_insert(value);
                }
            }
        });
    }
    sites.into_values().collect()
}

//! The observations of one part of one model on one text, joined neuron by neuron.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use plan::{Observation, Part, Protocol};

use crate::observed::{Measured, Observed};
use crate::quantity::Quantity;
use crate::text::count;

/// A neuron's or a channel's place in its site: group (0 for a neuron) and index.
pub type Spot = (u32, u32);

/// One site with a number, or none, for every place.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its number among the sites of its part.
    pub site: u32,
    /// The layer that it is in.
    pub layer: u32,
    /// Ascending.
    pub places: Vec<Spot>,
    /// One number a place; a quantity that no place has is absent.
    values: BTreeMap<Quantity, Vec<Option<f64>>>,
}

impl Site {
    /// One number a place, or none.
    pub fn values(&self, quantity: Quantity) -> Option<&[Option<f64>]> {
        self.values.get(&quantity).map(Vec::as_slice)
    }

    /// One number a place; nothing where only a sample has one.
    pub fn all(&self, quantity: Quantity) -> Option<Vec<f64>> {
        self.values(quantity)?.iter().copied().collect()
    }

    /// Whether all numbers that there are, are the same.
    pub fn is_constant(&self, quantity: Quantity) -> bool {
        let mut values = self.values(quantity).unwrap_or_default().iter().flatten();
        let first = values.next();
        first.is_some() && values.all(|value| Some(value) == first)
    }

    /// The numbers of the places that have both.
    pub fn both(&self, first: Quantity, second: Quantity) -> (Vec<f64>, Vec<f64>) {
        let (first, second) = (self.values(first), self.values(second));
        let pairs = first.unwrap_or_default().iter().zip(second.unwrap_or_default());
        pairs.filter_map(|(first, second)| first.zip(*second)).unzip()
    }
}

/// One ablation of the state beside the scores of the same text.
#[derive(Debug, Clone)]
pub struct Ablation {
    /// Tokens W for which a channel is dropped at a time.
    pub dropped_tokens: usize,
    /// With the numbers of this ablation and of no other.
    pub sites: Vec<Site>,
}

/// What was observed of one part of one model on one text.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How the text was cut.
    pub protocol: Protocol,
    /// Windows of the text at most; none for all of them.
    pub limit: Option<usize>,
    /// What was observed.
    pub part: Part,
    /// The hash of the model's weights.
    pub weights_sha256: String,
    /// The version of the code.
    pub code_version: String,
    /// What computed it.
    pub device: String,
    /// Whether nothing of it was ordered: it was stored on the way to static sets.
    pub is_by_product: bool,
    /// The cells that it was joined of.
    pub cell_ids: Vec<String>,
    /// By index; of several ablations the first that has a place.
    pub sites: Vec<Site>,
    /// Ablations of the state, by the tokens for which each drops a channel at a time.
    pub ablations: Vec<Ablation>,
    /// What a reader has to know: what was not observed, what was left out.
    pub notes: Vec<String>,
}

impl Joined {
    /// What some neuron or channel has, of what is compared pair by pair.
    pub fn quantities(&self) -> Vec<Quantity> {
        let compared = Quantity::compared(self.part).iter().copied();
        compared.filter(|&quantity| self.has(quantity)).collect()
    }

    /// What does not vary at some sites, with the layers of these.
    pub fn constant(&self) -> Vec<(Quantity, Vec<u32>)> {
        let with_layers = |quantity: Quantity| {
            let constant = self.sites.iter().filter(|site| site.is_constant(quantity));
            let layers: Vec<u32> = constant.map(|site| site.layer).collect();
            (quantity, layers)
        };
        let all = self.quantities().into_iter().map(with_layers);
        all.filter(|(_, layers)| !layers.is_empty()).collect()
    }

    /// Whether some neuron or channel has it.
    pub fn has(&self, quantity: Quantity) -> bool {
        self.sites.iter().any(|site| site.values(quantity).is_some())
    }
}

/// Everything observed in a run: by model, then what was ordered before the by-products, then by
/// text and part.
pub fn join(observed: &[Observed], by_products: &BTreeSet<String>) -> Vec<Joined> {
    let mut groups: BTreeMap<(&str, &str, Part), Vec<&Observed>> = BTreeMap::new();
    let with_scores = |observed: &&Observed| {
        matches!(observed.measured, Measured::Neurons(_) | Measured::Channels(_))
    };
    for observed in observed.iter().filter(with_scores) {
        let cell = &observed.cell;
        let Some(part) = cell.recipe.treatment().map(|own| own.part) else { continue };
        let key = (cell.model.as_str(), cell.dataset.as_str(), part);
        groups.entry(key).or_default().push(observed);
    }
    let mut joined: Vec<Joined> =
        groups.into_values().filter_map(|group| of_group(&group, by_products)).collect();
    joined.sort_by(|a, b| (&a.model, a.is_by_product).cmp(&(&b.model, b.is_by_product)));
    joined
}

/// What is observed; ablations of the state that drop a channel for other windows are other ones.
type Kind = (Observation, Option<usize>);
/// Observations of one kind.
type Kinds<'a> = BTreeMap<Kind, Vec<&'a Observed>>;

/// The newest observation of each kind among those that agree in protocol, limit, code, device,
/// weights and text: of several such sets that with the most kinds, of equals one with forward
/// scores, then the newest.
fn of_group(group: &[&Observed], by_products: &BTreeSet<String>) -> Option<Joined> {
    let best = best_set(group)?;
    let mut notes = notes(group.len(), &best);
    let chosen: BTreeMap<Kind, &Observed> = best
        .into_iter()
        .filter_map(|(kind, alike)| {
            let order = |observed: &&Observed| {
                (observed.provenance.started_at_ms, Reverse(observed.id.clone()))
            };
            Some((kind, alike.into_iter().max_by_key(order)?))
        })
        .collect();
    let all: Vec<&Observed> = chosen.values().copied().collect();
    let first = all.first()?;
    let is_by_product = all.iter().all(|observed| by_products.contains(&observed.id));
    if is_by_product {
        notes.insert(0, "not ordered, but stored on the way to static sets".to_owned());
    }
    Some(Joined {
        model: first.cell.model.clone(),
        dataset: first.cell.dataset.clone(),
        protocol: first.cell.protocol,
        limit: first.cell.limit,
        part: first.cell.recipe.treatment()?.part,
        weights_sha256: first.provenance.weights_sha256.clone(),
        code_version: first.provenance.code_version.clone(),
        device: first.provenance.device.clone(),
        is_by_product,
        cell_ids: all.iter().map(|observed| observed.id.clone()).collect(),
        sites: sites(&all),
        ablations: ablations(&chosen),
        notes,
    })
}

fn best_set<'a>(group: &[&'a Observed]) -> Option<Kinds<'a>> {
    type Key<'a> = (Protocol, Option<usize>, [&'a str; 5]);
    let mut sets: BTreeMap<Key<'_>, Kinds<'_>> = BTreeMap::new();
    for &observed in group {
        let (cell, from) = (&observed.cell, &observed.provenance);
        let hashes = [&from.weights_sha256, &from.tokenizer_sha256, &from.text_sha256];
        let [weights, tokenizer, text] = hashes.map(String::as_str);
        let same = [from.code_version.as_str(), from.device.as_str(), weights, tokenizer, text];
        let Some(treatment) = cell.recipe.treatment() else { continue };
        if let Some(observation) = treatment.observation {
            let kinds = sets.entry((cell.protocol, cell.limit, same)).or_default();
            kinds.entry((observation, treatment.window)).or_default().push(observed);
        }
    }
    let newest = |kinds: &Kinds<'_>| {
        kinds.values().flatten().map(|observed| observed.provenance.started_at_ms).max()
    };
    sets.into_values().max_by_key(|kinds| {
        (kinds.len(), kinds.contains_key(&(Observation::Forward, None)), newest(kinds))
    })
}

/// What was not observed and what was left out of a group of `n_observed`.
fn notes(n_observed: usize, best: &Kinds<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let wanted = [Observation::Forward, Observation::Gradient, Observation::Ablation];
    let is_absent = |wanted: &&Observation| best.keys().all(|(kind, _)| kind != *wanted);
    let absent: Vec<&str> =
        wanted.iter().filter(is_absent).map(|observation| observation.as_str()).collect();
    if !absent.is_empty() {
        notes.push(format!("not observed: {}", absent.join(", ")));
    }
    let n_in_best: usize = best.values().map(Vec::len).sum();
    if n_in_best > best.len() {
        notes.push("of several observations of one kind the newest is used".to_owned());
    }
    if n_observed > n_in_best {
        let others = count(n_observed - n_in_best, "observation");
        notes.push(format!(
            "{others} by other code, on another device or of another protocol, limit, model or \
             text left out"
        ));
    }
    notes
}

/// The ablations that drop a channel for a while, each with everything else but the other ones.
fn ablations(chosen: &BTreeMap<Kind, &Observed>) -> Vec<Ablation> {
    let windows = chosen.keys().filter_map(|(_, window)| *window);
    let with_window = |dropped_tokens: usize| {
        let is_own = |window: &Option<usize>| window.is_none_or(|own| own == dropped_tokens);
        let own = chosen.iter().filter(|((_, window), _)| is_own(window));
        let own: Vec<&Observed> = own.map(|(_, observed)| *observed).collect();
        Ablation { dropped_tokens, sites: sites(&own) }
    };
    windows.map(with_window).collect()
}

/// Calls `visit` with site, layer, place and number of every quantity of every row.
fn for_each(
    observed: &Observed,
    mut visit: impl FnMut(u32, u32, Spot, &dyn Fn(Quantity) -> Option<f64>),
) {
    match &observed.measured {
        Measured::Neurons(rows) => rows.iter().for_each(|row| {
            visit(row.site, row.layer, (0, row.neuron), &|quantity| quantity.of_neuron(row));
        }),
        Measured::Channels(rows) => rows.iter().for_each(|row| {
            let place = (row.group, row.channel);
            visit(row.site, row.layer, place, &|quantity| quantity.of_channel(row));
        }),
        Measured::Overlaps(_)
        | Measured::Blocks(_)
        | Measured::Directions(_)
        | Measured::Lens(_)
        | Measured::Attention(_) => {}
    }
}

fn sites(chosen: &[&Observed]) -> Vec<Site> {
    let mut places: BTreeMap<(u32, u32), BTreeSet<Spot>> = BTreeMap::new();
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
                    // The first observation that has it: several ablations may have one place.
                    values[position].get_or_insert(value);
                }
            }
        });
    }
    sites.into_values().collect()
}

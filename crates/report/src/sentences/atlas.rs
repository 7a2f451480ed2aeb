//! What the atlas says, in words.

use evidence::Quantity;
use judgement::Summary;
use judgement::atlas::{Atlas, Entry, Measure, Overlap, SPARSITIES, Similarity, Stability};
use plan::{Part, shortest_decimal};
use serde::Serialize;

use super::finding::OfModel;
use super::numbers::with_limits;
use crate::format::{self, count, percent, significant};
use crate::units::unit;

/// What the atlas says of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AtlasSentences {
    pub(crate) model: String,
    /// Does size predict importance, do weights tell what a state carries, and what does its memory
    /// do to the price of a skipped write: these open the page.
    pub(crate) headlines: Vec<String>,
    /// Damage, kept sets, scratch-work.
    pub(crate) others: Vec<String>,
}

/// The sentences of each model, by name.
pub(crate) fn of_each_model(atlas: &Atlas) -> Vec<AtlasSentences> {
    atlas.models.iter().map(|model| of_model(model, atlas)).collect()
}

/// The sentences that open the page, if any do.
pub(super) fn headlines(summary: &Summary, all: &[AtlasSentences]) -> Vec<OfModel> {
    let opening = all.iter().filter(|_| summary.atlas.opens_page);
    let headlines =
        opening.flat_map(|own| own.headlines.iter().map(|text| (own.model.clone(), text.clone())));
    headlines.collect()
}

fn of_model(model: &str, atlas: &Atlas) -> AtlasSentences {
    let (ffn, state) = (atlas.entries_of(model, Part::Ffn), atlas.entries_of(model, Part::State));
    let gap = state.iter().copied().find_map(proxy_gap);
    let headlines = [size(&ffn), gap, state.iter().copied().find_map(persistence)];
    let damages = [&ffn, &state].map(|entries| entries.iter().copied().find_map(damage));
    let kept = ffn.iter().find_map(|entry| kept_sets(&atlas.stability, entry));
    let overlap = atlas.sparsest_overlap(model).and_then(scratch_work);
    let others = damages.into_iter().chain([kept, overlap]);
    AtlasSentences {
        model: model.to_owned(),
        headlines: headlines.into_iter().flatten().collect(),
        others: others.flatten().collect(),
    }
}

/// `-0.158`, `+0.957`
fn correlation(value: f64) -> String {
    format::correlation(value, 3)
}

/// `magnitude` against `weight` and against `impact`: in full on the first text that has them, the
/// means on the later ones.
fn size(entries: &[&Entry]) -> Option<String> {
    let of = |entry: &Entry, second: Quantity| {
        let similarity = entry.correlation(Quantity::Magnitude, second, Measure::Spearman)?;
        similarity.mean.map(|mean| (mean, similarity.clone()))
    };
    let has_weight = |entry: &&Entry| of(entry, Quantity::Weight).is_some();
    let position = entries.iter().position(has_weight)?;
    let (first, others) = entries[position..].split_first()?;
    let (mean, similarity) = of(first, Quantity::Weight)?;
    let mut sentence = format!(
        "corr(magnitude, weight) on {}/{}: mean {}{}",
        first.model,
        first.dataset,
        with_limits(&mean),
        by_depth(&similarity)
    );
    if let Some((mean, _)) = of(first, Quantity::Impact) {
        sentence += &format!("; corr(magnitude, impact) {}", with_limits(&mean));
    }
    for entry in others {
        let means = [Quantity::Weight, Quantity::Impact].map(|second| of(entry, second));
        if let [Some((weight, _)), Some((impact, _))] = means {
            let (weight, impact) = (correlation(weight.value), correlation(impact.value));
            sentence += &format!("; on {}: {weight} and {impact}", entry.dataset);
        }
    }
    Some(sentence + " (Spearman per site).")
}

/// `, negative at 24 of 30 sites, from +0.31 at layer 0 to -0.40 at layer 29`
fn by_depth(similarity: &Similarity) -> String {
    let Some(depth) = similarity.depth() else { return String::new() };
    let ((first_layer, first), (last_layer, last)) = (depth.first, depth.last);
    format!(
        ", negative at {} of {} sites, from {} at layer {first_layer} to {} at layer {last_layer}",
        depth.n_negative,
        depth.n_sites,
        correlation(first),
        correlation(last)
    )
}

/// Which score tells best what dropping a neuron or channel alone does to the loss.
fn damage(entry: &Entry) -> Option<String> {
    let rated = entry.predictors();
    let rated: Vec<String> = rated
        .iter()
        .map(|(score, mean)| format!("{} {}", score.as_str(), with_limits(mean)))
        .collect();
    if rated.is_empty() {
        return None;
    }
    let lowers = entry
        .ablation_lowers
        .map(|share| format!("; without {} of those sampled the loss is lower", percent(share)));
    let what = unit(entry.part);
    Some(format!(
        "What dropping a {what} alone does to the loss ({}/{}, ablation of a sample, Spearman per site), \
         from the best predictor to the worst: {}{}.",
        entry.model,
        entry.dataset,
        rated.join(", "),
        lowers.unwrap_or_default()
    ))
}

/// Whether `magnitude` keeps what `weight` and `impact` keep, and the same on another text.
fn kept_sets(stability: &[Stability], entry: &Entry) -> Option<String> {
    let sparsity = SPARSITIES[1];
    let with = |second: Quantity| {
        let mean = entry.agreement_at(Quantity::Magnitude, second, sparsity)?.mean?;
        Some(format!("with {} {}", second.as_str(), significant(mean.value, 3)))
    };
    let with: Vec<String> =
        [Quantity::Impact, Quantity::Weight].into_iter().filter_map(with).collect();
    let mut sentence = format!(
        "Kept sets at κ={} on {}/{} (Jaccard index, mean over sites): magnitude {}",
        shortest_decimal(sparsity),
        entry.model,
        entry.dataset,
        if with.is_empty() { return None } else { with.join(", ") }
    );
    let mut stable = stability.iter().filter(|stability| {
        let is_of = (stability.model == entry.model, stability.part == entry.part);
        let is_of_text = stability.first_dataset == entry.dataset;
        is_of == (true, true) && is_of_text && stability.score == Quantity::Magnitude
    });
    if let Some(stability) = stable.next()
        && let Some(mean) = stability
            .similarities
            .iter()
            .find(|similarity| similarity.sparsity == Some(sparsity))
            .and_then(|similarity| similarity.mean)
    {
        let [first, second] = stability.texts();
        let mean = significant(mean.value, 3);
        sentence +=
            &format!("; from {first} to {second} the Jaccard index of its kept sets is {mean}");
    }
    Some(sentence + ".")
}

/// Whether weights tell what a state carries.
fn proxy_gap(entry: &Entry) -> Option<String> {
    let gap = entry.proxy_gap.as_ref()?;
    let pearson = gap.pearson.map_or("no correlation".to_owned(), correlation);
    Some(format!(
        "The state of {} on {}: Pearson of state-weight with runtime energy over {} channels {pearson}; \
         at κ={} their ranks disagree on {} of the channels ({} phantom, {} corporeal).",
        entry.model,
        entry.dataset,
        gap.n_channels,
        shortest_decimal(gap.sparsity),
        percent(gap.disagreement()),
        percent(gap.phantom),
        percent(gap.corporeal)
    ))
}

/// What persistence does to the price of a skipped write, for every W of an ablation.
fn persistence(entry: &Entry) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for persistence in &entry.persistence {
        let rated = persistence.bins.iter().filter_map(|bin| Some((bin, bin.write_over_read?)));
        let rated: Vec<_> = rated.collect();
        let Some((&(short, first), later)) = rated.split_first() else { continue };
        let tokens = count(persistence.dropped_tokens, "token");
        let [lead, costs, compared] = match parts.is_empty() {
            true => [
                "dropping a channel for ",
                " at a time costs",
                " as much in write mode as in read mode",
            ],
            false => ["for ", "", ""],
        };
        let mut part = format!(
            "{lead}{tokens}{costs} {} times{compared} where half-lives average {} tokens ({})",
            significant(first, 3),
            significant(short.half_life, 3),
            count(short.n_channels, "channel")
        );
        if let Some((long, last)) = later.last() {
            part += &format!(
                ", {} times where they average {} ({})",
                significant(*last, 3),
                significant(long.half_life, 3),
                count(long.n_channels, "channel")
            );
        }
        parts.push(part);
    }
    let parts = (!parts.is_empty()).then(|| parts.join("; "))?;
    Some(format!("The memory of {} on {}: {parts}.", entry.model, entry.dataset))
}

/// How fast the kept sets of a token are gone.
fn scratch_work(overlap: &Overlap) -> Option<String> {
    let (first, last) = (overlap.lags.first()?, overlap.lags.last()?);
    let mut sentence = format!(
        "Scratch-work of {} on {} ({}, κ={}): sets {} apart share {} of their neurons",
        overlap.model,
        overlap.dataset,
        overlap.score,
        shortest_decimal(overlap.sparsity),
        count(first.lag_tokens as usize, "token"),
        percent(first.overlap.value)
    );
    if last.lag_tokens != first.lag_tokens {
        let share = percent(last.overlap.value);
        sentence += &format!(", sets {} apart {share}", count(last.lag_tokens as usize, "token"));
    }
    let by_chance = percent(first.by_chance);
    let changed = percent(1.0 - first.overlap.value);
    Some(format!(
        "{sentence}; by chance {by_chance}. After {} {changed} of a set is new.",
        count(first.lag_tokens as usize, "token")
    ))
}

//! What the atlas says, in words.

use plan::{Part, shortest_decimal};
use serde::Serialize;

use super::agreement::SPARSITIES;
use super::overlap::Overlap;
use super::page::{correlation, with_limits};
use super::similarity::{Measure, Similarity};
use super::stability::Stability;
use super::{Entry, Quantity};
use crate::format::{count, percent, significant};

/// What the atlas says of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Findings {
    pub(crate) model: String,
    /// Does size predict importance, and do weights tell what a state carries: these open the page.
    pub(crate) headlines: Vec<String>,
    /// Damage, kept sets, scratch-work.
    pub(crate) others: Vec<String>,
}

/// The findings of one model.
pub(super) fn of(
    model: &str,
    entries: &[Entry],
    stability: &[Stability],
    overlaps: &[Overlap],
) -> Findings {
    let of_part = |part: Part| -> Vec<&Entry> {
        let of_model = entries.iter().filter(|entry| entry.model == model);
        of_model.filter(|entry| entry.part == part).collect()
    };
    let (ffn, state) = (of_part(Part::Ffn), of_part(Part::State));
    let headlines = [size(&ffn), state.first().and_then(|entry| of_state(entry))];
    let damages = [&ffn, &state].map(|entries| entries.first().and_then(|entry| damage(entry)));
    let kept = kept_sets(stability, &ffn);
    let overlap = overlaps.iter().find(|overlap| overlap.model == model);
    let others = damages.into_iter().chain([kept, overlap.and_then(scratch_work)]);
    Findings {
        model: model.to_owned(),
        headlines: headlines.into_iter().flatten().collect(),
        others: others.flatten().collect(),
    }
}

/// `magnitude` against `weight` and against `impact`: in full on the first text, the means on others.
fn size(entries: &[&Entry]) -> Option<String> {
    let of = |entry: &Entry, second: Quantity| {
        let similarity = entry.correlation(Quantity::Magnitude, second, Measure::Spearman)?;
        similarity.mean.map(|mean| (mean, similarity.clone()))
    };
    let (first, others) = entries.split_first()?;
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
    let sites = similarity.sites.iter().filter_map(|site| Some((site.layer, site.value?)));
    let values: Vec<(u32, f64)> = sites.collect();
    let (Some((first_layer, first)), Some((last_layer, last))) = (values.first(), values.last())
    else {
        return String::new();
    };
    let n_negative = values.iter().filter(|(_, value)| *value < 0.0).count();
    format!(
        ", negative at {n_negative} of {} sites, from {} at layer {first_layer} to {} at layer \
         {last_layer}",
        values.len(),
        correlation(*first),
        correlation(*last)
    )
}

/// Which score tells best what dropping a neuron or channel alone does to the loss.
fn damage(entry: &Entry) -> Option<String> {
    let scores = entry.scores.iter().filter(|score| **score != Quantity::Ablation);
    let mut rated: Vec<(Quantity, f64, String)> = scores
        .filter_map(|&score| {
            let with = entry.correlation(score, Quantity::Ablation, Measure::Spearman)?;
            let mean = with.mean?;
            Some((score, mean.value, with_limits(&mean)))
        })
        .collect();
    rated.sort_by(|a, b| b.1.total_cmp(&a.1));
    if rated.is_empty() {
        return None;
    }
    let rated: Vec<String> =
        rated.iter().map(|(score, _, text)| format!("{} {text}", score.as_str())).collect();
    let what = match entry.part {
        Part::Ffn => "a neuron",
        Part::State => "a state channel",
    };
    Some(format!(
        "What dropping {what} alone does to the loss ({}/{}, ablation of a sample, Spearman per site), \
         from the best predictor to the worst: {}.",
        entry.model,
        entry.dataset,
        rated.join(", ")
    ))
}

/// Whether `magnitude` keeps what `weight` and `impact` keep, and the same on another text.
fn kept_sets(stability: &[Stability], entries: &[&Entry]) -> Option<String> {
    let entry = entries.first()?;
    let sparsity = SPARSITIES[1];
    let shared = |second: Quantity| {
        let mean = entry.agreement_at(Quantity::Magnitude, second, sparsity)?.mean?;
        Some(format!("{} {}", second.as_str(), significant(mean.value, 3)))
    };
    let shared: Vec<String> =
        [Quantity::Impact, Quantity::Weight].into_iter().filter_map(shared).collect();
    let mut sentence = format!(
        "Kept sets at κ={} on {}/{} (Jaccard, mean over sites): magnitude shares with {}",
        shortest_decimal(sparsity),
        entry.model,
        entry.dataset,
        if shared.is_empty() { return None } else { shared.join(" and with ") }
    );
    let mut stable = stability.iter().filter(|stability| {
        let is_of = (stability.model == entry.model, stability.part == entry.part);
        is_of == (true, true) && stability.score == Quantity::Magnitude
    });
    if let Some(stability) = stable.next()
        && let Some(mean) = stability
            .similarities
            .iter()
            .find(|similarity| similarity.sparsity == Some(sparsity))
            .and_then(|similarity| similarity.mean)
    {
        let (first, second) = (&stability.first_dataset, &stability.second_dataset);
        let mean = significant(mean.value, 3);
        sentence += &format!("; from {first} to {second} it keeps {mean} of its own");
    }
    Some(sentence + ".")
}

/// The proxy gap, and what persistence does to the price of a skipped write.
fn of_state(entry: &Entry) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(gap) = &entry.proxy_gap {
        let pearson = gap.pearson.map_or("no correlation".to_owned(), correlation);
        parts.push(format!(
            "Pearson of state-weight with runtime energy over {} channels {pearson}; at κ={} their \
             ranks disagree on {} of the channels ({} phantom, {} corporeal)",
            gap.n_channels,
            shortest_decimal(gap.sparsity),
            percent(gap.disagreement()),
            percent(gap.phantom),
            percent(gap.corporeal)
        ));
    }
    if let Some(persistence) = &entry.persistence {
        let rated = persistence.bins.iter().filter_map(|bin| Some((bin, bin.write_over_read?)));
        let rated: Vec<_> = rated.collect();
        if let (Some((short, first)), Some((long, last))) = (rated.first(), rated.last()) {
            parts.push(format!(
                "dropping a channel for {} tokens at a time costs {} times as much in write mode as in \
                 read mode where half-lives average {} tokens, {} times where they average {}",
                persistence.dropped_tokens,
                significant(*first, 3),
                significant(short.half_life, 3),
                significant(*last, 3),
                significant(long.half_life, 3)
            ));
        }
    }
    let parts = (!parts.is_empty()).then(|| parts.join("; "))?;
    Some(format!("The state of {} on {}: {parts}.", entry.model, entry.dataset))
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

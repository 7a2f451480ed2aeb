//! What was observed of attention: where it goes, whether the size of a key says it, and how long a position
//! stays among those that are kept.

use std::collections::BTreeMap;

use evidence::{Measured, Run};
use serde::Serialize;
use tables::AttentionRow;

use crate::atlas::Mean;
use crate::layers::newest;

/// Tokens from the start whose attention is told: the sinks.
pub const SINKS: u32 = 4;
/// Tokens back whose attention is told, the token itself among them.
pub const RECENT: u32 = 8;

/// A share of attention, beside what a head that looks at all alike would pay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paid {
    /// Share of attention, mean over heads.
    pub share: f64,
    /// The same of even attention.
    pub even: f64,
}

/// The heads of one attention.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttentionSite {
    /// Index of the attention, in the order of the forward pass.
    pub site: u32,
    /// Layer it stands in.
    pub layer: u32,
    /// Query heads.
    pub heads: usize,
    /// Attention to the first [`SINKS`] tokens.
    pub sinks: Paid,
    /// Attention to the last [`RECENT`] tokens.
    pub recent: Paid,
    /// Entropy as a share of that of even attention, mean over heads.
    pub entropy: f64,
    /// Spearman's ρ of `‖k‖₂` with the attention drawn, mean over key heads.
    pub rho_key_size: Option<f64>,
    /// The least and the largest of it.
    pub rho_key_size_range: Option<(f64, f64)>,
    /// The same of `‖v‖₂`, mean over key heads.
    pub rho_value_size: Option<f64>,
    /// Tokens after which half of the kept positions are kept no more, median over key heads; none where
    /// the longest distance does not get there.
    pub half_life_tokens: Option<f64>,
}

/// The attentions of a model on a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttentionAtlas {
    /// The cell.
    pub cell_id: String,
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// κ of the kept positions.
    pub sparsity: f64,
    /// From the first layer.
    pub sites: Vec<AttentionSite>,
    /// ρ of `‖k‖₂` with the attention drawn, over sites.
    pub rho_key_size: Option<Mean>,
    /// Attention to the sinks, over sites.
    pub sinks: Option<Mean>,
}

/// What attention looks at, of every model; of several observations the newest.
pub fn attention(run: &Run) -> Vec<AttentionAtlas> {
    let observed = newest(run, |own| matches!(own, Measured::Attention(_)));
    let of = |own: &evidence::Observed| {
        let Measured::Attention(rows) = &own.measured else { return None };
        let mut by_site: BTreeMap<u32, Vec<&AttentionRow>> = BTreeMap::new();
        rows.iter().for_each(|row| by_site.entry(row.site).or_default().push(row));
        let sites: Vec<AttentionSite> = by_site.values().map(|rows| of_site(rows)).collect();
        let rho: Vec<f64> = sites.iter().filter_map(|site| site.rho_key_size).collect();
        let sinks: Vec<f64> = sites.iter().map(|site| site.sinks.share).collect();
        Some(AttentionAtlas {
            cell_id: own.id.clone(),
            model: own.cell.model.clone(),
            dataset: own.cell.dataset.clone(),
            sparsity: own.cell.recipe.sparsity().get(),
            sites,
            rho_key_size: Mean::over_sites(&rho),
            sinks: Mean::over_sites(&sinks),
        })
    };
    observed.filter_map(of).collect()
}

fn of_site(rows: &[&AttentionRow]) -> AttentionSite {
    let mut heads: BTreeMap<u32, &AttentionRow> = BTreeMap::new();
    let mut key_heads: BTreeMap<u32, &AttentionRow> = BTreeMap::new();
    for row in rows {
        heads.entry(row.head).or_insert(row);
        key_heads.entry(row.key_head).or_insert(row);
    }
    let n = heads.len() as f64;
    let paid = |axis: &str, below: u32| {
        let own = || rows.iter().filter(|row| row.axis == axis && row.to_tokens < below);
        let share = own().map(|row| row.share).sum::<f64>() / n;
        Paid { share, even: own().map(|row| row.by_chance).sum::<f64>() / n }
    };
    let entropy = heads.values().map(|row| match row.even_entropy_nats {
        even if even > 0.0 => row.entropy_nats / even,
        _ => 1.0,
    });
    let rho = |of: fn(&AttentionRow) -> Option<f64>| -> Vec<f64> {
        key_heads.values().filter_map(|row| of(row)).collect()
    };
    let (of_keys, of_values) = (rho(|row| row.rho_key_size), rho(|row| row.rho_value_size));
    let mut half_lives: Vec<Option<f64>> = key_heads
        .values()
        .map(|own| {
            let curve = rows.iter().filter(|row| row.axis == "kept" && row.head == own.head);
            half_life(&curve.map(|row| (f64::from(row.from_tokens), row.share)).collect::<Vec<_>>())
        })
        .collect();
    // What never falls to a half stands last.
    half_lives.sort_by(|a, b| a.unwrap_or(f64::INFINITY).total_cmp(&b.unwrap_or(f64::INFINITY)));
    AttentionSite {
        site: rows[0].site,
        layer: rows[0].layer,
        heads: heads.len(),
        sinks: paid("position", SINKS),
        recent: paid("lag", RECENT),
        entropy: entropy.sum::<f64>() / n,
        rho_key_size: mean(&of_keys),
        rho_key_size_range: range(&of_keys),
        rho_value_size: mean(&of_values),
        half_life_tokens: half_lives.get(half_lives.len() / 2).copied().flatten(),
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn range(values: &[f64]) -> Option<(f64, f64)> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    Some((least, values.iter().copied().max_by(f64::total_cmp)?))
}

/// Where a falling curve of shares by distance crosses a half, on a line in the logarithm of the distance.
/// At no distance all are kept.
fn half_life(curve: &[(f64, f64)]) -> Option<f64> {
    let below = curve.iter().position(|(_, share)| *share <= 0.5)?;
    let (to, after) = curve[below];
    let Some((from, before)) = below.checked_sub(1).map(|index| curve[index]) else {
        // Between no distance and the first: on a straight line.
        return Some(to * 0.5 / (1.0 - after).max(0.5));
    };
    let part = (before - 0.5) / (before - after);
    Some(from * (to / from).powf(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_lives_by_hand() {
        assert_eq!(half_life(&[(1.0, 0.9), (2.0, 0.5)]), Some(2.0));
        assert_eq!(half_life(&[(1.0, 0.9), (2.0, 0.8)]), None);
        assert_eq!(half_life(&[(1.0, 0.0)]), Some(0.5));
        let between = half_life(&[(1.0, 0.75), (4.0, 0.25)]).unwrap_or(f64::NAN);
        assert!((between - 2.0).abs() < 1e-12);
    }

    #[test]
    fn sites_by_hand() {
        let row = |head: u32, axis: &str, from: u32, to: u32, share: f64| AttentionRow {
            site: 0,
            layer: 3,
            head,
            key_head: 0,
            queries: 10,
            axis: axis.to_owned(),
            from_tokens: from,
            to_tokens: to,
            share,
            by_chance: 0.1,
            entropy_nats: 1.0,
            even_entropy_nats: 2.0,
            rho_key_size: Some(-0.5),
            rho_value_size: None,
        };
        let rows = [
            row(0, "position", 0, 0, 0.5),
            row(0, "position", 2, 3, 0.25),
            row(0, "position", 4, 7, 0.25),
            row(1, "position", 0, 0, 0.25),
            row(0, "kept", 1, 1, 0.5),
            row(1, "kept", 1, 1, 0.5),
        ];
        let site = of_site(&rows.iter().collect::<Vec<_>>());
        assert_eq!((site.layer, site.heads, site.entropy), (3, 2, 0.5));
        assert_eq!(site.sinks.share, 0.5);
        assert_eq!(site.recent.share, 0.0);
        assert_eq!(site.rho_key_size_range, Some((-0.5, -0.5)));
        assert_eq!((site.rho_value_size, site.half_life_tokens), (None, Some(1.0)));
    }
}

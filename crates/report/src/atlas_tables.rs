//! The atlas as Parquet files.

use std::path::Path;

use anyhow::{Context, Result};
use judgement::atlas::{Atlas, BOOTSTRAP, Entry, Persistence, Similarity};
use judgement::attention::AttentionAtlas;
use serde_json::json;
use tables::{AttentionSiteRow, OverlapMeanRow, PersistenceRow, ProxyGapRow, SimilarityRow};

/// The folder of the files.
const FOLDER: &str = "atlas";

/// Writes the tables that have rows into `beside/<prefix>atlas`; the names of the files written.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn write(
    atlas: &Atlas,
    attention: &[AttentionAtlas],
    beside: &Path,
    prefix: &str,
) -> Result<Vec<String>> {
    let settings = json!({
        "interval": "percentile bootstrap over sites",
        "resamples": BOOTSTRAP.resamples,
        "seed": BOOTSTRAP.seed,
        "level": BOOTSTRAP.level.get(),
    });
    let settings = settings.to_string();
    let folder = beside.join(format!("{prefix}{FOLDER}"));
    let mut written = Vec::new();
    let mut write = |name: &str, n_rows: usize, write: &dyn Fn(&Path) -> Result<()>| {
        if n_rows > 0 {
            let path = folder.join(format!("{name}.parquet"));
            write(&path).with_context(|| format!("cannot write {}", path.display()))?;
            written.push(path.display().to_string());
        }
        Ok::<(), anyhow::Error>(())
    };
    let rows = similarities(atlas);
    write("similarities", rows.len(), &|path| {
        Ok(tables::write_similarities(path, &rows, &settings)?)
    })?;
    let rows: Vec<ProxyGapRow> = atlas.entries.iter().filter_map(proxy_gap).collect();
    write("proxy_gap", rows.len(), &|path| Ok(tables::write_proxy_gaps(path, &rows, &settings)?))?;
    let rows: Vec<PersistenceRow> = atlas.entries.iter().flat_map(persistence).collect();
    write("persistence", rows.len(), &|path| {
        Ok(tables::write_persistence(path, &rows, &settings)?)
    })?;
    let rows = overlaps(atlas);
    write("overlap", rows.len(), &|path| Ok(tables::write_overlap_means(path, &rows, &settings)?))?;
    let rows: Vec<AttentionSiteRow> = attention.iter().flat_map(attention_sites).collect();
    write("attention", rows.len(), &|path| {
        Ok(tables::write_attention_sites(path, &rows, &settings)?)
    })?;
    Ok(written)
}

fn similarities(atlas: &Atlas) -> Vec<SimilarityRow> {
    let mut rows = Vec::new();
    for entry in &atlas.entries {
        let about = about(entry);
        for similarity in entry.correlations.iter().chain(&entry.agreement) {
            rows.extend(of_similarity(&about, similarity));
        }
        for persistence in &entry.persistence {
            rows.extend(with_half_life(&about, persistence));
        }
    }
    for stability in &atlas.stability {
        let about = SimilarityRow {
            model: stability.model.clone(),
            part: stability.part.as_str(),
            first_dataset: stability.first_dataset.clone(),
            second_dataset: stability.second_dataset.clone(),
            ..nothing()
        };
        for similarity in &stability.similarities {
            rows.extend(of_similarity(&about, similarity));
        }
    }
    rows
}

/// A row with nothing in it.
fn nothing() -> SimilarityRow {
    SimilarityRow {
        model: String::new(),
        part: "",
        first_dataset: String::new(),
        second_dataset: String::new(),
        first: "",
        second: "",
        measure: "",
        sparsity: None,
        dropped_tokens: None,
        site: None,
        layer: None,
        n: 0,
        value: None,
        lower: None,
        upper: None,
    }
}

/// What all rows of one text have in common.
fn about(entry: &Entry) -> SimilarityRow {
    SimilarityRow {
        model: entry.model.clone(),
        part: entry.part.as_str(),
        first_dataset: entry.dataset.clone(),
        second_dataset: entry.dataset.clone(),
        ..nothing()
    }
}

/// One row a site, and one for the mean over sites.
fn of_similarity<'a>(
    about: &'a SimilarityRow,
    similarity: &'a Similarity,
) -> impl Iterator<Item = SimilarityRow> + 'a {
    let row = SimilarityRow {
        first: similarity.first.as_str(),
        second: similarity.second.as_str(),
        measure: similarity.measure.as_str(),
        sparsity: similarity.sparsity,
        ..about.clone()
    };
    let mean = similarity.mean;
    let of_all = SimilarityRow {
        n: mean.map_or(0, |mean| mean.n_sites as u64),
        value: mean.map(|mean| mean.value),
        lower: mean.and_then(|mean| mean.lower),
        upper: mean.and_then(|mean| mean.upper),
        ..row.clone()
    };
    let sites = similarity.sites.iter().map(move |site| SimilarityRow {
        site: Some(site.site),
        layer: Some(site.layer),
        n: site.n as u64,
        value: site.value,
        ..row.clone()
    });
    sites.chain([of_all])
}

/// Half-life against what dropping a channel does.
fn with_half_life(about: &SimilarityRow, persistence: &Persistence) -> Vec<SimilarityRow> {
    let dropped_tokens = Some(dropped_tokens(persistence));
    let about = SimilarityRow { dropped_tokens, ..about.clone() };
    let correlations = persistence.correlations.iter();
    correlations.flat_map(|similarity| of_similarity(&about, similarity)).collect()
}

/// As the tables have it; no text has windows that long.
fn dropped_tokens(persistence: &Persistence) -> u32 {
    u32::try_from(persistence.dropped_tokens).unwrap_or(u32::MAX)
}

fn proxy_gap(entry: &Entry) -> Option<ProxyGapRow> {
    let gap = entry.proxy_gap.as_ref()?;
    Some(ProxyGapRow {
        model: entry.model.clone(),
        dataset: entry.dataset.clone(),
        channels: gap.n_channels as u64,
        pearson: gap.pearson,
        sparsity: gap.sparsity,
        phantom: gap.phantom,
        corporeal: gap.corporeal,
    })
}

fn persistence(entry: &Entry) -> Vec<PersistenceRow> {
    let bins = entry.persistence.iter().flat_map(|own| own.bins.iter().map(move |bin| (own, bin)));
    let rows = bins.map(|(persistence, bin)| PersistenceRow {
        model: entry.model.clone(),
        dataset: entry.dataset.clone(),
        dropped_tokens: dropped_tokens(persistence),
        half_life_from: bin.from,
        half_life_below: bin.below,
        channels: bin.n_channels as u64,
        half_life: bin.half_life,
        ablation: bin.ablation,
        ablation_read: bin.ablation_read,
        ablation_write: bin.ablation_write,
        write_over_read: bin.write_over_read,
    });
    rows.collect()
}

fn overlaps(atlas: &Atlas) -> Vec<OverlapMeanRow> {
    let mut rows = Vec::new();
    for overlap in &atlas.overlaps {
        rows.extend(overlap.lags.iter().map(|lag| OverlapMeanRow {
            model: overlap.model.clone(),
            dataset: overlap.dataset.clone(),
            score: overlap.score.as_str(),
            sparsity: overlap.sparsity,
            lag_tokens: lag.lag_tokens,
            sites: lag.overlap.n_sites as u64,
            overlap: lag.overlap.value,
            lower: lag.overlap.lower,
            upper: lag.overlap.upper,
            jaccard: lag.jaccard,
            by_chance: lag.by_chance,
        }));
    }
    rows
}

fn attention_sites(own: &AttentionAtlas) -> impl Iterator<Item = AttentionSiteRow> {
    own.sites.iter().map(|site| AttentionSiteRow {
        model: own.model.clone(),
        dataset: own.dataset.clone(),
        sparsity: own.sparsity,
        site: site.site,
        layer: site.layer,
        heads: site.heads as u64,
        sinks: site.sinks.share,
        sinks_by_chance: site.sinks.even,
        recent: site.recent.share,
        recent_by_chance: site.recent.even,
        entropy: site.entropy,
        rho_key_size: site.rho_key_size,
        rho_key_size_least: site.rho_key_size_range.map(|(least, _)| least),
        rho_key_size_largest: site.rho_key_size_range.map(|(_, largest)| largest),
        rho_value_size: site.rho_value_size,
        half_life_tokens: site.half_life_tokens,
    })
}

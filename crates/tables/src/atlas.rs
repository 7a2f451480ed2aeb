//! The tables of the importance atlas: what a report works out from the tables `neurons`, `channels`,
//! `overlaps` and `attention`, written beside its page as `atlas/*.parquet`.
//!
//! They are no results of cells: the same results give the same rows again. A row that has no site is
//! about all of them.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::StoreError;
use crate::attention_sites::ATTENTION;
use crate::columns::{Batch, Column, Kind};
use crate::write::{About, WriteError, write_atomically};

/// How alike two rankings of the neurons or channels of a site are.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarityRow {
    /// Name of the model.
    pub model: String,
    /// `ffn` or `state`.
    pub part: &'static str,
    /// What was ranked on the first text, and on the second; one text for two scores of one text.
    pub first_dataset: String,
    /// The text of the second ranking.
    pub second_dataset: String,
    /// The score of the first ranking.
    pub first: &'static str,
    /// The score of the second ranking.
    pub second: &'static str,
    /// `spearman`, `pearson` or `jaccard`.
    pub measure: &'static str,
    /// Sparsity of the kept sets; none unless the measure is `jaccard`.
    pub sparsity: Option<f64>,
    /// Tokens W for which the ablation of the state dropped a channel at a time; none unless
    /// `half-life` is compared with what dropping a channel does.
    pub dropped_tokens: Option<u32>,
    /// Index of the site; none for the mean over sites.
    pub site: Option<u32>,
    /// Layer that the site stands in.
    pub layer: Option<u32>,
    /// Neurons or channels compared; of a mean: sites.
    pub n: u64,
    /// The measure; none where a ranking is constant or there are too few to compare.
    pub value: Option<f64>,
    /// Lower limit of a mean's 95 % interval (bootstrap over sites).
    pub lower: Option<f64>,
    /// Upper limit.
    pub upper: Option<f64>,
}

const SIMILARITIES: &[Column] = &[
    Column::new("model", Kind::Text, "name of the model"),
    Column::new("part", Kind::Text, "what was scored: ffn or state"),
    Column::new("first_dataset", Kind::Text, "text of the first ranking"),
    Column::new("second_dataset", Kind::Text, "text of the second ranking"),
    Column::new("first", Kind::Text, "score of the first ranking"),
    Column::new("second", Kind::Text, "score of the second ranking"),
    Column::new("measure", Kind::Text, "spearman, pearson or jaccard"),
    Column::optional("sparsity", Kind::F64, "sparsity of the kept sets; null unless jaccard"),
    Column::optional("dropped_tokens", Kind::U32, "W of the ablation; null unless of half-life"),
    Column::optional("site", Kind::U32, "index of the site; null for all sites"),
    Column::optional("layer", Kind::U32, "layer that the site stands in; null for all sites"),
    Column::new("n", Kind::U64, "neurons or channels compared; of a mean: sites"),
    Column::optional("value", Kind::F64, "the measure; null where a ranking is constant"),
    Column::optional("lower", Kind::F64, "lower limit of a mean, 95 %, bootstrap over sites"),
    Column::optional("upper", Kind::F64, "upper limit of a mean, 95 %, bootstrap over sites"),
];

/// How far weights and energy of state channels disagree, over all channels of all layers.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyGapRow {
    /// Name of the model.
    pub model: String,
    /// Name of the text.
    pub dataset: String,
    /// Channels of all layers.
    pub channels: u64,
    /// Pearson correlation of `state-weight` with the mean of H², both standardised.
    pub pearson: Option<f64>,
    /// Sparsity of the two kept sets.
    pub sparsity: f64,
    /// Share of channels with small weight and high energy.
    pub phantom: f64,
    /// Share of channels with large weight and low energy.
    pub corporeal: f64,
}

const PROXY_GAP: &[Column] = &[
    Column::new("model", Kind::Text, "name of the model"),
    Column::new("dataset", Kind::Text, "name of the text"),
    Column::new("channels", Kind::U64, "channels of all layers"),
    Column::optional("pearson", Kind::F64, "of state-weight with mean H^2, both standardised"),
    Column::new("sparsity", Kind::F64, "share that is small or low by rank"),
    Column::new("phantom", Kind::F64, "share of channels: small weight, high energy, 0 to 1"),
    Column::new("corporeal", Kind::F64, "share of channels: large weight, low energy, 0 to 1"),
];

/// What dropping state channels of like half-life does.
#[derive(Debug, Clone, PartialEq)]
pub struct PersistenceRow {
    /// Name of the model.
    pub model: String,
    /// Name of the text.
    pub dataset: String,
    /// Tokens W for which an ablation dropped a channel at a time.
    pub dropped_tokens: u32,
    /// Shortest half-life of the bin, in tokens.
    pub half_life_from: f64,
    /// Half-lives of the bin are below this; none for the last bin.
    pub half_life_below: Option<f64>,
    /// Channels in the bin.
    pub channels: u64,
    /// Their mean half-life, in tokens.
    pub half_life: f64,
    /// Mean rise of the mean NLL when a channel is dropped for ever, nats per target.
    pub ablation: Option<f64>,
    /// The same in every other window, in `read` mode.
    pub ablation_read: Option<f64>,
    /// The same in `write` mode.
    pub ablation_write: Option<f64>,
    /// The mean rise in `write` mode divided by that in `read` mode; none unless both are positive.
    pub write_over_read: Option<f64>,
}

const PERSISTENCE: &[Column] = &[
    Column::new("model", Kind::Text, "name of the model"),
    Column::new("dataset", Kind::Text, "name of the text"),
    Column::new("dropped_tokens", Kind::U32, "tokens W of the windows that an ablation drops"),
    Column::new("half_life_from", Kind::F64, "shortest half-life of the bin, tokens"),
    Column::optional("half_life_below", Kind::F64, "end of the bin, tokens; null for the last"),
    Column::new("channels", Kind::U64, "channels in the bin"),
    Column::new("half_life", Kind::F64, "mean half-life of the bin, tokens"),
    Column::optional("ablation", Kind::F64, "mean rise of the NLL, dropped for ever, nats"),
    Column::optional("ablation_read", Kind::F64, "the same, every other window, read mode"),
    Column::optional("ablation_write", Kind::F64, "the same, every other window, write mode"),
    Column::optional("write_over_read", Kind::F64, "mean rise in write mode / in read mode"),
];

/// How much the kept sets of two tokens share, mean over sites.
#[derive(Debug, Clone, PartialEq)]
pub struct OverlapMeanRow {
    /// Name of the model.
    pub model: String,
    /// Name of the text.
    pub dataset: String,
    /// What ranked the neurons.
    pub score: &'static str,
    /// Sparsity of the kept sets.
    pub sparsity: f64,
    /// Tokens between the two.
    pub lag_tokens: u32,
    /// Sites of the mean.
    pub sites: u64,
    /// Mean share of kept neurons that both tokens keep.
    pub overlap: f64,
    /// Lower limit of its 95 % interval (bootstrap over sites).
    pub lower: Option<f64>,
    /// Upper limit.
    pub upper: Option<f64>,
    /// Mean of shared over all neurons of the two sets.
    pub jaccard: f64,
    /// The overlap of two sets drawn by chance.
    pub by_chance: f64,
}

const OVERLAP: &[Column] = &[
    Column::new("model", Kind::Text, "name of the model"),
    Column::new("dataset", Kind::Text, "name of the text"),
    Column::new("score", Kind::Text, "what ranked the neurons"),
    Column::new("sparsity", Kind::F64, "sparsity of the kept sets"),
    Column::new("lag_tokens", Kind::U32, "tokens between the two sets"),
    Column::new("sites", Kind::U64, "sites of the mean"),
    Column::new("overlap", Kind::F64, "mean share of kept neurons that both tokens keep, 0 to 1"),
    Column::optional("lower", Kind::F64, "lower limit, 95 %, bootstrap over sites"),
    Column::optional("upper", Kind::F64, "upper limit, 95 %, bootstrap over sites"),
    Column::new("jaccard", Kind::F64, "mean of shared over all neurons of the two sets, 0 to 1"),
    Column::new("by_chance", Kind::F64, "overlap of two sets drawn by chance, 0 to 1"),
];

/// The columns of the tables of the atlas, by file name.
pub fn atlas_columns() -> [(&'static str, &'static [Column]); 5] {
    [
        ("similarities", SIMILARITIES),
        ("proxy_gap", PROXY_GAP),
        ("persistence", PERSISTENCE),
        ("overlap", OVERLAP),
        ("attention", ATTENTION),
    ]
}

/// Writes how alike rankings are; the file appears complete or not at all. `settings` says how the
/// intervals were made, as JSON, and is stored in it.
///
/// # Errors
/// A disk that refuses.
pub fn write_similarities(
    path: &Path,
    rows: &[SimilarityRow],
    settings: &str,
) -> Result<(), StoreError> {
    let mut batch = Batch::new(rows.len());
    batch.text("model", rows.iter().map(|row| row.model.as_str()));
    batch.text("part", rows.iter().map(|row| row.part));
    batch.text("first_dataset", rows.iter().map(|row| row.first_dataset.as_str()));
    batch.text("second_dataset", rows.iter().map(|row| row.second_dataset.as_str()));
    batch.text("first", rows.iter().map(|row| row.first));
    batch.text("second", rows.iter().map(|row| row.second));
    batch.text("measure", rows.iter().map(|row| row.measure));
    batch.optional_f64("sparsity", rows.iter().map(|row| row.sparsity));
    batch.optional_u32("dropped_tokens", rows.iter().map(|row| row.dropped_tokens));
    batch.optional_u32("site", rows.iter().map(|row| row.site));
    batch.optional_u32("layer", rows.iter().map(|row| row.layer));
    batch.u64("n", rows.iter().map(|row| row.n));
    batch.optional_f64("value", rows.iter().map(|row| row.value));
    batch.optional_f64("lower", rows.iter().map(|row| row.lower));
    batch.optional_f64("upper", rows.iter().map(|row| row.upper));
    write(path, batch.finish(SIMILARITIES), settings)
}

/// Writes proxy gaps; the file appears complete or not at all.
///
/// # Errors
/// As [`write_similarities`].
pub fn write_proxy_gaps(
    path: &Path,
    rows: &[ProxyGapRow],
    settings: &str,
) -> Result<(), StoreError> {
    let mut batch = Batch::new(rows.len());
    batch.text("model", rows.iter().map(|row| row.model.as_str()));
    batch.text("dataset", rows.iter().map(|row| row.dataset.as_str()));
    batch.u64("channels", rows.iter().map(|row| row.channels));
    batch.optional_f64("pearson", rows.iter().map(|row| row.pearson));
    batch.f64("sparsity", rows.iter().map(|row| row.sparsity));
    batch.f64("phantom", rows.iter().map(|row| row.phantom));
    batch.f64("corporeal", rows.iter().map(|row| row.corporeal));
    write(path, batch.finish(PROXY_GAP), settings)
}

/// Writes what dropping channels does by half-life; the file appears complete or not at all.
///
/// # Errors
/// As [`write_similarities`].
pub fn write_persistence(
    path: &Path,
    rows: &[PersistenceRow],
    settings: &str,
) -> Result<(), StoreError> {
    let mut batch = Batch::new(rows.len());
    batch.text("model", rows.iter().map(|row| row.model.as_str()));
    batch.text("dataset", rows.iter().map(|row| row.dataset.as_str()));
    batch.u32("dropped_tokens", rows.iter().map(|row| row.dropped_tokens));
    batch.f64("half_life_from", rows.iter().map(|row| row.half_life_from));
    batch.optional_f64("half_life_below", rows.iter().map(|row| row.half_life_below));
    batch.u64("channels", rows.iter().map(|row| row.channels));
    batch.f64("half_life", rows.iter().map(|row| row.half_life));
    batch.optional_f64("ablation", rows.iter().map(|row| row.ablation));
    batch.optional_f64("ablation_read", rows.iter().map(|row| row.ablation_read));
    batch.optional_f64("ablation_write", rows.iter().map(|row| row.ablation_write));
    batch.optional_f64("write_over_read", rows.iter().map(|row| row.write_over_read));
    write(path, batch.finish(PERSISTENCE), settings)
}

/// Writes overlaps of kept sets; the file appears complete or not at all.
///
/// # Errors
/// As [`write_similarities`].
pub fn write_overlap_means(
    path: &Path,
    rows: &[OverlapMeanRow],
    settings: &str,
) -> Result<(), StoreError> {
    let mut batch = Batch::new(rows.len());
    batch.text("model", rows.iter().map(|row| row.model.as_str()));
    batch.text("dataset", rows.iter().map(|row| row.dataset.as_str()));
    batch.text("score", rows.iter().map(|row| row.score));
    batch.f64("sparsity", rows.iter().map(|row| row.sparsity));
    batch.u32("lag_tokens", rows.iter().map(|row| row.lag_tokens));
    batch.u64("sites", rows.iter().map(|row| row.sites));
    batch.f64("overlap", rows.iter().map(|row| row.overlap));
    batch.optional_f64("lower", rows.iter().map(|row| row.lower));
    batch.optional_f64("upper", rows.iter().map(|row| row.upper));
    batch.f64("jaccard", rows.iter().map(|row| row.jaccard));
    batch.f64("by_chance", rows.iter().map(|row| row.by_chance));
    write(path, batch.finish(OVERLAP), settings)
}

pub(crate) fn write(
    path: &Path,
    batch: Result<RecordBatch, ArrowError>,
    settings: &str,
) -> Result<(), StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { path: path.to_owned(), reason };
    let batch = batch.map_err(|error| unreadable(error.to_string()))?;
    write_atomically(path, &batch, About::settings(settings)).map_err(|error| match error {
        WriteError::Encode(reason) => unreadable(reason),
        WriteError::Store(error) => error,
    })
}

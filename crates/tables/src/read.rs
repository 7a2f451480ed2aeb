//! Reading files back: the completeness check, and rows for tests and small tools.

use std::fs::File;
use std::path::Path;

use arrow_array::{
    Array, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::{
    AttentionRow, BlockRow, ChannelRow, ChoiceRow, DirectionRow, ItemRow, NeuronRow, OverlapRow,
    RowCache, RowShares, SCHEMA_VERSION, StoreError, TaskColumns, WindowRow, token_columns,
};

/// Whether `path` is a complete table of this layout: footer readable, data where it says.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let file_bytes = file.metadata().map_err(|error| error.to_string())?.len();
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .map_err(|error| format!("no complete Parquet footer ({error})"))?;
    if metadata.file_metadata().num_rows() < 1 {
        return Err("it has no rows".to_owned());
    }
    for group in metadata.row_groups() {
        for column in group.columns() {
            // `byte_range` would panic on what a flipped bit can make of these.
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let (Ok(start), Ok(length)) =
                (u64::try_from(start), u64::try_from(column.compressed_size()))
            else {
                return Err("its footer holds a negative offset or size".to_owned());
            };
            if start.saturating_add(length) > file_bytes {
                return Err("its footer points beyond its end".to_owned());
            }
        }
    }
    match value_of(&metadata, "slim.schema").as_deref() {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(other) => {
            Err(format!("its layout is version {other}, this program writes {SCHEMA_VERSION}"))
        }
        None => Err("it was not written by this program (no slim.schema)".to_owned()),
    }
}

fn value_of(metadata: &ParquetMetaData, key: &str) -> Option<String> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.clone()
}

pub(crate) fn unreadable(path: &Path) -> impl Fn(String) -> StoreError + '_ {
    move |reason| StoreError::Unreadable { path: path.to_owned(), reason }
}

/// The cell that a file's rows belong to.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_cell(path: &Path) -> Result<plan::Cell, StoreError> {
    let unreadable = unreadable(path);
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .map_err(|error| unreadable(error.to_string()))?;
    let json = value_of(&metadata, "slim.cell")
        .ok_or_else(|| unreadable("it has no slim.cell".to_owned()))?;
    serde_json::from_str(&json).map_err(|error| unreadable(error.to_string()))
}

/// All columns of a file.
pub(crate) fn batches(path: &Path) -> Result<Vec<RecordBatch>, StoreError> {
    batches_of(path, None)
}

/// The named columns of a file; all of them where `names` is `None`.
pub(crate) fn batches_of(
    path: &Path,
    names: Option<&[&str]>,
) -> Result<Vec<RecordBatch>, StoreError> {
    let unreadable = unreadable(path);
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| unreadable(error.to_string()))?;
    let mask = match names {
        None => ProjectionMask::all(),
        Some(names) => {
            let there = builder.schema();
            if let Some(name) = names.iter().find(|name| there.index_of(name).is_err()) {
                return Err(unreadable(format!("it has no column `{name}`")));
            }
            ProjectionMask::columns(builder.parquet_schema(), names.iter().copied())
        }
    };
    let reader =
        builder.with_projection(mask).build().map_err(|error| unreadable(error.to_string()))?;
    reader.map(|batch| batch.map_err(|error| unreadable(error.to_string()))).collect()
}

/// The array of one column, as the type it must have.
pub(crate) fn column<'a, A: Array + 'static>(
    path: &Path,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a A, StoreError> {
    batch
        .column_by_name(name)
        .and_then(|array| array.as_any().downcast_ref::<A>())
        .ok_or_else(|| unreadable(path)(format!("no column `{name}` of the expected type")))
}

/// The rows of a `windows` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_windows(path: &Path) -> Result<Vec<WindowRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches(path)? {
        let window_index: &UInt32Array = column(path, &batch, "window_index")?;
        let nll_nats: &Float64Array = column(path, &batch, "nll_nats")?;
        let n_targets: &UInt32Array = column(path, &batch, "n_targets")?;
        let js_nats = optional(path, &batch, "js_nats")?;
        let shares = shares(path, &batch)?;
        let tokens = token_columns::read(path, &batch)?;
        rows.extend((0..batch.num_rows()).map(|row| WindowRow {
            window_index: window_index.value(row),
            nll_nats: nll_nats.value(row),
            n_targets: n_targets.value(row),
            js_nats: js_nats(row),
            shares: shares(row),
            tokens: tokens(row),
        }));
    }
    Ok(rows)
}

/// The rows of a `choices` file, in full precision, and what is said of its task.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_choices(path: &Path) -> Result<(TaskColumns, Vec<ChoiceRow>), StoreError> {
    let (mut rows, mut task) = (Vec::new(), None);
    for batch in batches(path)? {
        let number = |name| column::<UInt32Array>(path, &batch, name);
        let value = |name| column::<Float64Array>(path, &batch, name);
        let flag = |name| column::<BooleanArray>(path, &batch, name);
        let text = |name| column::<StringArray>(path, &batch, name);
        let (item, choice) = (number("item_index")?, number("choice_index")?);
        let (targets, tokens) = (number("n_target_tokens")?, number("n_tokens")?);
        let (characters, bytes) = (number("n_characters")?, number("n_bytes")?);
        let (gold, greedy) = (flag("is_gold")?, flag("is_greedy")?);
        let (logprob, digest) = (value("logprob_nats")?, text("request_sha256")?);
        let shares = shares(path, &batch)?;
        let of_tokens = token_columns::read(path, &batch)?;
        let (version, group) = (text("task_version")?, text("task_group")?);
        let normalised = flag("is_normalised")?;
        task = task.or_else(|| {
            (batch.num_rows() > 0).then(|| TaskColumns {
                version: version.value(0).to_owned(),
                group: group.is_valid(0).then(|| group.value(0).to_owned()),
                is_normalised: normalised.value(0),
            })
        });
        rows.extend((0..batch.num_rows()).map(|row| ChoiceRow {
            item_index: item.value(row),
            choice_index: choice.value(row),
            is_gold: gold.value(row),
            logprob_nats: logprob.value(row),
            n_target_tokens: targets.value(row),
            n_tokens: tokens.value(row),
            n_characters: characters.value(row),
            n_bytes: bytes.value(row),
            is_greedy: greedy.value(row),
            request_sha256: digest.value(row).to_owned(),
            shares: shares(row),
            tokens: of_tokens(row),
        }));
    }
    let task = task.ok_or_else(|| unreadable(path)("it has no rows".to_owned()))?;
    Ok((task, rows))
}

/// The rows of an `items` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_items(path: &Path) -> Result<Vec<ItemRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches(path)? {
        let item_index: &UInt32Array = column(path, &batch, "item_index")?;
        let correct: &BooleanArray = column(path, &batch, "correct")?;
        let word_logprob_nats: &Float64Array = column(path, &batch, "word_logprob_nats")?;
        let n_target_tokens: &UInt32Array = column(path, &batch, "n_target_tokens")?;
        let n_tokens: &UInt32Array = column(path, &batch, "n_tokens")?;
        let distance: &UInt32Array = column(path, &batch, "distance_sentences")?;
        let shares = shares(path, &batch)?;
        let tokens = token_columns::read(path, &batch)?;
        rows.extend((0..batch.num_rows()).map(|row| ItemRow {
            item_index: item_index.value(row),
            correct: correct.value(row),
            word_logprob_nats: word_logprob_nats.value(row),
            n_target_tokens: n_target_tokens.value(row),
            n_tokens: n_tokens.value(row),
            distance_sentences: distance.is_valid(row).then(|| distance.value(row)),
            shares: shares(row),
            tokens: tokens(row),
        }));
    }
    Ok(rows)
}

/// The label and the error of a `failures` file.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_failure(path: &Path) -> Result<(String, String), StoreError> {
    let batches = batches(path)?;
    let batch = batches.first().ok_or_else(|| unreadable(path)("it has no rows".to_owned()))?;
    let label: &StringArray = column(path, batch, "label")?;
    let error: &StringArray = column(path, batch, "error")?;
    if label.is_empty() {
        return Err(unreadable(path)("it has no rows".to_owned()));
    }
    Ok((label.value(0).to_owned(), error.value(0).to_owned()))
}

/// A column of `f64` whose rows may lack a value.
fn optional<'a>(
    path: &Path,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<impl Fn(usize) -> Option<f64> + 'a, StoreError> {
    let values: &Float64Array = column(path, batch, name)?;
    Ok(move |row| values.is_valid(row).then(|| values.value(row)))
}

/// The columns of shares, by row.
fn shares<'a>(
    path: &Path,
    batch: &'a RecordBatch,
) -> Result<impl Fn(usize) -> RowShares + 'a, StoreError> {
    let reached: &Float64Array = column(path, batch, "reached_sparsity")?;
    let natural = optional(path, batch, "natural_sparsity")?;
    let kept = optional(path, batch, "kept_energy")?;
    let bytes = |name| column::<UInt64Array>(path, batch, name);
    let (left, peak) = (bytes("cache_bytes")?, bytes("cache_peak_bytes")?);
    let dense = bytes("cache_dense_bytes")?;
    Ok(move |row| RowShares {
        reached_sparsity: reached.value(row),
        natural_sparsity: natural(row),
        kept_energy: kept(row),
        cache: left.is_valid(row).then(|| RowCache {
            left: left.value(row),
            peak: peak.value(row),
            dense: dense.value(row),
        }),
    })
}

/// The rows of a `neurons` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_neurons(path: &Path) -> Result<Vec<NeuronRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches(path)? {
        let index = |name| column::<UInt32Array>(path, &batch, name);
        let (site, layer) = (index("site")?, index("layer")?);
        let (block, neuron) = (index("block")?, index("neuron")?);
        let tokens: &UInt64Array = column(path, &batch, "site_tokens")?;
        let value = |name| optional(path, &batch, name);
        let (magnitude, energy, weight) = (value("magnitude")?, value("energy")?, value("weight")?);
        let (impact, wanda, slope) = (value("impact")?, value("wanda")?, value("slope")?);
        let (taylor, fisher) = (value("taylor")?, value("fisher")?);
        let ablation = value("ablation")?;
        rows.extend((0..batch.num_rows()).map(|row| NeuronRow {
            site: site.value(row),
            layer: layer.value(row),
            block: block.value(row),
            neuron: neuron.value(row),
            tokens: tokens.value(row),
            magnitude: magnitude(row),
            energy: energy(row),
            weight: weight(row),
            impact: impact(row),
            wanda: wanda(row),
            slope: slope(row),
            taylor: taylor(row),
            fisher: fisher(row),
            ablation: ablation(row),
        }));
    }
    Ok(rows)
}

/// The rows of a `channels` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_channels(path: &Path) -> Result<Vec<ChannelRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches(path)? {
        let index = |name| column::<UInt32Array>(path, &batch, name);
        let (site, layer) = (index("site")?, index("layer")?);
        let (group, channel) = (index("group")?, index("channel")?);
        let tokens: &UInt64Array = column(path, &batch, "site_tokens")?;
        let value = |name| optional(path, &batch, name);
        let (readout, state_energy) = (value("readout")?, value("state_energy")?);
        let (read_energy, half_life) = (value("read_energy")?, value("half_life_tokens")?);
        let (ghost, factored) = (value("ghost")?, value("ghost_factored")?);
        let (weight, slope, taylor) =
            (value("state_weight")?, value("slope")?, value("state_taylor")?);
        let ablation = value("ablation")?;
        let (ablation_read, ablation_write) = (value("ablation_read")?, value("ablation_write")?);
        rows.extend((0..batch.num_rows()).map(|row| ChannelRow {
            site: site.value(row),
            layer: layer.value(row),
            group: group.value(row),
            channel: channel.value(row),
            tokens: tokens.value(row),
            readout: readout(row),
            state_energy: state_energy(row),
            read_energy: read_energy(row),
            half_life_tokens: half_life(row),
            ghost: ghost(row),
            ghost_factored: factored(row),
            state_weight: weight(row),
            slope: slope(row),
            state_taylor: taylor(row),
            ablation: ablation(row),
            ablation_read: ablation_read(row),
            ablation_write: ablation_write(row),
        }));
    }
    Ok(rows)
}

/// The rows of an `overlaps` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_overlaps(path: &Path) -> Result<Vec<OverlapRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches(path)? {
        let index = |name| column::<UInt32Array>(path, &batch, name);
        let (site, layer, lag) = (index("site")?, index("layer")?, index("lag_tokens")?);
        let pairs: &UInt64Array = column(path, &batch, "pairs")?;
        let value = |name| column::<Float64Array>(path, &batch, name);
        let (overlap, jaccard) = (value("overlap")?, value("jaccard")?);
        let by_chance = value("by_chance")?;
        rows.extend((0..batch.num_rows()).map(|row| OverlapRow {
            site: site.value(row),
            layer: layer.value(row),
            lag_tokens: lag.value(row),
            pairs: pairs.value(row),
            overlap: overlap.value(row),
            jaccard: jaccard.value(row),
            by_chance: by_chance.value(row),
        }));
    }
    Ok(rows)
}

/// The rows of a `blocks` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_blocks(path: &Path) -> Result<Vec<BlockRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches(path)? {
        let layer: &UInt32Array = column(path, &batch, "layer")?;
        let fitted: &UInt64Array = column(path, &batch, "fitted_tokens")?;
        let held_out: &UInt64Array = column(path, &batch, "held_out_tokens")?;
        let r2: &Float64Array = column(path, &batch, "r2")?;
        rows.extend((0..batch.num_rows()).map(|row| BlockRow {
            layer: layer.value(row),
            fitted_tokens: fitted.value(row),
            tokens: held_out.value(row),
            r2: r2.value(row),
        }));
    }
    Ok(rows)
}

/// The rows of an `attention` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_attention(path: &Path) -> Result<Vec<AttentionRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches(path)? {
        let index = |name| column::<UInt32Array>(path, &batch, name);
        let (site, layer) = (index("site")?, index("layer")?);
        let (head, key_head) = (index("head")?, index("key_head")?);
        let (from, to) = (index("from_tokens")?, index("to_tokens")?);
        let queries: &UInt64Array = column(path, &batch, "queries")?;
        let axis: &StringArray = column(path, &batch, "axis")?;
        let value = |name| column::<Float64Array>(path, &batch, name);
        let (share, by_chance) = (value("share")?, value("by_chance")?);
        let (entropy, even) = (value("entropy_nats")?, value("even_entropy_nats")?);
        let rho = |name| optional(path, &batch, name);
        let (of_keys, of_values) = (rho("rho_key_size")?, rho("rho_value_size")?);
        rows.extend((0..batch.num_rows()).map(|row| AttentionRow {
            site: site.value(row),
            layer: layer.value(row),
            head: head.value(row),
            key_head: key_head.value(row),
            queries: queries.value(row),
            axis: axis.value(row).to_owned(),
            from_tokens: from.value(row),
            to_tokens: to.value(row),
            share: share.value(row),
            by_chance: by_chance.value(row),
            entropy_nats: entropy.value(row),
            even_entropy_nats: even.value(row),
            rho_key_size: of_keys(row),
            rho_value_size: of_values(row),
        }));
    }
    Ok(rows)
}

/// The rows of a `directions` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_directions(path: &Path) -> Result<Vec<DirectionRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches(path)? {
        let layer: &UInt32Array = column(path, &batch, "layer")?;
        let direction: &UInt32Array = column(path, &batch, "direction")?;
        let variance: &Float64Array = column(path, &batch, "variance")?;
        let sensitivity: &Float64Array = column(path, &batch, "sensitivity")?;
        rows.extend((0..batch.num_rows()).map(|row| DirectionRow {
            layer: layer.value(row),
            direction: direction.value(row),
            variance: variance.value(row),
            sensitivity: sensitivity.value(row),
        }));
    }
    Ok(rows)
}

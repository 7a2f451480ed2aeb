//! Reading rows back, of a file or of one cell in it.

use std::fs::File;
use std::path::Path;

use arrow_array::{
    Array, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelector};
use parquet::file::reader::ChunkReader;
use runs::Part;

use crate::{
    AttentionRow, BlockRow, CellPlace, ChannelRow, ChoiceRow, DirectionRow, ItemRow, NeuronRow,
    OverlapRow, RowCache, RowShares, StoreError, TaskColumns, WindowRow, token_columns,
};

/// Rows that are decoded at once.
const BATCH: usize = 16_384;

pub(crate) fn unreadable(path: &Path) -> impl Fn(String) -> StoreError + '_ {
    move |reason| StoreError::Unreadable { path: path.to_owned(), reason }
}

/// All columns of a cell's rows.
pub(crate) fn batches(place: &(impl CellPlace + ?Sized)) -> Result<Vec<RecordBatch>, StoreError> {
    batches_of(place, None)
}

/// The named columns of a cell's rows; all of them where `names` is `None`.
pub(crate) fn batches_of(
    place: &(impl CellPlace + ?Sized),
    names: Option<&[&str]>,
) -> Result<Vec<RecordBatch>, StoreError> {
    let unreadable = unreadable(place.file());
    let file = File::open(place.file()).map_err(|error| unreadable(error.to_string()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| unreadable(error.to_string()))?;
    let builder = match place.part() {
        None => builder,
        Some((_, Part { group, first, rows })) => {
            let (group, first, rows) = (group as usize, first as usize, rows as usize);
            let own = vec![RowSelector::skip(first), RowSelector::select(rows)];
            builder.with_row_groups(vec![group]).with_row_selection(own.into())
        }
    };
    read_batches(builder, names).map_err(unreadable)
}

/// The named columns of what a builder is set to read.
pub(crate) fn read_batches<T: ChunkReader + 'static>(
    builder: ParquetRecordBatchReaderBuilder<T>,
    names: Option<&[&str]>,
) -> Result<Vec<RecordBatch>, String> {
    let mask = match names {
        None => ProjectionMask::all(),
        Some(names) => {
            let there = builder.schema();
            if let Some(name) = names.iter().find(|name| there.index_of(name).is_err()) {
                return Err(format!("it has no column `{name}`"));
            }
            ProjectionMask::columns(builder.parquet_schema(), names.iter().copied())
        }
    };
    let builder = builder.with_projection(mask).with_batch_size(BATCH);
    let reader = builder.build().map_err(|error| error.to_string())?;
    reader.map(|batch| batch.map_err(|error| error.to_string())).collect()
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

/// The rows of a cell of `windows`, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_windows(place: &(impl CellPlace + ?Sized)) -> Result<Vec<WindowRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
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
pub fn read_choices(
    place: &(impl CellPlace + ?Sized),
) -> Result<(TaskColumns, Vec<ChoiceRow>), StoreError> {
    let path = place.file();
    let (mut rows, mut task) = (Vec::new(), None);
    for batch in batches(place)? {
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
pub fn read_items(place: &(impl CellPlace + ?Sized)) -> Result<Vec<ItemRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
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
pub fn read_neurons(place: &(impl CellPlace + ?Sized)) -> Result<Vec<NeuronRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
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
pub fn read_channels(place: &(impl CellPlace + ?Sized)) -> Result<Vec<ChannelRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
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
pub fn read_overlaps(place: &(impl CellPlace + ?Sized)) -> Result<Vec<OverlapRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
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
pub fn read_blocks(place: &(impl CellPlace + ?Sized)) -> Result<Vec<BlockRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
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
pub fn read_attention(place: &(impl CellPlace + ?Sized)) -> Result<Vec<AttentionRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
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
pub fn read_directions(place: &(impl CellPlace + ?Sized)) -> Result<Vec<DirectionRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
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

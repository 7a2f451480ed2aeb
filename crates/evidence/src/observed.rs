//! What an `observe` cell measured: the rows of a `neurons`, `channels` or `overlaps` file, read and
//! checked like every other table.

use std::fmt::Debug;

use anyhow::{Result, bail, ensure};
use plan::Cell;
use tables::{
    AttentionRow, BlockRow, ChannelRow, DirectionRow, LensRow, NeuronRow, OverlapRow, Provenance,
    Store, StoredFile, Table,
};

use crate::table_file::{check_place, guarded, read_about};

/// The rows of one observation, sorted by their index.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// Scores of neurons.
    Neurons(Vec<NeuronRow>),
    /// Scores of state channels.
    Channels(Vec<ChannelRow>),
    /// What kept sets share.
    Overlaps(Vec<OverlapRow>),
    /// How linear layers are.
    Blocks(Vec<BlockRow>),
    /// Directions of the residual stream.
    Directions(Vec<DirectionRow>),
    /// What attention looks at.
    Attention(Vec<AttentionRow>),
    /// What each layer would predict.
    Lens(Vec<LensRow>),
}

/// One finished `observe` cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The cell's id.
    pub id: String,
    /// The cell.
    pub cell: Cell,
    /// Where its numbers come from.
    pub provenance: Provenance,
    /// Its rows.
    pub measured: Measured,
}

/// Whether a table's rows are scores and overlaps, and not losses.
pub(crate) fn is_observed(table: Table) -> bool {
    !matches!(table, Table::Windows | Table::Items | Table::Choices | Table::Failures)
}

/// Reads what `cell` observed and checks that it is where it belongs.
///
/// # Errors
/// For anything that is not a complete, finite, consistent table of one cell.
pub(crate) fn read_observed(store: &Store, file: &StoredFile, cell: Cell) -> Result<Observed> {
    guarded(|| {
        check_place(store, file, &cell)?;
        let provenance = read_about(file)?;
        let measured = match file.table {
            Table::Neurons => Measured::Neurons(neurons(file)?),
            Table::Channels => Measured::Channels(channels(file)?),
            Table::Blocks => Measured::Blocks(blocks(file)?),
            Table::Directions => Measured::Directions(directions(file)?),
            Table::Attention => Measured::Attention(attention(file)?),
            Table::Lens => Measured::Lens(lens(file)?),
            _ => Measured::Overlaps(overlaps(file)?),
        };
        Ok(Observed { id: file.id.clone(), cell, provenance, measured })
    })
}

fn blocks(file: &StoredFile) -> Result<Vec<BlockRow>> {
    let mut rows = tables::read_blocks(file)?;
    rows.sort_by_key(|row| row.layer);
    check_distinct(&rows, "layer", |row| row.layer)?;
    rows.iter().try_for_each(|row| check_finite(row, [Some(row.r2)].into_iter()))?;
    Ok(rows)
}

fn directions(file: &StoredFile) -> Result<Vec<DirectionRow>> {
    let mut rows = tables::read_directions(file)?;
    rows.sort_by_key(|row| (row.layer, row.direction));
    check_distinct(&rows, "layer and direction", |row| (row.layer, row.direction))?;
    for row in &rows {
        check_finite(row, [Some(row.variance), Some(row.sensitivity)].into_iter())?;
    }
    Ok(rows)
}

fn attention(file: &StoredFile) -> Result<Vec<AttentionRow>> {
    let mut rows = tables::read_attention(file)?;
    let key = |row: &AttentionRow| (row.site, row.head, row.axis.clone(), row.from_tokens);
    rows.sort_by_key(key);
    check_distinct(&rows, "site, head, axis and bucket", key)?;
    for row in &rows {
        let shares = [row.share, row.by_chance, row.entropy_nats, row.even_entropy_nats];
        let sizes = [row.rho_key_size, row.rho_value_size];
        check_finite(row, shares.map(Some).into_iter().chain(sizes))?;
    }
    Ok(rows)
}

fn lens(file: &StoredFile) -> Result<Vec<LensRow>> {
    let mut rows = tables::read_lens(file)?;
    rows.sort_by_key(|row| row.layer);
    check_distinct(&rows, "layer", |row| row.layer)?;
    for row in &rows {
        check_finite(row, [Some(row.probability)].into_iter())?;
        let most = row.settled.max(row.agreeing).max(row.leaving.unwrap_or(0));
        ensure!(row.tokens > 0 && most <= row.tokens, "more tokens than there are: {row:?}");
    }
    Ok(rows)
}

fn neurons(file: &StoredFile) -> Result<Vec<NeuronRow>> {
    let mut rows = tables::read_neurons(file)?;
    rows.sort_by_key(|row| (row.site, row.neuron));
    check_distinct(&rows, "site and neuron", |row| (row.site, row.neuron))?;
    for row in &rows {
        let scores = [row.magnitude, row.energy, row.weight, row.impact, row.wanda, row.slope];
        let more = [row.taylor, row.fisher, row.ablation];
        check_finite(row, scores.into_iter().chain(more))?;
    }
    Ok(rows)
}

fn channels(file: &StoredFile) -> Result<Vec<ChannelRow>> {
    let mut rows = tables::read_channels(file)?;
    rows.sort_by_key(|row| (row.site, row.group, row.channel));
    check_distinct(&rows, "site, group and channel", |row| (row.site, row.group, row.channel))?;
    for row in &rows {
        let energies = [row.readout, row.state_energy, row.read_energy, row.half_life_tokens];
        let scores = [row.ghost, row.ghost_factored, row.state_weight, row.slope, row.state_taylor];
        let ablations = [row.ablation, row.ablation_read, row.ablation_write];
        check_finite(row, energies.into_iter().chain(scores).chain(ablations))?;
    }
    Ok(rows)
}

fn overlaps(file: &StoredFile) -> Result<Vec<OverlapRow>> {
    let mut rows = tables::read_overlaps(file)?;
    rows.sort_by_key(|row| (row.site, row.lag_tokens));
    check_distinct(&rows, "site and lag", |row| (row.site, row.lag_tokens))?;
    for row in &rows {
        check_finite(row, [row.overlap, row.jaccard, row.by_chance].map(Some).into_iter())?;
    }
    Ok(rows)
}

/// Refuses rows with one index; `sorted` is in the order of `key`.
fn check_distinct<T, K: PartialEq + Debug>(
    sorted: &[T],
    what: &str,
    key: impl Fn(&T) -> K,
) -> Result<()> {
    match sorted.windows(2).find(|pair| key(&pair[0]) == key(&pair[1])) {
        Some(pair) => bail!("{what} {:?} appear twice", key(&pair[0])),
        None => Ok(()),
    }
}

fn check_finite(row: &impl Debug, mut values: impl Iterator<Item = Option<f64>>) -> Result<()> {
    let all_finite = values.all(|value| value.is_none_or(f64::is_finite));
    ensure!(all_finite, "a number of this row is not finite: {row:?}");
    Ok(())
}

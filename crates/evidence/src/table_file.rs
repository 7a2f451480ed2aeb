//! Reading the rows of one cell. What cannot be read is an error of that cell alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow, bail, ensure};
use plan::Cell;
use tables::{
    ChoiceRow, Frame, ItemRow, Left, Provenance, RowCache, RowShares, Store, StoredFile, Table,
    TaskColumns, TokenColumns, Touched, WindowRow,
};

use crate::choice_rows;

/// The rows of one cell in full precision, sorted by their index.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Losses, one row a window of text.
    Windows(Vec<WindowRow>),
    /// Answers, one row an item of a task.
    Items(Vec<ItemRow>),
    /// Choices of items, one row each, by item and choice.
    Choices(TaskColumns, Vec<ChoiceRow>),
}

/// One finished cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CellResult {
    /// Its id.
    pub id: String,
    /// The cell.
    pub cell: Cell,
    /// How much of the model the cell's part is.
    pub touched: Touched,
    /// What its cuts left of the model.
    pub left: Left,
    /// Where its numbers come from.
    pub provenance: Provenance,
    /// What it measured.
    pub rows: Rows,
}

impl CellResult {
    /// The losses of its windows; a cell of items has none.
    pub fn windows(&self) -> &[WindowRow] {
        match &self.rows {
            Rows::Windows(rows) => rows,
            Rows::Items(_) | Rows::Choices(..) => &[],
        }
    }

    /// Its items; a cell of windows or choices has none.
    pub fn items(&self) -> &[ItemRow] {
        match &self.rows {
            Rows::Items(rows) => rows,
            Rows::Windows(_) | Rows::Choices(..) => &[],
        }
    }

    /// The choices of its items, and what is said of its task; none of a cell of another kind.
    pub fn choices(&self) -> Option<(&TaskColumns, &[ChoiceRow])> {
        match &self.rows {
            Rows::Choices(task, rows) => Some((task, rows)),
            Rows::Windows(_) | Rows::Items(_) => None,
        }
    }
}

/// One failed cell.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Failure {
    /// The cell's id.
    pub cell_id: String,
    /// What it is called.
    pub label: String,
    /// The cell.
    pub cell: Cell,
    /// What went wrong.
    pub error: String,
    /// The revision of the repository.
    pub revision: String,
    /// The version of the computing code.
    pub code_version: String,
    /// The machine.
    pub host: String,
    /// When it was begun, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// Seconds until it failed.
    pub seconds: f64,
}

/// Columns of all tables of results that are the same in every row of a file.
const TEXTS: &[&str] = &[
    "cell_id",
    "revision",
    "code_version",
    "versions",
    "host",
    "cpu",
    "device",
    "weights_sha256",
    "tokenizer_sha256",
    "text_sha256",
    "calibration_sha256",
];
const NUMBERS: &[&str] = &["seconds", "peak_rss_bytes", "tokens"];
const TOUCHED: &[&str] = &["touched_parameters", "touched_flops", "touched_state_bytes"];
const LEFT: &[&str] = &["stored_bytes", "parameters_left"];
const SHARES: &[&str] = &[
    "reached_sparsity",
    "natural_sparsity",
    "kept_energy",
    "cache_bytes",
    "cache_peak_bytes",
    "cache_dense_bytes",
];
const TOKENS: &[&str] = &["worst_nll_nats", "n_worse_than_chance", "layers_per_token"];

/// The columns that the results of a table are read from.
pub(crate) fn columns_of(table: Table) -> Vec<&'static str> {
    let own: &[&str] = match table {
        Table::Windows => &["window_index", "nll_nats", "n_targets", "js_nats"],
        Table::Choices => choice_rows::COLUMNS,
        _ => &[
            "item_index",
            "correct",
            "word_logprob_nats",
            "n_target_tokens",
            "n_tokens",
            "distance_sentences",
        ],
    };
    [own, TEXTS, NUMBERS, TOUCHED, LEFT, SHARES, TOKENS, &["started_at"]].concat()
}

/// The rows of a cell of `windows`, `items` or `choices`, if they are where they belong.
///
/// # Errors
/// For anything that is not a complete, finite, consistent table of one cell.
pub(crate) fn result_of(
    store: &Store,
    file: &StoredFile,
    cell: Cell,
    frame: &Frame,
) -> Result<CellResult> {
    check_place(store, file, &cell)?;
    ensure!(frame.rows() > 0, "it has no rows");
    let provenance = provenance(frame, file)?;
    let touched = Touched {
        parameters: constant_f64(frame, TOUCHED[0])?,
        flops: constant_f64(frame, TOUCHED[1])?,
        state_bytes: constant_f64(frame, TOUCHED[2])?,
    };
    let left = Left {
        stored_bytes: constant_u64(frame, LEFT[0])?,
        parameters: constant_u64(frame, LEFT[1])?,
    };
    let rows = match file.table {
        Table::Windows => Rows::Windows(window_rows(frame)?),
        Table::Choices => choice_rows::rows(frame)?,
        _ => Rows::Items(item_rows(frame)?),
    };
    Ok(CellResult { id: file.id.clone(), cell, touched, left, provenance, rows })
}

/// Whether rows of `cell` lie where its results belong: in a file of its id, or with others in that folder.
///
/// # Errors
/// When they lie where another cell's results belong.
pub(crate) fn check_place(store: &Store, file: &StoredFile, cell: &Cell) -> Result<()> {
    let belongs = store.result_path(&file.id, cell)?;
    let is_there = match file.part {
        None => belongs == file.path,
        Some(_) => belongs.parent() == file.path.parent(),
    };
    ensure!(
        is_there,
        "its rows belong to {}; was it moved or renamed?",
        belongs.strip_prefix(store.folder()).unwrap_or(&belongs).display()
    );
    Ok(())
}

/// Where the numbers of a file come from, if its rows are of the cell that its name says.
///
/// # Errors
/// When the file cannot be read, has no rows, lacks a column or holds several values where one
/// belongs, or when its rows are of another cell.
pub(crate) fn read_about(file: &StoredFile) -> Result<Provenance> {
    provenance(&scan(file, [TEXTS, NUMBERS].concat().into_iter())?, file)
}

/// Reads a `failures` file.
///
/// # Errors
/// As [`result_of`].
pub(crate) fn read_failure(file: &StoredFile) -> Result<Failure> {
    guarded(|| {
        let texts = ["cell_id", "label", "error", "revision", "code_version", "host"];
        let frame = scan(file, texts.iter().chain(&["seconds"]).copied())?;
        let text = |name| constant_text(&frame, name);
        Ok(Failure {
            cell_id: text("cell_id")?,
            label: text("label")?,
            cell: tables::read_cell(&file.path)?,
            error: text("error")?,
            revision: text("revision")?,
            code_version: text("code_version")?,
            host: text("host")?,
            started_at_ms: started_at_ms(&frame)?,
            seconds: constant_f64(&frame, "seconds")?,
        })
    })
}

/// Runs `read`; a panic inside the Parquet decoder (damaged bytes) is an error like any other.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|payload| {
        let said = payload.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| payload.downcast_ref::<&str>().copied());
        Err(anyhow!("the Parquet decoder gave up: {}", said.unwrap_or("no reason given")))
    })
}

/// The named columns of one cell, and `started_at`.
fn scan<'a>(file: &StoredFile, columns: impl Iterator<Item = &'a str>) -> Result<Frame> {
    let columns: Vec<&str> = columns.chain(["started_at"]).collect();
    let frame = Frame::read(file, Some(&columns))?;
    ensure!(frame.rows() > 0, "it has no rows");
    Ok(frame)
}

fn provenance(frame: &Frame, file: &StoredFile) -> Result<Provenance> {
    let text = |name| constant_text(frame, name);
    let id = text("cell_id")?;
    ensure!(id == file.id, "its rows are of cell {id}, its name says {}", file.id);
    Ok(Provenance {
        revision: text("revision")?,
        code_version: text("code_version")?,
        versions: text("versions")?,
        host: text("host")?,
        cpu: text("cpu")?,
        device: text("device")?,
        started_at_ms: started_at_ms(frame)?,
        seconds: constant_f64(frame, "seconds")?,
        peak_rss_bytes: constant_u64(frame, "peak_rss_bytes")?,
        tokens: constant_u64(frame, "tokens")?,
        weights_sha256: text("weights_sha256")?,
        tokenizer_sha256: text("tokenizer_sha256")?,
        text_sha256: text("text_sha256")?,
        calibration_sha256: optional_text(frame, "calibration_sha256")?,
    })
}

fn window_rows(frame: &Frame) -> Result<Vec<WindowRow>> {
    let (index, targets) = (u32s(frame, "window_index")?, u32s(frame, "n_targets")?);
    let (nll, js) = (f64s(frame, "nll_nats")?, optional_f64s(frame, "js_nats")?);
    let shares = shares(frame)?;
    let of_tokens = of_tokens(frame)?;
    let mut rows: Vec<WindowRow> = (0..frame.rows())
        .map(|row| WindowRow {
            window_index: index[row],
            nll_nats: nll[row],
            n_targets: targets[row],
            js_nats: js[row],
            shares: shares[row],
            tokens: of_tokens[row],
        })
        .collect();
    for row in &rows {
        let index = row.window_index;
        ensure!(row.nll_nats >= 0.0, "the loss of window {index} is negative: {}", row.nll_nats);
        ensure!(row.n_targets > 0, "window {index} has no targets");
    }
    rows.sort_by_key(|row| row.window_index);
    check_distinct(rows.iter().map(|row| row.window_index), "window")?;
    Ok(rows)
}

fn item_rows(frame: &Frame) -> Result<Vec<ItemRow>> {
    let (index, correct) = (u32s(frame, "item_index")?, bools(frame, "correct")?);
    let (target_tokens, tokens) = (u32s(frame, "n_target_tokens")?, u32s(frame, "n_tokens")?);
    let logprob = f64s(frame, "word_logprob_nats")?;
    let distance = frame.u32s("distance_sentences")?;
    let shares = shares(frame)?;
    let of_tokens = of_tokens(frame)?;
    let mut rows: Vec<ItemRow> = (0..frame.rows())
        .map(|row| ItemRow {
            item_index: index[row],
            correct: correct[row],
            word_logprob_nats: logprob[row],
            n_target_tokens: target_tokens[row],
            n_tokens: tokens[row],
            distance_sentences: distance[row],
            shares: shares[row],
            tokens: of_tokens[row],
        })
        .collect();
    rows.sort_by_key(|row| row.item_index);
    check_distinct(rows.iter().map(|row| row.item_index), "item")?;
    Ok(rows)
}

/// The shares of every row.
pub(crate) fn shares(frame: &Frame) -> Result<Vec<RowShares>> {
    let reached = f64s(frame, "reached_sparsity")?;
    let natural = optional_f64s(frame, "natural_sparsity")?;
    let kept = optional_f64s(frame, "kept_energy")?;
    let bytes = |name| frame.u64s(name);
    let (left, peak) = (bytes("cache_bytes")?, bytes("cache_peak_bytes")?);
    let dense = bytes("cache_dense_bytes")?;
    let cache =
        |row: usize| Some(RowCache { left: left[row]?, peak: peak[row]?, dense: dense[row]? });
    let of_row = |row: usize| RowShares {
        reached_sparsity: reached[row],
        natural_sparsity: natural[row],
        kept_energy: kept[row],
        cache: cache(row),
    };
    Ok((0..frame.rows()).map(of_row).collect())
}

/// What single tokens cost, one entry a row.
pub(crate) fn of_tokens(frame: &Frame) -> Result<Vec<TokenColumns>> {
    let (worst, by_chance) = (f64s(frame, TOKENS[0])?, u32s(frame, TOKENS[1])?);
    let layers = optional_f64s(frame, TOKENS[2])?;
    let of_row = |row| TokenColumns {
        worst_nll_nats: worst[row],
        n_worse_than_chance: by_chance[row],
        layers_per_token: layers[row],
    };
    Ok((0..frame.rows()).map(of_row).collect())
}

/// Refuses an index that appears twice; `sorted` is in ascending order.
pub(crate) fn check_distinct(sorted: impl Iterator<Item = u32>, what: &str) -> Result<()> {
    let mut previous = None;
    for index in sorted {
        ensure!(previous != Some(index), "{what} {index} appears twice");
        previous = Some(index);
    }
    Ok(())
}

pub(crate) fn u32s(frame: &Frame, name: &str) -> Result<Vec<u32>> {
    all(name, frame.u32s(name)?)
}

pub(crate) fn bools(frame: &Frame, name: &str) -> Result<Vec<bool>> {
    all(name, frame.bools(name)?)
}

/// The values of a column that every row has.
pub(crate) fn all<T>(name: &str, values: Vec<Option<T>>) -> Result<Vec<T>> {
    values.into_iter().map(|value| value.with_context(|| is_null(name))).collect()
}

pub(crate) fn f64s(frame: &Frame, name: &str) -> Result<Vec<f64>> {
    let values = all(name, frame.f64s(name)?)?;
    for (row, value) in values.iter().enumerate() {
        ensure!(value.is_finite(), "`{name}` of row {row} is {value}, not a finite number");
    }
    Ok(values)
}

/// A column that a row may lack; what is there is finite.
pub(crate) fn optional_f64s(frame: &Frame, name: &str) -> Result<Vec<Option<f64>>> {
    let values = frame.f64s(name)?;
    for (row, value) in values.iter().enumerate() {
        let is_finite = value.is_none_or(f64::is_finite);
        ensure!(is_finite, "`{name}` of row {row} is {value:?}, not a finite number");
    }
    Ok(values)
}

fn is_null(name: &str) -> String {
    format!("column `{name}` has a row without a value")
}

fn started_at_ms(frame: &Frame) -> Result<i64> {
    constant("started_at", frame.instants_ms("started_at")?)?.with_context(|| is_null("started_at"))
}

fn constant_u64(frame: &Frame, name: &str) -> Result<u64> {
    constant(name, frame.u64s(name)?)?.with_context(|| is_null(name))
}

fn constant_f64(frame: &Frame, name: &str) -> Result<f64> {
    let values = f64s(frame, name)?;
    constant(name, values.into_iter().map(Some))?.with_context(|| is_null(name))
}

pub(crate) fn constant_bool(frame: &Frame, name: &str) -> Result<bool> {
    constant(name, frame.bools(name)?)?.with_context(|| is_null(name))
}

pub(crate) fn constant_text(frame: &Frame, name: &str) -> Result<String> {
    optional_text(frame, name)?.with_context(|| is_null(name))
}

pub(crate) fn optional_text(frame: &Frame, name: &str) -> Result<Option<String>> {
    Ok(constant(name, frame.each_text(name)?)?.map(str::to_owned))
}

/// The one value that all rows share.
fn constant<T: PartialEq>(
    name: &str,
    values: impl IntoIterator<Item = Option<T>>,
) -> Result<Option<T>> {
    let mut values = values.into_iter();
    let first = values.next().context("it has no rows")?;
    if values.any(|value| value != first) {
        bail!("column `{name}` differs between its rows, but they are of one cell");
    }
    Ok(first)
}

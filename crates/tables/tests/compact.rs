//! Compaction: the same rows in fewer files, each there once at every moment.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use arrow_array::{Array, RecordBatch, StringArray, UInt32Array};
use common::failure;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use plan::{Cell, Policy, Score, Treatment, TreatmentSpec};
use tables::{
    CellRecord, CellStatus, Folded, Frame, ItemRow, Left, Provenance, Retired, RowShares, Store,
    Table, TokenColumns, Touched, WindowRow, read_cell, read_origin, read_windows,
};

fn record(number: usize, protocol: &str, sparsity: f64) -> CellRecord {
    let spec = TreatmentSpec {
        score: Some(Score::Magnitude),
        sparsity,
        ..TreatmentSpec::of(Policy::Dynamic, number as u64)
    };
    let cell = Cell {
        model: "m".into(),
        dataset: "d".into(),
        protocol: protocol.parse().unwrap(),
        limit: Some(2),
        calibration: None,
        recipe: Treatment::new(spec).unwrap().into(),
        offset: None,
        compare: None,
    };
    let provenance = Provenance {
        revision: "abc".into(),
        code_version: "0123456789abcdef".into(),
        versions: "slim 0.1.0".into(),
        host: format!("host {number}"),
        cpu: "some cpu".into(),
        device: "cpu".to_owned(),
        started_at_ms: number as i64,
        seconds: 1.0 / (1.0 + number as f64),
        peak_rss_bytes: 700 << 20,
        tokens: 2048,
        weights_sha256: "aa".into(),
        tokenizer_sha256: "bb".into(),
        text_sha256: "cc".into(),
        calibration_sha256: number.is_multiple_of(2).then(|| "dd".into()),
    };
    let touched = Touched { parameters: 1.0 / 3.0, flops: 0.25, state_bytes: 0.0 };
    let left = Left { stored_bytes: 270, parameters: 134 };
    CellRecord { id: format!("{number:016x}"), cell, touched, left, provenance }
}

fn shares(number: usize) -> RowShares {
    RowShares {
        reached_sparsity: 0.9 + number as f64 / 3e3,
        natural_sparsity: (!number.is_multiple_of(3)).then_some(0.25),
        kept_energy: None,
        cache: None,
    }
}

fn write_windows(store: &Store, number: usize, sparsity: f64, rows: u32) -> PathBuf {
    let row = |window_index| WindowRow {
        window_index,
        nll_nats: f64::from(window_index) + number as f64 / 7.0,
        js_nats: (window_index % 2 == 0).then_some(1.0 / 3.0),
        n_targets: 1023,
        shares: shares(number),
        tokens: TokenColumns::default(),
    };
    let rows: Vec<WindowRow> = (0..rows).map(row).collect();
    store.write_windows(&record(number, "ppl-1024", sparsity), &rows).unwrap()
}

fn write_items(store: &Store, number: usize) {
    let row = |item_index| ItemRow {
        item_index,
        correct: item_index % 2 == 0,
        word_logprob_nats: -1.0 / 3.0,
        n_target_tokens: 2,
        n_tokens: 80,
        distance_sentences: (item_index % 2 == 1).then_some(7),
        shares: shares(number),
        tokens: TokenColumns::default(),
    };
    let rows: Vec<ItemRow> = (0..9).map(row).collect();
    store.write_items(&record(number, "lambada-openai", 0.5), &rows).unwrap();
}

fn fold(store: &Store) -> Folded {
    fold_and_wait(store, Duration::ZERO)
}

fn fold_and_wait(store: &Store, wait: Duration) -> Folded {
    let (mut all, mut retired) = (Folded::default(), Retired::after(wait));
    for partition in store.scattered().unwrap() {
        all.add(store.fold(&partition, &mut retired).unwrap());
    }
    all
}

/// Every column of every row, with what the cell is and where it comes from.
fn content(store: &Store) -> BTreeMap<String, String> {
    let survey = store.survey().unwrap();
    assert!(survey.damaged.is_empty(), "{:?}", survey.damaged);
    let text = |file: &tables::StoredFile| {
        let frame = Frame::read(file, None).unwrap();
        let slow = slow_rows(&file.path, &file.id);
        assert_eq!(frame.rows(), slow.len(), "{}", file.id);
        let cell = read_cell(file).unwrap();
        (file.id.clone(), format!("{cell:?} {:?} {slow:?}", read_origin(file).unwrap()))
    };
    survey.files.iter().map(text).collect()
}

/// The rows of a cell by reading the whole file and keeping those that bear its id.
fn slow_rows(path: &Path, id: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches(path, None).unwrap() {
        let ids = batch.column_by_name("cell_id").unwrap();
        let ids = ids.as_any().downcast_ref::<StringArray>().unwrap().clone();
        for row in (0..batch.num_rows()).filter(|row| ids.value(*row) == id) {
            rows.push(format!("{:?}", batch.slice(row, 1).columns()));
        }
    }
    rows
}

fn batches(path: &Path, names: Option<&[&str]>) -> std::io::Result<Vec<RecordBatch>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?).unwrap();
    let mask = match names {
        None => ProjectionMask::all(),
        Some(names) => ProjectionMask::columns(builder.parquet_schema(), names.iter().copied()),
    };
    let reader = builder.with_projection(mask).build().unwrap();
    Ok(reader.map(Result::unwrap).collect())
}

/// The files below a folder, as any pattern `**/*.parquet` finds them.
fn parquet_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(parquet_files(&path)?);
        } else if path.to_string_lossy().ends_with(".parquet") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("run")).unwrap();
    (folder, store)
}

#[test]
fn rows_ids_and_provenance_stay() {
    let (folder, store) = store();
    for number in 0..20 {
        write_windows(&store, number, if number < 12 { 0.5 } else { 0.75 }, 1 + number as u32 % 4);
        write_items(&store, 100 + number);
    }
    let (before, status) = (content(&store), store.status().unwrap());
    assert_eq!(parquet_files(folder.path()).unwrap().len(), 40);
    let folded = Folded { partitions: 3, cells: 40, files_before: 40, files_after: 3 };
    assert_eq!(fold(&store), folded);
    assert_eq!(content(&store), before);
    assert_eq!(store.status().unwrap(), status);
    let files = parquet_files(folder.path()).unwrap();
    assert_eq!(files.len(), 3);
    let partition = "run/windows/model=m/dataset=d/sparsity=0.5/window=1";
    assert!(files.iter().any(|file| file.parent().unwrap() == folder.path().join(partition)));
    // What was found by its path before is found by its id now.
    let own = record(3, "ppl-1024", 0.5);
    let found = store.find(&own.id, &own.cell).unwrap().unwrap();
    assert_eq!(found.part.unwrap().rows, 4);
    assert_eq!(read_windows(&found).unwrap().len(), 4);
    assert!(!store.has("ffffffffffffffff", &own.cell).unwrap());
    assert_eq!(fold(&store), Folded::default(), "nothing is left to fold");
}

#[test]
fn a_cell_is_never_in_two_row_groups() {
    let (_folder, store) = store();
    for number in 0..9 {
        write_windows(&store, number, 0.5, 20_000);
    }
    let before = store.survey().unwrap();
    let before: Vec<_> = before.files.iter().map(|file| read_windows(file).unwrap()).collect();
    fold(&store);
    let survey = store.survey().unwrap();
    let groups: Vec<u32> = survey.files.iter().map(|file| file.part.unwrap().group).collect();
    assert_eq!(groups, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let after: Vec<_> = survey.files.iter().map(|file| read_windows(file).unwrap()).collect();
    assert_eq!(after, before);
    let files: BTreeSet<&PathBuf> = survey.files.iter().map(|file| &file.path).collect();
    let [file] = files.into_iter().collect::<Vec<_>>()[..] else { panic!("one file") };
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 3);
}

/// What came since is folded with what holds no more cells than it is; larger files stay.
#[test]
fn later_cells_are_folded_with_small_files() {
    let (folder, store) = store();
    let mut n_files = Vec::new();
    let mut next = 0;
    for count in [8, 2, 3, 9, 1] {
        for _ in 0..count {
            write_windows(&store, next, 0.5, 2);
            next += 1;
        }
        let before = content(&store);
        fold(&store);
        assert_eq!(content(&store), before);
        n_files.push(parquet_files(folder.path()).unwrap().len());
    }
    // 8; 8 and 2; 8 and 2 + 3; all of it; and one alone is left alone.
    assert_eq!(n_files, [1, 2, 2, 1, 2]);
}

/// The id says what was measured: a worker that was taken for dead and stores a cell that is folded by then
/// adds no row, and a cell of other code is another cell.
#[test]
fn a_cell_that_is_computed_again_is_there_once() {
    let (_folder, store) = store();
    for number in 0..4 {
        write_windows(&store, number, 0.5, 2);
    }
    fold(&store);
    let before = content(&store);
    let own = record(2, "ppl-1024", 0.5);
    store.write_failure(&failure(&own)).unwrap();
    let path = write_windows(&store, 2, 0.5, 2);
    assert!(path.file_name().unwrap().to_string_lossy().starts_with(runs::MANY), "{path:?}");
    assert_eq!(content(&store), before);
    assert_eq!(store.failure_mark(&own.id).unwrap(), None, "its failure is forgotten");
    // One that slipped in between the look and the folding is dropped with the next.
    let single = store.result_path(&own.id, &own.cell).unwrap();
    fs::copy(&path, &single).unwrap();
    let (_other_folder, other) = self::store();
    fs::copy(write_windows(&other, 2, 0.5, 2), &single).unwrap();
    assert_eq!(content(&store), before, "counted once meanwhile");
    write_windows(&store, 5, 0.5, 2);
    write_windows(&store, 6, 0.5, 2);
    assert_eq!(fold(&store).cells, 2);
    assert!(!single.exists());
    assert_eq!(store.status().unwrap().len(), 6);
}

#[test]
fn what_is_no_result_stays_where_it_is() {
    let (folder, store) = store();
    let paths: Vec<PathBuf> = (0..4).map(|number| write_windows(&store, number, 0.5, 2)).collect();
    let torn = fs::read(&paths[3]).unwrap();
    fs::write(&paths[3], &torn[..torn.len() / 2]).unwrap();
    let notes = paths[0].with_file_name("notes.txt");
    fs::write(&notes, "mine").unwrap();
    store.write_failure(&failure(&record(7, "ppl-1024", 0.5))).unwrap();
    store.write_failure(&failure(&record(8, "ppl-1024", 0.5))).unwrap();
    assert_eq!(fold(&store).cells, 3);
    assert_eq!(fs::read(&paths[3]).unwrap(), &torn[..torn.len() / 2]);
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");
    let survey = store.survey().unwrap();
    assert_eq!(survey.damaged.len(), 1);
    assert_eq!(survey.status()[&record(7, "ppl-1024", 0.5).id], CellStatus::Failed);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the run");
}

/// A file of many that is torn counts for none of its cells, and they are stored anew beside it.
#[test]
fn a_torn_file_of_many_counts_for_none_of_its_cells() {
    let (folder, store) = store();
    for number in 0..3 {
        write_windows(&store, number, 0.5, 2);
    }
    fold(&store);
    let [file] = &parquet_files(folder.path()).unwrap()[..] else { panic!("one file") };
    let whole = fs::read(file).unwrap();
    for length in (0..whole.len()).step_by(97) {
        fs::write(file, &whole[..length]).unwrap();
        let survey = store.survey().unwrap();
        assert_eq!((survey.files.len(), survey.damaged.len()), (0, 1), "{length} bytes");
    }
    for number in 0..3 {
        write_windows(&store, number, 0.5, 2);
    }
    assert_eq!(store.status().unwrap().len(), 3);
    assert_eq!(fold(&store).cells, 3);
    assert_eq!(store.status().unwrap().len(), 3);
    assert_eq!(store.survey().unwrap().damaged.len(), 1);
}

/// Its list of cells is believed only where it accounts for every row.
#[test]
fn rows_that_the_list_of_cells_leaves_out_are_damage() {
    let (folder, store) = store();
    write_windows(&store, 1, 0.5, 2);
    let single = parquet_files(folder.path()).unwrap().remove(0);
    fs::rename(&single, single.with_file_name(format!("{}x.parquet", runs::MANY))).unwrap();
    let survey = store.survey().unwrap();
    assert!(survey.files.is_empty());
    assert_eq!(survey.damaged[0].reason, "it has no slim.cells");
}

/// Rows by cell and index, as a reader counts them who knows nothing of this program; none where a file went
/// away between list and look, which ends such a reader with an error.
fn count(folder: &Path) -> Option<BTreeMap<(String, u32), usize>> {
    let mut counts = BTreeMap::new();
    for file in parquet_files(folder).ok()? {
        for batch in batches(&file, Some(&["cell_id", "window_index"])).ok()? {
            let ids = batch.column_by_name("cell_id").unwrap();
            let ids = ids.as_any().downcast_ref::<StringArray>().unwrap();
            let windows = batch.column_by_name("window_index").unwrap();
            let windows = windows.as_any().downcast_ref::<UInt32Array>().unwrap();
            for row in 0..batch.num_rows() {
                *counts.entry((ids.value(row).to_owned(), windows.value(row))).or_default() += 1;
            }
        }
    }
    Some(counts)
}

/// While cells are written and folded again and again, nobody ever sees a row twice or misses one that was
/// there before; neither does this program, which looks again where a file went away.
#[test]
fn every_reader_sees_each_row_once() {
    const FIRST: usize = 30;
    const LATER: usize = 200;
    let (_folder, store) = store();
    for number in 0..FIRST {
        write_windows(&store, number, if number % 2 == 0 { 0.5 } else { 0.75 }, 3);
    }
    let (is_over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in FIRST..FIRST + LATER {
                write_windows(&store, number, if number % 2 == 0 { 0.5 } else { 0.75 }, 3);
            }
        });
        let folder_of_readers = store.folder();
        let (is_over, looks, store) = (&is_over, &looks, &store);
        let readers: Vec<_> = (0..2)
            .map(|reader| {
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        if reader == 0 {
                            let survey = store.survey().unwrap();
                            assert!(survey.damaged.is_empty(), "{:?}", survey.damaged);
                            let ids: Vec<_> = survey.files.iter().map(|file| &file.id).collect();
                            let distinct: BTreeSet<_> = ids.iter().collect();
                            assert_eq!(distinct.len(), ids.len());
                            let n_first = (0..FIRST)
                                .filter(|number| distinct.contains(&&format!("{number:016x}")));
                            assert_eq!(n_first.count(), FIRST);
                            continue;
                        }
                        let Some(counts) = count(folder_of_readers) else { continue };
                        looks.fetch_add(1, Ordering::Relaxed);
                        assert!(counts.values().all(|count| *count == 1), "a row is there twice");
                        for number in 0..FIRST {
                            for window in 0..3 {
                                let row = (format!("{number:016x}"), window);
                                assert!(counts.contains_key(&row), "{row:?} is missing");
                            }
                        }
                    }
                })
            })
            .collect();
        let mut n_folded = 0;
        while !writer.is_finished() {
            n_folded += fold_and_wait(store, Duration::from_millis(100)).cells;
        }
        n_folded += fold(store).cells;
        is_over.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(n_folded > FIRST as u64, "{n_folded} cells were folded");
    });
    assert!(looks.load(Ordering::Relaxed) > 0);
    let counts = count(store.folder()).unwrap();
    assert_eq!(counts.len(), 3 * (FIRST + LATER), "nothing is lost");
    assert!(counts.values().all(|count| *count == 1));
    let status = store.status().unwrap();
    assert_eq!(status.len(), FIRST + LATER);
    assert!(store.survey().unwrap().files.iter().all(|file| file.table == Table::Windows));
}

//! Which folders are runs, who is at work in one, and where its files come from.

use std::fs;

use plan::{Cell, Protocol, Recipe};
use tables::{
    CellRecord, FailureRecord, Left, ORDER, Provenance, RowShares, Store, StoreError, TokenColumns,
    Touched, WindowRow, read_failure_record, read_origin, runs_in,
};

fn cell() -> Cell {
    Cell {
        model: "smollm2".into(),
        dataset: "wikitext2".into(),
        protocol: Protocol::Perplexity { window_tokens: 64 },
        limit: None,
        calibration: None,
        recipe: Recipe::dense(1),
        offset: None,
        compare: None,
    }
}

fn record() -> CellRecord {
    let provenance = Provenance {
        revision: "abc-dirty".into(),
        code_version: "0123456789abcdef".into(),
        versions: "slim 0.1.0".into(),
        host: "here".into(),
        cpu: "some cpu".into(),
        device: "cpu".into(),
        started_at_ms: 1_790_000_000_123,
        seconds: 1.25,
        peak_rss_bytes: 700 << 20,
        tokens: 2048,
        weights_sha256: "aa".into(),
        tokenizer_sha256: "bb".into(),
        text_sha256: "cc".into(),
        calibration_sha256: None,
    };
    CellRecord {
        id: "00ff".into(),
        cell: cell(),
        touched: Touched::default(),
        left: Left::default(),
        provenance,
    }
}

fn rows(n: u32) -> Vec<WindowRow> {
    let row = |window_index| WindowRow {
        window_index,
        nll_nats: 100.0,
        js_nats: None,
        n_targets: 63,
        shares: RowShares {
            reached_sparsity: 0.0,
            natural_sparsity: Some(0.0),
            kept_energy: Some(1.0),
            cache: None,
        },
        tokens: TokenColumns::default(),
    };
    (0..n).map(row).collect()
}

#[test]
fn a_file_says_where_its_rows_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let path = store.write_windows(&record(), &rows(3)).unwrap();
    let origin = read_origin(&path).unwrap();
    assert_eq!((origin.cell_id.as_str(), origin.rows), ("00ff", 3));
    assert_eq!(origin.provenance, record().provenance);
    let mut calibrated = record();
    calibrated.provenance.calibration_sha256 = Some("dd".into());
    let path = store.write_windows(&calibrated, &rows(1)).unwrap();
    assert_eq!(read_origin(&path).unwrap().provenance, calibrated.provenance);
    fs::write(&path, "torn").unwrap();
    assert!(matches!(read_origin(&path), Err(StoreError::Unreadable { .. })));
}

#[test]
fn a_failure_reads_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let failure = FailureRecord {
        id: "00ff".into(),
        cell: cell(),
        error: "out of memory".into(),
        revision: "abc".into(),
        code_version: "0123456789abcdef".into(),
        host: "here".into(),
        started_at_ms: 1_790_000_000_123,
        seconds: 0.5,
    };
    let path = store.write_failure(&failure).unwrap();
    assert_eq!(read_failure_record(&path).unwrap(), failure);
}

#[test]
fn who_is_at_work_is_seen_without_taking_part() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.at_work().unwrap(), None);
    let claims = store.join(runs::Pace::default()).unwrap();
    assert_eq!(store.at_work().unwrap(), Some(files::Process::own().describe()));
    drop(claims);
    assert_eq!(store.at_work().unwrap(), None);
    let absent = Store::open_read_only(&folder.path().join("absent")).unwrap();
    assert_eq!(absent.at_work().unwrap(), None);
}

#[test]
fn a_folder_is_a_run_or_holds_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["b", "a", "notes"] {
        fs::create_dir(path(name)).unwrap();
    }
    assert!(runs_in(folder.path()).unwrap().is_empty());
    fs::create_dir(path("b/windows")).unwrap();
    fs::write(path("a").join(ORDER), "{}").unwrap();
    assert_eq!(runs_in(folder.path()).unwrap(), [path("a"), path("b")]);
    assert_eq!(runs_in(&path("b")).unwrap(), [path("b")]);
    assert!(matches!(runs_in(&path("nowhere")), Err(StoreError::Io { action: "list", .. })));
}

//! The store: atomic files, honest status, hive folders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::failure;
use plan::{
    Calibration, Cell, Observation, Part, Policy, Protocol, Score, Treatment, TreatmentSpec,
};
use proptest::prelude::*;
use tables::{
    CellRecord, CellStatus, ChannelRow, ItemRow, Left, NeuronRow, OverlapRow, Provenance,
    RowShares, Store, StoreError, Table, TokenColumns, Touched, WindowRow, outstanding, read_cell,
    read_channels, read_failure, read_items, read_neurons, read_overlaps, read_windows,
};

fn provenance() -> Provenance {
    Provenance {
        revision: "abc-dirty".into(),
        code_version: "0123456789abcdef".into(),
        versions: "slim 0.1.0; burn 0.22.1; rustc 1.95.0".into(),
        host: "here".into(),
        cpu: "some cpu".into(),
        device: "cpu".to_owned(),
        started_at_ms: 1_790_000_000_123,
        seconds: 1.25,
        peak_rss_bytes: 700 << 20,
        tokens: 2048,
        weights_sha256: "aa".into(),
        tokenizer_sha256: "bb".into(),
        text_sha256: "cc".into(),
        calibration_sha256: Some("dd".into()),
    }
}

fn record(id: &str, protocol: &str, spec: TreatmentSpec) -> CellRecord {
    let treatment = Treatment::new(spec).unwrap();
    let calibration = treatment.needs_calibration().then(|| Calibration {
        dataset: "wikitext2-valid".into(),
        limit: Some(8),
        window_tokens: 1024,
    });
    let cell = Cell {
        model: "smollm2".into(),
        dataset: "wikitext2".into(),
        protocol: protocol.parse::<Protocol>().unwrap(),
        limit: Some(2),
        calibration,
        recipe: treatment.into(),
        offset: None,
        compare: None,
    };
    let touched = Touched { parameters: 1.0 / 3.0, flops: 0.25, state_bytes: 0.0 };
    let left = Left { stored_bytes: 270, parameters: 134 };
    CellRecord { id: id.into(), cell, touched, left, provenance: provenance() }
}

fn dense(id: &str, protocol: &str) -> CellRecord {
    record(id, protocol, TreatmentSpec::of(Policy::Dense, 1))
}

fn dynamic(id: &str, protocol: &str) -> CellRecord {
    let base = TreatmentSpec::of(Policy::Dynamic, u64::MAX);
    record(id, protocol, TreatmentSpec { score: Some(Score::Magnitude), sparsity: 0.9, ..base })
}

fn window_rows() -> Vec<WindowRow> {
    let row = |window_index: u32, nll_nats: f64| WindowRow {
        window_index,
        nll_nats,
        js_nats: None,
        n_targets: 1023,
        shares: RowShares {
            reached_sparsity: 0.9 + 0.1 / 3.0,
            natural_sparsity: Some(0.0),
            kept_energy: Some(2.0 / 3.0),
            cache: None,
        },
        tokens: TokenColumns {
            worst_nll_nats: 40.0 / 3.0,
            n_worse_than_chance: 1,
            layers_per_token: Some(59.0 / 3.0),
        },
    };
    vec![row(0, 3000.0 + 1.0 / 3.0), row(1, f64::MIN_POSITIVE)]
}

fn item_rows() -> Vec<ItemRow> {
    let row = |item_index: u32, correct: bool| ItemRow {
        item_index,
        correct,
        word_logprob_nats: -1.0 / 3.0,
        n_target_tokens: 2,
        n_tokens: 80,
        distance_sentences: correct.then_some(7),
        shares: RowShares {
            reached_sparsity: 0.0,
            natural_sparsity: Some(0.1),
            kept_energy: Some(1.0),
            cache: None,
        },
        tokens: TokenColumns::default(),
    };
    vec![row(0, true), row(1, false)]
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("results/run")).unwrap();
    (folder, store)
}

/// Every file below a folder, relative to it, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path.strip_prefix(folder).unwrap().display().to_string()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn rows_come_back_bit_for_bit() {
    let (_folder, store) = store();
    let windows = dynamic("a1", "ppl-1024");
    let path = store.write_windows(&windows, &window_rows()).unwrap();
    assert_eq!(read_windows(&path).unwrap(), window_rows());
    assert_eq!(read_cell(&path).unwrap(), windows.cell);
    let items = dense("a2", "lambada-openai");
    let path = store.write_items(&items, &item_rows()).unwrap();
    assert_eq!(read_items(&path).unwrap(), item_rows());
    assert_eq!(read_cell(&path).unwrap(), items.cell);
    assert!(matches!(read_windows(&path), Err(StoreError::Unreadable { .. })));
}

#[test]
fn the_layout_is_hive() {
    let (_folder, store) = store();
    store.write_windows(&dynamic("a1", "ppl-1024"), &window_rows()).unwrap();
    store.write_windows(&dense("a2", "ppl-1024"), &window_rows()).unwrap();
    store.write_items(&dense("a3", "lambada-openai"), &item_rows()).unwrap();
    store.write_failure(&failure(&dynamic("a4", "lambada-openai"))).unwrap();
    let in_model = "model=smollm2/dataset=wikitext2";
    assert_eq!(
        files(store.folder()),
        [
            "failures/a4.parquet".to_owned(),
            format!("items/{in_model}/sparsity=0/window=__HIVE_DEFAULT_PARTITION__/a3.parquet"),
            format!("windows/{in_model}/sparsity=0.9/window=1/a1.parquet"),
            format!("windows/{in_model}/sparsity=0/window=__HIVE_DEFAULT_PARTITION__/a2.parquet"),
        ]
    );
}

#[test]
fn every_column_is_documented_and_partitions_are_not_repeated() {
    for columns in [
        tables::window_columns(),
        tables::item_columns(),
        tables::neuron_columns(),
        tables::channel_columns(),
        tables::overlap_columns(),
        tables::failure_columns(),
    ] {
        let names: BTreeSet<&str> = columns.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), columns.len(), "a column name comes twice");
        assert!(columns.iter().all(|column| column.doc.len() > 8), "{columns:?}");
    }
    for (name, columns) in tables::atlas_columns() {
        let names: BTreeSet<&str> = columns.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), columns.len(), "a column of {name} comes twice");
        assert!(columns.iter().all(|column| column.doc.len() > 8), "{columns:?}");
    }
    let results = [
        tables::window_columns(),
        tables::item_columns(),
        tables::neuron_columns(),
        tables::channel_columns(),
        tables::overlap_columns(),
    ];
    for columns in results {
        for partition in ["model", "dataset", "sparsity", "window"] {
            assert!(columns.iter().all(|column| column.name != partition));
        }
    }
}

#[test]
fn a_success_replaces_results_and_forgets_the_failure() {
    let (_folder, store) = store();
    let cell = dynamic("a1", "ppl-1024");
    let failure_path = store.write_failure(&failure(&cell)).unwrap();
    let (label, error) = read_failure(&failure_path).unwrap();
    assert_eq!(label, cell.cell.label());
    assert_eq!(error, "layer 3: not a number");
    assert_eq!(store.status().unwrap()["a1"], CellStatus::Failed);
    store.write_windows(&cell, &window_rows()).unwrap();
    assert!(!failure_path.exists());
    assert_eq!(store.status().unwrap()["a1"], CellStatus::Done);
    let path = store.write_windows(&cell, &window_rows()[..1]).unwrap();
    assert_eq!(read_windows(&path).unwrap().len(), 1);
    assert_eq!(store.survey().unwrap().files.len(), 1);
}

#[test]
fn done_wins_over_an_old_failure() {
    let (_folder, store) = store();
    let cell = dynamic("a1", "ppl-1024");
    store.write_windows(&cell, &window_rows()).unwrap();
    store.write_failure(&failure(&cell)).unwrap();
    assert_eq!(store.status().unwrap()["a1"], CellStatus::Done);
}

#[test]
fn rows_that_are_no_result_are_refused() {
    let (_folder, store) = store();
    let cell = dynamic("a1", "ppl-1024");
    for bad in [f64::NAN, f64::INFINITY] {
        let mut rows = window_rows();
        rows[1].nll_nats = bad;
        let error = store.write_windows(&cell, &rows).unwrap_err();
        assert!(
            matches!(error, StoreError::NonFinite { column: "nll_nats", row: 1, .. }),
            "{error}"
        );
    }
    assert!(matches!(store.write_windows(&cell, &[]), Err(StoreError::NoRows(_))));
    assert!(matches!(store.write_items(&cell, &item_rows()), Err(StoreError::WrongTable { .. })));
    let mut renamed = cell.clone();
    renamed.cell.model = "../../etc".into();
    assert!(matches!(
        store.write_windows(&renamed, &window_rows()),
        Err(StoreError::Name { what: "model", .. })
    ));
    assert_eq!(files(store.folder()), Vec::<String>::new());
}

#[test]
fn a_torn_file_counts_as_not_done_at_every_length() {
    let (_folder, store) = store();
    let path = store.write_windows(&dynamic("a1", "ppl-1024"), &window_rows()).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        let survey = store.survey().unwrap();
        assert_eq!(survey.status(), BTreeMap::new(), "cut to {length} of {} bytes", whole.len());
        assert_eq!(survey.damaged.len(), 1);
        assert_eq!(survey.damaged[0].path, path);
    }
    // The end is there, the middle is not.
    fs::write(&path, &whole[whole.len() / 2..]).unwrap();
    assert_eq!(store.survey().unwrap().damaged.len(), 1);
    fs::write(&path, &whole).unwrap();
    assert_eq!(store.status().unwrap()["a1"], CellStatus::Done);
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_process_leaves_is_no_result_and_is_swept_up() {
    let (_folder, store) = store();
    let path = store.write_windows(&dynamic("a1", "ppl-1024"), &window_rows()).unwrap();
    let own = files::Process::own().to_string();
    let machine = own.split('-').nth(1).unwrap();
    // Number 1 is there on every machine, but did not begin then.
    let dead = format!("here-{machine}-1-999999999");
    let torn = |process: &str| path.with_file_name(format!(".a9.parquet.{process}.0.tmp"));
    let left = [&dead, &own, &"node07-0123456789abcdef-1-1".to_owned()].map(|of| torn(of));
    for torn in &left {
        fs::write(torn, b"PAR1 and then nothing").unwrap();
    }
    assert_eq!(store.status().unwrap().keys().collect::<Vec<_>>(), ["a1"]);
    Store::open(store.folder()).unwrap();
    // Those of the living are their own, and of other machines nothing is known.
    assert_eq!(left.map(|torn| torn.exists()), [false, true, true]);
}

/// A worker that goes on after its run was deleted must not bring pieces of it back.
#[test]
fn a_run_that_was_deleted_does_not_come_again() {
    let (_folder, store) = store();
    let cell = dynamic("a1", "ppl-1024");
    store.write_windows(&cell, &window_rows()).unwrap();
    fs::remove_dir_all(store.folder()).unwrap();
    let gone = |error| matches!(error, StoreError::Gone(path) if path == store.folder());
    assert!(gone(store.write_windows(&cell, &window_rows()).unwrap_err()));
    assert!(gone(store.write_failure(&failure(&cell)).unwrap_err()));
    assert!(!store.folder().exists());
}

#[test]
fn a_failure_is_told_from_a_later_one() {
    let (_folder, store) = store();
    let cell = dynamic("a1", "ppl-1024");
    assert_eq!(store.failure_mark("a1").unwrap(), None);
    let path = store.write_failure(&failure(&cell)).unwrap();
    let mark = store.failure_mark("a1").unwrap();
    assert!(mark.is_some());
    assert_eq!(store.failure_mark("a1").unwrap(), mark);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(mark.unwrap() + std::time::Duration::from_millis(1)).unwrap();
    assert_ne!(store.failure_mark("a1").unwrap(), mark);
}

#[test]
fn unusable_folders_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"x").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(&error, StoreError::NotAFolder(found) if *found == file), "{error}");
        assert!(Store::open_read_only(&path).is_err());
    }
    if Path::new("/proc/self").is_dir() {
        let error = Store::open(Path::new("/proc/self/results")).unwrap_err();
        assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
    }
}

#[test]
fn reading_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let absent: PathBuf = folder.path().join("run");
    let store = Store::open_read_only(&absent).unwrap();
    assert_eq!(store.status().unwrap(), BTreeMap::new());
    assert!(!absent.exists());
}

#[test]
fn foreign_files_are_not_results() {
    let (_folder, store) = store();
    let windows = store.folder().join(Table::Windows.folder());
    fs::create_dir_all(&windows).unwrap();
    fs::write(windows.join("notes.txt"), b"hello").unwrap();
    assert_eq!(store.survey().unwrap(), tables::Survey::default());
}

proptest! {
    /// Against the definition: an id is outstanding exactly when it is planned and not done.
    #[test]
    fn outstanding_is_plan_minus_done(
        plan in prop::collection::vec("[a-e][0-9]", 0..30),
        tried in prop::collection::btree_map("[a-e][0-9]", any::<bool>(), 0..30),
    ) {
        let status: BTreeMap<String, CellStatus> = tried
            .into_iter()
            .map(|(id, done)| (id, if done { CellStatus::Done } else { CellStatus::Failed }))
            .collect();
        let left = outstanding(&plan, &status);
        let left_set: BTreeSet<&String> = left.iter().collect();
        prop_assert_eq!(left_set.len(), left.len(), "each once");
        for id in &plan {
            let done = status.get(id) == Some(&CellStatus::Done);
            prop_assert_eq!(left_set.contains(id), !done);
        }
        prop_assert!(left.iter().all(|id| plan.contains(id)));
        // In the plan's order: the first places of the ids in the plan only grow.
        let places: Vec<_> = left.iter().map(|id| plan.iter().position(|p| p == id)).collect();
        prop_assert!(places.is_sorted());
        // Doing what is left leaves nothing.
        let mut after = status.clone();
        after.extend(left.iter().map(|id| (id.clone(), CellStatus::Done)));
        prop_assert_eq!(outstanding(&plan, &after), Vec::<String>::new());
    }
}

fn observed(id: &str, part: Part, observation: Observation) -> CellRecord {
    let overlap = observation == Observation::Overlap;
    let spec = TreatmentSpec {
        part,
        observation: Some(observation),
        score: overlap.then_some(Score::Magnitude),
        sparsity: if overlap { 0.9 } else { 0.0 },
        ..TreatmentSpec::of(Policy::Observe, 1)
    };
    record(id, "ppl-1024", spec)
}

/// What was observed comes back with its gaps; rows of another table are refused.
#[test]
fn observations_come_back_with_their_gaps() {
    let (_folder, store) = store();
    let neurons = [
        NeuronRow { neuron: 3, magnitude: Some(1.0 / 3.0), tokens: 9, ..NeuronRow::default() },
        NeuronRow { site: 1, layer: 2, block: 1, ablation: Some(-0.1), ..NeuronRow::default() },
    ];
    let forward = observed("01", Part::Ffn, Observation::Forward);
    let path = store.write_neurons(&forward, &neurons).unwrap();
    assert_eq!(read_neurons(&path).unwrap(), neurons);
    let channels = [ChannelRow { channel: 7, ghost: Some(0.1), ..ChannelRow::default() }];
    let ablation = observed("02", Part::State, Observation::Ablation);
    let path = store.write_channels(&ablation, &channels).unwrap();
    assert_eq!(read_channels(&path).unwrap(), channels);
    let overlaps = [OverlapRow {
        site: 1,
        layer: 3,
        lag_tokens: 16,
        pairs: 5,
        overlap: 2.0 / 3.0,
        jaccard: 0.5,
        by_chance: 0.1,
    }];
    let overlap = observed("03", Part::Ffn, Observation::Overlap);
    let path = store.write_overlaps(&overlap, &overlaps).unwrap();
    assert_eq!(read_overlaps(&path).unwrap(), overlaps);
    let refused = store.write_neurons(&ablation, &neurons).unwrap_err().to_string();
    assert_eq!(refused, "cell 02 gives rows of the table `channels`, not of `neurons`");
    let status = store.status().unwrap();
    assert!(["01", "02", "03"].iter().all(|id| status[*id] == CellStatus::Done));
}

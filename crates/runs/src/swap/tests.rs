//! Every way and every moment of a swap.

use super::*;
use crate::RunFolder;

const MADE: &str = "cells-a-2-0.parquet";

/// A run with the files `a`, `b` and `c` in one partition.
struct Scene {
    beside: tempfile::TempDir,
    run: PathBuf,
    partition: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let beside = tempfile::tempdir().unwrap();
        let run = beside.path().join("run");
        let partition = run.join("windows/model=m/dataset=d/sparsity=0/window=1");
        fs::create_dir_all(&partition).unwrap();
        for name in ["a", "b", "c"] {
            fs::write(partition.join(format!("{name}.parquet")), name).unwrap();
        }
        Scene { beside, run, partition }
    }

    fn swap(&self, way: Way) -> Swap {
        let mut swap = Swap::begin(&self.run, &self.partition).unwrap();
        swap.way = way;
        fs::write(swap.folder().join(MADE), "a and b").unwrap();
        swap
    }

    fn files(&self) -> Vec<String> {
        names(&self.partition).unwrap().into_keys().collect()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.partition.join(name)).unwrap()
    }

    fn n_beside(&self) -> usize {
        fs::read_dir(self.beside.path()).unwrap().count()
    }
}

fn folded() -> BTreeSet<String> {
    ["a.parquet", "b.parquet"].map(str::to_owned).into()
}

fn at_once() -> Retired {
    Retired::after(Duration::ZERO)
}

const WAYS: [Way; 2] = [Way::Exchange, Way::TwoRenames];

#[test]
fn what_is_not_folded_stays() {
    for way in WAYS {
        let scene = Scene::new();
        assert!(scene.swap(way).finish(&folded(), &mut at_once()).unwrap());
        assert_eq!(scene.files(), ["c.parquet", MADE], "{way:?}");
        assert_eq!(scene.n_beside(), 1, "{way:?}: nothing is left");
    }
}

#[test]
fn a_swap_that_is_dropped_changes_nothing() {
    let scene = Scene::new();
    drop(scene.swap(Way::Exchange));
    assert_eq!(scene.files(), ["a.parquet", "b.parquet", "c.parquet"]);
    assert_eq!(scene.n_beside(), 1);
}

/// A worker that ends a cell between the last look and the swap loses nothing: not a new file, not one
/// that it replaces, and one that it computed again after it was folded is not there twice.
#[test]
fn what_comes_in_the_last_moment_is_carried_over() {
    for way in WAYS {
        let scene = Scene::new();
        let put = |name: &str, text: &str| {
            files::write(&scene.partition.join(name), text.as_bytes()).unwrap();
        };
        let late = || {
            put("late.parquet", "late");
            put("c.parquet", "c again");
            put("a.parquet", "a again");
        };
        assert!(scene.swap(way).finish_after(&folded(), &mut at_once(), late).unwrap());
        assert_eq!(scene.files(), ["c.parquet", MADE, "late.parquet"], "{way:?}");
        assert_eq!(scene.read("late.parquet"), "late", "{way:?}");
        assert_eq!(scene.read("c.parquet"), "c again", "{way:?}");
    }
}

/// A file that is being written when the folders are exchanged gets its name as if nothing had been.
#[test]
fn who_writes_meanwhile_finds_the_file_again() {
    for way in WAYS {
        let scene = Scene::new();
        let mut draft = files::Draft::begin(&scene.partition.join("d.parquet")).unwrap();
        assert!(scene.swap(way).finish(&folded(), &mut at_once()).unwrap());
        io::Write::write_all(draft.file(), b"d").unwrap();
        draft.finish().unwrap();
        assert_eq!(scene.files(), ["c.parquet", MADE, "d.parquet"], "{way:?}");
        assert_eq!(scene.read("d.parquet"), "d", "{way:?}");
    }
}

/// Whatever instant a process dies at, the next who opens the run finds every row once.
#[test]
fn a_swap_that_was_killed_is_ended_or_undone() {
    type Death = fn(&Scene, &Swap);
    let journal = |scene: &Scene, swap: &Swap| {
        let partition = scene.partition.strip_prefix(&scene.run).unwrap().to_owned();
        let journal =
            Journal { partition, made: BTreeSet::from([MADE.to_owned()]), folded: folded() };
        fs::write(swap.staging.join(JOURNAL), journal.text()).unwrap();
    };
    let before = ["a.parquet", "b.parquet", "c.parquet"];
    let with_late = ["a.parquet", "b.parquet", "c.parquet", "late.parquet"];
    let after = ["c.parquet", MADE];
    let deaths: [(&str, Death, &[&str]); 8] = [
        ("before the journal", |_, _| {}, &before),
        (
            "with half a journal",
            |_, s| fs::write(s.staging.join(JOURNAL), "made x").unwrap(),
            &before,
        ),
        ("before the exchange", |_, _| {}, &before),
        (
            "behind the exchange",
            |scene, s| exchange(&s.folder(), &scene.partition).unwrap(),
            &after,
        ),
        (
            "between two renames",
            |scene, s| fs::rename(&scene.partition, s.staging.join(OLD)).unwrap(),
            &before,
        ),
        (
            "between two renames, and a worker made the folder anew",
            |scene, s| {
                fs::rename(&scene.partition, s.staging.join(OLD)).unwrap();
                fs::create_dir(&scene.partition).unwrap();
                fs::write(scene.partition.join("late.parquet"), "late").unwrap();
            },
            &with_late,
        ),
        (
            "behind two renames",
            |scene, s| {
                fs::rename(&scene.partition, s.staging.join(OLD)).unwrap();
                fs::rename(s.folder(), &scene.partition).unwrap();
            },
            &after,
        ),
        (
            "while it carried over",
            |scene, s| {
                exchange(&s.folder(), &scene.partition).unwrap();
                fs::remove_file(s.folder().join("a.parquet")).unwrap();
                fs::rename(s.folder().join("c.parquet"), scene.partition.join("c.parquet"))
                    .unwrap();
            },
            &after,
        ),
    ];
    for (index, (when, death, expected)) in deaths.into_iter().enumerate() {
        let scene = Scene::new();
        let mut swap = scene.swap(Way::Exchange);
        if index >= 2 {
            journal(&scene, &swap);
        }
        death(&scene, &swap);
        swap.is_swapped = true;
        drop(swap);
        assert_eq!(left(&scene.run, &|_| true).unwrap().len(), 1, "{when}");
        // Where a pattern over the run misses a row, a survey says so.
        let shown = if scene.partition.is_dir() { scene.files() } else { Vec::new() };
        let is_whole = shown.contains(&"c.parquet".to_owned())
            && (shown.contains(&MADE.to_owned()) || shown.contains(&"a.parquet".to_owned()));
        let hides = !hiding(&scene.run, &|_| true).unwrap().is_empty();
        assert_eq!(hides, !is_whole, "{when}: {shown:?}");
        recover(&scene.run, &|_| false).unwrap();
        assert_eq!(left(&scene.run, &|_| true).unwrap().len(), 1, "{when}: of another, who lives");
        for _ in 0..2 {
            recover(&scene.run, &|_| true).unwrap();
            assert_eq!(scene.files(), expected, "{when}");
            assert_eq!(scene.n_beside(), 1, "{when}");
        }
    }
}

/// The staging folder of one run is not taken for that of another whose name begins alike, nor for a run.
#[test]
fn whose_staging_folder_it_is() {
    let scene = Scene::new();
    let other = scene.beside.path().join("run.2");
    let partition = other.join("windows");
    fs::create_dir_all(&partition).unwrap();
    let swap = Swap::begin(&other, &partition).unwrap();
    assert!(left(&scene.run, &|_| true).unwrap().is_empty());
    assert_eq!(left(&other, &|_| true).unwrap().len(), 1);
    assert_eq!(crate::runs_in(scene.beside.path()).unwrap(), [scene.run.clone(), other.clone()]);
    RunFolder::open(&other).unwrap();
    assert!(swap.folder().is_dir(), "its process lives");
}

/// A reader that opened the old folder before the exchange does not find it empty.
#[test]
fn old_names_stay_for_a_while() {
    let scene = Scene::new();
    let mut retired = Retired::after(Duration::from_millis(300));
    let mut early = fs::read_dir(&scene.partition).unwrap();
    assert!(scene.swap(Way::Exchange).finish(&folded(), &mut retired).unwrap());
    assert!(early.any(|entry| entry.unwrap().file_name() == "a.parquet"));
    assert_eq!(scene.n_beside(), 2);
    let began = Instant::now();
    drop(retired);
    assert!(began.elapsed() > Duration::from_millis(100));
    assert_eq!(scene.n_beside(), 1);
}

//! Claims: one holder at a time, none of a dead one, whatever the clocks say.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use files::Process;
use runs::{Attempt, Claims, Pace, RunFolder, StoreError};

const QUICK: Pace = Pace { beat: Duration::from_millis(20), silence: Duration::from_millis(400) };

struct Run(tempfile::TempDir);

impl Run {
    fn new() -> Run {
        Run(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn claim(&self, id: &str) -> PathBuf {
        self.path().join("claims").join(id)
    }

    fn join(&self, pace: Pace) -> Claims {
        Claims::join(self.path(), pace).unwrap()
    }

    /// A claim that a worker left, with its last sign.
    fn left_behind(&self, id: &str, process: &str) -> PathBuf {
        fs::create_dir_all(self.path().join("claims")).unwrap();
        fs::write(self.claim(id), format!("holder = {process}.0\nclaim = 7\n")).unwrap();
        let beat = self.claim(&format!("{process}.0.beat"));
        fs::write(&beat, "00000000000000000003\n").unwrap();
        beat
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().join("claims")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn is_taken(attempt: &Attempt<'_>) -> bool {
    matches!(attempt, Attempt::Taken(_))
}

/// A process of this machine that is not there: pid 1 is, but began at another time.
fn dead_here() -> String {
    let own = Process::own().to_string();
    let machine = own.split('-').nth(1).unwrap();
    format!("here-{machine}-1-999999999")
}

/// A process of which nothing can be known here.
const ELSEWHERE: &str = "node07-0123456789abcdef-4711-88";

#[test]
fn a_cell_has_one_holder_at_a_time() {
    let run = Run::new();
    let (one, two) = (run.join(Pace::default()), run.join(Pace::default()));
    let held = one.take("a1").unwrap();
    assert!(is_taken(&held));
    let Attempt::Held(holder) = two.take("a1").unwrap() else { panic!("taken twice") };
    assert_eq!(holder, Process::own().describe());
    let Attempt::Held(_) = one.take("a1").unwrap() else { panic!("taken twice by one") };
    assert!(is_taken(&two.take("a2").unwrap()), "other cells are free");
    drop(held);
    assert!(is_taken(&two.take("a1").unwrap()));
    drop((one, two));
    assert!(run.names().is_empty(), "{:?}", run.names());
    assert!(matches!(run.join(QUICK).take("../a1"), Err(StoreError::Name { .. })));
}

/// Many at once, over cells that a dead worker held: nobody is left out, and hardly any cell is taken twice.
#[test]
fn many_take_over_from_the_dead() {
    const WORKERS: usize = 8;
    const CELLS: usize = 60;
    let run = Run::new();
    for cell in 0..CELLS {
        run.left_behind(&format!("c{cell}"), &dead_here());
    }
    let barrier = Barrier::new(WORKERS);
    let mut taken = BTreeMap::new();
    thread::scope(|scope| {
        let work = || {
            let claims = run.join(Pace::default());
            barrier.wait();
            let mut own = Vec::new();
            let mut ids = Vec::new();
            for cell in 0..CELLS {
                let id = format!("c{cell}");
                if let Attempt::Taken(claim) = claims.take(&id).unwrap() {
                    own.push(claim);
                    ids.push(id);
                }
            }
            // Nobody gives anything up before all have tried everything.
            barrier.wait();
            ids
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            for id in worker.join().unwrap() {
                *taken.entry(id).or_insert(0) += 1;
            }
        }
    });
    assert_eq!(taken.len(), CELLS);
    let twice = taken.values().filter(|n| **n > 1).count();
    assert!(twice <= CELLS / 10, "{twice} cells were taken twice");
}

#[test]
fn of_the_living_every_cell_is_taken_once() {
    const WORKERS: usize = 8;
    const CELLS: usize = 100;
    let run = Run::new();
    let barrier = Barrier::new(WORKERS);
    let taken: usize = thread::scope(|scope| {
        let work = || {
            let claims = run.join(Pace::default());
            barrier.wait();
            let attempts: Vec<Attempt<'_>> =
                (0..CELLS).map(|cell| claims.take(&format!("c{cell}")).unwrap()).collect();
            barrier.wait();
            attempts.iter().filter(|attempt| is_taken(attempt)).count()
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(taken, CELLS);
    assert!(run.names().is_empty(), "{:?}", run.names());
}

/// Of this machine at once: by number and beginning, so a number that was given again does not matter.
#[test]
fn the_dead_of_this_machine_hold_nothing() {
    let run = Run::new();
    let beat = run.left_behind("a1", &dead_here());
    let claims = run.join(Pace::default());
    let began = Instant::now();
    assert!(is_taken(&claims.take("a1").unwrap()));
    assert!(began.elapsed() < Pace::default().beat);
    // What it left is swept up by the next that opens the folder.
    assert!(beat.exists());
    run.left_behind("a2", &dead_here());
    RunFolder::open(run.path()).unwrap();
    assert!(!beat.exists() && !run.claim("a2").exists());
}

/// The clocks of two machines may differ by decades: nothing but a change of the number counts.
#[test]
fn the_silent_of_other_machines_lose_their_cells_whatever_the_clocks_say() {
    let era = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for files_are_of in [era(0), era(4_000_000_000)] {
        let run = Run::new();
        let beat = run.left_behind("a1", ELSEWHERE);
        let torn = run.path().join(format!(".a1.parquet.{ELSEWHERE}.3.tmp"));
        fs::write(&torn, "PAR1 and then nothing").unwrap();
        let date = |path: &Path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(files_are_of).unwrap();
        };
        let claims = run.join(QUICK);
        let began = Instant::now();
        // It lives: whoever opens the folder or looks at the cell changes nothing.
        for number in 4..44 {
            fs::write(&beat, format!("{number:020}\n")).unwrap();
            date(&beat);
            date(&run.claim("a1"));
            RunFolder::open(run.path()).unwrap();
            let attempt = claims.take("a1").unwrap();
            assert!(matches!(attempt, Attempt::Held(holder) if holder == "process 4711 on node07"));
            thread::sleep(Duration::from_millis(20));
        }
        assert!(began.elapsed() > QUICK.silence, "it was watched for long enough");
        assert!(torn.exists());
        let silent = Instant::now();
        while !is_taken(&claims.take("a1").unwrap()) {
            assert!(silent.elapsed() < Duration::from_secs(20), "it is never given up");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(silent.elapsed() + Duration::from_millis(100) >= QUICK.silence);
        assert!(!beat.exists() && !torn.exists(), "what it left goes with it");
    }
}

#[test]
fn what_nobody_can_read_is_held_for_a_while_only() {
    let run = Run::new();
    let claims = run.join(QUICK);
    for text in ["", "holder = ", "holder = node07", "\u{fffd}"] {
        fs::write(run.claim("a1"), text).unwrap();
        assert!(!is_taken(&claims.take("a1").unwrap()), "{text:?}");
        let began = Instant::now();
        while !is_taken(&claims.take("a1").unwrap()) {
            assert!(began.elapsed() < Duration::from_secs(20), "{text:?} is never given up");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A claim that came back after it was given up keeps nobody waiting, its former holder least of all.
#[test]
fn ones_own_forgotten_claim_is_no_hindrance() {
    let run = Run::new();
    let claims = run.join(Pace::default());
    let claim = claims.take("a1").unwrap();
    let text = fs::read(run.claim("a1")).unwrap();
    drop(claim);
    fs::write(run.claim("a1"), text).unwrap();
    assert!(is_taken(&claims.take("a1").unwrap()));
}

#[test]
fn a_claim_of_another_is_never_given_up_for_him() {
    let run = Run::new();
    let claims = run.join(Pace::default());
    let claim = claims.take("a1").unwrap();
    // Taken over while its holder stood still.
    let other = format!("holder = {ELSEWHERE}.0\nclaim = 1\n");
    fs::write(run.claim("a1"), &other).unwrap();
    drop(claim);
    assert_eq!(fs::read_to_string(run.claim("a1")).unwrap(), other);
}

#[test]
fn a_deleted_folder_is_gone_and_stays_so() {
    let run = Run::new();
    let folder = run.path().join("run");
    fs::create_dir(&folder).unwrap();
    let claims = Claims::join(&folder, QUICK).unwrap();
    let Attempt::Taken(claim) = claims.take("a1").unwrap() else { panic!("nobody else is here") };
    // The folder of claims alone comes again.
    fs::remove_dir_all(folder.join("claims")).unwrap();
    claim.check().unwrap();
    assert!(is_taken(&claims.take("a2").unwrap()));
    while fs::remove_dir_all(&folder).is_err() {}
    assert!(matches!(claim.check(), Err(StoreError::Gone(gone)) if gone == folder));
    assert!(matches!(claims.take("a3"), Err(StoreError::Gone(_))));
    // Another run in its place is not ours.
    fs::create_dir(&folder).unwrap();
    assert!(matches!(claims.take("a3"), Err(StoreError::Gone(_))));
    drop(claim);
    drop(claims);
    assert!(matches!(Claims::join(&folder.join("x"), QUICK), Err(StoreError::Gone(_))));
}

#[test]
fn who_is_at_work_is_seen() {
    let run = Run::new();
    let folder = RunFolder::open(run.path()).unwrap();
    assert_eq!(folder.at_work().unwrap(), None);
    run.left_behind("a1", &dead_here());
    assert_eq!(folder.at_work().unwrap(), None);
    let claims = folder.join(Pace::default()).unwrap();
    assert_eq!(folder.at_work().unwrap(), Some(Process::own().describe()));
    run.left_behind("a2", ELSEWHERE);
    assert!(folder.at_work().unwrap().unwrap().ends_with(" with 1 more"));
    drop(claims);
    assert_eq!(folder.at_work().unwrap().as_deref(), Some("process 4711 on node07"));
}

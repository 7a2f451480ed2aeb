//! Several workers on one run: each cell once, and the same tables as of one alone, whatever becomes of them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use common::{cells, golden_model, order, rows, run, start, stderr};
use plan::WorkOrder;
use runs::{StoredFile, Table};
use tables::Store;

const WORKERS: usize = 4;
/// A process of which nothing can be known on this machine.
const ELSEWHERE: &str = "node07-0123456789abcdef-4711-88";

/// A folder with the whole run of one worker, and its rows.
fn unbroken() -> (tempfile::TempDir, WorkOrder, std::collections::BTreeMap<String, String>) {
    let folder = tempfile::tempdir().unwrap();
    let order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    let rows = rows(&order.results);
    (folder, order, rows)
}

/// A worker on an order that lies there already.
fn worker(order: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(["run", "--order"])
        .arg(order)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn write_order(order: &WorkOrder, folder: &Path) -> PathBuf {
    let path = folder.join("shared.json");
    fs::write(&path, serde_json::to_string(order).unwrap()).unwrap();
    path
}

fn to_the_end(mut child: Child) -> Output {
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The file of the scores of the calibration text.
fn scores_of(order: &WorkOrder) -> StoredFile {
    let survey = Store::open_read_only(&order.results).unwrap().survey().unwrap();
    survey.files.into_iter().find(|file| file.table == Table::Neurons).unwrap()
}

/// Nothing but whole tables, and neither claims nor signs of workers that are through.
fn assert_tidy(run: &Path) {
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => assert!(path.extension().is_some_and(|e| e == "parquet"), "{path:?}"),
            }
        }
    }
}

/// Two submissions of one grid share it: no cell and no score of a text is computed twice.
#[test]
fn two_submissions_share_the_cells() {
    let (_whole, _, expected) = unbroken();
    let folder = tempfile::tempdir().unwrap();
    let order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    let path = write_order(&order, folder.path());
    let both = [worker(&path, &[]), worker(&path, &[])].map(|child| {
        // Both at once, so both are read at once.
        thread::spawn(move || to_the_end(child))
    });
    let both = both.map(|thread| thread.join().unwrap());
    let count = |what: &str| both.iter().map(|o| stdout(o).matches(what).count()).sum::<usize>();
    for output in &both {
        assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(output));
        assert!(stdout(output).contains("\"stopped\":false"));
    }
    assert_eq!(rows(&order.results), expected);
    assert_eq!(count("\"cell_done\""), order.cells.len());
    assert_eq!(count("calibrating on calibration"), 1);
    assert_tidy(&order.results);
}

/// The waiting worker says for whom, takes what was stored meanwhile, and computes nothing of it again.
#[test]
fn what_a_living_worker_holds_is_waited_for() {
    let (_whole, whole_order, expected) = unbroken();
    let folder = tempfile::tempdir().unwrap();
    let order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    let claims = order.results.join("claims");
    fs::create_dir_all(&claims).unwrap();
    let held = &order.cells[3];
    let scores = scores_of(&whole_order);
    let claimed = [&held.id, &scores.id].map(|id| claims.join(id));
    for claim in &claimed {
        fs::write(claim, format!("holder = {ELSEWHERE}.0\nclaim = 0\n")).unwrap();
    }
    let beat = claims.join(format!("{ELSEWHERE}.0.beat"));
    let path = write_order(&order, folder.path());
    fs::write(&beat, "0").unwrap();
    let mut child = worker(&path, &["--beat-ms", "20", "--silence-ms", "2500"]);
    let stdin = child.stdin.take();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = thread::spawn(move || {
        lines.map_while(Result::ok).map(|line| (Instant::now(), line)).collect::<Vec<_>>()
    });
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < Duration::from_millis(3500) {
        number += 1;
        fs::write(&beat, number.to_string()).unwrap();
        // Its clock is years off, now in one direction, now in the other.
        let years = Duration::from_secs(20 * 365 * 86_400);
        let now = SystemTime::now();
        let then = if number % 2 == 0 { now - years } else { now + years };
        File::options().write(true).open(&beat).unwrap().set_modified(then).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    assert!(child.try_wait().unwrap().is_none(), "it waits as long as the other lives");
    // The other stores what it has, and is through.
    let whole_store = Store::open_read_only(&whole_order.results).unwrap();
    for from in [whole_store.result_path(&held.id, &held.cell).unwrap(), scores.path] {
        let to = order.results.join(from.strip_prefix(&whole_order.results).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
    claimed.iter().for_each(|claim| fs::remove_file(claim).unwrap());
    fs::remove_file(&beat).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(plan::exit::DONE));
    drop(stdin);
    let lines = listening.join().unwrap();
    let count = |what: &str| lines.iter().filter(|(_, line)| line.contains(what)).count();
    // The held one, and the two static ones that rest on the scores; nothing is loaded to find that out.
    let waits = "waiting for 3 cells: process 4711 on node07 is at work";
    assert_eq!(count(waits), 1, "{lines:?}");
    assert_eq!(count("loading llama"), 2, "for what was free, and for what became so");
    assert_eq!(count("calibrating"), 0);
    assert_eq!(count("\"cell_done\""), order.cells.len() - 1);
    assert_eq!(count("\"cell_elsewhere\""), 1);
    assert_eq!(rows(&order.results), expected);
    assert_tidy(&order.results);
}

/// Cells and scores of a worker that died on another machine are computed after all.
#[test]
fn what_a_silent_worker_held_is_taken_over() {
    let (_whole, whole_order, expected) = unbroken();
    let folder = tempfile::tempdir().unwrap();
    let order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    let claims = order.results.join("claims");
    fs::create_dir_all(&claims).unwrap();
    let scores = scores_of(&whole_order);
    for (number, id) in [&scores.id, &order.cells[2].id].into_iter().enumerate() {
        let claim = format!("holder = {ELSEWHERE}.0\nclaim = {number}\n");
        fs::write(claims.join(id), claim).unwrap();
    }
    fs::write(claims.join(format!("{ELSEWHERE}.0.beat")), "17").unwrap();
    let path = write_order(&order, folder.path());
    let began = Instant::now();
    let output = to_the_end(worker(&path, &["--beat-ms", "20", "--silence-ms", "1000"]));
    assert!(began.elapsed() > Duration::from_secs(1), "it was not watched for long enough");
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    assert_eq!(rows(&order.results), expected);
    assert_tidy(&order.results);
}

#[test]
fn a_folder_that_is_deleted_under_the_run_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    let mut child = start(&order, folder.path());
    let stdin = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("\"cell_done\"")));
    // What is written at this moment may need a second try.
    while order.results.exists() {
        let _ = fs::remove_dir_all(&order.results);
    }
    let rest = lines.filter(|line| line.contains("\"cell_done\"")).count();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS), "{}", stderr(&output));
    assert!(stderr(&output).contains("start the run again"), "{}", stderr(&output));
    assert!(rest < order.cells.len() - 1, "it goes on in vain");
    assert!(!order.results.exists(), "nothing of it comes again");
}

/// `SLIM_KILLS` asks for another number of kills: they fall on one folder, which has the cells many times
/// over, so that it lasts for as long.
#[test]
fn four_workers_that_are_killed_at_random_leave_the_rows_of_one_unbroken() {
    const KILLS_A_COPY: usize = 3;
    let kills: usize = std::env::var("SLIM_KILLS").map_or(12, |text| text.parse().unwrap());
    let (_whole, whole_order, of_one) = unbroken();
    let folder = tempfile::tempdir().unwrap();
    let copies = vec![cells(); kills.div_ceil(KILLS_A_COPY)].concat();
    let order = order(&folder.path().join("run"), &golden_model("llama"), copies);
    let mut expected = of_one.clone();
    for (place, copy) in order.cells.iter().enumerate() {
        let original = &whole_order.cells[place % whole_order.cells.len()];
        assert_eq!(copy.cell, original.cell);
        expected.insert(copy.id.clone(), of_one[&original.id].clone());
    }
    let killed = storm(&write_order(&order, folder.path()), kills);
    let n_cells = order.cells.len();
    println!("{killed} kills over {n_cells} cells");
    assert!(killed >= kills.div_ceil(2), "{killed} kills: it was over too soon");
    assert_eq!(rows(&order.results), expected);
    assert_tidy(&order.results);
}

/// Runs an order to its end, under at most so many kills; the value is how many there were.
fn storm(order: &Path, most: usize) -> usize {
    let begin = || {
        let mut child = worker(order, &[]);
        // What workers say is let through and forgotten: a full pipe would stop them.
        let mut said = child.stdout.take().unwrap();
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        (child.stdin.take(), child)
    };
    let mut workers: Vec<_> = (0..WORKERS).map(|_| begin()).collect();
    let (mut killed, mut state) = (0, 0x5eed_u64);
    while killed < most {
        thread::sleep(Duration::from_millis(random(&mut state) % 120));
        let chosen = random(&mut state) as usize % WORKERS;
        if workers.iter_mut().any(|(_, child)| child.try_wait().unwrap().is_some()) {
            break;
        }
        let child = &mut workers[chosen].1;
        child.kill().unwrap();
        // None: killed by a signal, not ended by itself in the same moment.
        match child.wait().unwrap().code() {
            None => killed += 1,
            code => assert_eq!(code, Some(plan::exit::DONE)),
        }
        workers[chosen] = begin();
    }
    for (stdin, child) in workers {
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    }
    killed
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

//! A build that runs: followed crate by crate, shown as a bar on a terminal and as a line now and then
//! elsewhere.

use std::collections::BTreeMap;
use std::io::{BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use serde_json::Value;

use crate::progress::style;
use crate::workspace::Workspace;

/// A build shorter than this says nothing.
const SILENT: Duration = Duration::from_secs(2);
/// Elsewhere than on a terminal, a line so often.
const LINE_EVERY: Duration = Duration::from_secs(20);
/// How often the build is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Share of the time that has passed when some share of the crates is built: the small ones come first.
/// From the lines of a cold build of `worker` on two cores, rounded.
const TIME_PASSED: [(f64, f64); 8] = [
    (0.0, 0.0),
    (0.33, 0.04),
    (0.58, 0.17),
    (0.72, 0.3),
    (0.82, 0.43),
    (0.87, 0.65),
    (0.93, 0.87),
    (1.0, 1.0),
];

/// What is known of a running build.
#[derive(Debug, Default)]
struct State {
    /// Units that are built, of all; cargo counts them.
    units: Option<(u64, u64)>,
    /// What cargo and the compiler said, but for the names of crates.
    said: String,
}

/// A running `cargo build`. Dropped before its end, it is stopped.
#[derive(Debug)]
pub(crate) struct Building {
    what: String,
    child: Child,
    state: Arc<Mutex<State>>,
    started: Instant,
    stderr: Option<JoinHandle<()>>,
    stdout: Option<JoinHandle<BTreeMap<String, PathBuf>>>,
}

impl Building {
    /// Starts `command`, a `cargo build`; `what` is what it builds, for people.
    pub(crate) fn start(
        workspace: &Workspace,
        mut command: Command,
        what: String,
    ) -> Result<Building> {
        let mut child = command
            .arg("--message-format=json-render-diagnostics")
            .current_dir(workspace.root())
            // Cargo's own bar is the one place where it tells how many units there are.
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "100")
            .env("CARGO_TERM_QUIET", "false")
            .env("CARGO_TERM_COLOR", "never")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start cargo")?;
        let state = Arc::new(Mutex::new(State::default()));
        let (stderr, stdout) = (child.stderr.take(), child.stdout.take());
        let shared = state.clone();
        Ok(Building {
            what,
            child,
            state,
            started: Instant::now(),
            stderr: stderr.map(|stderr| thread::spawn(move || follow(stderr, &shared))),
            stdout: stdout.map(|stdout| thread::spawn(move || executables(stdout))),
        })
    }

    /// Waits for the end, showing progress; the value says where each executable lies.
    ///
    /// # Errors
    /// When the build fails; what the compiler said is printed first.
    pub(crate) fn finish(mut self) -> Result<BTreeMap<String, PathBuf>> {
        let mut shown = Shown::new(&self.what);
        let status = loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for cargo")? {
                break status;
            }
            let units = lock(&self.state).units;
            shown.look(self.started, units);
            thread::sleep(LOOK_EVERY);
        };
        shown.clear();
        if let Some(stderr) = self.stderr.take() {
            // A thread that only reads lines has nothing to report.
            let _ = stderr.join();
        }
        let built = self.stdout.take().and_then(|stdout| stdout.join().ok()).unwrap_or_default();
        let said = std::mem::take(&mut lock(&self.state).said);
        eprint!("{said}");
        if !status.success() {
            bail!("building {} failed (see above)", self.what);
        }
        Ok(built)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // Only a build that nobody waits for any more is still running here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Plain values are whole whatever panicked while it was held.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads what cargo says: its bar ends in a carriage return, everything else in a line feed.
fn follow(stderr: ChildStderr, state: &Mutex<State>) {
    let mut piece = Vec::new();
    for byte in BufReader::new(stderr).bytes().map_while(std::io::Result::ok) {
        if byte != b'\r' && byte != b'\n' {
            piece.push(byte);
            continue;
        }
        let text = String::from_utf8_lossy(&piece).into_owned();
        piece.clear();
        let mut state = lock(state);
        match units(&text) {
            Some(units) => state.units = Some(units),
            None if byte == b'\n' && !is_routine(&text) => {
                state.said.push_str(&text);
                state.said.push('\n');
            }
            None => {}
        }
    }
}

/// `12/377` of `    Building [==>        ] 12/377: burn-flex`.
fn units(text: &str) -> Option<(u64, u64)> {
    let (_, rest) = text.split_once("Building [")?;
    let (_, rest) = rest.split_once("] ")?;
    let (done, rest) = rest.split_once('/')?;
    let all = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((done.trim().parse().ok()?, all.parse().ok()?))
}

/// What cargo says of every build, which is no news.
fn is_routine(text: &str) -> bool {
    const ROUTINE: [&str; 8] = [
        "Compiling",
        "Fresh",
        "Finished",
        "Blocking",
        "Downloaded",
        "Downloading",
        "Updating",
        "Locking",
    ];
    let word = text.split_whitespace().next();
    word.is_none_or(|word| ROUTINE.contains(&word))
}

/// Where cargo says that it put executables, by name.
fn executables(mut stdout: ChildStdout) -> BTreeMap<String, PathBuf> {
    let mut text = String::new();
    // What is cut off is missed by the caller, who says so.
    let _ = stdout.read_to_string(&mut text);
    let mut built = BTreeMap::new();
    for line in text.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let name = message["target"]["name"].as_str();
        if let (Some(name), Some(path)) = (name, message["executable"].as_str()) {
            built.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    built
}

/// What people see of a build.
struct Shown {
    what: String,
    bar: Option<ProgressBar>,
    is_terminal: bool,
    next_line: Duration,
}

impl Shown {
    fn new(what: &str) -> Shown {
        let is_terminal = std::io::stderr().is_terminal();
        Shown { what: what.to_owned(), bar: None, is_terminal, next_line: SILENT }
    }

    fn look(&mut self, started: Instant, units: Option<(u64, u64)>) {
        let elapsed = started.elapsed();
        let Some((done, all)) = units.filter(|_| elapsed >= SILENT) else { return };
        let left = time_left(elapsed, done, all);
        if self.is_terminal {
            let bar = self.bar.get_or_insert_with(|| new_bar(&self.what));
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(left);
        } else if elapsed >= self.next_line {
            eprintln!("building {}: crate {done} of {all}, {left}", self.what);
            self.next_line = elapsed + LINE_EVERY;
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    bar.set_style(style("{prefix} [{bar:30}] crate {pos} of {len}, {msg}"));
    bar.with_prefix(format!("building {what}"))
}

/// `about 6 min left`; nothing much can be said before some crates are built.
fn time_left(elapsed: Duration, done: u64, all: u64) -> String {
    let passed = time_passed(done as f64 / all.max(1) as f64);
    if passed < 0.02 {
        return "a few minutes left".to_owned();
    }
    let seconds = elapsed.as_secs_f64() * (1.0 - passed) / passed;
    if seconds < 90.0 {
        format!("about {:.0} s left", (seconds / 10.0).ceil() * 10.0)
    } else {
        format!("about {:.0} min left", seconds / 60.0)
    }
}

/// [`TIME_PASSED`] between its points.
fn time_passed(built: f64) -> f64 {
    for pair in TIME_PASSED.windows(2) {
        let [(from, low), (to, high)] = [pair[0], pair[1]];
        if built <= to {
            return low + (high - low) * (built - from) / (to - from);
        }
    }
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_of_cargo_is_read() {
        let line = "    Building [=====>                 ] 212/377: burn-flex, polars-core(build)";
        assert_eq!(units(line), Some((212, 377)));
        assert_eq!(units("    Building [                       ] 0/5"), Some((0, 5)));
        for other in ["   Compiling serde v1.0.0", "error: Building failed", "Building [", ""] {
            assert_eq!(units(other), None, "{other:?}");
        }
    }

    #[test]
    fn only_news_is_kept() {
        for routine in ["   Compiling serde v1", "    Finished `release` profile", ""] {
            assert!(is_routine(routine), "{routine:?}");
        }
        for news in ["error[E0308]: mismatched types", "warning: unused", " --> src/main.rs:1:1"] {
            assert!(!is_routine(news), "{news:?}");
        }
    }

    #[test]
    fn time_left_falls_to_nothing() {
        let mut last = 0.0;
        for built in 0..=100 {
            let passed = time_passed(f64::from(built) / 100.0);
            assert!(passed >= last, "{built}");
            last = passed;
        }
        assert_eq!(time_passed(0.0), 0.0);
        assert_eq!(time_passed(1.0), 1.0);
        // A third of the time has passed when three quarters of the crates are built.
        assert_eq!(time_left(Duration::from_secs(600), 77, 100), "about 17 min left");
        assert_eq!(time_left(Duration::from_secs(600), 1, 1000), "a few minutes left");
    }
}

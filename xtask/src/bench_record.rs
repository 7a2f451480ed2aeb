//! What benches measured, kept with the machine and the revision: `bench/record/<date>-<cpu>.json`.
//!
//! A record is never edited by hand. A second bench of one day on one machine takes the place of the
//! first.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::code_version::{code_version, revision};
use crate::python::output_of;
use crate::workspace::Workspace;

/// Which table of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pruned and dense.
    Cases,
    /// Every family, dense.
    Families,
    /// Cuts of weights.
    Cuts,
    /// Slimmed models side by side: one row with all of them, and with the targets.
    Speed,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Kind::Cases => "cases",
            Kind::Families => "families",
            Kind::Cuts => "cuts",
            Kind::Speed => "speed",
        }
    }
}

/// Where and when rows were measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    date: String,
    command: String,
    cpu: String,
    cores: u64,
    revision: String,
    /// `/proc/loadavg` before the first run: a busy machine makes other ratios.
    load: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { date, command, cpu, cores, revision, load } = self;
        write!(
            f,
            "Measured {date} by `{command}` on {cpu}, {cores} cores, at revision {revision}; load of \
             the machine before: {load}."
        )
    }
}

/// One table of a record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) origin: Origin,
    pub(crate) rows: Vec<Value>,
}

/// What is known before the first run of a bench.
pub(crate) struct Begun {
    milliseconds: i64,
    load: String,
}

impl Begun {
    pub(crate) fn now() -> Begun {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let load = read_line("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        Begun {
            milliseconds: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            load: if load.is_empty() { "unknown".to_owned() } else { load.to_owned() },
        }
    }
}

/// Writes rows to today's record of this machine; the value is the file.
pub(crate) fn keep(
    workspace: &Workspace,
    kind: Kind,
    begun: &Begun,
    python: Option<&Path>,
    rows: &[Value],
) -> Result<PathBuf> {
    let started_at = runs::utc(begun.milliseconds);
    let date = started_at.split(' ').next().unwrap_or_default().to_owned();
    let cpu = cpu();
    let folder = workspace.root().join("bench/record");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join(format!("{date}-{}.json", slug(&cpu)));
    let mut record = if file.is_file() { read(&file)? } else { Map::new() };
    let words: Vec<String> = std::env::args().skip(1).collect();
    let own = json!({
        "date": date,
        "started_at": started_at,
        "command": format!("cargo xtask {}", words.join(" ")),
        "cpu": cpu,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory_bytes": memory_bytes(),
        "system": read_line("/proc/version"),
        "load_before": begun.load,
        "revision": revision(workspace.root()),
        "code_version": code_version(workspace.root())?,
        "peer": python.map(peer).transpose()?,
        "rows": rows,
    });
    record.insert(kind.key().to_owned(), own);
    let mut text = serde_json::to_string_pretty(&record).context("cannot write a record")?;
    text.push('\n');
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// The newest table of this kind; none where nothing was recorded.
///
/// # Errors
/// A record that cannot be read.
pub(crate) fn newest(folder: &Path, kind: Kind) -> Result<Option<Record>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>().context("cannot list bench/record")?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    // Names begin with the date.
    paths.sort();
    for path in paths.iter().rev() {
        if let Some(own) = read(path)?.get(kind.key()) {
            return record(own).map(Some).with_context(|| format!("in {}", path.display()));
        }
    }
    Ok(None)
}

fn record(own: &Value) -> Result<Record> {
    let text = |name: &str| {
        own[name].as_str().map(str::to_owned).with_context(|| format!("a record has no {name}"))
    };
    let rows = own["rows"].as_array().context("a record has no rows")?.clone();
    ensure!(!rows.is_empty(), "a record has no rows");
    let origin = Origin {
        date: text("date")?,
        command: text("command")?,
        cpu: text("cpu")?,
        cores: own["cores"].as_u64().context("a record has no cores")?,
        revision: text("revision")?,
        load: text("load_before")?,
    };
    Ok(Record { origin, rows })
}

fn read(file: &Path) -> Result<Map<String, Value>> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no record", file.display()))
}

/// What the other side is: its packages.
fn peer(python: &Path) -> Result<String> {
    let code = "import torch, transformers; print(f'torch {torch.__version__}; transformers \
                {transformers.__version__}')";
    Ok(output_of(Command::new(python).args(["-c", code]))?.trim().to_owned())
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("unknown CPU").to_owned()
}

fn memory_bytes() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

fn read_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.trim().to_owned())
}

/// A name for a file: letters and digits, the rest as single dashes.
fn slug(name: &str) -> String {
    let plain = name.to_lowercase().replace("(r)", "").replace("(tm)", "");
    let words = plain.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::{Kind, newest, slug};

    #[test]
    fn names_of_processors_become_names_of_files() {
        assert_eq!(slug("Intel(R) Xeon(R) CPU @ 2.20GHz"), "intel-xeon-cpu-2-20ghz");
        assert_eq!(slug("AMD EPYC 9B14"), "amd-epyc-9b14");
    }

    #[test]
    fn the_newest_record_of_a_kind_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest(&folder.path().join("none"), Kind::Cases).unwrap(), None);
        let table = |revision: &str| {
            json!({ "date": "d", "command": "c", "cpu": "p", "cores": 2, "revision": revision,
                    "load_before": "0.1", "rows": [{ "case": "dense" }] })
        };
        let write = |name: &str, value: serde_json::Value| {
            fs::write(folder.path().join(name), value.to_string()).unwrap();
        };
        write("2026-01-02-a.json", json!({ "cases": table("old"), "families": table("only") }));
        write("2026-03-04-b.json", json!({ "cases": table("new") }));
        let revision = |kind| newest(folder.path(), kind).unwrap().unwrap().origin.revision;
        assert_eq!(revision(Kind::Cases), "new");
        assert_eq!(revision(Kind::Families), "only");
        write("2026-05-06-c.json", json!({ "cases": { "date": "d" } }));
        let error = format!("{:#}", newest(folder.path(), Kind::Cases).unwrap_err());
        assert!(error.contains("2026-05-06-c.json") && error.contains("no rows"), "{error}");
    }
}

//! `check notebooks`: executes every notebook in an environment of its own, and runs the queries that
//! the README files tell readers to type.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use plan::exit::{BAD_RESULTS, DONE};

use crate::build;
use crate::exit::OTHER;
use crate::python;
use crate::report::status;
use crate::workspace::Workspace;

/// Executes the notebooks against `results` (a run, or a folder of runs), or says why not; with
/// `require` what cannot be checked is an error.
pub(crate) fn run(workspace: &Workspace, results: Option<&Path>, require: bool) -> Result<i32> {
    let skip = |reason: String, code: i32| {
        let (word, code) = if require { ("error", code) } else { ("skipped", DONE) };
        eprintln!("{word}: notebooks: {reason}");
        Ok(code)
    };
    let results = results.map_or_else(|| workspace.root().join("results"), Path::to_owned);
    // Each notebook runs in its own folder.
    let results = std::path::absolute(&results)
        .with_context(|| format!("cannot use {}", results.display()))?;
    let no_run =
        || format!("{} has no run: make one with `cargo xtask run-grid`", workspace.show(&results));
    if !results.is_dir() {
        return skip(no_run(), BAD_RESULTS);
    }
    let folder = workspace.root().join("notebooks");
    let requirements = folder.join("requirements.txt");
    let python = match python::environment(workspace, "notebooks-venv", &requirements) {
        Ok(python) => python,
        Err(error) => return skip(format!("no Python with their packages: {error:#}"), OTHER),
    };
    let executed = workspace.root().join("target/notebooks");
    let Some(numbers) = numbers(workspace, &results, &executed)? else {
        return skip(no_run(), BAD_RESULTS);
    };

    let mut execute = Command::new(&python);
    execute.arg(folder.join("execute.py")).arg(&executed).args(notebooks(&folder)?);
    execute.env("SLIM_RESULTS", &results).env("SLIM_REPORT_JSON", numbers);
    let mut queries = Command::new(&python);
    queries.arg(folder.join("queries.py")).arg(&results);
    queries.env("SLIM_WORKER", build::worker(workspace)?);
    for mut command in [execute, queries] {
        // Python would leave its compiled scripts beside them.
        let code = status(command.env("PYTHONDONTWRITEBYTECODE", "1"))?;
        if code != DONE {
            return Ok(OTHER);
        }
    }
    println!("executed copies are in {}", workspace.show(&executed));
    Ok(DONE)
}

/// Writes the report's numbers, which the notebooks compare theirs with; none where there is no run.
fn numbers(workspace: &Workspace, results: &Path, folder: &Path) -> Result<Option<PathBuf>> {
    let report = build::report(workspace)?;
    let mut command = Command::new(&report);
    command.arg("--results").arg(results).arg("--json").stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {}", report.display()))?;
    match output.status.code() {
        Some(DONE) => {}
        Some(BAD_RESULTS) => return Ok(None),
        _ => bail!("the report on {} failed ({})", results.display(), output.status),
    }
    let file = folder.join("report.json");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, output.stdout))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Some(file))
}

/// Every notebook, by name.
fn notebooks(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", folder.display());
    let entries = folder.read_dir().with_context(cannot)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "ipynb"));
    paths.sort();
    Ok(paths)
}

//! Asks the report what the tables of the run say: this program reads no Parquet.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use plan::{AdviceAnswer, AdviceRequest};

use crate::exit::Exit;

/// The answer of `report --advise`.
///
/// # Errors
/// Exit code 4 when the tables do not answer it; why has been told.
pub(super) fn ask(report: &Path, results: &Path, request: &AdviceRequest) -> Result<AdviceAnswer> {
    let mut file = tempfile::NamedTempFile::new().context("cannot write a temporary file")?;
    let text = serde_json::to_string(request).context("cannot encode a question")?;
    file.write_all(text.as_bytes()).context("cannot write a temporary file")?;
    let output = Command::new(report)
        .arg("--results")
        .arg(results)
        .arg("--advise")
        .arg(file.path())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", report.display()))?;
    if !output.status.success() {
        return Err(Exit::results("the tables of the run do not say who goes on").into());
    }
    serde_json::from_slice(&output.stdout).context("the report's answer is not what was asked for")
}

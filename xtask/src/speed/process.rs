//! A process that holds one model and is timed whenever it is asked.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use plan::{SpeedAsk, SpeedRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

/// Speaks lines of JSON; dropped, it is told to end.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// What it was started with.
    _request: Option<NamedTempFile>,
}

impl Process {
    /// This project's worker on a request.
    pub(crate) fn worker(worker: &Path, request: &SpeedRequest, name: &str) -> Result<Process> {
        let mut file = NamedTempFile::new().context("cannot write a temporary file")?;
        let text = serde_json::to_string(request).context("cannot encode a request")?;
        file.write_all(text.as_bytes()).context("cannot write a temporary file")?;
        let mut command = Command::new(worker);
        command.arg("timed").arg("--request").arg(file.path());
        Process::start(&mut command, name, Some(file))
    }

    /// Any other program.
    pub(crate) fn peer(command: &mut Command, name: &str) -> Result<Process> {
        Process::start(command, name, None)
    }

    fn start(command: &mut Command, name: &str, request: Option<NamedTempFile>) -> Result<Process> {
        // Ctrl-C is for us alone: whoever is timed ends with its standard input, and says nothing of it.
        let started = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.with_context(|| format!("{name}: cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("a process has no standard output")?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(stdout);
        Ok(Process { name: name.to_owned(), child, stdin, stdout, _request: request })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says a line that is not answered.
    pub(crate) fn tell(&mut self, what: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(what).context("cannot encode a line")?;
        let stdin = self.stdin.as_mut().context("a process takes no more lines")?;
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .with_context(|| format!("{}: the process has ended", self.name))
    }

    /// The next line that it says.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line);
        read.with_context(|| format!("{}: cannot hear it", self.name))?;
        ensure!(!line.is_empty(), "{}: the process ended; its last words are above", self.name);
        serde_json::from_str(&line).with_context(|| format!("{}: it said `{line}`", self.name))
    }

    /// Asks and hears the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, what: SpeedAsk) -> Result<T> {
        self.tell(&what)?;
        self.hear()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends at the end of its standard input; how does not matter any more.
        let _ = self.child.wait();
    }
}

//! A scratch folder with its own data, cache and results, and the built `xtask` run in it.

// Each test program uses its own part of this file.
#![allow(dead_code, reason = "shared by several test programs")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A grid over files of the scratch folder: two cells.
pub(crate) const OWN_PIPELINE: &str = r#"
name = "own"
seed = 1

[[model]]
name = "mine"
path = "model.gguf"

[[dataset]]
name = "text"
path = "text.raw"
protocol = "ppl-64"

[[sweep]]
policy = "dynamic"
score = "magnitude"
sparsity = 0.5
"#;

/// A grid over known names: a model, a text and a calibration text.
pub(crate) fn known_pipeline() -> String {
    r#"
name = "known"
seed = 1
[[model]]
name = "smollm2"
[[dataset]]
name = "wikitext2"
protocol = "ppl-1024"
calibration = { dataset = "wikitext2-valid" }
[[sweep]]
policy = "static"
score = "magnitude"
sparsity = 0.5
"#
    .to_owned()
}

/// The scratch folder; gone when dropped.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        for name in ["data", "cache"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Bench { folder }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file; the value is its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// [`OWN_PIPELINE`] with its model (four bytes of one) and its text; the value is its path.
    pub(crate) fn own_pipeline(&self) -> String {
        self.write("model.gguf", "GGUF");
        self.write("text.raw", "some text\n");
        self.write("own.toml", OWN_PIPELINE)
    }

    /// Writes a shell script that may be run; the value is its path.
    pub(crate) fn script(&self, name: &str, body: &str) -> String {
        let path = self.write(name, &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A worker that computes nothing and finds an empty results folder; `body` is what it does else.
    pub(crate) fn worker(&self, body: &str) {
        let empty = r#"{"survey":{"files":[],"damaged":[]},"cells":{}}"#;
        let standing = r#"{"done":[],"failed":[],"damaged":[],"single_files":0,"files_of_many":0}"#;
        self.script(
            "no-worker",
            &format!(
                "if [ $1 = survey ]; then case $2 in --standing) echo '{standing}';; *) echo \
                 '{empty}';; esac; exit; fi\n{body}"
            ),
        );
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    /// `xtask` with its environment set to this folder, and no worker unless one is given.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(args).current_dir(self.folder.path());
        if args.first() == Some(&"run-grid") && !args.contains(&"--results") {
            command.arg("--results").arg(self.results());
        }
        command
            .env("HF_HOME", self.path("hf"))
            .env_remove("HF_HUB_CACHE")
            .env_remove("HF_HUB_OFFLINE")
            .env("SLIM_DATA", self.path("data"))
            .env("SLIM_CACHE", self.path("cache"))
            .env("SLIM_WORKER", self.path("no-worker"))
            .env("SLIM_REPORT", self.path("no-report"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

/// A binary of the workspace, as it is now.
pub(crate) fn program(name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = ["build", "--release", "--quiet", "--workspace", "--bin", name];
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let status = Command::new(cargo).args(args).current_dir(workspace).status().unwrap();
    assert!(status.success());
    Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name(name)
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

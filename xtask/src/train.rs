//! `train`: trains the small models, each from its recipe.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use plan::exit::DONE;

use crate::build;
use crate::exit::Exit;
use crate::report::status;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask train pipelines/train/opt-relu.toml
  cargo xtask train                              # every recipe of pipelines/train that is not done
  cargo xtask train --dry-run                    # names, sizes of the runs, nothing else
  cargo xtask train --restart pipelines/train/opt-relu.toml
  cargo xtask train --texts                      # write data/stories again

A finished model is an ordinary Hugging Face folder, data/models/NAME: config.json, model.safetensors,
tokenizer.json and a card. While it is trained, results/train/NAME has its tables (steps/*.parquet,
layers/*.parquet) and a checkpoint: stopped or killed, the same command goes on from there. The same
recipe gives the same weights, bit for bit, on one machine.";

/// Arguments of `train`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recipes to train [default: all of pipelines/train whose model is not in --out]
    #[arg(value_name = "RECIPE.toml")]
    recipes: Vec<PathBuf>,
    /// Where finished models go [default: data/models]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where checkpoints and tables of the runs lie [default: results/train]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Begin anew, whatever was done before
    #[arg(long)]
    restart: bool,
    /// Check the recipes and say what would be trained
    #[arg(long)]
    dry_run: bool,
    /// Only write the evaluation texts of the corpus to data/stories
    #[arg(long, conflicts_with_all = ["recipes", "out", "work", "restart", "dry_run"])]
    texts: bool,
}

/// Runs the command; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let training = build::training(workspace)?;
    let in_root = || {
        let mut command = Command::new(&training);
        // Cards name recipes as they are named here, so paths inside the project are relative to it.
        command.current_dir(workspace.root());
        command
    };
    if args.texts {
        return status(in_root().args(["texts", "--out", "data/stories"]));
    }
    let folder = |given: &Option<PathBuf>, usual: &str| -> Result<PathBuf> {
        given.as_deref().map_or_else(|| Ok(PathBuf::from(usual)), |path| from_root(workspace, path))
    };
    let (out, work) = (folder(&args.out, "data/models")?, folder(&args.work, "results/train")?);
    let recipes = match args.recipes.is_empty() {
        false => {
            let named = args.recipes.iter().map(|path| from_root(workspace, path));
            named.collect::<Result<Vec<_>>>()?
        }
        true => outstanding(workspace, &workspace.root().join(&out), args.restart)?,
    };
    if recipes.is_empty() {
        println!("every recipe of pipelines/train has its model in {}", out.display());
    }
    for recipe in recipes {
        let mut command = in_root();
        command.arg("run").arg("--recipe").arg(&recipe).arg("--work").arg(&work);
        command.arg("--out").arg(&out);
        command.args(args.restart.then_some("--restart"));
        command.args(args.dry_run.then_some("--dry-run"));
        let code = status(&mut command)?;
        if code != DONE {
            return Ok(code);
        }
    }
    Ok(DONE)
}

/// A path of the command line, relative to the project where it lies inside.
fn from_root(workspace: &Workspace, path: &Path) -> Result<PathBuf> {
    let absolute =
        std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
    Ok(absolute.strip_prefix(workspace.root()).map(Path::to_owned).unwrap_or(absolute))
}

/// The committed recipes whose model is not there, in the order of their names.
fn outstanding(workspace: &Workspace, out: &Path, all: bool) -> Result<Vec<PathBuf>> {
    let folder = workspace.root().join("pipelines/train");
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| Exit::inputs(format!("cannot list {}: {error}", folder.display())))?;
    let mut recipes = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        let is_done =
            path.file_stem().is_some_and(|name| out.join(name).join("README.md").exists());
        if path.extension().is_some_and(|e| e == "toml") && (all || !is_done) {
            recipes.push(from_root(workspace, &path)?);
        }
    }
    recipes.sort();
    Ok(recipes)
}

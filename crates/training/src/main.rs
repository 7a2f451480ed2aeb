//! The binary `training`, which `cargo xtask train` builds and starts.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use training::{
    Event, Milestone, Recipe, RecipeError, Workplace, begin_anew, sweep, train_and_export,
    workplace, write_texts,
};

#[derive(Debug, Parser)]
#[command(name = "training", about = "Trains the small models of the project", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train one model, or go on with it.
    Run {
        /// The recipe, TOML.
        #[arg(long)]
        recipe: PathBuf,
        /// Where checkpoints and tables of runs lie.
        #[arg(long)]
        work: PathBuf,
        /// Where finished models go.
        #[arg(long)]
        out: PathBuf,
        /// Begin anew, whatever was done before.
        #[arg(long)]
        restart: bool,
        /// Check the recipe and say what would be trained.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the texts that the small models are evaluated on.
    Texts {
        /// The folder.
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run { recipe, work, out, restart, dry_run } => match dry_run {
            true => Recipe::read(&recipe).map_err(Into::into).and_then(|recipe| {
                let mut stdout = std::io::stdout().lock();
                writeln!(stdout, "{}", recipe.summary())?;
                Ok(plan::exit::DONE)
            }),
            false => run(&recipe, &work, &out, restart),
        },
        Command::Texts { out } => write_texts(&out).map(|()| plan::exit::DONE).map_err(Into::into),
    };
    let code = result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        match error.downcast_ref::<RecipeError>() {
            Some(_) => plan::exit::BAD_PIPELINE,
            None => plan::exit::BAD_RESULTS,
        }
    });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn run(path: &Path, work: &Path, out: &Path, restart: bool) -> anyhow::Result<i32> {
    let recipe = Recipe::read(path)?;
    let workplace: Workplace = workplace(work, &recipe);
    if restart {
        begin_anew(&workplace)?;
    }
    let asked = Arc::new(AtomicBool::new(false));
    let on_signal = Arc::clone(&asked);
    ctrlc::set_handler(move || on_signal.store(true, Ordering::Relaxed))
        .context("cannot listen to Ctrl-C")?;
    let stop = || asked.load(Ordering::Relaxed);
    let shown = Shown::new(&recipe);
    let folder = out.join(&recipe.name);
    let named = path.to_string_lossy();
    let mut tell = |event| shown.event(event);
    let done = match recipe.sweep {
        Some(_) => sweep(&recipe, &named, &workplace, &folder, &stop, &mut tell),
        None => train_and_export(&recipe, &named, &workplace, &folder, &stop, &mut tell),
    }
    .with_context(|| format!("{} is not trained", recipe.name))?;
    shown.bar.finish_and_clear();
    if !done {
        let name = &recipe.name;
        eprintln!("{name}: stopped; the same command goes on from the last checkpoint");
        return Ok(plan::exit::STOPPED);
    }
    eprintln!("{}: written to {}", recipe.name, folder.display());
    Ok(plan::exit::DONE)
}

/// A bar where a person looks, and a line for every measurement in any case.
struct Shown {
    bar: ProgressBar,
    name: String,
}

impl Shown {
    fn new(recipe: &Recipe) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(recipe.schedule.steps as u64),
            ProgressDrawTarget::stderr(),
        );
        let template = "{prefix} [{wide_bar}] step {pos}/{len}, {eta} left {msg}";
        // The template is a constant; a wrong one would fall back to the plain bar.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(recipe.name.clone());
        Self { bar, name: recipe.name.clone() }
    }

    fn event(&self, event: Event) {
        match event {
            Event::Begins { coefficient } => {
                self.bar.set_position(0);
                self.bar.reset_eta();
                self.line(format!("{}: λ = {coefficient}", self.name));
            }
            Event::Resumed { step } => {
                self.bar.set_position(step as u64);
                self.bar.reset_eta();
                self.line(format!("{}: goes on after step {step}", self.name));
            }
            Event::Step { taken, loss_nats } => {
                self.bar.set_position(taken as u64);
                self.bar.set_message(format!("loss {loss_nats:.3}"));
            }
            Event::Measured(milestone) => {
                let Milestone {
                    step,
                    train_nats,
                    heldout_nats,
                    accuracy,
                    natural_sparsity,
                    dead_neurons,
                } = milestone;
                self.line(format!(
                    "{}: step {step}  loss {train_nats:.4}  held out {heldout_nats:.4} nats  last words \
                     {:.1} %  zeros {:.1} %  dead neurons {dead_neurons}",
                    self.name,
                    100.0 * accuracy,
                    100.0 * natural_sparsity,
                ));
            }
        }
    }

    fn line(&self, line: String) {
        self.bar.suspend(|| eprintln!("{line}"));
    }
}

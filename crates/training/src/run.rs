//! A training run: from a recipe, or from where an earlier sitting stopped.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use models::{Architecture, LoadError};
use rayon::ThreadPoolBuilder;
use stories::StoryError;
use tables::{StepRow, StoreError, remove_temporaries, write_layers, write_steps};

use crate::{
    checkpoint::{Checkpoint, CheckpointError, Milestone, Progress},
    exam::ExamError,
    export,
    initial::initial,
    loss::{Gradients, Outcome, Penalty, StepError, loss_and_gradients},
    measure::{Measured, measure},
    optimiser::{Optimiser, add},
    recipe::Recipe,
    schedule::ramp,
    text::Texts,
};

/// Why a run ended before its last step.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The texts or the tokenizer.
    #[error(transparent)]
    Story(#[from] StoryError),
    /// The config of the recipe.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The exam at the end.
    #[error(transparent)]
    Exam(#[from] ExamError),
    /// A checkpoint or a file of the model.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A table.
    #[error(transparent)]
    Table(#[from] StoreError),
}

/// What a run tells whoever watches it.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A run of a sweep begins.
    Begins {
        /// Its coefficient.
        coefficient: f64,
    },
    /// It goes on after so many steps of an earlier sitting.
    Resumed {
        /// Steps taken before.
        step: usize,
    },
    /// A step was taken.
    Step {
        /// Steps taken.
        taken: usize,
        /// Mean loss of the step, nats.
        loss_nats: f64,
    },
    /// Held-out text was measured, and a checkpoint is written.
    Measured(Milestone),
}

/// A finished run.
pub(crate) struct Trained {
    pub(crate) architecture: Architecture,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) last: Measured,
}

/// Where a run keeps what it needs to go on, and its tables.
#[derive(Clone, Debug)]
pub struct Workplace(pub PathBuf);

impl Workplace {
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.safetensors")
    }

    fn part(&self, table: &str, step: usize) -> PathBuf {
        self.0.join(table).join(format!("from-{step:06}.parquet"))
    }

    fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }
}

/// Takes all steps of the recipe; `None` if `stop` said so first. The checkpoint is up to date then.
pub(crate) fn train(
    recipe: &Recipe,
    texts: &Texts,
    workplace: &Workplace,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Event),
) -> Result<Option<Trained>, TrainError> {
    // The reader of configs reads files, and whoever looks into the folder wants one too.
    export::write_json(&workplace.config(), &export::config(recipe, &texts.tokenizer))?;
    // Tables lie one level below.
    // One training at a time has the folder, so none of them is another's.
    remove_temporaries(&workplace.0, 1, &|_| true)?;
    let architecture = Architecture::read(&workplace.config())?;
    let json = recipe.json();
    let found = Checkpoint::read(&workplace.checkpoint(), recipe)?;
    let mut sitting = match found {
        Some(checkpoint) => {
            tell(Event::Resumed { step: checkpoint.progress.step });
            Sitting::of(recipe, checkpoint)
        }
        None => {
            let deviation = recipe.schedule.embedding_deviation;
            let parameters = initial(&architecture.shapes()?, recipe.seed, deviation);
            let moments = Default::default();
            let progress = Progress::default();
            Sitting::of(recipe, Checkpoint { progress, parameters, moments })
        }
    };
    let mut last = None;
    while sitting.progress.step < recipe.schedule.steps {
        let begun = Instant::now();
        sitting.step(recipe, &architecture, texts, begun)?;
        let taken = sitting.progress.step;
        let loss_nats = sitting.rows.last().map_or(f64::NAN, |row| row.loss_nats);
        tell(Event::Step { taken, loss_nats });
        let ends = taken == recipe.schedule.steps;
        if ends || taken.is_multiple_of(recipe.measure.every_steps) {
            let measured = sitting.measure(&architecture, texts)?;
            tell(Event::Measured(sitting.milestone(&measured)));
            sitting.progress.seconds += begun.elapsed().as_secs_f64();
            sitting.save(workplace, &measured, &json)?;
            last = Some(measured);
        } else {
            sitting.progress.seconds += begun.elapsed().as_secs_f64();
        }
        if !ends && stop() {
            return Ok(None);
        }
    }
    let last = match last {
        Some(last) => last,
        None => sitting.measure(&architecture, texts)?,
    };
    let checkpoint = sitting.into_checkpoint();
    Ok(Some(Trained { architecture, checkpoint, last }))
}

/// A run between two checkpoints.
struct Sitting {
    progress: Progress,
    parameters: models::Parameters,
    optimiser: Optimiser,
    /// Steps since the last checkpoint.
    rows: Vec<StepRow>,
}

impl Sitting {
    fn of(recipe: &Recipe, checkpoint: Checkpoint) -> Self {
        let Checkpoint { progress, parameters, moments } = checkpoint;
        let optimiser = Optimiser::new(recipe.optimiser, moments);
        Self { progress, parameters, optimiser, rows: Vec::new() }
    }

    fn step(
        &mut self,
        recipe: &Recipe,
        architecture: &Architecture,
        texts: &Texts,
        begun: Instant,
    ) -> Result<(), StepError> {
        let schedule = &recipe.schedule;
        let step = self.progress.step;
        let batch = &texts.train[step * schedule.batch_sequences..][..schedule.batch_sequences];
        let penalty = recipe.l1.map(|l1| Penalty {
            form: l1.form,
            coefficient: l1.coefficient * ramp(step, l1.start_step, l1.warmup_steps),
        });
        let Outcome { nll_nats, targets, l1, gradients } =
            self.outcome(architecture, batch, schedule.shares, penalty)?;
        let loss_nats = nll_nats / targets as f64;
        let learning_rate = schedule.learning_rate.at(step, schedule.steps);
        let gradient_norm = self.optimiser.step(&mut self.parameters, gradients, learning_rate);
        if !(loss_nats + gradient_norm).is_finite() {
            return Err(StepError::Diverged { step, loss: loss_nats });
        }
        self.progress.step += 1;
        self.rows.push(StepRow {
            step: step as u32,
            tokens: (self.progress.step * targets) as u64,
            loss_nats,
            l1,
            l1_coefficient: penalty.map_or(0.0, |penalty| penalty.coefficient),
            learning_rate,
            gradient_norm,
            seconds: begun.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    /// The shares of a batch, each on a core of its own, added up in their order.
    fn outcome(
        &self,
        architecture: &Architecture,
        batch: &[Vec<u32>],
        shares: usize,
        penalty: Option<Penalty>,
    ) -> Result<Outcome, StepError> {
        let targets: usize = batch.iter().map(|ids| ids.len() - 1).sum();
        let work = |sequences: &[Vec<u32>]| {
            let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
            let share = 1.0 / shares as f64;
            loss_and_gradients(architecture, &self.parameters, &sequences, targets, share, penalty)
        };
        let outcomes: Vec<Result<Outcome, StepError>> = thread::scope(|scope| {
            let threads: Vec<_> = batch
                .chunks(batch.len() / shares)
                .map(|sequences| scope.spawn(move || on_one_core(|| work(sequences))))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(resume)).collect()
        });
        let mut sum = Outcome { nll_nats: 0.0, targets: 0, l1: 0.0, gradients: Gradients::new() };
        for outcome in outcomes {
            let outcome = outcome?;
            sum.nll_nats += outcome.nll_nats;
            sum.targets += outcome.targets;
            sum.l1 += outcome.l1 / shares as f64;
            add(&mut sum.gradients, outcome.gradients);
        }
        Ok(sum)
    }

    fn measure(&self, architecture: &Architecture, texts: &Texts) -> Result<Measured, StepError> {
        measure(architecture, &self.parameters, &texts.heldout, &texts.items)
    }

    /// Notes a measurement; what to tell of it.
    fn milestone(&mut self, measured: &Measured) -> Milestone {
        let losses = self.rows.iter().map(|row| row.loss_nats);
        let milestone = Milestone {
            step: self.progress.step,
            train_nats: losses.sum::<f64>() / self.rows.len().max(1) as f64,
            heldout_nats: measured.nats,
            accuracy: measured.accuracy,
            natural_sparsity: measured.natural_sparsity(),
            dead_neurons: measured.dead().0,
        };
        self.progress.milestones.push(milestone);
        milestone
    }

    /// Writes the tables of the steps since the last checkpoint, then the checkpoint: a run that is
    /// killed in between writes the same tables again.
    fn save(
        &mut self,
        workplace: &Workplace,
        measured: &Measured,
        recipe: &str,
    ) -> Result<(), TrainError> {
        let rows = std::mem::take(&mut self.rows);
        let first = self.progress.step - rows.len();
        write_steps(&workplace.part("steps", first), &rows, recipe)?;
        let layers: Vec<_> = measured.rows(self.progress.step).collect();
        if !layers.is_empty() {
            write_layers(&workplace.part("layers", first), &layers, recipe)?;
        }
        let checkpoint = Checkpoint {
            progress: self.progress.clone(),
            parameters: self.parameters.clone(),
            moments: self.optimiser.moments.clone(),
        };
        checkpoint.write(&workplace.checkpoint(), recipe)?;
        Ok(())
    }

    fn into_checkpoint(self) -> Checkpoint {
        let Self { progress, parameters, optimiser, .. } = self;
        Checkpoint { progress, parameters, moments: optimiser.moments }
    }
}

/// Runs with a pool of one thread, so that parallel loops inside do not wait for the other shares.
fn on_one_core<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

/// Lets the panic of a share go on in the thread that waits for it.
fn resume<R>(panic: Box<dyn std::any::Any + Send>) -> R {
    std::panic::resume_unwind(panic)
}

/// Removes what an earlier run left, so that the next one begins anew.
///
/// # Errors
/// A folder that cannot be removed.
pub fn begin_anew(workplace: &Workplace) -> Result<(), CheckpointError> {
    match fs::remove_dir_all(&workplace.0) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(CheckpointError::Io { action: "remove", path: workplace.0.clone(), source })
        }
        _ => Ok(()),
    }
}

/// The folder of a model's run among others.
pub fn workplace(folder: &Path, recipe: &Recipe) -> Workplace {
    Workplace(folder.join(&recipe.name))
}

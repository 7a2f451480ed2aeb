//! Scores of texts: measured in one pass, stored, and used by every cell that needs them.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use anyhow::Context as _;
use corpora::calibration_windows;
use cuts::{Watch, steps::kept_channels};
use importance::{AllHeadEffects, Calibrating, Calibration, Gradients};
use models::{Batch, Device, ExecutorError, Model};
use plan::{
    Cell, Event, ModelInput, Needs, Observation, OrderedCell, Part, Protocol, Step, TimeSteps,
    Treatment, cell_id,
};
use tables::read_channels;

use crate::{
    evaluate::Evaluated,
    observe,
    parallel::in_order,
    runner::Runner,
    stop::Stop,
    subject, system,
    turns::{Turn, Waits},
};

/// Windows of a text: its name, how many, and their length.
type WindowsOf = (String, Option<usize>, usize);

/// What a pass over a text gathers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gathered {
    /// What a forward pass says of neurons and state channels.
    Forward,
    /// The same, and of heads.
    WithHeads,
    /// What gradients say of all of them.
    Gradients,
}

/// Whether a forward pass looks at heads too, which takes time of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heads {
    Left,
    Gathered,
}

/// What was measured so far for one model.
#[derive(Default)]
pub(crate) struct Scores {
    /// One pass gives the scores of all parts.
    passes: BTreeMap<(WindowsOf, Gathered), Calibration>,
    /// By the id of the cell that holds them.
    known: BTreeMap<String, Calibration>,
    windows: BTreeMap<WindowsOf, Vec<Vec<u32>>>,
    /// Sets of sequential recalibration, by the text's cell and what they are chosen by.
    sets: BTreeMap<String, Vec<Vec<u32>>>,
}

impl Scores {
    /// Windows of a calibration text that is no file.
    pub(crate) fn give(&mut self, calibration: &plan::Calibration, windows: Vec<Vec<u32>>) {
        let plan::Calibration { dataset, limit, window_tokens } = calibration.clone();
        self.windows.insert((dataset, limit, window_tokens), windows);
    }

    /// The scores that a cell of the policy `observe` holds: those at hand, those in the store, or newly
    /// measured and then stored; `None` if asked to stop on the way.
    pub(crate) fn of(
        &mut self,
        runner: &Runner<'_>,
        cell: &Cell,
    ) -> anyhow::Result<Option<&Calibration>> {
        let inputs = runner.order.inputs_of(cell);
        let id = cell_id(cell, &inputs.context("the work order lacks a text of the scores")?);
        if !self.known.contains_key(&id) {
            let calibration = match stored(runner, &id, cell)? {
                Some(calibration) => calibration,
                None => match self.claimed(runner, &id, cell)? {
                    Some(calibration) => calibration,
                    None => return Ok(None),
                },
            };
            self.known.insert(id.clone(), calibration);
        }
        Ok(self.known.get(&id))
    }

    /// Scores that were not stored a moment ago: measured and stored, unless another worker is at it
    /// ([`Waits`]) or has done it meanwhile. `None` if asked to stop on the way.
    fn claimed(
        &mut self,
        runner: &Runner<'_>,
        id: &str,
        cell: &Cell,
    ) -> anyhow::Result<Option<Calibration>> {
        let turn = runner.turns.map(|turns| turns.of(id, cell)).transpose()?;
        match &turn {
            Some(Turn::Held(holder)) => {
                let scores = OrderedCell { id: id.to_owned(), cell: cell.clone() };
                return Err(Waits { scores, holder: holder.clone() }.into());
            }
            Some(Turn::Done) => {
                if let Some(calibration) = stored(runner, id, cell)? {
                    return Ok(Some(calibration));
                }
            }
            // What failed elsewhere fails here too, and says why.
            None | Some(Turn::Ours(_) | Turn::Failed) => {}
        }
        let (started, started_at_ms) = (Instant::now(), system::now_ms());
        let Some(calibration) = self.measured(runner, cell)? else { return Ok(None) };
        let windows = self.windows(runner, cell)?;
        let tokens = windows.iter().map(Vec::len).sum::<usize>() as u64;
        let rows = observe::rows(runner.model(), &calibration, &observed(cell)?)?;
        let read = (windows.len(), tokens);
        let evaluated = Evaluated::observed(runner.model(), rows, started, read);
        let ordered = OrderedCell { id: id.to_owned(), cell: cell.clone() };
        if let Some(Turn::Ours(claim)) = &turn {
            claim.check()?;
        }
        runner
            .store_rows(&ordered, &evaluated, started_at_ms)
            .with_context(|| format!("cannot store `{}`", cell.label()))?;
        Ok(Some(calibration))
    }

    /// The static sets of a state by sequential recalibration, found once for all cells that keep them;
    /// `None` if asked to stop on the way.
    pub(crate) fn recalibrated(
        &mut self,
        runner: &Runner<'_>,
        text: &Cell,
        step: &Step,
        seed: u64,
    ) -> anyhow::Result<Option<&[Vec<u32>]>> {
        let [score, sparsity] = ["score", "sparsity"].map(|name| step.value(name));
        let key = format!("{:?} {score:?} {sparsity:?} {seed}", pass(text)?);
        if !self.sets.contains_key(&key) {
            runner.say(&Event::Phase { message: format!("recalibrating on {}", text.dataset) });
            let windows = self.windows(runner, text)?;
            let none = Calibration::of_no_text(runner.model());
            let stop = || runner.stop.asked();
            let watch = Watch { stop: &stop, ..Watch::default() };
            let sets = kept_channels(step, runner.model(), &none, windows, seed, &watch)?;
            let Some(sets) = sets else { return Ok(None) };
            self.sets.insert(key.clone(), sets);
        }
        Ok(self.sets.get(&key).map(Vec::as_slice))
    }

    /// The windows of a cell's calibration text, read once.
    pub(crate) fn calibration_windows(
        &mut self,
        runner: &Runner<'_>,
        cell: &Cell,
    ) -> anyhow::Result<&[Vec<u32>]> {
        self.windows_of(runner, &cell.model, calibration_of(cell)?)
    }

    /// The windows of a text, read once.
    pub(crate) fn windows(
        &mut self,
        runner: &Runner<'_>,
        cell: &Cell,
    ) -> anyhow::Result<&[Vec<u32>]> {
        self.windows_of(runner, &cell.model, pass(cell)?.0)
    }

    fn windows_of(
        &mut self,
        runner: &Runner<'_>,
        model: &str,
        key: WindowsOf,
    ) -> anyhow::Result<&[Vec<u32>]> {
        if !self.windows.contains_key(&key) {
            let (dataset, limit, length) = &key;
            let tokenizer = runner.inputs.ready_tokenizer(model)?;
            let text = runner.inputs.text(dataset)?;
            let windows = calibration_windows(text, tokenizer, *length, *limit)?;
            self.windows.insert(key.clone(), windows);
        }
        Ok(&self.windows[&key])
    }

    /// What [`Scores::of`] gives, without the store: from the passes of this run.
    pub(crate) fn measured(
        &mut self,
        runner: &Runner<'_>,
        cell: &Cell,
    ) -> anyhow::Result<Option<Calibration>> {
        Ok(self.passed(runner, &cell.model, pass(cell)?)?.cloned())
    }

    /// The scores of the dense model's heads over a cell's calibration text, from the passes of this run;
    /// `None` if asked to stop on the way.
    pub(crate) fn of_heads(
        &mut self,
        runner: &Runner<'_>,
        cell: &Cell,
        needs: Needs,
    ) -> anyhow::Result<Option<&Calibration>> {
        let gathered = match needs {
            Needs::Gradient => Gathered::Gradients,
            _ => Gathered::WithHeads,
        };
        self.passed(runner, &cell.model, (calibration_of(cell)?, gathered))
    }

    /// What a pass of this run gathers, each made once.
    fn passed(
        &mut self,
        runner: &Runner<'_>,
        model: &str,
        pass: (WindowsOf, Gathered),
    ) -> anyhow::Result<Option<&Calibration>> {
        if !self.passes.contains_key(&pass) {
            let (windows_of, gathered) = &pass;
            let (dataset, stop) = (&windows_of.0, runner.stop);
            let windows = self.windows_of(runner, model, windows_of.clone())?;
            let say =
                |what: &str| runner.say(&Event::Phase { message: format!("{what} on {dataset}") });
            let forward = |heads| {
                say("calibrating");
                calibrate(runner.model(), windows, heads, stop)
            };
            let calibration = match gathered {
                Gathered::Gradients => {
                    say("gradients");
                    let ModelInput { path, time_steps, .. } = runner.input;
                    gradients(path, runner.device, *time_steps, windows, stop)?
                }
                Gathered::Forward => forward(Heads::Left)?,
                Gathered::WithHeads => forward(Heads::Gathered)?,
            };
            let Some(calibration) = calibration else { return Ok(None) };
            self.passes.insert(pass.clone(), calibration);
        }
        Ok(self.passes.get(&pass))
    }
}

/// The calibration text of a cell.
fn calibration_of(cell: &Cell) -> anyhow::Result<WindowsOf> {
    let calibration = cell.calibration.as_ref().context("the step needs a calibration text")?;
    let plan::Calibration { dataset, limit, window_tokens } = calibration;
    Ok((dataset.clone(), *limit, *window_tokens))
}

/// What a cell of the policy `observe` asks for.
fn observed(cell: &Cell) -> anyhow::Result<Treatment> {
    cell.recipe.treatment().context("the scores of one part are asked for by one step")
}

/// The pass that gives what a cell of the policy `observe` asks for.
fn pass(cell: &Cell) -> anyhow::Result<(WindowsOf, Gathered)> {
    let Protocol::Perplexity { window_tokens } = cell.protocol else {
        anyhow::bail!("scores are measured on windows of text, not with `{}`", cell.protocol);
    };
    let observation = cell.recipe.treatment().and_then(|flat| flat.observation);
    let gathered = match observation {
        Some(Observation::Gradient) => Gathered::Gradients,
        _ => Gathered::Forward,
    };
    Ok(((cell.dataset.clone(), cell.limit, window_tokens), gathered))
}

/// The scores of an earlier run; `None` where they are not there.
fn stored(runner: &Runner<'_>, id: &str, cell: &Cell) -> anyhow::Result<Option<Calibration>> {
    let Some(file) = runner.store.find(id, cell)? else { return Ok(None) };
    let unusable = || format!("{} cannot be used: delete it", file.path.display());
    let calibration = match observed(cell)?.part {
        Part::Ffn => observe::from_neurons(&tables::read_neurons(&file).with_context(unusable)?),
        Part::State => {
            observe::from_channels(runner.model(), &read_channels(&file).with_context(unusable)?)
        }
        // Of these no scores are kept.
        Part::Heads | Part::Kv => return Ok(None),
    };
    Ok(Some(calibration))
}

/// One dense pass over the windows of a text; `None` if asked to stop on the way.
pub(crate) fn calibrate(
    model: &dyn Model,
    windows: &[Vec<u32>],
    heads: Heads,
    stop: &Stop,
) -> Result<Option<Calibration>, ExecutorError> {
    let effects = Arc::new(AllHeadEffects::new(model.attentions().len()));
    let parts = in_order(
        windows,
        stop,
        |window| {
            let mut calibrating = match heads {
                Heads::Left => Calibrating::new(),
                Heads::Gathered => Calibrating::with_heads(Arc::clone(&effects)),
            };
            model.forward(&Batch::new([window.as_slice()]), &mut calibrating)?;
            Ok(calibrating.finish())
        },
        |_| {},
    )?;
    Ok(parts.map(Calibration::sum))
}

/// Gradients over the windows of a text; `None` if asked to stop on the way.
///
/// The model is read again for a device that records, and let go when they are taken.
pub(crate) fn gradients(
    path: &Path,
    device: &Device,
    time_steps: TimeSteps,
    windows: &[Vec<u32>],
    stop: &Stop,
) -> anyhow::Result<Option<Calibration>> {
    let model = subject::model(path, &device.clone().autodiff(), time_steps)?.model;
    let parts = in_order(windows, stop, |window| Gradients::of(model.as_ref(), window), |_| {})?;
    Ok(parts.map(|parts| Calibration::of_gradients(model.as_ref(), &Gradients::sum(parts))))
}

//! From a recipe to what runs: its cuts in order, then the executor of its skips.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use cuts::{
    Slim, Watch,
    steps::{Done, Ground, apply, kept_channels, kept_heads, kept_neurons},
};
use importance::Calibration;
use models::Model;
use plan::{Cell, Event, Needs, Step, Way};
use skips::steps::{Running, executor};

use crate::{
    runner::Runner,
    scores::{Heads, Scores, calibrate},
    system,
};

/// A model that is cut, and the executor of what is skipped on it.
pub(crate) struct Prepared {
    pub(crate) slim: Slim,
    pub(crate) executor: Box<dyn Running>,
    pub(crate) shown: Shown,
    /// What cuts and calibration took.
    pub(crate) effort: Effort,
}

/// What it took to make a model ready, before any of the text was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    /// Of cuts and calibration.
    pub(crate) seconds: f64,
    /// Largest resident memory until then, loading included where the process began with it.
    pub(crate) peak_rss_bytes: u64,
}

/// What can be measured of what is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    /// Share that the last cut dropped; none where a skip or nothing drops.
    pub(crate) dropped: Option<f64>,
    /// Whether neurons or channels are not there any more.
    pub(crate) lacks_units: bool,
}

impl Shown {
    /// Whether the zeros of a hidden vector say what they say of the dense model.
    pub(crate) fn zeros(self) -> bool {
        !self.lacks_units
    }

    /// Whether what was dropped is there to be measured.
    pub(crate) fn energy(self) -> bool {
        self.dropped.is_none() && !self.lacks_units
    }
}

/// Refuses a model that lacks what a step acts on.
pub(crate) fn check_part(model: &dyn Model, part: &str) -> anyhow::Result<()> {
    let lacks = match part {
        "ffn" if model.ffns().is_empty() => "feed-forward block",
        "state" if model.mixers().is_empty() => "recurrent state",
        "heads" | "kv" if model.attentions().is_empty() => "attention",
        _ => return Ok(()),
    };
    bail!("the model has no {lacks}: nothing of part `{part}` can be done on it")
}

/// Whether a step ranks units by scores of a text: neurons, channels and heads, no other kind.
fn is_ranked(step: &Step) -> bool {
    matches!(step.kind().name, "ffn" | "state" | "heads")
}

impl Runner<'_> {
    /// What a cell runs on; none if asked to stop while it was made.
    pub(crate) fn prepared(
        &mut self,
        cell: &Cell,
        scores: &mut Scores,
    ) -> anyhow::Result<Option<Prepared>> {
        let (recipe, started) = (&cell.recipe, Instant::now());
        let (mut slim, mut shown) = (self.uncut(cell), Shown::default());
        for (index, step) in recipe.steps().iter().enumerate() {
            check_part(&*slim.model, step.kind().part)?;
            if step.way() != Way::Cut {
                continue;
            }
            let Some(done) = self.cut(cell, index, slim, scores)? else { return Ok(None) };
            slim = done.slim;
            let lacks_units = shown.lacks_units || done.lacks_units;
            shown = Shown { dropped: done.dropped.or(shown.dropped), lacks_units };
        }
        if recipe.skips().next().is_some() {
            shown.dropped = None;
        }
        let mut stopped = false;
        let executor = executor(recipe, &*slim.model, |step| {
            let index = recipe.steps().iter().position(|other| other == step).unwrap_or(0);
            let sets = self.sets(cell, index, &*slim.model, scores)?;
            stopped |= sets.is_none();
            anyhow::Ok(sets.unwrap_or_default())
        })?;
        let seconds = started.elapsed().as_secs_f64();
        let effort = Effort { seconds, peak_rss_bytes: system::peak_rss_bytes() };
        Ok((!stopped).then_some(Prepared { slim, executor, shown, effort }))
    }

    /// What the cuts of a cell begin with: the model itself where nothing looks at it again, so that its
    /// weights are freed as they are cut; else one that shares its tensors.
    fn uncut(&mut self, cell: &Cell) -> Slim {
        let steps = cell.recipe.steps();
        let is_compared = cell.compare.is_some();
        let is_fitted_on = steps.iter().any(|step| step.name("inputs") == Some("dense"));
        // The scores that a first step ranks by are those of the dense model.
        let cuts_first =
            steps.first().is_some_and(|step| step.way() == Way::Cut && !is_ranked(step));
        let is_free = self.has_one_cell && cuts_first && !is_compared && !is_fitted_on;
        match self.model.take_if(|_| is_free) {
            Some(model) => Slim::dense(model),
            None => Slim::sharing(self.model()),
        }
    }

    /// One cut, on the model as the cuts before it left it.
    fn cut(
        &self,
        cell: &Cell,
        index: usize,
        slim: Slim,
        scores: &mut Scores,
    ) -> anyhow::Result<Option<Done>> {
        let step = &cell.recipe.steps()[index];
        let Some(sets) = self.sets(cell, index, &*slim.model, scores)? else { return Ok(None) };
        let message = format!("cutting {}: {}", self.input.name, step.label());
        self.say(&Event::Phase { message });
        let windows = match step.needs() {
            Needs::Inputs => scores.calibration_windows(self, cell)?,
            _ => &[],
        };
        let stop = || self.stop.asked();
        let watch = Watch { stop: &stop, ..Watch::default() };
        let seed = cell.recipe.seed();
        let ground = Ground { dense: self.model.as_deref(), windows, sets: &sets, seed, watch };
        apply(step, slim, &ground).with_context(|| format!("step `{step}`"))
    }

    /// The static sets of a step on neurons, channels or heads; empty for another kind, none if asked to
    /// stop.
    fn sets(
        &self,
        cell: &Cell,
        index: usize,
        model: &dyn Model,
        scores: &mut Scores,
    ) -> anyhow::Result<Option<Vec<Vec<u32>>>> {
        let step = &cell.recipe.steps()[index];
        if !is_ranked(step) {
            return Ok(Some(Vec::new()));
        }
        let is_sequential = step.name("recalibration") == Some("sequential");
        let is_of_heads = step.kind().name == "heads";
        match (step.needs(), cell.scores_cell().filter(|_| index == 0)) {
            (Needs::Nothing, _) => {
                self.chosen(cell, step, model, &Calibration::of_no_text(model), &[])
            }
            (_, Some(text)) if is_sequential => {
                let sets = scores.recalibrated(self, &text, step, cell.recipe.seed())?;
                Ok(sets.map(<[_]>::to_vec))
            }
            (_, Some(text)) => match scores.of(self, &text)? {
                Some(calibration) => self.chosen(cell, step, model, calibration, &[]),
                None => Ok(None),
            },
            // There is no table of heads, so they are scored anew in every run.
            (needs @ (Needs::Forward | Needs::Gradient), None) if is_of_heads && index == 0 => {
                match scores.of_heads(self, cell, needs)? {
                    Some(calibration) => self.chosen(cell, step, model, calibration, &[]),
                    None => Ok(None),
                }
            }
            // On a model that is cut already no stored score holds.
            (Needs::Forward, None) => {
                let windows = scores.calibration_windows(self, cell)?;
                if is_sequential {
                    let none = Calibration::of_no_text(model);
                    return self.chosen(cell, step, model, &none, windows);
                }
                let heads = if is_of_heads { Heads::Gathered } else { Heads::Left };
                match calibrate(model, windows, heads, self.stop)? {
                    Some(calibration) => self.chosen(cell, step, model, &calibration, &[]),
                    None => Ok(None),
                }
            }
            (Needs::Inputs | Needs::Gradient, None) => {
                bail!("`{step}` needs gradients, which are taken of the dense model only")
            }
        }
    }

    /// The sets that a step chooses by these scores, or layer by layer on these windows.
    pub(crate) fn chosen(
        &self,
        cell: &Cell,
        step: &Step,
        model: &dyn Model,
        scores: &Calibration,
        windows: &[Vec<u32>],
    ) -> anyhow::Result<Option<Vec<Vec<u32>>>> {
        let seed = cell.recipe.seed();
        ensure!(
            step.needs() == Needs::Nothing || cell.calibration.is_some(),
            "the score needs a calibration text"
        );
        Ok(match step.kind().name {
            "ffn" => Some(kept_neurons(step, model, scores, seed)?),
            "heads" => Some(kept_heads(step, model, scores, seed)?),
            _ => {
                let stop = || self.stop.asked();
                let watch = Watch { stop: &stop, ..Watch::default() };
                kept_channels(step, model, scores, windows, seed, &watch)?
            }
        })
    }
}

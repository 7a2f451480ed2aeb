//! A model with all that its cells need, and one cell of it.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use models::{Device, Model, PartShare, attention_share, ffn_share, matrix_share, state_share};
use plan::{
    Calibration, Cell, Event, ModelInput, Observation, OrderedCell, Protocol, Recipe, WorkOrder,
};
use tables::{CellRecord, Provenance, Store, StoreError, Touched};

use crate::{
    evaluate::{Evaluated, Rows, Subject, evaluate, left},
    material::Material,
    observe,
    recipe::{Prepared, check_part},
    run::{Inputs, say},
    scores::Scores,
    stop::Stop,
    system,
    turns::Turns,
};

/// A model with all that its cells need.
pub(crate) struct Runner<'a> {
    pub(crate) order: &'a WorkOrder,
    pub(crate) inputs: &'a Inputs,
    pub(crate) store: &'a Store,
    /// Who else takes part in the run; none where nobody can.
    pub(crate) turns: Option<&'a Turns<'a>>,
    pub(crate) stop: &'a Stop,
    pub(crate) input: &'a ModelInput,
    pub(crate) device: &'a Device,
    /// As its file has it; none any more where the only cell took it, see [`Runner::uncut`].
    pub(crate) model: Option<Box<dyn Model>>,
    /// Whether no other cell comes.
    pub(crate) has_one_cell: bool,
    /// Whether every token is a pass of its own.
    pub(crate) decodes: bool,
    /// Whether events go to standard output.
    pub(crate) tells: bool,
}

/// By text, protocol, offset and limit.
type Materials = BTreeMap<(String, Protocol, Option<usize>, Option<usize>), Material>;

/// What is read, measured or cut once for several cells of a model.
#[derive(Default)]
pub(crate) struct Kept {
    materials: Materials,
    scores: Scores,
    /// What the cell before ran on, for the cells after it that ask for the same.
    prepared: Option<(Ground, Prepared)>,
}

/// What a model that is cut hangs on.
type Ground = (Recipe, Option<Calibration>);

fn ground(cell: &Cell) -> Ground {
    (cell.recipe.clone(), cell.calibration.clone())
}

impl Runner<'_> {
    /// The model as its file has it.
    pub(crate) fn model(&self) -> &dyn Model {
        let model = self.model.as_deref();
        model.unwrap_or_else(|| unreachable!("a cell that looks at the model again takes it not"))
    }

    /// Tells the process that started us, where it listens.
    pub(crate) fn say(&self, event: &Event) {
        if self.tells {
            say(event);
        }
    }

    /// One cell; `None` if asked to stop on the way.
    pub(crate) fn cell(
        &mut self,
        ordered: &OrderedCell,
        kept: &mut Kept,
    ) -> anyhow::Result<Option<Evaluated>> {
        // A part that is not there is told before anything is measured.
        for step in ordered.cell.recipe.steps() {
            check_part(self.model(), step.kind().part)?;
        }
        match ordered.cell.recipe.observation() {
            Some(_) => self.observed(ordered, &mut kept.scores),
            None => self.evaluated(ordered, kept),
        }
    }

    fn evaluated(
        &mut self,
        ordered: &OrderedCell,
        kept: &mut Kept,
    ) -> anyhow::Result<Option<Evaluated>> {
        let OrderedCell { id, cell } = ordered;
        let key = (cell.dataset.clone(), cell.protocol, cell.offset, cell.limit);
        if !kept.materials.contains_key(&key) {
            kept.materials.insert(key.clone(), self.inputs.material(cell)?);
        }
        let material = &kept.materials[&key];
        let units = material.len() as u64;
        if kept.prepared.as_ref().is_none_or(|(known, _)| *known != ground(cell)) {
            // The one before goes first: there is room for one cut model beside the dense one.
            kept.prepared = None;
            let Some(prepared) = self.prepared(cell, &mut kept.scores)? else { return Ok(None) };
            kept.prepared = Some((ground(cell), prepared));
        }
        let Some((_, prepared)) = &kept.prepared else { return Ok(None) };
        self.say(&Event::CellStart { id: id.clone(), label: cell.label(), units });
        let subject = Subject {
            model: &*prepared.slim.model,
            executor: &*prepared.executor,
            reference: cell.compare.map(|_| self.model()),
            shown: prepared.shown,
            decodes: self.decodes,
        };
        let evaluated = evaluate(subject, material, self.stop, |done, tokens| {
            self.say(&Event::Progress {
                id: id.clone(),
                units_done: done as u64,
                units,
                tokens_done: tokens as u64,
            });
        })?;
        let left = left(&prepared.slim.storage);
        let effort = prepared.effort;
        Ok(evaluated.map(|evaluated| Evaluated { left, effort, ..evaluated }))
    }

    /// What a cell of the policy `observe` measures; `None` if asked to stop on the way.
    fn observed(
        &self,
        ordered: &OrderedCell,
        scores: &mut Scores,
    ) -> anyhow::Result<Option<Evaluated>> {
        let OrderedCell { id, cell } = ordered;
        match cell.recipe.observation().map(|step| step.kind().name) {
            Some("kv") => return self.observed_attention(ordered, scores),
            Some("layers") => return self.observed_layers(ordered, scores),
            _ => {}
        }
        let started = Instant::now();
        let windows = scores.windows(self, cell)?;
        let (units, tokens) = (windows.len(), windows.iter().map(Vec::len).sum::<usize>() as u64);
        self.say(&Event::CellStart { id: id.clone(), label: cell.label(), units: units as u64 });
        let (mut units_done, mut tokens_done) = (0, 0);
        let done = |window: &Vec<u32>| {
            units_done += 1;
            tokens_done += window.len() as u64;
            let (id, units) = (id.clone(), units as u64);
            self.say(&Event::Progress { id, units_done, units, tokens_done });
        };
        let flat = cell.recipe.treatment().context("an observation of one part")?;
        let rows = match flat.observation.context("a cell that observes nothing")? {
            Observation::Ablation => {
                observe::ablation(self.model(), windows, &flat, self.stop, done)?
            }
            Observation::Overlap => {
                observe::overlaps(self.model(), windows, &flat, self.stop, done)?
            }
            Observation::Forward | Observation::Gradient => match scores.measured(self, cell)? {
                Some(measured) => Some(observe::rows(self.model(), &measured, &flat)?),
                None => None,
            },
        };
        Ok(rows.map(|rows| Evaluated::observed(self.model(), rows, started, (units, tokens))))
    }

    /// Stores what a cell came to.
    pub(crate) fn store_rows(
        &self,
        ordered: &OrderedCell,
        evaluated: &Evaluated,
        started_at_ms: i64,
    ) -> Result<(), StoreError> {
        let text = |name: &str| {
            let text = self.order.texts.iter().find(|text| text.name == name);
            text.map(|text| text.sha256.clone())
        };
        let OrderedCell { id, cell } = ordered;
        let record = CellRecord {
            id: id.clone(),
            cell: cell.clone(),
            touched: touched(self.model(), &cell.recipe, evaluated.mean_length),
            left: evaluated.left,
            provenance: Provenance {
                revision: self.order.provenance.revision.clone(),
                code_version: self.order.provenance.code_version.clone(),
                versions: system::versions(),
                host: system::host(),
                cpu: system::cpu(),
                device: self.order.device.to_string(),
                started_at_ms,
                seconds: evaluated.seconds,
                // A cell whose model an earlier one cut has the memory of that cut too.
                peak_rss_bytes: system::peak_rss_bytes().max(evaluated.effort.peak_rss_bytes),
                tokens: evaluated.tokens,
                weights_sha256: self.input.sha256.clone(),
                tokenizer_sha256: self.input.tokenizer_sha256.clone(),
                text_sha256: text(&cell.dataset).unwrap_or_default(),
                calibration_sha256: cell.calibration.as_ref().and_then(|c| text(&c.dataset)),
            },
        };
        match &evaluated.rows {
            Rows::Windows(rows) => self.store.write_windows(&record, rows),
            Rows::Items(rows) => self.store.write_items(&record, rows),
            Rows::Choices(task, rows) => self.store.write_choices(&record, task, rows),
            Rows::Neurons(rows) => self.store.write_neurons(&record, rows),
            Rows::Channels(rows) => self.store.write_channels(&record, rows),
            Rows::Overlaps(rows) => self.store.write_overlaps(&record, rows),
            Rows::Blocks(rows) => self.store.write_blocks(&record, rows),
            Rows::Directions(rows) => self.store.write_directions(&record, rows),
            Rows::Attention(rows) => self.store.write_attention(&record, rows),
            Rows::Lens(rows) => self.store.write_lens(&record, rows),
        }
        .map(drop)
    }
}

/// How much of the model the part of a recipe's last step is; nothing where nothing is done.
fn touched(model: &dyn Model, recipe: &Recipe, tokens: usize) -> Touched {
    let share = match recipe.steps().last().map(|step| step.kind().part) {
        None => PartShare::default(),
        Some("ffn") => ffn_share(model, tokens),
        Some("state") => state_share(model, tokens),
        Some("heads" | "kv") => attention_share(model, tokens),
        // Weights and whole layers: all that multiplies inside the blocks.
        Some(_) => matrix_share(model, tokens),
    };
    let PartShare { parameters, flops, state_bytes } = share;
    Touched { parameters, flops, state_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heads and the cache are attention, and no more of the model.
    #[test]
    fn heads_and_cache_touch_attention() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden = golden.join("../models/tests/golden/llama");
        let model = models::load(&golden, &Device::flex()).unwrap().model;
        let touched = |step: &str| {
            touched(&*model, &Recipe::new(vec![step.parse().unwrap()], 1).unwrap(), 16)
        };
        let PartShare { parameters, flops, state_bytes } = attention_share(&*model, 16);
        for step in [
            "cut=heads,score=random,sparsity=0.5",
            "skip=heads,score=random,sparsity=0.5",
            "skip=kv,mode=read,score=recency,sparsity=0.5",
        ] {
            let found = touched(step);
            let found = (found.parameters, found.flops, found.state_bytes);
            assert_eq!(found, (parameters, flops, state_bytes), "{step}");
        }
        assert!(parameters < touched("cut=weights,method=magnitude,sparsity=0.5").parameters);
    }
}

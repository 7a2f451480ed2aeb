//! The outstanding cells of one model, one after the other.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use anyhow::Context as _;
use models::{Device, Model, PartShare, attention_share, ffn_share, matrix_share, state_share};
use plan::{
    Calibration, Cell, Event, ModelInput, Observation, OrderedCell, Protocol, Recipe, WorkOrder,
};
use tables::{CellRecord, FailureRecord, Provenance, Store, StoreError, Touched};

use crate::{
    evaluate::{Evaluated, Rows, Subject, evaluate, left},
    fail::Fail,
    material::Material,
    observe,
    recipe::{Prepared, check_part},
    run::{Inputs, say},
    scores::Scores,
    stop::Stop,
    system,
};

/// Cells that were tried.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) failed: u64,
}

/// A model with all that its cells need.
pub(crate) struct Runner<'a> {
    pub(crate) order: &'a WorkOrder,
    pub(crate) inputs: &'a Inputs,
    pub(crate) store: &'a Store,
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

type Materials = BTreeMap<(String, Protocol, Option<usize>), Material>;

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

/// The cells in their order, but those that run on one cut model behind the first of them: it is cut once.
pub(crate) fn grouped<'a>(cells: &[&'a OrderedCell]) -> Vec<&'a OrderedCell> {
    let mut first: BTreeMap<(String, Option<&Calibration>), usize> = BTreeMap::new();
    let mut place = |(index, ordered): (usize, &&'a OrderedCell)| {
        let Cell { recipe, calibration, .. } = &ordered.cell;
        match recipe.cuts().next() {
            Some(_) => *first.entry((recipe.json(), calibration.as_ref())).or_insert(index),
            None => index,
        }
    };
    let mut placed: Vec<(usize, &OrderedCell)> =
        cells.iter().enumerate().map(|(index, own)| (place((index, own)), *own)).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, cell)| cell).collect()
}

impl Runner<'_> {
    /// The model as its file has it.
    pub(crate) fn model(&self) -> &dyn Model {
        let model = self.model.as_deref();
        model.unwrap_or_else(|| unreachable!("a cell that looks at the model again takes it not"))
    }

    /// Runs the cells; what fails is recorded and the rest goes on.
    pub(crate) fn run(&mut self, cells: &[&OrderedCell], tally: &mut Tally) -> Result<(), Fail> {
        let mut kept = Kept::default();
        for ordered in grouped(cells) {
            let (started, started_at_ms) = (Instant::now(), system::now_ms());
            system::reset_peak();
            let result = catch_unwind(AssertUnwindSafe(|| self.cell(ordered, &mut kept)))
                .unwrap_or_else(|panic| Err(anyhow::anyhow!("panic: {}", message_of(&*panic))));
            let failure = match result {
                Ok(None) => return Ok(()),
                Ok(Some(evaluated)) => match self.store_rows(ordered, &evaluated, started_at_ms) {
                    Ok(()) => {
                        tally.done += 1;
                        self.say(&Event::CellDone {
                            id: ordered.id.clone(),
                            seconds: evaluated.seconds,
                            tokens_per_second: evaluated.tokens_per_second(),
                        });
                        continue;
                    }
                    Err(error) if refused(&error) => error.into(),
                    Err(error) => return Err(Fail::Results(error.into())),
                },
                Err(error) if is_of_the_folder(&error) => return Err(Fail::Results(error)),
                Err(error) => error,
            };
            tally.failed += 1;
            self.store_failure(ordered, &failure, started_at_ms, started)?;
        }
        Ok(())
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
        let key = (cell.dataset.clone(), cell.protocol, cell.limit);
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

    fn store_failure(
        &self,
        ordered: &OrderedCell,
        failure: &anyhow::Error,
        started_at_ms: i64,
        started: Instant,
    ) -> Result<(), Fail> {
        let error = format!("{failure:#}");
        tracing::warn!(cell = ordered.id, "{error}");
        self.say(&Event::CellFailed { id: ordered.id.clone(), error: error.clone() });
        self.store
            .write_failure(&FailureRecord {
                id: ordered.id.clone(),
                cell: ordered.cell.clone(),
                error,
                revision: self.order.provenance.revision.clone(),
                code_version: self.order.provenance.code_version.clone(),
                host: system::host(),
                started_at_ms,
                seconds: started.elapsed().as_secs_f64(),
            })
            .map(drop)
            .map_err(|e| Fail::Results(e.into()))
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

/// Whether the store refused the rows themselves: the cell failed, the folder is fine.
fn refused(error: &StoreError) -> bool {
    matches!(error, StoreError::NonFinite { .. } | StoreError::NoRows { .. })
}

/// Whether a cell failed because scores could not be stored: then no other cell fares better.
fn is_of_the_folder(error: &anyhow::Error) -> bool {
    let store = error.downcast_ref::<StoreError>();
    store.is_some_and(|e| matches!(e, StoreError::Io { .. } | StoreError::NotWritable { .. }))
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown cause")
}

#[cfg(test)]
mod tests {
    use plan::{Step, Treatment};

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

    #[test]
    fn cells_of_one_cut_model_follow_each_other() {
        let cut = |text: &str| Recipe::new(vec![text.parse::<Step>().unwrap()], 1).unwrap();
        let wanda = cut("cut=weights,method=wanda,sparsity=0.5");
        let gptq = cut("cut=bits,method=gptq,bits=4");
        let skip = cut("skip=ffn,score=magnitude,sparsity=0.5");
        let dense = || Recipe::from(Treatment::dense(1));
        let cell = |id: usize, dataset: &str, recipe: Recipe, limit: usize| OrderedCell {
            id: id.to_string(),
            cell: Cell {
                model: "m".to_owned(),
                dataset: dataset.to_owned(),
                protocol: Protocol::LambadaOpenai,
                limit: None,
                calibration: Some(Calibration {
                    dataset: "c".to_owned(),
                    limit: Some(limit),
                    window_tokens: 16,
                }),
                recipe,
                compare: None,
            },
        };
        let cells = [
            cell(0, "a", dense(), 1),
            cell(1, "a", skip.clone(), 1),
            cell(2, "a", wanda.clone(), 1),
            cell(3, "a", gptq.clone(), 1),
            cell(4, "b", dense(), 1),
            cell(5, "b", skip, 1),
            cell(6, "b", wanda.clone(), 1),
            cell(7, "b", gptq, 1),
            // Another calibration text is another model.
            cell(8, "c", wanda, 2),
        ];
        let cells: Vec<&OrderedCell> = cells.iter().collect();
        let order: Vec<&str> = grouped(&cells).iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(order, ["0", "1", "2", "6", "3", "7", "4", "5", "8"]);
    }
}

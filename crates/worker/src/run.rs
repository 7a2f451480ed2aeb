//! `worker run`: the outstanding cells of a work order, one after the other.

use std::{
    collections::BTreeMap,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Instant,
};

use anyhow::Context as _;
use corpora::{Text, Tokenizer, shared_document, windows};
use importance::Calibration;
use models::{Model, ModelFacts, PartShare, ffn_share, state_share};
use plan::{Cell, Event, ModelInput, OrderedCell, Part, Policy, Protocol, TextInput, WorkOrder};
use tables::{CellRecord, FailureRecord, Provenance, Store, Touched, outstanding};

use crate::{
    Outcome,
    evaluate::{Evaluated, Rows, calibrate, evaluate},
    fail::Fail,
    material::Material,
    stop::Stop,
    subject, system, text, treatment,
};

/// Reads a work order.
pub(crate) fn read_order(path: &Path) -> Result<WorkOrder, Fail> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the work order {}", path.display()))
        .map_err(Fail::Usage)?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not a work order", path.display()))
        .map_err(Fail::Usage)
}

/// Runs what is not done; events go to standard output.
pub(crate) fn run(order: &Path) -> Outcome {
    let order = read_order(order)?;
    let stop = Stop::listen(true).map_err(Fail::Usage)?;
    let store = Store::open(&order.results).map_err(|e| Fail::Results(e.into()))?;
    let _lock = store.lock().map_err(|e| Fail::Results(e.into()))?;
    let status = store.status().map_err(|e| Fail::Results(e.into()))?;
    let ids: Vec<String> = order.cells.iter().map(|cell| cell.id.clone()).collect();
    let wanted = outstanding(&ids, &status);
    let cells: Vec<&OrderedCell> =
        order.cells.iter().filter(|cell| wanted.contains(&cell.id)).collect();
    let inputs = Inputs::read(&order, &cells)?;
    let device = subject::device(order.device).map_err(Fail::Usage)?;
    let mut tally = Tally::default();
    for model in &order.models {
        let of_model: Vec<&OrderedCell> =
            cells.iter().copied().filter(|cell| cell.cell.model == model.name).collect();
        if of_model.is_empty() || stop.asked() {
            continue;
        }
        say(&Event::Phase { message: format!("loading {}", model.name) });
        let loaded = subject::model(&model.path, &device).map_err(Fail::input)?;
        let runner = Runner {
            order: &order,
            inputs: &inputs,
            store: &store,
            stop: &stop,
            input: model,
            model: loaded.model.as_ref(),
        };
        runner.run(&of_model, &mut tally)?;
    }
    let stopped = stop.asked() && tally.done + tally.failed < cells.len() as u64;
    say(&Event::End { done: tally.done, failed: tally.failed, stopped });
    Ok(match (stopped, tally.failed) {
        (true, _) => plan::exit::STOPPED,
        (false, 0) => plan::exit::DONE,
        (false, _) => plan::exit::FAILED_CELLS,
    })
}

/// Tells the process that started us; if it is gone there is nobody to tell.
fn say(event: &Event) {
    match serde_json::to_string(event) {
        Ok(line) => {
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
        Err(error) => tracing::error!("event cannot be written: {error}"),
    }
}

/// Models' sizes and tokenizers, texts: everything that is read before anything is computed.
pub(crate) struct Inputs {
    /// A model that is only planned has no tokenizer.
    models: BTreeMap<String, (ModelFacts, Option<Tokenizer>)>,
    texts: BTreeMap<String, Text>,
}

impl Inputs {
    /// Opens all that the cells name; every input that cannot be used is reported, not only the first.
    pub(crate) fn read(order: &WorkOrder, cells: &[&OrderedCell]) -> Result<Self, Fail> {
        let mut errors = Vec::new();
        let (mut models, mut texts) = (BTreeMap::new(), BTreeMap::new());
        for ModelInput { name, path, tokenizer, planned, .. } in &order.models {
            if cells.iter().any(|cell| cell.cell.model == *name) {
                let subject = match planned {
                    true => subject::planned(path).map(|facts| (facts, None)),
                    false => subject::facts_and_tokenizer(path, tokenizer.as_deref())
                        .map(|(f, t)| (f, Some(t))),
                };
                match subject {
                    Ok(both) => drop(models.insert(name.clone(), both)),
                    Err(error) => errors.push(error.context(format!("model `{name}`"))),
                }
            }
        }
        for TextInput { name, path, reading, .. } in &order.texts {
            if cells.iter().any(|cell| uses_text(&cell.cell, name)) {
                match text::read(path, *reading) {
                    Ok(text) => drop(texts.insert(name.clone(), text)),
                    Err(error) => {
                        errors.push(anyhow::Error::from(error).context(format!("text `{name}`")));
                    }
                }
            }
        }
        errors.extend(overlaps(cells, &texts));
        if errors.is_empty() { Ok(Self { models, texts }) } else { Err(Fail::Inputs(errors)) }
    }

    pub(crate) fn facts(&self, name: &str) -> anyhow::Result<&ModelFacts> {
        Ok(&self.model(name)?.0)
    }

    /// The tokenizer of a model; none where the model is only planned.
    pub(crate) fn tokenizer(&self, name: &str) -> anyhow::Result<Option<&Tokenizer>> {
        Ok(self.model(name)?.1.as_ref())
    }

    fn model(&self, name: &str) -> anyhow::Result<&(ModelFacts, Option<Tokenizer>)> {
        self.models.get(name).with_context(|| format!("the work order has no model `{name}`"))
    }

    fn ready_tokenizer(&self, name: &str) -> anyhow::Result<&Tokenizer> {
        self.tokenizer(name)?.with_context(|| format!("the model `{name}` is not there"))
    }

    pub(crate) fn text(&self, name: &str) -> anyhow::Result<&Text> {
        self.texts.get(name).with_context(|| format!("the work order has no text `{name}`"))
    }

    pub(crate) fn material(&self, cell: &Cell) -> anyhow::Result<Material> {
        let (facts, tokenizer) = (self.facts(&cell.model)?, self.ready_tokenizer(&cell.model)?);
        let text = self.text(&cell.dataset)?;
        Ok(Material::of(cell.protocol, text, tokenizer, facts.max_positions, cell.limit)?)
    }
}

fn uses_text(cell: &Cell, name: &str) -> bool {
    cell.dataset == name || cell.calibration.as_ref().is_some_and(|c| c.dataset == name)
}

/// Pairs of calibration and test text that share a document.
fn overlaps(cells: &[&OrderedCell], texts: &BTreeMap<String, Text>) -> Vec<anyhow::Error> {
    let pairs: std::collections::BTreeSet<(&str, &str)> = cells
        .iter()
        .filter_map(|cell| Some((cell.cell.calibration.as_ref()?.dataset.as_str(), cell)))
        .map(|(calibration, cell)| (calibration, cell.cell.dataset.as_str()))
        .collect();
    pairs
        .into_iter()
        .filter_map(|(calibration, test)| {
            shared_document(texts.get(calibration)?, texts.get(test)?).err()
        })
        .map(anyhow::Error::from)
        .collect()
}

#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
}

struct Runner<'a> {
    order: &'a WorkOrder,
    inputs: &'a Inputs,
    store: &'a Store,
    stop: &'a Stop,
    input: &'a ModelInput,
    model: &'a dyn Model,
}

type Materials = BTreeMap<(String, Protocol, Option<usize>), Material>;
type Calibrations = BTreeMap<plan::Calibration, Calibration>;

impl Runner<'_> {
    fn run(&self, cells: &[&OrderedCell], tally: &mut Tally) -> Result<(), Fail> {
        let mut materials = Materials::new();
        let mut calibrations = Calibrations::new();
        for ordered in cells {
            let (started, started_at_ms) = (Instant::now(), system::now_ms());
            system::reset_peak();
            let result = catch_unwind(AssertUnwindSafe(|| {
                self.cell(ordered, &mut materials, &mut calibrations)
            }))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("panic: {}", message_of(&*panic))));
            let failure = match result {
                Ok(None) => return Ok(()),
                Ok(Some(evaluated)) => match self.store_rows(ordered, &evaluated, started_at_ms) {
                    Ok(()) => {
                        tally.done += 1;
                        say(&Event::CellDone {
                            id: ordered.id.clone(),
                            seconds: evaluated.seconds,
                            tokens_per_second: evaluated.tokens_per_second(),
                        });
                        continue;
                    }
                    Err(error) if refused(&error) => error.into(),
                    Err(error) => return Err(Fail::Results(error.into())),
                },
                Err(error) => error,
            };
            tally.failed += 1;
            let error = format!("{failure:#}");
            tracing::warn!(cell = ordered.id, "{error}");
            say(&Event::CellFailed { id: ordered.id.clone(), error: error.clone() });
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
                .map_err(|e| Fail::Results(e.into()))?;
        }
        Ok(())
    }

    /// One cell; `None` if asked to stop on the way.
    fn cell(
        &self,
        ordered: &OrderedCell,
        materials: &mut Materials,
        calibrations: &mut Calibrations,
    ) -> anyhow::Result<Option<Evaluated>> {
        let OrderedCell { id, cell } = ordered;
        let key = (cell.dataset.clone(), cell.protocol, cell.limit);
        if !materials.contains_key(&key) {
            materials.insert(key.clone(), self.inputs.material(cell)?);
        }
        let material = &materials[&key];
        if let Some(calibration) = &cell.calibration
            && !calibrations.contains_key(calibration)
        {
            let Some(moments) = self.calibrate(&cell.model, calibration)? else { return Ok(None) };
            calibrations.insert(calibration.clone(), moments);
        }
        let calibration = cell.calibration.as_ref().and_then(|c| calibrations.get(c));
        let units = material.len() as u64;
        say(&Event::CellStart { id: id.clone(), label: cell.label(), units });
        let selection = treatment::selection(&cell.treatment, self.model, calibration)?;
        Ok(evaluate(self.model, selection, material, self.stop, |done, tokens| {
            say(&Event::Progress {
                id: id.clone(),
                units_done: done as u64,
                units,
                tokens_done: tokens as u64,
            });
        })?)
    }

    fn calibrate(
        &self,
        model: &str,
        calibration: &plan::Calibration,
    ) -> anyhow::Result<Option<Calibration>> {
        say(&Event::Phase { message: format!("calibrating on {}", calibration.dataset) });
        let tokenizer = self.inputs.ready_tokenizer(model)?;
        let text = self.inputs.text(&calibration.dataset)?;
        let (windows, _) = windows(text, tokenizer, calibration.window_tokens, calibration.limit)?;
        Ok(calibrate(self.model, &windows, self.stop)?)
    }

    fn store_rows(
        &self,
        ordered: &OrderedCell,
        evaluated: &Evaluated,
        started_at_ms: i64,
    ) -> Result<(), tables::StoreError> {
        let text = |name: &str| {
            let text = self.order.texts.iter().find(|text| text.name == name);
            text.map(|text| text.sha256.clone())
        };
        let OrderedCell { id, cell } = ordered;
        let record = CellRecord {
            id: id.clone(),
            cell: cell.clone(),
            touched: touched(self.model, &cell.treatment, evaluated.mean_length()),
            provenance: Provenance {
                revision: self.order.provenance.revision.clone(),
                code_version: self.order.provenance.code_version.clone(),
                versions: system::versions(),
                host: system::host(),
                cpu: system::cpu(),
                device: self.order.device.to_string(),
                started_at_ms,
                seconds: evaluated.seconds,
                peak_rss_bytes: system::peak_rss_bytes(),
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
        }
        .map(drop)
    }
}

/// How much of the model a treatment's part is; nothing where nothing is done.
fn touched(model: &dyn Model, treatment: &plan::Treatment, tokens: usize) -> Touched {
    let share = match (treatment.policy, treatment.part) {
        (Policy::Dense, _) => PartShare::default(),
        (_, Part::Ffn) => ffn_share(model, tokens),
        (_, Part::State) => state_share(model, tokens),
    };
    let PartShare { parameters, flops, state_bytes } = share;
    Touched { parameters, flops, state_bytes }
}

/// Whether the store refused the rows themselves: the cell failed, the folder is fine.
fn refused(error: &tables::StoreError) -> bool {
    matches!(error, tables::StoreError::NonFinite { .. } | tables::StoreError::NoRows { .. })
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown cause")
}

//! `worker run`: the outstanding cells of a work order, one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use corpora::{Ask, ChoiceTask, Records, Source, Task, Text, Tokenizer, shared_document};
use models::{Device, ModelFacts};
use plan::{Cell, Event, Measure, ModelInput, OrderedCell, Protocol, TextInput, WorkOrder};
use runs::Pace;
use tables::{Store, outstanding};

use crate::{
    Outcome,
    cells::{Left, Tally},
    fail::Fail,
    log::Log,
    material::Material,
    runner::Runner,
    stop::Stop,
    subject, text,
    turns::{Turn, Turns},
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

/// Runs what is not done, as one of any number of workers; events go to standard output.
///
/// `unattended`: nobody reads along, so lines for people go there instead, see [`Log`].
pub(crate) fn run(order: &Path, pace: Pace, unattended: bool) -> Outcome {
    let order = read_order(order)?;
    let stop = Stop::listen(!unattended).map_err(Fail::Usage)?;
    let store = Store::open(&order.results).map_err(|e| Fail::Results(e.into()))?;
    let claims = store.join(pace).map_err(|e| Fail::Results(e.into()))?;
    let status = store.status().map_err(|e| Fail::Results(e.into()))?;
    let ids: Vec<String> = order.cells.iter().map(|cell| cell.id.clone()).collect();
    let wanted: BTreeSet<String> = outstanding(&ids, &status).into_iter().collect();
    let cells: Vec<&OrderedCell> =
        order.cells.iter().filter(|cell| wanted.contains(&cell.id)).collect();
    let inputs = Inputs::read(&order, &cells)?;
    let device = subject::device(order.device).map_err(Fail::Usage)?;
    if unattended {
        Log::begin(cells.len());
    }
    let turns = Turns::new(&store, &claims, &cells).map_err(|e| Fail::Results(e.into()))?;
    let work = Work { order: &order, inputs: &inputs, store: &store, stop: &stop, device, turns };
    let mut tally = Tally::default();
    work.run(&cells, &mut tally)?;
    let stopped = stop.asked() && tally.settled() < cells.len() as u64;
    say(&Event::End { done: tally.done, failed: tally.failed, stopped });
    Ok(match (stopped, tally.failed) {
        (true, _) => plan::exit::STOPPED,
        (false, 0) => plan::exit::DONE,
        (false, _) => plan::exit::FAILED_CELLS,
    })
}

/// The outstanding cells of an order, and what they are run with.
struct Work<'a> {
    order: &'a WorkOrder,
    inputs: &'a Inputs,
    store: &'a Store,
    stop: &'a Stop,
    device: Device,
    turns: Turns<'a>,
}

impl<'a> Work<'a> {
    /// Model after model; then again what other workers had in hand, until nothing is left of it.
    fn run(&self, cells: &[&'a OrderedCell], tally: &mut Tally) -> Result<(), Fail> {
        const FIRST_PAUSE: Duration = Duration::from_millis(250);
        const LONGEST_PAUSE: Duration = Duration::from_secs(5);
        let (mut cells, mut pause) = (cells.to_vec(), FIRST_PAUSE);
        let mut told = String::new();
        loop {
            let n_cells = cells.len();
            let mut left = Left::default();
            for model in &self.order.models {
                let of_model: Vec<&OrderedCell> =
                    cells.iter().copied().filter(|cell| cell.cell.model == model.name).collect();
                let of_model = self.model(model, of_model, tally)?;
                left.cells.extend(of_model.cells);
                left.holder = of_model.holder.or(left.holder);
            }
            if left.cells.is_empty() || self.stop.asked() {
                return Ok(());
            }
            if left.cells.len() < n_cells {
                pause = FIRST_PAUSE;
            }
            let holder = left.holder.as_deref().unwrap_or("another process");
            let cells_left = match left.cells.len() {
                1 => "1 cell".to_owned(),
                n => format!("{n} cells"),
            };
            let message = format!("waiting for {cells_left}: {holder} is at work");
            if message != told {
                say(&Event::Waiting { message: message.clone() });
                told = message;
            }
            self.stop.pause(pause);
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            cells = left.cells;
        }
    }

    /// The cells of one model. It is loaded only where one of them can be begun.
    fn model(
        &self,
        model: &ModelInput,
        mut cells: Vec<&'a OrderedCell>,
        tally: &mut Tally,
    ) -> Result<Left<'a>, Fail> {
        let mut held = Left::default();
        loop {
            let Some(ordered) = cells.first().copied().filter(|_| !self.stop.asked()) else {
                return Ok(held);
            };
            let turn = self.turns.of(&ordered.id, &ordered.cell);
            match turn.map_err(|e| Fail::Results(e.into()))? {
                Turn::Ours(_) => break,
                Turn::Held(holder) => {
                    held.cells.push(ordered);
                    held.holder = Some(holder);
                }
                settled => say(&tally.elsewhere(ordered, &settled)),
            }
            cells.remove(0);
        }
        say(&Event::Phase { message: format!("loading {}", model.name) });
        let loaded =
            subject::model(&model.path, &self.device, model.time_steps).map_err(Fail::input)?;
        let mut runner = Runner {
            order: self.order,
            inputs: self.inputs,
            store: self.store,
            turns: Some(&self.turns),
            stop: self.stop,
            input: model,
            device: &self.device,
            model: Some(loaded.model),
            has_one_cell: false,
            decodes: false,
            tells: true,
        };
        held.cells.extend(cells);
        runner.run(&held.cells, &self.turns, tally)
    }
}

/// Tells the process that started us; if it is gone there is nobody to tell.
pub(crate) fn say(event: &Event) {
    if Log::takes(event) {
        return;
    }
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
    records: BTreeMap<String, Records>,
    tasks: BTreeMap<Protocol, Box<dyn Task>>,
}

impl Inputs {
    /// Of a model whose tokenizer nobody asks for, and without texts.
    pub(crate) fn of_model(name: &str, facts: ModelFacts) -> Self {
        Self {
            models: BTreeMap::from([(name.to_owned(), (facts, None))]),
            texts: BTreeMap::new(),
            records: BTreeMap::new(),
            tasks: BTreeMap::new(),
        }
    }

    /// Opens all that the cells name; every input that cannot be used is reported, not only the first.
    pub(crate) fn read(order: &WorkOrder, cells: &[&OrderedCell]) -> Result<Self, Fail> {
        let mut errors = Vec::new();
        let (mut models, mut texts) = (BTreeMap::new(), BTreeMap::new());
        for ModelInput { name, path, tokenizer, planned, time_steps, .. } in &order.models {
            if cells.iter().any(|cell| cell.cell.model == *name) {
                let subject = match planned {
                    true => subject::planned(path).map(|facts| (facts, None)),
                    false => subject::facts_and_tokenizer(path, tokenizer.as_deref(), *time_steps)
                        .map(|(f, t)| (f, Some(t))),
                };
                match subject {
                    Ok(both) => drop(models.insert(name.clone(), both)),
                    Err(error) => errors.push(error.context(format!("model `{name}`"))),
                }
            }
        }
        let tasks = tasks(order, cells, &mut errors);
        let has_items = |cell: &Cell| cell.protocol.measure() == Measure::Choice;
        let mut records = BTreeMap::new();
        for TextInput { name, path, reading, .. } in &order.texts {
            let mut of_text = cells.iter().map(|cell| &cell.cell).filter(|c| uses_text(c, name));
            let wrong = |error| anyhow::Error::from(error).context(format!("text `{name}`"));
            if of_text.clone().any(|cell| !(has_items(cell) && cell.dataset == *name)) {
                match text::read(path, *reading) {
                    Ok(text) => drop(texts.insert(name.clone(), text)),
                    Err(error) => errors.push(wrong(error)),
                }
            }
            if of_text.any(|cell| has_items(cell) && cell.dataset == *name) {
                match Records::read(path) {
                    Ok(items) => drop(records.insert(name.clone(), items)),
                    Err(error) => errors.push(wrong(error)),
                }
            }
        }
        let inputs = Self { models, texts, records, tasks };
        errors.extend(overlaps(cells, &inputs));
        if errors.is_empty() { Ok(inputs) } else { Err(Fail::Inputs(errors)) }
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

    pub(crate) fn ready_tokenizer(&self, name: &str) -> anyhow::Result<&Tokenizer> {
        self.tokenizer(name)?.with_context(|| format!("the model `{name}` is not there"))
    }

    pub(crate) fn text(&self, name: &str) -> anyhow::Result<&Text> {
        self.texts.get(name).with_context(|| format!("the work order has no text `{name}`"))
    }

    /// What a cell is evaluated on.
    pub(crate) fn source(&self, cell: &Cell) -> anyhow::Result<Source<'_>> {
        if cell.protocol.measure() != Measure::Choice {
            return Ok(Source::Text(self.text(&cell.dataset)?));
        }
        let records = self.records.get(&cell.dataset);
        let none = || format!("the work order has no items `{}`", cell.dataset);
        records.map(Source::Records).with_context(none)
    }

    fn task(&self, cell: &Cell) -> anyhow::Result<&dyn Task> {
        let task = self.tasks.get(&cell.protocol).map(Box::as_ref);
        task.with_context(|| format!("the work order has no task `{}`", cell.protocol))
    }

    pub(crate) fn material(&self, cell: &Cell) -> anyhow::Result<Material> {
        let (facts, tokenizer) = (self.facts(&cell.model)?, self.ready_tokenizer(&cell.model)?);
        let offset = cell.offset.unwrap_or(0);
        let limit = cell.limit.map(|limit| limit.saturating_add(offset));
        let ask = Ask { tokenizer, max_positions: facts.max_positions, limit };
        Material::of(cell.protocol, self.task(cell)?, self.source(cell)?, ask)?.from(offset)
    }
}

/// The tasks that the cells name: of this project, or of a file of the order.
fn tasks(
    order: &WorkOrder,
    cells: &[&OrderedCell],
    errors: &mut Vec<anyhow::Error>,
) -> BTreeMap<Protocol, Box<dyn Task>> {
    let mut tasks: BTreeMap<Protocol, Box<dyn Task>> = BTreeMap::new();
    let names: std::collections::BTreeSet<Protocol> =
        cells.iter().map(|cell| cell.cell.protocol).collect();
    for protocol in names {
        let own = protocol.task().and_then(|name| order.task(name));
        let task = match own {
            Some(own) => ChoiceTask::read(&own.path, own.name.as_str())
                .map(|task| Box::new(task) as Box<dyn Task>),
            None => corpora::task(&protocol.to_string()),
        };
        match task {
            Ok(task) => drop(tasks.insert(protocol, task)),
            Err(error) => errors.push(anyhow::Error::from(error)),
        }
    }
    tasks
}

fn uses_text(cell: &Cell, name: &str) -> bool {
    cell.dataset == name || cell.calibration.as_ref().is_some_and(|c| c.dataset == name)
}

/// Pairs of calibration and test text that share a document.
fn overlaps(cells: &[&OrderedCell], inputs: &Inputs) -> Vec<anyhow::Error> {
    let pairs: BTreeMap<(&str, &str, Protocol), &Cell> = cells
        .iter()
        .map(|ordered| &ordered.cell)
        .filter_map(|cell| Some((cell.calibration.as_ref()?.dataset.as_str(), cell)))
        .map(|(calibration, cell)| ((calibration, cell.dataset.as_str(), cell.protocol), cell))
        .collect();
    pairs
        .into_iter()
        .filter_map(|((calibration, ..), cell)| {
            let calibration = inputs.texts.get(calibration)?;
            shared_document(calibration, inputs.source(cell).ok()?).err()
        })
        .map(anyhow::Error::from)
        .collect()
}

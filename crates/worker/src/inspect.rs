//! `worker inspect`: what a work order will cost, before any of it is run.

use std::{io::Write as _, path::Path, time::Instant};

use corpora::{Fields, Source};
use evaluation::Passes;
use models::{Device, ModelFacts, Values, matrix};
use plan::{
    Cell, CellInspection, Inspection, Measure, ModelInspection, Needs, Observation, OrderedCell,
    Part, Recipe, Step, WorkOrder,
};

use crate::{
    Outcome,
    fail::Fail,
    parallel::in_order,
    run::{Inputs, read_order},
    stop::Stop,
};

/// Share of the rate of plain matrix products that a whole forward pass reaches.
const EFFICIENCY: f64 = 0.8;
/// Seconds that choosing kept sets and measuring add, relative to a dense pass.
const SELECTION: f64 = 0.1;
/// A pass that takes gradients, relative to a dense one: forward, forward again recorded, backward, by
/// composed operations.
const GRADIENT: f64 = 8.0;

/// Prints an [`Inspection`].
pub(crate) fn inspect(order: &Path, json: bool) -> Outcome {
    let order = read_order(order)?;
    let cells: Vec<&OrderedCell> = order.cells.iter().collect();
    let inputs = Inputs::read(&order, &cells)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let flops_per_second = product_rate(cores) * EFFICIENCY;
    let mut costs = Vec::new();
    let mut materials = std::collections::BTreeMap::new();
    let mut cut = std::collections::HashSet::new();
    for OrderedCell { id, cell } in cells {
        let way = shares_beginnings(cell);
        let stretch = (cell.offset, cell.limit);
        let key = (cell.model.clone(), cell.dataset.clone(), cell.protocol, stretch, way);
        if !materials.contains_key(&key) {
            materials.insert(key.clone(), Extent::of(&inputs, cell).map_err(Fail::input)?);
        }
        let Extent { units, tokens, scored, length, guessed } = materials[&key];
        let facts = inputs.facts(&cell.model).map_err(Fail::input)?;
        let head = 2 * facts.d_model * facts.vocabulary;
        let body = facts.flops_per_token(length) - head as f64;
        let looked = looked_at(cell, facts.layers) * tokens;
        let flops = body * tokens as f64 + (head * (scored + looked)) as f64;
        // Cells of one cut model share it.
        let is_first = cut.insert((&cell.model, cell.recipe.steps(), cell.calibration.as_ref()));
        let calibrated = if is_first { calibrated(cell) } else { 0.0 };
        let flops_expected = flops * passes(cell, facts) + body * calibrated;
        costs.push(CellInspection {
            id: id.clone(),
            units: units as u64,
            tokens: tokens as u64,
            guessed,
            flops_per_token: flops / tokens.max(1) as f64,
            flops_expected,
            seconds_expected: flops_expected / flops_per_second,
        });
    }
    let mut models = Vec::new();
    for model in &order.models {
        if let Ok(facts) = inputs.facts(&model.name) {
            models.push(ModelInspection {
                name: model.name.clone(),
                parameters: facts.parameters as u64,
                peak_memory_bytes: peak_memory(facts, cores, takes_gradients(&order, &model.name)),
            });
        }
    }
    let inspection = Inspection {
        peak_memory_bytes: models.iter().map(|m| m.peak_memory_bytes).max().unwrap_or(0),
        seconds_expected: costs.iter().fold(0.0, |sum, cell| sum + cell.seconds_expected),
        models,
        cells: costs,
    };
    // Written as it is encoded: there may be a million cells. Who asked may be gone.
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let _ = match json {
        true => serde_json::to_writer(&mut out, &inspection),
        false => serde_json::to_writer_pretty(&mut out, &inspection),
    };
    let _ = writeln!(out).and_then(|()| out.flush());
    Ok(plan::exit::DONE)
}

/// What a cell costs, in dense passes over its text; calibration is not counted.
fn passes(cell: &Cell, facts: &ModelFacts) -> f64 {
    let compared = if cell.compare.is_some() { 1.0 } else { 0.0 };
    let recipe = &cell.recipe;
    if recipe.is_dense() {
        return 1.0 + compared;
    }
    let observed = recipe.treatment().and_then(|flat| Some((flat.observation?, flat)));
    match observed {
        Some((Observation::Gradient, _)) => GRADIENT,
        // Every copy goes from its own layer to the end: half the layers on average.
        Some((Observation::Ablation, flat)) => {
            let (sites, ways) = match flat.part {
                Part::Ffn => (facts.ffn_sites, 1),
                Part::State => (facts.state.map_or(0, |state| state.sites), 3),
                Part::Heads | Part::Kv => (0, 1),
            };
            let copies = sites * ways * flat.sample.unwrap_or(plan::DEFAULT_SAMPLE);
            1.0 + copies as f64 / 2.0
        }
        _ => 1.0 + SELECTION + compared,
    }
}

/// Layers at whose end the head says what would be predicted, beside the last.
fn looked_at(cell: &Cell, layers: usize) -> usize {
    let asks = |step: &Step| step.kind().name == "exit" || step.name("observation") == Some("lens");
    if cell.recipe.steps().iter().any(asks) { layers - 1 } else { 0 }
}

/// Tokens of calibration text that pass the layers for the cuts of a cell: once to see what enters them,
/// once cut, and as much again for sums and factors. Text of unknown length is not counted, and scores of
/// units are shared by many cells.
fn calibrated(cell: &Cell) -> f64 {
    const PASSES: f64 = 3.0;
    let steps = cell.recipe.cuts().filter(|step| step.needs() == Needs::Inputs).count();
    let tokens = cell.calibration.as_ref().map_or(0, |c| c.limit.unwrap_or(0) * c.window_tokens);
    PASSES * (steps * tokens) as f64
}

/// How much a cell reads.
#[derive(Clone, Copy)]
struct Extent {
    units: usize,
    tokens: usize,
    /// Rows that are multiplied with the head.
    scored: usize,
    /// Tokens of a sequence, on average.
    length: usize,
    guessed: bool,
}

impl Extent {
    fn of(inputs: &Inputs, cell: &Cell) -> anyhow::Result<Self> {
        if inputs.tokenizer(&cell.model)?.is_none() {
            return Self::guess(inputs.source(cell)?, cell);
        }
        let material = inputs.material(cell)?;
        let passes = match material.measure == Measure::Choice && shares_beginnings(cell) {
            true => Passes::SharedBeginning,
            false => Passes::Whole,
        };
        let (units, tokens) = (material.len(), material.n_tokens(passes));
        let (scored, length) = (material.n_targets(), material.mean_length());
        Ok(Self { units, tokens, scored, length, guessed: false })
    }

    /// Without a tokenizer: as many bytes a token as SmolLM2 has on WikiText-2, two targets a word.
    fn guess(source: Source<'_>, cell: &Cell) -> anyhow::Result<Self> {
        const BYTES_PER_TOKEN: f64 = 4.23;
        const TARGETS: usize = 2;
        let (limit, offset) = (cell.limit.unwrap_or(usize::MAX), cell.offset.unwrap_or(0));
        let tokens_of = |bytes: usize| (bytes as f64 / BYTES_PER_TOKEN).round() as usize;
        let of_items = |bytes: Vec<usize>| {
            let units = bytes.len();
            (units, bytes.into_iter().map(tokens_of).sum(), TARGETS * units)
        };
        let (units, tokens, scored) = match (source, cell.protocol.window_tokens()) {
            (Source::Text(text), Some(window_tokens)) => {
                let units = tokens_of(text.joined().len()) / window_tokens;
                let units = units.saturating_sub(offset).min(limit);
                (units, units * window_tokens, units * (window_tokens - 1))
            }
            (Source::Text(text), None) => {
                of_items(text.items()?.iter().skip(offset).take(limit).map(String::len).collect())
            }
            (Source::Records(records), _) => {
                let length = |item: &Fields| serde_json::to_string(item).map_or(0, |s| s.len());
                of_items(records.items().iter().skip(offset).take(limit).map(length).collect())
            }
        };
        let length = tokens.checked_div(units).unwrap_or(0);
        Ok(Self { units, tokens, scored, length, guessed: true })
    }
}

/// Whether what choices begin with is read once: where every skip treats each token by itself. The
/// executors say it (`takes_pieces`), but here there is none yet.
fn shares_beginnings(cell: &Cell) -> bool {
    let by_token = |step: &Step| {
        matches!(step.kind().part, "ffn" | "heads" | "layers")
            && step.value("rule").is_none()
            && step.name("score") != Some("random")
    };
    cell.recipe.skips().all(by_token)
}

/// Whether a cell of a model needs gradients, on calibration text or as what it observes.
fn takes_gradients(order: &WorkOrder, model: &str) -> bool {
    let of_model = order.cells.iter().map(|ordered| &ordered.cell).filter(|c| c.model == model);
    let observes = |recipe: &Recipe| {
        recipe.treatment().is_some_and(|flat| flat.observation == Some(Observation::Gradient))
    };
    let needs = |step: &Step| step.needs() == Needs::Gradient;
    of_model.map(|cell| &cell.recipe).any(|own| observes(own) || own.steps().iter().any(needs))
}

/// Weights once (a second time where gradients are taken), the down projections again row by row, and for every core the activations of a batch
/// and a part of the logits, twice where an operation has its input beside its output.
fn peak_memory(facts: &ModelFacts, cores: usize, gradients: bool) -> u64 {
    const BYTES: usize = 4;
    const TOKENS: usize = 1024;
    const LOGIT_COLUMNS: usize = 4096;
    const PROCESS: usize = 80 << 20;
    let down = facts.ffn_sites * facts.neurons * facts.d_model;
    let activations = TOKENS * (8 * facts.d_model + 4 * facts.neurons + 2 * LOGIT_COLUMNS);
    let weights = facts.parameters * if gradients { 2 } else { 1 };
    ((weights + down + cores * activations) * BYTES + PROCESS) as u64
}

/// Floating point operations per second of matrix products of the size that models use, one on every
/// core as cells run them, measured for a moment on this machine.
pub(crate) fn product_rate(cores: usize) -> f64 {
    const ROWS: usize = 1024;
    const INNER: usize = 576;
    const COLUMNS: usize = 1536;
    const SECONDS: f64 = 0.3;
    let lanes: Vec<usize> = (0..cores).collect();
    let rates = in_order(
        &lanes,
        &Stop::default(),
        |_| {
            let device = Device::flex();
            let a = matrix(vec![0.5; ROWS * INNER], [ROWS, INNER], &device);
            let b = matrix(vec![0.25; INNER * COLUMNS], [INNER, COLUMNS], &device);
            let (started, mut products) = (Instant::now(), 0);
            while started.elapsed().as_secs_f64() < SECONDS {
                drop(Values::of(a.clone().matmul(b.clone())));
                products += 1;
            }
            let flops = (2 * ROWS * INNER * COLUMNS * products) as f64;
            Ok::<_, std::convert::Infallible>(flops / started.elapsed().as_secs_f64())
        },
        |_| {},
    );
    let Ok(rates) = rates;
    rates.unwrap_or_default().iter().sum()
}

//! Writes a run of many cells, to time the report on: made-up losses and answers in the shape of real
//! ones, some cells missing, failed, damaged, or of older code.
//!
//! ```text
//! cargo run --release -p tables --example many_cells -- target/many/run 10000
//! time cargo xtask report --results target/many/run --json > report.json
//! cargo run --release -p tables --example many_cells -- target/many/seeds 10000 20     under 20 seeds each
//! ```
//!
//! The same numbers give the same run, but for the name of its folder.

#![expect(clippy::print_stdout, reason = "an example talks on standard output")]

use std::error::Error;
use std::fs;
use std::path::Path;

use plan::{
    Calibration, Cell, DeviceName, ModelInput, OrderProvenance, OrderedCell, Policy, Protocol,
    Reading, Recipe, Rule, Score, TextInput, Treatment, TreatmentSpec, WorkOrder, cell_id,
};
use tables::{
    CellRecord, FailureRecord, ItemRow, Left, ORDER, Provenance, RowShares, Store, TokenColumns,
    Touched, WindowRow,
};

const SEED: u64 = 1;
const WINDOWS: u32 = 32;
const ITEMS: u32 = 300;
const TARGETS: u32 = 255;
const TEXTS: [&str; 3] = ["narrative", "dialogue", "inventory"];
const LAST_WORDS: &str = "last-word";
const SPARSITIES: [f64; 8] = [0.1, 0.25, 0.5, 0.6, 0.75, 0.8, 0.9, 0.95];
const RULES: [Rule; 4] = [Rule::WindowMean, Rule::FirstToken, Rule::PreviousWindow, Rule::Prompt];
const STATIC: [Score; 5] =
    [Score::Magnitude, Score::Impact, Score::Taylor, Score::Fisher, Score::Random];
const DYNAMIC: [Score; 5] =
    [Score::Magnitude, Score::Impact, Score::Energy, Score::Wanda, Score::Random];
const CODE: &str = "00c0ffee00c0ffee";
const OLD_CODE: &str = "00c0ffee00000000";

/// Which cells are not simply done: one in so many.
const MISSING: usize = 200;
const FAILED: usize = 333;
const DAMAGED: usize = 2_000;
const OLD: usize = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder =
        arguments.next().ok_or("which folder? usage: many_cells FOLDER [CELLS [SEEDS]]")?;
    let n_cells: usize = arguments.next().map_or(Ok(10_000), |number| number.parse())?;
    let n_seeds: u64 = arguments.next().map_or(Ok(1), |number| number.parse())?;
    let store = Store::open(Path::new(&folder))?;
    let order = order(&store, n_cells, n_seeds)?;
    fs::write(store.folder().join(ORDER), serde_json::to_string(&order)?)?;
    let mut counts = [0; 5];
    for (index, ordered) in order.cells.iter().enumerate() {
        counts[write(&store, &order, index, ordered)?] += 1;
    }
    let [done, missing, failed, damaged, old] = counts;
    println!(
        "{folder}: {} cells ordered: {done} done, {missing} missing, {failed} failed, {damaged} \
         damaged, {old} of older code",
        order.cells.len()
    );
    Ok(())
}

/// Writes what became of one cell; the value says which of the five it was.
fn write(
    store: &Store,
    order: &WorkOrder,
    index: usize,
    ordered: &OrderedCell,
) -> Result<usize, Box<dyn Error>> {
    let is_dense = ordered.cell.recipe.is_dense();
    let every = |n: usize| !is_dense && index % n == n - 1;
    if every(OLD) {
        // Stored by an earlier order, under the id of then.
        let mut before = order.clone();
        before.provenance.code_version = OLD_CODE.to_owned();
        store_rows(store, &before, &ordered.cell)?;
        return Ok(4);
    }
    if every(DAMAGED) {
        let path = store_rows(store, order, &ordered.cell)?;
        let bytes = fs::read(&path)?;
        fs::write(&path, &bytes[..bytes.len() / 2])?;
        return Ok(3);
    }
    if every(FAILED) {
        store.write_failure(&FailureRecord {
            id: ordered.id.clone(),
            cell: ordered.cell.clone(),
            error: "layer 3: the residual stream is not finite".to_owned(),
            revision: order.provenance.revision.clone(),
            code_version: order.provenance.code_version.clone(),
            host: "made-up".to_owned(),
            started_at_ms: 1_795_317_484_000,
            seconds: 0.5,
        })?;
        return Ok(2);
    }
    if every(MISSING) {
        return Ok(1);
    }
    store_rows(store, order, &ordered.cell)?;
    Ok(0)
}

fn store_rows(
    store: &Store,
    order: &WorkOrder,
    cell: &Cell,
) -> Result<std::path::PathBuf, Box<dyn Error>> {
    let inputs = order.inputs_of(cell).ok_or("the order lacks an input of its cell")?;
    let id = cell_id(cell, &inputs);
    let mut draws = Draws::of(&id);
    let provenance = Provenance {
        revision: order.provenance.revision.clone(),
        code_version: inputs.code_version,
        versions: "slim 0.1.0; burn 0.22.1; rustc 1.95.0".to_owned(),
        host: "made-up".to_owned(),
        cpu: "Some Processor".to_owned(),
        device: order.device.to_string(),
        started_at_ms: 1_795_317_484_000,
        seconds: 0.5 + draws.unit(),
        peak_rss_bytes: 200 << 20,
        tokens: u64::from(WINDOWS * (TARGETS + 1)),
        weights_sha256: inputs.weights,
        tokenizer_sha256: inputs.tokenizer,
        text_sha256: inputs.text,
        calibration_sha256: inputs.calibration_text,
    };
    let touched = Touched { parameters: 0.6, flops: 0.5, state_bytes: 0.0 };
    let left = Left { stored_bytes: 270_000_000, parameters: 135_000_000 };
    let record = CellRecord { id, cell: cell.clone(), touched, left, provenance };
    let path = if cell.protocol.measure() == plan::Measure::MeanLoss {
        store.write_windows(&record, &windows(cell, &mut draws))?
    } else {
        store.write_items(&record, &items(cell, &mut draws))?
    };
    Ok(path)
}

/// The flat fields; every cell here is of one step or none.
fn flat(cell: &Cell) -> Treatment {
    cell.recipe.treatment().unwrap_or_else(|| Treatment::dense(SEED))
}

/// What a treatment costs, in nats a target: nothing when dense, more with κ and W, most when static.
fn cost(treatment: &Treatment) -> f64 {
    let kappa = treatment.sparsity;
    let tokens = match treatment.policy {
        Policy::Dense | Policy::Observe => return 0.0,
        Policy::Static => 4_096,
        _ => treatment.window.unwrap_or(1),
    };
    let chance = if treatment.score == Some(Score::Random) { 3.0 } else { 1.0 };
    chance * kappa.powi(4) * (0.05 + 0.25 * (tokens as f64).ln())
}

fn windows(cell: &Cell, draws: &mut Draws) -> Vec<WindowRow> {
    let (cost, shares) = (cost(&flat(cell)), shares(&flat(cell)));
    // How hard a window is does not hang on what is done to the model.
    let mut hardness = Draws::of(&format!("{} {}", cell.model, cell.dataset));
    let row = |window_index| {
        let nats = 3.0 + 0.4 * (hardness.unit() - 0.5) + cost * (0.8 + 0.4 * draws.unit());
        let [reached_sparsity, natural_sparsity, kept_energy] = shares;
        WindowRow {
            window_index,
            nll_nats: f64::from(TARGETS) * nats,
            n_targets: TARGETS,
            js_nats: None,
            shares: RowShares {
                reached_sparsity,
                natural_sparsity: Some(natural_sparsity),
                kept_energy: Some(kept_energy),
                cache: None,
            },
            tokens: TokenColumns::default(),
        }
    };
    (0..WINDOWS).map(row).collect()
}

fn items(cell: &Cell, draws: &mut Draws) -> Vec<ItemRow> {
    let (cost, shares) = (cost(&flat(cell)), shares(&flat(cell)));
    let mut hardness = Draws::of(&format!("{} {}", cell.model, cell.dataset));
    let row = |item_index| {
        let logprob = -3.0 * hardness.unit().powi(2) - cost * 2.0 * draws.unit();
        let [reached_sparsity, natural_sparsity, kept_energy] = shares;
        ItemRow {
            item_index,
            correct: logprob > -1.0,
            word_logprob_nats: logprob,
            n_target_tokens: 1 + item_index % 3,
            n_tokens: 60 + item_index % 40,
            distance_sentences: Some(1 + item_index % 20),
            shares: RowShares {
                reached_sparsity,
                natural_sparsity: Some(natural_sparsity),
                kept_energy: Some(kept_energy),
                cache: None,
            },
            tokens: TokenColumns::default(),
        }
    };
    (0..ITEMS).map(row).collect()
}

/// Reached sparsity, natural sparsity, kept energy.
fn shares(treatment: &Treatment) -> [f64; 3] {
    let kappa = treatment.sparsity;
    [kappa, 0.3, 1.0 - kappa.powi(3) / 2.0]
}

/// An order of `n_cells` cells over as many models as that takes, each treatment under `n_seeds` seeds.
fn order(store: &Store, n_cells: usize, n_seeds: u64) -> Result<WorkOrder, Box<dyn Error>> {
    let treatments: Vec<Recipe> = treatments()?.into_iter().map(Recipe::from).collect();
    let seeds = SEED..SEED + n_seeds;
    let treatments: Vec<Recipe> = seeds
        .flat_map(|seed| treatments.iter().map(move |own| own.clone().with_seed(seed)))
        .collect();
    let (mut cells, mut n_models) = (Vec::new(), 0);
    while cells.len() < n_cells {
        n_models += 1;
        let model = format!("model-{n_models:02}");
        for dataset in TEXTS.into_iter().chain([LAST_WORDS]) {
            cells.extend(treatments.iter().map(|treatment| cell(&model, dataset, treatment)));
        }
    }
    cells.truncate(n_cells);
    let hash = |name: &str| format!("{:016x}", Draws::of(name).next()).repeat(4);
    let model = |number: usize| {
        let name = format!("model-{number:02}");
        ModelInput {
            path: format!("models/{name}").into(),
            sha256: hash(&name),
            tokenizer_sha256: hash("tokenizer"),
            planned: false,
            tokenizer: None,
            time_steps: plan::TimeSteps::default(),
            name,
        }
    };
    let texts =
        TEXTS.into_iter().chain([LAST_WORDS]).flat_map(|name| [name.to_owned(), calibration(name)]);
    let text = |name: String| TextInput {
        path: format!("texts/{name}.jsonl").into(),
        sha256: hash(&name),
        reading: Reading::default(),
        name,
    };
    let mut order = WorkOrder {
        run: "many-cells".to_owned(),
        results: store.folder().to_owned(),
        device: DeviceName::Cpu,
        provenance: OrderProvenance {
            revision: "made-up".to_owned(),
            code_version: CODE.to_owned(),
            command: "cargo run --release -p tables --example many_cells".to_owned(),
        },
        models: (1..=n_models).map(model).collect(),
        tasks: Vec::new(),
        texts: texts.map(text).collect(),
        cells: Vec::new(),
    };
    let ids: Vec<Option<String>> = order.ids_of(&cells).collect();
    for (cell, id) in cells.into_iter().zip(ids) {
        let id = id.ok_or("the order lacks an input of its cell")?;
        order.cells.push(OrderedCell { id, cell });
    }
    Ok(order)
}

fn calibration(dataset: &str) -> String {
    format!("{dataset}-calibration")
}

fn cell(model: &str, dataset: &str, recipe: &Recipe) -> Cell {
    let is_text = dataset != LAST_WORDS;
    let window_tokens = TARGETS as usize + 1;
    let text = Protocol::Perplexity { window_tokens };
    let calibration = recipe.needs_calibration().then(|| Calibration {
        dataset: calibration(dataset),
        limit: Some(WINDOWS as usize),
        window_tokens,
    });
    Cell {
        model: model.to_owned(),
        dataset: dataset.to_owned(),
        protocol: if is_text { text } else { Protocol::LambadaOpenai },
        limit: Some(if is_text { WINDOWS } else { ITEMS } as usize),
        calibration,
        recipe: recipe.clone(),
        offset: None,
        compare: None,
    }
}

/// What is done to each model on each text: 250 treatments, dense first.
fn treatments() -> Result<Vec<Treatment>, Box<dyn Error>> {
    let of = |policy, score, sparsity| TreatmentSpec {
        score: Some(score),
        sparsity,
        ..TreatmentSpec::of(policy, SEED)
    };
    let mut specs = Vec::new();
    for sparsity in SPARSITIES {
        specs.extend(STATIC.map(|score| of(Policy::Static, score, sparsity)));
        specs.extend(DYNAMIC.map(|score| of(Policy::Dynamic, score, sparsity)));
    }
    for sparsity in [0.5, 0.75, 0.9, 0.95] {
        for rule in RULES {
            specs.extend((1..=10).map(|power| TreatmentSpec {
                window: Some(1 << power),
                rule: Some(rule),
                ..of(Policy::Window, Score::Magnitude, sparsity)
            }));
        }
    }
    // With what is there so far and dense: 241.
    specs.extend([0.5, 0.75, 0.9].into_iter().flat_map(|sparsity| {
        [4, 16, 64].map(|window| TreatmentSpec {
            window: Some(window),
            rule: Some(Rule::WindowMean),
            ..of(Policy::Window, Score::Impact, sparsity)
        })
    }));
    let mut treatments = vec![Treatment::dense(SEED)];
    for spec in specs {
        treatments.push(Treatment::new(spec)?);
    }
    Ok(treatments)
}

/// A stream of made-up numbers, keyed by a text (SplitMix64 from its FNV-1a hash).
struct Draws(u64);

impl Draws {
    fn of(key: &str) -> Draws {
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Draws(hash ^ SEED)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

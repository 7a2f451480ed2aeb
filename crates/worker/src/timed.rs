//! `worker timed`: one model in a process of its own, timed whenever it is asked, for `cargo xtask speed`.

use std::{
    io::{BufRead as _, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::Context as _;
use models::{Dense, Executor, Held, Model, Tensor, held_as, into_values, predictions};
use plan::{
    OrderedCell, SpeedAsk, SpeedLoss, SpeedReady, SpeedRequest, Timed, WeightType, WorkOrder,
    ZeroEntries,
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;
use skips::{Selection, Skipping, ZeroSkipping, steps::Running};
use tables::Store;

use crate::{
    Outcome,
    awake::awake,
    evaluate::{Rows, Subject, evaluate},
    fail::Fail,
    material::Material,
    recipe::Prepared,
    run::Inputs,
    runner::Runner,
    scores::Scores,
    speed::made_up,
    stop::Stop,
    subject, system,
};

/// Makes the model of a request ready, then answers what comes on standard input, a line for a line.
pub(crate) fn timed(request: &Path) -> Outcome {
    let text = std::fs::read_to_string(request)
        .with_context(|| format!("cannot read the request {}", request.display()))
        .map_err(Fail::Usage)?;
    let request: SpeedRequest =
        serde_json::from_str(&text).context("not a request").map_err(Fail::Usage)?;
    let pool = ThreadPoolBuilder::new().num_threads(request.threads).build();
    let pool = pool.context("cannot make threads").map_err(Fail::Usage)?;
    let stop = Stop::listen(false).map_err(Fail::Usage)?;
    let bench = Bench::ready(&request, &stop)?;
    say(&bench.ready_line()).map_err(Fail::Usage)?;
    system::reset_peak();
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read what is asked").map_err(Fail::Usage)?;
        let ask = serde_json::from_str(&line).with_context(|| format!("`{line}` is not known"));
        bench.answer(ask.map_err(Fail::Usage)?, &pool, &stop)?;
    }
    Ok(plan::exit::DONE)
}

fn say(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}

/// A model that is ready, and what it reads.
struct Bench<'a> {
    request: &'a SpeedRequest,
    prepared: Prepared,
    /// As many as [`plan::SpeedTokens::ids`] says.
    ids: Vec<u32>,
    /// What the loss is taken of.
    material: Option<Material>,
}

impl<'a> Bench<'a> {
    fn ready(request: &'a SpeedRequest, stop: &Stop) -> Result<Self, Fail> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder");
        let folder = folder.map_err(Fail::Results)?;
        let order = request.cell.order(folder.path().to_owned());
        let ordered = &order.cells[0];
        let input = &order.models[0];
        let device = subject::device(order.device).map_err(Fail::Usage)?;
        let loaded = subject::model(&input.path, &device, input.time_steps);
        let loaded = loaded.map_err(Fail::input)?;
        let facts = loaded.facts;
        let inputs = inputs(request, &order, ordered, facts)?;
        let material = match request.made_up {
            true => None,
            false => Some(inputs.material(&ordered.cell).map_err(Fail::input)?),
        };
        let needed = request.tokens.ids();
        let ids = match &material {
            Some(material) => beginning(material, needed).map_err(Fail::input)?,
            None => made_up(0, needed, facts.vocabulary),
        };
        let store = Store::open(&order.results).map_err(|e| Fail::Results(e.into()))?;
        let mut runner = Runner {
            order: &order,
            inputs: &inputs,
            store: &store,
            turns: None,
            stop,
            input,
            device: &device,
            model: Some(loaded.model),
            has_one_cell: true,
            decodes: false,
            tells: false,
        };
        let mut scores = Scores::default();
        if request.made_up
            && let Some(calibration) = &ordered.cell.calibration
        {
            let windows = 0..calibration.limit.unwrap_or(1);
            let window = |w| made_up(w + 1, calibration.window_tokens, facts.vocabulary);
            scores.give(calibration, windows.map(window).collect());
        }
        let prepared = runner.prepared(&ordered.cell, &mut scores).map_err(Fail::Cell)?;
        let prepared = prepared.ok_or(Fail::Stopped)?;
        let prepared = held(prepared, request).map_err(Fail::Cell)?;
        Ok(Self { request, prepared, ids, material })
    }

    fn ready_line(&self) -> SpeedReady {
        SpeedReady {
            ids: self.ids.clone(),
            parameters: self.prepared.slim.storage.parameters(),
            stored_bytes: self.prepared.slim.storage.bytes(),
        }
    }

    fn answer(&self, ask: SpeedAsk, pool: &ThreadPool, stop: &Stop) -> Result<(), Fail> {
        let answered = match ask {
            SpeedAsk::Prefill => pool.install(|| self.prefill()).and_then(|own| say(&own)),
            SpeedAsk::Decode => pool.install(|| self.decode()).and_then(|own| say(&own)),
            SpeedAsk::Loss => return say(&self.loss(stop)?).map_err(Fail::Cell),
        };
        answered.map_err(Fail::Cell)
    }

    fn model(&self) -> &dyn Model {
        &*self.prepared.slim.model
    }

    /// What runs: what the recipe skips, or zeros.
    fn executor(&self) -> Box<dyn Executor> {
        let skips = self.request.cell.recipe.skips().next().is_some();
        match self.request.zeros {
            ZeroEntries::Skip => Box::new(ZeroSkipping),
            ZeroEntries::Read if skips => self.prepared.executor.fresh(),
            // The executor of a dense recipe measures besides.
            ZeroEntries::Read => Box::new(Dense),
        }
    }

    /// A prompt in one go, and the logits behind it.
    fn prefill(&self) -> anyhow::Result<Timed> {
        let (model, tokens) = (self.model(), self.request.tokens.prefill);
        let (mut executor, mut cache) = (self.executor(), model.new_cache());
        let clock = Clock::start();
        let hidden = model.extend(&self.ids[..tokens], &mut cache, executor.as_mut())?;
        let last = hidden.narrow(0, tokens - 1, 1);
        let logits = into_values(model.logits(last.clone()));
        let [seconds, core_seconds] = clock.stop();
        drop(logits);
        Ok(Timed {
            tokens,
            seconds,
            core_seconds: Some(core_seconds),
            nll_nats: self.nll(last, tokens)?,
            weight_bytes: None,
            cache_bytes: Some(cache.bytes()),
            peak_rss_bytes: system::peak_rss_bytes(),
        })
    }

    /// Tokens one by one behind a prompt, each with all its logits.
    fn decode(&self) -> anyhow::Result<Timed> {
        let (model, tokens) = (self.model(), self.request.tokens);
        let (mut executor, mut cache) = (self.executor(), model.new_cache());
        let (prompt, rest) = self.ids.split_at(tokens.prompt);
        model.extend(prompt, &mut cache, executor.as_mut())?;
        let mut hidden = Vec::with_capacity(tokens.decode);
        let read = sparse::weight_bytes_read();
        let clock = Clock::start();
        awake(|| {
            for id in &rest[..tokens.decode] {
                let last = model.extend(&[*id], &mut cache, executor.as_mut())?;
                drop(into_values(model.logits(last.clone())));
                hidden.push(last);
            }
            anyhow::Ok(())
        })?;
        let [seconds, core_seconds] = clock.stop();
        let read = sparse::weight_bytes_read() - read;
        Ok(Timed {
            tokens: tokens.decode,
            seconds,
            core_seconds: Some(core_seconds),
            nll_nats: self.nll(Tensor::cat(hidden, 0), tokens.prompt + 1)?,
            weight_bytes: Some(read),
            cache_bytes: Some(cache.bytes()),
            peak_rss_bytes: system::peak_rss_bytes(),
        })
    }

    /// The mean loss of the ids from `first` on, one for every row.
    fn nll(&self, hidden: Tensor<2>, first: usize) -> anyhow::Result<f64> {
        let [rows, _] = hidden.dims();
        let found = predictions(self.model(), hidden, &self.ids[first..first + rows])?;
        Ok(found.iter().map(|own| -own.logprob).sum::<f64>() / rows as f64)
    }

    /// Perplexity, and zeros of the same text; of made-up ids zeros alone.
    fn loss(&self, stop: &Stop) -> Result<SpeedLoss, Fail> {
        let cell = |error: models::ExecutorError| Fail::Cell(error.into());
        let shown = self.prepared.shown;
        let run = |material: &Material, executor: &dyn Running| {
            let model = self.model();
            let subject = Subject { model, executor, reference: None, shown, decodes: false };
            evaluate(subject, material, stop, |_, _| {}).map_err(cell)?.ok_or(Fail::Stopped)
        };
        if let Some(material) = &self.material {
            let evaluated = run(material, self.prepared.executor.as_ref())?;
            let Rows::Windows(rows) = &evaluated.rows else {
                unreachable!("only windows of text have a perplexity")
            };
            let nll: f64 = rows.iter().map(|row| row.nll_nats).sum();
            let n_targets: u64 = rows.iter().map(|row| u64::from(row.n_targets)).sum();
            let has_zeros = evaluated.total.entries > 0;
            return Ok(SpeedLoss {
                perplexity: Some((nll / n_targets as f64).exp()).filter(|own| own.is_finite()),
                zeros: has_zeros.then(|| evaluated.total.natural_sparsity()),
            });
        }
        let all = Skipping::new(Selection::All, self.model().ffns().len());
        let evaluated = run(&Material::windows(vec![self.ids.clone()]), &all)?;
        let has_zeros = evaluated.total.entries > 0;
        Ok(SpeedLoss {
            perplexity: None,
            zeros: has_zeros.then(|| evaluated.total.natural_sparsity()),
        })
    }
}

/// Time on the clock and on cores.
struct Clock {
    started: Instant,
    on_cores: f64,
}

impl Clock {
    fn start() -> Self {
        Self { started: Instant::now(), on_cores: system::core_seconds() }
    }

    fn stop(&self) -> [f64; 2] {
        let seconds = self.started.elapsed().as_secs_f64();
        [seconds, system::core_seconds() - self.on_cores]
    }
}

/// Texts and tokenizer; of made-up ids the sizes of the model alone.
fn inputs(
    request: &SpeedRequest,
    order: &WorkOrder,
    ordered: &OrderedCell,
    facts: models::ModelFacts,
) -> Result<Inputs, Fail> {
    match request.made_up {
        true => Ok(Inputs::of_model(&order.models[0].name, facts)),
        false => Inputs::read(order, &[ordered]),
    }
}

/// The first ids of a text.
fn beginning(material: &Material, needed: usize) -> anyhow::Result<Vec<u32>> {
    let windows = material.items.iter().map(|item| item.requests.first());
    let ids: Vec<u32> =
        windows.flatten().flat_map(|window| window.ids()).copied().take(needed).collect();
    anyhow::ensure!(
        ids.len() == needed,
        "the windows of the text hold {} ids, and {needed} are read: raise --limit",
        ids.len()
    );
    Ok(ids)
}

/// The model in the numbers that are asked for, laid out for what is skipped.
fn held(mut prepared: Prepared, request: &SpeedRequest) -> anyhow::Result<Prepared> {
    let held = match request.weights {
        WeightType::F32 => None,
        WeightType::F16 => Some(Held::F16),
        WeightType::Bf16 => Some(Held::Bf16),
    };
    if let Some(held) = held {
        prepared.slim.model = held_as(&*prepared.slim.model, held)?;
    }
    if request.zeros == ZeroEntries::Skip {
        let model = &prepared.slim.model;
        let blocks = model.ffns().into_iter().map(models::Ffn::laid_out).collect();
        prepared.slim.model = model.with_ffns(blocks);
    }
    Ok(prepared)
}

//! `worker speed`: dense tokens per second of a model on made-up ids, for the benchmark of families.

use std::{io::Write as _, path::Path};

use anyhow::ensure;
use models::Dense;
use plan::DeviceName;
use serde_json::json;
use skips::{Selection, Skipping};

use crate::{
    Outcome,
    evaluate::{Subject, evaluate},
    fail::Fail,
    inspect::product_rate,
    material::Material,
    recipe::Shown,
    stop::Stop,
    subject, system,
};

/// What is run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A GGUF file or a Hugging Face folder; no tokenizer is needed.
    #[arg(long)]
    model: std::path::PathBuf,
    /// Windows of a run.
    #[arg(long)]
    windows: usize,
    /// Tokens of a window.
    #[arg(long)]
    tokens: usize,
    /// Also time so many tokens one by one, with a cache, after the windows.
    #[arg(long, default_value_t = 0)]
    decode: usize,
    /// Where to compute: cpu, cuda:0 or wgpu:0.
    #[arg(long, default_value_t)]
    device: DeviceName,
}

/// Runs the windows once to warm up and once for the clock; one JSON object on standard output.
pub(crate) fn speed(args: &Args) -> Outcome {
    let device = subject::device(args.device).map_err(Fail::Usage)?;
    let loaded = subject::model(&args.model, &device, Default::default()).map_err(Fail::input)?;
    let (model, facts) = (loaded.model, loaded.facts);
    let windows: Vec<Vec<u32>> =
        (0..args.windows).map(|w| made_up(w, args.tokens, facts.vocabulary)).collect();
    check(&args.model, &windows, facts.max_positions).map_err(Fail::Usage)?;
    let material = Material::windows(windows);
    let stop = Stop::listen(false).map_err(Fail::Usage)?;
    let run = || {
        let executor = Skipping::new(Selection::All, model.ffns().len());
        let subject = Subject {
            model: model.as_ref(),
            executor: &executor,
            reference: None,
            shown: Shown::default(),
            decodes: false,
        };
        let result = evaluate(subject, &material, &stop, |_, _| {});
        result.map_err(|e| Fail::Cell(e.into()))?.ok_or(Fail::Stopped)
    };
    run()?;
    let evaluated = run()?;
    let crate::evaluate::Rows::Windows(rows) = &evaluated.rows else { return Err(Fail::Stopped) };
    let nll: f64 = rows.iter().map(|row| row.nll_nats).sum();
    let n_targets: u64 = rows.iter().map(|row| u64::from(row.n_targets)).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rate = evaluated.tokens_per_second() * facts.flops_per_token(args.tokens);
    let decoded = decode(model.as_ref(), args.decode, facts.vocabulary).map_err(Fail::Cell)?;
    let answer = json!({
        "parameters": facts.parameters,
        "tokens_per_second": evaluated.tokens_per_second(),
        "decoded_tokens_per_second": decoded,
        "flops_per_second": rate,
        "share_of_product_rate": rate / product_rate(cores),
        "nll_per_target": nll / n_targets as f64,
        "peak_rss_bytes": system::peak_rss_bytes(),
    });
    let _ = writeln!(std::io::stdout().lock(), "{answer}");
    Ok(plan::exit::DONE)
}

/// Ids that another program can make too: `(7919·t + 104729·w + 17) mod vocabulary`.
pub(crate) fn made_up(window: usize, tokens: usize, vocabulary: usize) -> Vec<u32> {
    (0..tokens).map(|t| ((7919 * t + 104_729 * window + 17) % vocabulary) as u32).collect()
}

fn check(model: &Path, windows: &[Vec<u32>], max_positions: usize) -> anyhow::Result<()> {
    let tokens = windows.first().map_or(0, Vec::len);
    ensure!(tokens > 1, "a window needs at least two tokens, and a run one window");
    let name = model.display();
    ensure!(tokens <= max_positions, "{name}: {tokens} tokens, but positions for {max_positions}");
    Ok(())
}

/// Tokens per second, one at a time; none asked for gives none.
fn decode(
    model: &dyn models::Model,
    tokens: usize,
    vocabulary: usize,
) -> anyhow::Result<Option<f64>> {
    if tokens == 0 {
        return Ok(None);
    }
    let mut cache = model.new_cache();
    let started = std::time::Instant::now();
    for id in made_up(0, tokens, vocabulary) {
        let hidden = model.extend(&[id], &mut cache, &mut Dense)?;
        drop(models::into_values(model.logits(hidden)));
    }
    Ok(Some(tokens as f64 / started.elapsed().as_secs_f64()))
}

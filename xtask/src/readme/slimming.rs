//! The table of all ways of slimming, on one model.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Sources;
use super::figures::{figure, percent};
use super::tables::{NOTHING, list, number, row};

/// The run, and the model and text of it that are shown.
const RUN: &str = "cuts";
const MODEL: &str = "qwen2-silu";
const DATASET: &str = "narrative";

/// What is shown: words, and the recipe as the report has it.
const LINES: &[(&str, &str)] = &[
    ("70 % of the weights to zero, `magnitude`", "cut=weights,method=magnitude,sparsity=0.7"),
    ("70 % of the weights to zero, `wanda`", "cut=weights,method=wanda,sparsity=0.7"),
    ("70 % of the weights to zero, `sparsegpt`", "cut=weights,method=sparsegpt,sparsity=0.7"),
    ("2 of every 4 weights, `sparsegpt`", "cut=weights,method=sparsegpt,pattern=2:4"),
    ("2 bits a weight, `rtn`", "cut=bits,method=rtn,bits=2,group=32"),
    ("2 bits a weight, `gptq`", "cut=bits,method=gptq,bits=2,group=32"),
    ("rank 64, `svd-activations`", "cut=low-rank,method=svd-activations,rank=64"),
    ("one layer dropped, `influence`", "cut=layers,method=drop,score=influence,n=1"),
    ("the first layer as a linear map", "cut=layers,method=linearise,layer=0"),
    (
        "half of the neurons cut, half of the rest skipped per token",
        "cut=ffn,sparsity=0.5,score=wanda + skip=ffn,sparsity=0.5,score=magnitude",
    ),
    (
        "half of the weights to zero, then 4 bits",
        "cut=weights,method=sparsegpt,sparsity=0.5 + cut=bits,method=gptq,bits=4,group=32",
    ),
];

/// A way in a line: what it costs, and what it leaves.
pub(super) fn slimming(sources: &Sources) -> Result<Option<String>> {
    let Some(run) = sources.run(RUN) else { return Ok(None) };
    let mut tables = list(run, "recipes")?.iter();
    let Some(own) = tables.find(|own| own["model"] == MODEL && own["dataset"] == DATASET) else {
        return Ok(None);
    };
    let rows = list(own, "rows")?;
    let named = |recipe: &str| rows.iter().find(|row| row["recipe"] == recipe);
    let dense = named("dense").context("there is no dense row")?;
    let dense_bytes = number(dense, "stored_bytes")?;
    let mut table = format!(
        "{MODEL} on {DATASET}; dense: perplexity {}, {:.2} MB.\n\n| what is done | perplexity × dense | bytes, \
         share of dense | JS divergence to dense, nats |\n| --- | --: | --: | --: |\n",
        figure(number(dense, "perplexity")?),
        dense_bytes / 1e6,
    );
    for (words, recipe) in LINES {
        let found = named(recipe);
        let shown = |show: fn(&Value, f64) -> Option<String>| {
            found.and_then(|row| show(row, dense_bytes)).unwrap_or_else(|| NOTHING.to_owned())
        };
        table += &row([
            (*words).to_owned(),
            shown(|row, _| row["against_dense"]["ratio"].as_f64().map(figure)),
            shown(|row, dense| row["stored_bytes"].as_f64().map(|bytes| percent(bytes / dense))),
            shown(|row, _| row["js_nats"].as_f64().map(|js| format!("{js:.4}"))),
        ]);
    }
    Ok(Some(table))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use plan::{Recipe, Step};
    use serde_json::json;

    use super::{LINES, slimming};
    use crate::readme::Sources;

    /// The recipes are written as the report writes them, so each can be found.
    #[test]
    fn recipes_are_canonical() {
        for (words, recipe) in LINES {
            let steps = recipe.split(" + ").map(|step| step.parse::<Step>().unwrap());
            let read = Recipe::new(steps.collect(), 1).unwrap();
            assert_eq!(&read.text(), recipe, "{words}");
        }
    }

    #[test]
    fn a_line_tells_cost_bytes_and_divergence() {
        let row = |recipe: &str, ratio: f64, bytes: u64| {
            json!({ "recipe": recipe, "perplexity": 4.0 * ratio, "js_nats": 0.03125, "stored_bytes": bytes,
                    "against_dense": { "status": "compared", "ratio": ratio } })
        };
        let dense = json!({ "recipe": "dense", "perplexity": 4.0, "stored_bytes": 2_000_000,
                            "js_nats": null, "against_dense": { "status": "baseline" } });
        let rows = [dense, row(LINES[1].1, 1.25, 1_300_000)];
        let own = json!({ "model": "qwen2-silu", "dataset": "narrative", "rows": rows });
        let other = json!({ "model": "mamba2", "dataset": "narrative", "rows": [] });
        let sources = |recipes| Sources {
            report: Some(json!({ "runs": [{ "run": "cuts", "recipes": recipes }] })),
            records: PathBuf::new(),
        };
        let table = slimming(&sources(json!([other, own]))).unwrap().unwrap();
        assert!(table.starts_with("qwen2-silu on narrative; dense: perplexity 4.00, 2.00 MB.\n"));
        let has = |line: &str| table.lines().any(|own| own == line);
        assert!(has("| 70 % of the weights to zero, `wanda` | 1.25 | 65 % | 0.0312 |"), "{table}");
        assert!(has("| 2 bits a weight, `rtn` | – | – | – |"), "{table}");
        assert!(slimming(&sources(json!([other]))).unwrap().is_none());
    }
}

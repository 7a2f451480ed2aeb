//! Tables made of the report's numbers.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Sources;
use super::figures::{figure, percent};

/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "–";
/// The share dropped in the tables that show one.
const SPARSITY: f64 = 0.9;

/// Every model in a line: what skipping and cutting the same share costs.
pub(super) fn glance(sources: &Sources) -> Result<Option<String>> {
    let Some(run) = sources.run("quick") else { return Ok(None) };
    let models = list(run, "glance")?;
    if models.is_empty() {
        return Ok(None);
    }
    let mut table = "Neurons dropped by size.\n\n| model | text | dropped | dense perplexity | zeros anyway | \
                     per token | for good | last words, dense | per token | for good |\n| --- | --- | --: \
                     | --: | --: | --: | --: | --: | --: | --: |\n"
        .to_owned();
    for model in models {
        let words = |name: &str| model[name].as_f64().map_or(NOTHING.to_owned(), percent);
        table += &row([
            text(model, "model")?.to_owned(),
            text(model, "dataset")?.to_owned(),
            number(model, "sparsity").map(percent)?,
            number(model, "dense_perplexity").map(figure)?,
            number(model, "natural_sparsity").map(percent)?,
            number(model, "dynamic_ratio").map(figure)?,
            number(model, "static_ratio").map(figure)?,
            words("dense_accuracy"),
            words("dynamic_accuracy"),
            words("static_accuracy"),
        ]);
    }
    Ok(Some(table))
}

/// What the report says first.
pub(super) fn findings(sources: &Sources) -> Result<Option<String>> {
    let Some(run) = sources.run("quick") else { return Ok(None) };
    let mut shown = String::new();
    for finding in list(run, "findings")? {
        shown += &format!("* {}\n", text(finding, "text")?);
    }
    Ok(Some(shown))
}

/// Part × method, as multiples of the dense perplexity.
pub(super) fn quadrants(sources: &Sources) -> Result<Option<String>> {
    let Some(run) = sources.run("quick") else { return Ok(None) };
    let columns = [
        ("neurons, static", "ffn", "static", None),
        ("neurons, dynamic", "ffn", "dynamic", None),
        ("state, static", "state", "static", None),
        ("state, dynamic, `read`", "state", "dynamic", Some("read")),
        ("state, dynamic, `write`", "state", "dynamic", Some("write")),
    ];
    let kinds = [
        ("by size", "magnitude", "state-weight"),
        ("by measured effect", "impact", "ghost"),
        ("at random", "random", "random"),
    ];
    let mut table = row([""].into_iter().chain(columns.map(|column| column.0)));
    table += &row(["---"].into_iter().chain(columns.map(|_| "--:")));
    for model in ["zamba2", "mamba2"] {
        // A run of which only a part was made fills no table.
        let Some(rows) = rows(run, model, "narrative")? else { return Ok(None) };
        for (kind, of_neurons, of_state) in kinds {
            let mut fields = vec![format!("{model}, {kind}")];
            for (_, part, policy, mode) in columns {
                let score = if part == "ffn" { of_neurons } else { of_state };
                let wanted = Wanted { part, policy, mode, score, sparsity: SPARSITY };
                let ratio = wanted
                    .find(rows)
                    .and_then(|own| own["measured"]["against_dense"]["ratio"].as_f64());
                fields.push(ratio.map_or(NOTHING.to_owned(), figure));
            }
            table += &row(fields);
        }
    }
    Ok(Some(table))
}

/// What every score does to the neurons of SmolLM2.
pub(super) fn smollm2_neurons(sources: &Sources) -> Result<Option<String>> {
    let Some(run) = sources.run("smollm2-quadrants") else { return Ok(None) };
    let Some(rows) = rows(run, "smollm2", "wikitext2")? else { return Ok(None) };
    let dense = rows.iter().find(|own| own["treatment"]["policy"] == "dense");
    let dense = dense.context("there is no dense row")?;
    let mut table = format!(
        "Dense: {}.\n\n| perplexity | κ=.5 | κ=.75 | κ=.9 |\n| --- | --: | --: | --: |\n",
        figure(number(&dense["measured"], "perplexity")?)
    );
    let lines = [
        ("static", &["magnitude", "impact", "taylor", "fisher", "random"][..]),
        ("dynamic", &["magnitude", "impact", "random"][..]),
    ];
    for (policy, scores) in lines {
        for score in scores {
            let mut fields = vec![format!("{policy}, `{score}`")];
            for sparsity in [0.5, 0.75, 0.9] {
                let wanted = Wanted { part: "ffn", policy, mode: None, score, sparsity };
                let value =
                    wanted.find(rows).and_then(|own| own["measured"]["perplexity"].as_f64());
                fields.push(value.map_or(NOTHING.to_owned(), figure));
            }
            table += &row(fields);
        }
    }
    Ok(Some(table))
}

/// Heads and cache at half, by what is done and what chooses.
pub(super) fn memory(sources: &Sources) -> Result<Option<String>> {
    let Some(run) = sources.run("memory") else { return Ok(None) };
    let ways = [
        ("heads, per token", "heads", "dynamic", None, ["magnitude", "impact"]),
        ("heads, for good", "heads", "static", None, ["magnitude", "impact"]),
        ("cache, unread", "kv", "dynamic", Some("read"), ["key-size", "attention"]),
        ("cache, evicted", "kv", "dynamic", Some("write"), ["key-size", "accumulated"]),
    ];
    let mut table = "| half dropped | by size | by measured effect | at random |\n".to_owned();
    table += "| --- | --: | --: | --: |\n";
    for model in ["opt-relu", "qwen2-silu"] {
        let Some(rows) = rows(run, model, "narrative")? else { return Ok(None) };
        for (name, part, policy, mode, [size, effect]) in ways {
            let mut fields = vec![format!("{model}: {name}")];
            for score in [size, effect, "random"] {
                let wanted = Wanted { part, policy, mode, score, sparsity: 0.5 };
                let ratio = wanted
                    .find(rows)
                    .and_then(|own| own["measured"]["against_dense"]["ratio"].as_f64());
                fields.push(ratio.map_or(NOTHING.to_owned(), figure));
            }
            table += &row(fields);
        }
    }
    Ok(Some(table))
}

/// How often each sentence of the claims file holds, on all runs together.
pub(super) fn verdicts(sources: &Sources) -> Result<Option<String>> {
    let Some(report) = &sources.report else { return Ok(None) };
    // One run alone has its claims in itself.
    let assessment = match &report["claims"] {
        Value::Null => &report["runs"][0]["claims"],
        together => together,
    };
    if assessment.is_null() {
        return Ok(None);
    }
    let runs = list(report, "runs")?.iter().map(|run| text(run, "run"));
    let runs = runs.collect::<Result<Vec<_>>>()?.join("`, `");
    let mut table = format!(
        "Runs: `{runs}`.\n\n| sentence | holds | fails | undecided |\n| --- | --: | --: | --: |\n"
    );
    for claim in list(assessment, "claims")? {
        let checks = list(claim, "checks")?;
        let count = |verdict: &str| {
            checks.iter().filter(|check| check["verdict"] == verdict).count().to_string()
        };
        let sentence = text(claim, "sentence")?.to_owned();
        table += &row([sentence, count("holds"), count("fails"), count("undecided")]);
    }
    Ok(Some(table))
}

/// What is asked of a cell.
struct Wanted<'a> {
    part: &'a str,
    policy: &'a str,
    mode: Option<&'a str>,
    score: &'a str,
    sparsity: f64,
}

impl Wanted<'_> {
    /// The newest such row, with the recalibration that a plan has when it names none.
    fn find<'a>(&self, rows: &'a [Value]) -> Option<&'a Value> {
        let fits = |row: &&Value| {
            let own = &row["treatment"];
            own["part"] == self.part
                && own["policy"] == self.policy
                && own["mode"].as_str() == self.mode
                && own["score"] == self.score
                && own["sparsity"].as_f64().is_some_and(|value| value == self.sparsity)
                && own["recalibration"] != "one-shot"
        };
        rows.iter().filter(fits).max_by_key(|row| row["started_at_ms"].as_i64())
    }
}

/// The perplexity rows of a model on a text; none where it was not run.
fn rows<'a>(run: &'a Value, model: &str, dataset: &str) -> Result<Option<&'a [Value]>> {
    let tables = list(run, "perplexity_tables")?;
    let own = tables.iter().find(|table| table["model"] == model && table["dataset"] == dataset);
    own.map(|own| list(own, "rows")).transpose()
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value]> {
    let list = value[name].as_array().with_context(|| format!("the report has no {name}"))?;
    Ok(list)
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("the report has no {name}"))
}

pub(super) fn number(value: &Value, name: &str) -> Result<f64> {
    value[name].as_f64().with_context(|| format!("the report has no {name}"))
}

/// A row of a Markdown table.
pub(super) fn row<T: AsRef<str>>(fields: impl IntoIterator<Item = T>) -> String {
    let fields = fields.into_iter().map(|field| format!(" {} |", field.as_ref()));
    format!("|{}\n", fields.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::{quadrants, smollm2_neurons, verdicts};
    use crate::readme::Sources;

    fn sources(report: Value) -> Sources {
        Sources { report: Some(report), records: PathBuf::new() }
    }

    fn cell(treatment: Value, started_at_ms: u64, ratio: f64) -> Value {
        json!({
            "treatment": treatment, "started_at_ms": started_at_ms,
            "measured": { "perplexity": 10.0 * ratio, "against_dense": { "status": "compared", "ratio": ratio } },
        })
    }

    #[test]
    fn quadrants_take_the_newest_cell_of_each_kind() {
        let treatment = |score: &str, mode: Value, sparsity: f64| {
            let policy = if mode.is_null() { "static" } else { "dynamic" };
            json!({ "part": "state", "policy": policy, "score": score, "mode": mode,
                    "sparsity": sparsity, "recalibration": Value::Null })
        };
        let rows = json!([
            cell(treatment("ghost", Value::Null, 0.9), 1, 7.0),
            cell(treatment("ghost", Value::Null, 0.9), 2, 5.81),
            cell(treatment("ghost", Value::Null, 0.5), 3, 2.0),
            cell(treatment("ghost", json!("read"), 0.9), 1, 1.009),
        ]);
        let of = |model: &str| json!({ "model": model, "dataset": "narrative", "rows": rows });
        let run = json!({ "run": "quick", "perplexity_tables": [of("zamba2"), of("mamba2")] });
        let table = quadrants(&sources(json!({ "runs": [run] }))).unwrap().unwrap();
        let line = "| mamba2, by measured effect | – | – | 5.81 | 1.009 | – |";
        assert!(table.lines().any(|own| own == line), "{table}");
        let part = json!({ "run": "quick", "counts": { "n_missing": 1 }, "perplexity_tables": [of("zamba2"), of("mamba2")] });
        assert!(quadrants(&sources(json!({ "runs": [part] }))).unwrap().is_none());
        assert!(smollm2_neurons(&sources(json!({ "runs": [] }))).unwrap().is_none());
    }

    #[test]
    fn verdicts_are_counted_on_all_runs() {
        let checks =
            json!([{ "verdict": "holds" }, { "verdict": "fails" }, { "verdict": "holds" }]);
        let claims = json!({ "claims": [{ "sentence": "It holds.", "checks": checks }] });
        let expected = "| It holds. | 2 | 1 | 0 |";
        let both = json!({ "runs": [{ "run": "a" }, { "run": "b" }], "claims": claims });
        let one = json!({ "runs": [{ "run": "a", "claims": claims }], "claims": Value::Null });
        for report in [both, one] {
            let table = verdicts(&sources(report)).unwrap().unwrap();
            assert!(table.lines().any(|own| own == expected), "{table}");
        }
    }
}

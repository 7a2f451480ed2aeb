//! What was measured, as Markdown tables.

use serde_json::Value;

/// A row a model as it ran.
pub(crate) fn rows(rows: &[Value]) -> String {
    let mut table = "| model | as it ran | decode, tokens/s | ÷ dense | prefill, tokens/s | ÷ dense | \
         weights read, MB a token | cache, MB | peak MiB | zeros | perplexity ÷ dense |\n| --- | --- | --: \
         | --: | --: | --: | --: | --: | --: | --: | --: |\n"
        .to_owned();
    for row in rows {
        table += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            row["model"].as_str().unwrap_or_default(),
            row["row"].as_str().unwrap_or_default(),
            spread(&row["decode_tokens_per_second"], 1),
            spread(&row["decode_over_dense"], 2),
            spread(&row["prefill_tokens_per_second"], 0),
            spread(&row["prefill_over_dense"], 2),
            number(&row["weight_bytes_per_token"], 1e-6, 0),
            number(&row["cache_bytes"], 1e-6, 1),
            number(&row["peak_rss_bytes"], 1.0 / f64::from(1 << 20), 0),
            share(&row["natural_zeros"]),
            number(&row["perplexity_over_dense"], 1.0, 3),
        );
    }
    table
}

/// A row a target.
pub(crate) fn targets(aims: &[Value]) -> String {
    let mut table =
        "| model | tokens/s of | over | ratio | target | |\n| --- | --- | --- | --: | --: | --- \
                     |\n"
        .to_owned();
    for aim in aims {
        let (ratio, target) = (&aim["ratio"]["median"], &aim["target"]);
        let (ratio, target) =
            (ratio.as_f64().unwrap_or(f64::NAN), target.as_f64().unwrap_or(f64::NAN));
        let verdict = match ratio >= target {
            true => "reached".to_owned(),
            false => format!("missed by {:.0} %", 100.0 * (1.0 - ratio / target)),
        };
        table += &format!(
            "| {} | {} of {} | {} | {} | ≥ {target} | {verdict} |\n",
            aim["model"].as_str().unwrap_or_default(),
            aim["measure"].as_str().unwrap_or_default(),
            aim["of"].as_str().unwrap_or_default(),
            aim["over"].as_str().unwrap_or_default(),
            spread(&aim["ratio"], 2),
        );
    }
    table
}

/// `1.72 (1.65–1.80)`: the median and the range of the repeats.
fn spread(value: &Value, digits: usize) -> String {
    let [median, least, most] = ["median", "least", "most"].map(|name| value[name].as_f64());
    match (median, least, most) {
        (Some(median), Some(least), Some(most)) => {
            format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
        }
        _ => String::new(),
    }
}

fn number(value: &Value, factor: f64, digits: usize) -> String {
    value.as_f64().map_or(String::new(), |value| format!("{:.digits$}", value * factor))
}

fn share(value: &Value) -> String {
    value.as_f64().map_or(String::new(), |value| format!("{:.1} %", 100.0 * value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_not_measured_is_empty() {
        let spread = json!({ "median": 2.0, "least": 1.5, "most": 2.25 });
        let row = json!({
            "model": "m", "row": "dense", "decode_tokens_per_second": spread, "peak_rss_bytes": 2097152,
            "perplexity_over_dense": null,
        });
        let table = rows(&[row]);
        assert!(table.contains("| m | dense | 2.0 (1.5–2.2) |  |  |"), "{table}");
        assert!(table.ends_with("|  |  | 2 |  |  |\n"), "{table}");
        let aim = json!({
            "model": "m", "of": "a", "over": "b", "measure": "decode", "ratio": spread, "target": 2.5,
        });
        let table = targets(&[aim]);
        assert!(
            table.contains("decode of a | b | 2.00 (1.50–2.25) | ≥ 2.5 | missed by 20 % |"),
            "{table}"
        );
    }
}

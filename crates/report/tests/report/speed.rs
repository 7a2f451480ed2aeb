//! What `cargo xtask speed` left: a table a model and a picture, with or without a run beside it.

use tables::{Repeats, SPEED, SpeedRow, write_speed};

use crate::fixtures::Results;

fn row(model: &str, row: &str, speed: f64, loss: Option<f64>) -> SpeedRow {
    let repeats = |median: f64| Repeats { median, least: 0.5 * median, most: 2.0 * median };
    SpeedRow {
        model: model.to_owned(),
        row: row.to_owned(),
        program: "slim".to_owned(),
        recipe: String::new(),
        weights: "f32".to_owned(),
        zeros: "read".to_owned(),
        parameters: 1000,
        stored_bytes: None,
        prefill_tokens_per_second: repeats(1000.0 * speed),
        decode_tokens_per_second: repeats(100.0 * speed),
        prefill_over_dense: repeats(speed),
        decode_over_dense: repeats(speed),
        weight_bytes_per_token: Some(4e6 / speed),
        cache_bytes: Some(2_000_000),
        peak_rss_bytes: 9_000_000,
        natural_zeros: Some(0.99),
        perplexity: loss.map(|loss| 10.0 * loss),
        perplexity_over_dense: loss,
    }
}

fn write_all(results: &Results) {
    let folder = results.path().join("run");
    std::fs::create_dir_all(&folder).unwrap();
    let rows = [
        row("m", "dense", 1.0, Some(1.0)),
        row("m", "cut", 1.5, Some(1.25)),
        row("m", "cut worse", 1.25, Some(2.0)),
        row("m", "transformers", 0.5, None),
    ];
    write_speed(&folder.join(SPEED), &rows).unwrap();
}

#[test]
fn rows_stand_side_by_side_and_those_that_nothing_beats_are_marked() {
    let results = Results::new();
    write_all(&results);
    let text = results.printed(&["--results", "run", "--json"]);
    let run = &serde_json::from_str::<serde_json::Value>(&text).unwrap()["runs"][0];
    let rows = run["speed"][0]["rows"].as_array().unwrap();
    let front: Vec<&str> = rows
        .iter()
        .filter(|row| row["is_on_front"] == true)
        .map(|row| row["row"].as_str().unwrap())
        .collect();
    assert_eq!(front, ["dense", "cut"]);
    assert_eq!(rows[1]["decode_over_dense"]["most"], 3.0);
    assert_eq!(run["warnings"].as_array().unwrap().len(), 0, "what was timed alone needs no order");
}

#[test]
fn the_page_has_table_and_picture() {
    let results = Results::new();
    write_all(&results);
    let page = results.page();
    assert!(page.contains("Speed beside loss"), "{page}");
    assert!(page.contains("150 [75.0, 300] |  1.50 [0.750, 3.00] |"), "{page}");
    let svg = std::fs::read_to_string(results.path().join("run/loss-and-speed.svg")).unwrap();
    assert!(svg.contains("Perplexity against decoded tokens per second"));
    assert!(svg.contains("cut 1.50 × as fast and 1.250 × dense"), "{svg}");
    assert!(!svg.contains("transformers"), "what has no loss is no point");
}

#[test]
fn a_damaged_table_is_told() {
    let results = Results::new();
    write_all(&results);
    std::fs::write(results.path().join("run").join(SPEED), b"no table").unwrap();
    let page = results.page();
    assert!(page.contains(SPEED), "{page}");
}

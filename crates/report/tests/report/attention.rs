//! What attention looks at: the section of the page, the JSON, and the table of the atlas.

use plan::{Cell, Recipe};
use serde_json::Value;
use tables::{AttentionRow, Frame, Store};

use crate::fixtures::{Results, dense, record, row, text_cell};

/// Two layers of two query heads that read one key head. Of each head 1/2 goes to the first token and 1/4 to
/// the token itself; half of what is kept at layer 5 is kept a token later, and all of it at layer 2.
fn put_attention(store: &Store) {
    let step = "observe=kv,observation=attention,sparsity=0.9".parse().unwrap();
    let recipe = Recipe::new(vec![step], 1).unwrap();
    let cell = Cell { recipe, ..text_cell(dense()) };
    let buckets = [("position", 0, 0.5), ("position", 8, 0.5), ("lag", 0, 0.25), ("lag", 16, 0.75)];
    let mut rows = Vec::new();
    for (site, layer) in [(0, 2), (1, 5)] {
        for head in 0..2 {
            let kept = ("kept", 1, if site == 0 { 1.0 } else { 0.5 });
            rows.extend(buckets.into_iter().chain([kept]).map(|(axis, from, share)| {
                AttentionRow {
                    site,
                    layer,
                    head,
                    key_head: 0,
                    queries: 400,
                    axis: axis.to_owned(),
                    from_tokens: from,
                    to_tokens: from,
                    share,
                    by_chance: 0.125,
                    entropy_nats: 1.5,
                    even_entropy_nats: 2.0,
                    rho_key_size: Some(if site == 0 { -0.5 } else { 0.25 }),
                    rho_value_size: None,
                }
            }));
        }
    }
    store.write_attention(&record("a0", cell, "code-a"), &rows).unwrap();
}

#[test]
fn attention_is_told_by_layer() {
    let results = Results::new();
    put_attention(&results.run("run"));
    let page = results.page();
    let expected = ["50.0 % (12.5 %)", "25.0 % (12.5 %)", "0.75", "-0.50 [-0.50, -0.50]", "–"];
    assert_eq!(row(&page, &["2", "2"])[2..7], expected);
    assert_eq!(row(&page, &["2", "2"])[7], "longer");
    assert_eq!(row(&page, &["5", "2"])[7], "1.0");
    let note = "Kept are 10.0 % of the positions, by attention.";
    assert!(page.contains(note), "{page}");

    let output = results.report(&["--results", "run", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sites = &json["runs"][0]["attention"][0]["sites"];
    assert_eq!((&sites[1]["site"], &sites[1]["layer"]), (&1.into(), &5.into()));
    assert_eq!(sites[1]["sinks"]["share"], 0.5);
}

#[test]
fn the_table_of_the_atlas_has_a_row_a_layer() {
    let results = Results::new();
    put_attention(&results.run("run"));
    results.page();
    let path = results.path().join("run/atlas/attention.parquet");
    let frame = Frame::read(&path, None).unwrap();
    let column = |name: &str| frame.f64s(name).unwrap();
    assert_eq!(frame.u32s("layer").unwrap(), [Some(2), Some(5)]);
    let shares = ["sinks", "recent", "entropy"].map(column);
    assert_eq!(shares, [[Some(0.5); 2], [Some(0.25); 2], [Some(0.75); 2]]);
    assert_eq!(column("half_life_tokens"), [None, Some(1.0)]);
    assert_eq!(column("rho_key_size"), [Some(-0.5), Some(0.25)]);
    assert_eq!(column("rho_key_size_largest"), [Some(-0.5), Some(0.25)]);
}

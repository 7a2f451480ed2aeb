//! Recipes that cut weights: their table, the front, methods at equal strength, claims, and what was
//! observed of layers.

use plan::{Cell, Recipe};
use serde_json::Value;
use tables::{BlockRow, DirectionRow, Left, LensRow, Store, TokenColumns, WindowRow};

use crate::fixtures::{DENSE_NATS, Results, dense, record, text_cell, windows};

const MAGNITUDE: &str = "cut=weights,method=magnitude,sparsity=0.5";
const WANDA: &str = "cut=weights,method=wanda,sparsity=0.5";
const ROUNDED: &str = "cut=weights,method=wanda,sparsity=0.5 + cut=bits,method=rtn,bits=4";
const LINEAR: &str = "cut=layers,method=linearise,layer=1";

fn cell(recipe: &str) -> Cell {
    let steps = recipe.split(" + ").map(|step| step.parse().unwrap());
    Cell { recipe: Recipe::new(steps.collect(), 1).unwrap(), ..text_cell(dense()) }
}

/// Every window loses `more` nats than dense.
fn put(store: &Store, id: &str, cell: Cell, more: f64, stored_bytes: u64) {
    let js_nats = (!cell.recipe.is_dense()).then_some(0.25);
    let rows: Vec<WindowRow> = windows(&[more; DENSE_NATS.len()])
        .into_iter()
        .map(|row| WindowRow { js_nats, ..row })
        .collect();
    let left = Left { stored_bytes, parameters: stored_bytes / 2 };
    store.write_windows(&tables::CellRecord { left, ..record(id, cell, "code-a") }, &rows).unwrap();
}

/// 10 nats more of 100 targets: perplexity × e^.1.
fn write_all(results: &Results) -> Store {
    let store = results.run("run");
    put(&store, "d0", text_cell(dense()), 0.0, 1000);
    put(&store, "m0", cell(MAGNITUDE), 70.0, 600);
    put(&store, "w0", cell(WANDA), 10.0, 600);
    put(&store, "r0", cell(ROUNDED), 20.0, 300);
    put(&store, "l0", cell(LINEAR), 4.0, 900);
    store
}

fn json(results: &Results) -> Value {
    let text = results.printed(&["--results", "run", "--json"]);
    serde_json::from_str::<Value>(&text).unwrap()["runs"][0].clone()
}

#[test]
fn every_recipe_is_a_row_and_those_that_nothing_beats_are_marked() {
    let results = Results::new();
    write_all(&results);
    let run = json(&results);
    let recipes = &run["recipes"][0];
    let rows = recipes["rows"].as_array().unwrap();
    let by = |id: &str| rows.iter().find(|row| row["cell_id"] == id).unwrap();
    assert_eq!(rows.len(), 5);
    assert_eq!(by("d0")["against_dense"]["status"], "baseline");
    let ratio = |id: &str| by(id)["against_dense"]["ratio"].as_f64().unwrap();
    assert!((ratio("w0") - 0.1_f64.exp()).abs() < 1e-12);
    assert_eq!(by("w0")["js_nats"], 0.25);
    assert_eq!(by("r0")["recipe"], format!("{ROUNDED},group=64"));
    assert_eq!(
        (&by("r0")["stored_bytes"], &by("r0")["parameters_left"]),
        (&300.into(), &150.into())
    );
    let front: Vec<&str> = rows
        .iter()
        .filter(|row| row["is_on_front"] == true)
        .map(|row| row["cell_id"].as_str().unwrap())
        .collect();
    // `magnitude` has the bytes of `wanda` and costs more.
    assert_eq!(front.len(), 4);
    assert!(!front.contains(&"m0"));
    // None of them is a row of the tables of one step on neurons or channels.
    let plain = run["perplexity_tables"][0]["rows"].as_array().unwrap();
    assert_eq!(plain.len(), 1, "dense alone");
}

#[test]
fn methods_stand_side_by_side_with_their_own_ratio() {
    let results = Results::new();
    write_all(&results);
    let run = json(&results);
    let methods = &run["recipes"][0]["methods"][0];
    assert_eq!(methods["strength"], "0.5");
    let rows = methods["rows"].as_array().unwrap();
    let wanda = rows.iter().find(|row| row["method"] == "wanda").unwrap();
    let ratio = wanda["against_magnitude"]["ratio"].as_f64().unwrap();
    assert!((ratio - (-0.6_f64).exp()).abs() < 1e-12, "10 nats against 70 of 100 targets");
    let page = results.page();
    assert!(page.contains("What recipes leave, and what they cost"), "{page}");
    assert!(page.contains("methods at κ=0.5"), "{page}");
    assert!(page.contains("weights wanda κ=.5 + bits rtn 4 bits"), "{page}");
    let svg = std::fs::read_to_string(results.path().join("run/stored-bytes.svg")).unwrap();
    assert!(svg.contains("Perplexity against stored bytes") && svg.contains("30.0 %"));
}

/// What the card of a written model says: its numbers beside dense, and what there is no number of.
#[test]
fn a_card_has_the_cells_of_one_recipe() {
    let results = Results::new();
    write_all(&results);
    let card = results.printed(&["--results", "run", "--card", "w0"]);
    let ratio = format!("{:.3} (", 0.1_f64.exp());
    assert!(card.contains(&ratio), "{card}");
    assert_eq!(card.matches("| ppl-").count(), 1, "{card}");
    let missing = card.lines().find(|line| line.starts_with("Not measured")).unwrap();
    assert!(missing.contains("last words") && !missing.contains("perplexity"), "{missing}");
}

/// A model of the same name before its weights were changed, and the same model by other code, are no part
/// of what was measured of this one.
#[test]
fn a_card_has_nothing_of_other_weights_or_code() {
    let results = Results::new();
    let store = write_all(&results);
    let other_text = Cell { dataset: "other".to_owned(), ..cell(WANDA) };
    let mut before = record("w1", other_text.clone(), "code-a");
    before.provenance.weights_sha256 = "44".repeat(32);
    store.write_windows(&before, &windows(&[50.0; DENSE_NATS.len()])).unwrap();
    let by_other_code = record("w2", other_text.clone(), "code-b");
    store.write_windows(&by_other_code, &windows(&[50.0; DENSE_NATS.len()])).unwrap();
    let card = || results.printed(&["--results", "run", "--card", "w0"]);
    assert!(!card().contains("| other |"), "{}", card());
    put(&store, "w3", other_text, 10.0, 600);
    assert!(card().contains("| other |"), "{}", card());
}

/// The first windows of a text choose recipes: what is said of them is no test.
#[test]
fn a_search_is_told_from_a_grid() {
    let results = Results::new();
    write_all(&results);
    let screen = || results.printed(&["--results", "run"]);
    let told = "a search: findings are of text that chose the recipes";
    assert!(!screen().contains(told), "{}", screen());
    let pipelines = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines");
    let plan = results.path().join("run/plan.toml");
    std::fs::copy(format!("{pipelines}/advise.toml"), &plan).unwrap();
    assert!(screen().contains(told), "{}", screen());
    assert!(results.page().contains(&format!("WARNING: {told}")), "{}", results.page());
    std::fs::copy(format!("{pipelines}/quick.toml"), &plan).unwrap();
    assert!(!screen().contains(told), "{}", screen());
}

#[test]
fn the_screen_says_how_few_bytes_do_and_which_method_pays() {
    let results = Results::new();
    write_all(&results);
    // Lines break anywhere between words.
    let screen = results.printed(&["--results", "run"]);
    let screen = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(screen.contains("takes 90.0 % of the dense model's bytes"), "{screen}");
    assert!(screen.contains("by wanda cost 1.105"), "{screen}");
}

#[test]
fn layers_have_their_tables() {
    let results = Results::new();
    let store = write_all(&results);
    let observed = |what: &str| cell(&format!("observe=layers,observation={what}"));
    let blocks: Vec<BlockRow> = [0.9, 0.2, 0.4]
        .into_iter()
        .enumerate()
        .map(|(layer, r2)| BlockRow { layer: layer as u32, fitted_tokens: 10, tokens: 20, r2 })
        .collect();
    store.write_blocks(&record("b0", observed("linearity"), "code-a"), &blocks).unwrap();
    let directions: Vec<DirectionRow> = (0..4)
        .map(|direction| DirectionRow {
            layer: 0,
            direction,
            variance: f64::from(8 - direction),
            sensitivity: f64::from(direction),
        })
        .collect();
    store.write_directions(&record("v0", observed("directions"), "code-a"), &directions).unwrap();
    let run = json(&results);
    let layers = run["linearity"][0]["layers"].as_array().unwrap();
    assert_eq!(layers[1]["r_squared"], 0.2);
    assert!((layers[1]["replaced"]["ratio"].as_f64().unwrap() - 0.04_f64.exp()).abs() < 1e-12);
    assert!(layers[0]["replaced"].is_null(), "it was not run");
    assert_eq!(run["linearity"][0]["rho_with_depth"], -0.5);
    let first = &run["directions"][0]["layers"][0];
    assert_eq!(first["rho"], -1.0, "variance falls as sensitivity rises");
    assert!((first["variance_of_top_tenth"].as_f64().unwrap() - 8.0 / 26.0).abs() < 1e-12);
    let page = results.page();
    assert!(page.contains("R² of a linear map by depth") && page.contains("variance against"));
}

/// Easy tokens as shares, and a row that says what a mean hides.
#[test]
fn early_exits_have_their_tables() {
    let results = Results::new();
    let store = write_all(&results);
    let lens = |leaving: [Option<u64>; 2]| -> Vec<LensRow> {
        let of = |(layer, leaving)| LensRow {
            layer,
            tokens: 40,
            settled: 10 + 30 * u64::from(layer),
            agreeing: 20 + 20 * u64::from(layer),
            probability: 10.0 + 20.0 * f64::from(layer),
            leaving,
        };
        (0..).zip(leaving).map(of).collect()
    };
    let observed = cell("observe=layers,observation=lens,threshold=0.9");
    store.write_lens(&record("e0", observed, "code-a"), &lens([Some(4), Some(36)])).unwrap();
    let exit = "skip=exit,method=confidence,threshold=0.9,mode=full-context";
    let tokens =
        TokenColumns { worst_nll_nats: 31.25, n_worse_than_chance: 7, layers_per_token: Some(1.9) };
    let rows: Vec<WindowRow> = windows(&[1.0; DENSE_NATS.len()])
        .into_iter()
        .map(|row| WindowRow { tokens, ..row })
        .collect();
    let n_rows = rows.len() as u64;
    store.write_windows(&record("x0", cell(exit), "code-a"), &rows).unwrap();
    let run = json(&results);
    let first = &run["lens"][0]["layers"][0];
    assert_eq!((&first["settled"], &first["agreeing"]), (&0.25.into(), &0.5.into()));
    assert_eq!((&first["probability"], &first["leaving"]), (&0.25.into(), &0.1.into()));
    assert_eq!(run["lens"][0]["rule"], "threshold 0.9");
    let rows = run["recipes"][0]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["cell_id"] == "x0").unwrap();
    assert!((row["layers_per_token"].as_f64().unwrap() - 1.9).abs() < 1e-12);
    assert_eq!(row["worst_nll_nats"], 31.25);
    assert_eq!(row["n_worse_than_chance"], 7 * n_rows);
    let page = results.page();
    assert!(page.contains("easy tokens by layer") && page.contains("layers a token"), "{page}");
}

#[test]
fn claims_are_about_recipes_too() {
    let results = Results::new();
    write_all(&results);
    let claims = r#"
name = "structure"
source = "a test"
alpha = 0.05
[[group]]
name = "one"
models = "smollm2"
texts = "wikitext2"
[[claim]]
id = "behind"
sentence = "Size is behind."
groups = "one"
expect = "costs-more"
recipe = [{ cut = "weights", method = "magnitude", sparsity = 0.5 }]
than_recipe = [{ cut = "weights", method = "wanda", sparsity = 0.5 }]
times = 1.5
[[claim]]
id = "cheap"
sentence = "Two steps are cheap."
groups = "one"
expect = "perplexity-at-most"
recipe = [{ cut = "weights", method = "wanda", sparsity = 0.5 }, { cut = "bits", method = "rtn", bits = [4, 3] }]
times = 1.5
[[claim]]
id = "linear"
sentence = "Layers grow linear."
groups = "one"
expect = "linearity-grows"
rho = 0.5
"#;
    std::fs::write(results.path().join("claims.toml"), claims).unwrap();
    let text = results.printed(&["--results", "run", "--json", "--claims", "claims.toml"]);
    let json: Value = serde_json::from_str(&text).unwrap();
    let judged = json["runs"][0]["claims"]["claims"].as_array().unwrap();
    let measured = |claim: usize, check: usize| &judged[claim]["checks"][check]["measurement"];
    let effect = measured(0, 0)["effect"].as_f64().unwrap();
    assert!((effect - 0.6_f64.exp()).abs() < 1e-12, "{effect}");
    assert!((measured(1, 0)["effect"].as_f64().unwrap() - 0.2_f64.exp()).abs() < 1e-12);
    assert!(measured(1, 1).is_null(), "3 bits were not run");
    assert_eq!(judged[2]["verdict"], "not-measured", "no layer was observed");
}

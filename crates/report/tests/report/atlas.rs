//! The importance atlas, with numbers worked out by hand.

use std::fs;

use plan::{Cell, Observation, Part};
use roxmltree::Document;
use serde_json::Value;
use tables::NeuronRow;

use crate::fixtures::{Results, dense, put, put_order, record, row, table_rows, text_cell};
use crate::observations::{
    MAGNITUDE, MAGNITUDE_ELSEWHERE, neurons, observing, put_atlas, put_forward,
};

fn atlas() -> (Results, String) {
    let results = Results::new();
    put_atlas(&results.run("run"), false);
    let page = results.page();
    (results, page)
}

/// The page from one heading to the next of its kind.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(heading).unwrap_or_else(|| panic!("no {heading} in\n{page}"));
    rest.split("\n#### ").next().unwrap()
}

#[test]
fn correlations_are_those_worked_out_by_hand() {
    let (_results, page) = atlas();
    let neurons = section(&page, "#### smollm2 · wikitext2: neurons\n");
    // Ranks of the first site are reversed; at the second 1, 3, 2, 4 against 1, 2, 3, 4: 1 - 6·2/60.
    // Of two sites a resample has the first twice, the second twice, or both.
    let line =
        "Spearman(magnitude, weight): mean -0.100 [-1.000, +0.800]; by layer 0: -1.000, 3: +0.800";
    assert!(neurons.contains(line), "{neurons}");
    let line =
        "Spearman(magnitude, impact): mean +1.000 [+1.000, +1.000]; by layer 0: +1.000, 3: +1.000";
    assert!(neurons.contains(line), "{neurons}");
    // Below the diagonal Spearman, above it Pearson; both of a permutation of 1 to 4 are the same.
    assert_eq!(row(neurons, &["magnitude"])[1..3], ["1", "-0.100"]);
    assert_eq!(row(neurons, &["weight"])[1..3], ["-0.100", "1"]);
    // Pearson of 1, 2, 3, 4 with 1, 4, 9, 16.
    assert_eq!(row(neurons, &["magnitude"])[3], "+0.984");
    assert_eq!(row(neurons, &["impact"])[1], "+1.000");
    // A sample of two neurons a site: with magnitude at both, with weight at one.
    assert_eq!(row(neurons, &["ablation"])[1..3], ["+1.000", "+0.000"]);
    let finding = "- corr(magnitude, weight) on smollm2/wikitext2: mean -0.100 [-1.000, +0.800], \
                   negative at 1 of 2 sites, from -1.000 at layer 0 to +0.800 at layer 3; \
                   corr(magnitude, impact) +1.000 [+1.000, +1.000]; on zebras: -0.900 and +1.000 \
                   (Spearman per site).\n";
    assert!(page.contains(finding), "{page}");
    let finding = "from the best predictor to the worst: magnitude +1.000 [+1.000, +1.000], impact \
                   +1.000 [+1.000, +1.000], weight +0.000 [-1.000, +1.000]; without 0.0 % of those sampled \
                   the loss is lower.\n";
    assert!(page.contains(finding), "{page}");
}

#[test]
fn what_is_constant_or_was_not_observed_is_said() {
    let (_results, page) = atlas();
    let neurons = section(&page, "#### smollm2 · wikitext2: neurons\n");
    assert_eq!(row(neurons, &["energy"])[1..], ["–", "–", "–", "1", "–"]);
    let constant = "Constant, so that there is no correlation and no kept set: energy at 2 sites \
                    (layer 0, 3).";
    assert!(neurons.contains(constant), "{neurons}");
    assert!(neurons.contains("2 sites, 8 neurons, ppl-101; not observed: gradient.\n"));
    let elsewhere = section(&page, "#### smollm2 · zebras: neurons\n");
    assert!(elsewhere.contains("not observed: gradient, ablation.\n"), "{elsewhere}");
    assert!(!page.contains("NaN"), "{page}");
}

#[test]
fn kept_sets_and_stability_are_those_worked_out_by_hand() {
    let (_results, page) = atlas();
    let neurons = section(&page, "#### smollm2 · wikitext2: neurons\n");
    let (_, kept) = neurons.split_once("Kept sets").unwrap();
    // Of four neurons two are kept at κ=.5: none and 1 of 3 are shared, mean 1/6. At κ=.9 one is kept:
    // another one at the first site, the same at the second. A constant score keeps nothing.
    assert_eq!(row(kept, &["magnitude"]), ["magnitude", "1", "0.500", "1.000"]);
    assert_eq!(row(kept, &["weight"]), ["weight", "0.167", "1", "0.500"]);
    let finding = "Kept sets at κ=0.9 on smollm2/wikitext2 (Jaccard index, mean over sites): \
                   magnitude with impact 1.00, with weight 0.500; from wikitext2 to zebras the \
                   Jaccard index of its kept sets is 0.500.";
    assert!(page.contains(finding), "{page}");
    // On the other text the second site is reversed.
    let stability = section(&page, "#### Stability over texts (ffn)\n");
    let expected = [
        "magnitude",
        "wikitext2 and zebras",
        "+0.000 [-1.000, +1.000]",
        "0.500 [0.000, 1.000]",
        "0.500 [0.000, 1.000]",
    ];
    assert_eq!(row(stability, &["magnitude"]), expected);
    assert!(table_rows(stability).iter().all(|row| row[0] != "weight"), "the same on every text");
}

#[test]
fn the_state_has_its_proxy_gap_and_persistence() {
    let (_results, page) = atlas();
    // Weights 8 to 1 against energies 8, 7, 1, 2, 3, 4, 5, 6: Σ of products of deviations 7 of 42. The
    // four heavy ones are the first, the four energetic ones the first two and the last two.
    let gap = "Proxy gap over 8 channels of all layers: Pearson of state-weight with mean H² +0.167; at \
               κ=0.5 the ranks disagree on 50.0 %: 25.0 % phantom (small weight, high energy), 25.0 % \
               corporeal (the reverse).";
    assert!(page.contains(gap), "{page}");
    let bins = [
        ("0 to 4", "2.00", "0.0100", "1.00"),
        ("4 to 16", "8.00", "0.0200", "2.00"),
        ("16 to 64", "32.0", "0.0400", "4.00"),
        ("64 or more", "128", "0.0800", "8.00"),
    ];
    for (bin, half_life, write, ratio) in bins {
        let expected = [bin, "2", half_life, "0.100", "0.0100", write, ratio];
        assert_eq!(row(&page, &[bin]), expected);
    }
    let correlations = "with ablation –, with ablation-read –, with ablation-write +1.000 \
                        [+1.000, +1.000].";
    assert!(page.contains(correlations), "{page}");
    let finding = "dropping a channel for 16 tokens at a time costs 1.00 times as much in write mode as \
                   in read mode where half-lives average 2.00 tokens (2 channels), 8.00 times \
                   where they average 128 (2 channels).";
    assert!(page.contains(finding), "{page}");
}

#[test]
fn overlaps_are_means_over_sites_with_chance_beside_them() {
    let (_results, page) = atlas();
    let section =
        section(&page, "#### Kept neurons that two tokens share: wikitext2, magnitude, κ=0.9\n");
    let rows = table_rows(section);
    assert_eq!(rows[2], ["1", "40.0 % [30.0 %, 50.0 %]", "0.200", "10.0 %"]);
    assert_eq!(rows[3], ["16", "20.0 % [20.0 %, 20.0 %]", "0.100", "10.0 %"]);
    let finding = "sets 1 token apart share 40.0 % of their neurons, sets 16 tokens apart 20.0 %; by \
                   chance 10.0 %. After 1 token 60.0 % of a set is new.";
    assert!(page.contains(finding), "{page}");
}

#[test]
fn observations_are_cells_but_no_perplexities() {
    let results = Results::new();
    let store = results.run("run");
    put_atlas(&store, false);
    put(&store, "00", dense(), &[0.0; 4]);
    let order = [
        ("00", text_cell(dense())),
        ("n0", text_cell(observing(Part::Ffn, Observation::Forward))),
        ("n9", text_cell(observing(Part::Ffn, Observation::Gradient))),
    ];
    put_order(&store, &order);
    let page = results.page();
    let counts =
        "- Of 3 cells ordered: 2 done, 0 failed, 1 missing; of earlier orders 5 done, 0 failed.";
    assert!(page.contains(counts), "{page}");
    let policies: Vec<_> =
        table_rows(&page).into_iter().filter(|row| row[0] == "observe").collect();
    assert!(policies.is_empty(), "{page}");
    assert!(page.contains("(14.00 s in cells)"), "{page}");
}

#[test]
fn damaged_observations_are_listed_and_the_rest_is_shown() {
    let results = Results::new();
    let store = results.run("run");
    put_forward(&store, "n0", "wikitext2", MAGNITUDE);
    let cell = |dataset: &str, observation| Cell {
        dataset: dataset.to_owned(),
        ..text_cell(observing(Part::Ffn, observation))
    };
    let torn = record("n1", cell("zebras", Observation::Forward), "code-a");
    let path = store.write_neurons(&torn, &neurons(MAGNITUDE_ELSEWHERE)).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let twice: Vec<NeuronRow> = [neurons(MAGNITUDE), neurons(MAGNITUDE)].concat();
    let twin = record("n2", cell("wikitext2", Observation::Gradient), "code-a");
    let twin = store.write_neurons(&twin, &twice).unwrap();
    let renamed = record("n3", cell("wikitext2", Observation::Ablation), "code-a");
    let renamed = store.write_neurons(&renamed, &neurons(MAGNITUDE)).unwrap();
    fs::rename(&renamed, renamed.with_file_name("n4.parquet")).unwrap();

    let page = results.page();
    let reason = |path: &std::path::Path| {
        let file = format!("`{}`", path.strip_prefix(store.folder()).unwrap().display());
        row(&page, &[&file])[1].to_owned()
    };
    assert!(reason(&path).contains("Parquet"), "{page}");
    assert!(reason(&twin).contains("site and neuron (0, 0) appear twice"), "{page}");
    let renamed = reason(&renamed.with_file_name("n4.parquet"));
    assert_eq!(renamed, "its rows are of cell n3, its name says n4");
    assert!(page.contains("- Cells: 1 done, 0 failed; 3 files unreadable.\n"), "{page}");
    let neurons = section(&page, "#### smollm2 · wikitext2: neurons\n");
    assert!(neurons.contains("not observed: gradient, ablation.\n"), "{neurons}");
}

/// Every byte of a good file changed in turn, in steps: listed or harmless, never the end.
#[test]
fn no_flipped_bit_in_an_observation_ends_the_report() {
    let results = Results::new();
    let store = results.run("run");
    put_forward(&store, "n0", "wikitext2", MAGNITUDE);
    let other = record("n1", text_cell(observing(Part::Ffn, Observation::Gradient)), "code-a");
    let path = store.write_neurons(&other, &neurons(MAGNITUDE)).unwrap();
    let good = fs::read(&path).unwrap();
    let n_copies = 150;
    for copy in 0..n_copies {
        let mut bytes = good.clone();
        let position = copy * bytes.len() / n_copies;
        bytes[position] ^= 1 << (copy % 8);
        fs::write(path.with_file_name(format!("f{copy:03}.parquet")), bytes).unwrap();
    }
    let page = results.page();
    let n_listed = table_rows(&page).iter().filter(|row| row[0].contains("/f")).count();
    assert_eq!(n_listed, n_copies);
}

#[test]
fn observations_by_other_code_are_not_joined() {
    let results = Results::new();
    let store = results.run("run");
    put_forward(&store, "n0", "wikitext2", MAGNITUDE);
    let ablation = text_cell(observing(Part::Ffn, Observation::Ablation));
    let rows = neurons(MAGNITUDE).into_iter().map(|row| NeuronRow {
        ablation: row.magnitude,
        magnitude: None,
        weight: None,
        impact: None,
        energy: None,
        ..row
    });
    let rows: Vec<NeuronRow> = rows.collect();
    store.write_neurons(&record("n1", ablation, "code-b"), &rows).unwrap();
    let page = results.page();
    assert!(page.contains("WARNING: CODE VERSIONS DIFFER"), "{page}");
    let left_out = "1 observation by other code, on another device or of another protocol, limit, \
                    model or text left out.";
    assert!(page.contains(left_out), "{page}");
    assert!(!page.contains("from the best predictor"), "{page}");
}

#[test]
fn json_and_parquet_carry_all_of_it() {
    let (results, _page) = atlas();
    let output = results.report(&["--results", "run", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let atlas = &json["runs"][0]["atlas"];
    let first = &atlas["entries"][0]["correlations"][0];
    assert_eq!((&first["first"], &first["second"]), (&"magnitude".into(), &"weight".into()));
    let values: Vec<f64> =
        first["sites"].as_array().unwrap().iter().map(|s| s["value"].as_f64().unwrap()).collect();
    assert!((values[0] + 1.0).abs() < 1e-12 && (values[1] - 0.8).abs() < 1e-12, "{values:?}");
    let constant = &atlas["entries"][0]["correlations"].as_array().unwrap();
    let constant = constant.iter().find(|own| own["second"] == "energy").unwrap();
    assert_eq!(constant["sites"][0]["why"], "constant");
    assert_eq!(atlas["entries"][1]["proxy_gap"]["phantom"], 0.25);
    assert_eq!(atlas["entries"][1]["persistence"][0]["bins"][3]["write_over_read"], 8.0);
    assert_eq!(atlas["overlaps"][0]["lags"][0]["overlap"]["value"], 0.4);
    for name in ["similarities", "proxy_gap", "persistence", "overlap"] {
        let file = results.path().join(format!("run/atlas/{name}.parquet"));
        assert!(file.metadata().unwrap().len() > 500, "{name}");
    }
}

#[test]
fn the_same_observations_give_the_same_bytes() {
    let (first, second) = (Results::new(), Results::new());
    put_atlas(&first.run("run"), false);
    put_atlas(&second.run("run"), true);
    assert_eq!(first.page(), second.page());
    let files = ["atlas.svg", "atlas/similarities.parquet", "atlas/overlap.parquet"];
    for name in files.into_iter().chain(["atlas/proxy_gap.parquet", "atlas/persistence.parquet"]) {
        let bytes = |results: &Results| fs::read(results.path().join("run").join(name)).unwrap();
        let before = bytes(&first);
        assert_eq!(before, bytes(&second), "{name}");
        first.page();
        assert_eq!(before, bytes(&first), "{name}");
    }
    let json = |results: &Results| results.report(&["--results", "run", "--json"]).stdout;
    assert_eq!(json(&first), json(&second));
}

#[test]
fn the_tables_lie_beside_the_page() {
    let results = Results::new();
    put_atlas(&results.run("a"), false);
    put_atlas(&results.run("b"), false);
    assert!(results.report(&["--results", "a", "--json"]).status.success());
    assert!(!results.path().join("a/atlas").exists());
    assert!(results.report(&["--results", ".", "--out", "all.md"]).status.success());
    for name in ["a", "b"] {
        assert!(results.path().join(format!("{name}-atlas/overlap.parquet")).is_file());
        assert!(!results.path().join(name).join("atlas").exists());
    }
}

#[test]
fn the_heat_map_has_its_numbers_in_its_fields() {
    let (results, page) = atlas();
    assert!(page.contains("](atlas.svg)"), "{page}");
    assert!(page.contains("[smollm2 · wikitext2: neurons](#smollm2--wikitext2-neurons)"), "{page}");
    assert!(page.contains("Not shown: smollm2 · zebras: neurons."), "{page}");
    let text = fs::read_to_string(results.path().join("run/atlas.svg")).unwrap();
    let svg = Document::parse(&text).unwrap();
    assert!(!text.contains("=\"#0000"), "{text}");
    let texts: Vec<&str> = svg
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .map(str::trim)
        .collect();
    // Three pairs of neurons' scores and one of channels', twice.
    assert_eq!(texts.iter().filter(|text| **text == "+1.00").count(), 2 * 4, "{texts:?}");
    for expected in ["-0.10", "1 magnitude", "5 ablation", "smollm2 · wikitext2: state channels"] {
        assert!(texts.contains(&expected), "no {expected} in {texts:?}");
    }
    let has_class =
        |class: &str| svg.descendants().any(|node| node.attribute("class") == Some(class));
    assert!(has_class("plus s4") && has_class("minus s0"));
}

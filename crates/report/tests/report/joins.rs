//! Which observations the atlas sets side by side, which text its sentences are about, and when
//! they open the page.

use plan::{
    Cell, ModelInput, Observation, Part, Policy, Reading, TextInput, Treatment, TreatmentSpec,
    WorkOrder, cell_id,
};
use serde_json::Value;
use tables::{CellRecord, ChannelRow, Frame, Store};

use crate::fixtures::{Results, dense, order, pruned, put, record, row, text_cell, write_order};
use crate::observations::{
    MAGNITUDE, MAGNITUDE_ELSEWHERE, ablations, cell, channel_ablations, channels, neurons,
    observing, put_atlas, put_forward,
};

/// State ablations that drop a channel for `window` tokens at a time; what `write` mode costs is
/// `factor` times as much.
fn put_dropped(store: &Store, id: &str, window: usize, factor: f64) {
    let spec = TreatmentSpec {
        part: Part::State,
        observation: Some(Observation::Ablation),
        window: Some(window),
        ..TreatmentSpec::of(Policy::Observe, 1)
    };
    let cell = cell("wikitext2", Treatment::new(spec).unwrap());
    let rows = channel_ablations().into_iter().map(|row| {
        let ablation_write = row.ablation_write.map(|nats| factor * nats);
        ChannelRow { ablation_write, ..row }
    });
    let rows: Vec<ChannelRow> = rows.collect();
    store.write_channels(&record(id, cell, "code-a"), &rows).unwrap();
}

fn put_channels(store: &Store, id: &str, dataset: &str) {
    let cell = cell(dataset, observing(Part::State, Observation::Forward));
    store.write_channels(&record(id, cell, "code-a"), &channels()).unwrap();
}

fn parquet(results: &Results, name: &str) -> Frame {
    let file = results.path().join(format!("run/atlas/{name}.parquet"));
    Frame::read(&file, None).unwrap()
}

/// The sentences that open a page.
fn opening(page: &str) -> &str {
    page.split_once("\n## More pictures").unwrap().0
}

#[test]
fn ablations_for_other_windows_are_other_ablations() {
    let results = Results::new();
    let store = results.run("run");
    put_channels(&store, "c0", "wikitext2");
    put_dropped(&store, "c1", 4, 1.0);
    put_dropped(&store, "c2", 32, 2.0);
    let page = results.page();
    assert!(!page.contains("of several observations of one kind"), "{page}");
    assert!(page.contains("ppl-101; not observed: gradient.\n"), "{page}");
    // Half-lives of 2, 8, 32 and 128 tokens; 0.01 in read mode, 0.01, 0.02, 0.04, 0.08 in write mode.
    let memory = "- The memory of smollm2 on wikitext2: dropping a channel for 4 tokens at a time \
                  costs 1.00 times as much in write mode as in read mode where half-lives average \
                  2.00 tokens (2 channels), 6.00 times where they average 80.0 (4 channels); for 32 \
                  tokens 2.00 times where half-lives average 2.00 tokens (2 channels), 16.0 times \
                  where they average 128 (2 channels).\n";
    assert!(opening(&page).contains(memory), "{page}");
    let (_, short) = page.split_once("every other window of W=4 tokens").unwrap();
    let (short, long) = short.split_once("every other window of W=32 tokens").unwrap();
    let expected = ["16 or more", "4", "80.0", "0.100", "0.0100", "0.0600", "6.00"];
    assert_eq!(row(short, &["16 or more"]), expected);
    let expected = ["128 or more", "2", "128", "0.100", "0.0100", "0.160", "16.0"];
    assert_eq!(row(long, &["128 or more"]), expected);
    assert!(long.contains("mean over sites (W=32): with ablation –,"), "{long}");

    let json = results.report(&["--results", "run", "--json"]).stdout;
    let json: Value = serde_json::from_slice(&json).unwrap();
    let persistence = json["runs"][0]["atlas"]["entries"][0]["persistence"].as_array().unwrap();
    let windows: Vec<&Value> = persistence.iter().map(|own| &own["dropped_tokens"]).collect();
    assert_eq!(windows, [4, 32]);
    assert_eq!(persistence[1]["bins"][3]["write_over_read"], 16.0);

    let bins = parquet(&results, "persistence");
    let windows: Vec<Option<u32>> = bins.u32s("dropped_tokens").unwrap();
    assert_eq!(windows, [[Some(4); 3].as_slice(), &[Some(32); 4]].concat());
    // Of each W: half-life against three rises, at two sites and their mean.
    let similarities = parquet(&results, "similarities");
    let windows = similarities.u32s("dropped_tokens").unwrap();
    for window in [4, 32] {
        assert_eq!(windows.iter().filter(|own| **own == Some(window)).count(), 9);
    }
}

#[test]
fn sentences_are_about_the_first_text_that_has_what_they_say() {
    let results = Results::new();
    let store = results.run("run");
    put_atlas(&store, false);
    put_forward(&store, "n5", "aardvarks", MAGNITUDE);
    put_channels(&store, "c5", "aardvarks");
    let page = results.page();
    let opening = opening(&page);
    assert!(opening.contains("- corr(magnitude, weight) on smollm2/aardvarks: mean"), "{page}");
    let gap = "- The state of smollm2 on aardvarks: Pearson of state-weight with runtime energy";
    assert!(opening.contains(gap), "{page}");
    let memory = "- The memory of smollm2 on wikitext2: dropping a channel for 16 tokens at a time";
    assert!(opening.contains(memory), "{page}");
    let damage = "- What dropping a neuron alone does to the loss (smollm2/wikitext2, ablation of a \
                  sample, Spearman per site)";
    assert!(page.contains(damage), "{page}");
}

/// An order of a dense and a static cell that knows its model and its texts, so that ids can be
/// worked out.
fn with_inputs(store: &Store) -> WorkOrder {
    let cells = [("00", text_cell(dense())), ("01", text_cell(pruned(Policy::Static, 0.5)))];
    let text = |name: &str| TextInput {
        name: name.to_owned(),
        path: format!("{name}.raw").into(),
        sha256: name.to_owned(),
        reading: Reading::default(),
    };
    let model = ModelInput {
        name: "smollm2".to_owned(),
        path: "smollm2.gguf".into(),
        sha256: "11".repeat(32),
        tokenizer_sha256: "22".repeat(32),
        planned: false,
        tokenizer: None,
        time_steps: plan::TimeSteps::default(),
    };
    let texts = ["wikitext2", "wikitext2-valid"].map(text).into();
    WorkOrder { models: vec![model], texts, ..order(store, &cells) }
}

/// Stores what a static cell chooses its sets by.
fn put_scores(store: &Store, order: &WorkOrder) -> Cell {
    let scores = order.cells[1].cell.scores_cell().unwrap();
    let id = cell_id(&scores, &order.inputs_of(&scores).unwrap());
    store.write_neurons(&record(&id, scores.clone(), "code-a"), &neurons(MAGNITUDE)).unwrap();
    scores
}

#[test]
fn scores_stored_on_the_way_are_of_this_order_and_open_no_page() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &[0.0; 4]);
    put(&store, "01", pruned(Policy::Static, 0.5), &[50.0; 4]);
    let order = with_inputs(&store);
    let scores = put_scores(&store, &order);
    write_order(&store, &order);
    let page = results.page();
    assert!(page.contains("- Of 2 cells ordered: 2 done, 0 failed, 0 missing.\n"), "{page}");
    assert!(!opening(&page).contains("corr("), "{page}");
    // What was stored on the way is drawn, but it is no finding.
    assert!(page.contains("](atlas.svg)"), "{page}");
    let (_, atlas) = page.split_once("## Importance atlas\n").unwrap();
    assert!(atlas.contains("#### smollm2 · wikitext2-valid: neurons\n"), "{atlas}");
    let note = "ppl-101; not ordered, but stored on the way to static sets; not observed:";
    assert!(atlas.contains(note), "{atlas}");

    // Scores that this order neither asks for nor needs are of an earlier one.
    store.write_neurons(&record("n9", scores, "code-a"), &neurons(MAGNITUDE)).unwrap();
    let counts = "0 missing; of earlier orders 1 done, 0 failed.\n";
    assert!(results.page().contains(counts), "{}", results.page());
    // Without an order nobody knows.
    std::fs::remove_file(store.folder().join("order.json")).unwrap();
    let page = results.page();
    assert!(opening(&page).contains("- Cells: 4 done, 0 failed.\n"), "{page}");
    assert!(opening(&page).contains("corr(") && page.contains("](atlas.svg)"), "{page}");
}

#[test]
fn ordered_observations_stand_before_those_stored_on_the_way() {
    let results = Results::new();
    let store = results.run("run");
    put_forward(&store, "n0", "zebras", MAGNITUDE_ELSEWHERE);
    let mut order = with_inputs(&store);
    put_scores(&store, &order);
    let observing = cell("zebras", observing(Part::Ffn, Observation::Forward));
    order.cells.push(plan::OrderedCell { id: "n0".to_owned(), cell: observing });
    write_order(&store, &order);
    let page = results.page();
    assert!(page.contains("- Of 3 cells ordered: 1 done, 0 failed, 2 missing.\n"), "{page}");
    assert!(opening(&page).contains("- corr(magnitude, weight) on smollm2/zebras: mean"), "{page}");
    assert!(page.contains("Not shown: smollm2 · wikitext2-valid: neurons."), "{page}");
}

/// Magnitudes of `zebras`, and an ablation of `wikitext2`, that differ from what is stored of
/// `wikitext2` as `changed` says.
fn beside_forward(changed: impl Fn(CellRecord) -> CellRecord) -> String {
    let results = Results::new();
    let store = results.run("run");
    put_forward(&store, "n0", "wikitext2", MAGNITUDE);
    let of = |id: &str, dataset: &str, observation| {
        changed(record(id, cell(dataset, observing(Part::Ffn, observation)), "code-a"))
    };
    let ablation = of("n1", "wikitext2", Observation::Ablation);
    store.write_neurons(&ablation, &ablations()).unwrap();
    let zebras = of("n2", "zebras", Observation::Forward);
    store.write_neurons(&zebras, &neurons(MAGNITUDE_ELSEWHERE)).unwrap();
    results.page()
}

const LEFT_OUT: &str = "1 observation by other code, on another device or of another protocol, \
                        limit, model or text left out.";

#[test]
fn unequal_limits_are_not_joined_and_are_named_between_texts() {
    let page = beside_forward(|record| record);
    assert!(page.contains("from the best predictor") && !page.contains(LEFT_OUT), "{page}");
    assert_eq!(row(&page, &["magnitude", "wikitext2 and zebras"]).len(), 5);
    for (limit, name) in [(Some(8), "limit 8"), (None, "no limit")] {
        let page = beside_forward(|record| CellRecord {
            cell: Cell { limit, ..record.cell.clone() },
            ..record
        });
        assert!(page.contains(LEFT_OUT), "{page}");
        assert!(!page.contains("from the best predictor"), "{page}");
        row(&page, &["magnitude", &format!("wikitext2 (limit 4) and zebras ({name})")]);
        let stable = format!(
            "from wikitext2 (limit 4) to zebras ({name}) the Jaccard index of its kept sets is 0.500."
        );
        assert!(page.contains(&stable), "{page}");
    }
}

#[test]
fn devices_are_not_joined() {
    let page = beside_forward(|mut record| {
        record.provenance.device = "vulkan".to_owned();
        record
    });
    assert!(page.contains(LEFT_OUT) && !page.contains("from the best predictor"), "{page}");
    assert!(!page.contains("Stability over texts"), "{page}");
}

//! Recipes through the worker: every kind of step runs in a grid, static cells run on smaller models, and
//! what is stored says what was done.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::path::Path;

use common::{
    golden_model, golden_text, order,
    real::{Asked, answered, request},
    run, stderr,
};
use importance::{Calibrating, Magnitude};
use models::{Batch, Device, load};
use plan::{Calibration, CalibrationText, Cell, CellRequest, Compare, Protocol, Recipe, Way};
use skips::{Masking, Selection};
use tables::{Store, WindowRow, read_blocks, read_directions, read_lens, read_windows};

const WINDOW_TOKENS: usize = 16;

fn cell(recipe: &str) -> Cell {
    let steps = recipe
        .split(" + ")
        .filter(|step| *step != "dense")
        .map(|step| step.parse().unwrap_or_else(|error| panic!("{step}: {error}")));
    let recipe = Recipe::new(steps.collect(), 1).unwrap();
    let is_observed = recipe.observation().is_some();
    Cell {
        model: "llama".to_owned(),
        dataset: "text".to_owned(),
        protocol: Protocol::Perplexity { window_tokens: WINDOW_TOKENS },
        limit: Some(6),
        calibration: recipe.needs_calibration().then(|| Calibration {
            dataset: "calibration".to_owned(),
            limit: Some(20),
            window_tokens: WINDOW_TOKENS,
        }),
        offset: None,
        compare: (!is_observed && !recipe.is_dense()).then_some(Compare::Dense),
        recipe,
    }
}

/// The file of every cell, in order.
fn files(model: &str, recipes: &[&str], folder: &Path) -> Vec<std::path::PathBuf> {
    let cells: Vec<Cell> = recipes.iter().map(|recipe| cell(recipe)).collect();
    let order = order(&folder.join("run"), &place_of(model), cells);
    let output = run(&order, folder);
    assert!(output.status.success(), "{}", stderr(&output));
    let store = Store::open_read_only(&order.results).unwrap();
    let path = |own: &plan::OrderedCell| store.result_path(&own.id, &own.cell).unwrap();
    order.cells.iter().map(path).collect()
}

fn windows(model: &str, recipes: &[&str]) -> Vec<Vec<WindowRow>> {
    let folder = tempfile::tempdir().unwrap();
    files(model, recipes, folder.path()).iter().map(|file| read_windows(file).unwrap()).collect()
}

/// A golden model with a tokenizer, or a small model of the project: the hybrid has states.
fn place_of(model: &str) -> std::path::PathBuf {
    match model {
        "zamba2" | "opt-relu" => common::repository().join("data/models").join(model),
        _ => golden_model(model),
    }
}

fn nll(rows: &[WindowRow]) -> f64 {
    rows.iter().map(|row| row.nll_nats).sum()
}

/// The example of every kind, on a model that has its part, gives the rows of another model; sizes are
/// those of the small models.
#[test]
fn every_kind_of_step_runs() {
    let small = |example: &str| {
        example
            .replace("rank=64", "rank=4")
            .replace("n=3", "n=1")
            .replace("window=16", "window=4")
            .replace(",bits=4", ",bits=3,group=8")
            .replace("threshold=0.95", "threshold=0.05")
    };
    for kind in plan::kinds().iter().filter(|kind| kind.way != Way::Observe) {
        let model = if kind.part == "state" { "zamba2" } else { "llama" };
        let recipe = small(kind.example);
        let rows = windows(model, &["dense", &recipe]);
        let (dense, changed) = (&rows[0], &rows[1]);
        assert_eq!(dense.len(), changed.len(), "{recipe}");
        let is_same = nll(dense) == nll(changed);
        assert!(!is_same, "{recipe} leaves the model as it is");
        assert!(dense.iter().all(|row| row.js_nats.is_none()));
        let js: Vec<f64> = changed.iter().map(|row| row.js_nats.unwrap()).collect();
        assert!(js.iter().all(|js| (0.0..std::f64::consts::LN_2).contains(js)), "{recipe}: {js:?}");
        let is_rotation = kind.name == "rotate";
        let most = js.iter().copied().max_by(f64::total_cmp).unwrap();
        assert_eq!(most < 1e-6, is_rotation, "{recipe}: {most}");
    }
}

/// A static cell is a smaller model, with the losses of the masked one.
#[test]
fn a_static_cell_runs_on_the_smaller_model_and_equals_the_masked_one() {
    let found = &windows("llama", &["cut=ffn,score=magnitude,sparsity=0.5"])[0];
    assert!(
        found
            .iter()
            .all(|row| row.shares.kept_energy.is_none() && row.shares.natural_sparsity.is_none())
    );
    let folder = golden_model("llama");
    let model = load(&folder, &Device::flex()).unwrap().model;
    let tokenizer = corpora::Tokenizer::from_folder(&folder).unwrap();
    let text = |file: &str| corpora::Text::read(&common::golden_text(file)).unwrap();
    let calibration =
        corpora::calibration_windows(&text("calibration.raw"), &tokenizer, WINDOW_TOKENS, Some(20));
    let mut calibrating = Calibrating::new();
    for window in calibration.unwrap() {
        model.forward(&Batch::new([window.as_slice()]), &mut calibrating).unwrap();
    }
    let scores = calibrating.finish();
    let sets = cuts::static_sets(model.as_ref(), &scores, &Magnitude, 0.5, 1);
    let mut masking = Masking::new(Selection::Static(sets));
    let (windows, _) =
        corpora::windows(&text("text.raw"), &tokenizer, WINDOW_TOKENS, Some(6)).unwrap();
    let windows = corpora::Item::windows(windows);
    let passes = evaluation::Passes::Whole;
    let masked =
        evaluation::evaluate(model.as_ref(), &mut masking, &windows, passes, None).unwrap();
    for (found, masked) in found.iter().zip(&masked) {
        let apart = (found.nll_nats + masked.logprob_nats).abs();
        assert!(apart < 1e-4, "{} {}", found.nll_nats, -masked.logprob_nats);
        assert!((found.shares.reached_sparsity - 0.5).abs() < 1e-12);
    }
}

/// Heads that are cut for good are those that the rule `calibration` skips, by every score, and on a model
/// that is cut already too.
#[test]
fn cut_heads_are_the_skipped_ones() {
    for (model, before) in [
        ("llama", ""),
        ("opt-relu", ""),
        ("zamba2", ""),
        ("llama", "cut=weights,method=magnitude,sparsity=0.3 + "),
    ] {
        for score in ["magnitude", "impact", "taylor", "random"] {
            if score == "taylor" && !before.is_empty() {
                continue;
            }
            let settings = format!("heads,score={score},sparsity=0.5");
            let cut = format!("{before}cut={settings}");
            let skip = format!("{before}skip={settings},window=4,rule=calibration");
            let rows = windows(model, &[&cut, &skip]);
            for (cut, skipped) in rows[0].iter().zip(&rows[1]) {
                let apart = (cut.nll_nats - skipped.nll_nats).abs();
                assert!(apart < 1e-4, "{model}, {score}: {} {}", cut.nll_nats, skipped.nll_nats);
                let (cut, skipped) = (cut.shares, skipped.shares);
                assert_eq!(cut.reached_sparsity, skipped.reached_sparsity, "{model}, {score}");
                assert!(cut.kept_energy.is_none() && skipped.kept_energy.unwrap() < 1.0);
                assert!(cut.natural_sparsity.is_some(), "neurons are all there");
            }
        }
    }
}

/// A static set by a score that looks at no text is held by a skip too.
#[test]
fn random_sets_are_held() {
    for (model, part) in [("llama", "ffn"), ("zamba2", "state"), ("llama", "heads")] {
        let cut = format!("cut={part},score=random,sparsity=0.5");
        let skip = format!("skip={part},score=random,sparsity=0.5,window=4,rule=calibration");
        let rows = windows(model, &[&cut, &skip]);
        let apart = (nll(&rows[0]) - nll(&rows[1])).abs();
        assert!(apart < 1e-3, "{model}, {part}: {apart}");
    }
}

/// Steps are applied in order, each on what the ones before left; a zero of an earlier step stays.
#[test]
fn steps_combine() {
    let mask = "cut=weights,method=wanda,sparsity=0.5";
    let rounded = format!("{mask} + cut=bits,method=rtn,bits=4,group=8");
    let skipped = format!("{mask} + skip=ffn,score=magnitude,sparsity=0.5");
    let rows = windows("llama", &["dense", mask, &rounded, &skipped]);
    let shares: Vec<f64> = rows.iter().map(|rows| rows[0].shares.reached_sparsity).collect();
    assert_eq!(shares[0], 0.0);
    assert!((shares[1] - 0.5).abs() < 0.01, "{shares:?}");
    assert_eq!(shares[1], shares[2], "rounding drops nothing, and what was dropped stays so");
    assert_eq!(shares[3], 0.5, "the skip is what drops last");
    let losses: Vec<f64> = rows.iter().map(|rows| nll(rows)).collect();
    let distinct: std::collections::BTreeSet<u64> = losses.iter().map(|n| n.to_bits()).collect();
    assert_eq!(distinct.len(), 4, "{losses:?}");
}

/// A cell by hand gives its model to the first cut where nothing asks for it again; the numbers are those
/// beside a dense model that stays.
#[test]
fn a_model_that_is_given_away_is_cut_as_one_that_stays() {
    let protocol = Protocol::Perplexity { window_tokens: WINDOW_TOKENS };
    let reading = plan::Reading::default();
    for recipe in [
        "cut=weights,method=sparsegpt,sparsity=0.5 + cut=bits,method=rtn,bits=4,group=8",
        "cut=weights,method=magnitude-global,sparsity=0.5",
        "cut=weights,method=wanda,sparsity=0.5 + cut=ffn,score=wanda,sparsity=0.5",
        "cut=rotate + skip=ffn,score=magnitude,sparsity=0.5",
        "cut=low-rank,method=svd,rank=4",
        "cut=layers,method=drop,score=angular,n=1",
        "cut=layers,method=linearise,layer=1,inputs=dense",
        "cut=ffn,score=wanda,sparsity=0.5 + cut=bits,method=gptq,bits=4,group=8",
        "cut=heads,score=taylor,sparsity=0.5 + cut=bits,method=gptq,bits=4,group=8",
        "cut=weights,method=wanda,sparsity=0.5 + cut=heads,score=impact,sparsity=0.5",
    ] {
        let steps = recipe.split(" + ").map(|step| step.parse().unwrap()).collect();
        let recipe = Recipe::new(steps, 1).unwrap();
        let asked = Asked::of(golden_model("llama"), "", recipe);
        let asked = CellRequest { dataset: golden_text("text.raw"), protocol, ..request(asked) };
        let path = golden_text("calibration.raw");
        let text = CalibrationText { path, reading, limit: Some(20), window_tokens: None };
        let calibration = asked.recipe.needs_calibration().then_some(text);
        let asked = CellRequest { calibration, ..asked };
        let alone = answered(&asked);
        let beside = answered(&CellRequest { compare: Some(Compare::Dense), ..asked });
        assert!(beside["js_nats"].is_number() && alone["js_nats"].is_null());
        for name in ["nll_nats", "stored_bytes", "parameters_left", "reached_sparsity"] {
            assert!(alone[name].is_number() && alone[name] == beside[name], "{alone} {beside}");
        }
    }
}

/// The same order gives the same bits, in whatever order cells stand.
#[test]
fn recipes_give_the_same_bits_again() {
    let recipes = [
        "cut=weights,method=sparsegpt,sparsity=0.5 + cut=bits,method=gptq,bits=4,group=8",
        "cut=low-rank,method=svd-activations,rank=4",
        "cut=weights,method=random,sparsity=0.5",
        "cut=rotate + cut=bits,method=rtn,bits=4,group=8",
    ];
    let reversed: Vec<&str> = recipes.iter().rev().copied().collect();
    let (first, mut second) = (windows("llama", &recipes), windows("llama", &reversed));
    second.reverse();
    assert_eq!(first, second);
}

#[test]
fn layers_are_observed() {
    let recipes = ["observe=layers,observation=linearity", "observe=layers,observation=directions"];
    let folder = tempfile::tempdir().unwrap();
    let found = files("llama", &recipes, folder.path());
    let blocks = read_blocks(&found[0]).unwrap();
    let layers = load(&golden_model("llama"), &Device::flex()).unwrap().facts.layers;
    assert_eq!(blocks.len(), layers);
    assert!(blocks.iter().all(|row| row.r2 <= 1.0 && row.tokens == 6 * WINDOW_TOKENS as u64));
    let directions = read_directions(&found[1]).unwrap();
    let d_model = load(&golden_model("llama"), &Device::flex()).unwrap().facts.d_model;
    assert_eq!(directions.len(), (layers + 1) * d_model, "before every layer, and after the last");
    assert!(directions.iter().all(|row| row.variance >= 0.0 && row.sensitivity >= 0.0));
}

/// Easy tokens by layer; where a token would leave adds up to what the skip takes.
#[test]
fn the_lens_and_the_exit_agree() {
    let folder = tempfile::tempdir().unwrap();
    let leave = |mode| format!("skip=exit,method=patience,patience=1,mode={mode}");
    let (full, hands_on) = (leave("full-context"), leave("propagate"));
    let lens = "observe=layers,observation=lens,patience=1";
    let never = "skip=exit,method=confidence,threshold=1,mode=propagate";
    let found = files("llama", &[lens, &full, &hands_on, never, "dense"], folder.path());
    let layers = load(&golden_model("llama"), &Device::flex()).unwrap().facts.layers;
    let rows = read_lens(&found[0]).unwrap();
    assert_eq!(rows.len(), layers);
    let tokens = 6 * WINDOW_TOKENS as u64;
    assert!(rows.iter().all(|row| row.tokens == tokens && row.settled <= row.agreeing));
    assert_eq!((rows[0].leaving, rows[1].leaving), (Some(tokens), Some(0)));
    let last = rows[layers - 1];
    assert_eq!((last.settled, last.agreeing), (tokens, tokens));
    for file in &found[1..3] {
        let windows = read_windows(file).unwrap();
        assert!(windows.iter().all(|row| row.tokens.layers_per_token == Some(1.0)));
        assert!(windows.iter().all(|row| row.shares.reached_sparsity == 1.0 - 1.0 / layers as f64));
    }
    let nll = |file| -> Vec<f64> {
        read_windows(file).unwrap().into_iter().map(|row| row.nll_nats).collect()
    };
    assert_eq!(nll(&found[3]), nll(&found[4]), "nobody left");
    let dense = read_windows(&found[4]).unwrap();
    assert!(dense.iter().all(|row| row.tokens.layers_per_token.is_none()));
    assert!(dense.iter().all(|row| {
        let mean = row.nll_nats / f64::from(row.n_targets);
        row.tokens.worst_nll_nats > mean && row.tokens.worst_nll_nats < row.nll_nats
    }));
}

/// What a family cannot do is one clear failure of its cell.
#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (model, recipe, words) in [
        ("llama", "cut=state,score=state-weight,sparsity=0.5", "no recurrent state"),
        ("llama", "cut=layers,method=drop,score=last,n=99", "can go"),
        ("llama", "cut=weights,method=magnitude,pattern=2:7", "do not fill"),
        ("llama", "cut=layers,method=linearise,layer=99", "99"),
    ] {
        let place = folder.path().join(format!("{model}-{}", recipe.len()));
        std::fs::create_dir_all(&place).unwrap();
        let order = order(&place.join("run"), &golden_model(model), vec![cell(recipe)]);
        let output = run(&order, &place);
        assert_eq!(output.status.code(), Some(plan::exit::FAILED_CELLS), "{recipe}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(words), "{recipe}: {said}");
    }
}

/// A cell by hand goes the way of a grid: the same windows of calibration text, the same bits.
#[test]
fn a_cell_by_hand_is_a_cell_of_a_grid() {
    for recipe in [
        "cut=ffn,score=magnitude,sparsity=0.5",
        "cut=weights,method=sparsegpt,sparsity=0.5",
        "skip=ffn,score=impact,sparsity=0.5,window=4,rule=calibration",
        "cut=heads,score=impact,sparsity=0.5",
        "skip=heads,score=impact,sparsity=0.5,window=4,rule=calibration",
    ] {
        let steps = recipe.parse().unwrap();
        let request = plan::CellRequest {
            model: golden_model("llama"),
            dataset: common::golden_text("text.raw"),
            reading: plan::Reading::default(),
            task: None,
            protocol: Protocol::Perplexity { window_tokens: WINDOW_TOKENS },
            recipe: Recipe::new(vec![steps], 1).unwrap(),
            offset: None,
            compare: None,
            limit: Some(6),
            calibration: Some(plan::CalibrationText {
                path: common::golden_text("calibration.raw"),
                reading: plan::Reading::default(),
                limit: Some(20),
                window_tokens: None,
            }),
            device: plan::DeviceName::Cpu,
            time_steps: plan::TimeSteps::default(),
            decode: false,
            json: true,
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("request.json");
        std::fs::write(&file, serde_json::to_string(&request).unwrap()).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_worker"))
            .args(["cell", "--request"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        // As text: a reader of JSON may miss the last bit.
        let found = String::from_utf8(output.stdout).unwrap();
        let of_grid = nll(&windows("llama", &[recipe])[0]);
        assert!(found.contains(&format!("\"nll_nats\":{of_grid},")), "{recipe}: {found}");
    }
}

//! Downstream tasks: recipes by tasks with a group, each place against dense, what guesses, the picture, and
//! one line on the screen.

use std::fs;

use plan::{Cell, Recipe};
use roxmltree::Document;
use serde_json::Value;
use tables::{ChoiceRow, RowShares, Store, TaskColumns};

use crate::fixtures::{Results, dense, put, put_order, record, row, table_rows, text_cell};

const WANDA: &str = "cut=weights,method=wanda,sparsity=0.5";
const ROUNDED: &str = "cut=bits,method=rtn,bits=4";

pub(crate) fn cell(task: &str, recipe: &str) -> Cell {
    let steps = recipe.split(" + ").filter(|step| *step != "dense");
    let steps = steps.map(|step| step.parse().unwrap()).collect();
    Cell {
        dataset: task.to_owned(),
        protocol: format!("choice-{task}").parse().unwrap(),
        limit: None,
        recipe: Recipe::new(steps, 1).unwrap(),
        ..text_cell(dense())
    }
}

/// Two choices an item, the first of which is right; the first `right` of `n` items are answered so.
fn rows(task: &str, right: usize, n: usize) -> Vec<ChoiceRow> {
    let shares = RowShares::default();
    let choice = |item: usize, choice_index: u32, logprob_nats: f64| ChoiceRow {
        item_index: item as u32,
        choice_index,
        is_gold: choice_index == 0,
        logprob_nats,
        n_target_tokens: 1,
        n_tokens: 9,
        n_characters: 4,
        n_bytes: 4,
        is_greedy: choice_index == 0 && item < right,
        request_sha256: format!("{task}{item:08x}{choice_index:04x}"),
        shares,
        tokens: tables::TokenColumns::default(),
    };
    let of =
        |item| [choice(item, 0, -1.0), choice(item, 1, if item < right { -2.5 } else { -0.5 })];
    (0..n).flat_map(of).collect()
}

fn about(task: &str) -> TaskColumns {
    let group = task.starts_with("mmlu-").then(|| "mmlu".to_owned());
    TaskColumns { version: "1.0".to_owned(), group, is_normalised: task == "piqa" }
}

fn put_task(store: &Store, id: &str, task: &str, recipe: &str, right: usize, n: usize) {
    let record = record(id, cell(task, recipe), "code-a");
    store.write_choices(&record, &about(task), &rows(task, right, n)).unwrap();
}

/// Dense and two recipes on four tasks, two of them members of a group.
pub(crate) fn write_all(results: &Results) -> Store {
    let store = results.run("run");
    for (prefix, recipe, right) in [
        ("d", "dense", [30, 21, 12, 8]),
        ("w", WANDA, [20, 21, 10, 8]),
        ("r", ROUNDED, [29, 20, 12, 7]),
    ] {
        let tasks = [("piqa", 40), ("boolq", 40), ("mmlu-anatomy", 30), ("mmlu-astronomy", 10)];
        for (index, ((task, n), right)) in tasks.into_iter().zip(right).enumerate() {
            put_task(&store, &format!("{prefix}{index}"), task, recipe, right, n);
        }
    }
    store
}

fn json(results: &Results, arguments: &[&str]) -> Value {
    let text = results.printed(&[&["--results", "run", "--json"], arguments].concat());
    serde_json::from_str::<Value>(&text).unwrap()["runs"][0].clone()
}

#[test]
fn every_place_has_its_number_and_stands_against_dense() {
    let results = Results::new();
    write_all(&results);
    let page = results.page();
    let own = row(&page, &["piqa", "piqa"]);
    assert_eq!(own[2..8], ["acc_norm", "1.0", "40", "50.0 %", "75.0 % [59.8 %, 85.8 %]", "0.0693"]);
    assert_eq!(row(&page, &["mmlu", "2 members"])[4], "40");
    let own = row(&page, &["weights wanda κ=.5", "piqa", "20/40"]);
    // Ten discordant items, all one way: 2 / 2^10, and six comparisons of three tasks.
    let expected = ["-25.0", "[-38.0, -10.3]", "0 / 10", "0.002", "0.012", "differs", "21.5"];
    assert_eq!(own[6..13], expected, "{own:?}");
    assert_eq!(own.last(), Some(&"`w0`"));
    // The mean of .75, .525 and 20/40: the group counts once.
    let matrix = row(&page, &["dense", "52.5 [37.5, 67.1]"]);
    assert!(matrix[4].starts_with("59.2 ["), "{matrix:?}");
    assert_eq!(matrix[5], "3");
    let mean = row(&page, &["weights wanda κ=.5", "mean of 3 tasks"]);
    assert_eq!((mean[2], mean[6]), ("49.2 %", "-10.0"), "{mean:?}");
    assert!(page.contains("<summary>2 members of groups</summary>"), "{page}");
    assert!(page.contains("adjusted by Holm over 6 comparisons of this table"), "{page}");
    assert!(page.contains("4 comparisons are a family of their own"), "{page}");
}

#[test]
fn what_guesses_is_warned_of() {
    let results = Results::new();
    write_all(&results);
    let page = results.page();
    let warning = "smollm2: dense cannot be told from guessing on boolq (52.5 % [37.5 %, 67.1 %], \
                   guessing gets 50.0 %), mmlu (50.0 % [";
    assert!(page.contains(warning), "{page}");
    assert!(!page.contains("guessing on piqa"));
}

#[test]
fn the_margin_is_a_setting() {
    let results = Results::new();
    write_all(&results);
    let verdict = |margin: &str| {
        let run = json(&results, &["--margin", margin]);
        let row = &run["task_tables"][0]["rows"][1]["entries"][0];
        row["against_dense"]["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("0.02"), "open");
    assert_eq!(verdict("0.3"), "equivalent");
    let page = results.printed(&["--results", "run", "--full", "--margin", "0.3"]);
    assert!(page.contains("equivalent within ±30 points"), "{page}");
    for wrong in ["0", "1", "nan", "-0.1", "two"] {
        let output = results.report(&["--results", "run", "--margin", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn json_has_the_whole_table() {
    let results = Results::new();
    write_all(&results);
    let run = json(&results, &[]);
    let table = &run["task_tables"][0];
    assert_eq!((&table["model"], &table["n_tests"]), (&"smollm2".into(), &6.into()));
    let names: Vec<&str> = table["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| own["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["boolq", "piqa", "mmlu"]);
    let dense = &table["rows"][0];
    assert_eq!(dense["recipe"], "dense");
    assert_eq!(dense["entries"][1]["metric"], "acc_norm");
    assert_eq!(dense["entries"][1]["acc"]["value"], 0.75);
    // pooled_sample_stderr of lm-evaluation-harness 0.4.13 of 12/30 and 8/10
    let stderr = dense["entries"][2]["stderr"].as_f64().unwrap();
    assert!((stderr - 0.076_088_591_025_268_22).abs() < 1e-12);
    assert_eq!(dense["mean"]["n_tasks"], 3);
    assert!(table["rows"][2]["mean_against_dense"]["lower"].is_f64());
    assert_eq!(run["accuracy_tables"].as_array().unwrap().len(), 0);
}

#[test]
fn the_screen_says_what_tasks_lose() {
    let results = Results::new();
    write_all(&results);
    let screen = results.printed(&["--results", "run"]);
    assert!(screen.contains("1 model: smollm2; 3 tasks: boolq, mmlu, piqa."), "{screen}");
    let screen = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = "smollm2 on 3 tasks: dense 59.2 % right in the mean; at best -2.5 points";
    assert!(screen.contains(line) || screen.contains("at best -2.5 ["), "{screen}");
    assert!(screen.contains("of 6 comparisons 1 differ"), "{screen}");
}

#[test]
fn the_picture_has_a_line_a_task_and_hatches_what_is_not_there() {
    let results = Results::new();
    let store = write_all(&results);
    put_order(&store, &[("m0", cell("piqa", "cut=weights,method=magnitude,sparsity=0.5"))]);
    let page = results.page();
    let text = fs::read_to_string(results.path().join("run/tasks.svg")).unwrap();
    let svg = Document::parse(&text).unwrap();
    let n_of = |class: &str, element: &str| {
        let is_it = |node: &roxmltree::Node<'_, '_>| {
            node.has_tag_name(element) && node.attribute("class") == Some(class)
        };
        svg.descendants().filter(is_it).count()
    };
    // Three tasks and the mean, and the legend.
    assert_eq!((n_of("mark dense", "polygon"), n_of("chance", "polyline")), (5, 4));
    assert!(n_of("hatch missing", "polyline") > 0);
    assert!(!text.contains("=\"#0000"), "an ink was not replaced");
    let words: Vec<&str> =
        svg.descendants().filter_map(|node| node.text()).map(str::trim).collect();
    assert!(words.contains(&"piqa, acc_norm, n=40"), "{words:?}");
    assert!(page.contains("](tasks.svg)\n"), "{page}");
    let own = row(&page, &["smollm2", "piqa", "weights magnitude κ=.5"]);
    assert_eq!((own[4], *own.last().unwrap()), ("missing", "`m0`"));
    assert_eq!(page, results.page(), "the same tables give the same bytes");
}

#[test]
fn only_the_ends_of_many_recipes_are_drawn() {
    let results = Results::new();
    let store = results.run("run");
    put_task(&store, "d", "piqa", "dense", 30, 40);
    for tenth in 1..=8 {
        let recipe = format!("cut=weights,method=wanda,sparsity=0.{tenth}");
        put_task(&store, &format!("w{tenth}"), "piqa", &recipe, 30 - tenth, 40);
    }
    let page = results.page();
    let left_out = "Not drawn are the recipes between the three that keep most and the three that keep \
                    least: weights wanda κ=.4, weights wanda κ=.5.";
    assert!(page.contains(left_out), "{page}");
    assert_eq!(table_rows(&page).iter().filter(|row| row.contains(&"`w4`")).count(), 1);
}

#[test]
fn a_run_of_both_kinds_keeps_its_pages_sound() {
    let results = Results::new();
    let store = write_all(&results);
    put(&store, "p0", dense(), &[0.0; 4]);
    put_task(&store, "o0", "copa", WANDA, 5, 9);
    let page = results.page();
    crate::html::check(&fs::read_to_string(results.path().join("run/report.html")).unwrap());
    assert!(page.contains("no dense"), "{page}");
    assert!(page.contains("Every cell, model by model"), "{page}");
}

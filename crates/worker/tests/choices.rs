//! A task of a user's own through the worker: its file in the work order, the table that it makes, and
//! what is said before anything is computed where an item does not fit.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::path::Path;

use plan::{Cell, Policy, Protocol, Rule, TaskInput, TextInput, Treatment, WorkOrder};
use tables::{Store, Table, outcomes, read_choices};

use common::{golden_model, order, run, stderr, treatment};

const TASK: &str = r#"
name = "mine"
version = "0.1"
metrics = ["acc", "acc_norm"]
doc_to_text = " the cat sat on the {{ place }} ,"
doc_to_choice = { each = "endings" }
doc_to_target = "{{ right }}"
"#;

const ITEMS: &str = r#"{"place": "mat", "endings": ["and the cat ran .", "the dog"], "right": 0}
{"place": "mat and on the dog and on the mat", "endings": ["cat", "dog", "ran on the mat"], "right": 2}
"#;

fn cell(treatment: Treatment) -> Cell {
    Cell {
        dataset: "items".to_owned(),
        ..common::cell("choice-mine".parse::<Protocol>().unwrap(), treatment)
    }
}

fn written(folder: &Path, items: &str, cells: Vec<Cell>) -> WorkOrder {
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let mut order = order(&folder.join("run"), &golden_model("llama"), cells);
    let (path, sha256) = (write("mine.toml", TASK), "m".to_owned());
    let name = plan::TaskName::new("mine").unwrap();
    order.tasks = vec![TaskInput { name, path, sha256 }];
    order.texts.push(TextInput {
        name: "items".to_owned(),
        path: write("items.jsonl", items),
        sha256: "i".to_owned(),
        reading: plan::Reading::default(),
    });
    order
}

#[test]
fn a_task_of_ones_own_is_a_table_of_choices() {
    let folder = tempfile::tempdir().unwrap();
    let cells = vec![
        cell(treatment(Policy::Dense, None, None)),
        cell(treatment(Policy::Dynamic, Some(1), None)),
        cell(treatment(Policy::Static, None, None)),
        cell(treatment(Policy::Window, Some(4), Some(Rule::WindowMean))),
    ];
    let order = written(folder.path(), ITEMS, cells);
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::DONE), "{}", stderr(&output));
    let store = Store::open_read_only(&order.results).unwrap();
    let survey = store.survey().unwrap();
    let files: Vec<_> = survey.files.iter().filter(|own| own.table == Table::Choices).collect();
    assert_eq!(files.len(), 4);
    for file in files {
        let (task, rows) = read_choices(&file.path).unwrap();
        assert_eq!((task.version.as_str(), task.group, task.is_normalised), ("0.1", None, true));
        assert_eq!(rows.len(), 5);
        assert_eq!(outcomes(&rows).iter().map(|own| own.gold).collect::<Vec<_>>(), [0, 2]);
        let digests: std::collections::BTreeSet<_> =
            rows.iter().map(|row| &row.request_sha256).collect();
        assert_eq!(digests.len(), 5);
        assert_eq!((rows[4].n_characters, rows[4].n_bytes), (14, 14));
        let cell = tables::read_cell(&file.path).unwrap();
        let dropped = if cell.recipe.is_dense() { 0.0 } else { 0.5 };
        assert!(rows.iter().all(|row| (row.shares.reached_sparsity - dropped).abs() < 1e-9));
    }
}

#[test]
fn an_item_that_does_not_fit_is_told_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let items = ITEMS.replace("\"right\": 2", "\"right\": 3");
    let order = written(folder.path(), &items, vec![cell(treatment(Policy::Dense, None, None))]);
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::FAILED_CELLS), "{}", stderr(&output));
    let survey = Store::open_read_only(&order.results).unwrap().survey().unwrap();
    let failed = survey.files.iter().find(|own| own.table == Table::Failures).unwrap();
    let told = tables::read_failure(&failed.path).unwrap();
    let told = format!("{told:?}");
    assert!(told.contains("item 1") && told.contains("`doc_to_target` of task `mine`"), "{told}");
}

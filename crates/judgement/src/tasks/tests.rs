//! Small made-up cells whose numbers can be worked out by hand.

use std::collections::BTreeSet;
use std::path::PathBuf;

use evidence::absent::{Missing, Why};
use evidence::{AgainstDense, CellResult, Rows, Run};
use plan::{Cell, Recipe};
use tables::{ChoiceRow, Left, Provenance, RowShares, TaskColumns, Touched};

use super::{
    DEFAULT_MARGIN, Metric, TaskDifference, TaskEntry, TaskRow, TaskSlot, TaskTable, TaskVerdict,
    tables,
};

const WANDA: &str = "cut=weights,method=wanda,sparsity=0.5";
const ROUNDED: &str = "cut=bits,method=rtn,bits=4";

fn recipe(text: &str) -> Recipe {
    let steps = text.split(" + ").filter(|step| *step != "dense");
    Recipe::new(steps.map(|step| step.parse().unwrap()).collect(), 1).unwrap()
}

fn choice(
    item: usize,
    choice: usize,
    logprob_nats: f64,
    n_characters: u32,
    gold: usize,
) -> ChoiceRow {
    ChoiceRow {
        item_index: item as u32,
        choice_index: choice as u32,
        is_gold: choice == gold,
        logprob_nats,
        n_target_tokens: 1,
        n_tokens: 9,
        n_characters,
        n_bytes: n_characters,
        is_greedy: false,
        request_sha256: format!("{item}-{choice}"),
        shares: RowShares::default(),
        tokens: tables::TokenColumns::default(),
    }
}

/// Two choices an item, the first of which is right; those items that `right` says are answered so.
fn items(right: &[bool]) -> Vec<ChoiceRow> {
    let of = |(item, &right): (usize, &bool)| {
        let other = if right { -2.0 } else { -0.5 };
        [choice(item, 0, -1.0, 4, 0), choice(item, 1, other, 4, 0)]
    };
    right.iter().enumerate().flat_map(of).collect()
}

/// `n` items of which the first `right` are right.
fn first(right: usize, n: usize) -> Vec<ChoiceRow> {
    items(&(0..n).map(|item| item < right).collect::<Vec<_>>())
}

fn of_group(group: Option<&str>, is_normalised: bool) -> TaskColumns {
    TaskColumns { version: "1.0".to_owned(), group: group.map(str::to_owned), is_normalised }
}

fn cell(task: &str, text: &str) -> Cell {
    Cell {
        model: "m".to_owned(),
        dataset: task.to_owned(),
        protocol: format!("choice-{task}").parse().unwrap(),
        limit: None,
        calibration: None,
        recipe: recipe(text),
        offset: None,
        compare: None,
    }
}

fn result(task: &str, recipe: &str, about: TaskColumns, rows: Vec<ChoiceRow>) -> CellResult {
    let provenance = Provenance {
        revision: "r".to_owned(),
        code_version: "c".to_owned(),
        versions: "v".to_owned(),
        host: "h".to_owned(),
        cpu: "p".to_owned(),
        device: "cpu".to_owned(),
        started_at_ms: 1000,
        seconds: 1.0,
        peak_rss_bytes: 1,
        tokens: 1,
        weights_sha256: "w".to_owned(),
        tokenizer_sha256: "t".to_owned(),
        text_sha256: task.to_owned(),
        calibration_sha256: None,
    };
    CellResult {
        id: format!("{task} {recipe}"),
        cell: cell(task, recipe),
        touched: Touched::default(),
        left: Left::default(),
        provenance,
        rows: Rows::Choices(about, rows),
    }
}

fn plain(task: &str, recipe: &str, rows: Vec<ChoiceRow>) -> CellResult {
    result(task, recipe, of_group(None, false), rows)
}

fn member(task: &str, recipe: &str, rows: Vec<ChoiceRow>) -> CellResult {
    result(task, recipe, of_group(Some("mmlu"), false), rows)
}

fn run(results: Vec<CellResult>) -> Run {
    Run {
        name: "run".to_owned(),
        folder: PathBuf::from("run"),
        order: None,
        is_search: false,
        results,
        observed: Vec::new(),
        by_products: BTreeSet::new(),
        failures: Vec::new(),
        speed: Vec::new(),
        unreadable: Vec::new(),
    }
}

#[track_caller]
fn table(results: Vec<CellResult>) -> TaskTable {
    let mut all = tables(&run(results), &[], DEFAULT_MARGIN);
    assert_eq!(all.len(), 1);
    all.remove(0).unwrap()
}

#[track_caller]
fn entry<'a>(row: &'a TaskRow, task: &str) -> &'a TaskEntry {
    let all = row.entries.iter().chain(&row.parts).filter_map(TaskSlot::entry);
    all.into_iter().find(|own| own.task == task).unwrap()
}

#[track_caller]
fn difference<'a>(row: &'a TaskRow, task: &str) -> &'a TaskDifference {
    entry(row, task).difference().unwrap()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn the_metric_is_acc_norm_where_the_task_has_it_and_both_are_kept() {
    // By likelihood the second choice wins, by character the first; then a tie, which the first wins.
    let rows = vec![
        choice(0, 0, -4.0, 8, 0),
        choice(0, 1, -3.0, 2, 0),
        choice(1, 0, -2.0, 4, 1),
        choice(1, 1, -2.0, 4, 1),
        choice(2, 0, -2.0, 4, 0),
        choice(2, 1, -2.0, 4, 0),
    ];
    let table = table(vec![result("piqa", "dense", of_group(None, true), rows)]);
    let entry = entry(&table.rows[0], "piqa");
    assert_eq!((entry.metric, entry.n_correct, entry.n_items), (Metric::AccNorm, 2, 3));
    assert!(close(entry.acc.value, 1.0 / 3.0) && close(entry.acc_norm.value, 2.0 / 3.0));
    let stderr = f64::sqrt(2.0 / 9.0 / 2.0);
    assert!(close(entry.stderr.unwrap(), stderr) && close(entry.acc.stderr.unwrap(), stderr));
    assert!(entry.lower < entry.value && entry.value < entry.upper);
    assert_eq!(entry.against_dense, AgainstDense::Baseline);
    assert!(close(table.tasks[0].chance, 0.5));
}

#[test]
fn a_group_is_the_mean_over_its_items_and_one_task_of_the_mean() {
    let table = table(vec![
        member("mmlu-anatomy", "dense", first(12, 30)),
        member("mmlu-astronomy", "dense", first(8, 10)),
        plain("boolq", "dense", first(9, 10)),
    ]);
    let names: Vec<&str> = table.tasks.iter().map(|own| own.name.as_str()).collect();
    assert_eq!(names, ["boolq", "mmlu"]);
    assert_eq!(table.tasks[1].members, ["mmlu-anatomy", "mmlu-astronomy"]);
    assert_eq!(table.parts.len(), 2);
    let group = entry(&table.rows[0], "mmlu");
    assert!(close(group.value, 0.5), "20 of 40, and not the mean of .4 and .8");
    // pooled_sample_stderr of lm-evaluation-harness 0.4.13
    assert!(close(group.stderr.unwrap(), 0.076_088_591_025_268_22));
    assert_eq!(group.cell_ids.len(), 2);
    let mean = table.rows[0].mean.as_ref().unwrap();
    assert_eq!(mean.n_tasks, 2);
    assert!(close(mean.value, 0.7), "(.9 + .5) / 2");
    assert!(mean.lower.unwrap() < 0.7 && 0.7 < mean.upper.unwrap());
}

#[test]
fn all_compared_places_are_one_family() {
    let table = table(vec![
        plain("boolq", "dense", first(30, 40)),
        plain("boolq", WANDA, first(20, 40)),
        plain("boolq", ROUNDED, first(29, 40)),
        plain("copa", "dense", first(30, 40)),
        plain("copa", WANDA, first(30, 40)),
        plain("copa", ROUNDED, first(26, 40)),
    ]);
    assert_eq!((table.n_tests, table.n_tests_of_parts), (4, 0));
    let labels: Vec<bool> = table.rows.iter().map(TaskRow::is_dense).collect();
    assert_eq!(labels, [true, false, false], "dense first");
    let wanda = table.rows.iter().find(|row| row.recipe.contains("wanda")).unwrap();
    let own = difference(wanda, "boolq");
    assert!(close(own.difference, -0.25));
    // Ten discordant items, all one way: 2 / 2^10.
    assert!(close(own.mcnemar_p, 2.0 / 1024.0) && close(own.mcnemar_p_holm, 8.0 / 1024.0));
    assert_eq!(own.verdict, TaskVerdict::Differs);
    assert!(own.minimum_detectable_difference.is_some());
    let same = difference(wanda, "copa");
    assert_eq!((same.difference, same.mcnemar_p, same.verdict), (0.0, 1.0, TaskVerdict::Open));
    assert_eq!(same.minimum_detectable_difference, None, "no item tells them apart");
    let mean = wanda.mean_against_dense.compared().unwrap();
    assert_eq!((mean.n_tasks, mean.verdict), (2, TaskVerdict::Differs));
    assert!(close(mean.difference, -0.125) && mean.upper.unwrap() < 0.0);
}

#[test]
fn many_equal_items_are_equivalent() {
    let table = table(vec![
        plain("boolq", "dense", first(600, 1000)),
        plain("boolq", WANDA, first(601, 1000)),
    ]);
    let own = difference(&table.rows[1], "boolq");
    assert_eq!(own.verdict, TaskVerdict::Equivalent);
    assert!(own.lower > -0.02 && own.upper < 0.02 && own.equivalence_p < 0.025);
}

#[test]
fn other_items_are_refused_and_enter_no_mean() {
    let table = table(vec![
        plain("boolq", "dense", first(30, 40)),
        plain("boolq", WANDA, first(20, 39)),
        plain("copa", "dense", first(30, 40)),
        plain("copa", WANDA, first(28, 40)),
        member("mmlu-anatomy", "dense", first(12, 30)),
        member("mmlu-astronomy", "dense", first(8, 10)),
        member("mmlu-anatomy", WANDA, first(12, 30)),
    ]);
    let row = &table.rows[1];
    let AgainstDense::Refused { reason } = &entry(row, "boolq").against_dense else { panic!() };
    assert_eq!(reason, "not compared: 78 choices, dense has 80");
    let AgainstDense::Refused { reason } = &entry(row, "mmlu").against_dense else { panic!() };
    assert_eq!(reason, "not compared: mmlu-astronomy is not there");
    assert_eq!(row.mean.as_ref().unwrap().n_tasks, 3);
    let mean = row.mean_against_dense.compared().unwrap();
    assert_eq!(mean.n_tasks, 1, "copa alone");
    assert!(close(mean.difference, -0.05) && close(mean.dense, 0.75) && close(mean.value, 0.7));
    assert_eq!((table.n_tests, table.n_tests_of_parts), (1, 1));
}

#[test]
fn other_requests_are_refused() {
    let mut rows = first(20, 40);
    rows[7].request_sha256 = "another".to_owned();
    let table = table(vec![plain("boolq", "dense", first(30, 40)), plain("boolq", WANDA, rows)]);
    let row = &table.rows[1];
    assert!(entry(row, "boolq").against_dense.is_refused());
    assert!(row.mean_against_dense.is_refused());
}

#[test]
fn without_dense_nothing_is_compared() {
    let table = table(vec![plain("boolq", WANDA, first(20, 40))]);
    assert!(table.dense().is_none());
    assert_eq!(table.tasks[0].dense_is_at_chance, None);
    assert_eq!(entry(&table.rows[0], "boolq").against_dense, AgainstDense::NoDense);
    assert_eq!(table.rows[0].mean_against_dense, AgainstDense::NoDense);
}

#[test]
fn a_dense_model_that_guesses_has_nothing_to_lose() {
    let table =
        table(vec![plain("boolq", "dense", first(24, 40)), plain("copa", "dense", first(30, 40))]);
    let at_chance: Vec<_> = table.tasks.iter().map(|own| own.dense_is_at_chance).collect();
    assert_eq!(at_chance, [Some(true), Some(false)], "60 % and 75 % of 40 against 50 %");
}

#[test]
fn the_newest_of_equal_cells_stands_and_absent_ones_keep_their_place() {
    let mut newer = plain("boolq", "dense", first(35, 40));
    newer.provenance.started_at_ms += 1;
    newer.id = "aa".to_owned();
    let results = vec![plain("boolq", "dense", first(30, 40)), newer];
    let missing = Missing {
        cell_id: "gone".to_owned(),
        label: String::new(),
        cell: cell("boolq", WANDA),
        reason: String::new(),
    };
    let tables = tables(&run(results), &[missing], DEFAULT_MARGIN);
    let table = tables[0].as_ref().unwrap();
    assert_eq!(entry(&table.rows[0], "boolq").cell_ids, ["aa"]);
    let expected = TaskSlot::Absent { cell_id: "gone".to_owned(), why: Why::Missing };
    assert_eq!(table.rows[1].entries, [expected]);
    assert_eq!(table.rows[1].mean, None);
}

#[test]
fn a_margin_that_is_none_is_an_error() {
    let results = vec![plain("boolq", "dense", first(3, 4)), plain("boolq", WANDA, first(2, 4))];
    for margin in [0.0, f64::NAN] {
        assert!(tables(&run(results.clone()), &[], margin)[0].is_err());
    }
}

//! What one recipe of a run has to export: its tasks with their cells, and its groups.

use std::collections::BTreeMap;

use evidence::CellResult;
use judgement::tasks::{Task, TaskEntry, TaskRow, TaskTable};
use plan::{Protocol, Recipe};

use super::names;
use crate::report::Report;

/// A recipe of a model in one run.
pub(super) struct OfRecipe<'a> {
    pub(super) model: &'a str,
    pub(super) recipe: &'a Recipe,
    pub(super) tasks: Vec<OfTask<'a>>,
    pub(super) groups: Vec<OfGroup<'a>>,
}

/// One task, which is one cell.
pub(super) struct OfTask<'a> {
    /// As the harness calls it.
    pub(super) name: String,
    pub(super) alias: String,
    pub(super) result: &'a CellResult,
    pub(super) answers: Answers<'a>,
}

/// What the cell of a task answered.
pub(super) enum Answers<'a> {
    Choices(&'a TaskEntry),
    LastWords,
}

/// A group with what its members come to.
pub(super) struct OfGroup<'a> {
    pub(super) name: String,
    pub(super) members: Vec<String>,
    pub(super) entry: &'a TaskEntry,
}

/// The recipes of a run: models by name, dense first.
pub(super) fn recipes(report: &Report) -> Vec<OfRecipe<'_>> {
    let mut all: BTreeMap<(&str, &[plan::Step]), OfRecipe<'_>> = BTreeMap::new();
    let by_id: BTreeMap<&str, &CellResult> =
        report.run.results.iter().map(|own| (own.id.as_str(), own)).collect();
    for table in &report.summary.task_tables {
        for row in &table.rows {
            let tasks = tasks(table, row, &by_id);
            let Some(first) = tasks.first() else { continue };
            let recipe = &first.result.cell.recipe;
            let own = OfRecipe { model: &table.model, recipe, tasks, groups: groups(table, row) };
            all.insert((own.model, recipe.steps()), own);
        }
    }
    for task in last_words(report) {
        let (model, recipe) = (task.result.cell.model.as_str(), &task.result.cell.recipe);
        let new = || OfRecipe { model, recipe, tasks: Vec::new(), groups: Vec::new() };
        all.entry((model, recipe.steps())).or_insert_with(new).tasks.push(task);
    }
    all.into_values().collect()
}

impl OfRecipe<'_> {
    /// The model's name, with the recipe where there is one.
    pub(super) fn model_name(&self) -> String {
        names::model(self.model, self.recipe)
    }

    /// The name of its folder.
    pub(super) fn folder(&self) -> String {
        names::folder(&self.model_name())
    }

    /// When the first of its cells began.
    pub(super) fn first_started_at_ms(&self) -> i64 {
        let started = self.tasks.iter().map(|task| task.result.provenance.started_at_ms);
        started.min().unwrap_or_default()
    }
}

fn tasks<'a>(
    table: &'a TaskTable,
    row: &'a TaskRow,
    by_id: &BTreeMap<&str, &'a CellResult>,
) -> Vec<OfTask<'a>> {
    let single = table.tasks.iter().zip(&row.entries).filter(|(task, _)| task.members.is_empty());
    let all = single.chain(table.parts.iter().zip(&row.parts));
    let of = |(task, slot): (&'a Task, &'a judgement::tasks::TaskSlot)| {
        let entry = slot.entry()?;
        let result = *by_id.get(entry.cell_ids.first()?.as_str())?;
        let name = names::task(&task.name);
        let of_group = task.group.as_deref().map(|group| format!("{}_", names::task(group)));
        let alias = of_group.and_then(|group| name.strip_prefix(&group));
        let alias = alias.unwrap_or(&name).to_owned();
        Some(OfTask { alias, name, result, answers: Answers::Choices(entry) })
    };
    all.filter_map(of).collect()
}

fn groups<'a>(table: &'a TaskTable, row: &'a TaskRow) -> Vec<OfGroup<'a>> {
    let groups = table.tasks.iter().zip(&row.entries).filter(|(task, _)| !task.members.is_empty());
    let of = |(task, slot): (&'a Task, &'a judgement::tasks::TaskSlot)| {
        let parts = table.parts.iter().zip(&row.parts);
        let own = parts.filter(|(part, slot)| {
            part.group.as_deref() == Some(task.name.as_str()) && slot.entry().is_some()
        });
        let members = own.map(|(part, _)| names::task(&part.name)).collect();
        Some(OfGroup { name: names::task(&task.name), members, entry: slot.entry()? })
    };
    groups.filter_map(of).collect()
}

/// The newest cell of every recipe and text by the protocol `lambada-openai`.
fn last_words(report: &Report) -> Vec<OfTask<'_>> {
    let mut newest: BTreeMap<(&str, &str, &[plan::Step]), &CellResult> = BTreeMap::new();
    let is_it = |own: &&CellResult| own.cell.protocol == Protocol::LambadaOpenai;
    for result in report.run.results.iter().filter(is_it) {
        let cell = &result.cell;
        let known =
            newest.entry((&cell.model, &cell.dataset, cell.recipe.steps())).or_insert(result);
        let age = |own: &CellResult| (own.provenance.started_at_ms, own.id.clone());
        if age(result) > age(known) {
            *known = result;
        }
    }
    let of = |result: &'_ CellResult| {
        // The harness's task is about one text; the same protocol on another is another task.
        let dataset = Some(result.cell.dataset.as_str()).filter(|dataset| *dataset != "lambada");
        let name = format!("lambada_openai {}", dataset.unwrap_or_default());
        names::task(&name)
    };
    let tasks = newest.into_values().map(|result| {
        let name = of(result);
        OfTask { alias: name.clone(), name, result, answers: Answers::LastWords }
    });
    tasks.collect()
}

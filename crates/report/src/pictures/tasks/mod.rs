//! `tasks`: how many items of each downstream task are right, dense and by recipe; a line a task, a panel a
//! model.

mod chart;

use anyhow::Result;
use evidence::absent::Why;
use evidence::place::reasons;
use judgement::Summary;
use judgement::tasks::{Task, TaskEntry, TaskRow, TaskSlot, TaskTable};

use self::chart::{height, panel};
use super::canvas::{self, Key, Words};
use super::inks::{Ink, Inks, REFERENCE, series_colour};
use super::picture::Content;
use super::words::{hatched, sentences};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{count, percent};
use crate::headings;

/// Recipes that are drawn beside dense.
const MOST: usize = 6;
/// The marks of recipes; the diamond is that of dense, as in the other pictures.
const MARKS: [usize; MOST] = [0, 1, 2, 4, 5, 6];
const DENSE_MARK: usize = 3;

/// A recipe with how it is drawn.
struct Series {
    recipe: String,
    label: String,
    mark: usize,
    ink: Ink,
}

/// What is drawn with besides the series.
struct Pens {
    chance: Ink,
    between: Ink,
}

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let tables = &summary.task_tables;
    let (recipes, left_out) = chosen(tables);
    let mut inks = Inks::new();
    let pens = Pens {
        chance: inks.add("chance", series_colour(7), REFERENCE),
        between: inks.add("between", series_colour(7), None),
    };
    let dense_ink = inks.add("mark dense", series_colour(7), None);
    let dense = Series {
        recipe: "dense".to_owned(),
        label: "dense".to_owned(),
        mark: DENSE_MARK,
        ink: dense_ink,
    };
    let others = recipes.into_iter().enumerate().map(|(index, (recipe, label))| Series {
        recipe,
        label,
        mark: MARKS[index],
        ink: inks.add(&format!("mark t{index}"), series_colour(index), None),
    });
    let series: Vec<Series> = [dense].into_iter().chain(others).collect();
    let whys = reasons(tables.iter().flat_map(|table| absent(table, &series)));
    let words = words(tables, &series);
    let mut legend: Vec<Key> =
        series.iter().map(|own| Key::of(own.mark, own.ink, None, &own.label)).collect();
    legend.push(Key::line(pens.chance, "chance"));
    legend.extend(whys.iter().map(|&why| Key::hatch(why)));
    let body = tables.iter().map(|table| height(table, &series)).sum();
    let svg = canvas::paint(id, body, &inks, &words, &legend, |sheet, top| {
        let mut top = top;
        for table in tables {
            panel(sheet, table, (&series, &pens), top)?;
            top += height(table, &series);
        }
        Ok(())
    })?;
    let mut caption = vec![
        words.opening(),
        "Whiskers are 95 % intervals of dense (Wilson; of the mean a bootstrap over items within tasks). \
         Recipes answer the same items, so they are to be compared with dense by the paired tests of the \
         table and not by whether a mark lies within the whisker."
            .to_owned(),
    ];
    caption.extend(hatched(&whys));
    if !left_out.is_empty() {
        caption.push(format!(
            "Not drawn are the recipes between the three that keep most and the three that keep least: {}.",
            left_out.join(", ")
        ));
    }
    Ok(Content::Drawn {
        svg,
        alternative: words.title.clone(),
        caption: sentences(&caption),
        tables: tables.iter().map(|own| headings::of_tasks(&own.model)).collect(),
        numbers: numbers(tables, &series),
    })
}

/// The recipes that are drawn, steps and label, in the order of the tables; and the labels of the others.
fn chosen(tables: &[TaskTable]) -> (Vec<(String, String)>, Vec<String>) {
    let mut all: Vec<(String, String)> = Vec::new();
    for row in tables.iter().flat_map(|table| &table.rows).filter(|row| !row.is_dense()) {
        let own = (row.recipe.clone(), row.label.clone());
        if !all.contains(&own) {
            all.push(own);
        }
    }
    if all.len() <= MOST {
        return (all, Vec::new());
    }
    // By the mean over models of what is kept; what was compared nowhere counts as lost.
    let kept = |recipe: &str| {
        let compared = tables.iter().flat_map(TaskTable::compared);
        let own = compared.filter(|(row, _)| row.recipe == recipe).map(|(_, own)| own.difference);
        let own: Vec<f64> = own.collect();
        match own.len() {
            0 => f64::NEG_INFINITY,
            n => own.iter().sum::<f64>() / n as f64,
        }
    };
    let mut ranked: Vec<(f64, usize)> =
        all.iter().enumerate().map(|(index, (recipe, _))| (kept(recipe), index)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let between = MOST / 2..ranked.len() - MOST / 2;
    let dropped: Vec<usize> = ranked[between].iter().map(|(_, index)| *index).collect();
    let (mut shown, mut left_out) = (Vec::new(), Vec::new());
    for (index, own) in all.into_iter().enumerate() {
        match dropped.contains(&index) {
            true => left_out.push(own.1),
            false => shown.push(own),
        }
    }
    (shown, left_out)
}

/// The rows of a table that are drawn, beside their series.
fn rows<'a>(
    table: &'a TaskTable,
    series: &'a [Series],
) -> impl Iterator<Item = (usize, &'a Series, &'a TaskRow)> {
    series.iter().enumerate().filter_map(|(index, own)| {
        let row = table.rows.iter().find(|row| row.recipe == own.recipe)?;
        Some((index, own, row))
    })
}

fn absent<'a>(table: &'a TaskTable, series: &'a [Series]) -> impl Iterator<Item = Why> + 'a {
    rows(table, series).flat_map(|(_, _, row)| row.entries.iter().filter_map(TaskSlot::why))
}

fn words(tables: &[TaskTable], series: &[Series]) -> Words {
    let of_task = |table: &TaskTable, index: usize, task: &Task| {
        let values = rows(table, series).filter_map(|(_, own, row)| match &row.entries[index] {
            TaskSlot::Measured(entry) => Some(format!("{} {}", own.label, percent(entry.value))),
            TaskSlot::Absent { why, .. } => Some(format!("{} {}", own.label, why.as_str())),
            TaskSlot::NotOrdered => None,
        });
        format!("{}: {}", task.name, values.collect::<Vec<_>>().join(", "))
    };
    let of_model = |table: &TaskTable| {
        let tasks = table.tasks.iter().enumerate().map(|(index, task)| of_task(table, index, task));
        format!("{}: {}", table.model, tasks.collect::<Vec<_>>().join("; "))
    };
    let described: Vec<String> = tables.iter().map(of_model).collect();
    let n_recipes = series.len().saturating_sub(1);
    Words {
        title: "Downstream tasks, dense and by recipe".to_owned(),
        subtitle: format!(
            "share of items that are right (acc_norm where the task has it), {}, dense and {}",
            count(tables.len(), "model"),
            count(n_recipes, "recipe")
        ),
        description: format!("Share of items that are right. {}.", described.join(". ")),
    }
}

fn numbers(tables: &[TaskTable], series: &[Series]) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("task", Left),
        ("recipe", Left),
        ("metric", Left),
        ("right", Right),
        ("items", Right),
        ("share", Right),
        ("lower", Right),
        ("upper", Right),
        ("chance", Right),
        ("cells", Left),
    ]);
    for own in tables {
        for (index, task) in own.tasks.iter().enumerate() {
            for (_, series, row) in rows(own, series) {
                let first =
                    [Field::text(&own.model), Field::text(&task.name), Field::text(&series.label)];
                match &row.entries[index] {
                    TaskSlot::Measured(entry) => {
                        table.push(first.into_iter().chain(of_entry(entry, task.chance)));
                    }
                    TaskSlot::Absent { cell_id, why } => {
                        let mut fields = first.to_vec();
                        fields.extend([Field::empty(), Field::number(why.as_str())]);
                        fields.resize_with(10, Field::empty);
                        fields.push(Field::cell(cell_id));
                        table.push(fields);
                    }
                    TaskSlot::NotOrdered => {}
                }
            }
        }
        for (_, series, row) in rows(own, series) {
            let Some(mean) = &row.mean else { continue };
            let limit = |own: Option<f64>| Field::Number(own.map(percent).unwrap_or_default());
            let task = format!("mean of {}", count(mean.n_tasks, "task"));
            let mut fields =
                vec![Field::text(&own.model), Field::text(task), Field::text(&series.label)];
            fields.resize_with(6, Field::empty);
            fields.extend([
                Field::Number(percent(mean.value)),
                limit(mean.lower),
                limit(mean.upper),
            ]);
            table.push(fields);
        }
    }
    table
}

fn of_entry(own: &TaskEntry, chance: f64) -> [Field; 8] {
    let [value, lower, upper, chance] = [own.value, own.lower, own.upper, chance].map(percent);
    let numbers = [
        own.metric.as_str().to_owned(),
        own.n_correct.to_string(),
        own.n_items.to_string(),
        value,
        lower,
        upper,
        chance,
    ];
    let [metric, right, items, value, lower, upper, chance] = numbers.map(Field::Number);
    [metric, right, items, value, lower, upper, chance, Field::Cells(own.cell_ids.clone())]
}

//! `tasks`: how many items of each downstream task are right, dense and by recipe; a line a task, a panel a
//! model.

use anyhow::Result;
use evidence::absent::Why;
use evidence::place::reasons;
use judgement::Summary;
use judgement::tasks::{Task, TaskEntry, TaskRow, TaskSlot, TaskTable};
use plotters::style::text_anchor::HPos;

use super::axes::{AXIS, Area, Scale};
use super::canvas::{self, Key, Words};
use super::inks::{Ink, Inks, REFERENCE, TEXT, series_colour};
use super::marks::{hatch, mark, path, whisker};
use super::picture::Content;
use super::sheet::{LINE, MARGIN, Sheet, WIDTH, fitting, text_width, write};
use super::words::{hatched, sentences, share_label};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{count, percent};
use crate::headings;

/// Recipes that are drawn beside dense.
const MOST: usize = 6;
/// The marks of recipes; the diamond is that of dense, as in the other pictures.
const MARKS: [usize; MOST] = [0, 1, 2, 4, 5, 6];
const DENSE_MARK: usize = 3;
/// Pixels between two marks of one task, and of a task beside its marks.
const ASIDE: i32 = 5;
const ROW: i32 = 26;
/// Pixels of the longest name that is not cut.
const LONGEST: i32 = 260;

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

fn row_height(series: &[Series]) -> i32 {
    ROW + ASIDE * i32::try_from(series.len()).unwrap_or(0)
}

/// Pixels of a panel: its name, its tasks, their mean, and the axis.
fn height(table: &TaskTable, series: &[Series]) -> i32 {
    let n = i32::try_from(table.tasks.len() + 1).unwrap_or(0);
    LINE + n * row_height(series) + AXIS
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

fn panel(
    sheet: &Sheet<'_>,
    table: &TaskTable,
    (series, pens): (&[Series], &Pens),
    top: i32,
) -> Result<()> {
    let names: Vec<String> =
        table.tasks.iter().enumerate().map(|(index, task)| name(table, index, task)).collect();
    let longest = names.iter().map(|name| text_width(name)).max().unwrap_or(0).min(LONGEST);
    let row_height = row_height(series);
    let n_rows = i32::try_from(table.tasks.len() + 1)?;
    let area = Area {
        left: MARGIN + longest + 24,
        top: top + LINE,
        right: WIDTH - 2 * MARGIN,
        bottom: top + LINE + n_rows * row_height,
    };
    let scale = Scale::even_around(extent(table, series), 0.04, 8).between(area.left, area.right);
    write(sheet, &fitting(&table.model, WIDTH - 2 * MARGIN), TEXT, HPos::Left, (MARGIN, top + 4))?;
    scale.draw_below(sheet, area, &share_label, "items that are right")?;
    for (index, name) in names.iter().enumerate() {
        let y = area.top + i32::try_from(index)? * row_height + row_height / 2;
        write(sheet, &fitting(name, LONGEST), TEXT, HPos::Right, (area.left - 12, y))?;
        let chance = scale.at(table.tasks[index].chance);
        let half = row_height / 2 - 3;
        path(sheet, [(chance, y - half), (chance, y + half)], pens.chance, 2)?;
        let slots: Vec<(usize, &Series, &TaskSlot)> = rows(table, series)
            .map(|(place, own, row)| (place, own, &row.entries[index]))
            .collect();
        let dots = slots.iter().filter_map(|(place, own, slot)| {
            let entry = slot.entry()?;
            Some(Dot {
                place: *place,
                own,
                value: entry.value,
                limits: Some((entry.lower, entry.upper)),
            })
        });
        dumbbell(sheet, (&scale, y), (series.len(), pens), &dots.collect::<Vec<_>>())?;
        hatches(sheet, (area.left, y), &slots)?;
    }
    let y = area.bottom - row_height / 2;
    write(sheet, "mean", TEXT, HPos::Right, (area.left - 12, y))?;
    let dots = rows(table, series).filter_map(|(place, own, row)| {
        let mean = row.mean.as_ref()?;
        Some(Dot { place, own, value: mean.value, limits: mean.lower.zip(mean.upper) })
    });
    dumbbell(sheet, (&scale, y), (series.len(), pens), &dots.collect::<Vec<_>>())
}

/// `piqa, acc_norm, n=40`
fn name(table: &TaskTable, index: usize, task: &Task) -> String {
    let n =
        table.rows.iter().find_map(|row| row.entries[index].entry()).map_or(0, |own| own.n_items);
    format!("{}, {}, n={n}", task.name, task.metric.as_str())
}

/// All numbers that are drawn of a table.
fn extent(table: &TaskTable, series: &[Series]) -> impl Iterator<Item = f64> {
    let mut all: Vec<f64> = table.tasks.iter().map(|task| task.chance).collect();
    for (_, _, row) in rows(table, series) {
        for entry in row.entries.iter().filter_map(TaskSlot::entry) {
            all.push(entry.value);
            if row.is_dense() {
                all.extend([entry.lower, entry.upper]);
            }
        }
        all.extend(row.mean.as_ref().map(|mean| mean.value));
    }
    all.into_iter()
}

/// One mark of a task.
struct Dot<'a> {
    place: usize,
    own: &'a Series,
    value: f64,
    limits: Option<(f64, f64)>,
}

/// The marks of a task, each a little below the one before, and a line from the first to the last.
fn dumbbell(
    sheet: &Sheet<'_>,
    (scale, y): (&Scale, i32),
    (n, pens): (usize, &Pens),
    dots: &[Dot<'_>],
) -> Result<()> {
    let places = || dots.iter().map(|dot| scale.at(dot.value));
    if let (Some(first), Some(last)) = (places().min(), places().max()) {
        path(sheet, [(first, y), (last, y)], pens.between, 1)?;
    }
    let height = |place: usize| -> Result<i32> {
        Ok(y + ASIDE * i32::try_from(place)? - ASIDE * i32::try_from(n.saturating_sub(1))? / 2)
    };
    for dot in dots {
        let y = height(dot.place)?;
        if let Some((lower, upper)) = dot.limits.filter(|_| dot.own.mark == DENSE_MARK) {
            whisker(sheet, dot.own.ink, (scale.at(lower), scale.at(upper)), y)?;
        }
        mark(sheet, dot.own.mark, dot.own.ink, (scale.at(dot.value), y))?;
    }
    Ok(())
}

/// What failed or is missing, from the left end on: a hatched place with the mark of its recipe.
fn hatches(
    sheet: &Sheet<'_>,
    (left, y): (i32, i32),
    slots: &[(usize, &Series, &TaskSlot)],
) -> Result<()> {
    let mut x = left + 8;
    for (_, own, slot) in slots {
        if let Some(why) = slot.why() {
            hatch(sheet, why, (x, y - 6), (x + 20, y + 6))?;
            mark(sheet, own.mark, own.ink, (x + 30, y))?;
            x += 48;
        }
    }
    Ok(())
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

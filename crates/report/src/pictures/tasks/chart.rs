//! A panel of the picture: a line a task, with the marks of dense and of recipes, and their mean below.

use anyhow::Result;
use judgement::tasks::{Task, TaskSlot, TaskTable};
use plotters::style::text_anchor::HPos;

use super::{DENSE_MARK, Pens, Series, rows};
use crate::pictures::axes::{AXIS, Area, Scale};
use crate::pictures::inks::TEXT;
use crate::pictures::marks::{hatch, mark, path, whisker};
use crate::pictures::sheet::{LINE, MARGIN, Sheet, WIDTH, fitting, text_width, write};
use crate::pictures::words::share_label;

/// Pixels between two marks of one task, and of a task beside its marks.
const ASIDE: i32 = 5;
const ROW: i32 = 26;
/// Pixels of the longest name that is not cut.
const LONGEST: i32 = 260;

fn row_height(series: &[Series]) -> i32 {
    ROW + ASIDE * i32::try_from(series.len()).unwrap_or(0)
}

/// Pixels of a panel: its name, its tasks, their mean, and the axis.
pub(super) fn height(table: &TaskTable, series: &[Series]) -> i32 {
    let n = i32::try_from(table.tasks.len() + 1).unwrap_or(0);
    LINE + n * row_height(series) + AXIS
}

/// Draws the panel of a model.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn panel(
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

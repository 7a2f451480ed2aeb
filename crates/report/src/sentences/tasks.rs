//! The sentences about downstream tasks: what dense gets right in the mean and what recipes lose of it, the
//! verdict on a difference, and the warning where there is nothing to lose.

use judgement::tasks::{MeanDifference, Task, TaskMean, TaskRow, TaskSlot, TaskTable, TaskVerdict};

use super::finding::OfModel;
use crate::format::{count, percent, points};

/// One a model that has a dense cell.
pub(super) fn sentences(tables: &[TaskTable]) -> Vec<OfModel> {
    let of_table = |table: &TaskTable| Some((table.model.clone(), sentence(table)?));
    tables.iter().filter_map(of_table).collect()
}

fn sentence(table: &TaskTable) -> Option<String> {
    let dense = table.dense()?.mean.as_ref()?;
    let on = count(dense.n_tasks, "task");
    let mut text = format!("{} on {on}: dense gets {} right in the mean", table.model, mean(dense));
    let said = |(row, own): &(&TaskRow, &MeanDifference)| {
        let over = match own.n_tasks == dense.n_tasks {
            true => String::new(),
            false => format!(" over {}", count(own.n_tasks, "task")),
        };
        let verdict = verdict(own.verdict, table.margin);
        format!("{} {}{over} ({verdict})", row.label, mean_against_dense(own))
    };
    match table.compared().as_slice() {
        [] => {}
        [only] => text += &format!("; {}", said(only)),
        [best, .., worst] => {
            text += &format!("; {} is the best recipe, {} the worst", said(best), said(worst));
        }
    }
    Some(text + ".")
}

/// `58.3 % [53.1 %, 63.2 %]`
fn mean(own: &TaskMean) -> String {
    match own.lower.zip(own.upper) {
        Some((lower, upper)) => {
            format!("{} [{}, {}]", percent(own.value), percent(lower), percent(upper))
        }
        None => percent(own.value),
    }
}

/// `-12.5 points [-20.0, -5.1]`
fn mean_against_dense(own: &MeanDifference) -> String {
    match own.lower.zip(own.upper) {
        Some((lower, upper)) => {
            format!("{} points [{}, {}]", points(own.difference), points(lower), points(upper))
        }
        None => format!("{} points", points(own.difference)),
    }
}

/// `equivalent within ±2 points`, `differs`, `open`
pub(crate) fn verdict(own: TaskVerdict, margin: f64) -> String {
    match own {
        TaskVerdict::Equivalent => {
            format!("equivalent within ±{} points", (margin * 1e4).round() / 100.0)
        }
        TaskVerdict::Differs => "differs".to_owned(),
        TaskVerdict::Open => "open".to_owned(),
    }
}

/// The warning about tasks on which the dense model guesses; none where it does on none.
pub(crate) fn at_chance(table: &TaskTable) -> Option<String> {
    let dense = table.dense()?;
    let guessed =
        table.tasks.iter().zip(&dense.entries).filter_map(|(task, slot): (&Task, &TaskSlot)| {
            let own = slot.entry().filter(|_| task.dense_is_at_chance == Some(true))?;
            let [value, lower, upper, chance] =
                [own.value, own.lower, own.upper, task.chance].map(percent);
            Some(format!("{} ({value} [{lower}, {upper}], guessing gets {chance})", task.name))
        });
    let guessed: Vec<String> = guessed.collect();
    (!guessed.is_empty()).then(|| {
        format!(
            "{}: dense cannot be told from guessing on {}. Nothing can be lost there: a recipe that does \
             as well has shown nothing. (The Wilson 95 % interval of dense contains chance.)",
            table.model,
            guessed.join(", ")
        )
    })
}

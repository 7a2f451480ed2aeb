//! Downstream tasks: of each model what its tasks are, recipes by tasks, and every place against dense.

use evidence::AgainstDense;
use judgement::perplexity::BOOTSTRAP;
use judgement::tasks::{Metric, Task, TaskDifference, TaskEntry, TaskRow, TaskSlot, TaskTable};

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Table};
use crate::format::{NOTHING, count, or_nothing, p_value, percent, points};
use crate::headings;
use crate::sentences::{at_chance, task_verdict};

/// The tables of a run; nothing where no cell has choices.
pub(super) fn section(all: &[TaskTable]) -> Vec<Block> {
    if all.is_empty() {
        return Vec::new();
    }
    let heading = Block::heading(2, "Downstream tasks");
    let explained = Block::paragraph(
        "Tasks, their metrics and standard errors are those of lm-evaluation-harness 0.4.13 \
         (docs/SPEC.md section 15). acc_norm is told where the task has it, else acc; averages over other \
         metrics or other tasks cannot be compared with these.",
    );
    [heading, explained].into_iter().chain(all.iter().flat_map(of_model)).collect()
}

fn of_model(own: &TaskTable) -> Vec<Block> {
    let mut blocks = vec![Block::section(3, headings::of_tasks(&own.model))];
    blocks.extend(at_chance(own).map(Block::Warning));
    blocks.extend([
        Block::Table(tasks(own)),
        Block::paragraph(
            "Chance: what guessing gets. Standard error as the harness prints it; of a group pooled over \
             its members, whose mean weighs them by their items.",
        ),
        Block::heading(4, format!("{}: recipes by tasks", own.model)),
        Block::Table(matrix(own)),
        Block::paragraph(format!(
            "Items that are right, in per cent; brackets: 95 % (Wilson; of the mean a bootstrap over items \
             within tasks, {} resamples, seed {}). Each task counts once in the mean, a group as one.",
            BOOTSTRAP.resamples, BOOTSTRAP.seed
        )),
        Block::heading(4, format!("{}: tasks against dense", own.model)),
        Block::Table(differences(own, &own.tasks, |row| &row.entries, true)),
        Block::paragraph(note(own)),
    ]);
    if !own.parts.is_empty() {
        let summary = format!("{} of groups", count(own.parts.len(), "member"));
        let family = format!(
            "{} are a family of their own: their items are those of the groups once more.",
            count(own.n_tests_of_parts, "comparison")
        );
        let table = Block::Table(differences(own, &own.parts, |row| &row.parts, false));
        blocks.push(Block::Fold { summary, blocks: vec![table, Block::paragraph(family)] });
    }
    blocks
}

fn note(own: &TaskTable) -> String {
    format!(
        "Δ: the recipe's share less that of dense on the same items, in percentage points, with Newcombe's \
         paired interval; only: items that only the recipe or only dense gets right. McNemar's test is \
         exact, adjusted by Holm over {} of this table. {}: the 95 % interval lies within the margin (two \
         one-sided tests at 2.5 %); differs: significant after Holm; open: neither. Detectable: the smallest \
         difference found with power 0.8 at level 0.05. Of the mean the interval is a bootstrap with the \
         same draws for both sides; it is adjusted for no other recipe.",
        count(own.n_tests, "comparison"),
        task_verdict(judgement::tasks::TaskVerdict::Equivalent, own.margin),
    )
}

/// What the columns are.
fn tasks(own: &TaskTable) -> Table {
    let mut table = Table::new([
        ("task", Left),
        ("text", Left),
        ("metric", Left),
        ("version", Left),
        ("items", Right),
        ("chance", Right),
        ("dense [95 %]", Right),
        ("standard error", Right),
        ("against chance", Left),
    ]);
    let dense = own.dense();
    for (index, task) in own.tasks.iter().enumerate() {
        let dense = dense.and_then(|row| row.entries[index].entry());
        let first = own.rows.iter().find_map(|row| row.entries[index].entry());
        let text = match task.members.len() {
            0 => task.dataset.clone().unwrap_or_default(),
            n => count(n, "member"),
        };
        let at_chance =
            task.dense_is_at_chance.map(|at| if at { "not told apart" } else { "differs" });
        table.push([
            Field::text(&task.name),
            Field::text(text),
            Field::number(task.metric.as_str()),
            Field::text(task.version.clone().unwrap_or_default()),
            Field::Number(or_nothing(dense.or(first).map(|own| own.n_items))),
            Field::Number(percent(task.chance)),
            Field::Number(or_nothing(dense.map(share))),
            Field::Number(or_nothing(
                dense.and_then(|own| own.stderr).map(|own| format!("{own:.4}")),
            )),
            Field::number(at_chance.unwrap_or_default()),
        ]);
    }
    table
}

/// `65.0 % [55.3 %, 73.6 %]`
fn share(own: &TaskEntry) -> String {
    format!("{} [{}, {}]", percent(own.value), percent(own.lower), percent(own.upper))
}

/// Recipes by tasks.
fn matrix(own: &TaskTable) -> Table {
    let heads: Vec<String> =
        own.tasks.iter().map(|task| format!("{} ({})", task.name, task.metric.as_str())).collect();
    let columns = heads.iter().map(|head| (head.as_str(), Right));
    let mut table = Table::new(
        [("recipe", Left)].into_iter().chain(columns).chain([("mean", Right), ("tasks", Right)]),
    );
    for row in &own.rows {
        let places = own.tasks.iter().zip(&row.entries);
        let places = places.map(|(task, slot)| Field::Number(whole_place(task, slot)));
        let mean = row.mean.as_ref().map(|own| match own.lower.zip(own.upper) {
            Some((lower, upper)) => in_percent(own.value, lower, upper),
            None => format!("{:.1}", 100.0 * own.value),
        });
        let n_tasks = row.mean.as_ref().map(|own| own.n_tasks);
        let last = [Field::Number(or_nothing(mean)), Field::Number(or_nothing(n_tasks))];
        table.push([Field::text(&row.label)].into_iter().chain(places).chain(last));
    }
    table
}

/// `65.0 [55.3, 73.6]`
fn in_percent(value: f64, lower: f64, upper: f64) -> String {
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * value, 100.0 * lower, 100.0 * upper)
}

/// The same, and of a group of which a member is not there how many are.
fn whole_place(task: &Task, slot: &TaskSlot) -> String {
    let n_members = slot.entry().map_or(task.members.len(), |own| own.cell_ids.len());
    match n_members < task.members.len() {
        true => format!("{} ({n_members} of {} members)", place(slot), task.members.len()),
        false => place(slot),
    }
}

fn place(slot: &TaskSlot) -> String {
    match slot {
        TaskSlot::Measured(own) => in_percent(own.value, own.lower, own.upper),
        TaskSlot::Absent { why, .. } => why.as_str().to_owned(),
        TaskSlot::NotOrdered => NOTHING.to_owned(),
    }
}

/// Every place with its numbers and its comparison, recipe by recipe.
fn differences(
    own: &TaskTable,
    tasks: &[Task],
    slots: impl Fn(&TaskRow) -> &[TaskSlot],
    has_mean: bool,
) -> Table {
    let mut table = Table::new([
        ("recipe", Left),
        ("task", Left),
        ("right", Right),
        ("acc", Right),
        ("acc_norm", Right),
        ("± stderr", Right),
        ("Δ points", Right),
        ("95 % interval", Right),
        ("only recipe / dense", Right),
        ("McNemar p", Right),
        ("p (Holm)", Right),
        ("verdict", Left),
        ("detectable", Right),
        ("note", Left),
        ("cell", Left),
    ])
    .home();
    for row in &own.rows {
        for (task, slot) in tasks.iter().zip(slots(row)) {
            table.push(fields(row, task, slot, own.margin));
        }
        if has_mean {
            table.push(mean(row, own.margin));
        }
    }
    table
}

fn fields(row: &TaskRow, task: &Task, slot: &TaskSlot, margin: f64) -> Vec<Field> {
    let first = [Field::text(&row.label), Field::text(&task.name)];
    let TaskSlot::Measured(own) = slot else {
        let mut fields = first.to_vec();
        fields.push(Field::Number(place(slot)));
        fields.resize_with(14, Field::empty);
        if let TaskSlot::Absent { cell_id, .. } = slot {
            fields.push(Field::cell(cell_id));
        }
        return fields;
    };
    let stderr = own.stderr.map(|own| format!("{own:.4}"));
    let has_norm = own.metric == Metric::AccNorm;
    let values = [
        format!("{}/{}", own.n_correct, own.n_items),
        percent(own.acc.value),
        if has_norm { percent(own.acc_norm.value) } else { String::new() },
        or_nothing(stderr),
    ];
    let (compared, note) = match &own.against_dense {
        AgainstDense::Compared(own) => (difference(own, margin), String::new()),
        AgainstDense::Baseline => (Default::default(), String::new()),
        AgainstDense::NoDense => (Default::default(), "no dense".to_owned()),
        AgainstDense::Refused { reason } => (Default::default(), reason.clone()),
    };
    let cell = match own.cell_ids.as_slice() {
        [only] => Field::cell(only),
        several => Field::Number(count(several.len(), "cell")),
    };
    let numbers = values.into_iter().chain(compared).map(Field::Number);
    first.into_iter().chain(numbers).chain([Field::Text(note), cell]).collect()
}

/// From the difference to what could have been detected.
fn difference(own: &TaskDifference, margin: f64) -> [String; 7] {
    let detectable = own.minimum_detectable_difference.map(points);
    [
        points(own.difference),
        format!("[{}, {}]", points(own.lower), points(own.upper)),
        format!("{} / {}", own.only_this, own.only_dense),
        p_value(own.mcnemar_p),
        p_value(own.mcnemar_p_holm),
        task_verdict(own.verdict, margin),
        or_nothing(detectable.as_deref().map(|own| own.trim_start_matches('+'))),
    ]
}

fn mean(row: &TaskRow, margin: f64) -> Vec<Field> {
    let Some(mean) = &row.mean else {
        return vec![Field::text(&row.label), Field::text("mean"), Field::number(NOTHING)];
    };
    let compared = row.mean_against_dense.compared();
    let n_tasks = compared.map_or(mean.n_tasks, |own| own.n_tasks);
    let limits = compared.and_then(|own| own.lower.zip(own.upper));
    let limits = limits.map(|(lower, upper)| format!("[{}, {}]", points(lower), points(upper)));
    let mut fields = vec![
        Field::text(&row.label),
        Field::text(format!("mean of {}", count(n_tasks, "task"))),
        Field::Number(percent(compared.map_or(mean.value, |own| own.value))),
    ];
    fields.resize_with(6, Field::empty);
    fields.push(Field::Number(compared.map_or_else(String::new, |own| points(own.difference))));
    fields.push(Field::Number(limits.unwrap_or_default()));
    fields.resize_with(11, Field::empty);
    let verdict = compared.map(|own| task_verdict(own.verdict, margin));
    fields.push(Field::Number(verdict.unwrap_or_default()));
    fields
}

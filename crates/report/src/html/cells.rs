//! Which cells a page is about, so that every mention of one leads to its row.

use std::collections::{BTreeMap, BTreeSet};

use evidence::Row;
use judgement::Summary;
use judgement::tasks::{TaskRow, TaskSlot};
use maud::{Markup, html};

use crate::document::{Block, Field};
use crate::format::short;

/// The cells of a page.
pub(crate) struct Cells {
    /// Labels by short id.
    labels: BTreeMap<String, String>,
}

impl Cells {
    /// The cells in the tables of perplexity, accuracy and tasks of some runs.
    pub(crate) fn of<'a>(summaries: impl IntoIterator<Item = &'a Summary>) -> Cells {
        let mut cells = Cells { labels: BTreeMap::new() };
        for summary in summaries {
            summary.perplexity_tables.iter().for_each(|table| cells.add(&table.rows));
            summary.accuracy_tables.iter().for_each(|table| cells.add(&table.rows));
            for table in &summary.task_tables {
                table.rows.iter().for_each(|row| cells.add_tasks(&table.model, row));
            }
        }
        cells
    }

    /// Those of them whose row stands on a page of these blocks.
    pub(crate) fn on(mut self, blocks: &[&Block]) -> Cells {
        let mut placed = BTreeSet::new();
        blocks.iter().for_each(|block| place(block, &mut placed));
        self.labels.retain(|id, _| placed.contains(id.as_str()));
        self
    }

    fn add<M>(&mut self, rows: &[Row<M>]) {
        let labels = rows.iter().map(|row| (short(&row.cell_id).to_owned(), row.label.clone()));
        self.labels.extend(labels);
    }

    /// The cells of a recipe's tasks; those of a group are the ones of its members.
    fn add_tasks(&mut self, model: &str, row: &TaskRow) {
        let entries = row.entries.iter().chain(&row.parts).filter_map(TaskSlot::entry);
        for entry in entries.filter(|entry| entry.cell_ids.len() == 1) {
            let label = format!("{model} {} {}", entry.task, row.label);
            self.labels.entry(short(&entry.cell_ids[0]).to_owned()).or_insert(label);
        }
    }

    /// The ids of all places that mentions lead to.
    pub(super) fn anchors(&self) -> BTreeSet<String> {
        self.labels.keys().map(|id| anchor(id)).collect()
    }

    /// Whether a cell has a row.
    pub(super) fn has(&self, id: &str) -> bool {
        self.labels.contains_key(short(id))
    }

    /// A mention of a cell: its place where `is_home`, else a link to it; code for what has no row.
    pub(super) fn mention(&self, id: &str, is_home: bool) -> Markup {
        let id = short(id);
        let Some(label) = self.labels.get(id) else { return html! { code { (id) } } };
        let title = format!("{label}\ncargo xtask explain {id}");
        match is_home {
            true => html! { code id=(anchor(id)) title=(title) { (id) } },
            false => html! { a href=(format!("#{}", anchor(id))) title=(title) { code { (id) } } },
        }
    }
}

/// Adds the short ids of the cells that have their row in a block.
fn place<'a>(block: &'a Block, placed: &mut BTreeSet<&'a str>) {
    match block {
        Block::Fold { blocks, .. } => blocks.iter().for_each(|block| place(block, placed)),
        Block::Table(table) if table.is_home() => {
            for field in table.rows().flatten() {
                if let Field::Cell(id) = field {
                    placed.insert(short(id));
                }
            }
        }
        _ => {}
    }
}

fn anchor(id: &str) -> String {
    format!("cell-{id}")
}

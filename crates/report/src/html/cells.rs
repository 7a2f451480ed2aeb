//! Which cells a page is about, so that every mention of one leads to its row.

use std::collections::{BTreeMap, BTreeSet};

use maud::{PreEscaped, html};

use evidence::Row;
use judgement::Summary;

use crate::format::short;
use crate::sections::headings::of_table;

/// The cells of a page.
pub(crate) struct Cells {
    /// Labels by short id.
    labels: BTreeMap<String, String>,
    /// Headings of the tables in whose column `cell` an id is at home.
    homes: BTreeSet<String>,
}

/// The name of that column.
pub(super) const COLUMN: &str = "cell";

impl Cells {
    /// The cells in the perplexity and accuracy tables of some runs.
    pub(crate) fn of<'a>(summaries: impl IntoIterator<Item = &'a Summary>) -> Cells {
        let mut cells = Cells { labels: BTreeMap::new(), homes: BTreeSet::new() };
        for summary in summaries {
            for table in &summary.perplexity_tables {
                cells.homes.insert(of_table(table.subject()));
                cells.add(&table.rows);
            }
            for table in &summary.accuracy_tables {
                cells.homes.insert(of_table(table.subject()));
                cells.add(&table.rows);
            }
        }
        cells
    }

    fn add<M>(&mut self, rows: &[Row<M>]) {
        let labels = rows.iter().map(|row| (short(&row.cell_id).to_owned(), row.label.clone()));
        self.labels.extend(labels);
    }

    /// The ids of all places that mentions lead to.
    pub(super) fn anchors(&self) -> BTreeSet<String> {
        self.labels.keys().map(|id| anchor(id)).collect()
    }

    /// Whether the tables below `heading` are where ids are at home.
    pub(super) fn are_at_home(&self, heading: &str) -> bool {
        self.homes.contains(heading)
    }

    /// The place of a cell, or a link to it; nothing for what is no cell of the tables.
    pub(super) fn mention(&self, id: &str, is_home: bool) -> Option<String> {
        let label = self.labels.get(id)?;
        let title = format!("{label}\ncargo xtask explain {id}");
        let markup = match is_home {
            true => html! { code id=(anchor(id)) title=(title) { (id) } },
            false => html! { a href=(format!("#{}", anchor(id))) title=(title) { code { (id) } } },
        };
        let PreEscaped(text) = markup;
        Some(text)
    }
}

fn anchor(id: &str) -> String {
    format!("cell-{id}")
}

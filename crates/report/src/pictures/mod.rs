//! The pictures of a report: SVG text, made of the same rows as its tables.
//!
//! A picture shows one text, one sparsity and every model that has numbers there; it says which,
//! and names the models that it leaves out. The same tables give the same bytes.

mod atlas;
mod axes;
mod canvas;
mod dial;
mod static_and_dynamic;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use plan::{Protocol, shortest_decimal};

use crate::format::count;
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::Row;
use crate::summary::Summary;

/// A picture of a report, or why there is none.
pub(crate) struct Picture {
    /// The file's name.
    pub(crate) name: &'static str,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    Drawn {
        svg: String,
        /// What stands in a page for those who do not see the picture.
        alternative: String,
        /// What it shows, sentence by sentence.
        caption: Vec<String>,
        /// Names and headings of the tables that hold its numbers.
        tables: Vec<String>,
    },
    /// The tables hold nothing to draw.
    Nothing { reason: String },
}

/// The pictures of a run; that of the atlas only where it opens the page.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(crate) fn of(summary: &Summary) -> Result<Vec<Picture>> {
    let drawn = |name: &'static str, content: Result<Content>| {
        let content = content.with_context(|| format!("cannot draw {name}"))?;
        Ok::<_, anyhow::Error>(Picture { name, content })
    };
    let mut pictures = vec![
        drawn("static-and-dynamic.svg", static_and_dynamic::draw(summary))?,
        drawn("dial.svg", dial::draw(summary))?,
    ];
    if summary.atlas.opens_page && !summary.atlas.entries.is_empty() {
        pictures.push(drawn("atlas.svg", atlas::draw(summary))?);
    }
    Ok(pictures)
}

/// What a caption says where a place could be filled by several cells.
const NEWEST: &str = "Where several cells could stand at one place, the newest is shown.";

/// What one picture is about: of the values that tables have by sparsity, those of one text and
/// one sparsity.
struct Choice<'a, T> {
    dataset: &'a str,
    protocol: Protocol,
    sparsity: f64,
    /// The models that have a value, in the report's order.
    shown: Vec<(&'a PerplexityTable, T)>,
    /// The other models of the text.
    left_out: Vec<&'a str>,
    /// Other texts with values.
    other_texts: Vec<String>,
}

/// Chooses the first text in the report's order that has values, and of its sparsities the one
/// that most models have; of equals the largest.
fn choose<'a, T>(
    tables: &'a [PerplexityTable],
    values: impl Fn(&'a PerplexityTable) -> Vec<(f64, T)>,
) -> Option<Choice<'a, T>> {
    let mut texts: Vec<(&str, Protocol)> = Vec::new();
    let mut rated: Vec<(&PerplexityTable, Vec<(f64, T)>)> = Vec::new();
    for table in tables {
        let values = values(table);
        let text = (table.dataset.as_str(), table.protocol);
        if !values.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
        rated.push((table, values));
    }
    let (&(dataset, protocol), others) = texts.split_first()?;
    rated.retain(|(table, _)| (table.dataset.as_str(), table.protocol) == (dataset, protocol));

    let mut counts: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for (sparsity, _) in rated.iter().flat_map(|(_, values)| values) {
        counts.entry(shortest_decimal(*sparsity)).or_insert((0, *sparsity)).0 += 1;
    }
    let most = counts.into_values().max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (_, sparsity) = most?;

    let (mut shown, mut left_out) = (Vec::new(), Vec::new());
    for (table, values) in rated {
        match values.into_iter().find(|(other, _)| other.total_cmp(&sparsity).is_eq()) {
            Some((_, value)) => shown.push((table, value)),
            None => left_out.push(table.model.as_str()),
        }
    }
    let other_texts = others.iter().map(|(dataset, protocol)| format!("{dataset} ({protocol})"));
    let other_texts = other_texts.collect();
    Some(Choice { dataset, protocol, sparsity, shown, left_out, other_texts })
}

impl<T> Choice<'_, T> {
    /// `wikitext2, ppl-1024`
    fn text(&self) -> String {
        format!("{}, {}", self.dataset, self.protocol)
    }

    /// What a caption has to say of models and texts that are not in the picture.
    fn not_shown(&self, wanting: &str) -> Vec<String> {
        let mut sentences = Vec::new();
        if !self.other_texts.is_empty() {
            let others = self.other_texts.join(", ");
            sentences
                .push(format!("{} is the first of its texts; not shown: {others}.", self.dataset));
        }
        if !self.left_out.is_empty() {
            let sparsity = shortest_decimal(self.sparsity);
            let models = self.left_out.join(", ");
            sentences.push(format!("Not shown, for want of {wanting} at κ={sparsity}: {models}."));
        }
        sentences
    }
}

/// `4 windows, 4092 targets`, or from the fewest to the most where rows differ.
fn sizes<'a>(rows: impl Iterator<Item = &'a Row<Perplexity>>) -> String {
    let (windows, targets): (Vec<u64>, Vec<u64>) =
        rows.map(|row| (row.measured.n_windows as u64, row.measured.n_targets)).unzip();
    let span = |numbers: &[u64], thing: &str| {
        let fewest = numbers.iter().min().copied().unwrap_or(0);
        let most = numbers.iter().max().copied().unwrap_or(0);
        let most_things = count(usize::try_from(most).unwrap_or(usize::MAX), thing);
        if fewest == most { most_things } else { format!("{fewest} to {most_things}") }
    };
    format!("{}, {}", span(&windows, "window"), span(&targets, "target"))
}

/// Pixels that a text of the pictures' size takes at most.
fn text_width(text: &str) -> i32 {
    let characters = i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 16);
    8 * characters
}

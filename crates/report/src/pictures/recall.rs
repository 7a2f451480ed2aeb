//! `recall`: how many last words are right by how far back their answers lie, dense and with neurons, state
//! channels, heads or cached positions dropped; a panel a model.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use anyhow::Result;
use evidence::Key as CellKey;
use plan::{Mode, Part, Policy, Score, Share, shortest_decimal};

use super::axes::{Area, Scale, panels, panels_height};
use super::canvas::{self, Key, Words, head};
use super::choose::{Choice, Found, Preferred, choose, span};
use super::inks::{Ink, Inks, series_colour, series_dashes};
use super::marks::{mark, path, upright_whisker};
use super::picture::Content;
use super::sheet::{Sheet, WIDTH};
use super::words::{NEWEST, sentences, share_label};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{bin_name, percent};
use crate::headings;
use judgement::Summary;
use judgement::contrast::SCORE;
use judgement::recall::{Recall, RecallLine};

/// Pixels above a panel for its name, of its plot and below it for its axis.
const PANEL: (i32, i32, i32) = (30, 190, 56);
const COLUMNS: usize = 2;
/// Pixels between the marks of two lines at one distance.
const ASIDE: i32 = 7;
/// What was published.
const PUBLISHED: Preferred = Preferred { protocol: None, sparsity: Some(0.9) };
/// The score that the sets of state channels are chosen by.
const STATE_SCORE: Score = Score::Ghost;

/// What is done to a model, in the order of the legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Dense,
    Neurons(Policy),
    State(Policy, Option<Mode>),
    Heads(Policy),
    Cache(Mode, Score),
}

/// What chooses cached positions that are not read, and those that are evicted.
const CACHE_SCORES: [(Mode, Score); 3] = [
    (Mode::Read, Score::Attention),
    (Mode::Write, Score::Accumulated),
    (Mode::Write, Score::Recency),
];

impl Done {
    /// None where the cell is none of those that are drawn.
    fn of(key: &CellKey) -> Option<Done> {
        if key.is_dense() {
            return Some(Done::Dense);
        }
        let score = key.score.filter(|_| key.has_one_set())?;
        match key.part {
            Part::Ffn => (score == SCORE).then_some(Done::Neurons(key.policy)),
            Part::State => (score == STATE_SCORE).then_some(Done::State(key.policy, key.mode)),
            Part::Heads => (score == SCORE).then_some(Done::Heads(key.policy)),
            Part::Kv => {
                let own = (key.mode?, score);
                CACHE_SCORES.contains(&own).then_some(Done::Cache(own.0, own.1))
            }
        }
    }

    fn name(self) -> String {
        match self {
            Done::Dense => "dense".to_owned(),
            Done::Neurons(policy) => format!("neurons {policy} ({SCORE})"),
            Done::State(policy, Some(mode)) => format!("state {policy} {mode} ({STATE_SCORE})"),
            Done::State(policy, None) => format!("state {policy} ({STATE_SCORE})"),
            Done::Heads(policy) => format!("heads {policy} ({SCORE})"),
            Done::Cache(Mode::Read, score) => format!("cache unread ({score})"),
            Done::Cache(Mode::Write, score) => format!("cache evicted ({score})"),
        }
    }
}

/// The lines of one model.
struct RecallLines<'a> {
    recall: &'a Recall,
    lines: Vec<(Done, &'a RecallLine)>,
    is_ambiguous: bool,
}

/// How a line is drawn.
struct DonePen {
    done: Done,
    series: usize,
    line: Ink,
    mark: Ink,
}

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let Some(choice) = choose(summary, found(summary), PUBLISHED) else {
        let reason = "no model has a dense and a pruned cell of a last-word task whose items say how far \
                      back their answers lie";
        return Ok(Content::Nothing { reason: reason.to_owned() });
    };
    let words = words(&choice);
    let mut inks = Inks::new();
    let lines = choice.shown.iter().flat_map(|(_, lines)| &lines.lines);
    let done: BTreeSet<Done> = lines.map(|(done, _)| *done).collect();
    let pens: Vec<DonePen> = done
        .into_iter()
        .enumerate()
        .map(|(series, done)| {
            let colour = series_colour(if series == 0 { 7 } else { series - 1 });
            let line = inks.add(&format!("line d{series}"), colour, series_dashes(series));
            let mark = inks.add(&format!("mark d{series}"), colour, None);
            DonePen { done, series, line, mark }
        })
        .collect();
    let key = |pen: &DonePen| Key::of(pen.series, pen.mark, Some(pen.line), &pen.done.name());
    let legend: Vec<Key> = pens.iter().map(key).collect();
    let body = panels_height(choice.shown.len(), COLUMNS, PANEL);
    let svg = canvas::paint(id, body, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &choice, &pens, top)
    })?;
    let mut caption = vec![
        words.opening(),
        "Whiskers are Wilson's 95 % intervals of the items at a distance; where there are many \
         distances, neighbours are pooled. Points at one distance stand side by side."
            .to_owned(),
    ];
    if choice.shown.iter().any(|(_, lines)| lines.is_ambiguous) {
        caption.push(NEWEST.to_owned());
    }
    caption.extend(choice.not_shown("a dense and a pruned cell"));
    Ok(Content::Drawn {
        svg,
        alternative: format!("{} on {}", words.title, choice.text()),
        caption: sentences(&caption),
        tables: choice.shown.iter().map(|(_, lines)| headings::of_recall(lines.recall)).collect(),
        numbers: numbers(&choice),
    })
}

fn found(summary: &Summary) -> Vec<Found<'_, RecallLines<'_>>> {
    let mut found = Vec::new();
    for recall in &summary.recall {
        let key = (recall.model.as_str(), recall.dataset.as_str(), recall.protocol);
        let pruned = recall
            .lines
            .iter()
            .filter(|line| Done::of(&line.key).is_some_and(|done| done != Done::Dense));
        let sparsities: BTreeSet<Share> = pruned.map(|line| line.key.sparsity).collect();
        for sparsity in sparsities {
            let value = lines(recall, sparsity);
            let is_measured = value.lines.first().is_some_and(|(done, _)| *done == Done::Dense)
                && value.lines.len() > 1;
            if is_measured {
                found.push(Found { key, sparsity: sparsity.get(), value, is_measured });
            }
        }
    }
    found
}

/// Dense and what was done at one sparsity; of several cells of one kind the newest.
fn lines(recall: &Recall, sparsity: Share) -> RecallLines<'_> {
    let mut all: Vec<(Done, &RecallLine)> = recall
        .lines
        .iter()
        .filter_map(|line| Some((Done::of(&line.key)?, line)))
        .filter(|(done, line)| *done == Done::Dense || line.key.sparsity == sparsity)
        .collect();
    all.sort_by_key(|(done, line)| (*done, Reverse(line.started_at_ms), line.cell_id.as_str()));
    let n_all = all.len();
    all.dedup_by_key(|(done, _)| *done);
    RecallLines { recall, is_ambiguous: all.len() < n_all, lines: all }
}

fn words(choice: &Choice<'_, RecallLines<'_>>) -> Words {
    let sparsity = shortest_decimal(choice.sparsity);
    let lines = choice.shown.iter().flat_map(|(_, lines)| &lines.lines);
    let items: Vec<u64> =
        lines.map(|(_, line)| line.distances.iter().map(|at| at.right.n_items).sum()).collect();
    let values = choice.shown.iter().map(|(model, lines)| {
        let bins = lines.recall.bins();
        let lines = lines.lines.iter().map(|(done, line)| {
            let values = bins.iter().filter_map(|&bin| {
                Some(format!("{} {}", bin_name(bin), percent(line.pooled(bin)?.accuracy)))
            });
            format!("{} {}", done.name(), values.collect::<Vec<_>>().join(", "))
        });
        format!("{model}: {}", lines.collect::<Vec<_>>().join("; "))
    });
    let values: Vec<String> = values.collect();
    Words {
        title: "Recall by distance".to_owned(),
        subtitle: format!(
            "{}, κ={sparsity}, {} a cell; Wilson's 95 % intervals",
            choice.text(),
            span(&items, "item")
        ),
        description: format!(
            "Share of last words that are right by the sentences between answer and question on {} at \
             κ={sparsity}. {}.",
            choice.text(),
            values.join(". ")
        ),
    }
}

fn chart(
    sheet: &Sheet<'_>,
    choice: &Choice<'_, RecallLines<'_>>,
    pens: &[DonePen],
    top: i32,
) -> Result<()> {
    let uppers = choice.shown.iter().flat_map(|(_, lines)| {
        let bins = lines.recall.bins();
        let all = lines.lines.iter().flat_map(move |(_, line)| {
            bins.iter().filter_map(|&bin| line.pooled(bin)).collect::<Vec<_>>()
        });
        all.map(|right| right.upper)
    });
    let highest = statistics::largest(uppers);
    let vertical = Scale::even(0.0, (highest * 1.05).min(1.04), 6);
    let left = vertical.label_width(&share_label) + 14;
    let areas = panels(choice.shown.len(), COLUMNS, top, PANEL, left, WIDTH);
    for ((model, lines), area) in choice.shown.iter().zip(areas) {
        let vertical = vertical.between(area.bottom, area.top);
        head(sheet, model, "last words that are right", area)?;
        vertical.draw_left(sheet, area, &share_label)?;
        draw_panel(sheet, lines, pens, area, &vertical)?;
    }
    Ok(())
}

fn draw_panel(
    sheet: &Sheet<'_>,
    lines: &RecallLines<'_>,
    pens: &[DonePen],
    area: Area,
    vertical: &Scale,
) -> Result<()> {
    let bins = lines.recall.bins();
    // Bins stand evenly, each at its number and a half.
    let middles = (0..bins.len()).map(|bin| bin as f64 + 0.5).collect();
    let horizontal = Scale::placed(0.0, bins.len() as f64, middles).between(area.left, area.right);
    let label = |middle: f64| bins.get(middle as usize).map_or(String::new(), |&bin| bin_name(bin));
    horizontal.draw_below(sheet, area, &label, "sentences from answer to question")?;
    let n_lines = i32::try_from(lines.lines.len())?;
    for (index, (done, line)) in (0..).zip(&lines.lines) {
        let Some(pen) = pens.iter().find(|pen| pen.done == *done) else { continue };
        let aside = ASIDE * index - ASIDE * (n_lines - 1) / 2;
        let x = |bin: usize| horizontal.at(bin as f64 + 0.5) + aside;
        let points = bins.iter().enumerate();
        let points = points.filter_map(|(bin, &range)| Some((x(bin), line.pooled(range)?)));
        let points: Vec<_> = points.collect();
        let corners: Vec<(i32, i32)> =
            points.iter().map(|(x, right)| (*x, vertical.at(right.accuracy))).collect();
        if corners.len() > 1 {
            path(sheet, corners.clone(), pen.line, 2)?;
        }
        for ((x, right), corner) in points.iter().zip(corners) {
            let ends = (vertical.at(right.lower), vertical.at(right.upper));
            upright_whisker(sheet, pen.mark, *x, ends)?;
            mark(sheet, pen.series, pen.mark, corner)?;
        }
    }
    Ok(())
}

fn numbers(choice: &Choice<'_, RecallLines<'_>>) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("what was done", Left),
        ("sentences", Right),
        ("correct", Right),
        ("items", Right),
        ("accuracy", Right),
        ("lower", Right),
        ("upper", Right),
        ("cell", Left),
    ]);
    for (model, lines) in &choice.shown {
        for (done, line) in &lines.lines {
            for bin in lines.recall.bins() {
                let Some(right) = line.pooled(bin) else { continue };
                table.push([
                    Field::text(*model),
                    Field::Text(done.name()),
                    Field::Number(bin_name(bin)),
                    Field::Number(right.n_correct.to_string()),
                    Field::Number(right.n_items.to_string()),
                    Field::Number(percent(right.accuracy)),
                    Field::Number(percent(right.lower)),
                    Field::Number(percent(right.upper)),
                    Field::cell(&line.cell_id),
                ]);
            }
        }
    }
    table
}

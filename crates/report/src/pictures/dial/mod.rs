//! `dial`: perplexity by commitment window, from a set for every token to a set for long stretches of
//! text; a panel a model, a line a commit rule.

mod chart;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use plan::{Part, Policy, Rule, Score, shortest_decimal};

use self::chart::{Pens, chart, height, legend};
use super::Content;
use super::canvas::{self, Words};
use super::choose::{Choice, Found, NEWEST, Preferred, choose, sizes};
use super::inks::Inks;
use super::places::{Model, Place, Way, hatched, reasons};
use super::ratios::{NUMBERS, is_comparable, perplexity_models, place_numbers, ratio, tables};
use crate::contrast::SCORE;
use crate::dial::{Dial, DialRow, SAME_AT_ONE, rule_name};
use crate::format::significant;
use crate::markdown::Align::{Left, Right};
use crate::markdown::Table;
use crate::perplexity::{BOOTSTRAP, Perplexity};
use crate::row::Row;
use crate::summary::Summary;

/// The references that hold for every window: what they are called and how they choose.
const REFERENCES: [(&str, Way); 2] = [
    ("static (calibration)", Way { part: Part::Ffn, policy: Policy::Static, score: SCORE }),
    (
        "random for every token",
        Way { part: Part::Ffn, policy: Policy::Dynamic, score: Score::Random },
    ),
];

/// What W = 1 is under the rules that choose a token's own set there.
const AT_ONE: Way = Way { part: Part::Ffn, policy: Policy::Dynamic, score: SCORE };

/// What tells two lines apart: the rule, and the tokens that `prompt` sums over.
type Choosing = (Rule, Option<usize>);

/// One commit rule of one model, by window.
type Line<'a> = BTreeMap<usize, Place<'a, Perplexity>>;

/// The dial of one model.
struct Panel<'a> {
    lines: BTreeMap<Choosing, Line<'a>>,
    /// In the order of [`REFERENCES`].
    references: [Place<'a, Perplexity>; 2],
    is_ambiguous: bool,
}

impl<'a> Panel<'a> {
    fn places(&self) -> impl Iterator<Item = &Place<'a, Perplexity>> {
        self.lines.values().flat_map(BTreeMap::values).chain(&self.references)
    }

    fn rows(&self) -> impl Iterator<Item = &'a Row<Perplexity>> {
        self.places().filter_map(Place::row)
    }
}

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let Some(choice) = choose(summary, found(summary), Preferred::default()) else {
        let reason = format!(
            "no model has a dial with score {SCORE}: three windows or more, with cells compared with \
             dense on a text of protocol ppl-T"
        );
        return Ok(Content::Nothing { reason });
    };
    let words = words(&choice);
    let panels_of = || choice.shown.iter().map(|(_, panel)| panel);
    let whys = reasons(panels_of().flat_map(Panel::places).filter_map(Place::why));
    let mut inks = Inks::new();
    let rules: BTreeSet<Choosing> = panels_of().flat_map(|own| own.lines.keys().copied()).collect();
    let pens = Pens::new(&mut inks, &rules);
    let body = height(choice.shown.len());
    let legend = legend(&choice, &pens, &whys);
    let svg = canvas::paint(id, body, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &choice, &pens, top)
    })?;
    let mut caption = vec![
        words.opening(),
        format!(
            "Both axes are logarithmic, and all panels have one vertical axis; W=1 of window-mean and \
             first-token is the dynamic policy. Whiskers are 95 % intervals (paired bootstrap over \
             windows, {} resamples).",
            BOOTSTRAP.resamples
        ),
    ];
    caption.extend(hatched(&whys));
    if panels_of().any(|panel| panel.is_ambiguous) {
        caption.push(NEWEST.to_owned());
    }
    caption.extend(choice.not_shown("a dial"));
    Ok(Content::Drawn {
        svg,
        alternative: format!("{} on {}", words.title, choice.text()),
        caption,
        tables: tables(summary, &choice),
        numbers: numbers(&choice),
    })
}

/// The panel of every model and sparsity that has a line.
fn found(summary: &Summary) -> Vec<Found<'_, Panel<'_>>> {
    let is_wanted = |cell: &plan::Cell| {
        let treatment = &cell.treatment;
        let is_windowed = treatment.policy == Policy::Window && treatment.part == Part::Ffn;
        is_windowed && has_score(treatment.score, treatment.rule)
            || AT_ONE.is_of(cell)
            || REFERENCES.iter().any(|(_, way)| way.is_of(cell))
    };
    let models = perplexity_models(summary, is_wanted);
    let mut found = Vec::new();
    for model in &models {
        let is_of = |dial: &&Dial| {
            dial.part == Part::Ffn
                && (dial.model.as_str(), dial.dataset.as_str(), dial.protocol) == model.key
        };
        let dial = summary.dials.iter().find(is_of);
        for sparsity in sparsities(model, dial) {
            let value = panel(model, dial, sparsity);
            let is_line =
                |line: &Line<'_>| line.values().filter(|place| place.row().is_some()).count() > 1;
            let is_measured = value.lines.values().any(is_line);
            found.push(Found { key: model.key, sparsity, value, is_measured });
        }
    }
    found
}

/// Sparsities of a dial and of windows without results, ascending.
fn sparsities(model: &Model<'_, Perplexity>, dial: Option<&Dial>) -> Vec<f64> {
    let absent = model.absent.iter().map(|absent| &absent.cell.treatment);
    let absent = absent.filter(|treatment| treatment.policy == Policy::Window);
    let absent = absent.map(|treatment| treatment.sparsity);
    let measured = dial.into_iter().flat_map(|dial| &dial.rows).map(|row| row.sparsity);
    let mut sparsities: Vec<f64> = measured.chain(absent).collect();
    sparsities.sort_by(f64::total_cmp);
    sparsities.dedup();
    sparsities
}

/// Rules that look at scores are shown by one score; the random one looks at none.
fn has_score(score: Option<Score>, rule: Option<Rule>) -> bool {
    score == Some(SCORE) || rule == Some(Rule::Random)
}

fn panel<'a>(model: &Model<'a, Perplexity>, dial: Option<&Dial>, sparsity: f64) -> Panel<'a> {
    let is_shown = |row: &&DialRow| {
        row.sparsity.total_cmp(&sparsity).is_eq() && has_score(Some(row.score), Some(row.rule))
    };
    let mut lines: BTreeMap<Choosing, Line<'_>> = BTreeMap::new();
    let dial_rows = dial.into_iter().flat_map(|dial| &dial.rows);
    for dial_row in dial_rows.filter(is_shown) {
        for value in &dial_row.values {
            let row = model.rows.iter().find(|row| row.cell_id == value.cell_id);
            if let Some(row) = row.filter(|row| is_comparable(row, model.dense)) {
                let line = lines.entry((dial_row.rule, dial_row.prompt_tokens)).or_default();
                line.entry(value.window).or_insert(Place::Row(row));
            }
        }
    }
    for absent in &model.absent {
        let treatment = &absent.cell.treatment;
        if treatment.sparsity.total_cmp(&sparsity).is_ne() {
            continue;
        }
        if let (Policy::Window, Some(rule), Some(window)) =
            (treatment.policy, treatment.rule, treatment.window)
        {
            let line = lines.entry((rule, treatment.prompt_tokens)).or_default();
            line.entry(window).or_insert(Place::Absent(*absent));
        }
        if AT_ONE.is_of(absent.cell) {
            for rule in SAME_AT_ONE {
                if let Some(line) = lines.get_mut(&(rule, None)) {
                    line.entry(1).or_insert(Place::Absent(*absent));
                }
            }
        }
    }
    let mut is_ambiguous = dial.is_some_and(|dial| dial.n_ambiguous > 0);
    let references = REFERENCES.map(|(_, way)| {
        let comparable = |row: &Row<Perplexity>| is_comparable(row, model.dense);
        let (place, has_twins) = model.place(way, sparsity, comparable);
        is_ambiguous |= has_twins;
        place
    });
    Panel { lines, references, is_ambiguous }
}

fn words(choice: &Choice<'_, Panel<'_>>) -> Words {
    let sparsity = shortest_decimal(choice.sparsity);
    let rows = choice.shown.iter().flat_map(|(_, panel)| panel.rows());
    let values = choice.shown.iter().map(|(model, panel)| {
        let lines = panel.lines.iter().map(|((rule, prompt_tokens), line)| {
            let points = line.iter().filter_map(|(window, place)| {
                Some(format!("W={window} {}", significant(ratio(place.row()?)?.ratio, 4)))
            });
            let points: Vec<String> = points.collect();
            format!("{} {}", rule_name(*rule, *prompt_tokens), points.join(", "))
        });
        let lines: Vec<String> = lines.collect();
        format!("{model}: {}", lines.join("; "))
    });
    let values: Vec<String> = values.collect();
    Words {
        title: "Perplexity by commitment window".to_owned(),
        subtitle: format!("{}, κ={sparsity}, {SCORE}, {}", choice.text(), sizes(rows)),
        description: format!(
            "Perplexity as a multiple of dense by commitment window on {} at κ={sparsity}. {}.",
            choice.text(),
            values.join(". ")
        ),
    }
}

fn numbers(choice: &Choice<'_, Panel<'_>>) -> Table {
    let first = [("model", Left), ("rule", Left), ("W", Right)];
    let mut table = Table::new(first.into_iter().chain(NUMBERS));
    for (model, panel) in &choice.shown {
        for ((rule, prompt_tokens), line) in &panel.lines {
            for (window, place) in line {
                let rule = rule_name(*rule, *prompt_tokens);
                let first = [(*model).to_owned(), rule, window.to_string()];
                table.push(first.into_iter().chain(place_numbers(place)));
            }
        }
        for ((name, _), place) in REFERENCES.iter().zip(&panel.references) {
            if !place.is_nothing() {
                let first = [(*model).to_owned(), (*name).to_owned(), String::new()];
                table.push(first.into_iter().chain(place_numbers(place)));
            }
        }
    }
    table
}

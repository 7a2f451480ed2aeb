//! `dial`: perplexity by commitment window, from a set for every token to a set for long stretches of
//! text; a panel a model, a line a commit rule.

mod chart;
mod panel;

use std::collections::BTreeSet;

use anyhow::Result;
use evidence::place::{Place, reasons};
use judgement::Summary;
use judgement::contrast::SCORE;
use judgement::perplexity::BOOTSTRAP;
use plan::shortest_decimal;

use self::chart::{DialPens, chart, height, legend};
use self::panel::{Choosing, Panel, REFERENCES, found};
use super::canvas::{self, Words};
use super::choose::{Choice, Preferred, choose, sizes};
use super::inks::Inks;
use super::picture::Content;
use super::ratios::{NUMBERS, place_numbers, ratio, tables};
use super::words::{NEWEST, hatched, sentences};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{rule_name, significant};

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
    let pens = DialPens::new(&mut inks, &rules);
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
        caption: sentences(&caption),
        tables: tables(summary, &choice),
        numbers: numbers(&choice),
    })
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
                let first =
                    [Field::text(*model), Field::Text(rule), Field::Number(window.to_string())];
                table.push(first.into_iter().chain(place_numbers(place)));
            }
        }
        for ((name, _), place) in REFERENCES.iter().zip(&panel.references) {
            if !place.is_nothing() {
                let first = [Field::text(*model), Field::text(*name), Field::empty()];
                table.push(first.into_iter().chain(place_numbers(place)));
            }
        }
    }
    table
}

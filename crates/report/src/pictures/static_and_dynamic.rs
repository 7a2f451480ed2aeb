//! `static-and-dynamic.svg`: what each model pays for the same sparsity when one set of neurons is
//! kept for the whole run, and when the set is chosen anew for every token.

use anyhow::Result;
use plan::shortest_decimal;
use plotters::prelude::{BindKeyPoints, ChartBuilder, PathElement};
use plotters::style::text_anchor::HPos;

use super::canvas::{
    self, FAINT, GRID, HEADER, Ink, Inks, MARGIN, REFERENCE, Sheet, TEXT, Words, mark,
    series_colour, text_style, write,
};
use super::{Choice, Content, NEWEST, axes, choose, sizes, text_width};
use crate::contrast::{Pair, SCORE, pairs};
use crate::format::significant;
use crate::page;
use crate::perplexity::{BOOTSTRAP, Perplexity, PerplexityRatio};
use crate::row::Row;
use crate::summary::Summary;

const WIDTH: i32 = 800;
/// Pixels for each model.
const ROW: i32 = 54;
/// Pixels for the horizontal axis and its label.
const AXIS: i32 = 56;
/// Values closer than this many pixels stand above and below their marks.
const CROWDED: i32 = 64;

/// The inks of the two policies and of dense.
struct Policies {
    dynamic: Ink,
    fixed: Ink,
    dense: Ink,
    between: Ink,
}

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary) -> Result<Content> {
    let by_sparsity = |table| pairs(table).into_iter().map(|pair| (pair.sparsity, pair)).collect();
    let Some(choice) = choose(&summary.perplexity_tables, by_sparsity) else {
        let reason = format!(
            "no model has a static and a dynamic cell of one sparsity with score {SCORE}, both \
             compared with dense on a text of protocol ppl-T"
        );
        return Ok(Content::Nothing { reason });
    };
    let words = words(&choice);
    let n_models = i32::try_from(choice.shown.len())?;
    let height = HEADER + n_models * ROW + AXIS + MARGIN;
    let mut inks = Inks::new();
    let policies = Policies {
        dynamic: inks.add("dynamic", series_colour(0), None),
        fixed: inks.add("static", series_colour(1), None),
        dense: inks.add("dense", series_colour(7), REFERENCE),
        between: inks.add("between", series_colour(7), None),
    };
    let svg = canvas::paint((WIDTH, height), &inks, &words, |sheet| {
        legend(sheet, &policies)?;
        chart(sheet, &choice, &policies)
    })?;
    let mut caption = vec![
        format!("{}: {}.", words.title, words.subtitle),
        "The horizontal axis is perplexity as a multiple of the model's own dense perplexity, on \
         a logarithmic scale."
            .to_owned(),
    ];
    caption.push(interval_sentence(&choice));
    caption.extend(
        choice
            .shown
            .iter()
            .filter_map(|(table, pair)| Some(format!("{}: {}.", table.model, pair.unequal()?))),
    );
    if choice.shown.iter().any(|(_, pair)| pair.is_ambiguous) {
        caption.push(NEWEST.to_owned());
    }
    caption.extend(choice.not_shown("a static and a dynamic cell"));
    let tables = choice.shown.iter().map(|(table, _)| page::perplexity_heading(table)).collect();
    let alternative = format!("{} on {}", words.title, choice.text());
    Ok(Content::Drawn { svg, alternative, caption, tables })
}

fn words(choice: &Choice<'_, Pair<'_>>) -> Words {
    let sparsity = shortest_decimal(choice.sparsity);
    let rows = choice.shown.iter().flat_map(|(_, pair)| [pair.fixed, pair.dynamic]);
    let values = choice.shown.iter().map(|(table, pair)| {
        let value = |row| significant(ratio(row).map_or(1.0, |ratio| ratio.ratio), 4);
        format!("{}: static {}, dynamic {}", table.model, value(pair.fixed), value(pair.dynamic))
    });
    let values: Vec<String> = values.collect();
    let has_interval = |row| ratio(row).is_some_and(|ratio| ratio.lower.is_some());
    let intervals = if rows.clone().any(has_interval) { "; 95 % intervals" } else { "" };
    Words {
        title: "Static and dynamic sparsity".to_owned(),
        subtitle: format!("{}, κ={sparsity}, {SCORE}, {}{intervals}", choice.text(), sizes(rows)),
        description: format!(
            "Perplexity as a multiple of dense perplexity on {} at κ={sparsity}. {}.",
            choice.text(),
            values.join("; ")
        ),
    }
}

fn interval_sentence(choice: &Choice<'_, Pair<'_>>) -> String {
    let rows = choice.shown.iter().flat_map(|(_, pair)| [pair.fixed, pair.dynamic]);
    let all = rows.clone().count();
    let with = rows.filter(|row| ratio(row).is_some_and(|ratio| ratio.lower.is_some())).count();
    format!(
        "Whiskers are 95 % intervals (paired bootstrap over windows, {} resamples), at {with} of \
         {all} points.",
        BOOTSTRAP.resamples
    )
}

fn ratio(row: &Row<Perplexity>) -> Option<&PerplexityRatio> {
    row.measured.against_dense.compared()
}

/// One line below the subtitle that names the marks.
fn legend(sheet: &Sheet<'_>, policies: &Policies) -> Result<()> {
    let y = 72;
    let mut x = MARGIN + 6;
    for (series, ink, name) in [
        (0, policies.dynamic, "dynamic: a set for every token"),
        (1, policies.fixed, "static: one set for the whole run"),
    ] {
        mark(sheet, series, ink, (x, y))?;
        write(sheet, name, TEXT, HPos::Left, (x + 12, y))?;
        x += 28 + text_width(name);
    }
    sheet.draw(&PathElement::new(vec![(x, y), (x + 24, y)], policies.dense.stroke(2)))?;
    write(sheet, "dense = 1", TEXT, HPos::Left, (x + 32, y))
}

fn chart(sheet: &Sheet<'_>, choice: &Choice<'_, Pair<'_>>, policies: &Policies) -> Result<()> {
    let n_models = choice.shown.len();
    let bottom_up = 0..i32::try_from(2 * n_models)?;
    let rows = choice.shown.iter().flat_map(|(_, pair)| [pair.fixed, pair.dynamic]);
    let numbers = rows
        .filter_map(ratio)
        .flat_map(|ratio| [Some(ratio.ratio), ratio.lower, ratio.upper].into_iter().flatten());
    let horizontal = axes::around(numbers.chain([1.0]), 0.06);
    // Models from the top down, each in the middle of a strip of height 2.
    let middles: Vec<i32> = bottom_up.clone().skip(1).step_by(2).collect();
    let middles: Vec<i32> = middles.into_iter().rev().collect();
    let longest = choice.shown.iter().map(|(table, _)| text_width(&table.model)).max().unwrap_or(0);

    let mut chart = ChartBuilder::on(sheet)
        .margin_top(HEADER)
        .margin_right(2 * MARGIN)
        .margin_left(MARGIN)
        .margin_bottom(MARGIN / 2)
        .x_label_area_size(AXIS)
        .y_label_area_size(longest.clamp(40, 240) + 34)
        .build_cartesian_2d(horizontal, bottom_up.clone().with_key_points(middles.clone()))?;
    let model = |middle: &i32| {
        let shown = choice.shown.iter().zip(&middles).find(|(_, other)| *other == middle);
        shown.map(|((table, _), _)| table.model.clone()).unwrap_or_default()
    };
    chart
        .configure_mesh()
        .bold_line_style(GRID.key())
        .axis_style(FAINT.key())
        .label_style(text_style(TEXT))
        .axis_desc_style(text_style(FAINT))
        .x_label_formatter(&axes::tick_label)
        .y_label_formatter(&model)
        .x_desc("perplexity (multiple of dense, log scale)")
        .y_desc("model")
        .draw()?;
    let line = PathElement::new(
        vec![(1.0, bottom_up.start), (1.0, bottom_up.end)],
        policies.dense.stroke(2),
    );
    chart.draw_series([line])?;

    let at = |value: f64, middle: i32| chart.backend_coord(&(value, middle));
    for ((_, pair), middle) in choice.shown.iter().zip(middles.iter().copied()) {
        let (Some(fixed), Some(dynamic)) = (ratio(pair.fixed), ratio(pair.dynamic)) else {
            continue;
        };
        let ends = [at(dynamic.ratio, middle), at(fixed.ratio, middle)];
        let [(left, _), (right, _)] = ends;
        sheet.draw(&PathElement::new(ends.to_vec(), policies.between.stroke(1)))?;
        let crowded = (left - right).abs() < CROWDED;
        for (series, ink, ratio, below) in
            [(0, policies.dynamic, dynamic, false), (1, policies.fixed, fixed, crowded)]
        {
            let (x, y) = at(ratio.ratio, middle);
            if let Some((lower, upper)) = ratio.lower.zip(ratio.upper) {
                let ((lower, _), (upper, _)) = (at(lower, middle), at(upper, middle));
                sheet.draw(&PathElement::new(whisker(lower, upper, y), ink.stroke(2)))?;
            }
            mark(sheet, series, ink, (x, y))?;
            let value = format!("{} ×", significant(ratio.ratio, 3));
            let height = if below { y + 16 } else { y - 16 };
            canvas::clear(sheet, (x, height), text_width(&value))?;
            write(sheet, &value, TEXT, HPos::Center, (x, height))?;
        }
    }
    Ok(())
}

/// A line from limit to limit with a short stroke across each end, as one path.
fn whisker(lower: i32, upper: i32, y: i32) -> Vec<(i32, i32)> {
    let across = 5;
    let end = |x: i32| [(x, y - across), (x, y + across), (x, y)];
    end(lower).into_iter().chain(end(upper).into_iter().rev()).collect()
}

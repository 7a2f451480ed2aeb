//! `dial.svg`: perplexity by commitment window, from a set for every token to a set for long
//! stretches of text; one line a model.

use anyhow::Result;
use plan::{Part, Rule, shortest_decimal};
use plotters::prelude::{ChartBuilder, LineSeries, PathElement};
use plotters::style::text_anchor::HPos;

use super::canvas::{
    self, FAINT, GRID, HEADER, Ink, Inks, MARGIN, REFERENCE, Sheet, TEXT, Words, mark,
    series_colour, series_dashes, text_style, write,
};
use super::{Choice, Content, NEWEST, axes, choose, sizes, text_width};
use crate::contrast::SCORE;
use crate::dial::DialRow;
use crate::format::significant;
use crate::page;
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::{Row, newest_dense};
use crate::summary::Summary;

const SIZE: (i32, i32) = (800, 500);
const RULE: Rule = Rule::WindowMean;
/// Where the dense perplexities stand on the axis of windows: left of W = 1.
const DENSE: f64 = 0.6;
/// Pixels between the names of two lines at least.
const NAME_HEIGHT: i32 = 17;

/// One model's line.
struct Line<'a> {
    /// By window, ascending; at least two.
    points: Vec<(usize, f64)>,
    dense: f64,
    rows: Vec<&'a Row<Perplexity>>,
}

/// The inks of one model.
struct ModelInks {
    line: Ink,
    mark: Ink,
    dense: Ink,
}

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary) -> Result<Content> {
    let Some(choice) = choose(&summary.perplexity_tables, |table| lines(summary, table)) else {
        let reason = format!(
            "no model has a dial with score {SCORE} and rule {RULE}, with cells compared with \
             dense on a text of protocol ppl-T"
        );
        return Ok(Content::Nothing { reason });
    };
    let words = words(&choice);
    let mut inks = Inks::new();
    let models: Vec<ModelInks> = (0..choice.shown.len())
        .map(|model| {
            let colour = series_colour(model);
            ModelInks {
                line: inks.add(&format!("line m{model}"), colour, series_dashes(model)),
                mark: inks.add(&format!("mark m{model}"), colour, None),
                dense: inks.add(&format!("dense m{model}"), colour, REFERENCE),
            }
        })
        .collect();
    let svg = canvas::paint(SIZE, &inks, &words, |sheet| chart(sheet, &choice, &models))?;
    let mut caption = vec![
        format!("{}: {}.", words.title, words.subtitle),
        "Both axes are logarithmic; W=1 is the dynamic policy, and a short dashed line at the left \
         is the model's dense perplexity."
            .to_owned(),
    ];
    let is_ambiguous = |table| {
        let mut dials = summary.dials.iter().filter(|dial| dial.is_of(table));
        dials.any(|dial| dial.part == Part::Ffn && dial.n_ambiguous > 0)
    };
    if choice.shown.iter().any(|(table, _)| is_ambiguous(table)) {
        caption.push(NEWEST.to_owned());
    }
    caption.extend(choice.not_shown("a dial"));
    let tables = choice.shown.iter().map(|(table, _)| page::perplexity_heading(table)).collect();
    let alternative = format!("{} on {}", words.title, choice.text());
    Ok(Content::Drawn { svg, alternative, caption, tables })
}

/// The lines of a table by sparsity.
fn lines<'a>(summary: &Summary, table: &'a PerplexityTable) -> Vec<(f64, Line<'a>)> {
    let dials = summary.dials.iter().filter(|dial| dial.is_of(table) && dial.part == Part::Ffn);
    let rows = dials.flat_map(|dial| &dial.rows);
    rows.filter(|row| (row.score, row.rule) == (SCORE, RULE))
        .filter_map(|row| Some((row.sparsity, line(row, table)?)))
        .collect()
}

/// The perplexities of a dial's line, where they were compared with the newest dense cell.
fn line<'a>(dial: &DialRow, table: &'a PerplexityTable) -> Option<Line<'a>> {
    let dense = newest_dense(&table.rows)?;
    let mut points = Vec::new();
    let mut rows = Vec::new();
    for value in &dial.values {
        let row = table.rows.iter().find(|row| row.cell_id == value.cell_id)?;
        let compared = row.measured.against_dense.compared()?;
        if compared.dense_cell_id == dense.cell_id {
            points.push((value.window, row.measured.perplexity?));
            rows.push(row);
        }
    }
    let dense = dense.measured.perplexity?;
    (points.len() > 1).then_some(Line { points, dense, rows })
}

fn words(choice: &Choice<'_, Line<'_>>) -> Words {
    let sparsity = shortest_decimal(choice.sparsity);
    let rows = choice.shown.iter().flat_map(|(_, line)| line.rows.iter().copied());
    let values = choice.shown.iter().map(|(table, line)| {
        let points = line.points.iter();
        let points = points.map(|(window, value)| format!("W={window} {}", significant(*value, 4)));
        let points: Vec<String> = points.collect();
        format!("{}: dense {}, {}", table.model, significant(line.dense, 4), points.join(", "))
    });
    let values: Vec<String> = values.collect();
    Words {
        title: "Perplexity by commitment window".to_owned(),
        subtitle: format!("{}, κ={sparsity}, {SCORE}, {RULE}, {}", choice.text(), sizes(rows)),
        description: format!(
            "Perplexity by commitment window on {} at κ={sparsity}. {}.",
            choice.text(),
            values.join("; ")
        ),
    }
}

fn chart(sheet: &Sheet<'_>, choice: &Choice<'_, Line<'_>>, models: &[ModelInks]) -> Result<()> {
    let lines = || choice.shown.iter().map(|(_, line)| line);
    let perplexities =
        lines().flat_map(|line| line.points.iter().map(|&(_, value)| value).chain([line.dense]));
    let longest_window = lines().flat_map(|line| &line.points).map(|&(window, _)| window).max();
    let longest_window = longest_window.unwrap_or(1);
    let powers = (0..usize::BITS).map(|power| 1_usize << power);
    let powers = powers.take_while(|&window| window <= longest_window).map(|window| window as f64);
    let windows =
        axes::over(0.45, longest_window as f64, [DENSE].into_iter().chain(powers).collect());
    let longest_name = choice.shown.iter().map(|(table, _)| text_width(&table.model)).max();

    let mut chart = ChartBuilder::on(sheet)
        .margin_top(HEADER - 16)
        .margin_right(longest_name.unwrap_or(0).clamp(40, 240) + 44)
        .margin_left(MARGIN / 2)
        .margin_bottom(MARGIN / 2)
        .x_label_area_size(52)
        .y_label_area_size(78)
        .build_cartesian_2d(windows, axes::around(perplexities, 0.05))?;
    let window = |value: &f64| {
        if *value < 1.0 { "dense".to_owned() } else { axes::tick_label(value) }
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.key())
        .axis_style(FAINT.key())
        .label_style(text_style(TEXT))
        .axis_desc_style(text_style(FAINT))
        .x_label_formatter(&window)
        .y_label_formatter(&axes::tick_label)
        .x_desc("commitment window W (tokens, log scale)")
        .y_desc("perplexity (log scale)")
        .draw()?;

    for ((_, line), ink) in choice.shown.iter().zip(models) {
        let ends = vec![(0.48, line.dense), (0.75, line.dense)];
        chart.draw_series([PathElement::new(ends, ink.dense.stroke(2))])?;
        let points = line.points.iter().map(|&(window, value)| (window as f64, value));
        chart.draw_series(LineSeries::new(points, ink.line.stroke(2)))?;
    }
    let at = |&(window, value): &(usize, f64)| chart.backend_coord(&(window as f64, value));
    for (series, ((_, line), ink)) in choice.shown.iter().zip(models).enumerate() {
        line.points.iter().try_for_each(|point| mark(sheet, series, ink.mark, at(point)))?;
    }

    // Names at the ends of the lines, each with its mark, moved apart where lines meet.
    let (right, _) = chart.backend_coord(&(longest_window as f64, 1.0));
    let ends = lines().map(|line| line.points.last().map_or(0, |point| at(point).1)).collect();
    for (series, y) in apart(ends, SIZE.1 - 70).into_iter().enumerate() {
        mark(sheet, series, models[series].mark, (right + 22, y))?;
        write(sheet, &choice.shown[series].0.model, TEXT, HPos::Left, (right + 34, y))?;
    }
    Ok(())
}

/// Heights near `wanted`, in its order, no two closer than a name and none below `lowest`.
fn apart(wanted: Vec<i32>, lowest: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&name| wanted[name]);
    let mut heights = wanted;
    for pair in order.windows(2) {
        heights[pair[1]] = heights[pair[1]].max(heights[pair[0]] + NAME_HEIGHT);
    }
    let mut limit = lowest;
    for &name in order.iter().rev() {
        heights[name] = heights[name].min(limit);
        limit = heights[name] - NAME_HEIGHT;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn names_are_moved_apart_and_stay_on_the_sheet() {
        assert_eq!(apart(vec![100, 50], 400), [100, 50]);
        assert_eq!(apart(vec![100, 100, 90], 400), [107, 124, 90]);
        assert_eq!(apart(vec![395, 399], 400), [383, 400]);
    }
}

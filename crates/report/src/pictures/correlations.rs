//! `correlations`: does size predict importance? How the size of a neuron's activation goes with the
//! length of its weights, and with its impact, by model and text.

use anyhow::Result;
use plan::Part;
use plotters::style::text_anchor::HPos;

use super::axes::{AXIS, Area, Scale, tick_label};
use super::canvas::{self, Key, Sample, Words};
use super::choose::span;
use super::inks::{FAINT, GRID, Ink, Inks, TEXT, series_colour};
use super::marks::{BAR, bar, path, whisker};
use super::picture::Content;
use super::sheet::{MARGIN, Sheet, WIDTH, fitting, text_width, write};
use super::words::sentences;
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{correlation, or_nothing};
use crate::headings;
use crate::sentences::with_limits;
use evidence::Quantity;
use judgement::Summary;
use judgement::atlas::{BOOTSTRAP, Entry, Mean, Measure};

/// What magnitude is correlated with.
const WITH: [Quantity; 2] = [Quantity::Weight, Quantity::Impact];
/// Pixels of a text's two bars, and of the gap between models.
const ROW: i32 = 44;
const GAP: i32 = 12;
/// Pixels of the longest name of a model or text that is not cut.
const LONGEST: i32 = 170;

/// One text of one model.
struct Bars<'a> {
    entry: &'a Entry,
    /// In the order of [`WITH`].
    means: [Option<Mean>; 2],
}

/// Draws the picture of a run.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let all: Vec<Bars<'_>> = summary.atlas.entries.iter().filter_map(bars).collect();
    if all.is_empty() {
        let reason = "no text was observed with magnitude beside weight or impact".to_owned();
        return Ok(Content::Nothing { reason });
    }
    let words = words(&all);
    let mut inks = Inks::new();
    let pens = [
        inks.add("with-weight", series_colour(0), None),
        inks.add("with-impact", series_colour(1), None),
    ];
    let n_models = all.chunk_by(is_one_model).count();
    let body = i32::try_from(all.len())? * ROW + i32::try_from(n_models)? * GAP + AXIS;
    let legend: Vec<Key> = (0..)
        .zip(WITH)
        .zip(pens)
        .map(|((side, with), ink)| Key {
            sample: Sample::Bar { ink, is_striped: side == 1 },
            name: format!("corr(magnitude, {})", with.as_str()),
        })
        .collect();
    let svg = canvas::paint(id, body, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &all, pens, top)
    })?;
    let mut caption = vec![
        words.opening(),
        format!(
            "Whiskers are 95 % intervals (percentile bootstrap over sites, {} resamples).",
            BOOTSTRAP.resamples
        ),
    ];
    if all.iter().any(|bars| bars.entry.is_by_product) {
        let by_products = all.iter().filter(|bars| bars.entry.is_by_product);
        let mut texts: Vec<&str> = by_products.map(|bars| bars.entry.dataset.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        let texts = texts.join(", ");
        caption.push(format!("Not ordered, but stored on the way to static sets: {texts}."));
    }
    let tables = all.iter().map(|bars| headings::of_entry(bars.entry)).collect();
    Ok(Content::Drawn {
        svg,
        alternative: words.title.clone(),
        caption: sentences(&caption),
        tables,
        numbers: numbers(&all),
    })
}

fn bars(entry: &Entry) -> Option<Bars<'_>> {
    let means = WITH.map(|with| {
        entry.correlation(Quantity::Magnitude, with, Measure::Spearman).and_then(|own| own.mean)
    });
    let is_drawn = entry.part == Part::Ffn && means.iter().any(Option::is_some);
    is_drawn.then_some(Bars { entry, means })
}

fn is_one_model(first: &Bars<'_>, second: &Bars<'_>) -> bool {
    first.entry.model == second.entry.model
}

fn words(all: &[Bars<'_>]) -> Words {
    let values = all.iter().map(|bars| {
        let values = WITH.iter().zip(&bars.means).filter_map(|(with, mean)| {
            Some(format!("with {} {}", with.as_str(), with_limits(mean.as_ref()?)))
        });
        let values: Vec<String> = values.collect();
        format!("{} on {}: {}", bars.entry.model, bars.entry.dataset, values.join(", "))
    });
    let values: Vec<String> = values.collect();
    let means = all.iter().flat_map(|bars| bars.means.iter().flatten());
    let sites: Vec<u64> = means.map(|mean| mean.n_sites as u64).collect();
    Words {
        title: "Does size predict weights, and the effect on the output?".to_owned(),
        subtitle: format!(
            "Spearman correlation of magnitude with weight and with impact over the neurons of a site, \
             mean over {}; 95 % intervals over sites",
            span(&sites, "site")
        ),
        description: format!("Spearman correlations of magnitude. {}.", values.join("; ")),
    }
}

fn chart(sheet: &Sheet<'_>, all: &[Bars<'_>], pens: [Ink; 2], top: i32) -> Result<()> {
    let width = |text: &str| text_width(text).min(LONGEST);
    let models = all.iter().map(|bars| width(&bars.entry.model)).max().unwrap_or(0);
    let texts = all.iter().map(|bars| width(&bars.entry.dataset)).max().unwrap_or(0);
    let values = all.iter().flat_map(|bars| bars.means.iter().flatten());
    let numbers = values.map(|mean| text_width(&with_limits(mean))).max().unwrap_or(0);
    let n_models = i32::try_from(all.chunk_by(is_one_model).count())?;
    let left = MARGIN + models + 14 + texts + 12;
    let bottom = top + i32::try_from(all.len())? * ROW + n_models * GAP;
    let area = Area { left, top, right: WIDTH - MARGIN - numbers - 12, bottom };
    let scale = Scale::even(-1.0, 1.0, 5).between(area.left, area.right);
    scale.draw_below(sheet, area, &tick_label, "Spearman correlation")?;
    let zero = scale.at(0.0);
    path(sheet, [(zero, area.top), (zero, area.bottom)], FAINT, 1)?;
    let mut y = top;
    for group in all.chunk_by(is_one_model) {
        let middle = y + GAP / 2 + ROW / 2;
        let model = fitting(&group[0].entry.model, LONGEST);
        write(sheet, &model, TEXT, HPos::Left, (MARGIN, middle))?;
        y += GAP / 2;
        for bars in group {
            let middle = y + ROW / 2;
            let place = (area.left - 12, middle);
            let text = fitting(&bars.entry.dataset, LONGEST);
            write(sheet, &text, FAINT, HPos::Right, place)?;
            for (side, (mean, pen)) in bars.means.iter().zip(pens).enumerate() {
                let Some(mean) = mean else { continue };
                let y = if side == 0 { middle - BAR / 2 - 2 } else { middle + BAR / 2 + 2 };
                bar(sheet, side == 1, pen, (zero, scale.at(mean.value)), y)?;
                if let Some((lower, upper)) = mean.lower.zip(mean.upper) {
                    whisker(sheet, TEXT, (scale.at(lower), scale.at(upper)), y)?;
                }
                let place = (area.right + 12, y);
                write(sheet, &with_limits(mean), TEXT, HPos::Left, place)?;
            }
            y += ROW;
        }
        y += GAP / 2;
        if y < area.bottom {
            path(sheet, [(MARGIN, y), (area.right, y)], GRID, 1)?;
        }
    }
    Ok(())
}

fn numbers(all: &[Bars<'_>]) -> Table {
    let mut table = Table::new([
        ("model", Left),
        ("text", Left),
        ("magnitude with", Left),
        ("Spearman", Right),
        ("lower", Right),
        ("upper", Right),
        ("sites", Right),
        ("cells", Left),
    ]);
    let number = |value: f64| correlation(value, 4);
    for Bars { entry, means } in all {
        for (with, mean) in WITH.iter().zip(means) {
            let Some(mean) = mean else { continue };
            table.push([
                Field::text(&entry.model),
                Field::text(&entry.dataset),
                Field::text(with.as_str()),
                Field::Number(number(mean.value)),
                Field::Number(or_nothing(mean.lower.map(number))),
                Field::Number(or_nothing(mean.upper.map(number))),
                Field::Number(mean.n_sites.to_string()),
                Field::Cells(entry.cell_ids.clone()),
            ]);
        }
    }
    table
}

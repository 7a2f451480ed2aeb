//! `static-and-dynamic`: what each model pays for the same sparsity when one set of neurons is kept for
//! the whole run, and when the set is chosen anew for every token.

use anyhow::Result;
use plan::shortest_decimal;
use plotters::style::text_anchor::HPos;

use super::axes::{AXIS, Area, Scale, tick_label};
use super::canvas::{self, Key, Words};
use super::choose::{Choice, Found, Preferred, choose, sizes};
use super::inks::{Ink, Inks, REFERENCE, TEXT, series_colour};
use super::marks::path;
use super::picture::Content;
use super::ratios::{NUMBERS, perplexity_models, place_numbers, ratio, tables};
use super::sheet::{MARGIN, Sheet, WIDTH, fitting, text_width, write};
use super::strips::{self, BESIDE, Dot, LONGEST, Slot, row_height};
use super::words::{NEWEST, hatched, sentences};
use crate::document::Align::Left;
use crate::document::{Field, Table};
use crate::format::significant;
use crate::sentences::unequal;
use evidence::Row;
use evidence::Wanted;
use evidence::absent::Why;
use evidence::place::{Place, reasons};
use judgement::Summary;
use judgement::contrast::{Contrast, DYNAMIC, FIXED, SCORE};
use judgement::perplexity::{BOOTSTRAP, Perplexity};

/// The two policies of one model.
struct Sides<'a> {
    dynamic: Place<'a, Perplexity>,
    fixed: Place<'a, Perplexity>,
    is_ambiguous: bool,
}

impl<'a> Sides<'a> {
    fn each(&self) -> [(&'static str, &Place<'a, Perplexity>); 2] {
        [("dynamic", &self.dynamic), ("static", &self.fixed)]
    }

    fn rows(&self) -> impl Iterator<Item = &'a Row<Perplexity>> {
        [self.dynamic.row(), self.fixed.row()].into_iter().flatten()
    }

    /// What is to be said when the two dropped different shares.
    fn unequal(&self) -> Option<String> {
        let (fixed, dynamic) = (self.fixed.row()?, self.dynamic.row()?);
        let sparsity = fixed.key.sparsity.get();
        Some(unequal(&Contrast { sparsity, fixed, dynamic }.unequal()?))
    }
}

/// Pixels of a model.
const ROW: i32 = row_height(2);

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
pub(super) fn draw(summary: &Summary, id: &str) -> Result<Content> {
    let Some(choice) = choose(summary, found(summary), Preferred::default()) else {
        let reason = format!(
            "no model has a static and a dynamic cell of one sparsity with score {SCORE}, both \
             compared with dense on a text of protocol ppl-T"
        );
        return Ok(Content::Nothing { reason });
    };
    let words = words(&choice);
    let whys = reasons(
        choice
            .shown
            .iter()
            .flat_map(|(_, sides)| sides.each().into_iter().filter_map(|(_, place)| place.why())),
    );
    let mut inks = Inks::new();
    let policies = Policies {
        dynamic: inks.add("dynamic", series_colour(0), None),
        fixed: inks.add("static", series_colour(1), None),
        dense: inks.add("dense", series_colour(7), REFERENCE),
        between: inks.add("between", series_colour(7), None),
    };
    let mut legend = vec![
        Key::of(0, policies.dynamic, None, "dynamic: a set for every token"),
        Key::of(1, policies.fixed, None, "static: one set for the whole run"),
        Key::line(policies.dense, "dense = 1"),
    ];
    legend.extend(whys.iter().map(|&why| Key::hatch(why)));
    let n_models = i32::try_from(choice.shown.len())?;
    let body = n_models * ROW + AXIS;
    let svg = canvas::paint(id, body, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &choice, &policies, top)
    })?;
    let mut caption = vec![
        words.opening(),
        "The horizontal axis is perplexity as a multiple of the model's own dense perplexity, on \
         a logarithmic scale."
            .to_owned(),
        interval_sentence(&choice),
    ];
    caption.extend(hatched(&whys));
    let unequal =
        |(model, sides): &(&str, Sides<'_>)| Some(format!("{model}: {}.", sides.unequal()?));
    caption.extend(choice.shown.iter().filter_map(unequal));
    if choice.shown.iter().any(|(_, sides)| sides.is_ambiguous) {
        caption.push(NEWEST.to_owned());
    }
    caption.extend(choice.not_shown("a static and a dynamic cell"));
    Ok(Content::Drawn {
        svg,
        alternative: format!("{} on {}", words.title, choice.text()),
        caption: sentences(&caption),
        tables: tables(summary, &choice),
        numbers: numbers(&choice),
    })
}

fn found(summary: &Summary) -> Vec<Found<'_, Sides<'_>>> {
    let models = perplexity_models(summary, |key| FIXED.fits(key) || DYNAMIC.fits(key));
    let mut found = Vec::new();
    for model in &models {
        for sparsity in model.sparsities(&[FIXED, DYNAMIC]) {
            let place = |way: Wanted| model.place(way.at(sparsity));
            let ((dynamic, has_several), (fixed, has_more)) = (place(DYNAMIC), place(FIXED));
            if dynamic.is_nothing() || fixed.is_nothing() {
                continue;
            }
            let is_measured = dynamic.row().is_some() && fixed.row().is_some();
            let value = Sides { dynamic, fixed, is_ambiguous: has_several || has_more };
            found.push(Found { key: model.subject, sparsity, value, is_measured });
        }
    }
    found
}

fn words(choice: &Choice<'_, Sides<'_>>) -> Words {
    let sparsity = shortest_decimal(choice.sparsity);
    let rows = || choice.shown.iter().flat_map(|(_, sides)| sides.rows());
    let values = choice.shown.iter().map(|(model, sides)| {
        let value = |place: &Place<'_, Perplexity>| match place.row().and_then(ratio) {
            Some(ratio) => significant(ratio.ratio, 4),
            None => place.why().map_or("", Why::as_str).to_owned(),
        };
        format!("{model}: static {}, dynamic {}", value(&sides.fixed), value(&sides.dynamic))
    });
    let values: Vec<String> = values.collect();
    let has_interval = |row| ratio(row).is_some_and(|ratio| ratio.lower.is_some());
    let intervals = if rows().any(has_interval) { "; 95 % intervals" } else { "" };
    Words {
        title: "Static and dynamic sparsity".to_owned(),
        subtitle: format!("{}, κ={sparsity}, {SCORE}, {}{intervals}", choice.text(), sizes(rows())),
        description: format!(
            "Perplexity as a multiple of dense perplexity on {} at κ={sparsity}. {}.",
            choice.text(),
            values.join("; ")
        ),
    }
}

fn interval_sentence(choice: &Choice<'_, Sides<'_>>) -> String {
    let rows = || choice.shown.iter().flat_map(|(_, sides)| sides.rows());
    let with = rows().filter(|row| ratio(row).is_some_and(|ratio| ratio.lower.is_some())).count();
    format!(
        "Whiskers are 95 % intervals (paired bootstrap over windows, {} resamples), at {with} of \
         {} points.",
        BOOTSTRAP.resamples,
        rows().count()
    )
}

fn chart(
    sheet: &Sheet<'_>,
    choice: &Choice<'_, Sides<'_>>,
    policies: &Policies,
    top: i32,
) -> Result<()> {
    let rows = choice.shown.iter().flat_map(|(_, sides)| sides.rows());
    let numbers = rows
        .filter_map(ratio)
        .flat_map(|ratio| [Some(ratio.ratio), ratio.lower, ratio.upper].into_iter().flatten());
    let longest = choice.shown.iter().map(|(model, _)| text_width(model)).max().unwrap_or(0);
    let longest = longest.min(LONGEST);
    let n_models = i32::try_from(choice.shown.len())?;
    let area = Area {
        left: MARGIN + longest + 24,
        top,
        right: WIDTH - BESIDE,
        bottom: top + n_models * ROW,
    };
    let scale =
        Scale::log_around(numbers.chain([1.0]), 0.06, 9).between(area.left + BESIDE, area.right);
    scale.draw_below(sheet, area, &tick_label, "perplexity (multiple of dense, log scale)")?;
    path(sheet, [(scale.at(1.0), area.top), (scale.at(1.0), area.bottom)], policies.dense, 2)?;
    for (index, (model, sides)) in (0..).zip(&choice.shown) {
        let y = top + index * ROW + ROW / 2;
        write(sheet, &fitting(model, LONGEST), TEXT, HPos::Right, (area.left - 12, y))?;
        let inks = [(0, policies.dynamic), (1, policies.fixed)];
        let slots = sides.each().into_iter().zip(inks).map(|((name, place), (series, ink))| {
            if let Some(why) = place.why() {
                return Slot::Hatched(name.to_owned(), why);
            }
            let Some(ratio) = place.row().and_then(ratio) else { return Slot::Empty };
            let number = format!("{} ×", significant(ratio.ratio, 3));
            let limits = ratio.lower.zip(ratio.upper);
            Slot::Dot(Dot { series, ink, value: ratio.ratio, limits, number })
        });
        let slots: Vec<Slot> = slots.collect();
        strips::row(sheet, (&scale, area), y, &slots, Some(policies.between))?;
    }
    Ok(())
}

fn numbers(choice: &Choice<'_, Sides<'_>>) -> Table {
    let mut table = Table::new([("model", Left), ("policy", Left)].into_iter().chain(NUMBERS));
    for (model, sides) in &choice.shown {
        for (policy, place) in sides.each() {
            let first = [Field::text(*model), Field::text(policy)];
            let values = place_numbers(place);
            table.push(first.into_iter().chain(values));
        }
    }
    table
}

//! `sparsity-and-loss`: what natural sparsity costs when it is trained in: zeros of h against held-out
//! loss over the prices of hidden activations; a line a sweep.

use anyhow::Result;
use plan::shortest_decimal;
use plotters::style::text_anchor::HPos;

use super::axes::{AXIS, Area, Scale};
use super::canvas::{self, Key, Words};
use super::choose::span;
use super::inks::{Ink, Inks, TEXT, series_colour, series_dashes};
use super::marks::{mark, path};
use super::picture::Content;
use super::sheet::{LINE, MARGIN, Sheet, WIDTH, text_width, write, write_clear};
use super::words::{sentences, share_label};
use crate::document::Align::{Left, Right};
use crate::document::{Field, Table};
use crate::format::{percent, significant};
use evidence::{Sweep, Sweeps, Trained};

const HEIGHT: i32 = 340;

/// Draws the picture of all sweeps.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(super) fn draw(sweeps: &Sweeps, id: &str) -> Result<Content> {
    let unreadable = sweeps.unreadable.iter();
    let unreadable: Vec<String> =
        unreadable.map(|own| format!("cannot read {}: {}", own.file, own.reason)).collect();
    if sweeps.sweeps.is_empty() {
        let reason = match unreadable.is_empty() {
            true => format!(
                "there is no sweep in {}; name a folder of sweeps with --sweeps DIR",
                sweeps.folder
            ),
            false => unreadable.join("; "),
        };
        return Ok(Content::Nothing { reason });
    }
    let words = words(&sweeps.sweeps);
    let mut inks = Inks::new();
    let pens: Vec<(Ink, Ink)> = (0..sweeps.sweeps.len())
        .map(|sweep| {
            let colour = series_colour(sweep);
            let line = inks.add(&format!("line s{sweep}"), colour, series_dashes(sweep));
            (line, inks.add(&format!("mark s{sweep}"), colour, None))
        })
        .collect();
    let keys = sweeps.sweeps.iter().zip(&pens).enumerate();
    let key = |(series, (sweep, (line, mark))): (usize, (&Sweep, &(Ink, Ink)))| {
        Key::of(series, *mark, Some(*line), &sweep.name)
    };
    let legend: Vec<Key> = keys.map(key).collect();
    let svg = canvas::paint(id, HEIGHT + LINE + AXIS, &inks, &words, &legend, |sheet, top| {
        chart(sheet, &sweeps.sweeps, &pens, top)
    })?;
    let opening = [
        words.opening(),
        "Each point is one training run, named by its price λ of hidden activations: there is no \
         interval. Lines join neighbouring prices. Trained by "
            .to_owned(),
    ];
    let names = sweeps.sweeps.iter().map(|sweep| format!("{}/{}", sweeps.folder, sweep.name));
    let tables = format!("; tables in {}.", names.collect::<Vec<_>>().join(", "));
    let mut caption = sentences(&opening).code("cargo xtask train").text(tables);
    for line in unreadable {
        caption = caption.text(format!(" Not shown: {line}."));
    }
    Ok(Content::Drawn {
        svg,
        alternative: words.title.clone(),
        caption,
        tables: Vec::new(),
        numbers: numbers(&sweeps.sweeps),
    })
}

/// `0`, `0.003`, `2e-5`
fn price(coefficient: f64) -> String {
    match coefficient {
        0.0 => "0".to_owned(),
        small if small < 1e-4 => format!("{small:e}"),
        other => shortest_decimal(other),
    }
}

fn words(sweeps: &[Sweep]) -> Words {
    let all = sweeps.iter().flat_map(|sweep| &sweep.models);
    let steps: Vec<u64> = all.clone().map(|model| u64::from(model.steps)).collect();
    let values = sweeps.iter().map(|sweep| {
        let values = sweep.models.iter().map(|model| {
            format!(
                "λ={} {} zeros and {} nats",
                price(model.l1_coefficient),
                percent(model.natural_sparsity),
                significant(model.heldout_nats, 5)
            )
        });
        format!("{}: {}", sweep.name, values.collect::<Vec<_>>().join(", "))
    });
    let values: Vec<String> = values.collect();
    let n_runs = crate::format::count(all.count(), "training run");
    Words {
        title: "Natural sparsity against held-out loss".to_owned(),
        subtitle: format!(
            "{n_runs} of {}, one a price λ of hidden activations",
            span(&steps, "step")
        ),
        description: format!(
            "Share of zeros in the hidden activations and held-out loss. {}.",
            values.join("; ")
        ),
    }
}

fn chart(sheet: &Sheet<'_>, sweeps: &[Sweep], pens: &[(Ink, Ink)], top: i32) -> Result<()> {
    let all = || sweeps.iter().flat_map(|sweep| &sweep.models);
    let vertical = Scale::even_around(all().map(|model| model.heldout_nats), 0.12, 7);
    let loss = |value: f64| significant(value, 4);
    let area = Area {
        left: MARGIN + vertical.label_width(&loss) + 14,
        top: top + LINE,
        right: WIDTH - 3 * MARGIN,
        bottom: top + LINE + HEIGHT,
    };
    let horizontal = Scale::even_around(all().map(|model| model.natural_sparsity), 0.06, 8)
        .between(area.left, area.right);
    let vertical = vertical.between(area.bottom, area.top);
    write(sheet, "held-out loss (nats per token)", TEXT, HPos::Left, (MARGIN, top + 4))?;
    vertical.draw_left(sheet, area, &loss)?;
    horizontal.draw_below(sheet, area, &share_label, "entries of h that are exactly zero")?;
    let at =
        |model: &Trained| (horizontal.at(model.natural_sparsity), vertical.at(model.heldout_nats));
    for (series, (sweep, (line, ink))) in sweeps.iter().zip(pens).enumerate() {
        let points: Vec<(i32, i32)> = sweep.models.iter().map(at).collect();
        if points.len() > 1 {
            path(sheet, points.clone(), *line, 2)?;
        }
        for (model, (x, y)) in sweep.models.iter().zip(points) {
            mark(sheet, series, *ink, (x, y))?;
            let text = format!("λ={}", price(model.l1_coefficient));
            // Inside the sheet at both ends.
            let half = text_width(&text) / 2;
            let x = x.clamp(area.left + half + 4, WIDTH - half - 4);
            write_clear(sheet, &text, TEXT, (x, y - 17))?;
        }
    }
    Ok(())
}

fn numbers(sweeps: &[Sweep]) -> Table {
    let mut table = Table::new([
        ("sweep", Left),
        ("λ", Right),
        ("held out, nats", Right),
        ("zeros in h", Right),
        ("dead neurons", Right),
        ("neurons", Right),
        ("last words right", Right),
        ("steps", Right),
    ]);
    for sweep in sweeps {
        for model in &sweep.models {
            let fields = [
                sweep.name.clone(),
                price(model.l1_coefficient),
                significant(model.heldout_nats, 5),
                format!("{:.2} %", 100.0 * model.natural_sparsity),
                model.dead_neurons.to_string(),
                model.neurons.to_string(),
                percent(model.accuracy),
                model.steps.to_string(),
            ];
            table.push(fields.map(Field::Text));
        }
    }
    table
}

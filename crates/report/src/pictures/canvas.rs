//! A whole picture: a header that is as high as its words, a legend, what is drawn below them, and what
//! the SVG of `plotters` lacks: names for those who hear it.

use anyhow::{Context, Result};
use evidence::absent::Why;
use plotters::prelude::{FontStyle, IntoDrawingArea, IntoFont, SVGBackend};
use plotters::style::text_anchor::HPos;

use super::axes::Area;
use super::inks::{FAINT, Ink, Inks, PAPER, TEXT};
use super::marks::{bar, hatch, mark, path};
use super::sheet::{LINE, MARGIN, Sheet, WIDTH, fitting, inked, text_width, wrapped, write};

/// Pixels down to the first line below the title.
const FIRST_LINE: i32 = 50;
/// Pixels of a legend's sample and of the gap behind its name.
const SAMPLE: i32 = 34;
const BEHIND: i32 = 20;

/// What a picture says in words.
pub(crate) struct Words {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// The picture's content for those who do not see it.
    pub(crate) description: String,
}

impl Words {
    /// The first sentences of a caption: title and subtitle.
    pub(crate) fn opening(&self) -> String {
        let Words { title, subtitle, .. } = self;
        match title {
            question if question.ends_with('?') => format!("{question} {subtitle}."),
            divided if divided.contains(':') => format!("{divided}. {subtitle}."),
            plain => format!("{plain}: {subtitle}."),
        }
    }
}

/// What a legend shows before a name.
pub(crate) enum Sample {
    Line(Ink),
    /// The mark of a series, with a line through it where there is one.
    Mark {
        series: usize,
        ink: Ink,
        line: Option<Ink>,
    },
    /// A full bar, or a striped one.
    Bar {
        ink: Ink,
        is_striped: bool,
    },
    Hatch(Why),
}

/// One entry of a legend.
pub(crate) struct Key {
    pub(crate) sample: Sample,
    pub(crate) name: String,
}

impl Key {
    /// A mark, with a line through it where there is one.
    pub(crate) fn of(series: usize, ink: Ink, line: Option<Ink>, name: &str) -> Key {
        Key { sample: Sample::Mark { series, ink, line }, name: name.to_owned() }
    }

    pub(crate) fn line(line: Ink, name: &str) -> Key {
        Key { sample: Sample::Line(line), name: name.to_owned() }
    }

    pub(crate) fn hatch(why: Why) -> Key {
        Key { sample: Sample::Hatch(why), name: format!("{} cell", why.as_str()) }
    }

    fn width(&self) -> i32 {
        SAMPLE + text_width(&self.name) + BEHIND
    }

    /// Draws the sample with its left end at `x`.
    fn draw(&self, sheet: &Sheet<'_>, (x, y): (i32, i32)) -> Result<()> {
        let line = |ink: Ink| path(sheet, [(x, y), (x + 26, y)], ink, 2);
        match self.sample {
            Sample::Line(ink) => line(ink),
            Sample::Mark { series, ink, line: through } => {
                through.map_or(Ok(()), line)?;
                mark(sheet, series, ink, (x + 13, y))
            }
            Sample::Bar { ink, is_striped } => bar(sheet, is_striped, ink, (x, x + 26), y),
            Sample::Hatch(why) => hatch(sheet, why, (x + 3, y - 7), (x + 23, y + 7)),
        }
    }
}

/// The picture, as SVG text that follows the reader's light or dark screen: what `draw` draws below
/// title, subtitle and legend; it is told how many pixels these take.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(crate) fn paint(
    id: &str,
    body: i32,
    inks: &Inks,
    words: &Words,
    legend: &[Key],
    draw: impl FnOnce(&Sheet<'_>, i32) -> Result<()>,
) -> Result<String> {
    let subtitle = wrapped(&words.subtitle, WIDTH - 2 * MARGIN);
    let rows = legend_rows(legend);
    let n_lines = i32::try_from(subtitle.len() + rows.len())?;
    let top = FIRST_LINE - LINE / 2 + n_lines * LINE + 12;
    let mut svg = String::new();
    {
        let size = (u32::try_from(WIDTH)?, u32::try_from(top + body)?);
        let sheet = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        sheet.fill(&PAPER.key())?;
        let bold = ("sans-serif", 22).into_font().style(FontStyle::Bold);
        sheet.draw_text(&words.title, &inked(bold, TEXT), (MARGIN, 12))?;
        let mut y = FIRST_LINE;
        for line in &subtitle {
            write(&sheet, line, FAINT, HPos::Left, (MARGIN, y))?;
            y += LINE;
        }
        for row in &rows {
            legend_row(&sheet, row, y + 2)?;
            y += LINE;
        }
        draw(&sheet, top)?;
        sheet.present()?;
    }
    let (head, shapes) = svg.split_once('\n').context("the drawing has no first line")?;
    let about = format!("<svg id=\"{id}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" ");
    let head = head.replacen("<svg ", &about, 1);
    let (title, described) = (escape(&words.title), escape(&words.description));
    let head = format!(
        "{head}\n<title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-desc\">{described}</desc>\n"
    );
    Ok(format!("{head}{}{}", inks.style_sheet(id), inks.apply(shapes.to_owned())))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The keys line by line, as many on each as it has room for.
fn legend_rows(legend: &[Key]) -> Vec<Vec<&Key>> {
    let mut rows: Vec<Vec<&Key>> = Vec::new();
    let mut room = 0;
    for key in legend {
        if room < key.width() - BEHIND {
            rows.push(Vec::new());
            room = WIDTH - 2 * MARGIN;
        }
        room -= key.width();
        if let Some(row) = rows.last_mut() {
            row.push(key);
        }
    }
    rows
}

fn legend_row(sheet: &Sheet<'_>, row: &[&Key], y: i32) -> Result<()> {
    let mut x = MARGIN;
    for key in row {
        key.draw(sheet, (x, y))?;
        write(sheet, &key.name, TEXT, HPos::Left, (x + SAMPLE, y))?;
        x += key.width();
    }
    Ok(())
}

/// Writes the name of a panel above its left end and the title of its vertical axis above its right one.
pub(crate) fn head(sheet: &Sheet<'_>, name: &str, title: &str, area: Area) -> Result<()> {
    let y = area.top - LINE + 4;
    let room = area.right - area.left - text_width(title);
    write(sheet, &fitting(name, room), TEXT, HPos::Left, (area.left, y))?;
    write(sheet, title, FAINT, HPos::Right, (area.right, y))
}

//! A sheet to draw on with `plotters`, and what its SVG lacks: names for those who hear it, and
//! colours that follow the reader's light or dark screen.
//!
//! `plotters` writes a colour into every element. Here each colour is the number of an [`Ink`]; at
//! the end the numbers are replaced by the ink's class, its light colour and its dashes, and one
//! style sheet says the dark colours. A viewer that knows no style sheets shows the light ones.

use std::fmt::Write;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::{
    Color, DrawingArea, FontDesc, FontStyle, IntoDrawingArea, IntoFont, Polygon, RGBColor,
    Rectangle, SVGBackend, ShapeStyle, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The sheet, addressed in pixels.
pub(crate) type Sheet<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Pixels at the top that the title and two lines below it take.
pub(crate) const HEADER: i32 = 84;
/// Pixels from the left edge to the title.
pub(crate) const MARGIN: i32 = 18;

/// A colour on a light and on a dark screen; both have a contrast of at least 4.5 to the paper
/// where they carry text or marks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Colour {
    light: &'static str,
    dark: &'static str,
}

const fn colour(light: &'static str, dark: &'static str) -> Colour {
    Colour { light, dark }
}

/// One colour a series; they begin anew after the last.
const COLOURS: [Colour; 8] = [
    colour("#0060a8", "#6cb6ff"),
    colour("#b84a00", "#ffa657"),
    colour("#00704f", "#4ade9f"),
    colour("#8a3ea1", "#d2a8ff"),
    colour("#7a5c00", "#e3c55b"),
    colour("#b0103a", "#ff8fa3"),
    colour("#006d77", "#5fd7e0"),
    colour("#444c56", "#c9d1d9"),
];

/// Fills behind text, from faint to strong: as dark on a light screen for either sign, so that they are
/// told apart by the number that stands on them where there is no colour.
const POSITIVE: [Colour; 5] = [
    colour("#ffffff", "#0d1117"),
    colour("#e6eff9", "#13233a"),
    colour("#cadef3", "#173557"),
    colour("#abcbec", "#1a4875"),
    colour("#8ab7e6", "#1c5c96"),
];
const NEGATIVE: [Colour; 5] = [
    colour("#ffffff", "#0d1117"),
    colour("#faece1", "#2c1e12"),
    colour("#f5d8c1", "#492d14"),
    colour("#efc29d", "#663c15"),
    colour("#e8aa75", "#854c16"),
];

/// The fill of a number between -1 and 1, and its class.
pub(crate) fn shade(value: f64) -> (String, Colour) {
    let last = POSITIVE.len() - 1;
    let step = ((value.abs() * last as f64).round() as usize).min(last);
    match value < 0.0 {
        true => (format!("minus s{step}"), NEGATIVE[step]),
        false => (format!("plus s{step}"), POSITIVE[step]),
    }
}

/// One dash pattern a line; six, so that colour and dashes together repeat late.
const DASHES: [Option<&str>; 6] =
    [None, Some("9 4"), Some("2 3"), Some("10 3 2 3"), Some("5 2"), Some("14 3 2 3 2 3")];

/// The dashes of a reference such as dense.
pub(crate) const REFERENCE: Option<&str> = Some("4 3");

pub(crate) fn series_colour(series: usize) -> Colour {
    COLOURS[series % COLOURS.len()]
}

pub(crate) fn series_dashes(series: usize) -> Option<&'static str> {
    DASHES[series % DASHES.len()]
}

/// Something to draw with: the number of a colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ink(u16);

/// The background.
const PAPER: Ink = Ink(0);
pub(crate) const TEXT: Ink = Ink(1);
pub(crate) const FAINT: Ink = Ink(2);
pub(crate) const GRID: Ink = Ink(3);

impl Ink {
    /// What `plotters` is told instead of a colour.
    pub(crate) fn key(self) -> RGBColor {
        let [high, low] = self.0.to_be_bytes();
        RGBColor(0, high, low)
    }

    /// A line of this many pixels.
    pub(crate) fn stroke(self, width: u32) -> ShapeStyle {
        ShapeStyle::from(self.key()).stroke_width(width)
    }
}

/// All inks of one picture, by number.
pub(crate) struct Inks(Vec<(String, Colour, Option<&'static str>)>);

impl Inks {
    pub(crate) fn new() -> Self {
        let own = [
            ("paper", colour("#ffffff", "#0d1117")),
            ("text", colour("#1f2328", "#e6edf3")),
            ("faint", colour("#57606a", "#9aa4af")),
            ("grid", colour("#d8dee4", "#30363d")),
        ];
        Inks(own.map(|(class, colour)| (class.to_owned(), colour, None)).to_vec())
    }

    /// Adds an ink; its elements get `classes` (separated by spaces), its lines the dashes.
    pub(crate) fn add(
        &mut self,
        classes: &str,
        colour: Colour,
        dashes: Option<&'static str>,
    ) -> Ink {
        self.0.push((classes.to_owned(), colour, dashes));
        Ink(u16::try_from(self.0.len() - 1).unwrap_or(TEXT.0))
    }

    /// Replaces the numbers by classes and colours.
    fn apply(&self, mut svg: String) -> String {
        for (number, (classes, colour, dashes)) in self.0.iter().enumerate() {
            let dashes = dashes.map(|dashes| format!("stroke-dasharray=\"{dashes}\" "));
            let dashes = dashes.unwrap_or_default();
            let light = colour.light;
            for paint in ["fill", "stroke"] {
                let key = format!(" {paint}=\"#{number:06X}\"");
                let named = format!(
                    " class=\"{classes}\" {dashes}color=\"{light}\" {paint}=\"currentColor\""
                );
                svg = svg.replace(&key, &named);
            }
        }
        svg
    }

    fn style_sheet(&self) -> String {
        let mut rules = String::new();
        for (classes, colour, _) in &self.0 {
            let selector = classes.replace(' ', ".");
            let _ = write!(rules, " .{selector} {{ color: {} }}", colour.dark);
        }
        format!("<style>@media (prefers-color-scheme: dark) {{{rules} }}</style>\n")
    }
}

/// What a picture says in words.
pub(crate) struct Words {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// The picture's content for those who do not see it.
    pub(crate) description: String,
}

/// The SVG text of what `draw` draws below the title.
///
/// # Errors
/// When `plotters` refuses to draw, as on a sheet that is too small for its margins.
pub(crate) fn paint(
    (width, height): (i32, i32),
    inks: &Inks,
    words: &Words,
    draw: impl FnOnce(&Sheet<'_>) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let size = (u32::try_from(width)?, u32::try_from(height)?);
        let sheet = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        sheet.fill(&PAPER.key())?;
        let bold = ("sans-serif", 22).into_font().style(FontStyle::Bold);
        sheet.draw_text(&words.title, &inked(bold, TEXT), (MARGIN, 12))?;
        write(&sheet, &words.subtitle, FAINT, HPos::Left, (MARGIN, 48))?;
        draw(&sheet)?;
        sheet.present()?;
    }
    let (head, body) = svg.split_once('\n').context("the drawing has no first line")?;
    let head = head.replacen("<svg ", "<svg role=\"img\" aria-labelledby=\"title desc\" ", 1);
    Ok(format!(
        "{head}\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n{}{}",
        escape(&words.title),
        escape(&words.description),
        inks.style_sheet(),
        inks.apply(body.to_owned())
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn inked(font: FontDesc<'static>, ink: Ink) -> TextStyle<'static> {
    let mut style = TextStyle::from(font);
    style.color = ink.key().to_backend_color();
    style
}

/// The style of all text but the title.
pub(crate) fn text_style(ink: Ink) -> TextStyle<'static> {
    inked(("sans-serif", 16).into_font(), ink)
}

/// Writes one line, centred vertically on `position`.
pub(crate) fn write(
    sheet: &Sheet<'_>,
    text: &str,
    ink: Ink,
    side: HPos,
    position: (i32, i32),
) -> Result<()> {
    let style = text_style(ink).pos(Pos::new(side, VPos::Center));
    Ok(sheet.draw_text(text, &style, position)?)
}

/// Clears the place of one line of text about `centre`, so that no line runs through it.
pub(crate) fn clear(sheet: &Sheet<'_>, (x, y): (i32, i32), width: i32) -> Result<()> {
    let corners = [(x - width / 2, y - 9), (x + width / 2, y + 8)];
    Ok(sheet.draw(&Rectangle::new(corners, PAPER.key().filled()))?)
}

/// The corners of each mark about its centre, in pixels; told apart without colour.
const MARKS: [&[(i32, i32)]; 8] = [
    &[(-2, -5), (2, -5), (5, -2), (5, 2), (2, 5), (-2, 5), (-5, 2), (-5, -2)],
    &[(-5, -5), (5, -5), (5, 5), (-5, 5)],
    &[(0, -7), (6, 5), (-6, 5)],
    &[(0, -7), (7, 0), (0, 7), (-7, 0)],
    &[(0, 7), (6, -5), (-6, -5)],
    &[
        (-6, -4),
        (-4, -6),
        (0, -2),
        (4, -6),
        (6, -4),
        (2, 0),
        (6, 4),
        (4, 6),
        (0, 2),
        (-4, 6),
        (-6, 4),
        (-2, 0),
    ],
    &[
        (-2, -7),
        (2, -7),
        (2, -2),
        (7, -2),
        (7, 2),
        (2, 2),
        (2, 7),
        (-2, 7),
        (-2, 2),
        (-7, 2),
        (-7, -2),
        (-2, -2),
    ],
    &[(-7, -3), (7, -3), (7, 3), (-7, 3)],
];

/// Draws the mark of a series: one polygon.
pub(crate) fn mark(sheet: &Sheet<'_>, series: usize, ink: Ink, (x, y): (i32, i32)) -> Result<()> {
    let corners = MARKS[series % MARKS.len()].iter().map(|(dx, dy)| (x + dx, y + dy));
    Ok(sheet.draw(&Polygon::new(corners.collect::<Vec<_>>(), ink.key()))?)
}

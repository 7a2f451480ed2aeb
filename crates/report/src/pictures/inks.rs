//! Colours that follow the reader's light or dark screen.
//!
//! `plotters` writes a colour into every element. Here each colour is the number of an [`Ink`]; at
//! the end the numbers are replaced by the ink's class, its light colour and its dashes, and one style
//! sheet says the dark colours.

use std::fmt::Write;

use plotters::prelude::{RGBColor, ShapeStyle};

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
pub(crate) const PAPER: Ink = Ink(0);
pub(crate) const TEXT: Ink = Ink(1);
pub(crate) const FAINT: Ink = Ink(2);
pub(crate) const GRID: Ink = Ink(3);
/// Places whose cell failed, and places whose cell is missing.
pub(crate) const FAILED: Ink = Ink(4);
pub(crate) const MISSING: Ink = Ink(5);

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
        let faint = colour("#57606a", "#9aa4af");
        let own = [
            ("paper", colour("#ffffff", "#0d1117")),
            ("text", colour("#1f2328", "#e6edf3")),
            ("faint", faint),
            ("grid", colour("#d8dee4", "#30363d")),
            ("hatch failed", COLOURS[5]),
            ("hatch missing", faint),
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

    /// Replaces the numbers by classes and the colours of a light screen.
    pub(crate) fn apply(&self, mut svg: String) -> String {
        for (number, (classes, colour, dashes)) in self.0.iter().enumerate() {
            let dashes = dashes.map(|dashes| format!("stroke-dasharray=\"{dashes}\" "));
            let dashes = dashes.unwrap_or_default();
            for paint in ["fill", "stroke"] {
                let key = format!(" {paint}=\"#{number:06X}\"");
                let named = format!(
                    " class=\"{classes}\" {dashes}color=\"{}\" {paint}=\"currentColor\"",
                    colour.light
                );
                svg = svg.replace(&key, &named);
            }
        }
        svg
    }

    /// The dark colours of the elements below the one with this id. Paper is never dark.
    pub(crate) fn style_sheet(&self, id: &str) -> String {
        let mut rules = String::new();
        for (classes, colour, _) in &self.0 {
            let selector = classes.replace(' ', ".");
            let _ = write!(rules, " #{id} .{selector} {{ color: {} }}", colour.dark);
        }
        format!("<style>@media screen and (prefers-color-scheme: dark) {{{rules} }}</style>\n")
    }
}

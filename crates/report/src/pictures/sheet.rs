//! The sheet that everything is drawn on with `plotters`, and texts on it.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::{Color, DrawingArea, FontDesc, IntoFont, Rectangle, SVGBackend, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::inks::{Ink, PAPER};

/// The sheet, addressed in pixels.
pub(crate) type Sheet<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Pixels of every picture from left to right.
pub(crate) const WIDTH: i32 = 800;
/// Pixels from the left edge to the title.
pub(crate) const MARGIN: i32 = 18;
/// Pixels from one line of text to the next.
pub(crate) const LINE: i32 = 20;

/// A font in an ink.
pub(crate) fn inked(font: FontDesc<'static>, ink: Ink) -> TextStyle<'static> {
    let mut style = TextStyle::from(font);
    style.color = ink.key().to_backend_color();
    style
}

/// Writes one line, centred vertically on `position`.
pub(crate) fn write(
    sheet: &Sheet<'_>,
    text: &str,
    ink: Ink,
    side: HPos,
    position: (i32, i32),
) -> Result<()> {
    let style = inked(("sans-serif", 16).into_font(), ink).pos(Pos::new(side, VPos::Center));
    Ok(sheet.draw_text(text, &style, position)?)
}

/// Writes one line on a place of its own, so that no line runs through it.
pub(crate) fn write_clear(
    sheet: &Sheet<'_>,
    text: &str,
    ink: Ink,
    (x, y): (i32, i32),
) -> Result<()> {
    let half = text_width(text) / 2 + 2;
    let corners = [(x - half, y - 7), (x + half, y + 7)];
    sheet.draw(&Rectangle::new(corners, PAPER.key().filled()))?;
    write(sheet, text, ink, HPos::Center, (x, y))
}

/// Pixels that a text of the pictures' size takes at most.
pub(crate) fn text_width(text: &str) -> i32 {
    let characters = i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 16);
    8 * characters
}

/// The text in lines of at most this many pixels, broken between words; a number and its % stay together.
pub(crate) fn wrapped(text: &str, width: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let joined = text.replace(" %", "\u{a0}%");
    for word in joined.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if text_width(line) + text_width(" ") + text_width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text, cut at its end where it takes more than this many pixels.
pub(crate) fn fitting(text: &str, width: i32) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let n_kept = usize::try_from(width / text_width("x") - 1).unwrap_or(0);
    text.chars().take(n_kept).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{fitting, wrapped};

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 8 * 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 8), ["unbreakable"]);
        assert_eq!(wrapped("at 95 % or", 8 * 6), ["at", "95\u{a0}%", "or"]);
        assert!(wrapped("", 100).is_empty());
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(fitting("opt-1.3b", 8 * 8), "opt-1.3b");
        assert_eq!(fitting("opt-1.3b", 8 * 7), "opt-1.…");
    }
}

//! Lines as HTML.

use maud::{Markup, html};

use super::headings::Headings;
use crate::document::{Inline, Line, Target, anchor};

/// A line in the part of the `part`-th title.
pub(super) fn line(own: &Line, headings: &Headings, part: usize) -> Markup {
    html! { @for piece in own.pieces() { (inline(piece, headings, part)) } }
}

fn inline(own: &Inline, headings: &Headings, part: usize) -> Markup {
    match own {
        Inline::Text(text) => html! { (text) },
        Inline::Code(text) => html! { code { (text) } },
        Inline::Strong(text) => html! { strong { (text) } },
        Inline::Link { text, target: Target::Heading(heading) } => {
            let id = anchor(heading);
            html! { a href=(format!("#{}", headings.resolve(part, &id))) { (text) } }
        }
        Inline::Break => html! { "\n" },
    }
}

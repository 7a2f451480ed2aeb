//! What a block of Markdown is, apart from what the Markdown itself says: a picture, a warning, the
//! border of a fold.

use pulldown_cmark::{Event, Tag, TagEnd};

/// Whether a tag begins a block of its own, which is no paragraph.
pub(super) fn is_block(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Heading { .. } | Tag::List(_) | Tag::Table(_) | Tag::BlockQuote(_) | Tag::CodeBlock(_)
    )
}

/// The file and the alternative of a paragraph that is one image.
pub(super) fn only_image<'e>(events: &'e [Event<'_>]) -> Option<(&'e str, String)> {
    let [Event::Start(Tag::Image { dest_url, .. }), inner @ .., Event::End(TagEnd::Image)] = events
    else {
        return None;
    };
    let texts = inner.iter().map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(&**text),
        Event::Start(Tag::Image { .. }) => None,
        _ => Some(" "),
    });
    Some((dest_url, texts.collect::<Option<String>>()?))
}

/// Whether a paragraph is one bold sentence that warns.
pub(super) fn is_warning(paragraph: &[Event<'_>]) -> bool {
    let [_, Event::Start(Tag::Strong), Event::Text(text), .., Event::End(TagEnd::Strong), _] =
        paragraph
    else {
        return false;
    };
    text.starts_with("WARNING")
}

/// The two lines of HTML that this crate's Markdown holds.
pub(super) enum Fold {
    Begin(String),
    End,
}

/// The fold's line that `line` is, if it is exactly one.
pub(super) fn fold(line: &str) -> Option<Fold> {
    if line == "</details>" {
        return Some(Fold::End);
    }
    let summary = line.strip_prefix("<details><summary>")?.strip_suffix("</summary>")?;
    let plain = !summary.contains(['<', '>']);
    plain.then(|| {
        let text = summary.replace("&lt;", "<").replace("&gt;", ">");
        Fold::Begin(text.replace("&quot;", "\"").replace("&amp;", "&"))
    })
}

//! A picture inside a page: its ids and its style rules touch no other picture, and its colours
//! follow the page's theme.

/// A picture as part of a page.
pub(super) struct Inlined {
    /// The `svg` element without its style sheet.
    pub(super) element: String,
    /// Its rules, for the page's style sheet.
    pub(super) rules: String,
}

/// Takes a picture apart; `id` is the element around it, and begins all ids in it.
pub(super) fn inline(svg: &str, id: &str) -> Inlined {
    let start = svg.find("<svg").unwrap_or(0);
    let mut rest = &svg[start..];
    let (mut element, mut rules) = (String::with_capacity(rest.len()), String::new());
    while let Some((before, sheet, after)) = style_sheet(rest) {
        element += before;
        rules += &themed(sheet, id);
        rest = after;
    }
    element += rest;
    for (opening, closing) in [
        (" id=\"", '"'),
        ("url(#", ')'),
        ("href=\"#", '"'),
        ("aria-labelledby=\"", '"'),
        ("aria-describedby=\"", '"'),
    ] {
        element = with_prefix(&element, opening, closing, id);
    }
    Inlined { element: element.trim_end().to_owned(), rules }
}

/// The text before the next style sheet, the sheet, and the text after it.
fn style_sheet(svg: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = svg.split_once("<style")?;
    let (_, rest) = rest.split_once('>')?;
    let (sheet, after) = rest.split_once("</style>")?;
    Some((before, sheet, after.trim_start_matches('\n')))
}

/// Puts `prefix-` before every name between `opening` and `closing`.
fn with_prefix(text: &str, opening: &str, closing: char, prefix: &str) -> String {
    let mut parts = text.split(opening);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (names, rest) = part.split_at(part.find(closing).unwrap_or(0));
        let names: Vec<String> =
            names.split_whitespace().map(|name| format!("{prefix}-{name}")).collect();
        result += opening;
        result += &names.join(" ");
        result += rest;
    }
    result
}

/// The rules of a sheet, for the picture `id` alone. Those for a dark screen hold when the system is
/// dark and the page's button does not say light, and when the button says dark; never on paper.
fn themed(sheet: &str, id: &str) -> String {
    let mut text = String::new();
    let mut rest = sheet;
    while let Some((prelude, block, after)) = block(rest) {
        rest = after;
        let condition: String = prelude.chars().filter(|c| !c.is_whitespace()).collect();
        if condition.contains("prefers-color-scheme:dark") {
            let system = plain(block, ":root:not([data-theme=\"light\"]) ", id);
            let button = plain(block, ":root[data-theme=\"dark\"] ", id);
            text += &format!("@media screen and (prefers-color-scheme: dark) {{\n{system}}}\n");
            text += &format!("@media screen {{\n{button}}}\n");
        } else if condition.starts_with("@media") || condition.starts_with("@supports") {
            text += &format!("{prelude} {{\n{}}}\n", themed(block, id));
        } else if condition.starts_with('@') {
            text += &format!("{prelude} {{{block}}}\n");
        } else {
            text += &rule(prelude, block, "", id);
        }
    }
    text
}

/// Rules without conditions, for the picture `id` where the page is as `root` says.
fn plain(rules: &str, root: &str, id: &str) -> String {
    let mut text = String::new();
    let mut rest = rules;
    while let Some((selectors, declarations, after)) = block(rest) {
        text += &rule(selectors, declarations, root, id);
        rest = after;
    }
    text
}

fn rule(selectors: &str, declarations: &str, root: &str, id: &str) -> String {
    let below = |selector: &str| {
        let selector = match selector.trim() {
            ":root" => "svg",
            selector => selector,
        };
        // The picture's own ids are renamed in its rules as in its elements.
        format!("{root}#{id} {}", selector.replace('#', &format!("#{id}-")))
    };
    let selectors: Vec<String> = selectors.split(',').map(below).collect();
    format!("{} {{{declarations}}}\n", selectors.join(", "))
}

/// What stands before the next pair of braces, between them, and after them.
fn block(css: &str) -> Option<(&str, &str, &str)> {
    let open = css.find('{')?;
    let mut depth = 0_usize;
    let close = css[open..].char_indices().find_map(|(index, character)| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(open + index)
    })?;
    Some((css[..open].trim(), &css[open + 1..close], &css[close + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = "<?xml version=\"1.0\"?>\n<svg role=\"img\" aria-labelledby=\"title desc\">\n\
        <title id=\"title\">T</title>\n<desc id=\"desc\">D</desc>\n\
        <style>@media (prefers-color-scheme: dark) { .a { color: #fff } #x .b.c, .d { color: #000 } }\
        text { font-size: 9px }</style>\n<rect id=\"x\" fill=\"url(#x)\"/>\n</svg>\n";

    #[test]
    fn ids_begin_with_the_name_of_the_picture() {
        let expected = "<svg role=\"img\" aria-labelledby=\"dial-title dial-desc\">\n\
            <title id=\"dial-title\">T</title>\n<desc id=\"dial-desc\">D</desc>\n\
            <rect id=\"dial-x\" fill=\"url(#dial-x)\"/>\n</svg>";
        assert_eq!(inline(SVG, "dial").element, expected);
    }

    #[test]
    fn dark_rules_follow_the_system_and_the_button() {
        let expected = "@media screen and (prefers-color-scheme: dark) {\n\
            :root:not([data-theme=\"light\"]) #dial .a { color: #fff }\n\
            :root:not([data-theme=\"light\"]) #dial #dial-x .b.c, \
            :root:not([data-theme=\"light\"]) #dial .d { color: #000 }\n}\n\
            @media screen {\n\
            :root[data-theme=\"dark\"] #dial .a { color: #fff }\n\
            :root[data-theme=\"dark\"] #dial #dial-x .b.c, \
            :root[data-theme=\"dark\"] #dial .d { color: #000 }\n}\n\
            #dial text { font-size: 9px }\n";
        assert_eq!(inline(SVG, "dial").rules, expected);
    }
}

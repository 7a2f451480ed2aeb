//! The report as one HTML file: what the Markdown says, with its pictures, style and script inside.
//! It asks the network for nothing and works from a file; its policy forbids everything else.

mod blocks;
mod body;
mod cells;
mod headings;
mod svg;
mod table;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pulldown_cmark::Options;
use sha2::{Digest, Sha256};

pub(crate) use self::cells::Cells;
use self::headings::Headings;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The Markdown that this crate writes.
const OPTIONS: Options = Options::ENABLE_TABLES;

/// The page of some Markdown. An image of `markdown` whose file is one of `pictures` (SVG text by
/// the name of its file) becomes a figure; `cells` are the ones whose mentions lead to their rows.
pub(crate) fn render(markdown: &str, pictures: &BTreeMap<String, &str>, cells: &Cells) -> String {
    let headings = Headings::of(markdown, cells.anchors());
    let parts = body::Parts { headings: &headings, pictures, cells };
    let body = body::of(markdown, &parts);
    shell(&headings, &body).into_string()
}

/// Everything around the body. Capital letters keep the shell's own ids apart from headings'.
fn shell(headings: &Headings, body: &body::Body) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" xmlns="http://www.w3.org/1999/xhtml" {
            head {
                (void("meta charset=\"utf-8\""))
                (void(&format!(
                    "meta http-equiv=\"Content-Security-Policy\" content=\"{}\"", policy()
                )))
                (void("meta name=\"viewport\" content=\"width=device-width, initial-scale=1\""))
                (void("meta name=\"color-scheme\" content=\"light dark\""))
                title { (headings.title()) }
                style { (PreEscaped(STYLE)) (PreEscaped(&body.rules)) }
                script { (PreEscaped(SCRIPT)) }
            }
            body {
                a.skip href="#Content" { "Skip to the content" }
                header.bar { a href="#Content" { (headings.title()) } }
                div.page {
                    nav aria-label="Contents" {
                        details open="" {
                            summary { "Contents" }
                            (headings.contents())
                        }
                    }
                    main #Content tabindex="-1" { (PreEscaped(&body.html)) }
                }
            }
        }
    }
}

/// An element without content, written so that an XML reader takes it too.
fn void(element: &str) -> Markup {
    PreEscaped(format!("<{element} />\n"))
}

/// Nothing is loaded from anywhere, and no script runs but the page's own.
fn policy() -> String {
    let script = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'; \
         base-uri 'none'; form-action 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::{Align, Table, code};

    fn body(markdown: &str) -> String {
        let page = render(markdown, &BTreeMap::new(), &Cells::of([]));
        let (_, body) = page.split_once("tabindex=\"-1\">").unwrap();
        body.to_owned()
    }

    #[test]
    fn folds_get_through_and_other_html_is_text() {
        let page = "# R\n\n- </details>\n- one\n\n<details><summary>A &lt; b</summary>\n\ntext\n\n\
                    </details>\n\n</details>\n\n<details open>\n\nx <b>y</b>\n";
        let body = body(page);
        assert!(body.contains("<details class=\"fold\"><summary>A &lt; b</summary>"), "{body}");
        assert_eq!(body.matches("<details").count(), 1, "{body}");
        assert_eq!(body.matches("</details>").count(), 1, "{body}");
        assert_eq!(body.matches("&lt;/details&gt;").count(), 2, "{body}");
        assert!(body.contains("&lt;details open&gt;") && body.contains("x &lt;b&gt;y"), "{body}");
    }

    #[test]
    fn links_lead_into_the_page_or_beside_it() {
        let body = body("# R\n\n[a](#r) [b](dial.png) [c](https://x) [d](javascript:y) [e](//z)\n");
        let line = "<p><a href=\"#r\">a</a> <a href=\"dial.png\">b</a> c d e</p>";
        assert!(body.contains(line), "{body}");
    }

    #[test]
    fn ten_thousand_rows_are_one_page() {
        let names: Vec<String> = (0..20).map(|column| format!("column {column}")).collect();
        let columns = names.iter().map(|name| (name.as_str(), Align::Right));
        let mut table = Table::new(columns);
        for row in 0..10_000 {
            let fields = (0..19).map(|column| format!("[{row}.{column}, 1.5]"));
            table.push(fields.chain([code(&format!("{row:012}"))]));
        }
        let markdown = format!("# R\n\n## T\n\n{}", table.render());
        let page = render(&markdown, &BTreeMap::new(), &Cells::of([]));
        assert_eq!(page.matches("<tr>").count(), 10_001);
    }
}

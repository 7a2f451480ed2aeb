//! A page as one HTML file, with its pictures, style and script inside. It asks the network for nothing
//! and works from a file; its policy forbids everything else.

mod body;
mod cells;
mod headings;
mod inline;
mod svg;
mod table;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

pub(crate) use self::cells::Cells;
use self::headings::Headings;
use crate::document::Block;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page; `cells` are the ones whose mentions lead to their rows.
pub(crate) fn render(blocks: &[&Block], cells: &Cells) -> String {
    let headings = Headings::of(blocks, cells.anchors());
    let body = body::of(blocks, &headings, cells);
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
    use crate::document::{Align, Field, Line, Table};

    fn body(blocks: &[Block]) -> String {
        let page = render(&blocks.iter().collect::<Vec<_>>(), &Cells::of([]));
        let (_, body) = page.split_once("tabindex=\"-1\">").unwrap();
        body.to_owned()
    }

    #[test]
    fn folds_hold_blocks_and_html_is_text() {
        let inside = vec![Block::paragraph("text"), Block::list(["</details>"])];
        let body = body(&[
            Block::heading(1, "R"),
            Block::Fold { summary: "A < b".to_owned(), blocks: inside },
            Block::paragraph("x <b>y</b>"),
        ]);
        let fold = "<details class=\"fold\"><summary>A &lt; b</summary>\n<p>text</p>\n<ul>\n<li>\
                    &lt;/details&gt;</li>\n</ul>\n</details>\n";
        assert!(body.contains(fold), "{body}");
        assert!(body.contains("<p>x &lt;b&gt;y&lt;/b&gt;</p>"), "{body}");
    }

    #[test]
    fn links_lead_to_headings_and_files_beside_the_page() {
        let mut table = Table::new([("page", Align::Left)]);
        table.push([Field::File("run/report.html".to_owned())]);
        let line = Line::new().text("see ").link("R").text(".");
        let blocks = [Block::heading(1, "R"), Block::paragraph(line), Block::Table(table)];
        let body = body(&blocks);
        assert!(body.contains("<p>see <a href=\"#r\">R</a>.</p>"), "{body}");
        assert!(body.contains("<a href=\"run/report.html\">run/report.html</a>"), "{body}");
    }

    #[test]
    fn the_first_words_of_a_finding_stand_out() {
        let sentences = vec!["a on b: c".to_owned(), "none".to_owned()];
        let body = body(&[Block::heading(1, "R"), Block::Findings(sentences)]);
        let list = "<ul class=\"findings\">\n<li><strong>a on b:</strong> c</li>\n<li>none</li>\n";
        assert!(body.contains(list), "{body}");
    }

    #[test]
    fn ten_thousand_rows_are_one_page() {
        let names: Vec<String> = (0..20).map(|column| format!("column {column}")).collect();
        let columns = names.iter().map(|name| (name.as_str(), Align::Right));
        let mut table = Table::new(columns);
        for row in 0..10_000 {
            let fields = (0..19).map(|column| Field::number(format!("[{row}.{column}, 1.5]")));
            table.push(fields.chain([Field::cell(&format!("{row:012}"))]));
        }
        let blocks = [Block::heading(1, "R"), Block::heading(2, "T"), Block::Table(table)];
        assert_eq!(body(&blocks).matches("<tr>").count(), 10_001);
    }
}

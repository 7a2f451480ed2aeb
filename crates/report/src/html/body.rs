//! The body of a page, block by block, in sections.

use std::collections::BTreeSet;

use maud::{Markup, PreEscaped, html};

use super::cells::Cells;
use super::headings::Headings;
use super::{inline, svg, table};
use crate::document::{Block, Figure, Line, Table, anchor};

/// Bytes before a colon that still say what a finding is about.
const LONGEST_SUBJECT: usize = 90;

/// A body, and the style rules of its pictures.
pub(super) struct Body {
    pub(super) html: String,
    pub(super) rules: String,
}

/// Writes the body of a page.
pub(super) fn of(blocks: &[&Block], headings: &Headings, cells: &Cells) -> Body {
    let mut writer = Writer {
        headings,
        cells,
        body: Body { html: String::new(), rules: String::new() },
        section: String::new(),
        is_big: false,
        n_titles: 0,
        n_headings: 0,
        n_tables: 0,
        placed: BTreeSet::new(),
    };
    blocks.iter().for_each(|block| writer.block(block));
    writer.end_section();
    writer.body
}

struct Writer<'a> {
    headings: &'a Headings,
    cells: &'a Cells,
    body: Body,
    /// What is not yet written of the current section.
    section: String,
    /// Whether the section is worth a printed page of its own.
    is_big: bool,
    /// Titles and headings so far.
    n_titles: usize,
    n_headings: usize,
    /// Tables below the last heading.
    n_tables: usize,
    /// Cells and pictures whose place is written.
    placed: BTreeSet<String>,
}

impl Writer<'_> {
    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading { level, begins_section, .. } => self.heading(*level, *begins_section),
            Block::Paragraph(line) => self.push(html! { p { (self.line(line)) } }),
            Block::Warning(text) => self.push(html! {
                div.warning role="note" { "\n" p { strong { "WARNING: " (text) } } "\n" }
            }),
            Block::Findings(sentences) => self.push(html! {
                ul.findings { "\n" @for text in sentences { li { (finding(text)) } "\n" } }
            }),
            Block::List(items) => self.push(html! {
                ul { "\n" @for item in items { li { (self.line(item)) } "\n" } }
            }),
            Block::Table(table) => self.table(table),
            Block::Figure(figure) => self.figure(figure),
            Block::Fold { summary, blocks } => {
                let summary = html! { summary { (summary) } }.into_string();
                self.section += &format!("<details class=\"fold\">{summary}\n");
                blocks.iter().for_each(|block| self.block(block));
                self.section += "</details>\n";
            }
        }
    }

    fn line(&self, line: &Line) -> Markup {
        inline::line(line, self.headings, self.n_titles)
    }

    fn heading(&mut self, level: u8, begins_section: bool) {
        if begins_section {
            self.end_section();
        }
        self.n_titles += usize::from(level == 1);
        let heading = self.headings.all.get(self.n_headings);
        self.n_headings += 1;
        self.n_tables = 0;
        let Some(heading) = heading else { return };
        let (id, text) = (html! { (heading.id) }.into_string(), html! { (heading.text) });
        self.section += &format!("<h{level} id=\"{id}\">{}</h{level}>\n", text.into_string());
    }

    fn table(&mut self, own: &Table) {
        self.n_tables += 1;
        let last = self.n_headings.checked_sub(1);
        let heading = last.and_then(|last| self.headings.all.get(last));
        let heading = heading.map_or("report", |heading| heading.text.as_str());
        let name = match self.n_tables {
            1 => format!("Table: {heading}"),
            number => format!("Table {number}: {heading}"),
        };
        self.is_big |= table::is_big(own);
        let table = table::table(own, &name, self.cells, &mut self.placed);
        self.push(table);
    }

    fn figure(&mut self, own: &Figure) {
        let id = self.figure_id(&own.file);
        let inlined = svg::inline(&own.svg, &id);
        self.body.rules += &inlined.rules;
        self.is_big = true;
        let caption = self.line(&own.caption);
        self.push(html! {
            figure id=(id) {
                (PreEscaped(inlined.element))
                figcaption { p { (caption) } "\n" }
            }
        });
    }

    /// The id of the next picture; its capital letter keeps it apart from headings.
    fn figure_id(&mut self, file: &str) -> String {
        let base = format!("Picture-{}", anchor(file.trim_end_matches(".svg")));
        let numbered = (1..).map(|number| format!("{base}-{number}"));
        let mut candidates = [base.clone()].into_iter().chain(numbered);
        candidates.find(|id| self.placed.insert(id.clone())).unwrap_or_default()
    }

    fn push(&mut self, block: Markup) {
        self.section += &block.into_string();
        self.section.push('\n');
    }

    fn end_section(&mut self) {
        let section = std::mem::take(&mut self.section);
        let is_big = std::mem::take(&mut self.is_big);
        if section.is_empty() {
            return;
        }
        let html = &mut self.body.html;
        *html += if is_big { "<section class=\"big\">\n" } else { "<section>\n" };
        *html += &section;
        *html += "</section>\n";
    }
}

/// A finding: what it is about, up to the first colon, stands out.
fn finding(text: &str) -> Markup {
    let colon = text.find(": ").filter(|&colon| colon < LONGEST_SUBJECT);
    let (subject, rest) = match colon {
        Some(colon) => (Some(&text[..=colon]), &text[colon + 1..]),
        None => (None, text),
    };
    html! { @if let Some(subject) = subject { strong { (subject) } } (rest) }
}

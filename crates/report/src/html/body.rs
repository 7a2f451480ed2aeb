//! The body of a page: what the Markdown says, event by event. `pulldown-cmark` writes the elements
//! that are plain; headings, tables, pictures, folds, warnings and cells are written here. Nothing
//! that the Markdown holds as HTML gets through, but the folds that this crate writes itself.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CowStr, Event, Parser, Tag, TagEnd, html::push_html};

use super::blocks::{Fold, fold, is_block, is_warning, only_image};
use super::cells::{self, Cells};
use super::headings::Headings;
use super::table::Table;
use super::{OPTIONS, svg};
use crate::markdown::anchor;

/// Bytes before a colon that still say what a finding is about.
const LONGEST_SUBJECT: usize = 90;

/// What a body is made of besides the Markdown.
pub(super) struct Parts<'a> {
    pub(super) headings: &'a Headings,
    /// Pictures by the names of their files.
    pub(super) pictures: &'a BTreeMap<String, &'a str>,
    pub(super) cells: &'a Cells,
}

/// A body, and the style rules of its pictures.
pub(super) struct Body {
    pub(super) html: String,
    pub(super) rules: String,
}

/// Writes the body of a page.
pub(super) fn of(markdown: &str, parts: &Parts<'_>) -> Body {
    let mut writer = Writer::new(parts);
    Parser::new_ext(markdown, OPTIONS).for_each(|event| writer.event(event));
    writer.end_section();
    Body { html: writer.html, rules: writer.rules }
}

struct Writer<'a, 'b> {
    parts: &'b Parts<'b>,
    html: String,
    rules: String,
    /// What is not yet written of the current section.
    section: Vec<Event<'a>>,
    /// Whether the section is worth a printed page of its own.
    is_big: bool,
    /// Titles and headings so far.
    n_titles: usize,
    n_headings: usize,
    /// Tables below the last heading.
    n_tables: usize,
    /// Whether the last heading of a section is one whose tables are the home of cells.
    is_home: bool,
    /// Cells and pictures whose place is written.
    placed: BTreeSet<String>,
    /// Whether the next list is the one that opens the page.
    opens: bool,
    /// Whether the list that opens the page is open, and in it an item that has no text yet.
    in_findings: bool,
    begins_finding: bool,
    /// Lists and quotes that are open.
    depth: usize,
    n_folds: usize,
    /// For each open link whether it is kept.
    links: Vec<bool>,
    table: Option<Table<'a>>,
    paragraph: Option<Vec<Event<'a>>>,
    /// The lines of an open block of HTML.
    raw: Option<String>,
    /// A picture that waits for its caption.
    picture: Option<(String, Markup)>,
}

impl<'a, 'b> Writer<'a, 'b> {
    fn new(parts: &'b Parts<'b>) -> Self {
        Writer {
            parts,
            html: String::new(),
            rules: String::new(),
            section: Vec::new(),
            is_big: false,
            n_titles: 0,
            n_headings: 0,
            n_tables: 0,
            is_home: false,
            placed: BTreeSet::new(),
            opens: true,
            in_findings: false,
            begins_finding: false,
            depth: 0,
            n_folds: 0,
            links: Vec::new(),
            table: None,
            paragraph: None,
            raw: None,
            picture: None,
        }
    }

    fn event(&mut self, event: Event<'a>) {
        match event {
            Event::Start(Tag::HtmlBlock) => self.raw = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => self.raw_block(),
            Event::Html(text) if self.raw.is_some() => {
                self.raw.get_or_insert_default().push_str(&text);
            }
            Event::Start(Tag::Paragraph) => self.paragraph = Some(Vec::new()),
            Event::End(TagEnd::Paragraph) => self.end_paragraph(),
            event if self.table.is_some() => self.in_table(event),
            event => self.outside(event),
        }
    }

    /// Events that are neither a paragraph's border nor in a table.
    fn outside(&mut self, event: Event<'a>) {
        let begins_block = matches!(event, Event::Start(ref tag) if is_block(tag));
        if begins_block && self.paragraph.is_none() {
            self.end_picture(None);
        }
        match event {
            Event::Start(Tag::Table(alignments)) => self.table = Some(Table::new(alignments)),
            Event::Start(Tag::Heading { level, .. }) => self.begin_heading(level as u8),
            Event::End(TagEnd::Heading(level)) => {
                self.push_html(format!("</h{}>\n", level as u8));
            }
            Event::Start(Tag::List(None)) if self.opens && self.depth == 0 => {
                self.depth += 1;
                self.opens = false;
                self.in_findings = true;
                self.push_html("<ul class=\"findings\">\n".to_owned());
            }
            Event::Start(Tag::Item) if self.in_findings && self.depth == 1 => {
                self.begins_finding = true;
                self.section.push(Event::Start(Tag::Item));
            }
            Event::Text(text) if self.begins_finding => self.begin_finding(&text),
            Event::Start(tag @ (Tag::List(_) | Tag::BlockQuote(_))) => {
                self.depth += 1;
                self.section.push(Event::Start(tag));
            }
            Event::End(tag @ (TagEnd::List(_) | TagEnd::BlockQuote(_))) => {
                self.depth = self.depth.saturating_sub(1);
                self.in_findings &= self.depth > 0;
                self.section.push(Event::End(tag));
            }
            event => {
                // A picture inside a paragraph shows once the paragraph is whole.
                let event = match event {
                    Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image)
                        if self.paragraph.is_some() =>
                    {
                        Some(event)
                    }
                    event => self.inline(event, false),
                };
                match &mut self.paragraph {
                    Some(paragraph) => paragraph.extend(event),
                    None => self.section.extend(event),
                }
            }
        }
    }

    /// The beginning of a finding: what it is about, up to the first colon, stands out.
    fn begin_finding(&mut self, text: &str) {
        self.begins_finding = false;
        let colon = text.find(": ").filter(|&colon| colon < LONGEST_SUBJECT);
        let subject = colon.map(|colon| &text[..=colon]);
        let (subject, rest) = subject.map_or((None, text), |own| (Some(own), &text[own.len()..]));
        let begun = html! { @if let Some(subject) = subject { strong { (subject) } } (rest) };
        let begun = Event::Html(CowStr::from(begun.into_string()));
        self.paragraph.as_mut().unwrap_or(&mut self.section).push(begun);
    }

    fn in_table(&mut self, event: Event<'a>) {
        let last = self.table.as_ref().and_then(Table::last_column);
        let is_home = self.is_home && last == Some(cells::COLUMN);
        let Some(table) = &mut self.table else { return };
        match event {
            Event::Start(Tag::TableHead) => table.begin_row(true),
            Event::Start(Tag::TableRow) => table.begin_row(false),
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => table.end_row(),
            Event::Start(Tag::TableCell) => {}
            Event::End(TagEnd::TableCell) => table.end_field(),
            Event::End(TagEnd::Table) => self.end_table(),
            event => {
                if let Some(event) = self.inline(event, is_home)
                    && let Some(table) = &mut self.table
                {
                    table.push(event);
                }
            }
        }
    }

    fn end_table(&mut self) {
        let Some(table) = self.table.take() else { return };
        self.n_tables += 1;
        let last = self.n_headings.checked_sub(1);
        let heading = last.and_then(|last| self.parts.headings.all.get(last));
        let heading = heading.map_or("report", |heading| heading.text.as_str());
        let name = match self.n_tables {
            1 => format!("Table: {heading}"),
            number => format!("Table {number}: {heading}"),
        };
        self.is_big |= table.is_big();
        self.section.push(table.finish(&name));
    }

    /// What a piece of a line becomes: mentions of cells lead to their rows, links leave the page
    /// for files beside it only, and HTML is text.
    fn inline(&mut self, event: Event<'a>, is_home: bool) -> Option<Event<'a>> {
        let html = |text: String| Some(Event::Html(CowStr::from(text)));
        match event {
            Event::InlineHtml(text) | Event::Html(text) => Some(Event::Text(text)),
            Event::Code(id) => {
                let is_place = is_home && !self.placed.contains(&*id);
                let mention = self.parts.cells.mention(&id, is_place);
                if is_place && mention.is_some() {
                    self.placed.insert(id.to_string());
                }
                match mention {
                    Some(text) => html(text),
                    None => Some(Event::Code(id)),
                }
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                let target = self.target(&dest_url);
                self.links.push(target.is_some());
                html(format!("<a href=\"{}\">", escaped(&target?)))
            }
            Event::End(TagEnd::Link) => {
                self.links.pop()?.then_some(()).and_then(|()| html("</a>".to_owned()))
            }
            // Of an image that is not one of the report's pictures its text is left.
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
            event => Some(event),
        }
    }

    /// Where a link may lead: into this page, or to a file beside it.
    fn target(&self, link: &str) -> Option<String> {
        if let Some(anchor) = link.strip_prefix('#') {
            return Some(format!("#{}", self.parts.headings.resolve(self.n_titles, anchor)));
        }
        let is_file = !link.is_empty() && !link.contains(':') && !link.starts_with(['/', '\\']);
        is_file.then(|| link.to_owned())
    }

    fn begin_heading(&mut self, level: u8) {
        let heading = self.parts.headings.all.get(self.n_headings);
        let is_home = heading.is_some_and(|own| self.parts.cells.are_at_home(&own.text));
        // The table of a model is a section of its own, for paper.
        if level <= 2 || is_home {
            self.end_section();
        }
        if level == 1 {
            self.n_titles += 1;
            self.opens = true;
        }
        self.n_headings += 1;
        self.n_tables = 0;
        let Some(heading) = heading else { return };
        if level <= 3 {
            self.is_home = is_home;
        }
        self.opens &= level == 1;
        self.push_html(format!("<h{level} id=\"{}\">", escaped(&heading.id)));
    }

    fn end_paragraph(&mut self) {
        let Some(events) = self.paragraph.take() else { return };
        if let Some((file, alternative)) = only_image(&events) {
            self.end_picture(None);
            if let Some(svg) = self.parts.pictures.get(file) {
                let id = self.picture_id(file);
                let inlined = svg::inline(svg, &id);
                self.rules += &inlined.rules;
                self.is_big = true;
                self.picture = Some((id, PreEscaped(inlined.element)));
                return;
            }
            let text = html! { p.empty { "[" (alternative) "]" } };
            return self.push_html(text.into_string());
        }
        let paragraph = [Event::Start(Tag::Paragraph)]
            .into_iter()
            .chain(events)
            .chain([Event::End(TagEnd::Paragraph)]);
        if self.picture.is_some() {
            let mut caption = String::new();
            push_html(&mut caption, paragraph);
            self.end_picture(Some(PreEscaped(caption)));
        } else {
            let paragraph: Vec<Event<'a>> = paragraph.collect();
            let is_warning = is_warning(&paragraph);
            if is_warning {
                self.push_html("<div class=\"warning\" role=\"note\">".to_owned());
            }
            self.section.extend(paragraph);
            if is_warning {
                self.push_html("</div>\n".to_owned());
            }
        }
    }

    /// The id of the next picture; its capital letter keeps it apart from headings.
    fn picture_id(&mut self, file: &str) -> String {
        let base = format!("Picture-{}", anchor(file.trim_end_matches(".svg")));
        let numbered = (1..).map(|number| format!("{base}-{number}"));
        let mut candidates = [base.clone()].into_iter().chain(numbered);
        candidates.find(|id| self.placed.insert(id.clone())).unwrap_or_default()
    }

    /// Writes the picture that waits, if there is one.
    fn end_picture(&mut self, caption: Option<Markup>) {
        let Some((id, svg)) = self.picture.take() else { return };
        let figure = html! {
            figure id=(id) {
                (svg)
                @if let Some(caption) = caption { figcaption { (caption) } }
            }
        };
        self.push_html(figure.into_string() + "\n");
    }

    /// A block of HTML: folds of this crate's own making, everything else as text.
    fn raw_block(&mut self) {
        let raw = self.raw.take().unwrap_or_default();
        self.end_picture(None);
        for line in raw.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match fold(line) {
                Some(Fold::Begin(summary)) if self.depth == 0 => {
                    self.n_folds += 1;
                    let summary = html! { summary { (summary) } }.into_string();
                    self.push_html(format!("<details class=\"fold\">{summary}\n"));
                }
                Some(Fold::End) if self.depth == 0 && self.n_folds > 0 => {
                    self.n_folds -= 1;
                    self.push_html("</details>\n".to_owned());
                }
                _ => self.push_html(html! { p { (line) } }.into_string()),
            }
        }
    }

    fn end_section(&mut self) {
        self.end_picture(None);
        let open_folds = std::mem::take(&mut self.n_folds);
        self.push_html("</details>\n".repeat(open_folds));
        let events = std::mem::take(&mut self.section);
        let is_big = std::mem::take(&mut self.is_big);
        if events.iter().all(|event| matches!(event, Event::Html(text) if text.is_empty())) {
            return;
        }
        self.html += if is_big { "<section class=\"big\">\n" } else { "<section>\n" };
        push_html(&mut self.html, events.into_iter());
        self.html += "</section>\n";
    }

    fn push_html(&mut self, text: String) {
        self.section.push(Event::Html(CowStr::from(text)));
    }
}

fn escaped(text: &str) -> String {
    html! { (text) }.into_string()
}

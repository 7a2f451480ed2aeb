//! The HTML page: whole by itself, well-formed, as full as the Markdown, and deaf to what labels and
//! errors say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use plan::{Cell, Policy};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use roxmltree::{Document, Node};
use tables::{FailureRecord, Store};

use crate::fixtures::{
    Results, dense, lambada_cell, pruned, put_failure, put_order, record, text_cell, windows,
};
use crate::observations::put_atlas;
use crate::pictures::write_grid;

/// What would act if anything let it: HTML, a column's end, code, entities, links, lines.
const HOSTILE: &str = "<script>alert('x')</script> | `code` & &amp; &#60; <img src=\"http://x\" \
                       onerror=\"y\"> *bold* [a](javascript:z)\n</details>\n\n## No heading";

/// A page as elements; its one script, which holds `<` and `&`, is left out.
fn elements(page: &str) -> String {
    let (doctype, page) = page.split_once("<html").unwrap();
    assert_eq!(doctype, "<!DOCTYPE html>");
    let (before, rest) = page.split_once("<script>").unwrap();
    let (_, after) = rest.split_once("</script>").unwrap();
    format!("<html{before}{after}")
}

/// The page of the run, after the program wrote it.
fn html(results: &Results) -> String {
    results.page();
    fs::read_to_string(results.path().join("run/report.html")).unwrap()
}

fn named<'a>(page: &'a Document<'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    page.descendants().filter(move |node| node.tag_name().name() == name)
}

fn text(node: Node<'_, '_>) -> String {
    let texts = node.descendants().filter(Node::is_text);
    let words: String = texts.filter_map(|node| node.text()).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The fields of all tables, row by row.
type Tables = Vec<Vec<Vec<String>>>;

fn tables_of_html(page: &Document<'_>) -> Tables {
    let is = |node: &Node<'_, '_>, names: &[&str]| names.contains(&node.tag_name().name());
    let rows = |table: Node<'_, '_>| {
        let rows = table.descendants().filter(|node| is(node, &["tr"]));
        let fields = |row: Node<'_, '_>| {
            row.children().filter(|node| is(node, &["td", "th"])).map(text).collect()
        };
        rows.map(fields).collect()
    };
    named(page, "table").map(rows).collect()
}

fn named_once<'a>(page: &'a Document<'_>, name: &str) -> Node<'a, 'a> {
    page.descendants().find(|node| node.tag_name().name() == name).unwrap()
}

/// The tables as a Markdown viewer sees them.
fn tables_of_markdown(page: &str) -> Tables {
    let mut tables = Tables::new();
    let mut field: Option<String> = None;
    for event in Parser::new_ext(page, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Table(_)) => tables.push(Vec::new()),
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                tables.last_mut().unwrap().push(Vec::new());
            }
            Event::Start(Tag::TableCell) => field = Some(String::new()),
            Event::End(TagEnd::TableCell) => {
                let row = tables.last_mut().unwrap().last_mut().unwrap();
                row.push(field.take().unwrap());
            }
            Event::Text(words) | Event::Code(words) | Event::InlineHtml(words) => {
                field.iter_mut().for_each(|field| field.push_str(&words));
            }
            _ => {}
        }
    }
    tables
}

/// Everything that has to hold of any page.
pub(crate) fn check(page: &str) {
    let text = elements(page);
    let page = Document::parse(&text).unwrap();
    let mut ids = BTreeSet::new();
    for id in page.descendants().filter_map(|node| node.attribute("id")) {
        assert!(ids.insert(id), "the id {id} is there twice");
    }
    for node in page.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        assert!(
            !["img", "link", "iframe", "object", "script"].contains(&name),
            "there is a {name}"
        );
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on"), "{name} has {}", attribute.name());
            let value = attribute.value();
            assert!(attribute.name() != "src", "{name} loads {value}");
            assert!(!value.contains("://") || attribute.name() == "title", "{name}: {value}");
            if let ("href", Some(target)) = (attribute.name(), value.strip_prefix('#')) {
                assert!(ids.contains(target), "a link to {target} leads nowhere");
            }
            if ["aria-labelledby", "aria-describedby"].contains(&attribute.name()) {
                let mut names = value.split_whitespace();
                assert!(names.all(|name| ids.contains(name)), "{name}: {value}");
            }
        }
    }
    let policy = page.descendants().filter_map(|node| node.attribute("content"));
    assert!(policy.into_iter().any(|policy| policy.starts_with("default-src 'none';")));
    for name in ["main", "nav", "header", "h1"] {
        assert_eq!(named(&page, name).count(), 1, "{name}");
    }
    assert_eq!(page.root_element().attribute("lang"), Some("en"));
    let style = named_once(&page, "style").text().unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"), "the style loads something");
}

/// A failed cell whose label and error are hostile.
fn put_hostile(store: &Store, id: &str) {
    let cell = Cell { model: HOSTILE.to_owned(), ..text_cell(pruned(Policy::Dynamic, 0.5)) };
    let failure = FailureRecord {
        id: id.to_owned(),
        cell,
        error: HOSTILE.to_owned(),
        revision: "abc1234".to_owned(),
        code_version: "code-a".to_owned(),
        host: "node7".to_owned(),
        started_at_ms: 1_795_317_484_000,
        seconds: 0.5,
    };
    store.write_failure(&failure).unwrap();
}

/// A run with something in every part of the page.
fn write_everything(results: &Results) {
    write_grid(results, false);
    let store = results.run("run");
    put_atlas(&store, false);
    for (number, model) in ["opt", "swiglu"].into_iter().enumerate() {
        for (step, sparsity) in [0.0, 0.25, 0.5, 0.9].into_iter().enumerate() {
            let treatment = if step == 0 { dense() } else { pruned(Policy::Dynamic, sparsity) };
            let cell = Cell { model: model.to_owned(), ..lambada_cell(treatment) };
            let correct: Vec<bool> = (0..10).map(|item| item % (2 + step + number) != 0).collect();
            let record = record(&format!("d{number}{step}"), cell, "code-a");
            store.write_items(&record, &crate::fixtures::items(&correct)).unwrap();
        }
    }
    // Two dozen rows of one table; one of them of other code, which makes a warning.
    for number in 0..24_u32 {
        let sparsity = f64::from(1 + 2 * number) / 100.0;
        let code = if number == 0 { "code-b" } else { "code-a" };
        let cell = text_cell(pruned(Policy::Dynamic, sparsity));
        let rows = windows(&[0.5 * f64::from(number * number); 4]);
        store.write_windows(&record(&format!("e{number:02}"), cell, code), &rows).unwrap();
    }
    store.write_windows(&record("e99", text_cell(dense()), "code-a"), &windows(&[0.0; 4])).unwrap();
    // More failures than an open table has rows.
    put_hostile(&store, "f000");
    for number in 1..210 {
        let sparsity = f64::from(number) / 1000.0;
        let id = format!("f{number:03}");
        put_failure(&store, &id, pruned(Policy::Static, sparsity), "out of memory at layer 3");
    }
    fs::write(store.folder().join("failures/x.parquet"), "no table").unwrap();
    put_order(&store, &[("00", text_cell(dense())), ("zz", lambada_cell(dense()))]);
}

#[test]
fn the_page_is_whole_and_as_full_as_the_markdown() {
    let results = Results::new();
    write_everything(&results);
    let markdown = results.page();
    let page = html(&results);
    check(&page);
    let text = elements(&page);
    let parsed = Document::parse(&text).unwrap();
    assert_eq!(tables_of_html(&parsed), tables_of_markdown(&markdown));
    let n_pictures = markdown.matches("\n![").count();
    assert!(n_pictures >= 2);
    assert_eq!(named(&parsed, "figure").count(), n_pictures);
    assert_eq!(named(&parsed, "figcaption").count(), n_pictures);
    // Warnings stand before the pictures that open the page, these before the findings, and all before
    // the first heading.
    let opening = [
        "class=\"warning\"",
        "id=\"Picture-static-and-dynamic\"",
        "id=\"Picture-dial\"",
        "class=\"findings\"",
        "<h2",
    ];
    let places = opening.map(|what| page.find(what));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    // The page that `cargo xtask check page` opens in a browser.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&folder).unwrap();
    let out = folder.join("report.md");
    let written = results.report(&["--results", "run", "--out", out.to_str().unwrap()]);
    assert!(written.status.success());
    assert!(folder.join("report.html").is_file());
}

#[test]
fn the_same_tables_give_the_same_page() {
    let (first, second) = (Results::new(), Results::new());
    write_grid(&first, false);
    write_grid(&second, true);
    assert_eq!(html(&first), html(&second));
}

#[test]
fn hostile_text_is_inert() {
    let results = Results::new();
    write_grid(&results, false);
    put_hostile(&results.run("run"), "f0");
    let markdown = results.page();
    let shown = HOSTILE.split_whitespace().collect::<Vec<_>>().join(" ");

    // A Markdown viewer sees the very characters, and nothing that acts.
    let fields: Vec<String> =
        tables_of_markdown(&markdown).into_iter().flatten().flatten().collect();
    assert!(fields.contains(&shown), "{markdown}");
    assert!(fields.iter().any(|field| field.starts_with(&shown) && *field != shown), "no label");
    for event in Parser::new_ext(&markdown, Options::ENABLE_TABLES) {
        assert!(!matches!(event, Event::InlineHtml(_)), "{event:?}");
        if let Event::Html(own) = &event {
            let folds = ["<details>", "</details>", "<summary>"];
            assert!(folds.iter().any(|fold| own.starts_with(fold)), "{own}");
        }
        if let Event::Start(Tag::Link { dest_url, .. }) = event {
            assert!(dest_url.starts_with('#'), "{dest_url}");
        }
    }

    let page = html(&results);
    check(&page);
    let text = elements(&page);
    let parsed = Document::parse(&text).unwrap();
    let failed = tables_of_html(&parsed).pop().unwrap();
    assert_eq!(failed[1][2], shown);
    assert!(failed[1][0].starts_with(&shown), "{failed:?}");
}

#[test]
fn every_mention_of_a_cell_leads_to_its_row() {
    let results = Results::new();
    write_grid(&results, false);
    put_failure(&results.run("run"), "f0", pruned(Policy::Dynamic, 0.25), "no memory");
    let page = html(&results);
    let text = elements(&page);
    let parsed = Document::parse(&text).unwrap();
    let place = |id: &str| parsed.descendants().find(|node| node.attribute("id") == Some(id));
    let cell = place("cell-01").unwrap();
    assert_eq!(cell.text(), Some("01"));
    let title = cell.attribute("title").unwrap();
    assert_eq!(
        title, "hybrid wikitext2 ppl-101 dynamic κ=.9 magnitude cargo xtask explain 01",
        "a blank stands for the line's end in XML"
    );
    let row = cell.ancestors().find(|node| node.tag_name().name() == "tr").unwrap();
    assert!(row.descendants().any(|node| node.text() == Some("dynamic")));
    // A failed cell has no row in these tables.
    assert!(place("cell-f0").is_none());
    assert!(page.contains("<code>f0</code>"));
}

#[test]
fn each_run_of_a_page_has_its_own_links() {
    let results = Results::new();
    write_grid(&results, false);
    let copy = results.path().join("second");
    let copied = std::process::Command::new("cp")
        .args(["-r", "run"])
        .arg(&copy)
        .current_dir(results.path())
        .status();
    assert!(copied.unwrap().success());
    assert!(results.report(&["--results", ".", "--out", "all.md"]).status.success());
    let page = fs::read_to_string(results.path().join("all.html")).unwrap();
    let text = elements(&page);
    let parsed = Document::parse(&text).unwrap();
    let ids: Vec<&str> = parsed.descendants().filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for id in ["more-pictures", "more-pictures-1", "Picture-run-dial", "Picture-second-dial"] {
        assert!(ids.contains(&id), "no {id} in {ids:?}");
    }
    let second = named(&parsed, "figure").last().unwrap();
    let links: Vec<&str> = second.descendants().filter_map(|node| node.attribute("href")).collect();
    assert_eq!(links[0], "#hybrid--wikitext2--ppl-101-1");
}

#[test]
fn html_is_not_written_over_the_markdown() {
    let results = Results::new();
    write_grid(&results, false);
    let output = results.report(&["--results", "run", "--out", "all.html"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("this is the Markdown"));
}

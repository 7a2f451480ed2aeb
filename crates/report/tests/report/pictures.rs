//! The pictures beside the page: written where there is something to show, the same every time,
//! well-formed, and as full as the tables.

use std::collections::BTreeSet;
use std::fs;

use plan::{Cell, Policy, Rule};
use roxmltree::{Document, Node};

use crate::fixtures::{
    Results, dense, pruned, put, put_items, put_of, record, text_cell, windowed, windows,
};

const STATIC_AND_DYNAMIC: &str = "static-and-dynamic.svg";
const DIAL: &str = "dial.svg";
const MODELS: [&str; 4] = ["hybrid", "opt", "opt-l1", "swiglu"];

/// Adds about `nats` to each target, by a tenth more or less from window to window.
fn about(nats: f64) -> [f64; 4] {
    [90.0 * nats, 95.0 * nats, 105.0 * nats, 110.0 * nats]
}

/// Every model dense, static, dynamic and with four windows; each loses more than the one before.
pub(crate) fn write_grid(results: &Results, reversed: bool) {
    let store = results.run("run");
    let mut cells = Vec::new();
    for (number, model) in MODELS.into_iter().enumerate() {
        let loss = 0.01 + 0.4 * number as f64;
        cells.push((model, format!("{number}0"), dense(), 0.0));
        cells.push((model, format!("{number}1"), pruned(Policy::Dynamic, 0.9), loss));
        cells.push((model, format!("{number}2"), pruned(Policy::Static, 0.9), 1.0 + 3.0 * loss));
        cells.push((model, format!("{number}3"), pruned(Policy::Dynamic, 0.5), 0.5 * loss));
        cells.push((model, format!("{number}4"), pruned(Policy::Static, 0.5), 0.3 + loss));
        for (step, window) in [4, 16, 64, 256].into_iter().enumerate() {
            let nats = loss * (2.0 + 0.4 * step as f64);
            let id = format!("{number}{}", 5 + step);
            cells.push((model, id, windowed(window, Rule::WindowMean), nats));
        }
    }
    if reversed {
        cells.reverse();
    }
    for (model, id, treatment, nats) in cells {
        put_of(&store, model, &id, treatment, &about(nats));
    }
}

fn picture(results: &Results, name: &str) -> String {
    fs::read_to_string(results.path().join("run").join(name)).unwrap()
}

/// Elements of the classes.
fn drawn<'a>(svg: &'a Document<'a>, element: &str, classes: &str) -> Vec<Node<'a, 'a>> {
    let nodes = svg.descendants();
    nodes
        .filter(|node| node.has_tag_name(element) && node.attribute("class") == Some(classes))
        .collect()
}

fn child<'a>(svg: &'a Document<'a>, element: &str) -> &'a str {
    let children = svg.root_element().children();
    children.filter(|node| node.has_tag_name(element)).find_map(|node| node.text()).unwrap()
}

/// What every picture has to have, whatever it shows.
fn check(text: &str) {
    let svg = Document::parse(text).unwrap();
    assert!(!child(&svg, "title").is_empty());
    assert!(child(&svg, "desc").contains("opt-l1"), "{}", child(&svg, "desc"));
    assert!(child(&svg, "style").contains("prefers-color-scheme: dark"));
    let background = drawn(&svg, "rect", "paper")[0];
    assert_eq!(background.attribute("width"), svg.root_element().attribute("width"));
    // Every ink was replaced by its class, and every class has its colour on a dark screen.
    assert!(!text.contains("=\"#0000"), "{text}");
    for node in svg.descendants() {
        if let Some(classes) = node.attribute("class") {
            let rule = format!(".{} {{", classes.replace(' ', "."));
            assert!(text.contains(&rule), "no rule for {classes}");
        }
    }
    let words: String = svg.descendants().filter_map(|node| node.text()).collect();
    for expected in MODELS.into_iter().chain(["κ=0.9", "wikitext2", "4 windows, 400 targets"]) {
        assert!(words.contains(expected), "no {expected} in {words}");
    }
}

#[test]
fn static_and_dynamic_has_two_marks_and_whiskers_for_every_model() {
    let results = Results::new();
    write_grid(&results, false);
    let page = results.page();
    let text = picture(&results, STATIC_AND_DYNAMIC);
    check(&text);
    let svg = Document::parse(&text).unwrap();
    for policy in ["dynamic", "static"] {
        // One more in the legend.
        assert_eq!(drawn(&svg, "polygon", policy).len(), MODELS.len() + 1);
        assert_eq!(drawn(&svg, "polyline", policy).len(), MODELS.len());
    }
    // The line at 1, and its place in the legend.
    assert_eq!(drawn(&svg, "polyline", "dense").len(), 2);
    assert!(page.contains("](static-and-dynamic.svg)"), "{page}");
    assert!(page.contains("resamples), at 8 of 8 points."), "{page}");
    assert!(page.contains("[hybrid · wikitext2 · ppl-101](#hybrid--wikitext2--ppl-101)"), "{page}");
    // e^1.03 and e^0.01; the first costs e^1.02 times the second.
    let finding = "With 90.0 % of the neurons dropped (κ=0.9, magnitude), one kept set for the \
                   whole run (static) gives 2.77 times the perplexity of a set for every token \
                   (dynamic): 2.801 against 1.010 × dense.";
    assert!(page.contains(finding), "{page}");
}

#[test]
fn the_dial_has_a_panel_for_every_model() {
    let results = Results::new();
    write_grid(&results, false);
    let page = results.page();
    let text = picture(&results, DIAL);
    check(&text);
    let svg = Document::parse(&text).unwrap();
    let mut dashes = BTreeSet::new();
    // One more of each in the legend, before those of the panels.
    let lines = drawn(&svg, "polyline", "line r0");
    assert_eq!(lines.len(), MODELS.len() + 1);
    for line in &lines[1..] {
        let points = line.attribute("points").unwrap().split_whitespace().count();
        assert_eq!(points, 5, "W = 1, 4, 16, 64, 256");
    }
    assert_eq!(drawn(&svg, "polygon", "mark r0").len(), 5 * MODELS.len() + 1);
    assert_eq!(drawn(&svg, "polyline", "mark r0").len(), 5 * MODELS.len(), "whiskers");
    // The static cut of 90 %, a reference for all windows.
    for reference in ["dense", "reference f1"] {
        let lines = drawn(&svg, "polyline", reference);
        assert_eq!(lines.len(), MODELS.len() + 1);
        assert!(dashes.insert(lines[0].attribute("stroke-dasharray")), "told apart without colour");
    }
    assert!(page.contains("](dial.svg)"), "{page}");
}

#[test]
fn the_same_tables_give_the_same_pictures() {
    let (first, second) = (Results::new(), Results::new());
    write_grid(&first, false);
    write_grid(&second, true);
    first.page();
    second.page();
    for name in [STATIC_AND_DYNAMIC, DIAL] {
        let before = picture(&first, name);
        assert_eq!(before, picture(&second, name));
        first.page();
        assert_eq!(before, picture(&first, name));
    }
}

#[test]
fn without_data_there_is_no_picture_and_the_page_says_why() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &[0.0; 4]);
    // Other sparsities than each other, too few windows for a dial, no perplexity.
    put(&store, "01", pruned(Policy::Dynamic, 0.9), &[50.0; 4]);
    put(&store, "02", pruned(Policy::Static, 0.5), &[50.0; 4]);
    put(&store, "03", windowed(4, Rule::WindowMean), &[50.0; 4]);
    put_items(&store, "10", dense(), &[true, false]);
    let page = results.page();
    for (name, reason) in [
        (STATIC_AND_DYNAMIC, "no model has a static and a dynamic cell of one sparsity"),
        (DIAL, "no model has a dial with score magnitude"),
    ] {
        let stem = name.trim_end_matches(".svg");
        assert!(page.contains(&format!("- `{stem}`: {reason}")), "{page}");
        assert!(!page.contains(&format!("({name})")), "{page}");
        assert!(!results.path().join("run").join(name).exists());
    }
}

#[test]
fn models_and_texts_that_are_left_out_are_named() {
    let results = Results::new();
    write_grid(&results, false);
    let store = results.run("run");
    put_of(&store, "only-half", "a0", dense(), &[0.0; 4]);
    put_of(&store, "only-half", "a1", pruned(Policy::Dynamic, 0.5), &[10.0; 4]);
    put_of(&store, "only-half", "a2", pruned(Policy::Static, 0.5), &[20.0; 4]);
    for (id, treatment) in
        [("b0", dense()), ("b1", pruned(Policy::Dynamic, 0.9)), ("b2", pruned(Policy::Static, 0.9))]
    {
        let cell = Cell { dataset: "zebras".to_owned(), ..text_cell(treatment) };
        store.write_windows(&record(id, cell, "code-a"), &windows(&[10.0; 4])).unwrap();
    }
    let page = results.page();
    // κ=0.5 has more models than κ=0.9: it is the one that is shown.
    assert!(page.contains("Static and dynamic sparsity: wikitext2, ppl-101, κ=0.5,"), "{page}");
    assert!(page.contains("Other texts, not shown: zebras (ppl-101)."));
    assert!(!page.contains("the newest is shown"), "{page}");
    let missing = "Not shown, for want of a dial at κ=0.9: only-half.";
    assert!(page.contains(missing), "{page}");
}

#[test]
fn of_two_calibrations_the_newest_is_shown_and_the_page_says_so() {
    let results = Results::new();
    write_grid(&results, false);
    let mut cell = text_cell(pruned(Policy::Static, 0.9));
    cell.model = "opt".to_owned();
    if let Some(calibration) = &mut cell.calibration {
        calibration.limit = Some(8);
    }
    let mut newer = record("a0", cell, "code-a");
    newer.provenance.started_at_ms += 1000;
    results.run("run").write_windows(&newer, &windows(&[100.0; 4])).unwrap();
    let page = results.page();
    assert_eq!(page.matches("the newest is shown.").count(), 2, "{page}");
    // e¹, and not e^2.23 as in the older cell.
    assert!(picture(&results, STATIC_AND_DYNAMIC).contains("opt: static 2.718,"));
}

#[test]
fn pictures_lie_beside_the_page_and_json_writes_no_file() {
    let results = Results::new();
    write_grid(&results, false);
    put(&results.run("other"), "00", dense(), &[0.0; 4]);
    let files = || {
        let entries = fs::read_dir(results.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<BTreeSet<String>>()
    };
    assert!(results.report(&["--results", "run", "--json"]).status.success());
    let run = results.path().join("run");
    for name in [STATIC_AND_DYNAMIC, DIAL, "report.md", "report.html"] {
        assert!(!run.join(name).exists());
    }
    assert!(results.report(&["--results", "run", "--out", "one.md"]).status.success());
    let expected = ["dial.svg", "one.html", "one.md", "other", "run", "static-and-dynamic.svg"];
    assert!(files().iter().eq(expected), "{:?}", files());
    // Two runs in one page: their pictures need names of their own.
    assert!(results.report(&["--results", ".", "--out", "all.md"]).status.success());
    let page = fs::read_to_string(results.path().join("all.md")).unwrap();
    for name in ["run-dial.svg", "run-static-and-dynamic.svg"] {
        assert!(page.contains(&format!("]({name})")), "{page}");
        assert!(files().contains(name));
    }
}

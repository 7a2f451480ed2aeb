//! A comparison as Markdown: findings, what else differs, the changed cells, what only one run has.

use evidence::Unreadable;
use evidence::pairing::Only;
use judgement::compare::{Change, Compared, Comparison, Matched, Outcome, Sameness};
use judgement::perplexity::BOOTSTRAP;

use crate::format::{count, or_nothing, p_value, points, short, significant};
use crate::markdown::Align::{self, Left, Right};
use crate::markdown::Table;
use crate::sentences::comparison::{differences, findings};

/// The whole page.
pub(crate) fn render(comparison: &Comparison) -> String {
    let (a, b) = (&comparison.origins.a, &comparison.origins.b);
    let mut page = format!("# Comparison: {} (A) and {} (B)\n\n", a.run, b.run);
    page += &list(&findings(comparison));
    page += "\n## What else differs\n\n";
    let mut lines = Vec::new();
    for (name, origin) in [("A", a), ("B", b)] {
        let command = origin.command.as_deref().unwrap_or("unknown");
        let cells = count(origin.n_cells, "finished cell");
        lines.push(format!(
            "{name}: {} in {}, {cells}, made by `{command}`",
            origin.run, origin.folder
        ));
    }
    lines.extend(differences(comparison));
    lines.push(format!("this page: `cargo xtask report --compare {} {}`", a.folder, b.folder));
    page += &list(&lines);
    page += &perplexity_section(comparison);
    page += &accuracy_section(comparison);
    page += &scores_section(comparison);
    page += &refused_section(comparison);
    page += &only_section(&comparison.only.a, "A", "B");
    page += &only_section(&comparison.only.b, "B", "A");
    page += &unreadable_section(&comparison.unreadable.a, "A");
    page += &unreadable_section(&comparison.unreadable.b, "B");
    page
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

const IDS: [(&str, Align); 2] = [("id in A", Left), ("id in B", Left)];

fn ids(matched: &Matched) -> [String; 2] {
    [&matched.cell_ids.a, &matched.cell_ids.b].map(|id| format!("`{}`", short(id)))
}

/// p, Holm, Benjamini–Hochberg.
const TEST: [(&str, Align); 3] = [("p", Right), ("Holm p", Right), ("B–H p", Right)];

fn test(compared: &Compared) -> [String; 3] {
    let p = |value: Option<f64>| or_nothing(value.map(p_value));
    let test = compared.test;
    [
        p(test.map(|test| test.p)),
        p(test.map(|test| test.p_holm)),
        p(test.map(|test| test.p_benjamini_hochberg)),
    ]
}

fn bracket(lower: String, upper: String) -> String {
    format!("[{lower}, {upper}]")
}

/// A section whose rows are the changed cells of one kind; nothing where none changed.
fn section(
    comparison: &Comparison,
    heading: &str,
    columns: &[(&str, Align)],
    fields: impl Fn(&Compared) -> Option<Vec<String>>,
    note: &str,
) -> String {
    let first = [("cell", Left)].into_iter();
    let mut table = Table::new(first.chain(columns.iter().copied()).chain(IDS));
    let mut n_rows = 0;
    for matched in comparison.with(Sameness::Differs) {
        if let Some(fields) = matched.compared().and_then(&fields) {
            let label = [matched.label.clone()].into_iter();
            table.push(label.chain(fields).chain(ids(matched)));
            n_rows += 1;
        }
    }
    match n_rows {
        0 => String::new(),
        _ => format!("\n## {heading}\n\n{}{note}", table.render()),
    }
}

fn perplexity_section(comparison: &Comparison) -> String {
    let own = [
        ("A", Right),
        ("B", Right),
        ("B / A", Right),
        ("95 % interval", Right),
        ("changed windows", Right),
    ];
    let fields = |compared: &Compared| {
        let Change::Perplexity(change) = &compared.change else { return None };
        let perplexity = |value: Option<f64>| or_nothing(value.map(|value| significant(value, 5)));
        let limits = change.lower.zip(change.upper);
        let limits =
            limits.map(|(lower, upper)| bracket(significant(lower, 5), significant(upper, 5)));
        let mut fields = vec![
            perplexity(change.perplexity.a),
            perplexity(change.perplexity.b),
            or_nothing(change.ratio.map(|ratio| significant(ratio, 5))),
            or_nothing(limits),
            format!("{}/{}", change.n_changed, change.n_windows),
        ];
        fields.extend(test(compared));
        Some(fields)
    };
    let note = format!(
        "\nInterval: paired bootstrap over windows, {} resamples, seed {}. Test: sign flips of the \
         windows' differences (all of them up to 16 windows, else {n} drawn, so that no p is below \
         1/{n}), adjusted over all cells that differ.\n",
        BOOTSTRAP.resamples,
        BOOTSTRAP.seed,
        n = comparison.n_permutations
    );
    section(comparison, "Changed perplexities", &[&own[..], &TEST].concat(), fields, &note)
}

fn accuracy_section(comparison: &Comparison) -> String {
    let own = [
        ("A", Right),
        ("B", Right),
        ("Δ points", Right),
        ("95 % (Newcombe)", Right),
        ("only A", Right),
        ("only B", Right),
    ];
    let fields = |compared: &Compared| {
        let Change::Accuracy(change) = &compared.change else { return None };
        let correct = |n: u64| format!("{n}/{}", change.n_items);
        let mut fields = vec![
            correct(change.n_correct.a),
            correct(change.n_correct.b),
            points(change.difference),
            bracket(points(change.lower), points(change.upper)),
            change.only.a.to_string(),
            change.only.b.to_string(),
        ];
        fields.extend(test(compared));
        Some(fields)
    };
    let note = "\nΔ: B minus A on the same items. Test: McNemar's, exact, adjusted over all cells \
                that differ; only A, only B: items that one of the runs alone gets right.\n";
    section(comparison, "Changed accuracies", &[&own[..], &TEST].concat(), fields, note)
}

fn scores_section(comparison: &Comparison) -> String {
    let own = [("changed rows", Right), ("largest", Right)];
    let fields = |compared: &Compared| {
        let Change::Scores(change) = &compared.change else { return None };
        let changed = format!("{}/{}", change.n_changed, change.n_rows);
        Some(vec![changed, significant(change.largest, 3)])
    };
    let note =
        "\nLargest: the largest difference as a share of the largest number of its column.\n";
    section(comparison, "Changed scores", &own, fields, note)
}

fn refused_section(comparison: &Comparison) -> String {
    let mut table = Table::new([("cell", Left), ("why", Left)].into_iter().chain(IDS));
    let mut is_empty = true;
    for matched in &comparison.matched {
        if let Outcome::Refused { reason } = &matched.outcome {
            let first = [matched.label.clone(), reason.clone()].into_iter();
            table.push(first.chain(ids(matched)));
            is_empty = false;
        }
    }
    if is_empty { String::new() } else { format!("\n## Not compared\n\n{}", table.render()) }
}

fn only_section(only: &[Only], own: &str, other: &str) -> String {
    if only.is_empty() {
        return String::new();
    }
    let of_other = format!("in {other}");
    let mut table = Table::new([("cell", Left), ("id", Left), (of_other.as_str(), Left)]);
    for cell in only {
        let id = format!("`{}`", short(&cell.cell_id));
        table.push([cell.label.clone(), id, cell.other.clone()]);
    }
    format!("\n## Only in {own}\n\n{}", table.render())
}

fn unreadable_section(files: &[Unreadable], own: &str) -> String {
    if files.is_empty() {
        return String::new();
    }
    let mut table = Table::new([("file", Left), ("why", Left)]);
    for file in files {
        table.push([file.file.clone(), file.reason.clone()]);
    }
    format!("\n## Unreadable in {own}\n\n{}", table.render())
}

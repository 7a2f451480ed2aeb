//! A comparison as Markdown: findings, what else differs, the changed cells, what only one run has.

use evidence::Unreadable;
use evidence::pairing::Only;
use judgement::compare::{Change, Compared, Comparison, Matched, Outcome, Sameness};
use judgement::perplexity::BOOTSTRAP;

use crate::document::Align::{self, Left, Right};
use crate::document::{Block, Field, Line, Table};
use crate::format::{count, or_nothing, p_value, points, significant};
use crate::sentences::comparison::{differences, findings};

/// The whole page.
pub(crate) fn page(comparison: &Comparison) -> Vec<Block> {
    let (a, b) = (&comparison.origins.a, &comparison.origins.b);
    let mut page = vec![
        Block::heading(1, format!("Comparison: {} (A) and {} (B)", a.run, b.run)),
        Block::Findings(findings(comparison)),
        Block::heading(2, "What else differs"),
    ];
    let mut lines = Vec::new();
    for (name, origin) in [("A", a), ("B", b)] {
        let command = origin.command.as_deref().unwrap_or("unknown");
        let cells = count(origin.n_cells, "finished cell");
        let what = format!("{name}: {} in {}, {cells}, made by ", origin.run, origin.folder);
        lines.push(Line::from(what).code(command));
    }
    lines.extend(differences(comparison).into_iter().map(Line::from));
    let command = format!("cargo xtask report --compare {} {}", a.folder, b.folder);
    lines.push(Line::from("this page: ").code(command));
    page.push(Block::List(lines));
    page.extend(perplexity_section(comparison));
    page.extend(accuracy_section(comparison));
    page.extend(scores_section(comparison));
    page.extend(refused_section(comparison));
    page.extend(only_section(&comparison.only.a, "A", "B"));
    page.extend(only_section(&comparison.only.b, "B", "A"));
    page.extend(unreadable_section(&comparison.unreadable.a, "A"));
    page.extend(unreadable_section(&comparison.unreadable.b, "B"));
    page
}

/// A table below its heading; nothing where it has no rows.
fn below(heading: String, table: Table) -> Vec<Block> {
    match table.n_rows() {
        0 => Vec::new(),
        _ => vec![Block::heading(2, heading), Block::Table(table)],
    }
}

const IDS: [(&str, Align); 2] = [("id in A", Left), ("id in B", Left)];

fn ids(matched: &Matched) -> [Field; 2] {
    [&matched.cell_ids.a, &matched.cell_ids.b].map(|id| Field::cell(id))
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
) -> Vec<Block> {
    let first = [("cell", Left)].into_iter();
    let mut table = Table::new(first.chain(columns.iter().copied()).chain(IDS));
    for matched in comparison.with(Sameness::Differs) {
        if let Some(fields) = matched.compared().and_then(&fields) {
            let label = [Field::text(&matched.label)].into_iter();
            let fields = fields.into_iter().map(Field::Number);
            table.push(label.chain(fields).chain(ids(matched)));
        }
    }
    let mut blocks = below(heading.to_owned(), table);
    if !blocks.is_empty() {
        blocks.push(Block::paragraph(note));
    }
    blocks
}

fn perplexity_section(comparison: &Comparison) -> Vec<Block> {
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
        "Interval: paired bootstrap over windows, {} resamples, seed {}. Test: sign flips of the \
         windows' differences (all of them up to 16 windows, else {n} drawn, so that no p is below \
         1/{n}), adjusted over all cells that differ.",
        BOOTSTRAP.resamples,
        BOOTSTRAP.seed,
        n = comparison.n_permutations
    );
    section(comparison, "Changed perplexities", &[&own[..], &TEST].concat(), fields, &note)
}

fn accuracy_section(comparison: &Comparison) -> Vec<Block> {
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
    let note = "Δ: B minus A on the same items. Test: McNemar's, exact, adjusted over all cells \
                that differ; only A, only B: items that one of the runs alone gets right.";
    section(comparison, "Changed accuracies", &[&own[..], &TEST].concat(), fields, note)
}

fn scores_section(comparison: &Comparison) -> Vec<Block> {
    let own = [("changed rows", Right), ("largest", Right)];
    let fields = |compared: &Compared| {
        let Change::Scores(change) = &compared.change else { return None };
        let changed = format!("{}/{}", change.n_changed, change.n_rows);
        Some(vec![changed, significant(change.largest, 3)])
    };
    let note = "Largest: the largest difference as a share of the largest number of its column.";
    section(comparison, "Changed scores", &own, fields, note)
}

fn refused_section(comparison: &Comparison) -> Vec<Block> {
    let mut table = Table::new([("cell", Left), ("why", Left)].into_iter().chain(IDS));
    for matched in &comparison.matched {
        if let Outcome::Refused { reason } = &matched.outcome {
            let first = [Field::text(&matched.label), Field::text(reason)].into_iter();
            table.push(first.chain(ids(matched)));
        }
    }
    below("Not compared".to_owned(), table)
}

fn only_section(only: &[Only], own: &str, other: &str) -> Vec<Block> {
    let of_other = format!("in {other}");
    let mut table = Table::new([("cell", Left), ("id", Left), (of_other.as_str(), Left)]);
    for cell in only {
        let id = Field::cell(&cell.cell_id);
        table.push([Field::text(&cell.label), id, Field::text(&cell.other)]);
    }
    below(format!("Only in {own}"), table)
}

fn unreadable_section(files: &[Unreadable], own: &str) -> Vec<Block> {
    let mut table = Table::new([("file", Left), ("why", Left)]);
    for file in files {
        table.push([Field::text(&file.file), Field::text(&file.reason)]);
    }
    below(format!("Unreadable in {own}"), table)
}

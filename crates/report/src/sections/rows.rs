//! Every cell, model by model: tables of perplexity, of last words, and dials.

use evidence::{AgainstDense, Row};
use judgement::Remarked;
use judgement::accuracy::{Accuracy, AccuracyTable};
use judgement::dial::Dial;
use judgement::perplexity::{BOOTSTRAP, Perplexity, PerplexityTable};
use plan::{Part, Protocol, shortest_decimal};

use crate::document::Align::{self, Left, Right};
use crate::document::{Block, Field, Line, Table};
use crate::format::{NOTHING, count, or_nothing, p_value, percent, points, rule_name, significant};
use crate::headings::of_table;
use crate::sentences::notes;

/// The first columns of every table: what was done.
const TREATMENT: [(&str, Align); 8] = [
    ("policy", Left),
    ("κ", Right),
    ("W", Right),
    ("rule", Left),
    ("score", Left),
    ("part", Left),
    ("mode", Left),
    ("recalibration", Left),
];

/// The fields of [`TREATMENT`]; the last three are empty, and so not shown, in a table without a state.
fn treatment<M>(row: &Row<M>, has_state: bool) -> Vec<Field> {
    let key = &row.key;
    let rule = key.rule.map(|rule| rule_name(rule, key.prompt_tokens));
    let mut fields = vec![
        key.policy.to_string(),
        shortest_decimal(key.sparsity.get()),
        or_nothing(key.window),
        or_nothing(rule),
        or_nothing(key.score),
    ];
    if has_state {
        let part = (!key.is_dense()).then_some(key.part);
        fields.extend([or_nothing(part), or_nothing(key.mode), or_nothing(key.recalibration)]);
    }
    fields.resize(TREATMENT.len(), String::new());
    fields.into_iter().map(Field::Number).collect()
}

fn has_state<M>(rows: &[Row<M>]) -> bool {
    rows.iter().any(|row| row.key.prunes(Part::State))
}

/// The last columns of every table: shares of what is pruned, speed, notes, and the cell that
/// `cargo xtask explain` takes.
const COMMON: [(&str, Align); 6] = [
    ("kept energy", Right),
    ("natural sparsity", Right),
    ("reached sparsity", Right),
    ("tokens/s", Right),
    ("note", Left),
    ("cell", Left),
];

fn common<M: Remarked>(row: &Row<M>) -> [Field; 6] {
    [
        Field::Number(or_nothing(row.shares.kept_energy.map(percent))),
        Field::Number(or_nothing(row.shares.natural_sparsity.map(percent))),
        Field::Number(percent(row.shares.reached_sparsity)),
        Field::Number(or_nothing(row.tokens_per_second.map(|speed| significant(speed, 3)))),
        Field::Text(notes(row).join("; ")),
        Field::cell(&row.cell_id),
    ]
}

/// A table of rows with their `own` columns, below the heading by which the page refers to it.
fn table<M: Remarked, const N: usize>(
    rows: &[Row<M>],
    own: [(&str, Align); N],
    fields: impl Fn(&M) -> [String; N],
) -> Table {
    let mut table = Table::new(TREATMENT.into_iter().chain(own).chain(COMMON)).home();
    for row in rows {
        let own = fields(&row.measured).map(Field::Number);
        table.push(treatment(row, has_state(rows)).into_iter().chain(own).chain(common(row)));
    }
    table
}

/// What stands in the columns of a comparison when there is none.
fn not_compared<T>(against_dense: &AgainstDense<T>) -> &'static str {
    match against_dense {
        AgainstDense::NoDense => "no dense",
        AgainstDense::Refused { .. } => "refused",
        AgainstDense::Baseline | AgainstDense::Compared(_) => NOTHING,
    }
}

fn bracket(lower: &str, upper: &str) -> String {
    format!("[{lower}, {upper}]")
}

/// The rows of a perplexity table.
pub(super) fn of_perplexity(own: &PerplexityTable) -> [Block; 3] {
    let columns =
        [("perplexity", Right), ("× dense", Right), ("95 % interval", Right), ("windows", Right)];
    let table = table(&own.rows, columns, |measured: &Perplexity| {
        let (ratio, interval) = match &measured.against_dense {
            AgainstDense::Compared(compared) => {
                let limits = compared.lower.zip(compared.upper);
                let limits = limits
                    .map(|(lower, upper)| bracket(&significant(lower, 4), &significant(upper, 4)));
                (significant(compared.ratio, 4), or_nothing(limits))
            }
            AgainstDense::Baseline => ("1".to_owned(), NOTHING.to_owned()),
            other => (not_compared(other).to_owned(), NOTHING.to_owned()),
        };
        let perplexity = or_nothing(measured.perplexity.map(|value| significant(value, 5)));
        [perplexity, ratio, interval, measured.n_windows.to_string()]
    });
    let note = format!(
        "Interval: paired bootstrap over windows, {} resamples, seed {}.",
        BOOTSTRAP.resamples, BOOTSTRAP.seed
    );
    [Block::section(3, of_table(own.subject())), Block::Table(table), Block::paragraph(note)]
}

/// The rows of a table of last words.
pub(super) fn of_accuracy(own: &AccuracyTable) -> [Block; 3] {
    let perplexity = match own.protocol {
        Protocol::LambadaLastToken => "token perplexity",
        _ => "word perplexity",
    };
    let columns = [
        ("correct", Right),
        ("accuracy", Right),
        ("95 % (Wilson)", Right),
        ("Δ points", Right),
        ("95 % (Newcombe)", Right),
        ("McNemar p", Right),
        ("Holm p", Right),
        ("unpaired z p", Right),
        ("Fisher p", Right),
        (perplexity, Right),
    ];
    let table = table(&own.rows, columns, |measured: &Accuracy| {
        let Accuracy { n_correct, n_items, accuracy, lower, upper, .. } = measured;
        let [difference, interval, mcnemar, holm, z, fisher] = match &measured.against_dense {
            AgainstDense::Compared(compared) => [
                points(compared.difference),
                bracket(&points(compared.lower), &points(compared.upper)),
                p_value(compared.mcnemar_p),
                p_value(compared.mcnemar_p_holm),
                p_value(compared.unpaired_z_p),
                p_value(compared.unpaired_fisher_p),
            ],
            other => {
                let mut fields = [NOTHING; 6];
                fields[0] = not_compared(other);
                fields.map(str::to_owned)
            }
        };
        [
            format!("{n_correct}/{n_items}"),
            percent(*accuracy),
            bracket(&percent(*lower), &percent(*upper)),
            difference,
            interval,
            mcnemar,
            holm,
            z,
            fisher,
            or_nothing(measured.word_perplexity.map(|value| significant(value, 5))),
        ]
    });
    let note = "Δ: accuracy minus that of dense on the same items, in percentage points. The test is \
                McNemar's (paired, exact), adjusted by Holm over this table; the unpaired p-values are \
                what was published elsewhere. Detectable: with power 0.8 at level 0.05.";
    [Block::section(3, of_table(own.subject())), Block::Table(table), Block::paragraph(note)]
}

/// A dial, below the rows that it is made of.
pub(super) fn of_dial(dial: &Dial) -> Vec<Block> {
    let windows: Vec<String> = dial.windows.iter().map(|window| format!("W={window}")).collect();
    let first = [("κ", Right), ("rule", Left), ("score", Left), ("mode", Left)];
    let columns = windows.iter().map(|window| (window.as_str(), Right));
    let mut table = Table::new(first.into_iter().chain(columns));
    for row in &dial.rows {
        let ratio = |window: &usize| {
            let value = row.values.iter().find(|value| value.window == *window);
            or_nothing(value.map(|value| significant(value.ratio, 4)))
        };
        let first = [
            shortest_decimal(row.sparsity),
            rule_name(row.rule, row.prompt_tokens),
            row.score.to_string(),
            row.mode.map(|mode| mode.to_string()).unwrap_or_default(),
        ];
        let fields = first.into_iter().chain(dial.windows.iter().map(ratio));
        table.push(fields.map(Field::Number));
    }
    let part = match dial.part {
        Part::Ffn => "",
        Part::State => " of the state",
        Part::Heads => " of heads",
        Part::Kv => " of the cache",
    };
    let about = of_table(dial.subject());
    let heading = Block::heading(4, format!("Dial{part}: perplexity × dense by window, {about}"));
    let mut blocks = vec![heading, Block::Table(table)];
    if dial.windows.contains(&1) {
        let note =
            Line::new().text("W=1 of ").code("window-mean").text(" and ").code("first-token");
        blocks.push(Block::Paragraph(note.text(" is the dynamic policy.")));
    }
    if dial.n_ambiguous > 0 {
        let fields = count(dial.n_ambiguous, "field");
        let note = format!("{fields} could be filled by several cells: the newest is shown.");
        blocks.push(Block::paragraph(note));
    }
    blocks
}

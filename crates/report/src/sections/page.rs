//! A report as Markdown that also reads well in a terminal: pictures first, then what they say, then every
//! number.

use evidence::{AgainstDense, Counted, Origins, Row};
use judgement::accuracy::{Accuracy, AccuracyTable};
use judgement::dial::Dial;
use judgement::perplexity::{BOOTSTRAP, Perplexity, PerplexityTable};
use judgement::{Remarked, Summary};
use plan::{Part, Policy, Protocol, shortest_decimal};

use super::headings::of_table;
use super::{atlas, claims, findings, glance, gradients, quadrants, quadrants_glance, recall};
use crate::format::{
    NOTHING, count, or_nothing, p_value, percent, points, rule_name, short, significant, utc,
};
use crate::markdown::Align::{Left, Right};
use crate::markdown::{Table, anchor, code, plain, sentence};
use crate::pictures::{Content, Picture};
use crate::report::Report;
use crate::sentences::{notes, warning};

/// The pictures that open the page: what each model pays, and how that rises with the window.
const OPENING: [&str; 2] = ["static-and-dynamic", "dial"];

/// The heading of the tables that have a row for every cell.
const CELLS: &str = "Every cell, model by model";

/// The whole page of one run. The files of its pictures have their names, with `prefix` before them.
pub(crate) fn render(report: &Report, pictures: &[Picture], prefix: &str) -> String {
    let summary = &report.summary;
    let mut page = format!("# Report: {}\n\n", plain(&summary.run));
    for own in &summary.warnings {
        page += &format!("**WARNING: {}**\n\n", plain(&warning(own)));
    }
    let (opening, others): (Vec<&Picture>, Vec<&Picture>) =
        pictures.iter().partition(|picture| OPENING.contains(&picture.name));
    let opening = opening.into_iter().filter(|own| matches!(own.content, Content::Drawn { .. }));
    page.extend(opening.map(|picture| picture_section(picture, prefix) + "\n"));
    page += &findings::opening(&report.findings);
    page += &glance::section(&summary.glance);
    page += &quadrants_glance::glance(&summary.quadrants);
    page.extend(summary.claims.iter().map(claims::section));
    page += &findings::all(&report.findings);
    page += &more_pictures(&others, prefix);
    page += &not_drawn(pictures);
    page += "\n## Where the numbers come from\n\n";
    page += &list(&header(summary));
    if !(summary.perplexity_tables.is_empty() && summary.accuracy_tables.is_empty()) {
        page += &format!("\n## {CELLS}\n");
    }
    for table in &summary.perplexity_tables {
        page += &perplexity_section(table);
        let matching = summary.dials.iter().filter(|dial| dial.is_of(table));
        page.extend(matching.map(dial_section));
    }
    for table in &summary.accuracy_tables {
        page += &accuracy_section(table);
    }
    page += &recall::section(&summary.recall);
    page.extend(summary.claims.iter().map(claims::details));
    page += &quadrants::section(&summary.quadrants);
    page += &gradients::section(&summary.gradients);
    page += &atlas::section(&summary.atlas, &report.atlas, prefix);
    page + &failed_section(summary) + &missing_section(summary) + &unreadable_section(summary)
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {}\n", sentence(line))).collect()
}

fn header(summary: &Summary) -> Vec<String> {
    let Origins { revisions, code_versions, versions, hosts, cpus, .. } = &summary.origins;
    let mut lines = vec![
        format!("run: {} in {}", plain(&summary.run), plain(&summary.folder)),
        format!("made by: {}", code(summary.command.as_deref().unwrap_or("unknown"))),
        format!("this page: {}", code(&format!("cargo xtask report --results {}", summary.folder))),
    ];
    for (what, values) in [
        ("revision", revisions),
        ("code version", code_versions),
        ("versions", versions),
        ("host", hosts),
        ("processor", cpus),
    ] {
        if !values.is_empty() {
            lines.push(format!("{what}: {}", plain(&counted(values))));
        }
    }
    let origins = &summary.origins;
    if let (Some(first), Some(last)) = (origins.first_started_at_ms, origins.last_ended_at_ms) {
        let seconds = significant(origins.cell_seconds, 4);
        lines.push(format!("when: {} to {} ({seconds} s in cells)", utc(first), utc(last)));
    }
    lines
}

fn counted(values: &[Counted]) -> String {
    if let [only] = values {
        return only.value.clone();
    }
    let values: Vec<String> = values
        .iter()
        .map(|counted| format!("{} ({})", counted.value, count(counted.n_cells, "cell")))
        .collect();
    values.join(", ")
}

fn picture_section(picture: &Picture, prefix: &str) -> String {
    let Content::Drawn { alternative, caption, tables, numbers, .. } = &picture.content else {
        return String::new();
    };
    let image = link_target(&format!("{prefix}{}.svg", picture.name));
    let text = caption.join(" ");
    let link = |heading: &String| format!("[{}](#{})", plain(heading), anchor(heading));
    let tables: Vec<String> = tables.iter().map(link).collect();
    let tables = match tables.is_empty() {
        true => String::new(),
        false => format!("Its numbers stand in: {}.\n", tables.join(", ")),
    };
    let numbers = numbers.render();
    format!(
        "![{alternative}]({image})\n\n{text}\n{tables}\n\
         <details><summary>The numbers of this picture</summary>\n\n{numbers}\n</details>\n"
    )
}

/// The pictures that do not open the page.
fn more_pictures(pictures: &[&Picture], prefix: &str) -> String {
    let drawn = pictures.iter().filter(|own| matches!(own.content, Content::Drawn { .. }));
    let sections = drawn.map(|picture| format!("\n{}", picture_section(picture, prefix)));
    format!("\n## More pictures\n{}", sections.collect::<String>())
}

/// The pictures that there are not, and why.
fn not_drawn(pictures: &[Picture]) -> String {
    let lines = pictures.iter().filter_map(|picture| match &picture.content {
        Content::Nothing { reason } => Some(format!("`{}`: {reason}.", picture.name)),
        Content::Drawn { .. } => None,
    });
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("\nPictures without data:\n\n{}", list(&lines)),
    }
}

/// A file's name as the target of a link; one with spaces or brackets needs angle brackets.
fn link_target(file: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_.".contains(character);
    if file.chars().all(plain) { file.to_owned() } else { format!("<{file}>") }
}

/// The first columns of every table: what was done.
const TREATMENT: [(&str, crate::markdown::Align); 8] = [
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
fn treatment<M>(row: &Row<M>, has_state: bool) -> Vec<String> {
    let treatment = &row.cell.treatment;
    let rule = treatment.rule.map(|rule| rule_name(rule, treatment.prompt_tokens));
    let mut fields = vec![
        treatment.policy.to_string(),
        shortest_decimal(treatment.sparsity),
        or_nothing(treatment.window),
        or_nothing(rule),
        or_nothing(treatment.score),
    ];
    if has_state {
        let part = (treatment.policy != Policy::Dense).then_some(treatment.part);
        let (mode, recalibration) = (treatment.mode, treatment.recalibration);
        fields.extend([or_nothing(part), or_nothing(mode), or_nothing(recalibration)]);
    }
    fields.resize(TREATMENT.len(), String::new());
    fields
}

fn has_state<M>(rows: &[Row<M>]) -> bool {
    rows.iter().any(|row| row.key.prunes(Part::State))
}

/// The last columns of every table: shares of what is pruned, speed, notes, and the cell that
/// `cargo xtask explain` takes.
const COMMON: [(&str, crate::markdown::Align); 6] = [
    ("kept energy", Right),
    ("natural sparsity", Right),
    ("reached sparsity", Right),
    ("tokens/s", Right),
    ("note", Left),
    ("cell", Left),
];

fn common<M: Remarked>(row: &Row<M>) -> [String; 6] {
    [
        percent(row.shares.kept_energy),
        percent(row.shares.natural_sparsity),
        percent(row.shares.reached_sparsity),
        or_nothing(row.tokens_per_second.map(|speed| significant(speed, 3))),
        plain(&notes(row).join("; ")),
        code(short(&row.cell_id)),
    ]
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

fn perplexity_section(table: &PerplexityTable) -> String {
    let own =
        [("perplexity", Right), ("× dense", Right), ("95 % interval", Right), ("windows", Right)];
    let columns = TREATMENT.into_iter().chain(own).chain(COMMON);
    let mut text = Table::new(columns);
    for row in &table.rows {
        let Perplexity { perplexity, n_windows, against_dense, .. } = &row.measured;
        let (ratio, interval) = match against_dense {
            AgainstDense::Compared(compared) => {
                let limits = compared.lower.zip(compared.upper);
                let limits = limits
                    .map(|(lower, upper)| bracket(&significant(lower, 4), &significant(upper, 4)));
                (significant(compared.ratio, 4), or_nothing(limits))
            }
            AgainstDense::Baseline => ("1".to_owned(), NOTHING.to_owned()),
            other => (not_compared(other).to_owned(), NOTHING.to_owned()),
        };
        let perplexity = or_nothing(perplexity.map(|value| significant(value, 5)));
        let own = [perplexity, ratio, interval, n_windows.to_string()];
        text.push(treatment(row, has_state(&table.rows)).into_iter().chain(own).chain(common(row)));
    }
    format!(
        "\n### {}\n\n{}\nInterval: paired bootstrap over windows, {} resamples, seed {}.\n",
        plain(&of_table(table.subject())),
        text.render(),
        BOOTSTRAP.resamples,
        BOOTSTRAP.seed
    )
}

fn accuracy_section(table: &AccuracyTable) -> String {
    let perplexity = match table.protocol {
        Protocol::LambadaLastToken => "token perplexity",
        _ => "word perplexity",
    };
    let own = [
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
    let columns = TREATMENT.into_iter().chain(own).chain(COMMON);
    let mut text = Table::new(columns);
    for row in &table.rows {
        let Accuracy { n_correct, n_items, accuracy, lower, upper, .. } = &row.measured;
        let difference = match &row.measured.against_dense {
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
        let word_perplexity = row.measured.word_perplexity.map(|value| significant(value, 5));
        let own = [
            format!("{n_correct}/{n_items}"),
            percent(*accuracy),
            bracket(&percent(*lower), &percent(*upper)),
        ];
        let own = own.into_iter().chain(difference).chain([or_nothing(word_perplexity)]);
        text.push(treatment(row, has_state(&table.rows)).into_iter().chain(own).chain(common(row)));
    }
    format!(
        "\n### {}\n\n{}\nΔ: accuracy minus that of dense on the same items, in percentage points. The test \
         is McNemar's (paired, exact), adjusted by Holm over this table; the unpaired p-values \
         are what was published elsewhere. Detectable: with power 0.8 at level 0.05.\n",
        plain(&of_table(table.subject())),
        text.render(),
    )
}

fn dial_section(dial: &Dial) -> String {
    let windows: Vec<String> = dial.windows.iter().map(|window| format!("W={window}")).collect();
    let first = [("κ", Right), ("rule", Left), ("score", Left), ("mode", Left)];
    let columns = windows.iter().map(|window| (window.as_str(), Right));
    let mut text = Table::new(first.into_iter().chain(columns));
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
        text.push(first.into_iter().chain(dial.windows.iter().map(ratio)));
    }
    let mut notes = String::new();
    if dial.windows.contains(&1) {
        notes += "\nW=1 of `window-mean` and `first-token` is the dynamic policy.\n";
    }
    if dial.n_ambiguous > 0 {
        let fields = count(dial.n_ambiguous, "field");
        notes += &format!("\n{fields} could be filled by several cells: the newest is shown.\n");
    }
    let part = if dial.part == Part::State { " of the state" } else { "" };
    format!(
        "\n#### Dial{part}: perplexity × dense by window, {} · {} · {}\n\n{}{notes}",
        plain(&dial.model),
        plain(&dial.dataset),
        dial.protocol,
        text.render()
    )
}

fn failed_section(summary: &Summary) -> String {
    if summary.failed.is_empty() {
        return String::new();
    }
    let columns = [("cell", Left), ("id", Left), ("error", Left), ("host", Left), ("when", Left)];
    let mut text = Table::new(columns);
    for failure in &summary.failed {
        text.push([
            plain(&failure.label),
            code(short(&failure.cell_id)),
            plain(&failure.error),
            plain(&failure.host),
            utc(failure.started_at_ms),
        ]);
    }
    format!("\n## Failed\n\n{}", text.render())
}

fn missing_section(summary: &Summary) -> String {
    if summary.missing.is_empty() {
        return String::new();
    }
    let mut text = Table::new([("cell", Left), ("id", Left), ("why", Left)]);
    for missing in &summary.missing {
        text.push([plain(&missing.label), code(short(&missing.cell_id)), plain(&missing.reason)]);
    }
    format!("\n## Missing\n\n{}", text.render())
}

fn unreadable_section(summary: &Summary) -> String {
    if summary.unreadable.is_empty() {
        return String::new();
    }
    let mut text = Table::new([("file", Left), ("why", Left)]);
    for file in &summary.unreadable {
        text.push([code(&file.file), plain(&file.reason)]);
    }
    format!("\n## Unreadable\n\n{}", text.render())
}

//! The page of one run: pictures first, then what they say, then every number.

use evidence::{Counted, Origins};
use judgement::Summary;

use super::{
    absent, atlas, attention, claims, findings, glance, gradients, layers, pictures, quadrants,
    quadrants_glance, recall, recipes, rows, speed, tasks,
};
use crate::document::{Block, Line};
use crate::format::{count, significant, utc};
use crate::pictures::Picture;
use crate::report::Report;
use crate::sentences::warning;

/// The whole page. The files of its pictures have their names, with `prefix` before them.
pub(crate) fn page(report: &Report, drawn: &[Picture], prefix: &str) -> Vec<Block> {
    let summary = &report.summary;
    let mut page = vec![Block::heading(1, format!("Report: {}", summary.run))];
    page.extend(summary.warnings.iter().map(|own| Block::Warning(warning(own))));
    page.extend(pictures::opening(drawn, prefix));
    page.push(findings::opening(&report.findings));
    page.extend(glance::section(&summary.glance));
    page.extend(quadrants_glance::glance(&summary.quadrants));
    page.extend(summary.claims.iter().flat_map(claims::section));
    page.extend(findings::all(&report.findings));
    page.extend(pictures::others(drawn, prefix));
    page.extend([Block::heading(2, "Where the numbers come from"), Block::List(origins(summary))]);
    if !(summary.perplexity_tables.is_empty() && summary.accuracy_tables.is_empty()) {
        page.push(Block::heading(2, "Every cell, model by model"));
    }
    for table in &summary.perplexity_tables {
        page.extend(rows::of_perplexity(table));
        let matching = summary.dials.iter().filter(|dial| dial.is_of(table));
        page.extend(matching.flat_map(rows::of_dial));
    }
    page.extend(summary.accuracy_tables.iter().flat_map(rows::of_accuracy));
    page.extend(tasks::section(&summary.task_tables));
    page.extend(recall::section(&summary.recall));
    page.extend(summary.claims.iter().flat_map(claims::details));
    page.extend(quadrants::section(&summary.quadrants));
    page.extend(gradients::section(&summary.gradients));
    page.extend(recipes::section(&summary.recipes));
    page.extend(attention::section(summary));
    page.extend(speed::section(&summary.speed));
    page.extend(layers::section(summary));
    page.extend(atlas::section(&summary.atlas, &report.atlas, prefix));
    page.extend(absent::sections(summary));
    page
}

fn origins(summary: &Summary) -> Vec<Line> {
    let Origins { revisions, code_versions, versions, hosts, cpus, .. } = &summary.origins;
    let command = summary.command.as_deref().unwrap_or("unknown");
    let again = format!("cargo xtask report --results {}", summary.folder);
    let mut lines = vec![
        Line::from(format!("run: {} in {}", summary.run, summary.folder)),
        Line::from("made by: ").code(command),
        Line::from("this page: ").code(again),
    ];
    for (what, values) in [
        ("revision", revisions),
        ("code version", code_versions),
        ("versions", versions),
        ("host", hosts),
        ("processor", cpus),
    ] {
        if !values.is_empty() {
            lines.push(Line::from(format!("{what}: {}", counted(values))));
        }
    }
    let origins = &summary.origins;
    if let (Some(first), Some(last)) = (origins.first_started_at_ms, origins.last_ended_at_ms) {
        let seconds = significant(origins.cell_seconds, 4);
        let when = format!("when: {} to {} ({seconds} s in cells)", utc(first), utc(last));
        lines.push(Line::from(when));
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

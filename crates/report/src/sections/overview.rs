//! Several runs together: which there are, and what the sentences of a claims file come to on the tables of
//! all of them. One run may have measured what another one lacks.

use std::collections::BTreeSet;
use std::path::Path;

use judgement::claims::Assessment;

use super::claims;
use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Table};
use crate::format::or_nothing;
use crate::report::Report;
use crate::sentences::of_claims;

/// The page; the runs are in the order of their folders.
pub(crate) fn page(folder: &Path, runs: &[Report], assessment: Option<&Assessment>) -> Vec<Block> {
    let title = format!("Report: {} runs in {}", runs.len(), folder.display());
    let mut page = vec![Block::heading(1, title)];
    let codes: BTreeSet<&str> = runs
        .iter()
        .flat_map(|report| &report.summary.origins.code_versions)
        .map(|counted| counted.value.as_str())
        .collect();
    if codes.len() > 1 {
        page.push(Block::Warning(format!(
            "the runs were computed by {} code versions; cells of different ones are never compared.",
            codes.len()
        )));
    }
    page.extend(assessment.map(|own| Block::Findings(vec![of_claims(own)])));
    page.extend(assessment.into_iter().flat_map(claims::section));
    page.extend([Block::heading(2, "Runs"), Block::Table(runs_table(runs))]);
    page.extend(assessment.into_iter().flat_map(claims::details));
    page
}

fn runs_table(runs: &[Report]) -> Table {
    let columns = [
        ("run", Left),
        ("cells done", Right),
        ("ordered", Right),
        ("failed", Right),
        ("missing", Right),
        ("report", Left),
    ];
    let mut table = Table::new(columns);
    for Report { run, summary, .. } in runs {
        let counts = &summary.counts;
        let folder = run.folder.file_name().map(|name| name.to_string_lossy().into_owned());
        table.push([
            Field::text(&run.name),
            Field::Number(counts.n_done.to_string()),
            Field::Number(or_nothing(counts.n_ordered)),
            Field::Number(counts.n_failed.to_string()),
            Field::Number(counts.n_missing.to_string()),
            Field::File(format!("{}/report.html", folder.unwrap_or_default())),
        ]);
    }
    table
}

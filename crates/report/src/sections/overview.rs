//! Several runs together: which there are, and what the sentences of a claims file come to on the tables of
//! all of them. One run may have measured what another one lacks.

use std::collections::BTreeSet;
use std::path::Path;

use judgement::claims::Assessment;

use super::claims;
use crate::format::or_nothing;
use crate::markdown::Align::{Left, Right};
use crate::markdown::{Table, code, plain, sentence};
use crate::report::Report;
use crate::sentences::of_claims;

/// The page; the runs are in the order of their folders.
pub(crate) fn page(folder: &Path, runs: &[Report], assessment: Option<&Assessment>) -> String {
    let mut page =
        format!("# Report: {} runs in {}\n\n", runs.len(), plain(&folder.display().to_string()));
    let codes: BTreeSet<&str> = runs
        .iter()
        .flat_map(|report| &report.summary.origins.code_versions)
        .map(|counted| counted.value.as_str())
        .collect();
    if codes.len() > 1 {
        page += &format!(
            "**WARNING: the runs were computed by {} code versions; cells of different ones are never \
             compared.**\n\n",
            codes.len()
        );
    }
    page.extend(assessment.into_iter().map(|own| format!("- {}\n", sentence(&of_claims(own)))));
    page.extend(assessment.into_iter().map(claims::section));
    page += &runs_table(runs);
    page.extend(assessment.into_iter().map(claims::details));
    page
}

/// The page of the run in this folder, if its name can stand in a link.
fn link(folder: &str) -> String {
    let page = format!("{folder}/report.html");
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if folder.chars().all(plain) { format!("[{page}]({page})") } else { code(&page) }
}

fn runs_table(runs: &[Report]) -> String {
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
            plain(&run.name),
            counts.n_done.to_string(),
            or_nothing(counts.n_ordered),
            counts.n_failed.to_string(),
            counts.n_missing.to_string(),
            link(&folder.unwrap_or_default()),
        ]);
    }
    format!("\n## Runs\n\n{}", table.render())
}

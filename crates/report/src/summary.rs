//! All that a report says, as values: what `--json` prints and what the page is made of.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Cell, Part};
use serde::Serialize;

use crate::accuracy::{self, AccuracyTable};
use crate::atlas::Atlas;
use crate::claims::{self, Assessment, ClaimsFile};
use crate::dial::{self, Dial};
use crate::findings::{self, Finding};
use crate::format::count;
use crate::glance::{self, Glance};
use crate::gradients::{self, Gradients};
use crate::perplexity::{self, PerplexityTable, Resamples};
use crate::provenance::Origins;
use crate::quadrants::{self, Quadrants};
use crate::read::{CellResult, Failure};
use crate::recall::{self, Recall};
use crate::row::{Group, short};
use crate::run::{Run, Unreadable};

/// A cell that was ordered and has neither results nor a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Missing {
    pub(crate) cell_id: String,
    pub(crate) label: String,
    pub(crate) cell: Cell,
    pub(crate) reason: String,
}

/// How many cells of the last work order are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Cells of the last work order; none where it is unknown.
    pub(crate) n_ordered: Option<usize>,
    pub(crate) n_done: usize,
    pub(crate) n_failed: usize,
    pub(crate) n_missing: usize,
    /// Finished and failed cells that the last work order neither names nor stores on its way.
    pub(crate) n_done_before: usize,
    pub(crate) n_failed_before: usize,
    pub(crate) n_unreadable_files: usize,
    /// Finished cells that may not be compared with any dense one; their rows say why.
    pub(crate) n_refused: usize,
}

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) run: String,
    pub(crate) folder: String,
    /// The command that ordered the run, where it is known.
    pub(crate) command: Option<String>,
    /// Those of the run first, then model by model.
    pub(crate) findings: Vec<Finding>,
    /// Every model at one sparsity, in one line.
    pub(crate) glance: Vec<Glance>,
    /// The sentences of a claims file, judged; none where no such file was given.
    pub(crate) claims: Option<Assessment>,
    pub(crate) warnings: Vec<String>,
    pub(crate) counts: Counts,
    pub(crate) origins: Origins,
    pub(crate) perplexity_tables: Vec<PerplexityTable>,
    pub(crate) dials: Vec<Dial>,
    pub(crate) accuracy_tables: Vec<AccuracyTable>,
    pub(crate) recall: Vec<Recall>,
    pub(crate) quadrants: Vec<Quadrants>,
    pub(crate) gradients: Vec<Gradients>,
    pub(crate) atlas: Atlas,
    pub(crate) failed: Vec<Failure>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Summary {
    pub(crate) fn of(run: &Run, claims_file: Option<&ClaimsFile>) -> Summary {
        let mut warnings = Vec::new();
        let origins = Origins::of(run);
        warnings.extend(mixed_code(&origins));

        let mut perplexity_tables = Vec::new();
        let mut accuracy_tables = Vec::new();
        let resamples = Resamples::of(&run.results);
        let mut recall = Vec::new();
        for ((model, dataset, protocol), group) in groups(&run.results) {
            match recall::of((model, dataset, protocol), &group) {
                Ok(own) => recall.extend(own),
                Err(error) => {
                    warnings.push(format!("no recall for {model} {dataset} {protocol}: {error}"));
                }
            }
            let (model, dataset) = (model.to_owned(), dataset.to_owned());
            if protocol.is_perplexity() {
                let rows = perplexity::rows(&group, &resamples);
                perplexity_tables.push(PerplexityTable { model, dataset, protocol, rows });
            } else {
                match accuracy::rows(&group) {
                    Ok(rows) => {
                        accuracy_tables.push(AccuracyTable { model, dataset, protocol, rows });
                    }
                    Err(error) => {
                        let table = format!("{model} {dataset} {protocol}");
                        warnings.push(format!("no table for {table}: {error}"));
                    }
                }
            }
        }

        let missing = missing(run);
        if run.order.is_none() {
            let damaged = run.unreadable.iter().find(|file| file.file == tables::ORDER);
            let why = damaged.map(|file| format!(" ({})", file.reason)).unwrap_or_default();
            let unknown = "which cells are missing is not known";
            warnings.push(format!("no readable order.json{why}: {unknown}"));
        }
        let n_refused = n_refused(&perplexity_tables, &accuracy_tables);
        let counts = count_cells(run, missing.len(), n_refused);
        let both_dials = |table| Part::ALL.iter().filter_map(move |&part| dial::of(table, part));
        let dials: Vec<Dial> = perplexity_tables.iter().flat_map(both_dials).collect();
        let quadrants = quadrants::of(&perplexity_tables, &accuracy_tables);
        let gradients: Vec<Gradients> =
            perplexity_tables.iter().filter_map(gradients::of).collect();
        let mut findings = findings::of(&perplexity_tables, &dials, &accuracy_tables);
        findings.extend(quadrants::findings(&quadrants));
        findings.extend(gradients::findings(&gradients));
        let atlas = Atlas::of(run);
        findings.extend(atlas.headlines());
        let claims = claims_file.map(|file| claims::assess(file, &[(run, &atlas)])).transpose();
        let claims = claims.unwrap_or_else(|error| {
            warnings.push(format!("no claim was judged: {error}"));
            None
        });
        if let Some(assessment) = &claims {
            findings.push(Finding::of_run(claims::finding(assessment)));
        }
        findings.push(Finding::of_run(findings::cells(&counts)));
        let findings = findings::by_model(findings);
        let glance = glance::of(&perplexity_tables, &accuracy_tables);
        Summary {
            run: run.name.clone(),
            folder: run.folder.display().to_string(),
            command: run.order.as_ref().map(|order| order.provenance.command.clone()),
            findings,
            glance,
            claims,
            warnings,
            counts,
            origins,
            dials,
            perplexity_tables,
            accuracy_tables,
            recall,
            quadrants,
            gradients,
            atlas,
            failed: run.failures.clone(),
            missing,
            unreadable: run.unreadable.clone(),
        }
    }
}

/// Rows of which a comparison with dense was refused.
fn n_refused(perplexity: &[PerplexityTable], accuracy: &[AccuracyTable]) -> usize {
    let perplexity = perplexity.iter().flat_map(|table| &table.rows);
    let accuracy = accuracy.iter().flat_map(|table| &table.rows);
    perplexity.filter(|row| row.measured.against_dense.is_refused()).count()
        + accuracy.filter(|row| row.measured.against_dense.is_refused()).count()
}

/// Cells by model, dataset and protocol.
fn groups(results: &[CellResult]) -> BTreeMap<(&str, &str, plan::Protocol), Group<'_>> {
    let mut groups: BTreeMap<_, Vec<&CellResult>> = BTreeMap::new();
    for result in results {
        let cell = &result.cell;
        let key = (cell.model.as_str(), cell.dataset.as_str(), cell.protocol);
        groups.entry(key).or_default().push(result);
    }
    groups.into_iter().map(|(key, cells)| (key, Group::new(cells))).collect()
}

fn mixed_code(origins: &Origins) -> Option<String> {
    if origins.code_versions.len() < 2 {
        return None;
    }
    let versions: Vec<String> = origins
        .code_versions
        .iter()
        .map(|counted| format!("{} ({})", short(&counted.value), count(counted.n_cells, "cell")))
        .collect();
    Some(format!(
        "CODE VERSIONS DIFFER among cells: {}. Rows are compared within one version only; run the \
         grid again to bring every cell to one version.",
        versions.join(", ")
    ))
}

/// Ordered cells without results and without a failure, in the order's order.
fn missing(run: &Run) -> Vec<Missing> {
    let known: BTreeSet<&str> =
        run.done().chain(run.failures.iter().map(|failure| failure.cell_id.as_str())).collect();
    let damaged = |id: &str| {
        let name = format!("{id}.parquet");
        run.unreadable.iter().any(|file| file.file.ends_with(&name))
    };
    let ordered = run.order.iter().flat_map(|order| &order.cells);
    ordered
        .filter(|ordered| !known.contains(ordered.id.as_str()))
        .map(|ordered| Missing {
            cell_id: ordered.id.clone(),
            label: ordered.cell.label(),
            cell: ordered.cell.clone(),
            reason: if damaged(&ordered.id) { "its file is unreadable" } else { "not run yet" }
                .to_owned(),
        })
        .collect()
}

fn count_cells(run: &Run, n_missing: usize, n_refused: usize) -> Counts {
    let ordered: Option<BTreeSet<&str>> = run
        .order
        .as_ref()
        .map(|order| order.cells.iter().map(|ordered| ordered.id.as_str()).collect());
    let in_order = |id: &str| ordered.as_ref().is_none_or(|ordered| ordered.contains(id));
    let is_before = |id: &str| !in_order(id) && !run.by_products.contains(id);
    let n_done = run.done().filter(|id| in_order(id)).count();
    let n_failed = run.failures.iter().filter(|failure| in_order(&failure.cell_id)).count();
    Counts {
        n_ordered: ordered.as_ref().map(BTreeSet::len),
        n_done,
        n_failed,
        n_missing,
        n_done_before: run.done().filter(|id| is_before(id)).count(),
        n_failed_before: run.failures.len() - n_failed,
        n_unreadable_files: run.unreadable.len(),
        n_refused,
    }
}

//! What `--json` prints: every row in full precision, with the words that the page has for it.

use evidence::absent::Missing;
use evidence::pairing::{Both, Only};
use evidence::{Failure, Origins, Row, Subject, Sweeps, Touches, Unreadable};
use judgement::accuracy::Accuracy;
use judgement::atlas::Atlas;
use judgement::attention::AttentionAtlas;
use judgement::claims::{Assessment, Check, Judged, Verdict};
use judgement::compare::{Comparison, Matched, Origin, Speed};
use judgement::dial::Dial;
use judgement::gradients::Gradients;
use judgement::layers::{Lens, Linearity, StreamDirections};
use judgement::perplexity::Perplexity;
use judgement::quadrants::{Line, Quadrants, Rating};
use judgement::recall::Recall;
use judgement::recipes::Recipes;
use judgement::speed::SideBySide;
use judgement::tasks::TaskTable;
use judgement::{Counts, Glance, Remarked, Table};
use plan::{Part, Predicate, Protocol};
use serde::Serialize;

use crate::report::Report;
use crate::sentences::comparison::{differences, findings};
use crate::sentences::{AtlasSentences, Finding, note_of_check, notes, unequal_at, warning};

/// All runs.
#[derive(Serialize)]
pub(crate) struct Output<'a> {
    runs: Vec<OfRun<'a>>,
    /// The claims judged on all runs together; none of a single run, which has its own.
    claims: Option<OfClaims<'a>>,
    sweeps: &'a Sweeps,
}

impl<'a> Output<'a> {
    pub(crate) fn of(
        reports: &'a [Report],
        claims: Option<&'a Assessment>,
        sweeps: &'a Sweeps,
    ) -> Output<'a> {
        let runs = reports.iter().map(OfRun::of).collect();
        Output { runs, claims: claims.map(OfClaims::of), sweeps }
    }
}

#[derive(Serialize)]
struct OfRun<'a> {
    run: &'a str,
    folder: &'a str,
    command: Option<&'a str>,
    findings: &'a [Finding],
    glance: &'a [Glance],
    claims: Option<OfClaims<'a>>,
    warnings: Vec<String>,
    counts: Counts,
    origins: &'a Origins,
    perplexity_tables: Vec<OfTable<'a, Perplexity>>,
    dials: &'a [Dial],
    accuracy_tables: Vec<OfTable<'a, Accuracy>>,
    task_tables: &'a [TaskTable],
    recall: &'a [Recall],
    quadrants: Vec<OfQuadrants<'a>>,
    gradients: Vec<OfGradients<'a>>,
    recipes: &'a [Recipes],
    attention: &'a [AttentionAtlas],
    linearity: &'a [Linearity],
    directions: &'a [StreamDirections],
    lens: &'a [Lens],
    speed: &'a [SideBySide],
    atlas: OfAtlas<'a>,
    failed: &'a [Failure],
    missing: &'a [Missing],
    unreadable: &'a [Unreadable],
}

impl<'a> OfRun<'a> {
    fn of(report: &'a Report) -> OfRun<'a> {
        let summary = &report.summary;
        OfRun {
            run: &summary.run,
            folder: &summary.folder,
            command: summary.command.as_deref(),
            findings: &report.findings,
            glance: &summary.glance,
            claims: summary.claims.as_ref().map(OfClaims::of),
            warnings: summary.warnings.iter().map(warning).collect(),
            counts: summary.counts,
            origins: &summary.origins,
            perplexity_tables: summary.perplexity_tables.iter().map(OfTable::of).collect(),
            dials: &summary.dials,
            accuracy_tables: summary.accuracy_tables.iter().map(OfTable::of).collect(),
            task_tables: &summary.task_tables,
            recall: &summary.recall,
            quadrants: summary.quadrants.iter().map(OfQuadrants::of).collect(),
            gradients: summary.gradients.iter().map(OfGradients::of).collect(),
            recipes: &summary.recipes,
            attention: &summary.attention,
            linearity: &summary.linearity,
            directions: &summary.directions,
            lens: &summary.lens,
            speed: &summary.speed,
            atlas: OfAtlas { findings: &report.atlas, atlas: &summary.atlas },
            failed: &summary.failed,
            missing: &summary.missing,
            unreadable: &summary.unreadable,
        }
    }
}

#[derive(Serialize)]
struct OfTable<'a, M> {
    model: &'a str,
    dataset: &'a str,
    protocol: Protocol,
    rows: Vec<OfRow<'a, M>>,
}

#[derive(Serialize)]
struct OfRow<'a, M> {
    #[serde(flatten)]
    row: &'a Row<M>,
    notes: Vec<String>,
}

impl<'a, M: Remarked> OfTable<'a, M> {
    fn of(table: &'a Table<M>) -> OfTable<'a, M> {
        let rows = table.rows.iter().map(|row| OfRow { row, notes: notes(row) }).collect();
        let Table { model, dataset, protocol, .. } = table;
        OfTable { model, dataset, protocol: *protocol, rows }
    }
}

#[derive(Serialize)]
struct OfClaims<'a> {
    name: &'a str,
    source: &'a str,
    file: &'a str,
    alpha: f64,
    n_tests: usize,
    claims: Vec<OfClaim<'a>>,
}

#[derive(Serialize)]
struct OfClaim<'a> {
    id: &'a str,
    sentence: &'a str,
    predicate: Predicate,
    verdict: Verdict,
    checks: Vec<OfCheck<'a>>,
}

#[derive(Serialize)]
struct OfCheck<'a> {
    #[serde(flatten)]
    check: &'a Check,
    note: String,
}

impl<'a> OfClaims<'a> {
    fn of(own: &'a Assessment) -> OfClaims<'a> {
        let Assessment { name, source, file, alpha, n_tests, claims } = own;
        let claims = claims.iter().map(OfClaim::of).collect();
        OfClaims { name, source, file, alpha: *alpha, n_tests: *n_tests, claims }
    }
}

impl<'a> OfClaim<'a> {
    fn of(own: &'a Judged) -> OfClaim<'a> {
        let Judged { id, sentence, predicate, verdict, checks } = own;
        let checks = checks.iter().map(|check| OfCheck { check, note: note_of_check(check) });
        let checks = checks.collect();
        OfClaim { id, sentence, predicate: *predicate, verdict: *verdict, checks }
    }
}

#[derive(Serialize)]
struct OfQuadrants<'a> {
    model: &'a str,
    dataset: &'a str,
    protocol: Protocol,
    measure: Rating,
    sparsities: &'a [f64],
    lines: &'a [Line],
    parts: &'a [(Part, Touches)],
    unequal: Vec<String>,
    n_ambiguous: usize,
}

impl<'a> OfQuadrants<'a> {
    fn of(own: &'a Quadrants) -> OfQuadrants<'a> {
        let (model, dataset, protocol): Subject<'_> = own.subject();
        let Quadrants { measure, sparsities, lines, parts, n_ambiguous, .. } = own;
        let unequal = own.unequal.iter().map(unequal_at).collect();
        let (measure, n_ambiguous) = (*measure, *n_ambiguous);
        OfQuadrants {
            model,
            dataset,
            protocol,
            measure,
            sparsities,
            lines,
            parts,
            unequal,
            n_ambiguous,
        }
    }
}

#[derive(Serialize)]
struct OfGradients<'a> {
    #[serde(flatten)]
    gradients: &'a Gradients,
    unequal: Vec<String>,
}

impl<'a> OfGradients<'a> {
    fn of(gradients: &'a Gradients) -> OfGradients<'a> {
        OfGradients { gradients, unequal: gradients.unequal.iter().map(unequal_at).collect() }
    }
}

#[derive(Serialize)]
struct OfAtlas<'a> {
    findings: &'a [AtlasSentences],
    #[serde(flatten)]
    atlas: &'a Atlas,
}

/// Two runs side by side.
#[derive(Serialize)]
pub(crate) struct OfComparison<'a> {
    findings: Vec<String>,
    differences: Vec<String>,
    origins: &'a Both<Origin>,
    speed: &'a Option<Speed>,
    n_permutations: u64,
    matched: &'a [Matched],
    only: &'a Both<Vec<Only>>,
    unreadable: &'a Both<Vec<Unreadable>>,
}

impl<'a> OfComparison<'a> {
    pub(crate) fn of(own: &'a Comparison) -> OfComparison<'a> {
        OfComparison {
            findings: findings(own),
            differences: differences(own),
            origins: &own.origins,
            speed: &own.speed,
            n_permutations: own.n_permutations,
            matched: &own.matched,
            only: &own.only,
            unreadable: &own.unreadable,
        }
    }
}

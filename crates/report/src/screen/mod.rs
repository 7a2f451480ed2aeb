//! The screen at the end of a run: what was run, what matters most, what failed and what to do, where the
//! whole report lies, and how long it took. At most 40 lines of at most 100 columns, as plain text.
//!
//! Each part has a number of lines that it may take at most, and they add up to less than the whole.

mod candidates;
mod failures;
mod layout;
mod measured;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::format::{count, utc};
use crate::report::Report;
use crate::sentences::{cells, of_claims};
use judgement::Summary;
use judgement::claims::{Assessment, Judged, Verdict};
use judgement::notable::{Candidate, choose};
use layout::{Lines, Tone, duration, file_url};

/// Lines that a finding may take where one run has the screen, and where several share it.
const LINES_OF_ONE: usize = 3;
const LINES_OF_SEVERAL: usize = 2;
/// Runs and sentences that have a line of their own.
const RUNS: usize = 6;
const SENTENCES: usize = 6;

/// What the screen says besides the tables.
pub(crate) struct Ending {
    /// The page that was written.
    pub(crate) html: PathBuf,
    /// What lies beside it: `report.md`, `8 pictures`.
    pub(crate) beside: Vec<String>,
    /// Seconds that the caller took for all of it.
    pub(crate) took: Option<f64>,
}

/// The screen of one run.
pub(crate) fn of_run(summary: &Summary, ending: &Ending, has_colours: bool) -> String {
    let mut lines = Lines::default();
    lines.title(&format!("Run {}", summary.run));
    lines.wrap(("  ", "  "), &cells(&summary.counts), 2, Tone::Plain);
    lines.wrap(("  ", "  "), &what(summary), 2, Tone::Plain);
    if let Some(command) = &summary.command {
        lines.cut("  ", &format!("Made by: {command}"), Tone::Plain);
    }
    lines.cut("  ", &took(&[summary], ending.took), Tone::Plain);
    most_important(&mut lines, candidates::of(summary), LINES_OF_ONE);
    if let Some(assessment) = &summary.claims {
        lines.blank();
        lines.wrap(("Claims: ", "  "), &of_claims(assessment), 3, Tone::Plain);
    }
    failures::of_run(&mut lines, summary);
    end(&mut lines, ending);
    lines.render(has_colours)
}

/// The screen of several runs; `assessment` is of the claims on all of them together.
pub(crate) fn of_runs(
    folder: &Path,
    runs: &[Report],
    assessment: Option<&Assessment>,
    ending: &Ending,
    has_colours: bool,
) -> String {
    let mut lines = Lines::default();
    let summaries: Vec<&Summary> = runs.iter().map(|report| &report.summary).collect();
    lines.title(&format!("{} in {}", count(runs.len(), "run"), folder.display()));
    for summary in summaries.iter().take(RUNS) {
        let counts = cells(&summary.counts);
        lines.cut("  ", &format!("{}: {counts}", summary.run), Tone::Plain);
    }
    if let Some(more) = runs.len().checked_sub(RUNS).filter(|more| *more > 0) {
        lines.cut("  ", &format!("and {}", count(more, "more run")), Tone::Plain);
    }
    lines.cut("  ", &took(&summaries, ending.took), Tone::Plain);
    let of_run = |summary: &&Summary| {
        let run = summary.run.clone();
        candidates::of(summary).into_iter().map(move |own| own.map(|text| format!("{run}: {text}")))
    };
    most_important(&mut lines, summaries.iter().flat_map(of_run).collect(), LINES_OF_SEVERAL);
    verdicts(&mut lines, assessment);
    failures::of_runs(&mut lines, &summaries);
    end(&mut lines, ending);
    lines.render(has_colours)
}

/// Which models and texts.
fn what(summary: &Summary) -> String {
    let perplexity = summary.perplexity_tables.iter();
    let perplexity =
        perplexity.map(|own| (&own.model, format!("{} ({})", own.dataset, own.protocol)));
    let accuracy = summary.accuracy_tables.iter();
    let accuracy = accuracy.map(|own| (&own.model, format!("{} ({})", own.dataset, own.protocol)));
    let tasks = summary
        .task_tables
        .iter()
        .flat_map(|own| own.tasks.iter().map(move |task| (&own.model, task.name.clone())));
    // What was stored on the way to static sets was not asked for.
    let observed = summary.atlas.entries.iter().filter(|own| !own.is_by_product);
    let observed = observed.map(|own| (&own.model, format!("{} ({})", own.dataset, own.protocol)));
    let overlaps = summary.atlas.overlaps.iter().map(|own| (&own.model, own.dataset.clone()));
    let all = || perplexity.clone().chain(accuracy.clone()).chain(observed.clone());
    let mut texts: BTreeSet<String> = all().map(|(_, text)| text).collect();
    let names: BTreeSet<String> = tasks.clone().map(|(_, name)| name).collect();
    let models: BTreeSet<&str> =
        all().chain(overlaps.clone()).chain(tasks).map(|(model, _)| model.as_str()).collect();
    if texts.is_empty() {
        texts.extend(overlaps.map(|(_, text)| text));
    }
    if models.is_empty() {
        return "Nothing was measured yet.".to_owned();
    }
    let listed = |thing: &str, n: usize, names: Vec<&str>| {
        format!("{}: {}", count(n, thing), names.join(", "))
    };
    let parts = [
        listed("model", models.len(), models.iter().copied().collect()),
        listed("text", texts.len(), texts.iter().map(String::as_str).collect()),
        listed("task", names.len(), names.iter().map(String::as_str).collect()),
    ];
    let is_there = [true, !texts.is_empty(), !names.is_empty()];
    let parts = parts.into_iter().zip(is_there).filter(|(_, is_there)| *is_there);
    format!("{}.", parts.map(|(part, _)| part).collect::<Vec<_>>().join("; "))
}

/// How long: all cells together, the whole of this time where the caller said it, and when the last cell
/// ended.
fn took(summaries: &[&Summary], took: Option<f64>) -> String {
    let in_cells: f64 = summaries.iter().map(|own| own.origins.cell_seconds).sum();
    let mut text = format!("Took {} in cells", duration(in_cells));
    if let Some(seconds) = took {
        text += &format!(", {} from start to end", duration(seconds));
    }
    let ended = summaries.iter().filter_map(|own| own.origins.last_ended_at_ms).max();
    match ended {
        Some(ended) => format!("{text}; ended {}.", utc(ended)),
        None => format!("{text}."),
    }
}

fn most_important(lines: &mut Lines, candidates: Vec<Candidate<String>>, most: usize) {
    let n_candidates = candidates.len();
    let chosen = choose(candidates);
    lines.blank();
    if chosen.is_empty() {
        return lines.title("Nothing to compare yet");
    }
    let of = match n_candidates > chosen.len() {
        true => format!(", of {n_candidates}"),
        false => String::new(),
    };
    lines.title(&format!("What matters most{of} (× dense: perplexity; 95 % intervals)"));
    for (number, own) in chosen.iter().enumerate() {
        let first = format!("  {}  ", number + 1);
        lines.wrap((&first, "     "), &own.content, most, Tone::Plain);
    }
}

/// The claims on all runs: how many of each verdict, then the sentences themselves.
fn verdicts(lines: &mut Lines, assessment: Option<&Assessment>) {
    let Some(assessment) = assessment else { return };
    lines.blank();
    lines.wrap(("Claims: ", "  "), &of_claims(assessment), 2, Tone::Plain);
    let measured = assessment.claims.iter().filter(|own| own.verdict != Verdict::NotMeasured);
    let mut measured: Vec<&Judged> = measured.collect();
    // What does not hold everywhere first; stable, so that the file's order stays within a verdict.
    measured.sort_by_key(|own| own.verdict);
    let shown = if measured.len() > SENTENCES { SENTENCES - 1 } else { measured.len() };
    for claim in &measured[..shown] {
        let verdict = format!("  {:<10} ", claim.verdict.as_str());
        lines.cut(&verdict, &claim.sentence, Tone::Plain);
    }
    if measured.len() > shown {
        let more = count(measured.len() - shown, "more sentence");
        lines.cut("  ", &format!("and {more}, in the report"), Tone::Plain);
    }
}

/// Where the whole lies. The address is never broken or cut: it could not be opened.
fn end(lines: &mut Lines, ending: &Ending) {
    lines.blank();
    lines.whole(format!("Report: {}", file_url(&ending.html)));
    let beside = format!("Beside it: {}. The whole as text: --full.", ending.beside.join(", "));
    lines.cut("  ", &beside, Tone::Faint);
}

//! An explanation as lines for people.

use std::fmt::Write as _;

use runs::utc;

use crate::explain::again::Again;
use crate::explain::rests::{Relation, Rests};
use crate::explain::since::Since;
use crate::explain::state::State;
use crate::explain::words;
use crate::explain::{About, Explanation};
use crate::workspace::Workspace;

/// Dependent cells that are listed.
const LISTED: usize = 8;
/// Columns that are kept for the values of fields; a longer one pushes its meaning aside.
const WIDEST: usize = 16;
/// Characters of a hash that tell it from others: as many as an id has.
const SHORT: usize = 16;

/// Heading by heading; what a heading says is indented.
pub(crate) fn render(workspace: &Workspace, explanation: &Explanation<'_>) -> String {
    let Explanation { run, id, known, .. } = explanation;
    let folder = workspace.show(run.folder.path());
    let mut text = format!("{id}  {}\nrun {} in {folder}\n", known.label(), run.name);
    if let Some(About { cell, .. }) = &explanation.about {
        section(&mut text, "What it is", [words::sentence(cell)]);
        let fields = words::fields(cell);
        let widths = fields.iter().map(|field| field.value.chars().count());
        let width = widths.max().unwrap_or(0).min(WIDEST);
        for field in &fields {
            let (name, value, meaning) = (field.name, &field.value, field.meaning);
            let _ = writeln!(text, "    {name:<13}  {value:<width$}  {meaning}");
        }
    }
    section(&mut text, "State", state(workspace, explanation));
    if let Some(About { rests, again, .. }) = &explanation.about {
        section(&mut text, "Rests on", rests_on(workspace, rests));
        section(&mut text, "Run again?", run_again(workspace, again));
    }
    if let Some(since) = &explanation.since {
        section(&mut text, "Since then", since_then(since));
    }
    let dependents = &explanation.dependents;
    let mut lines = listed("compared with it", &dependents.compared);
    lines.extend(listed("chosen by its scores", &dependents.scored));
    if lines.is_empty() {
        lines.push("nothing in this run".to_owned());
    }
    section(&mut text, "Depends on it", lines);
    text
}

fn section(text: &mut String, heading: &str, lines: impl IntoIterator<Item = String>) {
    let _ = write!(text, "\n{heading}\n");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

fn state(workspace: &Workspace, explanation: &Explanation<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    match &explanation.state {
        State::Done { file, bytes, shared, origin } => {
            let from = &origin.provenance;
            let (rows, file) = (origin.rows, workspace.show(file));
            lines.push(match shared {
                false => format!("done: {rows} rows, {bytes} bytes in {file}"),
                true => format!("done: {rows} rows in {file}, which holds other cells too"),
            });
            lines.push(format!(
                "made {} on {} ({}, {}) in {:.1} s, {} tokens, at most {} MiB",
                utc(from.started_at_ms),
                from.host,
                from.cpu,
                from.device,
                from.seconds,
                from.tokens,
                from.peak_rss_bytes >> 20
            ));
            lines.push(format!("by {}, revision {}", from.versions, from.revision));
        }
        State::Failed { file, failure } => {
            lines.push(format!("failed: {}", failure.error));
            let (when, host) = (utc(failure.started_at_ms), &failure.host);
            lines.push(format!("begun {when} on {host}, failed after {:.1} s", failure.seconds));
            lines.push(format!("recorded in {}", workspace.show(file)));
        }
        State::Damaged { file, reason } => {
            lines.push(format!("damaged: {reason}"));
            lines.push(format!("the file is {}", workspace.show(file)));
        }
        State::Missing { is_ordered: true, holder: Some(holder) } => {
            lines.push(format!("waiting: it is ordered, and {holder} is at work in the run"));
        }
        State::Missing { is_ordered: true, holder: None } => {
            lines.push("missing: it is ordered and was not run, and nobody is at work".to_owned());
        }
        State::Missing { is_ordered: false, .. } => lines.push("missing".to_owned()),
    }
    lines.extend(explanation.stage.as_ref().map(|stage| match stage.as_str() {
        "test" => "read in the test of a search (docs/advise.md)".to_owned(),
        stage => {
            format!("read in {stage}, whose windows and items the test leaves out (docs/advise.md)")
        }
    }));
    lines.push(match explanation.command() {
        Some(command) if explanation.known.is_ordered => format!("ordered by `{command}`"),
        Some(command) => {
            format!("stored on the way to cells that read it, which `{command}` ordered")
        }
        None => "the run's last order does not name it".to_owned(),
    });
    lines
}

/// `compared with  1a2b3c4d5e6f7081  opt-relu narrative ppl-256 dense (done)`
fn relation(relation: &Relation) -> String {
    let id = relation.id.as_deref().unwrap_or("–");
    format!("{id:<16}  {} ({})", relation.label, relation.state)
}

fn rests_on(workspace: &Workspace, rests: &Rests) -> Vec<String> {
    let mut lines = Vec::new();
    let other = |what: &str, own: &Relation| format!("{what:<16}  {}", relation(own));
    lines.extend(rests.baseline.iter().map(|own| other("compared with", own)));
    lines.extend(rests.scores.iter().map(|own| other("scores of", own)));
    for input in &rests.inputs {
        let path = input.path.as_ref().map(|path| workspace.show(path)).unwrap_or_default();
        let line = format!("{:<16}  {:<16}  {} {path}", input.what, short(&input.hash), input.name);
        lines.push(line.trim_end().to_owned());
    }
    if lines.is_empty() {
        lines.push("not recorded: it is of an earlier order and has no results".to_owned());
    }
    lines
}

/// The beginning of a hash; of how much of a text is read it keeps what is behind the hash.
fn short(hash: &str) -> String {
    match hash.split_once(' ') {
        Some((hash, rest)) => format!("{} {rest}", short(hash)),
        None => hash.chars().take(SHORT).collect(),
    }
}

fn run_again(workspace: &Workspace, again: &Again) -> Vec<String> {
    let verdict = match again.would_run {
        Some(true) => "yes",
        Some(false) => "no",
        None => "that cannot be said",
    };
    let mut lines = vec![format!("{verdict}: {}", again.reasons.join("; "))];
    for changed in &again.changes {
        let (then, now) = (short(&changed.then), short(&changed.now));
        lines.push(format!("{:<16}  {then} then, {now} now", changed.what));
    }
    if let Some(pipeline) = &again.pipeline {
        lines.push(format!("the pipeline is {}", workspace.show(pipeline)));
    }
    lines
}

fn since_then(since: &Since) -> Vec<String> {
    let (then, now) = (&since.code_version_then, &since.code_version_now);
    let mut lines = vec![match since.has_same_code() {
        true => format!("the code that computes is the same: version {then}"),
        false => format!("the code that computes has changed: version {then} then, {now} now"),
    }];
    lines.push(format!("revision {} then, {} now", since.revision_then, since.revision_now));
    if since.was_dirty() && !since.has_same_code() {
        lines.push("then with changes that are in no commit, which git does not know".to_owned());
    }
    match &since.commits {
        None => lines.push("git cannot say which commits lie between".to_owned()),
        Some(commits) => {
            let (n, shown) = (commits.n, commits.newest.len());
            let commits_since = if n == 1 { "1 commit".to_owned() } else { format!("{n} commits") };
            let some = if shown < n { format!(", the newest {shown}:") } else { String::new() };
            lines.push(format!("{commits_since} since in what computes{some}"));
            lines.extend(commits.newest.iter().map(|commit| format!("  {commit}")));
        }
    }
    if !since.uncommitted.is_empty() {
        let files = since.uncommitted.join(", ");
        lines.push(format!("changed here and not committed: {files}"));
    }
    lines
}

fn listed(what: &str, relations: &[Relation]) -> Vec<String> {
    let n = relations.len();
    if n == 0 {
        return Vec::new();
    }
    let cells = if n == 1 { "1 cell is".to_owned() } else { format!("{n} cells are") };
    let mut lines = vec![format!("{cells} {what}")];
    lines.extend(relations.iter().take(LISTED).map(|own| format!("  {}", relation(own))));
    if n > LISTED {
        lines.push(format!("  … and {} more", n - LISTED));
    }
    lines
}

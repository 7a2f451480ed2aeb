//! What failed, is missing or cannot be read, and what to do.

use evidence::Failure;
use judgement::{Counts, Summary};

use super::layout::{Lines, Tone};
use crate::format::{count, short};
use crate::sentences::warning as words_of;

/// Runs that have a line of their own.
const RUNS: usize = 2;

/// A sentence, the lines that it may take, and how it stands out.
type Message = (String, usize, Tone);

/// Of one run: seven lines at most below a heading.
pub(super) fn of_run(lines: &mut Lines, summary: &Summary) {
    let again = again(summary);
    let mut messages: Vec<Message> = warning(summary).into_iter().collect();
    messages.extend(errors(&summary.failed));
    if let Some(open) = left_open(&summary.counts) {
        let one = summary.failed.first().map(|own| short(&own.cell_id));
        let one = one.map(|id| format!("; `cargo xtask explain {id}` says what a cell is made of"));
        let text = format!("{open}: `{again}` tries only these again{}.", one.unwrap_or_default());
        messages.push((text, 2, Tone::Plain));
    }
    if let Some(first) = summary.unreadable.first() {
        let n = count(summary.unreadable.len(), "unreadable file");
        let text = format!(
            "{n}: remove what is damaged, then `{again}`; {}: {}",
            first.file, first.reason
        );
        messages.push((text, 1, Tone::Bad));
    } else if summary.counts.n_refused > 0 {
        let rows = count(summary.counts.n_refused, "row");
        let text = format!("{rows} not compared with dense: their notes in the report say why.");
        messages.push((text, 1, Tone::Plain));
    }
    write(lines, &messages);
}

fn warning(summary: &Summary) -> Option<Message> {
    let first = summary.warnings.first()?;
    let more = match summary.warnings.len() - 1 {
        0 => String::new(),
        more => format!("{} in the report; ", count(more, "more warning")),
    };
    Some((format!("{more}{}", words_of(first)), 1, Tone::Bad))
}

/// The error of most cells, and the second one or how many more there are.
fn errors(failures: &[Failure]) -> Vec<Message> {
    let errors = by_error(failures);
    let say = |(error, cells): &(&str, Vec<&Failure>)| {
        let first = cells[0];
        let what = match cells.len() {
            1 => first.label.clone(),
            n => format!("{} (first {})", count(n, "cell"), first.label),
        };
        format!("{what}: {error} [{}]", short(&first.cell_id))
    };
    match errors.as_slice() {
        [] => Vec::new(),
        [only] => vec![(say(only), 3, Tone::Bad)],
        [first, second] => vec![(say(first), 2, Tone::Bad), (say(second), 1, Tone::Bad)],
        [first, rest @ ..] => {
            let n_cells = rest.iter().map(|(_, cells)| cells.len()).sum();
            let (kinds, cells) = (count(rest.len(), "other error"), count(n_cells, "cell"));
            let rest = format!("{kinds} of {cells}: under Failed in the report.");
            vec![(say(first), 2, Tone::Bad), (rest, 1, Tone::Bad)]
        }
    }
}

/// Of several runs: three lines at most below a heading.
pub(super) fn of_runs(lines: &mut Lines, summaries: &[&Summary]) {
    let problem = |summary: &&Summary| {
        let unreadable = summary.unreadable.len();
        let unreadable = (unreadable > 0).then(|| count(unreadable, "unreadable file"));
        let all: Vec<String> = left_open(&summary.counts).into_iter().chain(unreadable).collect();
        let what = (!all.is_empty()).then(|| all.join(", "))?;
        Some((format!("{}: {what}: `{}`", summary.run, again(summary)), 1, Tone::Bad))
    };
    let mut messages: Vec<Message> = summaries.iter().filter_map(problem).collect();
    if messages.len() > RUNS + 1 {
        let more = count(messages.len() - RUNS, "more run");
        messages.truncate(RUNS);
        messages.push((format!("and {more}: each has a report of its own."), 1, Tone::Bad));
    }
    write(lines, &messages);
}

fn write(lines: &mut Lines, messages: &[Message]) {
    if messages.is_empty() {
        return;
    }
    lines.blank();
    lines.title("What failed or is left, and what to do");
    for (text, most, tone) in messages {
        lines.wrap(("  ", "    "), text, *most, *tone);
    }
}

/// `2 failed, 3 not run`; nothing where all is done.
fn left_open(counts: &Counts) -> Option<String> {
    let parts = [(counts.n_failed, "failed"), (counts.n_missing, "not run")];
    let open = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, how)| format!("{n} {how}"));
    let open: Vec<String> = open.collect();
    (!open.is_empty()).then(|| open.join(", "))
}

/// The command that made the run, which computes only what is not done; of the whole grid, since what a
/// filter or a share left out is not run either.
fn again(summary: &Summary) -> String {
    let command = summary.command.as_deref().unwrap_or("cargo xtask run-grid");
    of_the_whole(command)
}

/// A command line without `--filter`, `--shard` and their values.
fn of_the_whole(command: &str) -> String {
    let mut words = command.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word {
            // A value in quotes goes on to the word that closes them.
            "--filter" | "--shard" => {
                let value = words.next().unwrap_or_default();
                if value.starts_with('\'') && !(value.len() > 1 && value.ends_with('\'')) {
                    words.by_ref().find(|word| word.ends_with('\''));
                }
            }
            _ if word.starts_with("--filter=") || word.starts_with("--shard=") => {}
            _ => kept.push(word),
        }
    }
    kept.join(" ")
}

/// The failures by what they say, the most frequent first.
fn by_error(failures: &[Failure]) -> Vec<(&str, Vec<&Failure>)> {
    let mut errors: Vec<(&str, Vec<&Failure>)> = Vec::new();
    for failure in failures {
        match errors.iter_mut().find(|(error, _)| *error == failure.error) {
            Some((_, cells)) => cells.push(failure),
            None => errors.push((&failure.error, vec![failure])),
        }
    }
    // Stable: errors of as many cells stay in the order of their labels.
    errors.sort_by_key(|(_, cells)| std::cmp::Reverse(cells.len()));
    errors
}

#[cfg(test)]
mod tests {
    use super::of_the_whole;

    #[test]
    fn filter_and_share_are_left_out_with_their_values() {
        let whole = "cargo xtask run-grid atlas.toml --no-report";
        for filter in [
            "--filter model=zamba2",
            "--filter=model=zamba2",
            "--filter 'a = b, c'",
            "--shard 3/16",
            "--shard=3/16 --filter model=zamba2",
        ] {
            let command = format!("cargo xtask run-grid atlas.toml {filter} --no-report");
            assert_eq!(of_the_whole(&command), whole, "{filter}");
        }
        assert_eq!(of_the_whole(whole), whole);
    }
}

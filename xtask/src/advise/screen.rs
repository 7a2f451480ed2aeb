//! One screen of an answer.

use std::fmt::Write as _;

use plan::{AdviceNumber, AdviceSize, Smallest};

use super::answer::{Answer, Kept, Nearest, Tested};

/// The whole of it.
pub(super) fn of(answer: &Answer) -> String {
    let mut text = String::new();
    let keeps: Vec<&str> = answer.keeps.iter().map(|own| own.condition.as_str()).collect();
    let _ = writeln!(
        text,
        "{}: {} recipes searched for the least {}\nkeep: {}",
        answer.model,
        answer.n_recipes,
        words(answer.smallest),
        keeps.join("; ")
    );
    if !answer.tested.is_empty() {
        text.push('\n');
        text.push_str(&table(answer));
    }
    let behind = answer.left_behind.len();
    if behind > 0 {
        let _ =
            writeln!(text, "{behind} recipes were left behind in the search: --json lists them");
    }
    if let Some(first) = answer.failed.first() {
        let n = answer.failed.len();
        let _ =
            writeln!(text, "{n} could not be measured, the first `{}`: {}", first.label, first.why);
    }
    text.push('\n');
    text.push_str(&verdict(answer));
    text
}

fn words(smallest: Smallest) -> &'static str {
    match smallest {
        Smallest::Bytes => "bytes",
        Smallest::Parameters => "parameters",
        Smallest::DecodeSeconds => "seconds a decoded token",
    }
}

/// The recipes that were tested, with limits of 90 %: one-sided ones of 95 % on both sides.
fn table(answer: &Answer) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let head = |kept: &Kept| {
        let what = if kept.is_ratio() { "× dense" } else { "points" };
        format!("{}, {what}", kept.dataset)
    };
    let mut first = vec!["tested, the safest first".to_owned(), "size".to_owned()];
    first.extend(answer.keeps.iter().map(head));
    first.push("verdict".to_owned());
    rows.push(first);
    for own in &answer.tested {
        let mut row = vec![own.label.clone(), size(own.size, answer)];
        let numbers = own.keeps.iter().zip(&answer.keeps);
        row.extend(numbers.map(|(number, kept)| shown(number, kept)));
        row.resize(2 + answer.keeps.len(), "–".to_owned());
        row.push(of_test(own));
        rows.push(row);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    let seen = answer.keeps.iter().map(|own| {
        let (n, from, unit) = (own.test_units, own.test_from, own.unit());
        let short = match n < own.asked_units as u64 {
            true => " (the text has no more)",
            false => "",
        };
        format!("{n} {unit} of {} behind the first {from}{short}", own.dataset)
    });
    let seen: Vec<String> = seen.collect();
    let _ = writeln!(text, "on {}; intervals of 90 %, one-sided 95 % either way", seen.join(", "));
    text
}

fn size(size: Option<AdviceSize>, answer: &Answer) -> String {
    let Some(own) = size else { return "–".to_owned() };
    let share = |own: f64, dense: f64| format!("{:.1} %", 100.0 * own / dense);
    match answer.smallest {
        Smallest::Bytes => share(own.stored_bytes as f64, answer.dense.stored_bytes as f64),
        Smallest::Parameters => share(own.parameters as f64, answer.dense.parameters as f64),
        Smallest::DecodeSeconds => match (own.decode_seconds, answer.dense.decode_seconds) {
            (Some(own), Some(dense)) => share(own, dense),
            _ => "–".to_owned(),
        },
    }
}

fn shown(number: &AdviceNumber, kept: &Kept) -> String {
    let AdviceNumber { estimate, lower, upper, .. } = number;
    match kept.is_ratio() {
        true => format!("{estimate:.4} ({lower:.4} to {upper:.4})"),
        false => {
            let [estimate, lower, upper] = [estimate, lower, upper].map(|own| 100.0 * own);
            format!("{estimate:+.1} ({lower:+.1} to {upper:+.1})")
        }
    }
}

fn of_test(own: &Tested) -> String {
    match (&own.failed, own.shown) {
        (Some(_), _) => "not measured".to_owned(),
        (None, true) => "equivalent".to_owned(),
        (None, false) => "not shown".to_owned(),
    }
}

fn verdict(answer: &Answer) -> String {
    if let Some(advice) = &answer.advice {
        let size = advice.size.map(|own| absolute(own, answer.smallest)).unwrap_or_default();
        let whole = absolute(answer.dense, answer.smallest);
        let note = advice.note.map(|note| format!("{note}\n")).unwrap_or_default();
        return format!(
            "advice: {}, {size} of {whole}; it keeps what was asked for, at 95 %\nwrite it with\n  {}\n{note}",
            advice.label, advice.command
        );
    }
    let mut text =
        "no recipe of the space is shown to keep what was asked for, at 95 %\n".to_owned();
    match &answer.nearest {
        Some(nearest) => text.push_str(&needed(nearest, &answer.keeps)),
        None => text.push_str(
            "nothing came to the test: no recipe that this model takes is smaller than dense\n",
        ),
    }
    text
}

fn needed(nearest: &Nearest, keeps: &[Kept]) -> String {
    let one = |(needed, kept): (&Option<u64>, &Kept)| {
        let (unit, had) = (kept.unit(), kept.test_units);
        match needed {
            Some(n) => format!("some {n} {unit} of {} (it had {had})", kept.dataset),
            None => format!("no number of {unit} of {}: it is beyond the margin", kept.dataset),
        }
    };
    let all: Vec<String> = nearest.needed.iter().zip(keeps).map(one).collect();
    format!(
        "the nearest is {}; to show it with a chance of 80 %, were it as it looks, the test takes {}\n",
        nearest.label,
        all.join(", and ")
    )
}

fn absolute(size: AdviceSize, smallest: Smallest) -> String {
    match smallest {
        Smallest::Bytes => format!("{:.3} MB", size.stored_bytes as f64 / 1e6),
        Smallest::Parameters => format!("{:.3} M parameters", size.parameters as f64 / 1e6),
        Smallest::DecodeSeconds => {
            let seconds = size.decode_seconds.map(|own| format!("{:.3} ms a token", 1e3 * own));
            seconds.unwrap_or_default()
        }
    }
}

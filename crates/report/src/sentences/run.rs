//! What is told of a whole run: how many cells are where, and what a reader is warned of.

use judgement::{Counts, Warning};

use crate::format::{count, short};

/// How many cells are done, failed and missing.
pub(crate) fn cells(counts: &Counts) -> String {
    let mut parts = vec![format!("{} done", counts.n_done)];
    parts.push(format!("{} failed", counts.n_failed));
    let ordered = match counts.n_ordered {
        Some(ordered) => {
            parts.push(format!("{} missing", counts.n_missing));
            format!("Of {} ordered: ", count(ordered, "cell"))
        }
        None => "Cells: ".to_owned(),
    };
    let mut sentence = format!("{ordered}{}", parts.join(", "));
    if counts.n_done_before + counts.n_failed_before > 0 {
        let (done, failed) = (counts.n_done_before, counts.n_failed_before);
        sentence += &format!("; of earlier orders {done} done, {failed} failed");
    }
    if counts.n_unreadable_files > 0 {
        sentence += &format!("; {} unreadable", count(counts.n_unreadable_files, "file"));
    }
    if counts.n_refused > 0 {
        sentence += &format!("; {} not compared with dense, as the rows say", counts.n_refused);
    }
    sentence + "."
}

/// A warning.
pub(crate) fn warning(own: &Warning) -> String {
    match own {
        Warning::MixedCode(versions) => {
            let versions = versions
                .iter()
                .map(|own| format!("{} ({})", short(&own.value), count(own.n_cells, "cell")));
            format!(
                "CODE VERSIONS DIFFER among cells: {}. Rows are compared within one version only; run \
                 the grid again to bring every cell to one version.",
                versions.collect::<Vec<_>>().join(", ")
            )
        }
        Warning::NoRecall(table, error) => format!("no recall for {table}: {error}"),
        Warning::NoTable(table, error) => format!("no table for {table}: {error}"),
        Warning::NoOrder(why) => {
            let why = why.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("no readable order.json{why}: which cells are missing is not known")
        }
        Warning::NoClaims(error) => format!("no claim was judged: {error}"),
        Warning::Search(command) => {
            let command = command.as_deref().unwrap_or("cargo xtask advise");
            // The screen has room for the first line.
            format!(
                "a search: findings are of text that chose the recipes; what its test shows is said by \
                 `{command}`. Rows of the test are those farthest from the beginning of each text"
            )
        }
    }
}

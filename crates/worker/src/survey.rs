//! `worker survey` and `worker about`: what lies in a results folder, for programs that read no Parquet.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use runs::{Survey, Table};
use tables::{Store, about_file, read_cell};

use crate::{Outcome, fail::Fail};

/// Prints a [`runs::SurveyAnswer`]: every file with a final name, and with `with_cells` the cell of each.
pub(crate) fn survey(results: &Path, with_cells: bool) -> Outcome {
    let survey = Store::open_read_only(results)
        .and_then(|store| store.survey())
        .map_err(|error| Fail::Results(error.into()))?;
    let cells = if with_cells { cells_of(&survey) } else { BTreeMap::new() };
    print(&runs::SurveyAnswer { survey, cells })
}

/// Prints a [`runs::FileAbout`].
pub(crate) fn about(file: &Path, table: Table) -> Outcome {
    print(&about_file(file, table))
}

/// The cells of complete files by id; a file that names none is left out.
fn cells_of(survey: &Survey) -> BTreeMap<String, plan::Cell> {
    let cells = survey.files.iter().filter_map(|file| {
        let cell = read_cell(&file.path).ok()?;
        Some((file.id.clone(), cell))
    });
    cells.collect()
}

fn print(answer: &impl serde::Serialize) -> Outcome {
    let text = serde_json::to_string(answer).map_err(|error| Fail::Results(error.into()))?;
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Fail::Results(error.into()))?;
    Ok(plan::exit::DONE)
}

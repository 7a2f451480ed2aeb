//! `worker survey` and `worker about`: what lies in a results folder, for programs that read no Parquet.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
};

use runs::{Standing, Survey, Table};
use tables::{Store, about_file, read_cell, read_cells};

use crate::{Outcome, fail::Fail};

/// Prints a [`runs::SurveyAnswer`]: every cell with complete rows, and with `with_cells` what each is.
pub(crate) fn survey(results: &Path, with_cells: bool) -> Outcome {
    let survey = look(results)?;
    let cells = if with_cells { cells_of(&survey) } else { BTreeMap::new() };
    print(&runs::SurveyAnswer { survey, cells })
}

/// Prints a [`runs::Standing`]: which cells are done and which failed.
pub(crate) fn standing(results: &Path) -> Outcome {
    print(&Standing::from(look(results)?))
}

fn look(results: &Path) -> Result<Survey, Fail> {
    let survey = Store::open_read_only(results).and_then(|store| store.survey());
    survey.map_err(|error| Fail::Results(error.into()))
}

/// Prints a [`runs::FileAbout`], of one cell where the file holds many.
pub(crate) fn about(file: &Path, table: Table, id: Option<&str>) -> Outcome {
    let Some(id) = id else { return print(&about_file(file, table)) };
    let stored = tables::cells_of_many(file, table).map(|cells| {
        let found = cells.into_iter().find(|cell| cell.id == id);
        found.ok_or_else(|| format!("{} holds no cell {id}", file.display()))
    });
    let reason = match stored {
        Ok(Ok(stored)) => return print(&about_file(&stored, table)),
        Ok(Err(reason)) => reason,
        Err(error) => error.to_string(),
    };
    print(&runs::FileAbout::Unreadable(reason))
}

/// The cells of complete files by id; one that cannot be read is left out.
fn cells_of(survey: &Survey) -> BTreeMap<String, plan::Cell> {
    let (many, single): (Vec<_>, Vec<_>) =
        survey.files.iter().partition(|file| file.part.is_some());
    let mut cells: BTreeMap<String, plan::Cell> = BTreeMap::new();
    for file in single {
        cells.extend(read_cell(&file.path).ok().map(|cell| (file.id.clone(), cell)));
    }
    let of_many: BTreeSet<&Path> = many.iter().map(|file| file.path.as_path()).collect();
    for path in of_many {
        cells.extend(read_cells(path).unwrap_or_default());
    }
    cells
}

fn print(answer: &impl serde::Serialize) -> Outcome {
    let text = serde_json::to_string(answer).map_err(|error| Fail::Results(error.into()))?;
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Fail::Results(error.into()))?;
    Ok(plan::exit::DONE)
}

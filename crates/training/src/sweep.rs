//! A sweep over the price of hidden activations: the same recipe once for every coefficient, and the
//! curve of sparsity against loss.

use std::{fmt::Write as _, path::Path};

use tables::{SweepRow, write_sweep};

use crate::{
    checkpoint::write_whole,
    recipe::{L1, Recipe},
    run::{Event, TrainError, Workplace, train},
    text::Texts,
};

/// Trains the recipe at each of its coefficients, each in its own part of the workplace, and writes
/// `curve.parquet` and a table in words to `folder`; false if `stop` came first.
///
/// # Errors
/// As for a single run.
pub fn sweep(
    recipe: &Recipe,
    recipe_path: &str,
    workplace: &Workplace,
    folder: &Path,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Event),
) -> Result<bool, TrainError> {
    let coefficients = recipe.sweep.iter().flat_map(|sweep| &sweep.l1_coefficients);
    // The price has no part in the texts.
    let texts = Texts::of(recipe)?;
    let mut rows = Vec::new();
    for coefficient in coefficients {
        let point = at(recipe, *coefficient);
        let here = Workplace(workplace.0.join(format!("l1={coefficient}")));
        tell(Event::Begins { coefficient: *coefficient });
        let Some(trained) = train(&point, &texts, &here, stop, tell)? else { return Ok(false) };
        let (dead, neurons) = trained.last.dead();
        rows.push(SweepRow {
            l1_coefficient: *coefficient,
            heldout_nats: trained.last.nats,
            natural_sparsity: trained.last.natural_sparsity(),
            dead_neurons: dead as u32,
            neurons: neurons as u32,
            accuracy: trained.last.accuracy,
            steps: point.schedule.steps as u32,
        });
    }
    std::fs::create_dir_all(folder).map_err(|source| crate::CheckpointError::Io {
        action: "create",
        path: folder.to_owned(),
        source,
    })?;
    write_sweep(&folder.join("curve.parquet"), &rows, &recipe.json())?;
    write_whole(&folder.join("README.md"), page(recipe, recipe_path, &rows).as_bytes())?;
    Ok(true)
}

/// The recipe with one coefficient; at 0 the penalty is still worked out, so that it can be compared.
fn at(recipe: &Recipe, coefficient: f64) -> Recipe {
    let mut point = recipe.clone();
    point.sweep = None;
    point.l1 = recipe.l1.map(|l1| L1 { coefficient, ..l1 });
    point
}

fn page(recipe: &Recipe, path: &str, rows: &[SweepRow]) -> String {
    let form = recipe.l1.map_or_else(String::new, |l1| l1.form.to_string());
    let mut text = format!(
        "# {}\n\n{}\n\n```\ncargo xtask train {path}\n```\n\n\
         {} steps, {:.2} M tokens for each coefficient λ of Σ|h| divided by {form}; measured on held-out \
         stories (calibration split). The same rows are in `curve.parquet`.\n\n\
         | λ | held out, nats | against λ = {} | zeros in h | dead neurons | last words right |\n\
         | --: | --: | --: | --: | --: | --: |\n",
        recipe.name,
        recipe.about,
        recipe.schedule.steps,
        recipe.tokens() as f64 / 1e6,
        rows.first().map_or(0.0, |row| row.l1_coefficient),
    );
    for row in rows {
        let first = rows[0].heldout_nats;
        let _ = writeln!(
            text,
            "| {} | {:.4} | {:+.2} % | {:.2} % | {} of {} | {:.1} % |",
            row.l1_coefficient,
            row.heldout_nats,
            100.0 * (row.heldout_nats / first - 1.0),
            100.0 * row.natural_sparsity,
            row.dead_neurons,
            row.neurons,
            100.0 * row.accuracy,
        );
    }
    text
}

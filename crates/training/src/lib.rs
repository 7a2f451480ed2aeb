//! Training of the small models of the project on its generated corpus: AdamW, a schedule, an optional L1
//! price on hidden activations, checkpoints to go on from, and ordinary Hugging Face folders at the end.
//!
//! The forward pass is the one that evaluates models (`models::Architecture::build` gives it the live
//! parameters), so a trained model is measured by the code that trained it.

mod card;
mod checkpoint;
mod evaluation_texts;
mod exam;
mod export;
mod initial;
mod loss;
mod measure;
mod optimiser;
mod penalty;
mod recipe;
mod run;
mod schedule;
mod sweep;
mod text;

pub use checkpoint::{CheckpointError, Milestone};
pub use evaluation_texts::write_texts;
pub use exam::ExamError;
pub use loss::StepError;
pub use optimiser::AdamWSettings;
pub use penalty::L1Form;
pub use recipe::{Corpus, L1, Measure, Recipe, RecipeError, Schedule, Sweep};
pub use run::{Event, TrainError, Workplace, begin_anew, workplace};
pub use schedule::LearningRate;
pub use sweep::sweep;

use run::Trained;

use std::path::Path;

/// Trains a model to the end of its recipe and writes its folder with its card; false if `stop` came
/// first.
///
/// # Errors
/// [`TrainError`] says what could not be done; the last checkpoint stays.
pub fn train_and_export(
    recipe: &Recipe,
    recipe_path: &str,
    workplace: &Workplace,
    folder: &Path,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Event),
) -> Result<bool, TrainError> {
    let texts = text::Texts::of(recipe)?;
    let trained = run::train(recipe, &texts, workplace, stop, tell)?;
    let Some(Trained { architecture, checkpoint, last }) = &trained else { return Ok(false) };
    let tokenizer = &texts.tokenizer;
    let parameters = export::rounded(&checkpoint.parameters);
    let exam = exam::exam(recipe, architecture, &parameters, tokenizer, &texts.train)?;
    let facts = card::Facts {
        recipe,
        path: recipe_path,
        parameters: architecture.facts().parameters,
        vocabulary: tokenizer.get_vocab_size(true),
        progress: &checkpoint.progress,
        last,
        exam: &exam,
    };
    export::export(folder, &export::config(recipe, tokenizer), tokenizer, &parameters)?;
    checkpoint::write_whole(&folder.join("README.md"), card::card(&facts).as_bytes())?;
    Ok(true)
}

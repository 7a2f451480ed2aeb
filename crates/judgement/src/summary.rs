//! All that the tables of one run say, as values.

use evidence::absent::{Missing, missing};
use evidence::{Counted, Failure, Origins, Run, Unreadable, groups};
use plan::{Measure, Part};

use crate::accuracy::{self, AccuracyTable};
use crate::atlas::Atlas;
use crate::attention::{AttentionAtlas, attention};
use crate::claims::{Assessment, ClaimsFile, assess};
use crate::counts::{Counts, count_cells, n_refused};
use crate::dial::{Dial, dial};
use crate::glance::{Glance, glance};
use crate::gradients::{Gradients, gradients};
use crate::layers::{Lens, Linearity, StreamDirections, directions, lens, linearity};
use crate::perplexity::{self, PerplexityTable, Resamples};
use crate::quadrants::{Quadrants, quadrants};
use crate::recall::{Recall, recall};
use crate::recipes::{Recipes, recipes};
use crate::speed::{SideBySide, side_by_side};
use crate::table::Table;
use crate::tasks::{self, TaskTable};

/// What a reader is warned of.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// Cells were computed by several versions of the code.
    MixedCode(Vec<Counted>),
    /// A table has no recall by distance; model, text and protocol, and the error.
    NoRecall(String, String),
    /// There is no such table; model, text and protocol, and the error.
    NoTable(String, String),
    /// There is no readable work order; why, where there is a file.
    NoOrder(Option<String>),
    /// No claim was judged; the error.
    NoClaims(String),
    /// The run is a search, whose tables chose recipes; the command that made it, where it is known.
    Search(Option<String>),
}

/// What the tables of one run say.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The run's name.
    pub run: String,
    /// Where it lies.
    pub folder: String,
    /// The command that ordered the run, where it is known.
    pub command: Option<String>,
    /// Every model at one sparsity, in one line.
    pub glance: Vec<Glance>,
    /// The sentences of a claims file, judged; none where no such file was given.
    pub claims: Option<Assessment>,
    /// What a reader is warned of.
    pub warnings: Vec<Warning>,
    /// How many cells are where.
    pub counts: Counts,
    /// Code, machines, times.
    pub origins: Origins,
    /// One a model, text and protocol of perplexity.
    pub perplexity_tables: Vec<PerplexityTable>,
    /// One a part of each of these that has one.
    pub dials: Vec<Dial>,
    /// One a model, text and protocol of last words.
    pub accuracy_tables: Vec<AccuracyTable>,
    /// One a model of multiple-choice tasks.
    pub task_tables: Vec<TaskTable>,
    /// Accuracy by the distance of the answer.
    pub recall: Vec<Recall>,
    /// Part × method.
    pub quadrants: Vec<Quadrants>,
    /// Gradient against magnitude.
    pub gradients: Vec<Gradients>,
    /// What scores say of each other.
    pub atlas: Atlas,
    /// What recipes leave and what they cost.
    pub recipes: Vec<Recipes>,
    /// How linear layers are.
    pub linearity: Vec<Linearity>,
    /// Directions of the residual stream.
    pub directions: Vec<StreamDirections>,
    /// What attention looks at.
    pub attention: Vec<AttentionAtlas>,
    /// What each layer would predict.
    pub lens: Vec<Lens>,
    /// Models that were timed side by side.
    pub speed: Vec<SideBySide>,
    /// Cells that failed.
    pub failed: Vec<Failure>,
    /// Cells that were not run.
    pub missing: Vec<Missing>,
    /// Files that cannot be used.
    pub unreadable: Vec<Unreadable>,
}

/// The tables of a run.
#[derive(Default)]
struct Tables {
    perplexity: Vec<PerplexityTable>,
    accuracy: Vec<AccuracyTable>,
    recall: Vec<Recall>,
}

impl Summary {
    /// Judges the tables of a run, and the claims of a file on them; `margin` is what counts as no
    /// difference on a task, a share of items ([`tasks::DEFAULT_MARGIN`]).
    pub fn from_run(run: &Run, claims_file: Option<&ClaimsFile>, margin: f64) -> Summary {
        let origins = Origins::from_run(run);
        let mut warnings = Vec::new();
        let command = run.order.as_ref().map(|order| order.provenance.command.clone());
        // First, since it is about every number.
        if run.is_search {
            warnings.push(Warning::Search(command.clone()));
        }
        if origins.code_versions.len() > 1 {
            warnings.push(Warning::MixedCode(origins.code_versions.clone()));
        }
        let Tables { perplexity, accuracy, recall } = tables(run, &mut warnings);
        let recipes = recipes(run, &Resamples::for_results(&run.results));
        let missing = missing(run);
        let mut task_tables = Vec::new();
        for table in tasks::tables(run, &missing, margin) {
            match table {
                Ok(table) => task_tables.push(table),
                Err((model, error)) => {
                    warnings.push(Warning::NoTable(format!("{model} tasks"), error.to_string()));
                }
            }
        }
        // What was timed alone needs no order.
        if run.order.is_none() && (run.speed.is_empty() || run.done().next().is_some()) {
            let damaged = run.unreadable.iter().find(|file| file.file == tables::ORDER);
            warnings.push(Warning::NoOrder(damaged.map(|file| file.reason.clone())));
        }
        let atlas = Atlas::from_run(run);
        let claims = claims_file.map(|file| assess(file, &[(run, &atlas)])).transpose();
        let claims = claims.unwrap_or_else(|error| {
            warnings.push(Warning::NoClaims(error.to_string()));
            None
        });
        let both_dials = |table| Part::ALL.iter().filter_map(move |&part| dial(table, part));
        Summary {
            run: run.name.clone(),
            folder: run.folder.display().to_string(),
            command,
            glance: glance(&perplexity, &accuracy),
            claims,
            warnings,
            counts: count_cells(
                run,
                missing.len(),
                n_refused(&perplexity, &accuracy, &task_tables),
            ),
            origins,
            dials: perplexity.iter().flat_map(both_dials).collect(),
            recall,
            quadrants: quadrants(&perplexity, &accuracy),
            gradients: perplexity.iter().filter_map(gradients).collect(),
            perplexity_tables: perplexity,
            accuracy_tables: accuracy,
            task_tables,
            atlas,
            linearity: linearity(run, &recipes),
            directions: directions(run),
            attention: attention(run),
            lens: lens(run),
            recipes,
            speed: side_by_side(&run.speed),
            failed: run.failures.clone(),
            missing,
            unreadable: run.unreadable.clone(),
        }
    }
}

fn tables(run: &Run, warnings: &mut Vec<Warning>) -> Tables {
    let mut tables = Tables::default();
    let resamples = Resamples::for_results(&run.results);
    for (subject, group) in groups(&run.results) {
        let (model, dataset, protocol) = subject;
        let name = format!("{model} {dataset} {protocol}");
        match recall(subject, &group) {
            Ok(own) => tables.recall.extend(own),
            Err(error) => warnings.push(Warning::NoRecall(name.clone(), error.to_string())),
        }
        let (model, dataset) = (model.to_owned(), dataset.to_owned());
        match protocol.measure() {
            Measure::MeanLoss => {
                let rows = perplexity::rows(&group, &resamples);
                tables.perplexity.push(Table { model, dataset, protocol, rows });
            }
            Measure::Proportion => match accuracy::rows(&group) {
                Ok(rows) => tables.accuracy.push(Table { model, dataset, protocol, rows }),
                Err(error) => warnings.push(Warning::NoTable(name, error.to_string())),
            },
            // All recipes of a model stand in one table of tasks: `task_tables`.
            Measure::Choice => {}
        }
    }
    tables
}

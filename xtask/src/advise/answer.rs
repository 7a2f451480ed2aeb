//! What the search and the test came to, as one value: `--json` prints it, the screen tells it.

use std::path::{Path, PathBuf};

use plan::{AdviceJudged, AdviceNumber, AdviceSize, DeviceName, Measure, Protocol, Smallest};
use serde::Serialize;

use super::campaign::Outcome;
use super::setup::Setup;
use crate::slim::command;
use crate::workspace::Workspace;

/// All of it. It holds no time and no path of a temporary file: the same cells give the same bytes.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) run: String,
    pub(super) results: PathBuf,
    pub(super) model: String,
    pub(super) smallest: Smallest,
    pub(super) keeps: Vec<Kept>,
    pub(super) dense: AdviceSize,
    /// How many recipes were searched.
    pub(super) n_recipes: usize,
    /// In the order of the test.
    pub(super) tested: Vec<Tested>,
    /// By stage, in the order of the space.
    pub(super) left_behind: Vec<LeftBehind>,
    /// What was measured and could not be.
    pub(super) failed: Vec<Failed>,
    /// None where nothing is shown.
    pub(super) advice: Option<Advice>,
    /// The recipe that came nearest, where nothing is shown.
    pub(super) nearest: Option<Nearest>,
}

/// A condition.
#[derive(Debug, Serialize)]
pub(super) struct Kept {
    pub(super) condition: String,
    pub(super) dataset: String,
    pub(super) protocol: Protocol,
    pub(super) margin: f64,
    /// Windows or items of the test.
    pub(super) test_units: u64,
    /// As many were asked for; the text may have fewer.
    pub(super) asked_units: usize,
    /// The first of them, counted from 0; the search saw those before.
    pub(super) test_from: usize,
}

impl Kept {
    /// What is counted.
    pub(super) fn unit(&self) -> &'static str {
        if self.is_ratio() { "windows" } else { "items" }
    }

    /// Whether its numbers are ratios of perplexities.
    pub(super) fn is_ratio(&self) -> bool {
        self.protocol.measure() == Measure::MeanLoss
    }
}

/// A recipe that was tested.
#[derive(Debug, Serialize)]
pub(super) struct Tested {
    pub(super) recipe: String,
    pub(super) label: String,
    pub(super) size: Option<AdviceSize>,
    /// One entry a condition.
    pub(super) keeps: Vec<AdviceNumber>,
    pub(super) failed: Option<String>,
    /// Whether all conditions hold, and those of all recipes before it.
    pub(super) shown: bool,
    /// What the search foresaw.
    pub(super) searched: Option<AdviceJudged>,
}

/// A recipe that did not come to the test.
#[derive(Debug, Serialize)]
pub(super) struct LeftBehind {
    pub(super) recipe: String,
    pub(super) label: String,
    /// The stage behind which it stayed, counted from 1; the one past the last where a safer recipe was no
    /// larger.
    pub(super) after_stage: usize,
    pub(super) searched: Option<AdviceJudged>,
}

/// A recipe that the model does not take.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub(super) recipe: String,
    pub(super) label: String,
    pub(super) why: String,
}

/// The smallest recipe that is shown.
#[derive(Debug, Serialize)]
pub(super) struct Advice {
    pub(super) recipe: String,
    pub(super) label: String,
    pub(super) size: Option<AdviceSize>,
    /// Its cell of the first condition in the test.
    pub(super) cell: String,
    pub(super) command: String,
    /// Where the folder that the command writes takes more room than the recipe's numbers do.
    pub(super) note: Option<&'static str>,
}

/// Of recipes with rounded weights.
const BITS_NOTE: &str = "the folder holds the rounded weights as float32; where groups fill every row, \
                         --format packed-f16 stores their bits alone (docs/slim.md)";

/// What would have to be done to show anything.
#[derive(Debug, Serialize)]
pub(super) struct Nearest {
    pub(super) recipe: String,
    pub(super) label: String,
    /// Windows or items, one entry a condition; none where no number would do.
    pub(super) needed: Vec<Option<u64>>,
}

impl Answer {
    pub(super) fn of(workspace: &Workspace, setup: &Setup, outcome: &Outcome) -> Answer {
        let n_stages = setup.space.stages.len();
        let keeps = setup.keeps.iter().zip(&outcome.test_units).map(|(keep, test_units)| {
            let stretch = setup.stretch(n_stages, keep);
            Kept {
                condition: keep.text.clone(),
                dataset: setup.space.datasets[keep.dataset].name.clone(),
                protocol: setup.protocol(keep),
                margin: keep.margin,
                test_units: *test_units,
                asked_units: stretch.limit,
                test_from: stretch.offset,
            }
        });
        let keeps: Vec<Kept> = keeps.collect();
        let tested = tested(outcome);
        let advice = outcome.n_shown.checked_sub(1).map(|last| {
            let candidate = &outcome.candidates[outcome.order[last]];
            let cell = candidate.test.first().cloned().unwrap_or_default();
            Advice {
                recipe: candidate.recipe.text(),
                label: candidate.recipe.label(),
                size: outcome.tested[last].size,
                command: slim_command(workspace, setup, &cell),
                note: candidate
                    .recipe
                    .steps()
                    .iter()
                    .any(|step| step.kind().name == "bits")
                    .then_some(BITS_NOTE),
                cell,
            }
        });
        let nearest = if advice.is_none() { nearest(&tested, &keeps) } else { None };
        let (mut left_behind, mut failed) = (Vec::new(), Vec::new());
        for candidate in &outcome.candidates {
            let (recipe, label) = (candidate.recipe.text(), candidate.recipe.label());
            let why = candidate.searched.as_ref().and_then(|own| own.failed.clone());
            match (why, candidate.left_behind) {
                (Some(why), _) => failed.push(Failed { recipe, label, why }),
                (None, Some(stage)) => left_behind.push(LeftBehind {
                    recipe,
                    label,
                    after_stage: stage + 1,
                    searched: candidate.searched.clone(),
                }),
                (None, None) => {}
            }
        }
        left_behind.sort_by_key(|own| own.after_stage);
        Answer {
            run: setup.order.run.clone(),
            results: setup.order.results.clone(),
            model: setup.model.clone(),
            smallest: setup.smallest,
            keeps,
            dense: outcome.dense,
            n_recipes: outcome.candidates.len(),
            tested,
            left_behind,
            failed,
            advice,
            nearest,
        }
    }
}

fn tested(outcome: &Outcome) -> Vec<Tested> {
    let one = |(at, (place, judged)): (usize, (&usize, &AdviceJudged))| {
        let candidate = &outcome.candidates[*place];
        Tested {
            recipe: candidate.recipe.text(),
            label: candidate.recipe.label(),
            size: judged.size,
            keeps: judged.keeps.clone(),
            failed: judged.failed.clone(),
            shown: at < outcome.n_shown,
            searched: candidate.searched.clone(),
        }
    };
    outcome.order.iter().zip(&outcome.tested).enumerate().map(one).collect()
}

/// The tested recipe that takes the fewest windows or items, as a multiple of those that the test had.
fn nearest(tested: &[Tested], keeps: &[Kept]) -> Option<Nearest> {
    let multiple = |own: &Tested| -> f64 {
        let one = |(number, kept): (&AdviceNumber, &Kept)| {
            number.needed.map_or(f64::INFINITY, |n| n as f64 / kept.test_units as f64)
        };
        own.keeps.iter().zip(keeps).map(one).fold(0.0, f64::max)
    };
    let measured = tested.iter().filter(|own| !own.keeps.is_empty());
    let own = measured.min_by(|a, b| multiple(a).total_cmp(&multiple(b)))?;
    Some(Nearest {
        recipe: own.recipe.clone(),
        label: own.label.clone(),
        needed: own.keeps.iter().map(|number| number.needed).collect(),
    })
}

/// The command that writes the model of a cell, into a folder that is not there yet.
fn slim_command(workspace: &Workspace, setup: &Setup, cell: &str) -> String {
    let from = format!("{}/{cell}", shown_here(workspace, &setup.order.results));
    let name = setup.model_name();
    let free = |own: &String| std::fs::symlink_metadata(own).is_err();
    let names = std::iter::once(format!("slim/{name}"));
    let mut names = names.chain((2..).map(|n: u32| format!("slim/{name}-{n}")));
    let out = names.find(free).unwrap_or_default();
    let mut words = vec!["slim", "--from-cell", &from, "--out", &out];
    let device = setup.device().to_string();
    if setup.device() != DeviceName::Cpu {
        words.extend(["--device", &device]);
    }
    command(words.into_iter().map(str::to_owned))
}

/// A path that works from where the command was given: relative where that is the workspace.
fn shown_here(workspace: &Workspace, path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let is_root = here.is_some_and(|here| here == workspace.root());
    if is_root { workspace.show(path) } else { path.display().to_string() }
}

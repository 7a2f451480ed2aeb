//! What is searched: the space, the conditions, the model and the texts, all of it checked before anything runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plan::{
    AdviceSpace, Calibration, Cell, DeviceName, Keep, ModelInput, OrderProvenance, OrderedCell,
    Pipeline, Protocol, Recipe, Smallest, Stretch, WorkOrder, check_folder_name,
};

use super::Args;
use crate::code_version::{code_version, revision};
use crate::exit::Exit;
use crate::grid::{command_line, with_ids};
use crate::inputs::{self, Purpose, absolute, any_model};
use crate::workspace::Workspace;

/// A search that is ready to be run.
pub(super) struct Setup {
    /// The text of the space's file.
    pub(super) space_text: String,
    pub(super) space: AdviceSpace,
    pub(super) keeps: Vec<Keep>,
    pub(super) smallest: Smallest,
    /// On what all recipes look.
    pub(super) calibration: Option<Calibration>,
    /// As it was given.
    pub(super) model: String,
    /// Inputs and provenance, without cells.
    pub(super) order: WorkOrder,
}

impl Setup {
    /// Reads the space, finds and hashes every input.
    ///
    /// # Errors
    /// Exit code 2 with every mistake of the file and of the conditions, 3 with every missing input.
    pub(super) fn read(workspace: &Workspace, args: &Args) -> Result<Setup> {
        let file = args.space.clone();
        let file = file.unwrap_or_else(|| workspace.root().join("pipelines/advise.toml"));
        let shown = workspace.show(&file);
        let space_text = std::fs::read_to_string(&file)
            .map_err(|error| Exit::usage(format!("cannot read the space {shown}: {error}")))?;
        let space = AdviceSpace::parse(&space_text)
            .map_err(|mistakes| Exit::usage(format!("{shown}: {mistakes}")))?;
        let keeps = keeps(&args.keeps, &space, &shown)?;
        let calibration = space.calibration(&keeps);
        if let Some(recipe) = space.recipes.iter().find(|own| own.needs_calibration())
            && calibration.is_none()
        {
            let message = format!(
                "recipe `{}` looks at a text, and no kept text has a `calibration` in {shown}",
                recipe.text()
            );
            return Err(Exit::usage(message).into());
        }
        let model = any_model(workspace, &args.model)
            .map_err(|problems| Exit::inputs(format!("MODEL: {}", problems.join("\n  "))))?;
        let given = model.name.clone();
        let model = ModelInput { name: name_of(&args.model), ..model };
        let run = run_name(args, &model.name)?;
        let results = args.results.clone().unwrap_or_else(|| workspace.root().join("results"));
        let mut setup = Setup {
            space_text,
            space,
            keeps,
            smallest: args.smallest,
            calibration,
            model: given,
            order: WorkOrder {
                run: run.clone(),
                results: absolute(&results.join(&run)),
                device: args.device,
                provenance: OrderProvenance {
                    revision: revision(workspace.root()),
                    code_version: code_version(workspace.root())?,
                    command: command_line(),
                },
                models: vec![model],
                texts: Vec::new(),
                tasks: Vec::new(),
                cells: Vec::new(),
            },
        };
        let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
        setup.find_texts(workspace, folder)?;
        Ok(setup)
    }

    /// Texts and tasks of the conditions, and the text that recipes look at.
    fn find_texts(&mut self, workspace: &Workspace, folder: PathBuf) -> Result<()> {
        let pipeline = Pipeline {
            name: self.order.run.clone(),
            description: String::new(),
            seed: self.space.seed,
            claims: None,
            // The model is found already.
            models: Vec::new(),
            datasets: self.space.datasets.clone(),
            cells: Vec::new(),
        };
        let first = Stretch { offset: 0, limit: 1 };
        let cells: Vec<Cell> = self
            .keeps
            .iter()
            .flat_map(|keep| self.space.recipes.iter().map(move |recipe| (keep, recipe)))
            .map(|(keep, recipe)| self.cell(recipe, keep, first))
            .collect();
        let lock = workspace.models_lock()?;
        let found = inputs::resolve(workspace, &pipeline, &folder, &cells, &lock, Purpose::Run)?;
        self.order.texts = found.texts;
        self.order.tasks = found.tasks;
        Ok(())
    }

    /// The name of the model in cells.
    pub(super) fn model_name(&self) -> &str {
        self.order.models.first().map_or("", |model| model.name.as_str())
    }

    /// The dense model.
    pub(super) fn dense(&self) -> Recipe {
        Recipe::dense(self.space.seed)
    }

    pub(super) fn protocol(&self, keep: &Keep) -> Protocol {
        self.space.datasets[keep.dataset].protocol
    }

    /// What a stage, or the test behind the last, reads for a condition.
    pub(super) fn stretch(&self, stage: usize, keep: &Keep) -> Stretch {
        self.space.stretches(self.protocol(keep).measure())[stage]
    }

    fn cell(&self, recipe: &Recipe, keep: &Keep, stretch: Stretch) -> Cell {
        let calibration = self.calibration.as_ref();
        self.space.cell(self.model_name(), recipe, keep, calibration, stretch)
    }

    /// The cells of recipes in a stage: for every recipe one a condition, in this order.
    pub(super) fn cells(&self, recipes: &[&Recipe], stage: usize) -> Result<Vec<OrderedCell>> {
        let of = |recipe: &&Recipe| -> Vec<Cell> {
            let one = |keep| self.cell(recipe, keep, self.stretch(stage, keep));
            self.keeps.iter().map(one).collect()
        };
        let cells: Vec<Cell> = recipes.iter().flat_map(of).collect();
        with_ids(cells, &self.order).context("cannot name the cells")
    }

    /// Where it is computed.
    pub(super) fn device(&self) -> DeviceName {
        self.order.device
    }
}

/// All conditions; every one that means nothing is told.
fn keeps(given: &[String], space: &AdviceSpace, file: &str) -> Result<Vec<Keep>, Exit> {
    let (mut keeps, mut problems): (Vec<Keep>, Vec<String>) = Default::default();
    for text in given {
        match Keep::parse(text, space) {
            Ok(keep) => match keeps.iter().find(|other| other.dataset == keep.dataset) {
                Some(other) => {
                    problems.push(format!(
                        "`{}` and `{text}` are about one text: give one",
                        other.text
                    ));
                }
                None => keeps.push(keep),
            },
            Err(error) => problems.push(error.to_string()),
        }
    }
    match problems.is_empty() {
        true => Ok(keeps),
        false => Err(Exit::usage(format!("--keep, by {file}: {}", problems.join("\n  ")))),
    }
}

/// The last part of a path without its ending, as a name of a folder.
fn name_of(model: &Path) -> String {
    let name = match model.is_dir() {
        true => model.canonicalize().ok().and_then(|own| Some(own.file_name()?.to_owned())),
        false => model.file_stem().map(ToOwned::to_owned),
    };
    let name = name.map(|own| own.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    match check_folder_name(&name) {
        Ok(()) => name,
        Err(_) => "model".to_owned(),
    }
}

/// `advise-MODEL`, or what was given.
fn run_name(args: &Args, model: &str) -> Result<String, Exit> {
    let name = args.name.clone().unwrap_or_else(|| format!("advise-{model}"));
    check_folder_name(&name).map_err(|error| Exit::usage(format!("--name: {error}")))?;
    Ok(name)
}

//! From a pipeline file to a work order: parsed, filtered, inputs found, ids computed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use plan::{
    Cell, Costed, DeviceName, Filter, Inspection, OrderProvenance, OrderedCell, Pipeline, Shard,
    WorkOrder, grouped, shares,
};
use runs::CellStatus;

use crate::code_version::{code_version, revision};
use crate::exit::Exit;
use crate::inputs::{self, Purpose, absolute};
use crate::workspace::Workspace;

/// A grid, ready to be run.
#[derive(Debug)]
pub(crate) struct Grid {
    /// The text of the pipeline file.
    pub(crate) pipeline_text: String,
    /// The whole grid; only the chosen cells where the inputs of the others are missing.
    pub(crate) order: WorkOrder,
    /// The places of the cells that filter and share chose, in order; all of them without either.
    selected: Vec<usize>,
}

/// Cells by what is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: usize,
    pub(crate) new: usize,
    pub(crate) done: usize,
    pub(crate) failed: usize,
}

impl Grid {
    /// Reads a pipeline file, checks every input and computes the ids.
    ///
    /// With a filter only the inputs of the chosen cells are needed; the order lists the rest of
    /// the grid too when its inputs are there.
    ///
    /// # Errors
    /// Exit code 2 with every mistake of the file, or 3 with every missing or bad input.
    pub(crate) fn read(
        workspace: &Workspace,
        path: &Path,
        filter: Option<&Filter>,
        results: &Path,
        device: DeviceName,
        purpose: Purpose,
    ) -> Result<Grid> {
        let shown = workspace.show(path);
        let pipeline_text = fs::read_to_string(path)
            .map_err(|error| Exit::usage(format!("cannot read the pipeline {shown}: {error}")))?;
        let models_lock = workspace.models_lock()?;
        let mut pipeline = Pipeline::parse(&pipeline_text, &models_lock.names())
            .map_err(|mistakes| Exit::usage(format!("{shown}: {mistakes}")))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        // A grid may have a million cells: there is one list of them.
        let all = std::mem::take(&mut pipeline.cells);
        let resolve = |cells: &[Cell]| {
            inputs::resolve(workspace, &pipeline, folder, cells, &models_lock, purpose)
        };
        let (cells, resolved, selected) = match filter {
            None => {
                let resolved = resolve(&all)?;
                let places = (0..all.len()).collect();
                (all, resolved, places)
            }
            Some(filter) => {
                let places = filter.places(&all).map_err(|error| Exit::usage(error.to_string()))?;
                let chosen: Vec<Cell> = places.iter().map(|place| all[*place].clone()).collect();
                let of_chosen = resolve(&chosen)?;
                // The report wants the whole grid, but a missing text that the filter left out is no error.
                match resolve(&all) {
                    Ok(of_all) => (all, of_all, places),
                    Err(_) => {
                        let places = (0..chosen.len()).collect();
                        (chosen, of_chosen, places)
                    }
                }
            }
        };
        let code_version = code_version(workspace.root())?;
        let mut order = WorkOrder {
            run: pipeline.name.clone(),
            results: absolute(&results.join(&pipeline.name)),
            device,
            provenance: OrderProvenance {
                revision: revision(workspace.root()),
                code_version,
                command: command_line(),
            },
            models: resolved.models,
            texts: resolved.texts,
            tasks: resolved.tasks,
            cells: Vec::new(),
        };
        order.cells = with_ids(cells, &order)?;
        Ok(Grid { pipeline_text, order, selected })
    }

    /// A grid of all cells of an order.
    pub(crate) fn new(pipeline_text: String, order: WorkOrder) -> Grid {
        let selected = (0..order.cells.len()).collect();
        Grid { pipeline_text, order, selected }
    }

    /// Adds cells, and chooses them alone.
    pub(crate) fn add(&mut self, cells: Vec<OrderedCell>) {
        let first = self.order.cells.len();
        self.order.cells.extend(cells);
        self.selected = (first..self.order.cells.len()).collect();
    }

    /// The chosen cells.
    pub(crate) fn selected(&self) -> impl Iterator<Item = &OrderedCell> {
        self.selected.iter().map(|place| &self.order.cells[*place])
    }

    /// The order with the chosen cells only.
    pub(crate) fn selected_order(&self) -> Cow<'_, WorkOrder> {
        if self.selected.len() == self.order.cells.len() {
            return Cow::Borrowed(&self.order);
        }
        Cow::Owned(self.order_of(self.selected()))
    }

    /// The order with some of its cells.
    pub(crate) fn order_of<'a>(&self, cells: impl Iterator<Item = &'a OrderedCell>) -> WorkOrder {
        let WorkOrder { run, results, device, provenance, models, texts, tasks, cells: _ } =
            &self.order;
        WorkOrder {
            run: run.clone(),
            results: results.clone(),
            device: *device,
            provenance: provenance.clone(),
            models: models.clone(),
            texts: texts.clone(),
            tasks: tasks.clone(),
            cells: cells.cloned().collect(),
        }
    }

    /// Chooses a share of the chosen cells: of all of them, done or not, so that it is the same one
    /// whenever it is asked for.
    pub(crate) fn keep(&mut self, shard: Shard, inspection: &Inspection) {
        let share: BTreeSet<String> =
            self.shared_out(inspection, |cells| owned(shard.of(cells))).into_iter().collect();
        let is_of_it = |place: &&usize| share.contains(&self.order.cells[**place].id);
        self.selected = self.selected.iter().filter(is_of_it).copied().collect();
    }

    /// The chosen cells in `n` shares, see [`shares`].
    pub(crate) fn shares(&self, n: usize, inspection: &Inspection) -> Vec<Vec<String>> {
        self.shared_out(inspection, |cells| shares(cells, n).into_iter().map(owned).collect())
    }

    /// What `choose` makes of the chosen cells and their costs.
    fn shared_out<T>(&self, inspection: &Inspection, choose: impl Fn(&[Costed<'_>]) -> T) -> T {
        let cost: BTreeMap<&str, f64> =
            inspection.cells.iter().map(|cell| (cell.id.as_str(), cell.flops_expected)).collect();
        let cells: Vec<&OrderedCell> = self.selected().collect();
        let costed = |ordered: &OrderedCell| cost.get(ordered.id.as_str()).copied().unwrap_or(0.0);
        // Cells of one cut model lie together, and so in one share wherever that can be.
        let grouped = grouped(&cells);
        let cells: Vec<Costed<'_>> = grouped
            .iter()
            .map(|own| Costed { id: &own.id, model: &own.cell.model, cost: costed(own) })
            .collect();
        choose(&cells)
    }

    /// Chooses those of the chosen cells that are not done.
    pub(crate) fn keep_left(&mut self, status: &BTreeMap<String, CellStatus>) {
        let is_left =
            |place: &&usize| status.get(&self.order.cells[**place].id) != Some(&CellStatus::Done);
        self.selected = self.selected.iter().filter(is_left).copied().collect();
    }

    /// The chosen cells by status.
    pub(crate) fn counts(&self, status: &BTreeMap<String, CellStatus>) -> Counts {
        let count =
            |wanted| self.selected().filter(|own| status.get(&own.id).copied() == wanted).count();
        Counts {
            total: self.selected.len(),
            new: count(None),
            done: count(Some(CellStatus::Done)),
            failed: count(Some(CellStatus::Failed)),
        }
    }
}

fn owned(ids: Vec<&str>) -> Vec<String> {
    ids.into_iter().map(str::to_owned).collect()
}

/// The cells with their ids.
///
/// # Errors
/// Exit code 2 where two of them are one measurement.
pub(crate) fn with_ids(cells: Vec<Cell>, order: &WorkOrder) -> Result<Vec<OrderedCell>> {
    let ids = order.ids_of(&cells).zip(&cells).map(|(id, cell)| {
        id.with_context(|| format!("the model or a text of `{}` is not known", cell.label()))
    });
    let ids = ids.collect::<Result<Vec<String>>>()?;
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(ids.len());
    for (place, id) in ids.iter().enumerate() {
        if let Some(other) = places.insert(id, place) {
            let [other, own] = [other, place].map(|place| cells[place].label());
            let same = format!("`{other}` and `{own}` are the same measurement");
            let why = "two names stand for the same weights and text: remove one";
            return Err(Exit::usage(format!("{same}: {why}")).into());
        }
    }
    drop(places);
    Ok(ids.into_iter().zip(cells).map(|(id, cell)| OrderedCell { id, cell }).collect())
}

/// The command line as it was typed, for the provenance columns.
pub(crate) fn command_line() -> String {
    let quote = |argument: String| match argument.contains([' ', '\'', '"']) {
        true => format!("'{}'", argument.replace('\'', "'\\''")),
        false => argument,
    };
    let mut words = vec!["cargo xtask".to_owned()];
    words.extend(env::args_os().skip(1).map(|a| quote(a.to_string_lossy().into_owned())));
    words.join(" ")
}

//! From a pipeline file to a work order: parsed, filtered, inputs found, ids computed.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use plan::{
    Cell, Costed, DeviceName, Filter, Inspection, OrderProvenance, OrderedCell, Pipeline, Shard,
    WorkOrder, cell_id, grouped, shares,
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
    /// The ids of the cells that filter and share chose, in order; all of them without either.
    pub(crate) selected: Vec<String>,
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
        let pipeline = Pipeline::parse(&pipeline_text, &models_lock.names())
            .map_err(|mistakes| Exit::usage(format!("{shown}: {mistakes}")))?;
        let selected = match filter {
            None => pipeline.cells.clone(),
            Some(filter) => {
                filter.select(&pipeline.cells).map_err(|error| Exit::usage(error.to_string()))?
            }
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let resolve = |cells: &[Cell]| {
            inputs::resolve(workspace, &pipeline, folder, cells, &models_lock, purpose)
        };
        let chosen = resolve(&selected)?;
        // The report wants the whole grid, but a missing text that the filter left out is no error.
        let (cells, resolved) = match filter.map(|_| resolve(&pipeline.cells)) {
            None | Some(Err(_)) => (selected.clone(), chosen),
            Some(Ok(all)) => (pipeline.cells.clone(), all),
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
        order.cells = with_ids(&cells, &order)?;
        let is_selected = |ordered: &&OrderedCell| selected.contains(&ordered.cell);
        let selected = order.cells.iter().filter(is_selected).map(|cell| cell.id.clone()).collect();
        Ok(Grid { pipeline_text, order, selected })
    }

    /// The order with the chosen cells only.
    pub(crate) fn selected_order(&self) -> WorkOrder {
        let mut order = self.order.clone();
        order.cells.retain(|cell| self.selected.contains(&cell.id));
        order
    }

    /// Chooses a share of the chosen cells: of all of them, done or not, so that it is the same one
    /// whenever it is asked for.
    pub(crate) fn keep(&mut self, shard: Shard, inspection: &Inspection) {
        let share: BTreeSet<String> =
            self.shared_out(inspection, |cells| owned(shard.of(cells))).into_iter().collect();
        self.selected.retain(|id| share.contains(id));
    }

    /// The chosen cells in `n` shares, see [`shares`].
    pub(crate) fn shares(&self, n: usize, inspection: &Inspection) -> Vec<Vec<String>> {
        self.shared_out(inspection, |cells| shares(cells, n).into_iter().map(owned).collect())
    }

    /// What `choose` makes of the chosen cells and their costs.
    fn shared_out<T>(&self, inspection: &Inspection, choose: impl Fn(&[Costed<'_>]) -> T) -> T {
        let order = self.selected_order();
        let cost: BTreeMap<&str, f64> =
            inspection.cells.iter().map(|cell| (cell.id.as_str(), cell.flops_expected)).collect();
        let cells: Vec<&OrderedCell> = order.cells.iter().collect();
        let costed = |ordered: &OrderedCell| cost.get(ordered.id.as_str()).copied().unwrap_or(0.0);
        // Cells of one cut model lie together, and so in one share wherever that can be.
        let grouped = grouped(&cells);
        let cells: Vec<Costed<'_>> = grouped
            .iter()
            .map(|own| Costed { id: &own.id, model: &own.cell.model, cost: costed(own) })
            .collect();
        choose(&cells)
    }

    /// The chosen cells by status.
    pub(crate) fn counts(&self, status: &BTreeMap<String, CellStatus>) -> Counts {
        let count =
            |wanted| self.selected.iter().filter(|id| status.get(*id).copied() == wanted).count();
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
pub(crate) fn with_ids(cells: &[Cell], order: &WorkOrder) -> Result<Vec<OrderedCell>> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut ordered = Vec::with_capacity(cells.len());
    for cell in cells {
        let inputs = order
            .inputs_of(cell)
            .with_context(|| format!("the model or a text of `{}` is not known", cell.label()))?;
        let id = cell_id(cell, &inputs);
        if let Some(other) = labels.insert(id.clone(), cell.label()) {
            let same = format!("`{other}` and `{}` are the same measurement", cell.label());
            let why = "two names stand for the same weights and text: remove one";
            return Err(Exit::usage(format!("{same}: {why}")).into());
        }
        ordered.push(OrderedCell { id, cell: cell.clone() });
    }
    Ok(ordered)
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

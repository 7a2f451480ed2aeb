//! The search, stage by stage, and the test: each a grid as any other, over what is left.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plan::exit::{DONE, FAILED_CELLS, STOPPED};
use plan::{
    AdviceCandidate, AdviceJudged, AdviceKeep, AdviceRequest, AdviceSize, AdviceSpace, AdviceStep,
    OrderedCell, Recipe, Smallest, WorkOrder,
};
use runs::{CellStatus, RunFolder};

use super::setup::Setup;
use super::{judge, seconds};
use crate::dry_run;
use crate::exit::Exit;
use crate::grid::Grid;
use crate::run_grid;
use crate::stop::Stop;

/// The other binaries.
pub(super) struct Programs {
    pub(super) worker: PathBuf,
    pub(super) report: PathBuf,
}

/// A recipe on its way.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) recipe: Recipe,
    /// The stage after which it was left behind, counted from 0; none where it came to the end.
    pub(super) left_behind: Option<usize>,
    /// What the search saw of it last.
    pub(super) searched: Option<AdviceJudged>,
    /// Ids of its cells in the search, by condition and stage.
    search: Vec<Vec<String>>,
    /// Ids of its cells in the test, one a condition.
    pub(super) test: Vec<String>,
    seconds: Option<f64>,
}

impl Candidate {
    fn of(recipe: Recipe, keeps: usize) -> Candidate {
        Candidate {
            recipe,
            left_behind: None,
            searched: None,
            search: vec![Vec::new(); keeps],
            test: Vec::new(),
            seconds: None,
        }
    }

    fn in_search(&self) -> AdviceCandidate {
        AdviceCandidate { cells: self.search.clone(), seconds: self.seconds }
    }

    fn in_test(&self) -> AdviceCandidate {
        let cells = self.test.iter().map(|id| vec![id.clone()]).collect();
        AdviceCandidate { cells, seconds: self.seconds }
    }
}

/// What it came to.
pub(super) struct Outcome {
    pub(super) dense: AdviceSize,
    /// All of them, in the order of the space.
    pub(super) candidates: Vec<Candidate>,
    /// Those that were tested, by their places, in the order of the test.
    pub(super) order: Vec<usize>,
    /// What the test says of each of these.
    pub(super) tested: Vec<AdviceJudged>,
    /// How many of them are shown, from the first.
    pub(super) n_shown: usize,
    /// Windows or items of the test, one entry a condition.
    pub(super) test_units: Vec<u64>,
}

/// A search that is run.
pub(super) struct Campaign {
    pub(super) setup: Setup,
    programs: Programs,
    folder: RunFolder,
    grid: Grid,
    verbose: bool,
    stop: Stop,
    dense: Candidate,
    candidates: Vec<Candidate>,
    /// Windows or items of the test, one entry a condition.
    test_units: Vec<u64>,
}

impl Campaign {
    pub(super) fn open(
        setup: Setup,
        programs: Programs,
        verbose: bool,
        stop: Stop,
    ) -> Result<Self> {
        let test_units = test_units(&setup, &programs.worker)?;
        let folder = run_grid::open(&setup.order.results)?;
        let n = setup.keeps.len();
        let grid = Grid::new(setup.space_text.clone(), setup.order.clone());
        let dense = Candidate::of(setup.dense(), n);
        let recipes = setup.space.recipes.iter().cloned();
        let candidates = recipes.map(|recipe| Candidate::of(recipe, n)).collect();
        Ok(Campaign { setup, programs, folder, grid, verbose, stop, dense, candidates, test_units })
    }

    /// Search and test; none where it was stopped on the way.
    pub(super) fn run(&mut self) -> Result<Option<Outcome>> {
        let mut left: Vec<usize> = (0..self.candidates.len()).collect();
        let stages = self.setup.space.stages.clone();
        for (index, stage) in stages.iter().enumerate() {
            let what = format!("search {} of {}", index + 1, stages.len());
            if !self.measure(&what, index, &left)? {
                return Ok(None);
            }
            let most = AdviceSpace::go_on(stage, left.len());
            left = self.search(AdviceStep::Narrow(most), index, &left)?;
        }
        if self.setup.smallest == Smallest::DecodeSeconds && !self.time(&left)? {
            return Ok(None);
        }
        let order = self.search(AdviceStep::Arrange, stages.len(), &left)?;
        if !self.measure("test", stages.len(), &order)? {
            return Ok(None);
        }
        self.judged(order).map(Some)
    }

    /// Runs the cells of a stage that are not done; false where it was stopped.
    fn measure(&mut self, what: &str, stage: usize, places: &[usize]) -> Result<bool> {
        let recipes: Vec<&Recipe> = std::iter::once(&self.dense.recipe)
            .chain(places.iter().map(|place| &self.candidates[*place].recipe))
            .collect();
        let cells = self.setup.cells(&recipes, stage)?;
        let n = self.setup.keeps.len();
        let is_test = stage == self.setup.space.stages.len();
        for (at, cells) in cells.chunks(n).enumerate() {
            let candidate = match at {
                0 => &mut self.dense,
                _ => &mut self.candidates[places[at - 1]],
            };
            let ids = cells.iter().map(|cell| cell.id.clone());
            match is_test {
                true => candidate.test = ids.collect(),
                false => candidate.search.iter_mut().zip(ids).for_each(|(own, id)| own.push(id)),
            }
        }
        self.compute(what, cells)
    }

    fn compute(&mut self, what: &str, cells: Vec<OrderedCell>) -> Result<bool> {
        self.grid.add(cells);
        run_grid::prepare(self.folder.path(), &self.grid)?;
        let status = run_grid::survey(&self.programs.worker, self.folder.path())?.status();
        let counts = run_grid::describe(&self.grid.counts(&status));
        eprintln!("{}, {what}: {counts}", self.grid.order.run);
        let is_left = |own: &&OrderedCell| status.get(&own.id) != Some(&CellStatus::Done);
        let left = self.grid.order_of(self.grid.selected().filter(is_left));
        if left.cells.is_empty() {
            return Ok(true);
        }
        let worker = &self.programs.worker;
        let code = run_grid::run_worker(worker, &self.grid, &left, self.verbose, &self.stop)?;
        match code {
            // A recipe that this model does not take is left behind, and told.
            DONE | FAILED_CELLS => Ok(true),
            STOPPED => Ok(false),
            code => Err(Exit::of_worker(code, "the worker did not finish").into()),
        }
    }

    /// What the search says of those that are left; who goes on.
    fn search(&mut self, step: AdviceStep, stage: usize, left: &[usize]) -> Result<Vec<usize>> {
        let candidates = left.iter().map(|place| self.candidates[*place].in_search()).collect();
        let request = self.request(step, self.dense.in_search(), candidates);
        let answer = judge::ask(&self.programs.report, self.folder.path(), &request)?;
        for (place, judged) in left.iter().zip(answer.judged) {
            self.candidates[*place].searched = Some(judged);
        }
        let order = places(left, &answer.order)?;
        for place in left.iter().filter(|place| !order.contains(*place)) {
            self.candidates[*place].left_behind = Some(stage);
        }
        Ok(order)
    }

    fn judged(&self, order: Vec<usize>) -> Result<Outcome> {
        let candidates = order.iter().map(|place| self.candidates[*place].in_test()).collect();
        let request = self.request(AdviceStep::Test, self.dense.in_test(), candidates);
        let answer = judge::ask(&self.programs.report, self.folder.path(), &request)?;
        Ok(Outcome {
            dense: answer.dense,
            candidates: self.candidates.clone(),
            order,
            tested: answer.judged,
            n_shown: answer.order.len(),
            test_units: self.test_units.clone(),
        })
    }

    fn request(
        &self,
        step: AdviceStep,
        dense: AdviceCandidate,
        candidates: Vec<AdviceCandidate>,
    ) -> AdviceRequest {
        let keeps = self.setup.keeps.iter().zip(&self.test_units);
        let keeps = keeps.map(|(keep, test_units)| {
            let protocol = self.setup.protocol(keep);
            AdviceKeep { protocol, margin: keep.margin, test_units: *test_units }
        });
        let keeps = keeps.collect();
        AdviceRequest { step, smallest: self.setup.smallest, keeps, dense, candidates }
    }

    /// Times dense and the recipes that are left; false where it was stopped.
    fn time(&mut self, left: &[usize]) -> Result<bool> {
        let recipes: Vec<&Recipe> = std::iter::once(&self.dense.recipe)
            .chain(left.iter().map(|place| &self.candidates[*place].recipe))
            .collect();
        let results = self.folder.path();
        let found = seconds::of(&self.setup, &self.programs.worker, results, &recipes, &self.stop)?;
        let Some(found) = found else { return Ok(false) };
        for (at, seconds) in found.into_iter().enumerate() {
            let candidate = match at {
                0 => &mut self.dense,
                _ => &mut self.candidates[left[at - 1]],
            };
            candidate.seconds = Some(seconds);
        }
        Ok(true)
    }
}

/// What the texts have left for the test; a text that ends before is an error, before anything is computed.
fn test_units(setup: &Setup, worker: &Path) -> Result<Vec<u64>> {
    let cells = setup.cells(&[&setup.dense()], setup.space.stages.len())?;
    let order = WorkOrder { cells, ..setup.order.clone() };
    match dry_run::inspect(worker, &order)? {
        Ok(inspection) => Ok(inspection.cells.iter().map(|cell| cell.units).collect()),
        Err(code) => Err(Exit::of_worker(code, "the texts cannot be tested on").into()),
    }
}

/// The places that an order of some of them means.
fn places(left: &[usize], order: &[usize]) -> Result<Vec<usize>> {
    let place = |at: &usize| left.get(*at).copied().context("the report names an unknown recipe");
    order.iter().map(place).collect()
}

//! A space of recipes with the stages of its search, read from a file such as `pipelines/advise.toml`.

use crate::reader::Mistakes;
use crate::{Calibration, Cell, DatasetEntry, Keep, Measure, Recipe};

/// A file of recipes, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct AdviceSpace {
    /// What it is for.
    pub description: String,
    /// Seed of everything random in it.
    pub seed: u64,
    /// The texts and tasks that may be kept, in the order of the file.
    pub datasets: Vec<DatasetEntry>,
    /// The recipes, each once, in the order of the file.
    pub recipes: Vec<Recipe>,
    /// The stages of the search, at least one.
    pub stages: Vec<Stage>,
    /// What the test is made on.
    pub test: Units,
}

/// One stage of the search: what is measured anew of the recipes that are left, and how many go on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Measured in this stage, beside what was measured before.
    pub units: Units,
    /// The share of the recipes that goes on, above 0 and at most 1.
    pub go_on: f64,
}

/// How much of a text: of windows where it is told as perplexity, else of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Windows of text.
    pub windows: usize,
    /// Items of a task.
    pub items: usize,
}

impl Units {
    /// Of what a protocol measures.
    pub fn of(self, measure: Measure) -> usize {
        match measure {
            Measure::MeanLoss => self.windows,
            Measure::Proportion | Measure::Choice => self.items,
        }
    }
}

/// Windows or items that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Those before it.
    pub offset: usize,
    /// Its own.
    pub limit: usize,
}

impl AdviceSpace {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Mistakes`] holds every mistake of the file, each with its line.
    pub fn parse(text: &str) -> Result<AdviceSpace, Mistakes> {
        super::read::parse(text)
    }

    /// What each stage reads of a text, then what the test reads: one behind the other, so that no window or
    /// item is read twice and the test sees none that the search saw.
    pub fn stretches(&self, measure: Measure) -> Vec<Stretch> {
        let units = self.stages.iter().map(|stage| stage.units).chain([self.test]);
        let mut offset = 0;
        let behind = |units: Units| {
            let stretch = Stretch { offset, limit: units.of(measure) };
            offset += stretch.limit;
            stretch
        };
        units.map(behind).collect()
    }

    /// How many recipes are left behind each stage, of so many at the beginning.
    pub fn go_on(stage: &Stage, candidates: usize) -> usize {
        let share = (stage.go_on * candidates as f64).ceil();
        // A share of at most 1 leaves no more than there were.
        (share as usize).clamp(candidates.min(1), candidates)
    }

    /// The text on which all recipes look, whatever is measured: that of the first kept text which has one.
    pub fn calibration(&self, keeps: &[Keep]) -> Option<Calibration> {
        let own = keeps.iter().find_map(|keep| self.datasets[keep.dataset].calibration.as_ref())?;
        Some(Calibration {
            dataset: own.dataset.clone(),
            limit: own.limit,
            window_tokens: own.window_tokens,
        })
    }

    /// One measurement.
    pub fn cell(
        &self,
        model: &str,
        recipe: &Recipe,
        keep: &Keep,
        calibration: Option<&Calibration>,
        stretch: Stretch,
    ) -> Cell {
        let dataset = &self.datasets[keep.dataset];
        Cell {
            model: model.to_owned(),
            dataset: dataset.name.clone(),
            protocol: dataset.protocol,
            limit: Some(stretch.limit),
            offset: (stretch.offset > 0).then_some(stretch.offset),
            calibration: calibration.filter(|_| recipe.needs_calibration()).cloned(),
            recipe: recipe.clone(),
            compare: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed() -> AdviceSpace {
        let file =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/advise.toml");
        AdviceSpace::parse(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    /// The test reads nothing that the search read, and no stage what another did.
    #[test]
    fn stretches_lie_one_behind_the_other() {
        let space = committed();
        for measure in [Measure::MeanLoss, Measure::Proportion, Measure::Choice] {
            let stretches = space.stretches(measure);
            assert_eq!(stretches.len(), space.stages.len() + 1);
            let mut seen = std::collections::BTreeSet::new();
            for Stretch { offset, limit } in stretches {
                assert!(limit > 0);
                assert!((offset..offset + limit).all(|unit| seen.insert(unit)), "{measure:?}");
            }
            assert_eq!(seen.len(), seen.last().unwrap() + 1, "nothing is left out between");
        }
    }

    /// The cells of the search and of the test are other measurements, so that no row of one is one of the
    /// other.
    #[test]
    fn cells_of_search_and_test_differ() {
        let space = committed();
        let keep = Keep::parse("perplexity narrative within 5 %", &space).unwrap();
        let keeps = [keep];
        let calibration = space.calibration(&keeps);
        let of =
            |stretch| space.cell("m", &space.recipes[0], &keeps[0], calibration.as_ref(), stretch);
        let stretches = space.stretches(Measure::MeanLoss);
        let cells: Vec<Cell> = stretches.into_iter().map(of).collect();
        assert_eq!(cells[0].offset, None);
        for (index, cell) in cells.iter().enumerate() {
            assert!(
                cells[..index].iter().all(|other| other != cell && other.offset != cell.offset)
            );
        }
    }

    #[test]
    fn shares_of_candidates_go_on() {
        let stage = |go_on| Stage { units: Units { windows: 1, items: 1 }, go_on };
        assert_eq!(AdviceSpace::go_on(&stage(0.5), 9), 5);
        assert_eq!(AdviceSpace::go_on(&stage(0.01), 9), 1);
        assert_eq!(AdviceSpace::go_on(&stage(1.0), 9), 9);
        assert_eq!(AdviceSpace::go_on(&stage(0.5), 0), 0);
    }
}

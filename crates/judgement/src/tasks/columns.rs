//! Which cell stands where: the newest of each recipe and task, and which tasks make up a group.

use std::collections::{BTreeMap, BTreeSet};

use evidence::absent::Absent;
use evidence::{AgainstDense, CellResult, closest};
use plan::{Protocol, Recipe, Step};
use serde::Serialize;
use statistics::{ConfidenceLevel, Proportion, StatisticsError, wilson};
use tables::{Outcome, outcomes};

use super::entry::{Answers, DenseAnswers, Metric, TaskSlot};

/// A task of a model: a protocol on a text.
pub(super) type Place<'a> = (Protocol, &'a str);

/// A column: a task, or a group of tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// `piqa`, `mmlu`; with its text where the model has several of the protocol.
    pub name: String,
    /// None of a group.
    pub protocol: Option<Protocol>,
    /// The items; none of a group.
    pub dataset: Option<String>,
    /// The group that it is a member of.
    pub group: Option<String>,
    /// Of a group the names of its members.
    pub members: Vec<String>,
    /// The version of its definition; none of a group, or where cells have several.
    pub version: Option<String>,
    /// The metric that is told: `acc_norm` where the task has it.
    pub metric: Metric,
    /// What guessing would get: the mean over items of one over the number of choices.
    pub chance: f64,
    /// Whether dense cannot be told from guessing: its Wilson 95 % interval contains `chance`. Then a
    /// recipe has nothing to lose there. None without a dense cell.
    pub dense_is_at_chance: Option<bool>,
}

/// A column with the tasks that it is made of.
pub(super) struct Column<'a> {
    pub(super) task: Task,
    pub(super) places: Vec<(Place<'a>, String)>,
}

impl Column<'_> {
    /// The answers of a recipe that belong to it.
    pub(super) fn answers<'b, 'c>(&self, all: &'b [Answers<'c>]) -> Vec<&'b Answers<'c>> {
        let of = |(place, _): &(Place<'_>, String)| all.iter().find(|own| own.place() == *place);
        self.places.iter().filter_map(of).collect()
    }
}

/// The cells of one model that have choices, or should.
pub(super) struct Cells<'a> {
    pub(super) model: &'a str,
    recipes: BTreeMap<&'a [Step], &'a Recipe>,
    newest: BTreeMap<(Place<'a>, &'a [Step]), &'a CellResult>,
    dense: BTreeMap<Place<'a>, Vec<&'a CellResult>>,
    absent: BTreeMap<(Place<'a>, &'a [Step]), Absent<'a>>,
}

fn place(cell: &plan::Cell) -> Place<'_> {
    (cell.protocol, &cell.dataset)
}

impl<'a> Cells<'a> {
    pub(super) fn of(model: &'a str, all: &[&'a CellResult], absent: &[Absent<'a>]) -> Cells<'a> {
        let (mut recipes, mut newest, mut dense) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::<Place<'_>, Vec<&CellResult>>::new());
        for &result in all.iter().filter(|own| own.cell.model == model) {
            let (recipe, place) = (&result.cell.recipe, place(&result.cell));
            recipes.entry(recipe.steps()).or_insert(recipe);
            if recipe.is_dense() {
                dense.entry(place).or_default().push(result);
            }
            // Of several cells of one recipe the newest, as in every table.
            let known = newest.entry((place, recipe.steps())).or_insert(result);
            let age = |own: &CellResult| (own.provenance.started_at_ms, own.id.clone());
            if age(result) > age(known) {
                *known = result;
            }
        }
        // Of a task that no cell has measured nothing is known, and it has no column.
        let known: BTreeSet<Place<'_>> = newest.keys().map(|(place, _)| *place).collect();
        let mut without = BTreeMap::new();
        for own in absent.iter().filter(|own| own.cell.model == model) {
            let (recipe, place) = (&own.cell.recipe, place(own.cell));
            if known.contains(&place) {
                recipes.entry(recipe.steps()).or_insert(recipe);
                without.entry((place, recipe.steps())).or_insert(*own);
            }
        }
        Cells { model, recipes, newest, dense, absent: without }
    }

    /// Every recipe, dense first.
    pub(super) fn recipes(&self) -> impl Iterator<Item = &'a Recipe> {
        self.recipes.values().copied()
    }

    /// What a recipe answered, task by task, beside what the dense model did.
    pub(super) fn answers(&self, recipe: &'a Recipe) -> Vec<Answers<'a>> {
        let own = self.newest.iter().filter(|((_, steps), _)| *steps == recipe.steps());
        let own = own.filter_map(|(_, &result)| {
            let (task, rows) = result.choices()?;
            let dense = self.dense_of(result, recipe.is_dense());
            Some(Answers { result, task, outcomes: outcomes(rows), dense })
        });
        own.collect()
    }

    fn dense_of(&self, result: &CellResult, is_dense: bool) -> AgainstDense<DenseAnswers<'a>> {
        if is_dense {
            return AgainstDense::Baseline;
        }
        let dense = self.dense.get(&place(&result.cell)).map(Vec::as_slice).unwrap_or_default();
        let Some((mut differences, dense)) = closest(result, dense.iter().copied()) else {
            return AgainstDense::NoDense;
        };
        let [ours, theirs] =
            [result, dense].map(|own| own.choices().map(|(task, _)| Metric::of(task)));
        if ours != theirs {
            differences.push("another metric is told than of dense".to_owned());
        }
        match (differences.is_empty(), dense.choices()) {
            (true, Some((_, rows))) => {
                AgainstDense::Compared(DenseAnswers { result: dense, outcomes: outcomes(rows) })
            }
            _ => AgainstDense::Refused {
                reason: format!("not compared: {}", differences.join("; ")),
            },
        }
    }

    /// What stands where a recipe has no answers.
    pub(super) fn absent(&self, column: &Column<'_>, steps: &[Step]) -> TaskSlot {
        let own = column.places.iter().find_map(|(place, _)| self.absent.get(&(*place, steps)));
        match own {
            Some(own) => TaskSlot::Absent { cell_id: own.id.to_owned(), why: own.why },
            None => TaskSlot::NotOrdered,
        }
    }

    /// The columns of the table, and the members of its groups.
    pub(super) fn columns(&self) -> Result<(Vec<Column<'a>>, Vec<Column<'a>>), StatisticsError> {
        let places: BTreeSet<Place<'a>> = self.newest.keys().map(|(place, _)| *place).collect();
        let (mut single, mut parts) = (Vec::new(), Vec::new());
        for &own in &places {
            let column = self.column(own, &places)?;
            match column.task.group {
                None => single.push(column),
                Some(_) => parts.push(column),
            }
        }
        let groups: BTreeSet<&str> =
            parts.iter().filter_map(|own| own.task.group.as_deref()).collect();
        for group in groups {
            let members: Vec<&Column<'a>> =
                parts.iter().filter(|own| own.task.group.as_deref() == Some(group)).collect();
            single.push(self.group(group, &members)?);
        }
        Ok((single, parts))
    }

    fn column(
        &self,
        own: Place<'a>,
        all: &BTreeSet<Place<'a>>,
    ) -> Result<Column<'a>, StatisticsError> {
        let (protocol, dataset) = own;
        let task = protocol.task().map_or_else(|| protocol.to_string(), |task| task.to_string());
        let is_only = all.iter().filter(|(other, _)| *other == protocol).count() == 1;
        let name = if is_only { task } else { format!("{task} ({dataset})") };
        let cells: Vec<_> = self.cells(&[own]).collect();
        let about = cells.iter().find_map(|cell| cell.choices()).map(|(task, _)| task);
        let versions: BTreeSet<&str> = cells
            .iter()
            .filter_map(|cell| cell.choices())
            .map(|(task, _)| task.version.as_str())
            .collect();
        let version = versions.first().filter(|_| versions.len() == 1);
        let metric = about.map_or(Metric::Acc, Metric::of);
        let (chance, dense_is_at_chance) = self.chance(&[own], metric)?;
        let task = Task {
            name: name.clone(),
            protocol: Some(protocol),
            dataset: Some(dataset.to_owned()),
            group: about.and_then(|task| task.group.clone()),
            members: Vec::new(),
            version: version.map(|&version| version.to_owned()),
            metric,
            chance,
            dense_is_at_chance,
        };
        Ok(Column { task, places: vec![(own, name)] })
    }

    fn group(&self, name: &str, members: &[&Column<'a>]) -> Result<Column<'a>, StatisticsError> {
        let has_norm = members.iter().all(|own| own.task.metric == Metric::AccNorm);
        let metric = if has_norm { Metric::AccNorm } else { Metric::Acc };
        let parts: Vec<_> = members.iter().flat_map(|own| own.places.clone()).collect();
        let places: Vec<Place<'a>> = parts.iter().map(|(place, _)| *place).collect();
        let (chance, dense_is_at_chance) = self.chance(&places, metric)?;
        let task = Task {
            name: name.to_owned(),
            protocol: None,
            dataset: None,
            group: None,
            members: members.iter().map(|own| own.task.name.clone()).collect(),
            version: None,
            metric,
            chance,
            dense_is_at_chance,
        };
        Ok(Column { task, places: parts })
    }

    /// The newest cells of some tasks, those of dense first.
    fn cells(&self, places: &[Place<'a>]) -> impl Iterator<Item = &'a CellResult> {
        places.iter().flat_map(|own| {
            let of_place = self.newest.iter().filter(move |((place, _), _)| place == own);
            of_place.map(|(_, &result)| result)
        })
    }

    /// What guessing would get of some tasks, and whether dense is no better.
    fn chance(
        &self,
        places: &[Place<'a>],
        metric: Metric,
    ) -> Result<(f64, Option<bool>), StatisticsError> {
        let first = |own: &Place<'a>| self.cells(&[*own]).next();
        let firsts: Vec<&CellResult> = places.iter().filter_map(first).collect();
        let of = |own: &&CellResult| own.choices().map(|(_, rows)| outcomes(rows));
        let answers: Vec<Outcome> = firsts.iter().filter_map(of).flatten().collect();
        let sum: f64 = answers.iter().map(|own| 1.0 / f64::from(own.n_choices)).sum();
        let chance = sum / answers.len() as f64;
        if !firsts.iter().all(|own| own.cell.recipe.is_dense()) {
            return Ok((chance, None));
        }
        let n_right = answers.iter().filter(|own| metric.is_right(own)).count();
        let dense = Proportion::new(n_right as u64, answers.len() as u64)?;
        Ok((chance, Some(at_chance(dense, chance))))
    }
}

/// Whether a share of right answers cannot be told from guessing: the score test at level .05, two-sided,
/// which rejects where the Wilson interval leaves `chance` out. Items with unequal numbers of choices
/// scatter less than it assumes, so it then errs towards "no better than guessing".
pub fn at_chance(right: Proportion, chance: f64) -> bool {
    wilson(right, ConfidenceLevel::P95).contains(chance)
}

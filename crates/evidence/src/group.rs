//! The cells of one table, in its order, and what tells two of them apart that have one key.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use plan::Calibration;

use crate::key::{Key, Subject, subject};
use crate::table_file::CellResult;

/// What tells a row apart from others of its table that look the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Distinction {
    /// Its seed.
    Seed(u64),
    /// Windows or items at most; none for all of them.
    Limit(Option<usize>),
    /// Windows or items left out at the beginning; none where it begins with the first.
    Offset(Option<usize>),
    /// The text that its sets were chosen on; none for sets that need none.
    Calibration(Option<Calibration>),
    /// The version of its code.
    Code(String),
}

/// The cells of one table, with what a row has to know of the others.
pub struct Group<'a> {
    /// In the order of the table.
    pub cells: Vec<(Key, &'a CellResult)>,
    /// The dense ones.
    pub dense: Vec<&'a CellResult>,
    of_one_key: BTreeMap<Key, Vec<&'a CellResult>>,
    has_mixed_code: bool,
    has_mixed_offsets: bool,
}

/// The cells of some results by what their table is about; those without a place in it are left out.
pub fn groups(results: &[CellResult]) -> BTreeMap<Subject<'_>, Group<'_>> {
    let mut groups: BTreeMap<_, Vec<(Key, &CellResult)>> = BTreeMap::new();
    for result in results {
        if let Some(key) = Key::of(&result.cell) {
            groups.entry(subject(&result.cell)).or_default().push((key, result));
        }
    }
    groups.into_iter().map(|(subject, cells)| (subject, Group::new(cells))).collect()
}

impl<'a> Group<'a> {
    fn new(mut cells: Vec<(Key, &'a CellResult)>) -> Self {
        cells.sort_by(order);
        let dense = cells.iter().filter(|(key, _)| key.is_dense()).map(|(_, cell)| *cell).collect();
        let mut of_one_key: BTreeMap<Key, Vec<&CellResult>> = BTreeMap::new();
        for (key, cell) in &cells {
            of_one_key.entry(*key).or_default().push(cell);
        }
        let code = |cell: &(Key, &'a CellResult)| &cell.1.provenance.code_version;
        let has_mixed_code = cells.iter().any(|cell| code(cell) != code(&cells[0]));
        let has_mixed_offsets = cells.iter().any(|cell| cell.0.offset != cells[0].0.offset);
        Group { cells, dense, of_one_key, has_mixed_code, has_mixed_offsets }
    }

    /// What tells `result` apart from the other cells of its key, and from other code.
    pub fn distinctions(&self, key: Key, result: &CellResult) -> Vec<Distinction> {
        let mut all = Vec::new();
        let cell = &result.cell;
        let alike = self.of_one_key.get(&key).map(Vec::as_slice).unwrap_or_default();
        if alike.iter().any(|other| other.cell.recipe.seed() != cell.recipe.seed()) {
            all.push(Distinction::Seed(cell.recipe.seed()));
        }
        if alike.iter().any(|other| other.cell.limit != cell.limit) {
            all.push(Distinction::Limit(cell.limit));
        }
        if self.has_mixed_offsets {
            all.push(Distinction::Offset(cell.offset));
        }
        if alike.iter().any(|other| other.cell.calibration != cell.calibration) {
            all.push(Distinction::Calibration(cell.calibration.clone()));
        }
        if self.has_mixed_code {
            all.push(Distinction::Code(result.provenance.code_version.clone()));
        }
        all
    }
}

/// The order of rows: by key, then by whatever else tells two cells apart, so that the same cells always
/// stand in the same order.
fn order((key_a, a): &(Key, &CellResult), (key_b, b): &(Key, &CellResult)) -> Ordering {
    let started = |result: &CellResult| result.provenance.started_at_ms;
    key_a
        .cmp(key_b)
        .then_with(|| a.cell.recipe.seed().cmp(&b.cell.recipe.seed()))
        .then_with(|| a.cell.limit.cmp(&b.cell.limit))
        .then_with(|| a.cell.calibration.cmp(&b.cell.calibration))
        .then_with(|| started(a).cmp(&started(b)))
        .then_with(|| a.id.cmp(&b.id))
}

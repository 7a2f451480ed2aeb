//! Which part of a search (`cargo xtask advise`) a cell belongs to.

use plan::{AdviceSpace, Cell, Stretch};

/// `search 2 of 3` or `test`: the stage that reads what the cell does; none where no stage does.
pub(crate) fn stage(space: &AdviceSpace, cell: &Cell) -> Option<String> {
    let stretches = space.stretches(cell.protocol.measure());
    let own = Stretch { offset: cell.offset.unwrap_or(0), limit: cell.limit? };
    let at = stretches.iter().position(|stretch| *stretch == own)?;
    let n = space.stages.len();
    Some(if at == n { "test".to_owned() } else { format!("search {} of {n}", at + 1) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use plan::{Keep, Measure};
    use runs::{PLAN, space_of};

    use super::*;

    /// Every stretch of the committed space has its stage, by windows and by items.
    #[test]
    fn a_cell_is_of_the_stage_that_reads_its_windows() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = fs::read_to_string(root.join("pipelines/advise.toml")).unwrap();
        let run = tempfile::tempdir().unwrap();
        fs::write(run.path().join(PLAN), text).unwrap();
        let space = space_of(run.path()).unwrap();
        for (condition, measure) in [
            ("perplexity narrative within 5 %", Measure::MeanLoss),
            ("last-word within 5 points", Measure::Proportion),
        ] {
            let keep = Keep::parse(condition, &space).unwrap();
            let of = |stretch| space.cell("m", &space.recipes[0], &keep, None, stretch);
            let cells: Vec<Cell> = space.stretches(measure).into_iter().map(of).collect();
            let found: Vec<_> = cells.iter().map(|cell| stage(&space, cell)).collect();
            let names = ["search 1 of 3", "search 2 of 3", "search 3 of 3", "test"];
            assert_eq!(found, names.map(|name| Some(name.to_owned())));
            let other = Cell { limit: None, ..cells[0].clone() };
            assert_eq!(stage(&space, &other), None);
        }
        fs::copy(root.join("pipelines/quick.toml"), run.path().join(PLAN)).unwrap();
        assert!(space_of(run.path()).is_none());
    }
}

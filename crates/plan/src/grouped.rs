//! Cells in the order in which they are run.

use std::collections::HashMap;

use crate::{Calibration, Cell, OrderedCell, Step};

/// The cells in their order, but those that run on one cut model behind the first of them, so that it is
/// cut once.
pub fn grouped<'a>(cells: &[&'a OrderedCell]) -> Vec<&'a OrderedCell> {
    let mut first: HashMap<(&str, &[Step], Option<&Calibration>), usize> = HashMap::new();
    let mut place = |(index, ordered): (usize, &&'a OrderedCell)| {
        let Cell { model, recipe, calibration, .. } = &ordered.cell;
        match recipe.cuts().next() {
            Some(_) => {
                let key = (model.as_str(), recipe.steps(), calibration.as_ref());
                *first.entry(key).or_insert(index)
            }
            None => index,
        }
    };
    let mut placed: Vec<(usize, &OrderedCell)> =
        cells.iter().enumerate().map(|(index, own)| (place((index, own)), *own)).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, cell)| cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Protocol, Recipe, Treatment};

    #[test]
    fn cells_of_one_cut_model_follow_each_other() {
        let cut = |text: &str| Recipe::new(vec![text.parse::<Step>().unwrap()], 1).unwrap();
        let wanda = cut("cut=weights,method=wanda,sparsity=0.5");
        let gptq = cut("cut=bits,method=gptq,bits=4");
        let skip = cut("skip=ffn,score=magnitude,sparsity=0.5");
        let dense = || Recipe::from(Treatment::dense(1));
        let cell = |id: usize, dataset: &str, recipe: Recipe, limit: usize| OrderedCell {
            id: id.to_string(),
            cell: Cell {
                model: "m".to_owned(),
                dataset: dataset.to_owned(),
                protocol: Protocol::LambadaOpenai,
                limit: None,
                calibration: Some(Calibration {
                    dataset: "c".to_owned(),
                    limit: Some(limit),
                    window_tokens: 16,
                }),
                recipe,
                offset: None,
                compare: None,
            },
        };
        let cells = [
            cell(0, "a", dense(), 1),
            cell(1, "a", skip.clone(), 1),
            cell(2, "a", wanda.clone(), 1),
            cell(3, "a", gptq.clone(), 1),
            cell(4, "b", dense(), 1),
            cell(5, "b", skip, 1),
            cell(6, "b", wanda.clone(), 1),
            cell(7, "b", gptq, 1),
            // Another calibration text is another model.
            cell(8, "c", wanda, 2),
        ];
        let cells: Vec<&OrderedCell> = cells.iter().collect();
        let order: Vec<&str> = grouped(&cells).iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(order, ["0", "1", "2", "6", "3", "7", "4", "5", "8"]);
    }
}

//! The sentences about the quadrants: in each, the best score that looks at a size alone beside the best
//! one that looks at the output, and chance.

use judgement::quadrants::{Kind, Quadrant, Quadrants, of_each_model, unequal_at};
use plan::{Score, shortest_decimal};

use super::finding::OfModel;
use super::unequal::sentence_at;
use crate::format::significant;

/// One a model.
pub(super) fn sentences(tables: &[Quadrants]) -> Vec<OfModel> {
    let of_table = |table: &Quadrants| Some((table.model.clone(), sentence(table)?));
    of_each_model(tables).into_iter().filter_map(of_table).collect()
}

fn sentence(table: &Quadrants) -> Option<String> {
    let quadrants = table.quadrants();
    let sparsity = table.shared_sparsity()?;
    let sentences: Vec<String> =
        quadrants.iter().map(|quadrant| of_quadrant(table, *quadrant, sparsity)).collect();
    Some(format!(
        "{} on {} ({}), part × method at κ={}, perplexity × dense: {}.{}",
        table.model,
        table.dataset,
        table.protocol,
        shortest_decimal(sparsity),
        sentences.join("; "),
        sentence_at(unequal_at(&table.lines, sparsity).as_ref()),
    ))
}

fn of_quadrant(table: &Quadrants, quadrant: Quadrant, sparsity: f64) -> String {
    let mut words = Vec::new();
    for (what, kind) in [("cheap", Kind::Cheap), ("output-aware", Kind::OutputAware)] {
        words.push(match table.best(quadrant, kind, sparsity) {
            Some((line, value)) => {
                format!("best {what} {} ({})", significant(value.value, 4), line.score)
            }
            None => format!("no {what} score"),
        });
    }
    let mut random =
        table.lines.iter().filter(|line| (line.quadrant, line.score) == (quadrant, Score::Random));
    let random = random.find_map(|line| line.at(sparsity));
    words.extend(random.map(|own| format!("random {}", significant(own.value, 4))));
    let verdict = table.cheap_suffices(quadrant, sparsity).map(|own| {
        let times = significant(own.times, 3);
        match own.suffices {
            true => format!(": the cheap rule suffices ({times} times the output-aware one)"),
            false => format!(": the cheap rule does not suffice ({times} times)"),
        }
    });
    format!("{}: {}{}", quadrant.name(), words.join(", "), verdict.unwrap_or_default())
}

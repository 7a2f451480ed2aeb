//! Which recipes are worth measuring further, in which order they are tested, and which of them are shown
//! to be equivalent to the dense model: what `cargo xtask advise` asks.
//!
//! The search narrows by what it has seen; the test looks at windows and items that the search did not see, in
//! an order that the search decided. Conditions are all required, each at the full level (Berger 1982,
//! Technometrics 24, 295–300), and recipes are tested in a fixed sequence, so that the chance of showing any
//! recipe that is not equivalent is at most α.

mod choose;
mod number;
mod paired;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use evidence::{CellResult, Run};
use plan::{AdviceAnswer, AdviceCandidate, AdviceJudged, AdviceRequest, AdviceSize, AdviceStep};
use statistics::StatisticsError;

use self::choose::{arranged, narrowed, shown};
use self::number::{searched, tested};
use self::paired::Pairs;

/// The level of each one-sided test, and with it of the whole advice.
pub const ALPHA: f64 = 0.05;
/// The chance of showing equivalence for which a number of windows or items is said.
pub const POWER: f64 = 0.8;

/// Answers a question about the tables of a run.
///
/// # Errors
/// The dense model could not be measured, or the question does not fit together.
pub fn advise(run: &Run, request: &AdviceRequest) -> Result<AdviceAnswer, String> {
    let cells = Cells::of(run);
    let dense = cells.all(&request.dense).map_err(|why| format!("the dense model: {why}"))?;
    if dense.len() != request.keeps.len() {
        return Err("the dense model has not one list of cells a condition".to_owned());
    }
    let judged: Vec<AdviceJudged> = request
        .candidates
        .iter()
        .map(|candidate| judge(&cells, &dense, candidate, request))
        .collect();
    let dense = size(&dense, request.dense.seconds);
    let order = match request.step {
        AdviceStep::Narrow(most) => narrowed(&judged, dense, request.smallest, most),
        AdviceStep::Arrange => arranged(&judged, dense, request.smallest),
        AdviceStep::Test => shown(&judged, ALPHA),
    };
    Ok(AdviceAnswer { dense, judged, order })
}

/// Finished cells by id, and why others are not.
struct Cells<'a> {
    finished: BTreeMap<&'a str, &'a CellResult>,
    run: &'a Run,
}

impl<'a> Cells<'a> {
    fn of(run: &'a Run) -> Self {
        Cells { finished: run.results.iter().map(|own| (own.id.as_str(), own)).collect(), run }
    }

    /// The cells of a candidate, by condition and stretch.
    fn all(&self, candidate: &AdviceCandidate) -> Result<Vec<Vec<&'a CellResult>>, String> {
        let one = |id: &String| {
            let found = self.finished.get(id.as_str()).copied();
            found.ok_or_else(|| {
                let failed = self.run.failures.iter().find(|failure| failure.cell_id == *id);
                failed.map_or_else(|| format!("cell {id} is missing"), |own| own.error.clone())
            })
        };
        candidate.cells.iter().map(|ids| ids.iter().map(one).collect()).collect()
    }
}

fn judge(
    cells: &Cells<'_>,
    dense: &[Vec<&CellResult>],
    candidate: &AdviceCandidate,
    request: &AdviceRequest,
) -> AdviceJudged {
    let of = || {
        let own = cells.all(candidate)?;
        let pairs = request.keeps.iter().zip(dense.iter().zip(&own));
        let numbers = pairs.map(|(keep, (dense, own))| {
            let pairs = Pairs::of(dense, own)?;
            let number = match request.step {
                AdviceStep::Test => tested(&pairs, keep),
                AdviceStep::Narrow(_) | AdviceStep::Arrange => searched(&pairs, keep),
            };
            number.map_err(|error: StatisticsError| error.to_string())
        });
        Ok::<_, String>((size(&own, candidate.seconds), numbers.collect::<Result<Vec<_>, _>>()?))
    };
    match of() {
        Ok((size, keeps)) => {
            let assurance = keeps.iter().map(|own| own.assurance).product();
            AdviceJudged { size: Some(size), keeps, assurance, failed: None }
        }
        Err(why) => {
            AdviceJudged { size: None, keeps: Vec::new(), assurance: 0.0, failed: Some(why) }
        }
    }
}

/// What is stored of a model; all of its cells say the same.
fn size(cells: &[Vec<&CellResult>], decode_seconds: Option<f64>) -> AdviceSize {
    let left = cells.iter().flatten().next().map(|own| own.left).unwrap_or_default();
    AdviceSize { stored_bytes: left.stored_bytes, parameters: left.parameters, decode_seconds }
}

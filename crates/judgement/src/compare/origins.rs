//! Where the numbers of each run come from, and in what that differs.

use evidence::pairing::{Both, Side};
use evidence::{Counted, Origins, Run, counted};
use plan::WorkOrder;
use serde::Serialize;

use super::matched::Matched;

/// One of the two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Origin {
    /// Its name.
    pub run: String,
    /// Where it lies.
    pub folder: String,
    /// The command that ordered the run, where it is known.
    pub command: Option<String>,
    /// Cells by what they measure.
    pub n_cells: usize,
    /// Finished cells left out because a newer one measured the same.
    pub n_older: usize,
    /// What computed it.
    pub devices: Vec<Counted>,
    /// Code, machines, times.
    #[serde(flatten)]
    pub origins: Origins,
}

impl Origin {
    /// Of a run with its finished cells.
    pub fn from_run(run: &Run, side: &Side<'_>) -> Origin {
        let command = |order: &WorkOrder| order.provenance.command.clone();
        Origin {
            run: run.name.clone(),
            folder: run.folder.display().to_string(),
            command: run.order.as_ref().map(command),
            n_cells: side.n_cells(),
            n_older: side.n_older,
            devices: counted(run, |from| &from.device),
            origins: Origins::from_run(run),
        }
    }
}

/// Seconds of the cells that were compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// Cells that were compared.
    pub n_cells: usize,
    /// Their seconds together.
    pub seconds: Both<f64>,
    /// How many times as fast B is: seconds of A / seconds of B; none where B took no time.
    pub ratio: Option<f64>,
}

impl Speed {
    /// Of all cells that were compared.
    pub fn from_matched(matched: &[Matched]) -> Option<Speed> {
        let compared = || matched.iter().filter(|matched| matched.compared().is_some());
        let (a, b) = compared()
            .fold((0.0, 0.0), |(a, b), matched| (a + matched.seconds.a, b + matched.seconds.b));
        let n_cells = compared().count();
        let ratio = (a > 0.0 && b > 0.0).then(|| a / b);
        (n_cells > 0).then_some(Speed { n_cells, seconds: Both { a, b }, ratio })
    }
}

/// A model or a text of one name that is another file in B.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherInput {
    /// `model`, `text`
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its hashes.
    pub sha256: Both<String>,
}

/// Models and texts that both orders name and that are other files now.
pub(super) fn other_inputs(a: &Run, b: &Run) -> Vec<OtherInput> {
    let (Some(a), Some(b)) = (&a.order, &b.order) else { return Vec::new() };
    let input = |kind, name: &String, a: &String, b: &String| {
        let sha256 = Both { a: a.clone(), b: b.clone() };
        OtherInput { kind, name: name.clone(), sha256 }
    };
    let models = a.models.iter().filter_map(|model| {
        let other = b.models.iter().find(|other| other.name == model.name)?;
        let differs =
            (&other.sha256, &other.tokenizer_sha256) != (&model.sha256, &model.tokenizer_sha256);
        differs.then(|| input("model", &model.name, &model.sha256, &other.sha256))
    });
    let texts = a.texts.iter().filter_map(|text| {
        let other = b.texts.iter().find(|other| other.name == text.name)?;
        let identity = |text: &plan::TextInput| text.reading.identity(&text.sha256);
        let differs = identity(text) != identity(other);
        differs.then(|| input("text", &text.name, &text.sha256, &other.sha256))
    });
    models.chain(texts).collect()
}

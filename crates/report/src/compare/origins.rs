//! Where the numbers of each run come from, and in what that differs.

use plan::WorkOrder;
use serde::Serialize;

use crate::compare::Both;
use crate::compare::Matched;
use crate::compare::matching::Side;
use crate::format::{count, significant};
use crate::provenance::{Counted, Origins, counted};
use crate::row::short;
use crate::run::Run;

/// One of the two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Origin {
    pub(crate) run: String,
    pub(crate) folder: String,
    /// The command that ordered the run, where it is known.
    pub(crate) command: Option<String>,
    /// Cells by what they measure.
    pub(crate) n_cells: usize,
    /// Finished cells left out because a newer one measured the same.
    pub(crate) n_older: usize,
    pub(crate) devices: Vec<Counted>,
    #[serde(flatten)]
    pub(crate) origins: Origins,
}

impl Origin {
    pub(crate) fn of(run: &Run, side: &Side<'_>) -> Origin {
        let command = |order: &WorkOrder| order.provenance.command.clone();
        Origin {
            run: run.name.clone(),
            folder: run.folder.display().to_string(),
            command: run.order.as_ref().map(command),
            n_cells: side.n_cells(),
            n_older: side.n_older,
            devices: counted(run, |from| &from.device),
            origins: Origins::of(run),
        }
    }
}

/// Seconds of the cells that were compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Speed {
    pub(crate) n_cells: usize,
    pub(crate) seconds: Both<f64>,
    /// How many times as fast B is: seconds of A / seconds of B; none where B took no time.
    pub(crate) ratio: Option<f64>,
}

impl Speed {
    pub(crate) fn of(matched: &[Matched]) -> Option<Speed> {
        let compared = || matched.iter().filter(|matched| matched.compared().is_some());
        let (a, b) = compared()
            .fold((0.0, 0.0), |(a, b), matched| (a + matched.seconds.a, b + matched.seconds.b));
        let n_cells = compared().count();
        let ratio = (a > 0.0 && b > 0.0).then(|| a / b);
        (n_cells > 0).then_some(Speed { n_cells, seconds: Both { a, b }, ratio })
    }
}

/// What differs besides the numbers: code, machine, inputs of the orders, speed.
pub(crate) fn differences(
    a: &Run,
    b: &Run,
    origins: &Both<Origin>,
    speed: Option<&Speed>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut same = Vec::new();
    let fields = |origin: &Origin| {
        let from = &origin.origins;
        [
            ("code version", values(&from.code_versions)),
            ("revision", values(&from.revisions)),
            ("versions", values(&from.versions)),
            ("host", values(&from.hosts)),
            ("processor", values(&from.cpus)),
            ("device", values(&origin.devices)),
        ]
    };
    for ((what, a), (_, b)) in fields(&origins.a).into_iter().zip(fields(&origins.b)) {
        if a == b {
            same.push(format!("{what} {a}"));
        } else {
            lines.push(format!("{what}: A {a}; B {b}"));
        }
    }
    if let (Some(a), Some(b)) = (&a.order, &b.order) {
        lines.extend(inputs(a, b));
    }
    if let Some(Speed { n_cells, seconds, ratio }) = speed {
        let times = ratio.map_or(String::new(), |ratio| {
            format!(": B is {} times as fast", significant(ratio, 3))
        });
        let (a, b) = (significant(seconds.a, 4), significant(seconds.b, 4));
        let cells = count(*n_cells, "compared cell");
        lines.push(format!("seconds of the {cells}: A {a}, B {b}{times}"));
    }
    for (name, origin) in [("A", &origins.a), ("B", &origins.b)] {
        if origin.n_older > 0 {
            let cells = count(origin.n_older, "cell");
            lines.push(format!("of {name} left out: {cells} that a newer one measured again"));
        }
    }
    if !same.is_empty() {
        lines.push(format!("the same in both: {}", same.join(", ")));
    }
    lines
}

/// Models and texts of one name that are other files now.
fn inputs(a: &WorkOrder, b: &WorkOrder) -> Vec<String> {
    let models = a.models.iter().filter_map(|model| {
        let other = b.models.iter().find(|other| other.name == model.name)?;
        let differs =
            (&other.sha256, &other.tokenizer_sha256) != (&model.sha256, &model.tokenizer_sha256);
        let (a, b) = (short(&model.sha256), short(&other.sha256));
        differs.then(|| format!("model {}: A {a}, B {b}", model.name))
    });
    let texts = a.texts.iter().filter_map(|text| {
        let other = b.texts.iter().find(|other| other.name == text.name)?;
        let identity = |text: &plan::TextInput| text.reading.identity(&text.sha256);
        let (a, b) = (short(&text.sha256), short(&other.sha256));
        (identity(text) != identity(other)).then(|| format!("text {}: A {a}, B {b}", text.name))
    });
    models.chain(texts).collect()
}

/// `x`, or `x (3 cells), y (1 cell)`.
fn values(values: &[Counted]) -> String {
    match values {
        [] => "unknown".to_owned(),
        [only] => only.value.clone(),
        many => {
            let one = |own: &Counted| format!("{} ({})", own.value, count(own.n_cells, "cell"));
            many.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

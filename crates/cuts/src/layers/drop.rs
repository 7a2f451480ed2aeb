//! Leaving out layers.

use std::sync::Arc;

use models::Layered;

use super::{LayerDistances, with_other_layers};
use crate::{CutError, Slim, Watch, draws::Draws, names::by_name};

/// How the layers that go are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropScore {
    /// Consecutive layers that turn the last token's stream least (Gromov et al. 2024, arXiv:2403.17887):
    /// [`LayerDistances::angular`].
    Angular,
    /// Layers that turn all tokens' streams least, consecutive or not (Men et al. 2024,
    /// arXiv:2403.03853): [`LayerDistances::influence`].
    Influence,
    /// The last ones before the final layer, which stays.
    Last,
    /// Seeded; the control.
    Random,
}

/// All of them by their names.
pub const LAYER_SCORES: [(&str, DropScore); 4] = [
    ("angular", DropScore::Angular),
    ("influence", DropScore::Influence),
    ("last", DropScore::Last),
    ("random", DropScore::Random),
];

impl DropScore {
    /// The score of this name.
    ///
    /// # Errors
    /// No such name.
    pub fn named(name: &str) -> Result<Self, CutError> {
        by_name(name, &LAYER_SCORES)
    }

    /// Whether it looks at a calibration text.
    pub fn needs_text(self) -> bool {
        matches!(self, Self::Angular | Self::Influence)
    }
}

/// A drop of some layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerDrop {
    /// How they are chosen.
    pub score: DropScore,
    /// How many go.
    pub n: usize,
    /// Of [`DropScore::Random`].
    pub seed: u64,
}

/// A model without some layers.
pub struct Dropped {
    /// What is left.
    pub slim: Slim,
    /// Layers that went, ascending, as they were counted before.
    pub layers: Vec<usize>,
    /// What they were chosen by, where it was measured.
    pub distances: Option<LayerDistances>,
}

/// Leaves out `n` layers; on ties the lower ones. `None` where the watch says stop.
///
/// # Errors
/// `n` that is zero or leaves no layer, a score that needs text and has none, and what the model refuses.
pub fn drop_layers(
    slim: &Slim,
    cut: &LayerDrop,
    windows: &[Vec<u32>],
    watch: &Watch<'_>,
) -> Result<Option<Dropped>, CutError> {
    let layers = slim.model.facts().layers;
    if cut.n == 0 || cut.n >= layers {
        let reason = format!("is {}; of {layers} layers 1 to {} can go", cut.n, layers - 1);
        return Err(CutError::Setting { setting: "n", reason });
    }
    if cut.score.needs_text() && windows.iter().all(Vec::is_empty) {
        return Err(CutError::NoText);
    }
    let model = slim.model.as_ref();
    let (mut dropped, distances) = match cut.score {
        DropScore::Angular => {
            let Some(distances) = LayerDistances::angular(model, cut.n, windows, watch)? else {
                return Ok(None);
            };
            let first = distances.least();
            ((first..first + cut.n).collect(), Some(distances))
        }
        DropScore::Influence => {
            let Some(distances) = LayerDistances::influence(model, windows, watch)? else {
                return Ok(None);
            };
            let mut order = distances.in_order();
            order.truncate(cut.n);
            (order, Some(distances))
        }
        DropScore::Last => ((layers - 1 - cut.n..layers - 1).collect(), None),
        DropScore::Random => (Draws::new(cut.seed, "layers").choice(layers, cut.n), None),
    };
    dropped.sort_unstable();
    let left = Layered::without(Arc::from(slim.shared().model), &dropped)?;
    let slim = with_other_layers(slim, Box::new(left));
    (watch.progress)(1, 1);
    Ok(Some(Dropped { slim, layers: dropped, distances }))
}

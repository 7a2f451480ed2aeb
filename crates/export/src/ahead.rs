//! What is known of a cut model before it is cut, so that a form is refused at once and not after hours.

use cuts::Storage;
use models::{ModelFacts, Saved};

/// What cuts that are still to come are known to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Inputs that share a scale, of the last step that rounds; none where no step does.
    pub group: Option<usize>,
    /// Neurons of a feed-forward block, where steps cut them.
    pub neurons: Option<usize>,
    /// Whether other steps change how many inputs a matrix has: then nothing is said of inputs.
    pub other_widths: bool,
}

impl Ahead {
    /// Inputs of a matrix that has so many before the cuts; none where that is not sure.
    fn inputs(&self, now: usize, facts: &ModelFacts) -> Option<usize> {
        if self.other_widths {
            return None;
        }
        let Some(neurons) = self.neurons else { return Some(now) };
        if now != facts.neurons {
            return Some(now);
        }
        // A matrix of another kind may be as wide by chance.
        let others = [facts.d_model, facts.attention_width / facts.layers.max(1)];
        (facts.state.is_none() && !others.contains(&now)).then_some(neurons)
    }
}

/// Why rounded matrices of a model cannot be packed.
pub(crate) fn packed(
    saved: &Saved,
    storage: &Storage,
    facts: &ModelFacts,
    ahead: &Ahead,
) -> Result<(), String> {
    let group = ahead.group.ok_or(crate::packed::NOT_ROUNDED)?;
    for tensor in &saved.tensors {
        let Some(stored) = tensor.linear.as_ref().and_then(|name| storage.matrices.get(&**name))
        else {
            continue;
        };
        let [_, columns] = crate::packed::shape(tensor, stored)?;
        if let Some(columns) = ahead.inputs(columns, facts) {
            crate::packed::fills(&tensor.name, columns, group)?;
        }
    }
    Ok(())
}

/// Why rows of a model do not fill the blocks of a type of GGUF.
pub(crate) fn blocks(
    saved: &Saved,
    block: usize,
    facts: &ModelFacts,
    ahead: &Ahead,
) -> Result<(), String> {
    for tensor in saved.tensors.iter().filter(|tensor| tensor.shape.len() == 2) {
        let row = tensor.shape.last().copied().unwrap_or(1);
        let row = if tensor.linear.is_some() { ahead.inputs(row, facts) } else { Some(row) };
        if let Some(row) = row {
            crate::gguf::fills(&tensor.name, row, block)?;
        }
    }
    Ok(())
}

//! Rotation of the residual stream.

use models::{Device, Model};
use plan::Step;

use super::{Cut, Done, Ground};
use crate::{CutError, Slim, rotate};

/// See [`rotate`].
pub(super) struct Rotate;

impl Cut for Rotate {
    fn kind(&self) -> &'static str {
        "rotate"
    }

    fn cut(&self, _: &Step, slim: &Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        let slim = rotate(slim, ground.seed, &device(&*slim.model))?;
        Ok(Some(Done { slim, dropped: 0.0, lacks_units: false }))
    }
}

/// Where the model's weights lie.
fn device(model: &dyn Model) -> Device {
    let linears = (0..model.facts().layers).flat_map(|layer| model.linears(layer));
    let first = linears.flat_map(|of| of.parts).next();
    first.map_or_else(Device::flex, |part| part.weight.device())
}

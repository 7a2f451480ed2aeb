//! Rotation of the residual stream.

use plan::Step;

use super::{Cut, Done, Ground};
use crate::{CutError, Slim, rotate};

/// See [`rotate`].
pub(super) struct Rotate;

impl Cut for Rotate {
    fn kind(&self) -> &'static str {
        "rotate"
    }

    fn cut(&self, _: &Step, slim: Slim, ground: &Ground<'_>) -> Result<Option<Done>, CutError> {
        let slim = rotate(&slim, ground.seed)?;
        Ok(Some(Done { slim, dropped: None, lacks_units: false }))
    }
}

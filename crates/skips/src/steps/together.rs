//! Several skips in one forward pass, each on its own part.

use models::{Executor, ExecutorError, FfnSite, RecurrentState, StateInputs, StateSite, Tensor};

use super::Running;
use crate::{Measuring, Shares};

/// One executor for neurons and one for state channels.
///
/// Their shares are added up: what a sequence drops is what both of them drop.
pub struct Together {
    neurons: Box<dyn Running>,
    channels: Box<dyn Running>,
}

impl Together {
    /// The first executor computes feed-forward blocks, the second steps recurrent states.
    pub fn new(neurons: Box<dyn Running>, channels: Box<dyn Running>) -> Self {
        Self { neurons, channels }
    }
}

impl Clone for Together {
    fn clone(&self) -> Self {
        Self { neurons: self.neurons.fresh(), channels: self.channels.fresh() }
    }
}

impl Executor for Together {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        self.neurons.ffn(site, x)
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        self.channels.state(site, inputs, past)
    }
}

impl Measuring for Together {
    fn take_shares(&mut self) -> Vec<Shares> {
        let (mut shares, others) = (self.neurons.take_shares(), self.channels.take_shares());
        shares.resize(shares.len().max(others.len()), Shares::default());
        for (own, other) in shares.iter_mut().zip(&others) {
            own.add(other);
        }
        shares
    }

    fn takes_pieces(&self) -> bool {
        self.neurons.takes_pieces() && self.channels.takes_pieces()
    }
}

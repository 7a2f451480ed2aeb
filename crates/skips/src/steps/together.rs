//! Several skips in one forward pass, each on its own part.

use models::{
    AttentionInputs, AttentionSite, Dense, Executor, ExecutorError, FfnSite, KvCache, LayerEnd,
    RecurrentState, StateInputs, StateSite, Tensor,
};

use super::Running;
use crate::{Measuring, Shares};

/// One executor for each part that something is skipped of.
///
/// Their shares are added up: what a sequence drops is what all of them drop.
pub struct Together {
    neurons: Option<Box<dyn Running>>,
    channels: Option<Box<dyn Running>>,
    heads: Option<Box<dyn Running>>,
    exits: Option<Box<dyn Running>>,
}

impl Together {
    /// The first executor computes feed-forward blocks, the second steps recurrent states, the third mixes
    /// what heads see, the fourth says what goes on from layer to layer. None where nothing is skipped; one
    /// alone is that executor itself.
    pub fn of(parts: [Option<Box<dyn Running>>; 4]) -> Option<Box<dyn Running>> {
        if parts.iter().flatten().count() < 2 {
            return parts.into_iter().flatten().next();
        }
        let [neurons, channels, heads, exits] = parts;
        Some(Box::new(Self { neurons, channels, heads, exits }))
    }

    fn parts(&self) -> impl Iterator<Item = &dyn Running> {
        let parts = [&self.neurons, &self.channels, &self.heads, &self.exits];
        parts.into_iter().flatten().map(Box::as_ref)
    }
}

impl Clone for Together {
    fn clone(&self) -> Self {
        let fresh = |own: &Option<Box<dyn Running>>| own.as_ref().map(|own| own.fresh());
        Self {
            neurons: fresh(&self.neurons),
            channels: fresh(&self.channels),
            heads: fresh(&self.heads),
            exits: fresh(&self.exits),
        }
    }
}

impl Executor for Together {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        match &mut self.neurons {
            Some(neurons) => neurons.ffn(site, x),
            None => Dense.ffn(site, x),
        }
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        match &mut self.channels {
            Some(channels) => channels.state(site, inputs, past),
            None => Dense.state(site, inputs, past),
        }
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        match &mut self.heads {
            Some(heads) => heads.attention(site, inputs, past),
            None => Dense.attention(site, inputs, past),
        }
    }

    fn layer_end(
        &mut self,
        end: &LayerEnd<'_>,
        stream: Tensor<2>,
    ) -> Result<Tensor<2>, ExecutorError> {
        match &mut self.exits {
            Some(exits) => exits.layer_end(end, stream),
            None => Ok(stream),
        }
    }
}

impl Measuring for Together {
    fn take_shares(&mut self) -> Vec<Shares> {
        let mut sum: Vec<Shares> = Vec::new();
        let parts = [&mut self.neurons, &mut self.channels, &mut self.heads, &mut self.exits];
        for part in parts.into_iter().flatten() {
            let own = part.take_shares();
            sum.resize(sum.len().max(own.len()), Shares::default());
            sum.iter_mut().zip(&own).for_each(|(sum, own)| sum.add(own));
        }
        sum
    }

    fn takes_pieces(&self) -> bool {
        self.parts().all(Measuring::takes_pieces)
    }
}

//! Zamba2 as a checkpoint: a shared block is stored under the first layer that uses it, with the adapters
//! of all its uses.

use burn::tensor::Tensor;

use super::{Use, Zamba2};
use crate::{Linear, SaveError, Saved, saved::one_width};

impl Zamba2 {
    /// Only these layers, in this order. Where those that are left do not use the blocks in turn any more,
    /// as the format has it, a block is stored once for each of its uses.
    pub(super) fn saved(&self, layers: &[usize]) -> Result<Saved, SaveError> {
        let mut saved = Saved::default();
        saved.matrix("model.embed_tokens.weight", &self.embedding);
        let uses: Vec<(usize, &Use)> = layers
            .iter()
            .enumerate()
            .filter_map(|(number, layer)| Some((number, self.layers[*layer].shared.as_ref()?)))
            .collect();
        if uses.iter().any(|(_, own)| !own.block.attention.is_square()) {
            return Err(SaveError::Heads { family: "Zamba2" });
        }
        let numbers: Vec<usize> = uses.iter().map(|(_, own)| own.number).collect();
        let blocks = blocks_in_turn(&numbers);
        for (index, (number, own)) in uses.iter().enumerate() {
            saved.linear(&format!("model.layers.{number}.linear"), &own.linear);
            // Where the head is not tied transformers ties nothing, and every use has the whole block.
            if index < blocks || !self.config.tie_word_embeddings {
                let at = format!("model.layers.{number}.shared_transformer");
                save_block(own, &at, &mut saved);
                for index in (index % blocks..uses.len()).step_by(blocks) {
                    save_adapters(uses[index].1, &at, index, &mut saved);
                }
            }
        }
        if blocks < uses.len() && !self.config.tie_word_embeddings {
            saved.notes.push(format!(
                "the {blocks} shared blocks are stored once for each of their {} uses, since transformers \
                 shares nothing where the head is not the embedding",
                uses.len()
            ));
        } else if blocks > self.config.num_mem_blocks {
            saved.notes.push(format!(
                "the uses that are left do not take the {} shared blocks in turn, as the format has it: a \
                 block is stored once for each of its {blocks} uses",
                self.config.num_mem_blocks
            ));
        }
        for (number, layer) in layers.iter().enumerate() {
            let layer = &self.layers[*layer];
            let within = if layer.shared.is_some() { ".mamba_decoder" } else { "" };
            let at = format!("model.layers.{number}{within}");
            saved.vector(format!("{at}.input_layernorm.weight"), &layer.norm.weight);
            layer.mixer.save(&format!("{at}.mamba"), &mut saved);
        }
        saved.vector("model.final_layernorm.weight", &self.norm.weight);
        if !self.config.tie_word_embeddings {
            saved.matrix("lm_head.weight", &self.head);
        }
        self.save_fields(layers, &uses, blocks, &mut saved)?;
        Ok(saved)
    }

    fn save_fields(
        &self,
        layers: &[usize],
        uses: &[(usize, &Use)],
        blocks: usize,
        saved: &mut Saved,
    ) -> Result<(), SaveError> {
        // The older of the two words for a layer without a block, which every release reads.
        let kind = |layer: &usize| match self.layers[*layer].shared {
            Some(_) => "hybrid",
            None => "mamba",
        };
        saved.field("num_hidden_layers", layers.len());
        saved.field("tie_word_embeddings", self.config.tie_word_embeddings);
        saved.field("layers_block_type", layers.iter().map(kind).collect::<Vec<_>>());
        saved.field("hybrid_layer_ids", uses.iter().map(|(at, _)| *at).collect::<Vec<_>>());
        if !uses.is_empty() {
            saved.field("num_mem_blocks", blocks);
        }
        let neurons = uses.iter().map(|(_, own)| own.block.ffn.neurons());
        if let Some(neurons) = one_width("intermediate_size", neurons)? {
            saved.field("intermediate_size", neurons);
        }
        let channels = layers.iter().map(|layer| self.layers[*layer].mixer.shape().channels);
        if let Some(channels) = one_width("mamba_d_state", channels)? {
            saved.field("mamba_d_state", channels);
        }
        // transformers knows a least time step only, and reads it here.
        let [least, most] = self.config.mixer.dt_limits;
        if most.is_finite() {
            return Err(SaveError::TimeSteps { most: most.to_string() });
        }
        saved.field("time_step_min", least);
        saved.gone.push("time_step_limit");
        Ok(())
    }
}

/// How many blocks, taken in turn, give these uses; as many as there are uses where no fewer do.
fn blocks_in_turn(uses: &[usize]) -> usize {
    let fits = |blocks: &usize| {
        let differ = (0..*blocks).all(|i| !uses[..i].contains(&uses[i]));
        differ && uses.iter().enumerate().all(|(i, own)| *own == uses[i % blocks])
    };
    (1..uses.len()).find(fits).unwrap_or(uses.len())
}

fn save_block(own: &Use, at: &str, saved: &mut Saved) {
    let block = &own.block;
    saved.vector(format!("{at}.input_layernorm.weight"), &block.norm.weight);
    let attention = &block.attention;
    for (name, linear) in [
        ("q_proj", &attention.query),
        ("k_proj", &attention.key),
        ("v_proj", &attention.value),
        ("o_proj", &attention.output),
    ] {
        saved.linear(&format!("{at}.self_attn.{name}"), linear);
    }
    saved.vector(format!("{at}.pre_ff_layernorm.weight"), &block.ffn_norm.weight);
    let parts: Vec<&Linear> = block.ffn.gate.iter().chain([&block.ffn.up]).collect();
    saved.linears(&format!("{at}.feed_forward.gate_up_proj"), &parts);
    saved.linear(&format!("{at}.feed_forward.down_proj"), &block.ffn.down);
}

/// Those of one use, which has this number among all uses.
fn save_adapters(own: &Use, at: &str, index: usize, saved: &mut Saved) {
    let attention = &own.block.attention;
    for (part, linear) in [("q", &attention.query), ("k", &attention.key), ("v", &attention.value)]
    {
        if let Some(adapter) = &linear.adapter {
            let at = format!("{at}.self_attn.linear_{part}_adapter_list.{index}");
            saved.turned(format!("{at}.0.weight"), &[&adapter.down]);
            saved.turned(format!("{at}.1.weight"), &[&adapter.up]);
        }
    }
    let parts = own.block.ffn.gate.iter().chain([&own.block.ffn.up]);
    let adapters: Vec<_> = parts.filter_map(|part| part.adapter.as_ref()).collect();
    if let Some(first) = adapters.first() {
        let at = format!("{at}.feed_forward.gate_up_proj_adapter_list.{index}");
        let ups: Vec<&Tensor<2>> = adapters.iter().map(|adapter| &adapter.up).collect();
        saved.turned(format!("{at}.0.weight"), &[&first.down]);
        saved.turned(format!("{at}.1.weight"), &ups);
    }
}

#[cfg(test)]
mod tests {
    use super::blocks_in_turn;

    #[test]
    fn blocks_are_shared_as_long_as_they_take_turns() {
        for (uses, blocks) in [
            (&[0][..], 1),
            (&[0, 0, 0], 1),
            (&[0, 1, 0, 1, 0], 2),
            (&[1, 0, 1], 2),
            (&[0, 0, 1], 3),
            (&[0, 1, 1, 0], 4),
            (&[], 0),
        ] {
            assert_eq!(blocks_in_turn(uses), blocks, "{uses:?}");
        }
    }
}

//! Zamba2's weights: shared blocks are stored once, with the adapters of all their uses.

use super::{Block, Layer, Use, Zamba2, config::Zamba2Config};
use crate::{
    Ffn, Linear, LowRank, Model,
    error::LoadError,
    nn::{Attention, RmsNorm},
    weights::{Dim, Weights},
};

impl Zamba2Config {
    /// The model with its weights.
    pub(super) fn load_model(&self, w: &mut Weights<'_>) -> Result<Box<dyn Model>, LoadError> {
        let d_model = Dim("hidden_size", self.hidden_size);
        let vocabulary = Dim("vocab_size", self.vocab_size);
        let (tied, name) = (self.tie_word_embeddings, "model.embed_tokens.weight");
        let embedding = w.embedding(tied, name, [vocabulary, d_model])?;
        if let Some(rope) = &self.rope {
            w.frequencies("model.rotary_emb.inv_freq", rope)?;
        }
        let mut uses = self.load_uses(w)?.into_iter();
        let layers = self.hybrid.iter().enumerate().map(|(layer, hybrid)| {
            let (shared, at) = match hybrid {
                true => (uses.next(), format!("model.layers.{layer}.mamba_decoder")),
                false => (None, format!("model.layers.{layer}")),
            };
            Ok(Layer {
                shared,
                norm: self.norm(w, &format!("{at}.input_layernorm.weight"), d_model)?,
                mixer: self.mixer.load(w, &format!("{at}.mamba"))?,
            })
        });
        let layers = layers.collect::<Result<Vec<_>, LoadError>>()?;
        let norm = self.norm(w, "model.final_layernorm.weight", d_model)?;
        let head = w.head(tied, (name, &embedding), [vocabulary, d_model])?;
        Ok(Box::new(Zamba2 { config: self.clone(), embedding, layers, norm, head }))
    }

    fn load_block(&self, at: &str, w: &mut Weights<'_>) -> Result<Block, LoadError> {
        let d_model = Dim("hidden_size", self.hidden_size);
        let both = Dim("2·hidden_size", 2 * self.hidden_size);
        let [query, kv] = self.attention_widths();
        let query = Dim("num_attention_heads·attention_head_dim", query);
        let kv = Dim("num_key_value_heads·attention_head_dim", kv);
        let neurons = Dim("intermediate_size", self.intermediate_size);
        let gate_up = Dim("2·intermediate_size", 2 * self.intermediate_size);
        let (attention, ffn) = (format!("{at}.self_attn"), format!("{at}.feed_forward"));
        let mut linear =
            |name: &str, from, to| w.linear(&format!("{attention}.{name}"), from, to, false);
        let attention = Attention {
            query: linear("q_proj", both, query)?,
            key: linear("k_proj", both, kv)?,
            value: linear("v_proj", both, kv)?,
            output: linear("o_proj", query, d_model)?,
            norms: None,
            shape: self.attention,
        };
        let [gate, up] =
            w.linear_pair(&format!("{ffn}.gate_up_proj"), d_model, gate_up, self.bias)?;
        let ffn = Ffn {
            gate: Some(gate),
            up,
            down: w.linear(&format!("{ffn}.down_proj"), neurons, d_model, self.bias)?,
            activation: self.activation,
        };
        if let Some(rope) = &self.rope {
            w.frequencies(&format!("{at}.self_attn.rotary_emb.inv_freq"), rope)?;
        }
        Ok(Block {
            norm: self.norm(w, &format!("{at}.input_layernorm.weight"), both)?,
            attention,
            ffn_norm: self.norm(w, &format!("{at}.pre_ff_layernorm.weight"), d_model)?,
            ffn,
        })
    }

    /// A shared block with the adapters of its use number `index`, counted over all blocks.
    fn adapted(
        &self,
        block: &Block,
        at: &str,
        index: usize,
        w: &mut Weights<'_>,
    ) -> Result<Block, LoadError> {
        let d_model = Dim("hidden_size", self.hidden_size);
        let both = Dim("2·hidden_size", 2 * self.hidden_size);
        let rank = Dim("adapter_rank", self.adapter_rank);
        let gate_up = Dim("2·intermediate_size", 2 * self.intermediate_size);
        let mut block = block.clone();
        if self.attention_adapters {
            let Attention { query, key, value, .. } = &mut block.attention;
            for (part, linear) in [("q", query), ("k", key), ("v", value)] {
                let at = format!("{at}.self_attn.linear_{part}_adapter_list.{index}");
                linear.adapter = Some(LowRank {
                    down: w.linear(&format!("{at}.0"), both, rank, false)?.weight,
                    up: w.linear(&format!("{at}.1"), rank, both, false)?.weight,
                });
            }
        }
        let at = format!("{at}.feed_forward.gate_up_proj_adapter_list.{index}");
        let down = w.linear(&format!("{at}.0"), d_model, rank, false)?.weight;
        let [gate, up] = w.linear_pair(&format!("{at}.1"), rank, gate_up, false)?;
        let adapter = |up: Linear| Some(LowRank { down: down.clone(), up: up.weight });
        if let Some(linear) = &mut block.ffn.gate {
            linear.adapter = adapter(gate);
        }
        block.ffn.up.adapter = adapter(up);
        Ok(block)
    }

    fn norm(&self, w: &mut Weights<'_>, name: &str, width: Dim) -> Result<RmsNorm, LoadError> {
        Ok(RmsNorm { weight: w.vector(name, width)?, epsilon: self.rms_norm_eps })
    }

    /// All uses. A block is stored under the first layer that uses it.
    fn load_uses(&self, w: &mut Weights<'_>) -> Result<Vec<Use>, LoadError> {
        let d_model = Dim("hidden_size", self.hidden_size);
        let layers = self.uses();
        let mut blocks: Vec<Block> = Vec::new();
        let mut uses = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let number = index % self.num_mem_blocks;
            let at = format!("model.layers.{}.shared_transformer", layers[number]);
            if index == number {
                blocks.push(self.load_block(&at, w)?);
            } else {
                // Some files repeat the shared weights under every layer.
                let start = format!("model.layers.{layer}.shared_transformer.");
                w.repeats_under(&start, &format!("{at}."))?;
            }
            let linear = format!("model.layers.{layer}.linear");
            uses.push(Use {
                block: self.adapted(&blocks[number], &at, index, w)?,
                number,
                linear: w.linear(&linear, d_model, d_model, false)?,
            });
        }
        Ok(uses)
    }
}

//! The model families of GGUF, and their names for tensors beside those of the Hugging Face format
//! (the tables of llama.cpp's `gguf-py` and of its converter).

/// A value of `general.architecture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
}

impl Family {
    /// The values that are read.
    pub(super) const KNOWN: [&str; 4] = ["llama", "qwen2", "qwen3", "gemma3"];

    pub(super) fn of(architecture: &str) -> Option<Self> {
        Some(match architecture {
            "llama" => Self::Llama,
            "qwen2" => Self::Qwen2,
            "qwen3" => Self::Qwen3,
            "gemma3" => Self::Gemma3,
            _ => return None,
        })
    }

    /// What the keys of its metadata start with.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
        }
    }

    /// The Hugging Face name of a tensor; `None` where the family has no such tensor.
    pub(super) fn hub_name(self, name: &str) -> Option<String> {
        match name {
            "token_embd.weight" => return Some("model.embed_tokens.weight".to_owned()),
            "output_norm.weight" => return Some("model.norm.weight".to_owned()),
            "output.weight" => return Some("lm_head.weight".to_owned()),
            _ => {}
        }
        let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
        let (part, kind) = part.split_once('.')?;
        let part = self.part(part)?;
        Some(format!("model.layers.{layer}.{part}.{kind}"))
    }

    fn part(self, part: &str) -> Option<&'static str> {
        Some(match (part, self) {
            ("attn_norm", _) => "input_layernorm",
            ("attn_q", _) => "self_attn.q_proj",
            ("attn_k", _) => "self_attn.k_proj",
            ("attn_v", _) => "self_attn.v_proj",
            ("attn_output", _) => "self_attn.o_proj",
            ("attn_q_norm", Self::Qwen3 | Self::Gemma3) => "self_attn.q_norm",
            ("attn_k_norm", Self::Qwen3 | Self::Gemma3) => "self_attn.k_norm",
            ("ffn_gate", _) => "mlp.gate_proj",
            ("ffn_up", _) => "mlp.up_proj",
            ("ffn_down", _) => "mlp.down_proj",
            // Gemma has norms behind its blocks too, so the one in front of the second has its own name.
            ("ffn_norm", Self::Gemma3) => "pre_feedforward_layernorm",
            ("post_attention_norm", Self::Gemma3) => "post_attention_layernorm",
            ("post_ffw_norm", Self::Gemma3) => "post_feedforward_layernorm",
            ("ffn_norm", _) => "post_attention_layernorm",
            _ => return None,
        })
    }

    /// What the converter did to a tensor besides its number type, to be undone.
    pub(super) fn change(self, name: &str) -> Change {
        let part = name.strip_prefix("blk.").and_then(|rest| rest.split('.').nth(1));
        match (self, part) {
            (Self::Llama, Some("attn_q")) => Change::Interleaved("attention.head_count"),
            (Self::Llama, Some("attn_k")) => Change::Interleaved("attention.head_count_kv"),
            (Self::Gemma3, _) if name.ends_with("norm.weight") => Change::PlusOne,
            _ => Change::None,
        }
    }
}

/// A change of values between the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// The two halves of every head are interleaved row by row, since llama.cpp turns neighbours where
    /// the Hugging Face code turns row `i` with row `i + head_dim/2`. The key says how many heads.
    Interleaved(&'static str),
    /// One is added, since Hugging Face's Gemma multiplies with `1 + weight`.
    PlusOne,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_family() {
        let name = |family: Family, name| family.hub_name(name);
        let llama = name(Family::Llama, "blk.12.ffn_norm.weight");
        assert_eq!(llama.unwrap(), "model.layers.12.post_attention_layernorm.weight");
        let qwen = name(Family::Qwen2, "blk.0.attn_q.bias");
        assert_eq!(qwen.unwrap(), "model.layers.0.self_attn.q_proj.bias");
        let gemma = name(Family::Gemma3, "blk.3.ffn_norm.weight");
        assert_eq!(gemma.unwrap(), "model.layers.3.pre_feedforward_layernorm.weight");
        assert_eq!(name(Family::Llama, "blk.3.attn_q_norm.weight"), None);
        assert_eq!(name(Family::Llama, "rope_freqs.weight"), None);
        assert_eq!(Family::Qwen2.change("blk.0.attn_q.weight"), Change::None);
        assert_eq!(Family::Gemma3.change("blk.0.attn_q_norm.weight"), Change::PlusOne);
    }

    #[test]
    fn every_known_family_is_found_by_its_key() {
        for key in Family::KNOWN {
            assert_eq!(Family::of(key).unwrap().key(), key);
        }
    }
}

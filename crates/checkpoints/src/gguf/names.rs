//! The model families of GGUF, and their names for tensors beside those of the Hugging Face format
//! (the tables of llama.cpp's `gguf-py` and of its converter).

/// Tensors of no layer.
const OUTER: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Parts of a layer that every family has.
const COMMON: [(&str, &str); 8] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

const NORM_OF_FFN: (&str, &str) = ("ffn_norm", "post_attention_layernorm");

const HEAD_NORMS: [(&str, &str); 2] =
    [("attn_q_norm", "self_attn.q_norm"), ("attn_k_norm", "self_attn.k_norm")];

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
        if let Some((_, hub)) = OUTER.iter().find(|(own, _)| *own == name) {
            return Some((*hub).to_owned());
        }
        let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
        let (part, kind) = part.split_once('.')?;
        let (_, part) = self.parts().find(|(own, _)| *own == part)?;
        Some(format!("model.layers.{layer}.{part}.{kind}"))
    }

    /// The name that a tensor of the Hugging Face format has in a file; `None` where the family has no such
    /// tensor.
    pub(super) fn file_name(self, hub: &str) -> Option<String> {
        if let Some((own, _)) = OUTER.iter().find(|(_, other)| *other == hub) {
            return Some((*own).to_owned());
        }
        let (layer, part) = hub.strip_prefix("model.layers.")?.split_once('.')?;
        let (part, kind) = part.rsplit_once('.')?;
        let (own, _) = self.parts().find(|(_, other)| *other == part)?;
        Some(format!("blk.{layer}.{own}.{kind}"))
    }

    /// The parts of a layer: the name in a file, and that of the Hugging Face format.
    fn parts(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own: &[_] = match self {
            Self::Llama | Self::Qwen2 => &[NORM_OF_FFN],
            Self::Qwen3 => &[NORM_OF_FFN, HEAD_NORMS[0], HEAD_NORMS[1]],
            // Gemma has norms behind its blocks too, so the one in front of the second has its own name.
            Self::Gemma3 => &[
                ("ffn_norm", "pre_feedforward_layernorm"),
                ("post_attention_norm", "post_attention_layernorm"),
                ("post_ffw_norm", "post_feedforward_layernorm"),
                HEAD_NORMS[0],
                HEAD_NORMS[1],
            ],
        };
        COMMON.iter().chain(own).copied()
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
    fn names_go_both_ways() {
        for family in Family::KNOWN.map(|key| Family::of(key).unwrap()) {
            let parts = family.parts().map(|(own, _)| format!("blk.7.{own}.weight"));
            for name in parts.chain(OUTER.map(|(own, _)| own.to_owned())) {
                let hub = family.hub_name(&name).unwrap();
                assert_eq!(family.file_name(&hub), Some(name), "{hub}");
            }
        }
        assert_eq!(Family::Llama.file_name("model.layers.0.self_attn.q_norm.weight"), None);
    }

    #[test]
    fn every_known_family_is_found_by_its_key() {
        for key in Family::KNOWN {
            assert_eq!(Family::of(key).unwrap().key(), key);
        }
    }
}

//! A family as whoever writes a file needs it: names of tensors and the order of their values.

use super::names::{Change, Family};

/// A family as its files have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GgufFamily(Family);

impl GgufFamily {
    /// Of a class of transformers; none where llama.cpp has no such family, or it is not written here.
    pub fn of_class(class: &str) -> Option<Self> {
        Some(Self(match class {
            "LlamaForCausalLM" | "MistralForCausalLM" => Family::Llama,
            "Qwen2ForCausalLM" => Family::Qwen2,
            "Qwen3ForCausalLM" => Family::Qwen3,
            "Gemma3ForCausalLM" => Family::Gemma3,
            _ => return None,
        }))
    }

    /// What `general.architecture` says, and the keys of its metadata start with.
    pub fn key(self) -> &'static str {
        self.0.key()
    }

    /// The name of a tensor of the Hugging Face format in a file; `None` where the family has none such.
    pub fn tensor(self, hub: &str) -> Option<String> {
        self.0.file_name(hub)
    }

    /// The values of a tensor of the Hugging Face format as a file has them.
    ///
    /// # Shapes
    /// - `values`: `shape`, row-major; `name` is that in the file
    /// - `heads`: query heads and key heads
    pub fn values(
        self,
        name: &str,
        shape: &[usize],
        values: Vec<f32>,
        heads: [usize; 2],
    ) -> Vec<f32> {
        let heads = match self.0.change(name) {
            Change::None => return values,
            Change::PlusOne => return values.into_iter().map(|value| value + 1.0).collect(),
            Change::Interleaved("attention.head_count_kv") => heads[1],
            Change::Interleaved(_) => heads[0],
        };
        let rows = shape.first().copied().unwrap_or(1);
        let row = values.len() / rows.max(1);
        interleave_halves(&values, rows / heads.max(1), row)
    }
}

/// Rows of whole heads as `0, half, 1, half + 1, …`.
///
/// # Shapes
/// - `values` and result: `[heads·head_dim, row]`
fn interleave_halves(values: &[f32], head_dim: usize, row: usize) -> Vec<f32> {
    let half = head_dim / 2;
    let mut out = Vec::with_capacity(values.len());
    for head in values.chunks_exact(head_dim * row) {
        for at in 0..head_dim {
            let from = at / 2 + (at % 2) * half;
            out.extend_from_slice(&head[from * row..(from + 1) * row]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::interleave_halves;
    use crate::gguf::separate_halves;

    #[test]
    fn halves_go_both_ways() {
        let values: Vec<f32> = (0..2 * 6 * 3).map(|i| i as f32).collect();
        assert_eq!(separate_halves(&interleave_halves(&values, 6, 3), 6, 3), values);
        let rows = interleave_halves(&[0.0, 1.0, 2.0, 3.0], 4, 1);
        assert_eq!(rows, [0.0, 2.0, 1.0, 3.0]);
    }
}

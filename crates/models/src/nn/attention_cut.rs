//! Surgery on an attention: fewer heads, weights that are really smaller.

use super::{Attention, AttentionShape};

impl Attention {
    /// The same attention with only some of its query heads: the others' queries and their rows of the
    /// output projection are gone, and so is a key head (with its values) that serves none any more.
    ///
    /// All key heads that are left serve as many query heads as the one that keeps most. One that keeps
    /// fewer is filled up with query heads whose weights and biases are zero, in front of rows of the output
    /// projection that are zero: such a head looks at all that it may see alike, and adds nothing. Without
    /// grouped heads there are no fillings.
    ///
    /// # Shapes
    /// - `kept`: ascending query heads, each below `heads`; at least one
    ///
    /// # Panics
    /// Where `kept` holds no head, or one that is not there.
    pub fn cut(&self, kept: &[usize]) -> Self {
        let AttentionShape { heads, kv_heads, head_dim, .. } = self.shape;
        assert!(kept.iter().all(|head| *head < heads), "only heads that are there are kept");
        let by_key_head = (0..kv_heads).map(|key_head| {
            let is_own = |head: &usize| head / (heads / kv_heads) == key_head;
            (key_head, kept.iter().copied().filter(is_own).collect::<Vec<usize>>())
        });
        let groups: Vec<_> = by_key_head.filter(|(_, own)| !own.is_empty()).collect();
        let widest = groups.iter().map(|(_, own)| own.len()).max().unwrap_or(0);
        assert!(widest > 0, "some head is kept");
        let slots = |own: &[usize]| (0..widest).map(|slot| own.get(slot).copied()).collect();
        let queries: Vec<Option<usize>> =
            groups.iter().flat_map(|(_, own)| -> Vec<_> { slots(own) }).collect();
        let keys: Vec<Option<usize>> = groups.iter().map(|(key_head, _)| Some(*key_head)).collect();
        let shape = AttentionShape { heads: queries.len(), kv_heads: keys.len(), ..self.shape };
        let (queries, keys) = (entries(&queries, head_dim), entries(&keys, head_dim));
        Self {
            query: self.query.picked_outputs(&queries),
            key: self.key.picked_outputs(&keys),
            value: self.value.picked_outputs(&keys),
            output: self.output.picked_inputs(&queries),
            norms: self.norms.clone(),
            shape,
        }
    }
}

/// The numbers of heads.
fn entries(heads: &[Option<usize>], head_dim: usize) -> Vec<Option<usize>> {
    let of_head = |head: &Option<usize>| {
        (0..head_dim).map(|i| head.map(|head| head * head_dim + i)).collect()
    };
    heads.iter().flat_map(|head| -> Vec<_> { of_head(head) }).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, Tolerance};

    use super::*;
    use crate::{
        AttentionInputs, AttentionSite, Batch, Dense, Executor, ExecutorError, FfnSite, KvCache,
        LowRank, Values, matrix,
        nn::{Linear, RmsNorm},
    };

    const D_MODEL: usize = 7;
    const HEAD_DIM: usize = 4;

    fn rows(n: usize, width: usize, salt: usize) -> Tensor<2> {
        let values = (0..n * width).map(|i| ((i * 31 + salt * 7) % 19) as f32 / 9.0 - 1.0);
        matrix(values.collect(), [n, width], &Device::flex())
    }

    /// Six query heads, with biases, norms and adapters, as different families have them.
    fn attention(kv_heads: usize, window: Option<usize>) -> Attention {
        let linear = |d_in, d_out, salt| {
            let bias = rows(1, d_out, salt + 10).reshape([d_out]);
            let adapter = LowRank { down: rows(d_in, 2, salt + 20), up: rows(2, d_out, salt + 30) };
            let plain = Linear::new("map", rows(d_in, d_out, salt), Some(bias));
            Linear { adapter: Some(adapter), ..plain }
        };
        let norm =
            |salt| RmsNorm { weight: rows(1, HEAD_DIM, salt).reshape([HEAD_DIM]), epsilon: 1e-5 };
        Attention {
            query: linear(D_MODEL, 6 * HEAD_DIM, 1),
            key: linear(D_MODEL, kv_heads * HEAD_DIM, 2),
            value: linear(D_MODEL, kv_heads * HEAD_DIM, 3),
            output: linear(6 * HEAD_DIM, D_MODEL, 4),
            norms: Some([norm(5), norm(6)]),
            shape: AttentionShape { window, ..AttentionShape::new(6, kv_heads, HEAD_DIM) },
        }
    }

    /// Makes zeros of what the other heads give.
    struct Masked<'a>(&'a [usize]);

    impl Executor for Masked<'_> {
        fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
            Dense.ffn(site, x)
        }

        fn attention(
            &mut self,
            site: &AttentionSite<'_>,
            inputs: Vec<AttentionInputs>,
            past: Option<&mut KvCache>,
        ) -> Result<Tensor<2>, ExecutorError> {
            let mut o = Values::of(site.attention.attend(inputs, past));
            for (i, o) in o.iter_mut().enumerate() {
                *o *= f32::from(u8::from(self.0.contains(&(i / HEAD_DIM % 6))));
            }
            Ok(o.into_tensor())
        }
    }

    fn run(attention: &Attention, executor: &mut dyn Executor) -> burn::tensor::TensorData {
        let batch = Batch::new([&[0; 9][..], &[0; 3]]);
        let x = rows(batch.n_tokens(), D_MODEL, 9);
        let out = attention.forward(x, [0, 0], &batch, None, None, executor);
        out.expect("a forward pass").into_data()
    }

    /// Every choice of heads, at every number of key heads. Sums of 24 products of about 1: 1e-5.
    #[test]
    fn cut_equals_masked() {
        for (kv_heads, window) in [(6, None), (3, Some(4)), (2, None), (1, Some(2))] {
            let whole = attention(kv_heads, window);
            for choice in 1_usize..1 << 6 {
                let kept: Vec<usize> = (0..6).filter(|head| choice >> head & 1 == 1).collect();
                let cut = whole.cut(&kept);
                let counts: Vec<usize> = (0..kv_heads)
                    .map(|key| kept.iter().filter(|head| **head / (6 / kv_heads) == key).count())
                    .filter(|count| *count > 0)
                    .collect();
                let widest = counts.iter().max().copied().unwrap_or(0);
                let shape = cut.shape();
                let sizes = [shape.heads, shape.kv_heads, shape.head_dim];
                assert_eq!(sizes, [widest * counts.len(), counts.len(), HEAD_DIM]);
                assert_eq!((shape.scale, shape.window), (whole.shape.scale, window));
                assert_eq!(cut.query.widths(), (D_MODEL, shape.heads * HEAD_DIM));
                assert_eq!(cut.key.widths(), (D_MODEL, shape.kv_heads * HEAD_DIM));
                let masked = run(&whole, &mut Masked(&kept));
                let tolerance = Tolerance::absolute(1e-5);
                run(&cut, &mut Dense).assert_approx_eq::<f32>(&masked, tolerance);
            }
            let all: Vec<usize> = (0..6).collect();
            run(&whole.cut(&all), &mut Dense).assert_eq(&run(&whole, &mut Dense), true);
        }
    }
}

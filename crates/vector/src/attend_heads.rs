//! Attention of one token: a query of every head over all that was seen.

use rayon::prelude::*;

use crate::attend;

/// Products below which a second thread costs more than it saves.
const ALONE: usize = 1 << 16;

/// What one key head remembers, a row a position.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    /// `[positions, head_dim]`.
    pub keys: &'a [f32],
    /// `[positions, head_dim]`.
    pub values: &'a [f32],
}

/// [`attend`] for one query of every head, all positions visible; neighbours share a key head.
///
/// # Shapes
/// - `queries`: `[heads, head_dim]`, already scaled
/// - `past`: one entry a key head, at least one position each
/// - returns: `[heads, head_dim]`
pub fn attend_heads(queries: &[f32], past: &[Remembered<'_>], head_dim: usize) -> Vec<f32> {
    let mut out = vec![0.0; queries.len()];
    let group = queries.len() / past.len();
    let of_group = |(past, (queries, out)): (&Remembered<'_>, (&[f32], &mut [f32]))| {
        let mut weights = Vec::new();
        for (query, out) in queries.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim)) {
            attend(query, past.keys, past.values, &mut weights, out);
        }
    };
    let positions = past.first().map_or(0, |past| past.keys.len() / head_dim);
    if 2 * positions * queries.len() <= ALONE {
        let rows = queries.chunks_exact(group).zip(out.chunks_exact_mut(group));
        past.iter().zip(rows).for_each(of_group);
    } else {
        let rows = queries.par_chunks_exact(group).zip(out.par_chunks_exact_mut(group));
        past.par_iter().zip(rows).for_each(of_group);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every head sees its own key head, with few and with many positions.
    #[test]
    fn every_head_has_its_keys() {
        let value = |i: usize, salt: usize| ((i * 37 + salt) % 101) as f32 / 50.0 - 1.0;
        for (heads, key_heads, head_dim, positions) in
            [(4, 2, 6, 1), (3, 3, 16, 5), (6, 2, 21, 40), (8, 4, 64, 700)]
        {
            let rows = |n: usize, salt| (0..n).map(|i| value(i, salt)).collect::<Vec<f32>>();
            let queries = rows(heads * head_dim, 1);
            let n = positions * head_dim;
            let lists: Vec<[Vec<f32>; 2]> =
                (0..key_heads).map(|g| [rows(n, 2 + g), rows(n, 9 + g)]).collect();
            let past: Vec<Remembered<'_>> =
                lists.iter().map(|[keys, values]| Remembered { keys, values }).collect();
            let found = attend_heads(&queries, &past, head_dim);
            let (mut weights, mut expected) = (Vec::new(), vec![0.0; head_dim]);
            for (head, found) in found.chunks_exact(head_dim).enumerate() {
                let Remembered { keys, values } = past[head / (heads / key_heads)];
                let query = &queries[head * head_dim..][..head_dim];
                attend(query, keys, values, &mut weights, &mut expected);
                assert_eq!(found, expected);
            }
        }
    }
}

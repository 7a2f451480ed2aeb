//! Surgery on the state of a mixer: fewer channels, weights that are really smaller.

use super::{
    Convolution, Mixer, MixerShape,
    picked::{COLUMNS, picked, picked_entries},
};

impl Mixer {
    /// The same mixer with only some channels of its state: the columns of the input projection that the
    /// others' `B` and `C` come from are gone, and so are their channels of the convolution.
    ///
    /// All groups have as many channels as the one that keeps most; a group that keeps fewer is filled up
    /// with channels whose weights and biases are zero. Their `B` and `C` are silu(0) = 0, so they hold and
    /// add nothing.
    ///
    /// # Shapes
    /// - `kept`: ascending channels, each below `N`, one list a group; at least one channel in all
    ///
    /// # Panics
    /// Where `kept` is not one list a group, or holds no channel.
    pub fn cut(&self, kept: &[Vec<u32>]) -> Self {
        let MixerShape { groups, channels, .. } = self.shape;
        assert_eq!(kept.len(), groups, "one list of channels a group");
        let widest = kept.iter().map(Vec::len).max().unwrap_or(0);
        assert!(widest > 0, "some channel is kept");
        let shape = MixerShape { channels: widest, ..self.shape };
        let [b, c] = self.shape.mixing_columns();
        let mixing = |first: usize| {
            kept.iter().enumerate().flat_map(move |(group, kept)| {
                let column = move |n: &u32| first + group * channels + *n as usize;
                (0..widest).map(move |slot| kept.get(slot).map(column))
            })
        };
        let columns: Vec<Option<usize>> = (0..b.start)
            .map(Some)
            .chain(mixing(b.start))
            .chain(mixing(c.start))
            .chain((c.end..self.shape.projected()).map(Some))
            .collect();
        // The convolution's columns are those of the projection between the gate and the time steps.
        let convolved: Vec<Option<usize>> = columns[shape.inner()..][..shape.convolved()]
            .iter()
            .map(|column| column.map(|column| column - self.shape.inner()))
            .collect();
        Self {
            shape,
            input: self.input.picked_outputs(&columns),
            convolution: Convolution {
                taps: picked(&self.convolution.taps, COLUMNS, &convolved),
                bias: self.convolution.bias.as_ref().map(|bias| picked_entries(bias, &convolved)),
            },
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Batch, Dense, Executor, ExecutorError, FfnSite, RecurrentState, StateInputs, StateRows,
        StateSite,
        nn::LowRank,
        nn::mixer::tests::{D_MODEL, mixer, rows},
    };
    use burn::tensor::{Tensor, Tolerance};

    /// Neither writes nor reads the other channels.
    struct Masked<'a>(&'a [Vec<u32>]);

    impl Executor for Masked<'_> {
        fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
            Dense.ffn(site, x)
        }

        fn state(
            &mut self,
            site: &StateSite<'_>,
            inputs: StateInputs,
            past: Option<&mut RecurrentState>,
        ) -> Result<Tensor<2>, ExecutorError> {
            let MixerShape { groups, channels, .. } = site.mixer.shape();
            let mut inputs = StateRows::of(inputs);
            for values in [&mut inputs.b, &mut inputs.c] {
                for (i, value) in values.iter_mut().enumerate() {
                    let (group, channel) = (i / channels % groups, (i % channels) as u32);
                    *value *= f32::from(u8::from(self.0[group].contains(&channel)));
                }
            }
            Ok(site.mixer.scan(inputs.into_inputs(), site.batch, past))
        }
    }

    /// Equal, unequal and empty groups, with and without biases, with an adapter on the projection.
    /// Numbers of about 1 through two products of a dozen terms: 1e-5.
    #[test]
    fn cut_equals_masked() {
        let ids = [0; 140];
        let batch = Batch::new([&ids[..130], &ids[130..]]);
        let kept: [[&[u32]; 2]; 4] =
            [[&[0, 3], &[1, 4]], [&[0, 2, 3], &[1]], [&[], &[2]], [&[0, 1, 2, 3, 4], &[]]];
        for (bias, adapted) in [(false, false), (true, false), (true, true)] {
            let mut mixer = mixer(bias);
            let adapter =
                LowRank { down: rows(D_MODEL, 2, 20), up: rows(2, mixer.shape().projected(), 21) };
            mixer.input.adapter = adapted.then_some(adapter);
            let run = |mixer: &Mixer, executor: &mut dyn Executor| {
                let u = rows(batch.n_tokens(), D_MODEL, 9);
                mixer
                    .forward(u, [0, 0], &batch, None, executor)
                    .expect("a forward pass")
                    .into_data()
            };
            for kept in kept {
                let kept = kept.map(<[u32]>::to_vec);
                let cut = mixer.cut(&kept);
                let widest = kept.iter().map(Vec::len).max().expect("two groups");
                assert_eq!(cut.shape(), MixerShape { channels: widest, ..mixer.shape() });
                let masked = run(&mixer, &mut Masked(&kept));
                let tolerance = Tolerance::absolute(1e-5);
                run(&cut, &mut Dense).assert_approx_eq::<f32>(&masked, tolerance);
            }
        }
    }

    /// Norms are those of the kept columns, zero where a group was filled up.
    #[test]
    fn norms_follow_the_cut() {
        let mixer = mixer(true);
        let (whole, cut) = (mixer.mixing_norms(), mixer.cut(&[vec![1, 4], vec![3]]).mixing_norms());
        for (whole, cut) in whole.iter().zip(&cut) {
            assert_eq!(whole.len(), 10);
            assert!(whole.iter().all(|norm| *norm > 0.0));
            assert_eq!(cut, &[whole[1], whole[4], whole[5 + 3], 0.0]);
        }
        let weight = crate::into_values(mixer.input.weight.clone());
        let width = mixer.shape().projected();
        let c_of_last = width - mixer.shape().heads - 1;
        let squares = (0..D_MODEL).map(|row| f64::from(weight[row * width + c_of_last]).powi(2));
        assert_eq!(whole[1][9], squares.sum::<f64>().sqrt());
    }
}

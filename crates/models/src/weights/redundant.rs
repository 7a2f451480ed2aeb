//! Tensors that should say nothing new. None is dropped unseen: what repeats another tensor, or a setting of
//! the config, is compared with it.

use burn::tensor::Tensor;

use super::{Dim, Weights};
use crate::{error::LoadError, nn::Rope, tensor::into_values};

/// The output head where it is a tensor of its own.
const HEAD: &str = "lm_head.weight";

impl Weights<'_> {
    /// The embedding, `[vocabulary, d_embedding]`. Where the head is tied to it, the file may hold the two
    /// under the name of either.
    pub(crate) fn embedding(
        &mut self,
        tied: bool,
        name: &str,
        dims: [Dim; 2],
    ) -> Result<Tensor<2>, LoadError> {
        let stored = if tied && !self.has(name) && self.has(HEAD) { HEAD } else { name };
        self.matrix(stored, dims)
    }

    /// The output head, `[vocabulary, d_embedding]`: the embedding itself where the two are tied; a head in
    /// the file must then be the same.
    pub(crate) fn head(
        &mut self,
        tied: bool,
        (name, embedding): (&str, &Tensor<2>),
        dims: [Dim; 2],
    ) -> Result<Tensor<2>, LoadError> {
        if !tied {
            return self.matrix(HEAD, dims);
        }
        if self.has(HEAD) && self.has(name) {
            self.check_shape(HEAD, &dims)?;
            let why = "the config has tie_word_embeddings (or leaves it to its class); set it to false to \
                       use both, as transformers does, or remove the tensor that is wrong";
            self.repeats(HEAD, name, why)?;
        }
        Ok(embedding.clone())
    }

    /// All tensors whose names start with `start` must be the same as those under `first`; what is not
    /// there stays unused.
    pub(crate) fn repeats_under(&mut self, start: &str, first: &str) -> Result<(), LoadError> {
        let why = "the two layers share these weights; a checkpoint in which they differ is not of this \
                   architecture";
        for name in self.origin.names() {
            let Some(rest) = name.strip_prefix(start) else { continue };
            let other = format!("{first}{rest}");
            if self.has(&other) {
                self.repeats(&name, &other, why)?;
            }
        }
        Ok(())
    }

    /// Compares a tensor with the one that it repeats.
    fn repeats(&mut self, name: &str, other: &str, why: &'static str) -> Result<(), LoadError> {
        let [found, expected] = [name, other].map(|name| self.origin.shape(name, &[]));
        if let (Some(found), Some(expected)) = (found, expected)
            && found != expected
        {
            return Err(LoadError::Shape {
                path: self.origin.file_of(name),
                tensor: name.to_owned(),
                found,
                expected: format!("{expected:?}, that of `{other}`"),
            });
        }
        if let Some((index, found, expected)) = self.origin.difference(name, other)? {
            return Err(LoadError::Differs {
                path: self.origin.file_of(name),
                tensor: name.to_owned(),
                other: other.to_owned(),
                index,
                found,
                expected,
                why,
            });
        }
        self.used.insert(name.to_owned());
        Ok(())
    }

    /// A buffer of frequencies, which older releases stored with every layer: it must be what the config
    /// says, stretched or not (stretching then happened while it ran).
    pub(crate) fn frequencies(&mut self, name: &str, rope: &Rope) -> Result<(), LoadError> {
        if !self.has(name) {
            return Ok(());
        }
        self.check_shape(name, &[Dim("head_dim / 2", rope.inverse().len())])?;
        let device = self.device.clone();
        let values = into_values(self.origin.flat(name, &device)?);
        let dtype = self.origin.conversion(name).map_or("F32", |conversion| conversion.dtype);
        let of = |expected: &[f32]| first_apart(&values, expected, dtype);
        let apart = of(rope.inverse()).filter(|_| of(rope.unscaled()).is_some());
        if let Some(index) = apart {
            return Err(LoadError::Differs {
                path: self.origin.file_of(name),
                tensor: name.to_owned(),
                other: "the frequencies that the config gives".to_owned(),
                index,
                found: values[index],
                expected: rope.inverse()[index],
                why: "it is a copy of them; correct rope_theta and what stretches it, or remove the \
                      tensor, which transformers does not read",
            });
        }
        self.used.insert(name.to_owned());
        Ok(())
    }

    /// A buffer that can say nothing, such as a causal mask.
    pub(crate) fn silent(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// The causal mask of an attention, `[1, 1, n, n]`; a tensor of another shape is something else.
    pub(crate) fn silent_mask(&mut self, name: &str) {
        if self
            .origin
            .shape(name, &[])
            .is_some_and(|shape| matches!(shape[..], [1, 1, n, m] if n == m))
        {
            self.silent(name);
        }
    }
}

/// Where two lists of frequencies are further apart than rounding to a number type explains.
fn first_apart(values: &[f32], expected: &[f32], dtype: &str) -> Option<usize> {
    // Half a unit in the last place, twice over for a power that is worked out in another order; the least
    // f16 above zero is 6e-8.
    let (relative, absolute) = match dtype {
        "BF16" => (1.0 / 128.0, 0.0),
        "F16" => (1.0 / 1024.0, 6e-8),
        _ => (1e-5, 0.0),
    };
    let near = |(value, expected): (&f32, &f32)| {
        (value - expected).abs() <= relative * expected.abs() + absolute
    };
    values.iter().zip(expected).position(|pair| !near(pair))
}

#[cfg(test)]
mod tests {
    use super::first_apart;

    #[test]
    fn rounding_is_allowed_by_type_and_no_more() {
        let exact = [1.0, 0.1, 1e-3];
        assert_eq!(first_apart(&[1.0, 0.100_1, 1e-3], &exact, "BF16"), None);
        assert_eq!(first_apart(&[1.0, 0.100_1, 1e-3], &exact, "F32"), Some(1));
        assert_eq!(first_apart(&[1.0, 0.1, 1.2e-3], &exact, "BF16"), Some(2));
        assert_eq!(first_apart(&[1.0, 0.1, 1e-3 + 5e-8], &exact, "F16"), None);
        assert_eq!(first_apart(&[f32::NAN, 0.1, 1e-3], &exact, "F32"), Some(0));
    }
}

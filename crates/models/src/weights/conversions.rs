//! The record of what loading did to the weights.

use std::{collections::BTreeMap, fmt};

use checkpoints::Conversion;

/// How many tensors were read, by what was done to them: `BF16 → F32: 290 tensors; F32: 61 tensors`.
///
/// A tensor that is read for two purposes counts twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversions(BTreeMap<Conversion, usize>);

impl Conversions {
    pub(super) fn count(&mut self, conversion: Conversion) {
        *self.0.entry(conversion).or_default() += 1;
    }

    /// Whether names in the file held parts of a wrapper of training, which were dropped.
    pub fn drops_parts_of_names(&self) -> bool {
        self.0.keys().any(|conversion| conversion.also == Some(Conversion::BARE_NAME))
    }

    /// Tensors of every conversion, by the number type in the file.
    pub fn iter(&self) -> impl Iterator<Item = (Conversion, usize)> {
        self.0.iter().map(|(conversion, tensors)| (*conversion, *tensors))
    }
}

impl fmt::Display for Conversions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (conversion, tensors)) in self.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            let plural = if tensors == 1 { "" } else { "s" };
            write!(f, "{between}{conversion}: {tensors} tensor{plural}")?;
        }
        Ok(())
    }
}

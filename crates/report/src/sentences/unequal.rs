//! That rows set side by side dropped different shares.

use judgement::unequal::{Unequal, UnequalAt};
use plan::shortest_decimal;

use crate::format::percent;

/// `unequal sparsity: static drops 50.0 %, dynamic 51.0 %`
pub(crate) fn flag(own: &Unequal) -> String {
    let Unequal { least, most } = own;
    let (least_share, most_share) = (percent(least.1), percent(most.1));
    format!("unequal sparsity: {} drops {least_share}, {} {most_share}", least.0, most.0)
}

/// The same with what all were to drop: `κ=0.5: unequal sparsity: …`
pub(crate) fn at(own: &UnequalAt) -> String {
    format!("κ={}: {}", shortest_decimal(own.sparsity), flag(&own.unequal))
}

/// The same as a sentence of its own behind others; nothing where they are equal.
pub(super) fn sentence_at(own: Option<&UnequalAt>) -> String {
    own.map(|own| format!(" At {}.", at(own))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_named_with_what_they_drop() {
        let unequal = Unequal { least: ("a".to_owned(), 0.5), most: ("c".to_owned(), 0.51) };
        let text = "unequal sparsity: a drops 50.0 %, c 51.0 %";
        assert_eq!(flag(&unequal), text);
        assert_eq!(at(&UnequalAt { sparsity: 0.5, unequal }), format!("κ=0.5: {text}"));
    }
}

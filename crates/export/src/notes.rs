//! What a format could not say as it was meant.

use cuts::{Index, Storage, StoredMatrix};

use crate::Form;

/// What became of matrices that a recipe made sparse, rounded or factored.
pub(crate) fn of_matrices(storage: &Storage, form: Form) -> Vec<String> {
    let of =
        |is: fn(&StoredMatrix) -> bool| storage.matrices.values().filter(|own| is(own)).count();
    let all = storage.matrices.len();
    let mut notes = Vec::new();
    let sparse = of(|own| own.index != Index::None);
    if sparse > 0 {
        notes.push(format!(
            "{sparse} of {all} matrices are sparse: entries that were cut are plain zeros at the original \
             shape, and take as much room as the others"
        ));
    }
    let factored = of(|own| own.rank.is_some());
    if factored > 0 {
        notes.push(format!(
            "{factored} of {all} matrices are products of two factors: the product is written, at the \
             original shape"
        ));
    }
    let rounded = of(|own| own.rounding.is_some());
    if rounded > 0 && !matches!(form, Form::Packed(_)) {
        notes.push(format!(
            "{rounded} of {all} matrices are rounded to few bits: the rounded numbers are written, each as \
             wide as any other ({form}); --format packed-f16 packs them"
        ));
    }
    notes
}

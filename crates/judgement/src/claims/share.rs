//! Claims about how large a part is. Counted, not estimated: there is no interval and no test.

use evidence::{Archive, Key};
use plan::{ModelGroup, Part, Whole};

use super::finding::{Found, Place, Side};
use super::verdict::Measurement;

/// The part is at most `share` of the model.
pub(super) fn at_most<'a>(
    evidence: &Archive<'a>,
    group: &'a ModelGroup,
    part: Part,
    of: Whole,
    share: f64,
) -> Vec<Found> {
    let of_model = |model: &'a String| {
        let dataset = group.texts.join(", ");
        let what = format!("{part} of {of}");
        let place = Place { group, model, dataset, protocol: None, what };
        // The same for every cell that prunes the part, since it is about the model alone.
        let mut cells = evidence
            .of_model(model)
            .filter(|result| Key::of(&result.cell).is_some_and(|key| key.prunes(part)));
        let Some(result) = cells.next() else {
            return place.not_measured(format!("no cell prunes the {part}"));
        };
        let effect = match of {
            Whole::Parameters => result.touched.parameters,
            Whole::Operations => result.touched.flops,
            Whole::StateBytes => result.touched.state_bytes,
        };
        let measurement = Measurement {
            quantity: format!("share of {of}"),
            effect,
            lower: None,
            upper: None,
            threshold: share,
            n: 1,
            unit: "model",
            p: None,
            p_holm: None,
            cells: vec![result.id.clone()],
        };
        let side = if effect <= share { Side::For } else { Side::Against };
        place.measured(measurement, side, Vec::new())
    };
    group.models.iter().map(of_model).collect()
}

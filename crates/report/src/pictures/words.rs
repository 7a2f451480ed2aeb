//! What captions, axes and tables of pictures say in the same words.

use evidence::absent::Why;
use evidence::place::Place;

use crate::document::{Field, Line};

/// What a caption says where a place could be filled by several cells.
pub(super) const NEWEST: &str =
    "Where several cells could stand at one place, the newest is shown.";

/// The sentences of a caption, one behind the other.
pub(super) fn sentences(all: &[String]) -> Line {
    Line::from(all.join(" "))
}

/// A share on an axis: `40 %`.
pub(super) fn share_label(value: f64) -> String {
    format!("{} %", (1000.0 * value).round() / 10.0)
}

/// What a caption says of hatched places; nothing where there are none.
pub(super) fn hatched(whys: &[Why]) -> Option<String> {
    let hatched = match whys {
        [] => return None,
        [Why::Failed] => "A hatched place is that of a failed cell.",
        [Why::Missing] => "A hatched place is that of a missing cell.",
        _ => "A hatched place is that of a cell that failed (crossed) or is missing.",
    };
    Some(hatched.to_owned())
}

/// The cell that stands at a place or should.
pub(super) fn place_cell<M>(place: &Place<'_, M>) -> Field {
    place.cell_id().map_or_else(Field::empty, Field::cell)
}

//! What the units of a part are called, in one place.

use plan::Part;

/// `neuron`, `state channel`
pub(crate) fn unit(part: Part) -> &'static str {
    match part {
        Part::Ffn => "neuron",
        Part::State => "state channel",
        Part::Heads => "attention head",
        Part::Kv => "cached position",
    }
}

/// `neurons`, `state channels`
pub(crate) fn units(part: Part) -> String {
    format!("{}s", unit(part))
}

/// `The feed-forward neurons (ffn)`
pub(crate) fn all_units(part: Part) -> String {
    let block = if part == Part::Ffn { "feed-forward " } else { "" };
    format!("The {block}{} ({part})", units(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_words() {
        assert_eq!(all_units(Part::Ffn), "The feed-forward neurons (ffn)");
        assert_eq!(all_units(Part::State), "The state channels (state)");
    }
}

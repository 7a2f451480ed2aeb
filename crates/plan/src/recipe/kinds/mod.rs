//! Every kind of step, one file each.

mod bits;
mod exit;
mod ffn;
mod heads;
mod kv;
mod layers;
mod low_rank;
mod rotate;
mod sparsity;
mod state;
mod weights;

use crate::{Kind, Way};

/// The table: a new kind is a new line.
pub(crate) const ALL: &[&Kind] = &[
    &ffn::CUT,
    &state::CUT,
    &heads::CUT,
    &weights::CUT,
    &bits::CUT,
    &rotate::CUT,
    &layers::CUT,
    &low_rank::CUT,
    &ffn::SKIP,
    &state::SKIP,
    &heads::SKIP,
    &kv::SKIP,
    &exit::SKIP,
    &ffn::OBSERVE,
    &state::OBSERVE,
    &kv::OBSERVE,
    &layers::OBSERVE,
];

/// The kind of a way with a name.
pub(crate) fn find(way: Way, name: &str) -> Option<&'static Kind> {
    ALL.iter().copied().find(|kind| kind.way == way && kind.name == name)
}

/// For kinds that leave no zeros behind.
fn never(_: &crate::Step) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Observation, Part, Policy, Recipe, Score, Step, Takes};

    /// The example of every kind is a step of it that survives its text and JSON.
    #[test]
    fn every_kind_shows_a_step_of_its_own() {
        for kind in ALL {
            let step: Step = kind.example.parse().unwrap_or_else(|e| panic!("{}: {e}", kind.key()));
            assert_eq!(step.kind().key(), kind.key());
            assert_eq!(step.to_string().parse::<Step>().unwrap(), step);
            let json = serde_json::to_string(&step).unwrap();
            assert_eq!(serde_json::from_str::<Step>(&json).unwrap(), step, "{json}");
            assert!(!step.label().is_empty() && !step.phrase().is_empty());
            let recipe = Recipe::new(vec![step], 1).unwrap();
            let json = serde_json::to_string(&recipe).unwrap();
            assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
            if let Some(treatment) = recipe.treatment() {
                assert_eq!(Recipe::from(treatment), recipe, "{}", kind.key());
            }
        }
    }

    #[test]
    fn names_are_unique_and_settings_too() {
        for (index, kind) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.key() != kind.key()));
            for (index, setting) in kind.settings.iter().enumerate() {
                assert!(kind.settings[..index].iter().all(|other| other.name != setting.name));
                assert!(!setting.doc.is_empty());
            }
        }
    }

    /// The scores that a setting lists are those of the vocabulary that rank its part.
    #[test]
    fn scores_and_observations_are_those_of_the_vocabulary() {
        for kind in ALL {
            let Ok(part) = kind.name.parse::<Part>() else { continue };
            // What is observed of a cache is a table of its own.
            if part == Part::Kv && kind.way == Way::Observe {
                continue;
            }
            let Takes::Name(listed) = kind.setting("score").unwrap().takes else { panic!("names") };
            let listed: Vec<&str> = listed.iter().map(|(name, _)| *name).collect();
            let ranking = Score::ALL.iter().filter(|score| score.ranks(part));
            let ranking: Vec<&str> = ranking.map(|score| score.as_str()).collect();
            assert!(ranking.iter().all(|score| listed.contains(score)), "{}", kind.key());
            assert_eq!(ranking.len(), listed.len(), "{}", kind.key());
            if kind.way == Way::Observe {
                let Takes::Name(listed) = kind.setting("observation").unwrap().takes else {
                    panic!("names")
                };
                let listed: Vec<&str> = listed.iter().map(|(name, _)| *name).collect();
                assert_eq!(listed, Observation::NAMES);
            }
        }
        assert_eq!(Policy::ALL.len(), 5, "each is a way of one part, or dense");
    }
}

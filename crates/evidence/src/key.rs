//! What a row is about, read from its cell in one place: which table it stands in, and where in it.

use plan::{Cell, Mode, Part, Policy, Protocol, Recalibration, Rule, Score, Share, Treatment};

/// What a table is about: one model on one text by one protocol.
pub type Subject<'a> = (&'a str, &'a str, Protocol);

/// The subject of a cell.
pub fn subject(cell: &Cell) -> Subject<'_> {
    (&cell.model, &cell.dataset, cell.protocol)
}

/// Where a row stands in its table. The order of the fields is that of the rows: dense first, then by
/// part, policy and κ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What is pruned; of a dense row it says nothing.
    pub part: Part,
    /// How the kept set changes over time.
    pub policy: Policy,
    /// Requested share dropped, κ.
    pub sparsity: Share,
    /// Tokens W that share one kept set.
    pub window: Option<usize>,
    /// How a window's set is chosen.
    pub rule: Option<Rule>,
    /// Tokens that the rule `prompt` sums over.
    pub prompt_tokens: Option<usize>,
    /// The first positions of a cache, which come before every score.
    pub sinks: Option<usize>,
    /// What ranks the neurons or channels.
    pub score: Option<Score>,
    /// What a set of state channels acts on.
    pub mode: Option<Mode>,
    /// What a static set of state channels is chosen on.
    pub recalibration: Option<Recalibration>,
    /// Windows or items left out at the beginning of the text: rows of another stretch stand elsewhere.
    pub offset: Option<usize>,
}

impl Key {
    /// The place of a cell in the tables of losses; none for a cell that has none, such as one that
    /// observes or whose recipe is no single step on neurons or channels. This is the one test by which a
    /// cell is left out of them and of the places of pictures.
    pub fn of(cell: &Cell) -> Option<Key> {
        let key = Key::of_treatment(&cell.recipe.treatment()?)?;
        Some(Key { offset: cell.offset, ..key })
    }

    /// The same of what is done in a cell that reads its text from the beginning.
    pub fn of_treatment(treatment: &Treatment) -> Option<Key> {
        let Treatment { part, policy, sparsity, window, rule, prompt_tokens, .. } = *treatment;
        let Treatment { sinks, score, mode, recalibration, .. } = *treatment;
        // A treatment was checked to be a share when it was made.
        let sparsity = Share::nearest(sparsity);
        let key = Key {
            part,
            policy,
            sparsity,
            window,
            rule,
            prompt_tokens,
            sinks,
            score,
            mode,
            recalibration,
            offset: None,
        };
        (policy != Policy::Observe).then_some(key)
    }

    /// Whether nothing is dropped.
    pub fn is_dense(&self) -> bool {
        self.policy == Policy::Dense
    }

    /// Whether neurons or channels of `part` are dropped; a dense row drops nothing of either.
    pub fn prunes(&self, part: Part) -> bool {
        !self.is_dense() && self.part == part
    }

    /// Whether one set is kept for the whole run, or one for every token.
    pub fn has_one_set(&self) -> bool {
        matches!(self.policy, Policy::Static | Policy::Dynamic)
    }
}

#[cfg(test)]
mod tests {
    use plan::TreatmentSpec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Shares sort as numbers, and as their shortest decimals do.
        #[test]
        fn shares_sort_as_their_decimals(a in 0_u32..1000, b in 0_u32..1000) {
            let share = |n: u32| Share::new(f64::from(n) / 1000.0).unwrap();
            prop_assert_eq!(share(a).cmp(&share(b)), a.cmp(&b));
            let texts = (share(a).to_string(), share(b).to_string());
            prop_assert_eq!(share(a).cmp(&share(b)), texts.0.cmp(&texts.1));
        }
    }

    #[test]
    fn an_observing_cell_has_no_place() {
        let spec = TreatmentSpec {
            observation: Some(plan::Observation::Forward),
            ..TreatmentSpec::of(Policy::Observe, 1)
        };
        assert_eq!(Key::of_treatment(&Treatment::new(spec).unwrap()), None);
        assert!(Key::of_treatment(&Treatment::dense(1)).unwrap().is_dense());
    }
}

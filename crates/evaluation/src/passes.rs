//! Which requests share a forward pass: those that read the same ids, and, where the executor takes a
//! sequence in pieces, those that begin alike.

use std::ops::Range;

use corpora::{Item, Request};

/// How often what several requests read alike is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// Every sequence from its first id; requests that read the same ids share one.
    Whole,
    /// What the requests of an item begin with is read once, and each goes on from there. Only for an
    /// executor that treats every token by itself.
    SharedBeginning,
    /// Every sequence token by token, as text is generated: slow, and with a cache that is really there.
    TokenByToken,
}

/// A shorter beginning costs more passes over the weights than it saves.
const LEAST_SHARED: usize = 8;

/// What a model reads for one item.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan<'a> {
    /// Ids that all sequences begin with and that are read once; none where each is read whole.
    pub(crate) beginning: &'a [u32],
    /// What is read behind it, each different from the others.
    pub(crate) sequences: Vec<&'a [u32]>,
    /// The sequence of every request.
    pub(crate) of_request: Vec<usize>,
}

impl<'a> Plan<'a> {
    pub(crate) fn of(item: &'a Item, passes: Passes) -> Self {
        let mut sequences: Vec<&[u32]> = Vec::new();
        let mut of_request = Vec::with_capacity(item.requests.len());
        for read in item.requests.iter().map(Request::read) {
            let known = sequences.iter().position(|sequence| *sequence == read);
            of_request.push(known.unwrap_or(sequences.len()));
            if known.is_none() {
                sequences.push(read);
            }
        }
        let shared = match passes {
            Passes::SharedBeginning if sequences.len() > 1 => common(&sequences),
            _ => 0,
        };
        if shared < LEAST_SHARED {
            return Self { beginning: &[], sequences, of_request };
        }
        let beginning = &sequences[0][..shared];
        sequences.iter_mut().for_each(|sequence| *sequence = &sequence[shared..]);
        Self { beginning, sequences, of_request }
    }

    /// Ids that the model reads.
    pub(crate) fn tokens(&self) -> usize {
        self.beginning.len() + self.sequences.iter().map(|sequence| sequence.len()).sum::<usize>()
    }
}

/// Ids that all sequences begin with.
fn common(sequences: &[&[u32]]) -> usize {
    let shortest = sequences.iter().map(|sequence| sequence.len()).min().unwrap_or(0);
    let is_same = |at: &usize| sequences.iter().all(|sequence| sequence[*at] == sequences[0][*at]);
    (0..shortest).take_while(is_same).count()
}

/// Ids that a model reads for an item.
pub fn tokens_read(item: &Item, passes: Passes) -> usize {
    Plan::of(item, passes).tokens()
}

/// The part of `rows` that lies in front of `border`, and the part behind it, counted from there.
pub(crate) fn split(rows: Range<usize>, border: usize) -> [Range<usize>; 2] {
    let before = rows.start.min(border)..rows.end.min(border);
    let behind = rows.start.max(border) - border..rows.end.max(border) - border;
    [before, behind]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(ids: &[&[u32]]) -> Item {
        let requests = ids.iter().map(|ids| Request::continuation(ids.to_vec(), 1).unwrap());
        Item { requests: requests.collect(), ..Item::single(0, Request::window(vec![0, 1])) }
    }

    #[test]
    fn what_is_read_alike_is_read_once() {
        let stem: Vec<u32> = (0..20).collect();
        let with = |last: &[u32]| [stem.as_slice(), last].concat();
        let one_id = item(&[&with(&[30]), &with(&[31]), &with(&[32])]);
        for passes in [Passes::Whole, Passes::SharedBeginning] {
            let plan = Plan::of(&one_id, passes);
            assert_eq!(plan.sequences, [stem.as_slice()]);
            assert_eq!((plan.of_request, plan.beginning.len()), (vec![0, 0, 0], 0));
        }
        let longer = item(&[&with(&[30, 1]), &with(&[31, 2]), &with(&[30, 3])]);
        assert_eq!(tokens_read(&longer, Passes::Whole), 42);
        let plan = Plan::of(&longer, Passes::SharedBeginning);
        assert_eq!(plan.beginning, stem);
        assert_eq!(plan.sequences, [&[30][..], &[31]]);
        assert_eq!(plan.of_request, [0, 1, 0]);
        assert_eq!(plan.tokens(), 22);
        let unlike = item(&[&with(&[30, 1]), &[9, 8, 7]]);
        assert_eq!(Plan::of(&unlike, Passes::SharedBeginning).beginning.len(), 0);
    }

    #[test]
    fn rows_are_split_at_the_border() {
        assert_eq!(split(3..7, 5), [3..5, 0..2]);
        assert_eq!(split(3..7, 9), [3..7, 0..0]);
        assert_eq!(split(3..7, 2), [2..2, 1..5]);
    }
}

//! A context and its continuation as one request, as lm-evaluation-harness 0.4.13 encodes pairs
//! (`lm_eval/api/model.py`) and cuts what is too long (`lm_eval/models/huggingface.py`).

use crate::{CorpusError, Request, Tokenizer, lines::is_python_space};

/// Encodes pairs, one after the other; the ids of a context that comes again are not worked out again.
pub(super) struct Pairs<'a> {
    tokenizer: &'a Tokenizer,
    max_positions: usize,
    last: Option<(String, Vec<u32>)>,
}

/// Why a pair is no request.
pub(super) enum Refused {
    /// The tokenizer failed.
    Tokenizer(CorpusError),
    /// The texts do not fit.
    Pair(String),
}

impl From<CorpusError> for Refused {
    fn from(error: CorpusError) -> Self {
        Refused::Tokenizer(error)
    }
}

impl<'a> Pairs<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, max_positions: usize) -> Self {
        Self { tokenizer, max_positions, last: None }
    }

    /// White space at the end of the context, as Python's `rstrip` knows it, belongs to the continuation.
    /// Both are encoded together, the context also alone; the request is the ids of the context alone, then
    /// what the whole has beyond as many ids, even where a token of the whole spans the join. Of a request
    /// that is too long the beginning goes.
    pub(super) fn request(
        &mut self,
        context: &str,
        continuation: &str,
        what: &str,
    ) -> Result<Request, Refused> {
        let bad = |reason: String| Err(Refused::Pair(reason));
        let stem = context.trim_end_matches(is_python_space);
        let whole = format!("{context}{continuation}");
        let whole = self.tokenizer.encode_unless_begun(&whole)?;
        let mut ids = self.context(stem)?;
        if ids.is_empty() {
            return bad(format!("nothing stands in front of {what}"));
        }
        let targets = whole.get(ids.len()..).unwrap_or_default();
        if targets.is_empty() {
            return bad(format!("{what} has no token id of its own"));
        }
        let n_targets = targets.len();
        ids.extend(targets);
        let max_positions = self.max_positions;
        last_positions(ids, n_targets, max_positions)
            .map_or_else(|| bad(format!("{what} does not fit into {max_positions} positions")), Ok)
    }

    fn context(&mut self, stem: &str) -> Result<Vec<u32>, CorpusError> {
        if let Some((_, ids)) = self.last.as_ref().filter(|(known, _)| known == stem) {
            return Ok(ids.clone());
        }
        let ids = self.tokenizer.encode_unless_begun(stem)?;
        self.last = Some((stem.to_owned(), ids.clone()));
        Ok(ids)
    }
}

/// Keeps the last `max_positions` + 1 ids, of which the model reads all but the last; at least one must
/// be left in front of the target.
pub(super) fn last_positions(
    mut ids: Vec<u32>,
    n_targets: usize,
    max_positions: usize,
) -> Option<Request> {
    let surplus = ids.len().saturating_sub(max_positions.saturating_add(1));
    ids.drain(..surplus);
    Request::continuation(ids, n_targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_requests_lose_their_beginning() {
        let request = last_positions((0..10).collect(), 2, 4).unwrap();
        assert_eq!(request.ids(), [5, 6, 7, 8, 9]);
        assert_eq!(request.read(), [5, 6, 7, 8]);
        assert_eq!(request.targets(), [8, 9]);
        assert_eq!(last_positions((0..10).collect(), 4, 4).unwrap().ids().len(), 5);
        let endless = last_positions((0..10).collect(), 4, usize::MAX).unwrap();
        assert_eq!(endless.ids().len(), 10);
        assert!(last_positions((0..10).collect(), 5, 4).is_none());
    }
}

//! What a model is asked: ids to read, and which of them are to be predicted. Every protocol comes to
//! requests, and whoever runs a model knows nothing else of protocols.

use std::ops::Range;

/// One question to a model: a window of text, a last word, or one choice of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    ids: Vec<u32>,
    n_read: usize,
    scored: Range<usize>,
}

impl Request {
    /// A window of text: every id is read, all but the first are predicted.
    pub fn window(ids: Vec<u32>) -> Self {
        let (n_read, scored) = (ids.len(), 1.min(ids.len())..ids.len());
        Self { ids, n_read, scored }
    }

    /// The last `n_targets` ids are predicted, and the last one is followed by nothing, so it is not read.
    ///
    /// None where there is no target, or nothing in front of the targets.
    pub fn continuation(ids: Vec<u32>, n_targets: usize) -> Option<Self> {
        let first = ids.len().checked_sub(n_targets).filter(|&first| first > 0 && n_targets > 0)?;
        Some(Self { n_read: ids.len() - 1, scored: first..ids.len(), ids })
    }

    /// Everything: what is read and what is predicted.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// What the model reads.
    pub fn read(&self) -> &[u32] {
        &self.ids[..self.n_read]
    }

    /// The ids to be predicted.
    pub fn targets(&self) -> &[u32] {
        &self.ids[self.scored.clone()]
    }

    /// The rows that predict them, counted from the first id: each stands in front of its id.
    pub fn rows(&self) -> Range<usize> {
        self.scored.start.saturating_sub(1)..self.scored.end.saturating_sub(1)
    }
}

/// A window of text or an item of a task: one question, or one for each of its choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number in the text or file, from 0.
    pub index: usize,
    /// One, or one a choice in their order.
    pub requests: Vec<Request>,
    /// Sentences between the place where the last word was settled and the question, where it is known.
    pub distance_sentences: Option<u32>,
    /// What is known of the choices; none where there are none to choose from.
    pub choices: Option<Choices>,
}

impl Item {
    /// An item of one request that nothing else is known of.
    pub fn single(index: usize, request: Request) -> Self {
        Self { index, requests: vec![request], distance_sentences: None, choices: None }
    }

    /// Windows of text, each an item.
    pub fn windows(windows: impl IntoIterator<Item = Vec<u32>>) -> Vec<Self> {
        let windows = windows.into_iter().map(Request::window).enumerate();
        windows.map(|(index, request)| Self::single(index, request)).collect()
    }

    /// The request of an item that has one, the first of several.
    pub fn request(&self) -> &Request {
        &self.requests[0]
    }
}

/// What is known of the choices of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The right one.
    pub gold: usize,
    /// How long each is.
    pub lengths: Vec<Length>,
    /// The first 16 hex digits of the SHA-256 over each request: its context, a zero byte, its
    /// continuation, a byte of one. Two runs asked the same where these are the same.
    pub digests: Vec<String>,
}

/// How long a choice is, as it is written after the delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Unicode code points, as Python's `len` counts.
    pub characters: usize,
    /// Bytes of UTF-8.
    pub bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_front_of_what_they_predict() {
        let window = Request::window(vec![5, 6, 7]);
        assert_eq!((window.read(), window.targets()), (&[5, 6, 7][..], &[6, 7][..]));
        assert_eq!(window.rows(), 0..2);
        let word = Request::continuation(vec![5, 6, 7, 8], 2).unwrap();
        assert_eq!((word.read(), word.targets()), (&[5, 6, 7][..], &[7, 8][..]));
        assert_eq!(word.rows(), 1..3);
        assert_eq!(Request::continuation(vec![5, 6], 2), None, "nothing predicts the first id");
        assert_eq!(Request::continuation(vec![5, 6], 0), None);
        assert_eq!(Request::continuation(vec![], 0), None);
    }
}

//! The check behind the construction: texts of different splits share no long run of words.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::text::words;

/// Every run of `n` words of some texts, to be searched for in others.
///
/// A short run proves nothing in a small grammar: two texts share "took the key from the mill" by
/// chance, and an inventory that tells of its coach, its animal and its dish one after the other does so
/// in one of 32,768 ways. A run of 48 words, some seven sentences, holds more than these.
#[derive(Clone, Debug)]
pub struct Runs {
    n: usize,
    /// Sorted hashes of the runs.
    hashes: Vec<u64>,
}

impl Runs {
    /// Collects the runs of `n` words of texts. A text with fewer words is one run.
    pub fn of<S: AsRef<str>>(n: usize, texts: impl IntoIterator<Item = S>) -> Self {
        let mut hashes = Vec::new();
        for text in texts {
            hashes.extend(runs(n, text.as_ref()).into_iter().map(|(hash, _)| hash));
        }
        hashes.sort_unstable();
        hashes.dedup();
        Self { n, hashes }
    }

    /// The first run of a text that the collected texts hold too.
    pub fn shared_with(&self, text: &str) -> Option<String> {
        let shared = runs(self.n, text)
            .into_iter()
            .find(|(hash, _)| self.hashes.binary_search(hash).is_ok());
        shared.map(|(_, run)| run.join(" "))
    }
}

/// Each run with its hash.
fn runs(n: usize, text: &str) -> Vec<(u64, Vec<&str>)> {
    let words: Vec<&str> = words(text).collect();
    let n = n.min(words.len()).max(1);
    words.windows(n).map(|run| (hash(run), run.to_vec())).collect()
}

fn hash(run: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    run.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_copied_run() {
        let runs = Runs::of(3, ["One two three four.", "Five six."]);
        assert_eq!(runs.shared_with("Zero two, three four!"), Some("two three four".to_owned()));
        assert_eq!(runs.shared_with("one two three five six"), None);
        assert_eq!(
            runs.shared_with("Five six"),
            Some("Five six".to_owned()),
            "a short text is one run"
        );
    }
}

//! Counting and cutting texts: sentences, words, and the pieces that a tokenizer starts from.

/// The sentences of a text, in order, each with its end mark. A full stop ends a sentence where a
/// space or nothing follows it; marks inside quotes end none.
pub fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut rest = text;
    while let Some((at, _)) = rest.match_indices(". ").next() {
        let (sentence, behind) = rest.split_at(at + 1);
        sentences.push(sentence);
        rest = behind.trim_start();
    }
    if !rest.is_empty() {
        sentences.push(rest);
    }
    sentences
}

/// The words of a text without marks.
pub fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty())
}

/// How many pieces a byte-level pre-tokenizer cuts a text into: words and runs of marks. With a
/// vocabulary that holds every word, so many tokens.
pub fn pieces(text: &str) -> usize {
    let run = |word: &str| {
        let kinds: Vec<bool> = word.chars().map(char::is_alphabetic).collect();
        kinds.chunk_by(|a, b| a == b).count()
    };
    text.split(' ').map(run).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_full_stops() {
        let text = "One two. \"What?\" asked three. Four";
        assert_eq!(sentences(text), ["One two.", "\"What?\" asked three.", "Four"]);
        assert!(sentences("").is_empty());
    }

    #[test]
    fn counts_words_and_marks() {
        let text = "\"What, here?\" asked Anna.";
        assert_eq!(words(text).collect::<Vec<_>>(), ["What", "here", "asked", "Anna"]);
        assert_eq!(pieces(text), 8);
    }
}

//! A tokenizer.model of SentencePiece: taken apart, built, and used on a text.

#![no_main]

use corpora::parse_sentencepiece;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tokenizer) = parse_sentencepiece(bytes) {
        drop(tokenizer.encode("two  spaces, café ﬁsh\t“x” <|sep|>\n中文"));
    }
});

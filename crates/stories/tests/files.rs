//! What is written is what the evaluation reads.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use corpora::{Source, Text, Tokenizer, last_token_items, openai_items, shared_document, windows};
use stories::{
    Distances, MOST_PIECES, Split, Stories, save_tokenizer, train_tokenizer, write_jsonl,
};

const POSITIONS: usize = 256;

#[test]
fn files_are_read_by_the_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let stories = Stories::new(1);
    let items: Vec<_> = stories.items(Split::Test, Distances::ALL).take(200).collect();
    for split in Split::ALL {
        let name = format!("{}.jsonl", split.name());
        write_jsonl(&path(&name), stories.mixture(split).take(300)).unwrap();
    }
    write_jsonl(&path("items.jsonl"), &items).unwrap();
    save_tokenizer(&train_tokenizer(stories).unwrap(), &path("tokenizer.json")).unwrap();

    let read = |name: &str| Text::read(&path(name)).unwrap();
    let tokenizer = Tokenizer::from_file(&path("tokenizer.json")).unwrap();
    let test = read("test.jsonl");
    let documents: Vec<String> =
        stories.mixture(Split::Test).take(300).map(|document| document.text).collect();
    assert_eq!(test.documents(), documents);
    shared_document(&read("train.jsonl"), Source::Text(&test)).unwrap();
    shared_document(&read("calibration.jsonl"), Source::Text(&test)).unwrap();
    let (windows, n_ids) = windows(&test, &tokenizer, POSITIONS, None).unwrap();
    assert_eq!(windows.len(), n_ids / POSITIONS);

    let text = read("items.jsonl");
    let whole = openai_items(&text, &tokenizer, POSITIONS, None).unwrap();
    let last = last_token_items(&text, &tokenizer, POSITIONS, None).unwrap();
    for ((whole, last), item) in whole.iter().zip(&last).zip(&items) {
        assert_eq!(whole.request().targets().len(), 1, "an answer is one token: {}", item.answer);
        assert_eq!(whole, last);
        assert_eq!(whole.request().ids().len(), 1 + stories::pieces(&item.text));
        assert!(whole.request().ids().len() <= 1 + MOST_PIECES);
    }
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/items.jsonl");
    let error = write_jsonl(&path, ["text"]).unwrap_err().to_string();
    assert!(error.starts_with("cannot write") && error.contains("missing"), "{error}");
}

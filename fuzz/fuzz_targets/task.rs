//! A definition of a task of choices: read, compiled, and asked over an item that has every kind of value.

#![no_main]

use std::sync::LazyLock;

use corpora::{ChoiceTask, Records};
use libfuzzer_sys::fuzz_target;
use slim_fuzz::{FOLDER, write};

/// What templates may name.
static ITEMS: LazyLock<Records> = LazyLock::new(|| {
    let item = r#"{"question": "ﬁrst _ [title] x", "choices": {"text": ["a", "é "], "label": ["A", "B"]},
        "endings": ["one", "two  three"], "answer": 1, "label": "0", "nothing": null, "share": 0.5}"#;
    write("items.jsonl", item.replace('\n', " ").as_bytes());
    Records::read(&FOLDER.join("items.jsonl")).expect("items")
});

fuzz_target!(|bytes: &[u8]| {
    write("task.toml", bytes);
    let path = FOLDER.join("task.toml");
    for name in ["mine", "hellaswag", "mmlu-anatomy"] {
        if let Ok(task) = ChoiceTask::read(&path, name) {
            drop(task.question(&ITEMS, 0));
        }
    }
});

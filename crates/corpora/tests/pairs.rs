//! Contexts and continuations as ids, against lm-evaluation-harness 0.4.13 (`golden/choices`): white space
//! at the join, merges over it, tokens in front, byte fallback, what is cut off of a long request.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use corpora::{Ask, ChoiceTask, Records, Request, Source, Task as _, Tokenizer};
use serde::Deserialize;
use serde_json::{Map, Value, json};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[derive(Deserialize)]
struct Case {
    name: String,
    vocabulary: Map<String, Value>,
    beside: Map<String, Value>,
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    context: String,
    continuation: String,
    max_length: Option<usize>,
    continuation_ids: Vec<u32>,
    #[serde(default)]
    read: Vec<u32>,
    rows: Option<(usize, usize)>,
    #[serde(default)]
    refused: bool,
}

/// A task whose first choice is the continuation as it stands.
const TASK: &str = r#"
name = "pair"
version = "1.0"
metrics = ["acc"]
doc_to_text = "{{ context }}"
doc_to_choice = ["{{ continuation }}", "{{ continuation }}"]
doc_to_target = "0"
target_delimiter = ""
"#;

/// The request of a pair, or why there is none.
fn request(tokenizer: &Tokenizer, pair: &Pair, folder: &Path) -> Result<Request, String> {
    let (task, items) = (folder.join("pair.toml"), folder.join("pair.jsonl"));
    fs::write(&task, TASK).unwrap();
    let item = json!({ "context": pair.context, "continuation": pair.continuation });
    fs::write(&items, item.to_string()).unwrap();
    let task = ChoiceTask::read(&task, "pair").unwrap();
    let records = Records::read(&items).unwrap();
    let ask = Ask { tokenizer, max_positions: pair.max_length.unwrap_or(512), limit: None };
    let found = task.items(Source::Records(&records), ask).map_err(|error| error.to_string())?;
    Ok(found.items[0].requests[0].clone())
}

#[test]
fn every_pair_has_the_ids_of_the_harness() {
    let text = fs::read_to_string(golden("choices/choices.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    let (mut n_pairs, mut wrong) = (0, Vec::new());
    for case in &cases {
        let folder = tempfile::tempdir().unwrap();
        for (name, source) in &case.vocabulary {
            fs::copy(golden(source.as_str().unwrap()), folder.path().join(name)).unwrap();
        }
        for (name, content) in &case.beside {
            fs::write(folder.path().join(name), content.to_string()).unwrap();
        }
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        let front = !tokenizer.encode("").unwrap().is_empty();
        for pair in &case.pairs {
            n_pairs += 1;
            let found = request(&tokenizer, pair, folder.path());
            // The harness takes the end-of-text token in place of a context where no other stands in
            // front; no post-processor names it, so such an item is refused here.
            let is_refused = pair.refused || (pair.context.is_empty() && !front);
            let is_right = match &found {
                Err(_) => is_refused,
                Ok(found) => {
                    let rows = (found.rows().start, found.rows().end);
                    !is_refused
                        && found.read() == pair.read
                        && found.targets() == pair.continuation_ids
                        && Some(rows) == pair.rows
                }
            };
            if !is_right {
                let (context, continuation) = (&pair.context, &pair.continuation);
                wrong.push(format!(
                    "{}: {context:?} {continuation:?}\n  {found:?}\n  {:?} {:?} {:?}",
                    case.name, pair.read, pair.continuation_ids, pair.rows
                ));
            }
        }
    }
    assert!(n_pairs > 200, "{n_pairs} pairs");
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

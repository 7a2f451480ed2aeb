//! Definitions that are good, and what is said of bad ones and of items that do not fit.

use std::collections::BTreeSet;

use super::*;

/// The golden folder holds made-up items, and what the harness's own code makes of them.
const PLACE: &str = "tasks/mine.toml";

fn parsed(text: &str) -> Result<Definition, String> {
    Definition::parse(Path::new(PLACE), text).map_err(|error| error.to_string())
}

const MINE: &str = r#"
name = "mine"
version = "0.1"
metrics = ["acc", "acc_norm"]
doc_to_text = "Q: {{ question }}"
doc_to_choice = { each = "options" }
doc_to_target = "{{ answer }}"
"#;

#[test]
fn those_of_this_project_are_named_as_their_files() {
    let names: Vec<String> = definitions().unwrap().into_iter().map(|own| own.name).collect();
    let files: Vec<&str> = OWN.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, files);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks");
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, files.iter().map(|&name| name.to_owned()).collect());
}

#[test]
fn bad_definitions_are_told_with_their_field() {
    let changed = |from: &str, to: &str| parsed(&MINE.replace(from, to)).unwrap_err();
    assert!(parsed(MINE).is_ok());
    for (from, to, told) in [
        ("version", "verson", "unknown field `verson`"),
        ("name = \"mine\"", "name = \"Mi_ne\"", "`name`"),
        ("metrics = [\"acc\", ", "metrics = [\"f1\", ", "unknown variant `f1`"),
        ("metrics = [\"acc\", \"acc_norm\"]", "metrics = []", "`metrics`"),
        ("{ each = \"options\" }", "[\"yes\"]", "at least two choices"),
        ("{ each = \"options\" }", "3", "expected a list of templates, or { each"),
        ("{ each = \"options\" }", "{ eech = \"options\" }", "expected a list of templates"),
        ("\"Q: {{ question }}\"", "[\"a\", \"b\"]", "where it is a list"),
        ("doc_to_target = \"{{ answer }}\"", "num_fewshot = 5", "doc_to_target"),
        ("doc_to_text", "num_fewshot = 5\ndoc_to_text", "`num_fewshot`"),
    ] {
        let error = changed(from, to);
        assert!(error.contains(told) && error.contains(PLACE), "{error}");
    }
    let group = |members: &str| {
        parsed(&format!("{MINE}[group]\nversion = \"1\"\nmembers = {members}\n")).unwrap_err()
    };
    assert!(group("[]").contains("`group.members`"));
    assert!(group(r#"["x_y", "x-y"]"#).contains("of a name of its own"));
    assert!(group(r#"["X"]"#).contains("use a-z"));
    let named = |name: &str| {
        let made = ChoiceTask::new(parsed(MINE).unwrap(), Path::new(PLACE), name);
        made.err().unwrap().to_string()
    };
    assert!(named("other").contains("its `name` is `mine`, the protocol asks for `other`"));
    assert!(named("mine-2").contains(PLACE));
    let definition = parsed(&MINE.replace("{{ question }}", "{{ question")).unwrap();
    let error = ChoiceTask::new(definition, Path::new(PLACE), "mine").err().unwrap().to_string();
    assert!(error.contains("`doc_to_text`"), "{error}");
    let partial = MINE
        .replace("\"Q: {{ question }}\"", "[\"a\", \"b\"]")
        .replace("{ each = \"options\" }", "[\"c\"]");
    assert!(parsed(&partial).unwrap_err().contains("`acc_norm` is `acc`"));
}

#[test]
fn items_that_do_not_fit_are_told_with_field_and_number() {
    let task = ChoiceTask::new(parsed(MINE).unwrap(), Path::new(PLACE), "mine").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.jsonl");
    let good = r#"{"question": "a", "options": ["b", "cé"], "answer": 1}"#;
    let of = |item: &str| {
        std::fs::write(&path, format!("{good}\n{item}\n")).unwrap();
        let records = Records::read(&path).unwrap();
        task.question(&records, 1).map_err(|error| error.to_string())
    };
    let question = of(good).unwrap();
    assert_eq!(question.contexts, ["Q: a", "Q: a"]);
    assert_eq!(question.continuations, [" b", " cé"]);
    assert_eq!(question.lengths[1], Length { characters: 2, bytes: 3 });
    assert_eq!(question.gold, 1);
    for (item, field, told) in [
        (r#"{"options": ["b", "c"], "answer": 0}"#, "doc_to_text", "no field `question`"),
        (r#"{"question": null, "options": ["b"], "answer": 0}"#, "doc_to_text", "is null"),
        (r#"{"question": "a", "options": "b", "answer": 0}"#, "doc_to_choice", "expected a list"),
        (r#"{"question": "a", "options": ["b"], "answer": 0}"#, "doc_to_choice", "found 1"),
        (
            r#"{"question": "a", "options": ["b", null], "answer": 0}"#,
            "doc_to_choice",
            "`it` is null",
        ),
        (r#"{"question": ["a"], "options": ["b"], "answer": 0}"#, "doc_to_text", "no text"),
        (r#"{"it": 1, "question": "a", "options": ["b"], "answer": 0}"#, "doc_to_choice", "hide"),
        (r#"{"question": "a", "options": ["b", ""], "answer": 0}"#, "doc_to_choice", "1 is empty"),
        (
            r#"{"question": "a", "options": ["b", "c"], "answer": 2}"#,
            "doc_to_target",
            "from 0 to 1",
        ),
        (r#"{"question": "a", "options": ["b", "c"], "answer": ""}"#, "doc_to_target", "found ``"),
    ] {
        let error = of(item).unwrap_err();
        let is_told = error.contains(told) && error.contains("item 1");
        assert!(is_told && error.contains(&format!("`{field}` of task `mine`")), "{error}");
    }
}

#[test]
fn a_group_is_asked_by_its_members() {
    let member = |name: &str| by_name(&format!("choice-{name}"));
    let task = member("mmlu-high-school-us-history").unwrap().unwrap();
    assert_eq!(task.definition().unwrap().name, "mmlu");
    assert!(member("mmlu").is_none() && member("mmlu-alchemy").is_none());
    assert!(member("mmluanatomy").is_none() && member("piqa-2").is_none());
}

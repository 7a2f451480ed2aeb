//! Pipeline files: what a good one means, and that a bad one is told everything at once.

use plan::{
    Filter, FilterError, HubModel, ModelSource, Pipeline, Policy, Protocol, Reading, TextShape,
    TextSource, TimeSteps,
};

const GOOD: &str = r#"
name = "small"
description = "a test"
seed = 7

[[model]]
name = "smollm2"

[[dataset]]
name = "wikitext2"
protocol = "ppl-1024"
limit = 8
calibration = { dataset = "wikitext2-valid", limit = 4 }

[[dataset]]
name = "lambada"
protocol = "lambada-openai"
limit = 100

[[sweep]]
policy = ["static", "dynamic"]
score = "magnitude"
sparsity = [0.5, 0.9]
datasets = ["wikitext2"]

[[sweep]]
policy = "window"
score = "magnitude"
sparsity = 0.9
window = [4, 64]
rule = ["window-mean", "prompt"]
prompt_tokens = 16

[[sweep]]
policy = "dynamic"
score = ["magnitude", "random"]
sparsity = 0.9
"#;

fn parse(text: &str) -> Result<Pipeline, Vec<String>> {
    Pipeline::parse(text, &["smollm2".to_owned()])
        .map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect())
}

#[test]
fn a_good_file_lists_its_cells_in_order() {
    let pipeline = parse(GOOD).unwrap();
    let labels: Vec<String> = pipeline.cells.iter().map(|cell| cell.label()).collect();
    assert_eq!(
        labels,
        [
            "smollm2 wikitext2 ppl-1024 dense",
            "smollm2 wikitext2 ppl-1024 static κ=.5 magnitude",
            "smollm2 wikitext2 ppl-1024 static κ=.9 magnitude",
            "smollm2 wikitext2 ppl-1024 dynamic κ=.5 magnitude",
            "smollm2 wikitext2 ppl-1024 dynamic κ=.9 magnitude",
            "smollm2 wikitext2 ppl-1024 window κ=.9 W=4 window-mean magnitude",
            "smollm2 wikitext2 ppl-1024 window κ=.9 W=64 window-mean magnitude",
            "smollm2 wikitext2 ppl-1024 window κ=.9 W=4 prompt magnitude",
            "smollm2 wikitext2 ppl-1024 window κ=.9 W=64 prompt magnitude",
            "smollm2 wikitext2 ppl-1024 dynamic κ=.9 random",
            "smollm2 lambada lambada-openai dense",
            "smollm2 lambada lambada-openai window κ=.9 W=4 window-mean magnitude",
            "smollm2 lambada lambada-openai window κ=.9 W=64 window-mean magnitude",
            "smollm2 lambada lambada-openai window κ=.9 W=4 prompt magnitude",
            "smollm2 lambada lambada-openai window κ=.9 W=64 prompt magnitude",
            "smollm2 lambada lambada-openai dynamic κ=.9 magnitude",
            "smollm2 lambada lambada-openai dynamic κ=.9 random",
        ]
    );
    for cell in &pipeline.cells {
        let is_static = cell.recipe.treatment().unwrap().policy == Policy::Static;
        assert_eq!(cell.calibration.is_some(), is_static, "{}", cell.label());
        assert_eq!(cell.recipe.seed(), 7);
    }
    let calibration = pipeline.cells[1].calibration.clone().unwrap();
    assert_eq!((calibration.limit, calibration.window_tokens), (Some(4), 1024));
    assert_eq!(pipeline.cells[0].protocol, Protocol::Perplexity { window_tokens: 1024 });
}

#[test]
fn texts_are_only_those_the_cells_need() {
    let pipeline = parse(GOOD).unwrap();
    let names = |texts: Vec<TextSource>| -> Vec<String> {
        texts.into_iter().map(|text| text.name).collect()
    };
    assert_eq!(names(pipeline.texts(&pipeline.cells)), ["lambada", "wikitext2", "wikitext2-valid"]);
    assert_eq!(names(pipeline.texts(&pipeline.cells[..1])), ["wikitext2"]);
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    let text = r#"name = "Bad Name"
[[model]]
name = "smollm"
[[dataset]]
name = "wikitext"
protocol = "ppl-1024"
limit = 0
[[dataset]]
name = "wikitext2"
protocol = "lambada-opnai"
[[dataset]]
name = "c4"
protocol = "ppl-1024"
[[sweep]]
policy = "dynamc"
score = "magnitude"
sparsity = 0.5
[[sweep]]
policy = "window"
score = ["magnitude", "magnitud"]
sparsity = [0.5, 1.0, "0.9"]
windw = 4
[[sweep]]
policy = "static"
score = "magnitude"
sparsity = 0.5
window = 4
datasets = "c5"
"#;
    let mistakes = parse(text).unwrap_err();
    let expected = [
        "line 1: `name`: `Bad Name` names a folder",
        "line 1: missing key `seed`",
        "line 3: model 1: unknown model `smollm`: did you mean `smollm2`?",
        "line 5: dataset 1: unknown dataset `wikitext`: did you mean `wikitext2`?",
        "line 7: dataset 1: `limit`: expected a whole number of at least 1, found 0",
        "line 10: dataset 2: unknown protocol `lambada-opnai`: did you mean `lambada-openai`?",
        "line 15: sweep 1: unknown policy `dynamc`: did you mean `dynamic`?",
        "line 18: sweep 2: missing key `window`: policy `window` needs it",
        "line 18: sweep 2: missing key `rule`: policy `window` needs it",
        "line 20: sweep 2: unknown score `magnitud`: did you mean `magnitude`?",
        "line 21: sweep 2: `sparsity`: 1 is outside 0 <= sparsity < 1",
        "line 21: sweep 2: `sparsity`: expected a number, found string",
        "line 22: sweep 2: unknown key `windw`: did you mean `window`?",
        "line 27: sweep 3: policy `static` takes no `window`",
        "line 28: sweep 3: `datasets`: unknown dataset of this file `c5`: did you mean `c4`?",
    ];
    for (found, expected) in mistakes.iter().zip(expected) {
        assert!(found.starts_with(expected), "expected {expected:?}, found {found:?}");
    }
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
}

#[test]
fn single_mistakes_are_found() {
    let with = |from: &str, to: &str| parse(&GOOD.replacen(from, to, 1)).unwrap_err().join("\n");
    let cases = [
        // (text of the good file, replaced by, part of the message)
        ("seed = 7", "seed = -7", "found -7"),
        ("seed = 7", "seed = 7.5", "expected a whole number of at least 0, found float"),
        ("name = \"lambada\"", "name = \"wikitext2\"", "`lambada-openai` needs items"),
        ("protocol = \"lambada-openai\"", "protocol = \"ppl-1\"", "unknown protocol `ppl-1`"),
        ("dataset = \"wikitext2-valid\"", "dataset = \"wikitext2\"", "its own calibration text"),
        (", limit = 4 }", ", limits = 4 }", "dataset 1: calibration: unknown key `limits`"),
        ("calibration = { dataset", "# { dataset", "policy `static` needs calibration text"),
        ("sparsity = [0.5, 0.9]", "sparsity = [0.5, 0.50]", "comes twice"),
        ("sparsity = [0.5, 0.9]", "sparsity = []", "the list is empty"),
        ("sparsity = [0.5, 0.9]", "sparsity = nan", "NaN is outside"),
        ("\"prompt\"]", "\"first-token\"]", "`prompt_tokens` belongs to the rule `prompt` only"),
        ("[\"static\", \"dynamic\"]", "\"dense\"", "dense needs no sweep"),
        ("window = [4, 64]", "window = [0, 64]", "`window`: expected a whole number"),
        ("[[model]]", "[[model]]\nname = \"smollm2\"\n[[model]]", "`smollm2` is listed twice"),
        ("name = \"smollm2\"", "path = \"x.gguf\"", "missing key `name`"),
        ("name = \"smollm2\"", "name = \"../x\"\npath = \"x.gguf\"", "names a folder"),
        ("name = \"smollm2\"", "name = \"..\"\npath = \"x.gguf\"", "must not begin with a dot"),
        ("name = \"lambada\"", "name = \".hidden\"", "dataset 2: `name`: `.hidden` names a folder"),
        ("dataset = \"wikitext2-valid\"", "dataset = \"..\"", "calibration: `dataset`: `..` names"),
        ("name = \"smollm2\"", "name = \"smollm2\"\npath = \"x.gguf\"", "takes no path"),
        ("seed = 7", "seed = ", "not TOML"),
    ];
    for (from, to, message) in cases {
        let found = with(from, to);
        assert!(found.contains(message), "{from:?} -> {to:?}: expected {message:?} in {found:?}");
    }
}

/// What cannot be stored is refused when the file is read, wherever the name stands, and alone.
#[test]
fn long_names_are_refused_wherever_they_stand() {
    let long = "a".repeat(300);
    for (from, to) in [
        ("name = \"small\"", format!("name = \"{long}\"")),
        ("name = \"smollm2\"", format!("name = \"{long}\"\npath = \"x.gguf\"")),
        ("dataset = \"wikitext2-valid\"", format!("dataset = \"{long}\", path = \"x.raw\"")),
    ] {
        let found = parse(&GOOD.replacen(from, &to, 1)).unwrap_err();
        assert!(found[0].contains("it has 300 characters, 100 is most"), "{found:?}");
        assert_eq!(found.len(), 1, "a mistake must not cause others: {found:?}");
    }
}

/// Of two files under one name none is chosen in secret, be they evaluated or calibrated on.
#[test]
fn one_name_is_one_file() {
    let text = r#"
name = "own"
seed = 1
[[model]]
name = "smollm2"
[[dataset]]
name = "a"
path = "a.raw"
protocol = "ppl-256"
calibration = { dataset = "old", path = "old.raw" }
[[dataset]]
name = "b"
path = "b.raw"
protocol = "ppl-256"
calibration = { dataset = "old", path = "old.raw" }
"#;
    assert_eq!(parse(text).unwrap().cells.len(), 2);
    let second = text.rfind("old.raw").unwrap();
    let two = [&text[..second], "older.raw", &text[second + "old.raw".len()..]].concat();
    let found = parse(&two).unwrap_err();
    assert_eq!(found, ["line 12: dataset 2: `old` stands for two files: rename one"]);
    let found = parse(&text.replacen("\"old\"", "\"b\"", 1)).unwrap_err();
    assert_eq!(found, ["line 12: dataset 2: `b` stands for two files: rename one"]);
}

/// Calibration text is cut into windows as the measured text is, unless the file says otherwise.
#[test]
fn calibration_windows_are_those_of_the_protocol() {
    let window_tokens = |text: &str| {
        let pipeline = parse(text).unwrap();
        let mut cells = pipeline.cells.iter().filter_map(|cell| cell.calibration.as_ref());
        cells.next().unwrap().window_tokens
    };
    let of_512 = GOOD.replacen("ppl-1024", "ppl-512", 1);
    assert_eq!(window_tokens(&of_512), 512);
    assert_eq!(window_tokens(&of_512.replacen("limit = 4", "window_tokens = 64", 1)), 64);
    assert_eq!(plan::calibration_window_tokens(Protocol::LambadaOpenai, None), 1024);
    assert_eq!(plan::calibration_window_tokens(Protocol::LambadaOpenai, Some(256)), 256);
}

#[test]
fn own_files_are_given_by_path() {
    let text = r#"
name = "own"
seed = 1
[[model]]
name = "mine"
path = "checkpoints/mine"
[[dataset]]
name = "notes"
path = "notes.jsonl"
protocol = "ppl-256"
calibration = { dataset = "old-notes", path = "old.raw" }
[[sweep]]
policy = "static"
score = "impact"
sparsity = 0.5
"#;
    let pipeline = parse(text).unwrap();
    assert_eq!(pipeline.models[0].source, ModelSource::Path("checkpoints/mine".into()));
    let texts = pipeline.texts(&pipeline.cells);
    assert_eq!(texts[1].name, "old-notes");
    assert_eq!(texts[1].path.as_deref(), Some("old.raw".as_ref()));
    let found = parse(&text.replace("notes.jsonl", "notes.txt")).unwrap_err().join("\n");
    assert!(found.contains("expected a file of .raw, .jsonl, .jsonl.gz"), "{found}");
    assert!(!found.contains("sweep"), "a mistake must not cause others: {found}");
}

#[test]
fn models_of_the_hub_are_given_by_repository() {
    let with = |lines: &str| parse(&GOOD.replacen("name = \"smollm2\"", lines, 1));
    let hub = |lines: &str| match &with(lines).unwrap().models[0].source {
        ModelSource::Hub(model) => model.clone(),
        other => panic!("{other:?}"),
    };
    let plain = hub("name = \"qwen\"\nhub = \"Qwen/Qwen2.5-0.5B\"");
    let name = "Qwen/Qwen2.5-0.5B".parse().unwrap();
    assert_eq!(plain, HubModel { name, file: None, tokenizer: None });
    let full = hub("name = \"m\"\nhub = \"a/b\"\nrevision = \"v1\"\nfile = \"q.gguf\"\n\
                    tokenizer = \"c/d@v2\"");
    assert_eq!(full.fetch_command(), "cargo xtask fetch a/b@v1 --file q.gguf --tokenizer c/d@v2");
    let cases = [
        ("name = \"m\"\nhub = \"gpt2\"", "`gpt2` is no repository of the Hub"),
        ("name = \"m\"\nhub = \"a/b@v1\"", "give the revision as `revision`"),
        ("name = \"m\"\nhub = \"a/b\"\nrevision = \"../v1\"", "`a/b@../v1` is no repository"),
        ("name = \"m\"\nhub = \"a/b\"\npath = \"x\"", "give one of the two"),
        ("name = \"m\"\nhub = \"a/b\"\nfile = \"x.bin\"", "expected a .gguf file"),
        ("name = \"m\"\npath = \"x\"\ntokenizer = \"a/b\"", "belongs to a model of the Hub"),
        ("name = \"smollm2\"\nhub = \"a/b\"", "takes no hub: rename it"),
        ("name = \"smolm2\"", "did you mean `smollm2`?"),
    ];
    for (lines, message) in cases {
        let found = with(lines).unwrap_err().join("\n");
        assert!(found.contains(message), "{lines:?}: expected {message:?} in {found:?}");
    }
}

/// A locked model takes it too: it says how the weights are read, not where they are.
#[test]
fn time_steps_have_a_rule() {
    let with = |lines: &str| parse(&GOOD.replacen("name = \"smollm2\"", lines, 1));
    let rule = |lines: &str| with(lines).unwrap().models[0].time_steps;
    assert_eq!(rule("name = \"smollm2\""), TimeSteps::Transformers);
    assert_eq!(rule("name = \"smollm2\"\ntime_steps = \"original\""), TimeSteps::Original);
    let found = with("name = \"smollm2\"\ntime_steps = \"orginal\"").unwrap_err().join("\n");
    assert!(found.contains("did you mean `original`?"), "{found}");
}

#[test]
fn parquet_says_whether_it_holds_rows_or_documents() {
    let dataset = "name = \"wikitext2\"\nprotocol";
    let with = |lines: &str| {
        parse(
            &GOOD
                .replacen(dataset, &format!("{lines}\nprotocol"), 1)
                .replace("[\"wikitext2\"]", "\"w\""),
        )
    };
    let read = |lines: &str| {
        let pipeline = with(lines).unwrap();
        pipeline.texts(&pipeline.cells).into_iter().find(|text| text.name == "w").unwrap().reading
    };
    let shape = Some(TextShape::Rows);
    let rows = read("name = \"w\"\npath = \"w.parquet\"\nshape = \"rows\"");
    assert_eq!(rows, Reading { shape, documents: None });
    let some = read("name = \"w\"\npath = \"w.json.gz\"\ndocuments = 9");
    assert_eq!(some, Reading { shape: None, documents: Some(9) });
    assert_eq!((rows.identity("ab"), some.identity("ab")), ("ab".into(), "ab documents=9".into()));
    let cases = [
        ("name = \"w\"\npath = \"w.parquet\"", "`shape` (`rows` or `documents`) belongs to"),
        ("name = \"w\"\npath = \"w.raw\"\nshape = \"rows\"", "belongs to a .parquet file"),
        ("name = \"w\"\npath = \"w.parquet\"\nshape = \"row\"", "did you mean `rows`?"),
        ("name = \"c4\"\ndocuments = 9", "is a known text and takes no shape or documents"),
    ];
    for (lines, message) in cases {
        let found = with(lines).unwrap_err().join("\n");
        assert!(found.contains(message), "{lines:?}: expected {message:?} in {found:?}");
    }
}

#[test]
fn one_text_under_two_protocols_is_two_sets_of_cells() {
    let text = GOOD.replace(
        "[[sweep]]\npolicy = \"window\"",
        "[[dataset]]\nname = \"lambada\"\nprotocol = \"lambada-last-token\"\n\n\
         [[sweep]]\npolicy = \"window\"",
    );
    let pipeline = parse(&text).unwrap();
    let of_lambada = pipeline.cells.iter().filter(|cell| cell.dataset == "lambada").count();
    assert_eq!(of_lambada, 14);
}

#[test]
fn filters_select_and_explain() {
    let cells = parse(GOOD).unwrap().cells;
    let count = |text: &str| text.parse::<Filter>().unwrap().select(&cells).map(|c| c.len());
    assert_eq!(count(""), Ok(17));
    assert_eq!(count("policy=dynamic,sparsity=.90"), Ok(4));
    assert_eq!(count("policy=dense,policy=static"), Ok(4));
    assert_eq!(count("window=none,dataset=lambada"), Ok(1));
    assert_eq!(count("policy=dense,sparsity=0.9"), Err(FilterError::Empty));
    let error = count("policy=dynamc").unwrap_err().to_string();
    assert!(error.contains("did you mean `dynamic`?"), "{error}");
    let error = "polcy=dense".parse::<Filter>().unwrap_err().to_string();
    assert!(error.contains("did you mean `policy`?"), "{error}");
    assert!(matches!("policy".parse::<Filter>(), Err(FilterError::NotAPair(_))));
}

#[test]
fn the_order_of_a_file_does_not_change_its_cells() {
    let reordered = r#"
seed = 7
description = "the same, written otherwise"
name = "small"
model = [ { name = "smollm2" } ]
dataset = [
  { protocol = "lambada-openai", name = "lambada", limit = 100 },
  { limit = 0x8, name = "wikitext2", protocol = "ppl-1024",
    calibration = { limit = 4, dataset = "wikitext2-valid", window_tokens = 1_024 } },
]
sweep = [
  { policy = "dynamic", score = ["random", "magnitude"], sparsity = [9e-1] },
  { policy = "window", score = "magnitude", sparsity = 0.90, window = [64, 4],
    rule = ["prompt", "window-mean"], prompt_tokens = [16] },
  { sparsity = [0.9, 0.5], policy = ["dynamic", "static"], score = ["magnitude"],
    datasets = "wikitext2" },
]
"#;
    let sorted = |text: &str| {
        let mut cells: Vec<String> =
            parse(text).unwrap().cells.iter().map(|c| serde_json::to_string(c).unwrap()).collect();
        cells.sort();
        cells
    };
    assert_eq!(sorted(GOOD), sorted(reordered));
}

/// A task of choices in a pipeline, and what is wrong with one.
#[test]
fn tasks_are_named_by_protocols() {
    const TASKS: &str = r#"name = "tasks"
seed = 1
[[model]]
name = "smollm2"
[[dataset]]
name = "piqa"
protocol = "choice-piqa"
[[dataset]]
name = "capitals"
path = "capitals.jsonl"
protocol = "choice-capitals"
task = "capitals.toml"
calibration = { dataset = "wikitext2-valid", limit = 4 }
[[sweep]]
policy = "dynamic"
score = "random"
sparsity = 0.5
"#;
    let pipeline = parse(TASKS).unwrap();
    let tasks = pipeline.tasks(&pipeline.cells);
    assert_eq!(tasks.len(), 1);
    assert_eq!(
        (tasks[0].name.as_str(), tasks[0].path.to_str()),
        ("capitals", Some("capitals.toml"))
    );
    assert_eq!(pipeline.cells[3].label(), "smollm2 capitals choice-capitals dynamic κ=.5 random");
    let with = |from: &str, to: &str| parse(&TASKS.replacen(from, to, 1)).unwrap_err().join("\n");
    let own = "task = \"capitals.toml\"";
    for (from, to, told) in [
        ("choice-piqa", "choice-pika", "unknown task `pika`: did you mean `piqa`?"),
        ("choice-piqa", "choice-rte", "`piqa` holds items of a task: use `choice-piqa`"),
        ("choice-piqa", "ppl-64", "`piqa` holds items of a task: use `choice-piqa`"),
        ("name = \"piqa\"", "name = \"wikitext2\"", "`wikitext2` is a text and has no items"),
        (own, "", "or give `task`, the TOML file that defines it"),
        ("choice-capitals", "choice-copa", "`copa` is a task of this project and takes no file"),
        ("choice-capitals", "lambada-openai", "`task` belongs to choice-TASK"),
        (own, "task = \"capitals.toml\"\ndocuments = 3", "`limit` in place of `documents`"),
        ("capitals.jsonl", "capitals.raw", "a task of choices has items"),
        ("\"wikitext2-valid\"", "\"rte\"", "`rte` holds items of a task, not text to calibrate on"),
        ("sparsity = 0.5", "sparsity = 0.5\ncompare = \"dense\"", "`compare` looks at"),
    ] {
        let message = with(from, to);
        assert!(message.contains(told), "{told}: {message}");
    }
    let twice = "[[dataset]]\nname = \"other\"\npath = \"other.jsonl\"\nprotocol = \"choice-capitals\"\n\
                 task = \"other.toml\"\n[[sweep]]";
    assert!(with("[[sweep]]", twice).contains("`choice-capitals` stands for two tasks"));
}

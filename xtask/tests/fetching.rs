//! `cargo xtask fetch` from a small Hub on this machine, and grids over what was fetched.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod common;
#[path = "../../crates/hub/tests/server/mod.rs"]
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use common::{Bench, stderr};
use plan::{DataLock, ModelsLock, Selection, WorkOrder};
use server::{COMMIT, Fault, Repository, Server, TOKEN, sha256};

/// A scratch folder with copies of the lock files, and the small Hub.
struct Hub {
    bench: Bench,
    server: Server,
}

impl Hub {
    fn new() -> Hub {
        let bench = Bench::new();
        for name in ["models.lock", "data.lock"] {
            bench.write(&format!("locks/{name}"), &fs::read_to_string(data().join(name)).unwrap());
        }
        Hub { bench, server: Server::start() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bench.command(args);
        command
            .env("HF_ENDPOINT", self.server.url())
            .env("SLIM_LOCKS", self.bench.path("locks"))
            .env("SLIM_HUB", hub_program())
            .env_remove("HF_TOKEN")
            .env_remove("HF_TOKEN_PATH");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs and expects this exit code and these words.
    fn expect(&self, args: &[&str], code: i32, words: &[&str]) {
        expect(&self.run(args), code, words);
    }

    fn lock_text(&self, name: &str) -> String {
        fs::read_to_string(self.bench.path(&format!("locks/{name}"))).unwrap()
    }

    fn snapshot(&self, folder: &str) -> PathBuf {
        PathBuf::from(self.bench.path(&format!("hf/hub/{folder}/snapshots/{COMMIT}")))
    }

    /// Requests since the last call, to the Hub and to its storage.
    fn n_requests(&self) -> usize {
        self.server.asked().len() + self.server.stored().len()
    }

    /// The order that a worker would get for this pipeline.
    #[cfg(unix)]
    fn order(&self, pipeline: &str) -> WorkOrder {
        self.bench.worker("cp \"$3\" order.json");
        let pipeline = self.bench.write("grid.toml", pipeline);
        self.expect(&["run-grid", &pipeline, "--no-report"], 0, &[]);
        serde_json::from_str(&fs::read_to_string(self.bench.path("order.json")).unwrap()).unwrap()
    }
}

fn expect(output: &Output, code: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "expected {word:?} in {text}");
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data")
}

fn golden(name: &str) -> PathBuf {
    data().join("../crates/models/tests/golden").join(name)
}

/// The binary `hub`, as it is now.
fn hub_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| common::program("hub"))
}

/// A grid over a model with these lines and a text with these.
fn pipeline(model: &str, dataset: &str) -> String {
    format!(
        "name = \"grid\"\nseed = 1\n[[model]]\n{model}\n[[dataset]]\n{dataset}\n\
         [[sweep]]\npolicy = \"dynamic\"\nscore = \"magnitude\"\nsparsity = 0.5\n"
    )
}

const OWN_TEXT: &str = "name = \"text\"\npath = \"text.raw\"\nprotocol = \"ppl-64\"";

#[cfg(unix)]
#[test]
fn a_model_is_fetched_locked_and_found_by_a_grid() {
    let hub = Hub::new();
    hub.bench.write("text.raw", "some text\n");
    let before = hub.lock_text("models.lock");
    hub.server.put("models/acme/llama", Repository::folder(&golden("llama")));
    let grid = pipeline("name = \"l\"\nhub = \"acme/llama\"", OWN_TEXT);
    let file = hub.bench.write("grid.toml", &grid);
    let not_yet =
        "model `l`: acme/llama is not in data/models.lock: run `cargo xtask fetch acme/llama`";
    hub.expect(&["run-grid", &file], 3, &[not_yet]);
    hub.expect(&["fetch", "acme/llama"], 0, &["3 files", "models.lock has a new entry: commit it"]);
    let snapshot = hub.snapshot("models--acme--llama");
    let names = ["config.json", "model.safetensors", "tokenizer.json"];
    for name in names {
        let original = fs::read(golden("llama").join(name)).unwrap();
        assert_eq!(fs::read(snapshot.join(name)).unwrap(), original, "{name}");
    }
    let text = hub.lock_text("models.lock");
    assert!(text.starts_with(before.trim_end()), "what was there stays, comments and all: {text}");
    let lock = ModelsLock::parse(&text).unwrap();
    let entry = lock.find_part("acme/llama", "main", &Selection::Model).unwrap();
    assert_eq!((entry.revision.as_str(), entry.licence.as_deref()), (COMMIT, Some("apache-2.0")));
    let hash = |name: &str| sha256(&fs::read(golden("llama").join(name)).unwrap());
    let locked: Vec<_> = entry.files.iter().map(|f| (f.path.as_str(), f.sha256.clone())).collect();
    assert_eq!(locked, names.map(|name| (name, hash(name))));
    // From here on no network is needed, and none is used.
    assert!(hub.n_requests() > 0);
    let there = "3 files there already, with the right sha256";
    hub.expect(&["fetch", "acme/llama"], 0, &[there]);
    hub.expect(&["fetch", "acme/llama", "--offline"], 0, &[there]);
    let order = hub.order(&grid);
    assert_eq!(hub.n_requests(), 0);
    assert_eq!(hub.lock_text("models.lock"), text);
    let model = &order.models[0];
    assert_eq!((&model.path, &model.tokenizer), (&snapshot, &None));
    let over = |names: [&str; 2]| {
        sha256(names.map(|name| format!("{name} {}\n", hash(name))).concat().as_bytes())
    };
    assert_eq!(model.sha256, over(["config.json", "model.safetensors"]));
    assert_eq!(model.tokenizer_sha256, over(["config.json", "tokenizer.json"]));
    // What is damaged is refused by both commands.
    let blob = snapshot.join("model.safetensors").canonicalize().unwrap();
    let mut bytes = fs::read(&blob).unwrap();
    bytes[1000] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let blob = blob.display().to_string();
    hub.expect(&["fetch", "acme/llama"], 3, &[&blob, "delete it", "lock file says"]);
    let advice = "delete it and run `cargo xtask fetch acme/llama`";
    hub.expect(&["run-grid", &file], 3, &[&blob, advice]);
    fs::remove_file(&blob).unwrap();
    hub.expect(&["run-grid", &file], 3, &["is missing: run `cargo xtask fetch acme/llama`"]);
    hub.expect(&["fetch", "acme/llama", "--offline"], 3, &["model.safetensors is missing"]);
    hub.expect(&["fetch", "acme/llama"], 0, &["3 files"]);
    assert_eq!(hub.lock_text("models.lock"), text);
}

#[cfg(unix)]
#[test]
fn a_tokenizer_may_come_from_another_repository() {
    let hub = Hub::new();
    hub.bench.write("text.raw", "some text\n");
    let bare =
        Repository::default().small("config.json", "{}").large("pytorch_model.bin", "weights");
    hub.server.put("models/acme/bare", bare);
    let words = fs::read(golden("llama").join("tokenizer.json")).unwrap();
    let other = Repository::default().small("tokenizer.json", words.clone()).large("w.bin", "big");
    hub.server.put("models/acme/words", other);
    hub.expect(&["fetch", "acme/bare"], 0, &["note: it has no tokenizer"]);
    let model = "name = \"b\"\nhub = \"acme/bare\"";
    let file = hub.bench.write("bare.toml", &pipeline(model, OWN_TEXT));
    hub.expect(&["run-grid", &file], 3, &["acme/bare has no tokenizer: name a repository"]);
    let model = format!("{model}\ntokenizer = \"acme/words\"");
    let file = hub.bench.write("both.toml", &pipeline(&model, OWN_TEXT));
    let advice = "acme/words is not in data/models.lock: run \
                  `cargo xtask fetch acme/bare --tokenizer acme/words`";
    hub.expect(&["run-grid", &file], 3, &[advice]);
    hub.expect(
        &["fetch", "acme/bare", "--tokenizer", "acme/words"],
        0,
        &["there already", "1 file,"],
    );
    let model = &hub.order(&pipeline(&model, OWN_TEXT)).models[0];
    assert_eq!(model.tokenizer.as_ref(), Some(&hub.snapshot("models--acme--words")));
    assert_eq!(model.tokenizer_sha256, sha256(&words));
}

#[cfg(unix)]
#[test]
fn texts_are_fetched_by_name_and_found_where_the_data_folder_lacks_them() {
    let hub = Hub::new();
    hub.bench.write("model.gguf", "GGUF");
    let (path, text) = ("data/lambada_test_en.jsonl", "{\"text\": \"one two\"}\n");
    let repository = Repository::default().large(path, text).small("README.md", "words");
    hub.server.put("datasets/EleutherAI/lambada_openai", repository);
    let path_c4 = "en/c4-validation.00000-of-00008.json.gz";
    hub.server.put("datasets/allenai/c4", Repository::default().large(path_c4, "packed"));
    let model = "name = \"m\"\npath = \"model.gguf\"";
    let dataset = "name = \"lambada\"\nprotocol = \"lambada-openai\"\n[[dataset]]\nname = \"c4\"\n\
                   protocol = \"ppl-64\"";
    let file = hub.bench.write("grid.toml", &pipeline(model, dataset));
    let advice = "run `cargo xtask fetch --dataset lambada`, or set SLIM_DATA";
    hub.expect(&["run-grid", &file], 3, &[advice]);
    let before = hub.lock_text("data.lock");
    let stays = "SLIM_DATA is set: lambada stays in the Hub's cache";
    hub.expect(&["fetch", "--dataset", "lambada", "c4"], 0, &["data.lock has a new entry", stays]);
    let lock = hub.lock_text("data.lock");
    assert!(lock.starts_with(before.trim_end()), "{lock}");
    let lock = DataLock::parse(&lock).unwrap();
    let entry = lock.find_file("EleutherAI/lambada_openai", COMMIT, path).unwrap();
    assert_eq!(entry.files[0].sha256, sha256(text.as_bytes()));
    hub.n_requests();
    hub.expect(&["fetch", "--offline", "--dataset", "lambada", "c4"], 0, &["there already"]);
    let order = hub.order(&pipeline(model, dataset));
    assert_eq!(hub.n_requests(), 0);
    let (c4, lambada) = (&order.texts[0], &order.texts[1]);
    assert_eq!(lambada.path, hub.snapshot("datasets--EleutherAI--lambada_openai").join(path));
    assert_eq!(
        (lambada.sha256.clone(), lambada.reading.documents),
        (sha256(text.as_bytes()), None)
    );
    assert_eq!(
        (&c4.path, c4.reading.documents),
        (&hub.snapshot("datasets--allenai--c4").join(path_c4), Some(1100))
    );
}

/// Without `SLIM_DATA` a text is put into `data/texts` of the workspace, and found there when the Hub's
/// cache is gone.
#[cfg(unix)]
#[test]
fn texts_are_put_into_the_data_folder() {
    let hub = Hub::new();
    hub.bench.write("model.gguf", "GGUF");
    // A workspace of which nothing but the folders counts.
    hub.bench.write("house/Cargo.lock", "");
    hub.bench.write("house/crates/worker/Cargo.toml", "");
    let (path, text) = ("data/lambada_test_en.jsonl", "{\"text\": \"one two\"}\n");
    let repository = Repository::default().large(path, text);
    hub.server.put("datasets/EleutherAI/lambada_openai", repository);
    let run = |args: &[&str]| {
        let mut command = hub.command(args);
        command.env_remove("SLIM_DATA").env("CARGO_MANIFEST_DIR", hub.bench.path("house/xtask"));
        command.output().unwrap()
    };
    let dataset = "name = \"lambada\"\nprotocol = \"lambada-openai\"";
    let file = hub.bench.write("g.toml", &pipeline("name = \"m\"\npath = \"model.gguf\"", dataset));
    let grid = ["run-grid", &file, "--no-report"];
    let advice = "text `lambada`: data/texts/lambada/lambada_test.jsonl is missing: run `cargo xtask \
                  fetch --dataset lambada`, or set SLIM_DATA";
    expect(&run(&grid), 3, &[advice]);
    let fetch = ["fetch", "--dataset", "lambada"];
    let put = "data/texts/lambada/lambada_test_en.jsonl: read by the name lambada";
    expect(&run(&fetch), 0, &[put]);
    let placed = PathBuf::from(hub.bench.path("house/data/texts/lambada/lambada_test_en.jsonl"));
    assert_eq!(fs::read_to_string(&placed).unwrap(), text);
    expect(&run(&fetch), 0, &["there already"]);
    fs::remove_dir_all(hub.bench.path("hf")).unwrap();
    hub.bench.worker("cp \"$3\" order.json");
    expect(&run(&grid), 0, &[]);
    let order = fs::read_to_string(hub.bench.path("order.json")).unwrap();
    let order: WorkOrder = serde_json::from_str(&order).unwrap();
    assert_eq!(order.texts[0].path, placed);
    assert_eq!(order.texts[0].sha256, sha256(text.as_bytes()));
    fs::write(&placed, "other bytes").unwrap();
    let wrong = "has 11 bytes, not 20: delete it and run";
    expect(&run(&grid), 3, &[wrong, "`cargo xtask fetch --dataset lambada`"]);
    expect(&run(&fetch), 3, &[wrong, "the same command again"]);
}

#[test]
fn a_cut_download_is_resumed_by_the_same_command() {
    let hub = Hub::new();
    let content = vec![7; 60_000];
    hub.server.put("models/acme/quant", Repository::default().large("q4.gguf", content.clone()));
    hub.server.trap("/lfs/", 1, Fault::Cut(40_000));
    hub.server.trap("/lfs/", 1, Fault::Refuse(403, Vec::new()));
    let args = ["fetch", "acme/quant", "--file", "q4.gguf"];
    hub.expect(&args, 3, &["next try in 1.0 s", "gives no answer after 1 try: 403"]);
    assert!(!hub.lock_text("models.lock").contains("acme/quant"));
    hub.server.stored();
    hub.expect(&args, 0, &["q4.gguf: 60000 bytes from byte 40000 on", "new entry"]);
    assert_eq!(hub.server.stored()[0].range_start(), Some(40_000));
    let file = hub.snapshot("models--acme--quant").join("q4.gguf");
    assert_eq!(fs::read(file).unwrap(), content);
}

#[test]
fn the_environment_of_every_hub_client_counts() {
    let hub = Hub::new();
    let mut gated = Repository::default().large("q4.gguf", "weights");
    gated.gated = true;
    hub.server.put("models/acme/quant", gated);
    let args = ["fetch", "acme/quant", "--file", "q4.gguf"];
    let page = format!("accept its licence at {}/acme/quant", hub.server.url());
    hub.expect(&args, 3, &["acme/quant is gated", &page, "set HF_TOKEN"]);
    let offline = hub.command(&args).env("HF_HUB_OFFLINE", "1").output().unwrap();
    expect(&offline, 3, &["is not in", "offline nothing is fetched"]);
    hub.server.asked();
    hub.bench.write("hf/token", &format!("{TOKEN}\n"));
    let cache = hub.bench.path("elsewhere");
    let output = hub.command(&args).env("HF_HUB_CACHE", &cache).output().unwrap();
    expect(&output, 0, &["elsewhere"]);
    assert!(hub.server.asked().iter().all(|request| request.token() == Some(TOKEN)));
    let stored = hub.server.stored();
    assert!(stored.len() == 1 && !format!("{stored:?}").contains(TOKEN), "{stored:?}");
    let snapshot = format!("models--acme--quant/snapshots/{COMMIT}/q4.gguf");
    assert_eq!(fs::read_to_string(Path::new(&cache).join(snapshot)).unwrap(), "weights");
    let output = hub.command(&args).env("HF_HUB_CACHE", &cache).env("HF_HUB_OFFLINE", "1").output();
    expect(&output.unwrap(), 0, &["1 file there already"]);
    let refused = hub.command(&["fetch", "acme/other"]).env("HF_TOKEN", "hf_bad").output().unwrap();
    expect(&refused, 3, &["does not know the token"]);
    let nobody = hub.command(&["fetch", "acme/other"]).env("HF_ENDPOINT", "nonsense").output();
    expect(&nobody.unwrap(), 3, &["set HF_ENDPOINT"]);
}

#[test]
fn mistakes_of_usage_are_told_before_anything_is_asked() {
    let hub = Hub::new();
    let cases: [(&[&str], &str); 8] = [
        (&["fetch"], "--dataset"),
        (
            &["fetch", "smolm2"],
            "did you mean `smollm2`? (one of: smollm2, gemma3-270m); a model of the Hub is named",
        ),
        (&["fetch", "a/b/c"], "`a/b/c` is no repository of the Hub"),
        (&["fetch", "a/b", "--file", "x.bin"], "--file: expected a .gguf file"),
        (&["fetch", "a/b", "--tokenizer", "gpt2"], "`gpt2` is no repository of the Hub"),
        (&["fetch", "smollm2", "--tokenizer", "a/b"], "--tokenizer belongs to a model of the Hub"),
        (&["fetch", "--dataset", "wikitext"], "did you mean `wikitext2`?"),
        (&["fetch", "a/b", "--dataset", "c4"], "cannot be used with"),
    ];
    for (args, words) in cases {
        hub.expect(args, 2, &[words]);
    }
    assert_eq!(hub.n_requests(), 0);
}

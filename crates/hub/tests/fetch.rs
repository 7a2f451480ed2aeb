//! Fetching over HTTP from a small Hub on this machine: what is chosen, asked, kept, and refused.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hub::{Hub, HubError, Settings, Step};
use plan::{FetchAnswer, FetchRequest, HubCache, RepositoryKind, Selection};
use server::{COMMIT, Fault, Repository, Server, TOKEN, sha256};

/// A Hub with a cache and settings that do not wait long.
struct Bench {
    server: Server,
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Bench {
    fn new() -> Bench {
        let server = Server::start();
        let settings = Settings {
            endpoint: server.url(),
            token: None,
            tries: 3,
            pause: Duration::from_millis(1),
            patience: Duration::from_secs(10),
        };
        Bench { server, folder: tempfile::tempdir().unwrap(), settings }
    }

    fn request(&self, repo: &str, wanted: Selection) -> FetchRequest {
        FetchRequest {
            kind: RepositoryKind::Model,
            repo: repo.to_owned(),
            revision: "main".to_owned(),
            wanted,
            locked: Vec::new(),
            cache: HubCache(self.folder.path().to_owned()),
            offline: false,
            known: vec!["acme/small".to_owned()],
        }
    }

    fn fetch(&self, request: &FetchRequest) -> Result<FetchAnswer, HubError> {
        Hub::new(self.settings.clone()).unwrap().fetch(request, &mut |_| {})
    }

    fn error(&self, request: &FetchRequest) -> String {
        self.fetch(request).unwrap_err().to_string()
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("models--acme--small")
    }

    fn blob(&self, content: &[u8]) -> PathBuf {
        self.repository().join("blobs").join(sha256(content))
    }

    fn incomplete(&self, content: &[u8]) -> PathBuf {
        self.repository().join("blobs").join(format!("{}.incomplete", sha256(content)))
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden").join(name)
}

/// Bytes that are no two times the same.
fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * i % 251) as u8).collect()
}

fn gguf(bench: &Bench, content: &[u8]) -> FetchRequest {
    bench.server.put("models/acme/small", Repository::default().large("m.gguf", content));
    bench.request("acme/small", Selection::File("m.gguf".to_owned()))
}

#[test]
fn a_model_is_fetched_byte_for_byte_into_the_usual_layout() {
    for name in ["llama", "llama-sharded"] {
        let bench = Bench::new();
        let extra = Repository::folder(&golden(name))
            .small("README.md", "words")
            .large("pytorch_model.bin", bytes(9));
        bench.server.put("models/acme/small", extra);
        let answer = bench.fetch(&bench.request("acme/small", Selection::Model)).unwrap();
        assert_eq!(
            (answer.commit.as_str(), answer.licence.as_deref()),
            (COMMIT, Some("apache-2.0"))
        );
        let snapshot = bench.repository().join("snapshots").join(COMMIT);
        for file in &answer.files {
            let original = fs::read(golden(name).join(&file.path)).unwrap();
            assert_eq!(fs::read(snapshot.join(&file.path)).unwrap(), original, "{}", file.path);
            assert_eq!((file.bytes, &file.sha256), (original.len() as u64, &sha256(&original)));
        }
        let paths: Vec<&str> = answer.files.iter().map(|file| file.path.as_str()).collect();
        assert!(paths.contains(&"config.json"), "{paths:?}");
        assert_eq!(paths.contains(&"tokenizer.json"), golden(name).join("tokenizer.json").exists());
        let weights = paths.iter().filter(|path| path.ends_with(".safetensors")).count();
        let is_sharded = name == "llama-sharded";
        assert_eq!(weights > 1, is_sharded, "{paths:?}");
        let asked = bench.server.asked();
        assert!(!asked.iter().any(|r| r.path.contains("README") || r.path.contains(".bin")));
        assert_eq!(fs::read_to_string(bench.repository().join("refs/main")).unwrap(), COMMIT);
        let link = fs::read_link(snapshot.join("config.json")).unwrap();
        assert!(link.starts_with("../../blobs"), "{link:?}");
    }
}

#[test]
fn files_of_a_dataset_keep_their_folders() {
    let bench = Bench::new();
    let (path, text) = ("en/c4 part.json.gz", bytes(300));
    bench.server.put("datasets/allen/c4", Repository::default().large(path, text.clone()));
    let mut request = bench.request("allen/c4", Selection::File(path.to_owned()));
    request.kind = RepositoryKind::Dataset;
    bench.fetch(&request).unwrap();
    let named = bench.folder.path().join("datasets--allen--c4/snapshots").join(COMMIT).join(path);
    assert_eq!(fs::read(named).unwrap(), text);
}

#[test]
fn a_cut_connection_goes_on_from_the_bytes_that_are_there() {
    let bench = Bench::new();
    let content = bytes(100_000);
    let request = gguf(&bench, &content);
    // More cuts than tries: each of them brings something, so they are not tries in a row.
    bench.server.trap("/lfs/", 5, Fault::Cut(15_000));
    bench.fetch(&request).unwrap();
    assert_eq!(fs::read(bench.blob(&content)).unwrap(), content);
    let starts: Vec<_> = bench.server.stored().iter().map(|r| r.range_start()).collect();
    let expected = [None, Some(15_000), Some(30_000), Some(45_000), Some(60_000), Some(75_000)];
    assert_eq!(starts, expected);
}

#[test]
fn a_silent_connection_is_given_up_and_taken_up_again() {
    let mut bench = Bench::new();
    bench.settings.patience = Duration::from_millis(200);
    let content = bytes(50_000);
    let request = gguf(&bench, &content);
    let silence = Duration::from_secs(600);
    bench.server.trap("/lfs/", 1, Fault::Silence(10_000, silence));
    bench.server.trap("/api/models", 1, Fault::Silence(5, silence));
    let start = Instant::now();
    bench.fetch(&request).unwrap();
    // Not how fast, but that the silence was not waited out: on no machine do fetching and two times a
    // fifth of a second take five minutes.
    assert!(start.elapsed() < silence / 2, "{:?}", start.elapsed());
    assert_eq!(bench.server.stored()[1].range_start(), Some(10_000));
    assert_eq!(fs::read(bench.blob(&content)).unwrap(), content);
}

#[test]
fn the_next_run_goes_on_where_the_last_one_ended() {
    let bench = Bench::new();
    let content = bytes(50_000);
    let request = gguf(&bench, &content);
    bench.server.trap("/lfs/", 1, Fault::Cut(20_000));
    bench.server.trap("/lfs/", 3, Fault::Refuse(503, Vec::new()));
    let error = bench.error(&request);
    assert!(error.contains("gives no answer after 3 tries: 503"), "{error}");
    assert_eq!(fs::read(bench.incomplete(&content)).unwrap(), &content[..20_000]);
    assert!(!bench.blob(&content).exists());
    bench.server.stored();
    let mut seen = Vec::new();
    let hub = Hub::new(bench.settings.clone()).unwrap();
    let mut watch = |step: Step<'_>| {
        if let Step::File { bytes, have, .. } = step {
            seen.push((bytes, have));
        }
    };
    hub.fetch(&request, &mut watch).unwrap();
    assert_eq!(seen, [(50_000, 20_000)]);
    assert_eq!(bench.server.stored()[0].range_start(), Some(20_000));
    assert_eq!(fs::read(bench.blob(&content)).unwrap(), content);
    assert!(!bench.incomplete(&content).exists());
}

#[test]
fn a_server_without_ranges_is_read_from_the_beginning() {
    let bench = Bench::new();
    let content = bytes(50_000);
    let request = gguf(&bench, &content);
    bench.server.trap("/lfs/", 1, Fault::Cut(20_000));
    bench.server.trap("/lfs/", 1, Fault::NoRanges);
    bench.fetch(&request).unwrap();
    assert_eq!(fs::read(bench.blob(&content)).unwrap(), content);
    // What lies there too long is no beginning either.
    fs::remove_file(bench.blob(&content)).unwrap();
    fs::write(bench.incomplete(&content), bytes(60_000)).unwrap();
    bench.fetch(&request).unwrap();
    assert_eq!(fs::read(bench.blob(&content)).unwrap(), content);
}

#[test]
fn wrong_bytes_never_reach_the_cache() {
    let bench = Bench::new();
    let content = bytes(5_000);
    let request = gguf(&bench, &content);
    bench.server.trap("/lfs/", 1, Fault::Corrupt);
    let error = bench.error(&request);
    assert!(error.contains("came with the wrong bytes"), "{error}");
    assert!(error.contains(&sha256(&content)), "{error}");
    assert!(!bench.blob(&content).exists() && !bench.incomplete(&content).exists());
    // The beginning that an earlier run left is wrong: found out at the end, thrown away.
    fs::write(bench.incomplete(&content), vec![0; 1_000]).unwrap();
    assert!(bench.error(&request).contains("came with the wrong bytes"));
    bench.fetch(&request).unwrap();
    assert_eq!(fs::read(bench.blob(&content)).unwrap(), content);
    // A file that was damaged later is found, and named.
    fs::write(bench.blob(&content), bytes(4_999)).unwrap();
    let error = bench.error(&request);
    let blob = bench.blob(&content).canonicalize().unwrap().display().to_string();
    assert!(error.contains("is damaged in the cache") && error.contains(&blob), "{error}");
}

#[test]
fn busy_servers_are_asked_again_and_when_they_say() {
    let bench = Bench::new();
    let content = bytes(500);
    let request = gguf(&bench, &content);
    let later = || vec![("Retry-After", "1".to_owned())];
    bench.server.trap("/api/models", 1, Fault::Refuse(429, later()));
    bench.server.trap("HEAD /acme", 2, Fault::Refuse(502, Vec::new()));
    bench.server.trap("GET /acme", 1, Fault::Refuse(504, Vec::new()));
    bench.server.trap("/lfs/", 1, Fault::Refuse(429, later()));
    let start = Instant::now();
    bench.fetch(&request).unwrap();
    let elapsed = start.elapsed();
    assert!(
        elapsed >= Duration::from_secs(2),
        "two pauses of a second were asked for: {elapsed:?}"
    );
    // More than three tries in a row, or a pause of an hour: an error that says so.
    let bench = Bench::new();
    let request = gguf(&bench, &content);
    bench.server.trap("/api/models", 9, Fault::Refuse(500, Vec::new()));
    let error = bench.error(&request);
    assert!(error.contains("no answer after 3 tries: 500"), "{error}");
    assert_eq!(bench.server.asked().len(), 3);
    let bench = Bench::new();
    let request = gguf(&bench, &content);
    let hour = vec![("Retry-After", "3600".to_owned())];
    bench.server.trap("/api/models", 9, Fault::Refuse(429, hour));
    let error = bench.error(&request);
    assert!(error.contains("no answer after 1 try: 429"), "{error}");
}

#[test]
fn an_answer_that_is_no_answer_is_asked_for_once() {
    let bench = Bench::new();
    let request = gguf(&bench, &bytes(5));
    bench.server.trap("/api/models", 1, Fault::Corrupt);
    let error = bench.error(&request);
    assert!(error.contains("no answer after 1 try"), "{error}");
    // Cut short it is another matter.
    bench.server.trap("/api/models", 1, Fault::Cut(20));
    bench.fetch(&request).unwrap();
}

#[test]
fn nobody_there_is_told_after_bounded_tries() {
    let mut bench = Bench::new();
    let request = gguf(&bench, &bytes(5));
    bench.settings.endpoint = "http://127.0.0.1:9".to_owned();
    let error = bench.error(&request);
    assert!(error.contains("http://127.0.0.1:9/api/models/acme/small"), "{error}");
    assert!(error.contains("after 3 tries"), "{error}");
    bench.settings.endpoint = "no address".to_owned();
    let error = Hub::new(bench.settings.clone()).err().unwrap().to_string();
    assert!(error.contains("set HF_ENDPOINT"), "{error}");
}

#[test]
fn refusals_say_what_to_do() {
    let mut bench = Bench::new();
    let page = format!("{}/acme/small", bench.server.url());
    let mut gated = Repository::default().large("m.gguf", bytes(5));
    gated.gated = true;
    bench.server.put("models/acme/small", gated);
    let wanted = Selection::File("m.gguf".to_owned());
    let request = bench.request("acme/small", wanted.clone());
    let expect = |bench: &Bench, request: &FetchRequest, expected: &[&str]| {
        let error = bench.error(request);
        for expected in expected {
            assert!(error.contains(expected), "expected {expected:?} in {error}");
        }
    };
    expect(&bench, &request, &["is gated", &page, "set HF_TOKEN"]);
    let mistyped = bench.request("acme/smal", wanted.clone());
    expect(&bench, &mistyped, &["acme/smal is not at", "did you mean `acme/small`?", "HF_TOKEN"]);
    let mut branch = request.clone();
    branch.revision = "v2".to_owned();
    expect(&bench, &branch, &["no revision `v2`", &format!("{page}/tree/main")]);
    let file = bench.request("acme/small", Selection::File("mm.gguf".to_owned()));
    expect(&bench, &file, &["no file `mm.gguf`", "did you mean `m.gguf`?"]);
    bench.settings.token = Some("hf_bad".to_owned());
    expect(&bench, &request, &["does not know the token", "Invalid credentials"]);
    bench.settings.token = Some(TOKEN.to_owned());
    bench.fetch(&request).unwrap();
    expect(&bench, &mistyped, &["acme/smal is not at", "the account that may read it"]);
    // All this was refused for good: nothing was asked twice.
    bench.server.asked();
    bench.error(&mistyped);
    assert_eq!(bench.server.asked().len(), 1);
}

#[test]
fn the_token_goes_to_the_endpoint_and_nowhere_else() {
    let mut bench = Bench::new();
    let content = bytes(500);
    let request = gguf(&bench, &content);
    bench.settings.token = Some(TOKEN.to_owned());
    bench.fetch(&request).unwrap();
    let (asked, stored) = (bench.server.asked(), bench.server.stored());
    assert!(asked.len() >= 3 && asked.iter().all(|r| r.token() == Some(TOKEN)), "{asked:?}");
    assert_eq!(stored.len(), 1);
    assert!(!stored[0].headers.contains_key("authorization"), "{stored:?}");
    assert!(!format!("{stored:?}").contains(TOKEN));
}

#[test]
fn files_announced_as_xet_come_over_plain_http() {
    let bench = Bench::new();
    let content = bytes(500);
    let mut repository = Repository::default().large("m.gguf", content.clone());
    repository.xet = true;
    bench.server.put("models/acme/small", repository);
    let request = bench.request("acme/small", Selection::File("m.gguf".to_owned()));
    bench.fetch(&request).unwrap();
    assert_eq!(fs::read(bench.blob(&content)).unwrap(), content);
    let asked = bench.server.asked();
    assert!(!asked.iter().any(|r| r.path.contains("xet")), "{asked:?}");
    assert_eq!(bench.server.stored().len(), 1);
}

#[test]
fn what_is_locked_is_asked_for_only_where_it_is_missing() {
    let bench = Bench::new();
    let (a, b) = (bytes(300), bytes(400));
    let repository = Repository::default().small("config.json", a).large("model.safetensors", b);
    bench.server.put("models/acme/small", repository.clone());
    let answer = bench.fetch(&bench.request("acme/small", Selection::Model)).unwrap();
    let mut request = bench.request("acme/small", Selection::Model);
    request.revision = COMMIT.to_owned();
    request.locked = answer.files.clone();
    bench.server.asked();
    assert_eq!(bench.fetch(&request).unwrap().files, answer.files);
    assert_eq!(bench.server.asked(), []);
    fs::remove_file(bench.repository().join("snapshots").join(COMMIT).join("config.json")).unwrap();
    bench.fetch(&request).unwrap();
    let asked = bench.server.asked();
    assert!(!asked.is_empty() && asked.iter().all(|r| r.path.contains("config.json")), "{asked:?}");
    // Other bytes at the same commit: the large file by its ETag, the small one by what comes.
    fs::remove_dir_all(bench.repository()).unwrap();
    let other =
        Repository::default().small("config.json", bytes(300)).large("model.safetensors", "x");
    bench.server.put("models/acme/small", other);
    let error = bench.error(&request);
    assert!(error.contains("another file on the Hub than in the lock file"), "{error}");
    fs::remove_dir_all(bench.repository()).unwrap();
    let other = Repository::default().small("config.json", vec![7; 300]);
    bench.server.put("models/acme/small", other);
    let error = bench.error(&request);
    assert!(error.contains("config.json came with the wrong bytes"), "{error}");
}

#[test]
fn offline_answers_from_the_cache_and_asks_nothing() {
    let bench = Bench::new();
    bench.server.put("models/acme/small", Repository::folder(&golden("llama-sharded")));
    let mut request = bench.request("acme/small", Selection::Model);
    request.offline = true;
    let error = bench.error(&request);
    assert!(error.contains("acme/small@main is not in") && error.contains("offline"), "{error}");
    request.offline = false;
    let answer = bench.fetch(&request).unwrap();
    bench.server.asked();
    request.offline = true;
    for revision in ["main", COMMIT] {
        request.revision = revision.to_owned();
        let again = bench.fetch(&request).unwrap();
        assert_eq!((&again.commit, &again.files), (&answer.commit, &answer.files));
    }
    assert_eq!((bench.server.asked(), bench.server.stored().len()), (Vec::new(), 2));
    let snapshot = bench.repository().join("snapshots").join(COMMIT);
    let shard = snapshot.join("model-00001-of-00002.safetensors");
    fs::write(shard.canonicalize().unwrap(), "other bytes").unwrap();
    let error = bench.error(&request);
    assert!(error.contains("00001-of-00002.safetensors is damaged in the cache"), "{error}");
}

#[test]
fn a_listing_that_leads_out_of_the_cache_is_refused() {
    let bench = Bench::new();
    let index = r#"{"weight_map": {"a": "../../../evil"}}"#;
    let repository = Repository::default()
        .small("config.json", "{}")
        .small("model.safetensors.index.json", index)
        .large("../../../evil", "x");
    bench.server.put("models/acme/small", repository);
    let error = bench.error(&bench.request("acme/small", Selection::Model));
    assert!(error.contains("leads out of its folder"), "{error}");
}

//! A small Hub for tests: two HTTP servers on this machine, the Hub's own and its storage, with faults
//! on demand. It speaks the paths, headers and status codes of the real one, as far as files are
//! fetched; what it was asked is remembered.

// Each test program uses its own part of this file.
#![allow(dead_code, reason = "shared by several test programs")]

mod http;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

pub(crate) use http::{Listener, Reply, Request};

/// The commit of every repository.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The token that may read gated and private repositories.
pub(crate) const TOKEN: &str = "hf_good";

/// A repository: what it holds, and who may read it.
#[derive(Default, Clone)]
pub(crate) struct Repository {
    files: BTreeMap<String, Vec<u8>>,
    /// Path of files that lie in the storage.
    large: Vec<String>,
    pub(crate) gated: bool,
    /// Whether large files are announced as xet files.
    pub(crate) xet: bool,
}

impl Repository {
    /// A small file, which the Hub itself serves.
    pub(crate) fn small(mut self, path: &str, content: impl Into<Vec<u8>>) -> Repository {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// A large file, which the storage serves.
    pub(crate) fn large(mut self, path: &str, content: impl Into<Vec<u8>>) -> Repository {
        self.large.push(path.to_owned());
        self.small(path, content)
    }

    /// Every file of a folder; weights are large.
    pub(crate) fn folder(folder: &Path) -> Repository {
        let mut repository = Repository::default();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let content = std::fs::read(&path).unwrap();
            let is_large = name.ends_with(".safetensors") || name.ends_with(".bin");
            repository = if is_large {
                repository.large(&name, content)
            } else {
                repository.small(&name, content)
            };
        }
        repository
    }
}

/// What goes wrong with a request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// It is refused, with these headers.
    Refuse(u16, Vec<(&'static str, String)>),
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// The connection says nothing more after so many bytes, for so long.
    Silence(usize, Duration),
    /// The server knows no ranges.
    NoRanges,
    /// The first byte of the body is another one.
    Corrupt,
}

/// A fault that waits for requests that have `needle` in `METHOD /path`.
struct Trap {
    needle: String,
    times: usize,
    fault: Fault,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    traps: Vec<Trap>,
    hub: Vec<Request>,
    storage: Vec<Request>,
    storage_url: String,
}

/// The two servers; they end with the value.
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    hub: Listener,
    _storage: Listener,
}

impl Server {
    pub(crate) fn start() -> Server {
        let state = Arc::new(Mutex::new(State::default()));
        let of = Arc::clone(&state);
        let storage = Listener::start(move |request| lock(&of).storage(request));
        lock(&state).storage_url = storage.url();
        let of = Arc::clone(&state);
        let hub = Listener::start(move |request| lock(&of).hub(request));
        Server { state, hub, _storage: storage }
    }

    /// What HF_ENDPOINT is set to.
    pub(crate) fn url(&self) -> String {
        self.hub.url()
    }

    /// Puts a repository at `models/owner/name` or `datasets/owner/name`.
    pub(crate) fn put(&self, key: &str, repository: Repository) {
        lock(&self.state).repositories.insert(key.to_owned(), repository);
    }

    /// The next `times` requests that have `needle` in `METHOD /path` go wrong.
    pub(crate) fn trap(&self, needle: &str, times: usize, fault: Fault) {
        lock(&self.state).traps.push(Trap { needle: needle.to_owned(), times, fault });
    }

    /// What the Hub was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut lock(&self.state).hub)
    }

    /// What the storage was asked since the last call.
    pub(crate) fn stored(&self) -> Vec<Request> {
        std::mem::take(&mut lock(&self.state).storage)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands for the git hash of a small file.
fn git_hash(content: &[u8]) -> String {
    sha256(content)[..40].to_owned()
}

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    Reply::status(status).header("X-Error-Code", code).header("X-Error-Message", message)
}

impl State {
    fn hub(&mut self, request: &Request) -> Reply {
        self.hub.push(request.clone());
        self.trapped(request, |state| state.answer(request))
    }

    fn storage(&mut self, request: &Request) -> Reply {
        self.storage.push(request.clone());
        self.trapped(request, |state| {
            let wanted = request.path.trim_start_matches("/lfs/");
            let mut files = state.repositories.values().flat_map(|r| r.files.values());
            match files.find(|content| sha256(content) == wanted) {
                // The storage's own ETag is none of the Hub's.
                Some(content) => Reply::file(content.clone(), "\"storage\""),
                None => Reply::status(403),
            }
        })
    }

    fn trapped(&mut self, request: &Request, answer: impl FnOnce(&Self) -> Reply) -> Reply {
        let line = format!("{} {}", request.method, request.path);
        let is_meant = |trap: &&mut Trap| trap.times > 0 && line.contains(&trap.needle);
        let trap = self.traps.iter_mut().find(is_meant);
        let fault = trap.map(|trap| {
            trap.times -= 1;
            trap.fault.clone()
        });
        match fault {
            None => answer(self),
            Some(Fault::Refuse(status, headers)) => {
                headers.into_iter().fold(Reply::status(status), |reply, (n, v)| reply.header(n, &v))
            }
            Some(Fault::Cut(after)) => answer(self).cut(after, Duration::ZERO),
            Some(Fault::Silence(after, silence)) => answer(self).cut(after, silence),
            Some(Fault::NoRanges) => answer(self).without_ranges(),
            Some(Fault::Corrupt) => answer(self).corrupt(),
        }
    }

    /// `/api/models/o/n/revision/r`, `/o/n/resolve/c/p`, `/api/resolve-cache/models/o/n/c/p`.
    fn answer(&self, request: &Request) -> Reply {
        let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["api", "resolve-cache", kind, owner, name, _commit, path @ ..] => {
                let repository = self.repositories.get(&format!("{kind}/{owner}/{name}"));
                let content = repository.and_then(|r| r.files.get(&path.join("/")));
                let etag = content.map(|content| format!("\"{}\"", git_hash(content)));
                content.zip(etag).map_or_else(
                    || refuse(404, "EntryNotFound", "Entry not found"),
                    |(content, etag)| Reply::file(content.clone(), &etag),
                )
            }
            ["api", kind, owner, name, "revision", revision] => {
                self.repository(request, kind, owner, name, revision, |repository| {
                    let sibling = |path: &String| json!({ "rfilename": path });
                    let siblings: Vec<_> = repository.files.keys().map(sibling).collect();
                    let id = format!("{owner}/{name}");
                    let tags = ["text", "license:apache-2.0"];
                    let info = json!({
                        "_id": "1", "id": id, "sha": COMMIT, "siblings": siblings, "tags": tags,
                    });
                    Reply::json(&info)
                })
            }
            ["datasets", owner, name, "resolve", revision, path @ ..] => {
                self.resolve(request, "datasets", owner, name, revision, &path.join("/"))
            }
            [owner, name, "resolve", revision, path @ ..] => {
                self.resolve(request, "models", owner, name, revision, &path.join("/"))
            }
            _ => Reply::status(404),
        }
    }

    fn repository(
        &self,
        request: &Request,
        kind: &str,
        owner: &str,
        name: &str,
        revision: &str,
        answer: impl FnOnce(&Repository) -> Reply,
    ) -> Reply {
        let token = request.token();
        if token.is_some_and(|token| token != TOKEN) {
            let message = "Invalid credentials in Authorization header";
            return Reply::status(401).header("X-Error-Message", message);
        }
        match self.repositories.get(&format!("{kind}/{owner}/{name}")) {
            // A repository that is not there looks like a private one.
            None if token.is_none() => refuse(401, "RepoNotFound", "Repository not found"),
            None => refuse(404, "RepoNotFound", "Repository not found"),
            Some(_) if ![COMMIT, "main", "v1"].contains(&revision) => {
                refuse(404, "RevisionNotFound", &format!("Invalid rev id: {revision}"))
            }
            Some(repository) => answer(repository),
        }
    }

    fn resolve(
        &self,
        request: &Request,
        kind: &str,
        owner: &str,
        name: &str,
        revision: &str,
        path: &str,
    ) -> Reply {
        self.repository(request, kind, owner, name, revision, |repository| {
            if repository.gated && request.token().is_none() {
                return refuse(401, "GatedRepo", "Access to this model is restricted");
            }
            let Some(content) = repository.files.get(path) else {
                return refuse(404, "EntryNotFound", "Entry not found");
            };
            if !repository.large.iter().any(|large| large == path) {
                let place = format!("/api/resolve-cache/{kind}/{owner}/{name}/{COMMIT}/{path}");
                return Reply::status(307).header("Location", &place);
            }
            let hash = sha256(content);
            let reply = Reply::status(302)
                .header("Location", &format!("{}/lfs/{hash}", self.storage_url))
                .header("ETag", "\"of the redirect\"")
                .header("X-Linked-ETag", &format!("\"{hash}\""))
                .header("X-Linked-Size", &content.len().to_string())
                .header("X-Repo-Commit", COMMIT);
            if !repository.xet {
                return reply;
            }
            let token = format!("/api/{kind}/{owner}/{name}/xet-read-token/{COMMIT}");
            reply
                .header("X-Xet-Hash", &hash)
                .header("Link", &format!("<{token}>; rel=\"xet-auth\""))
        })
    }
}

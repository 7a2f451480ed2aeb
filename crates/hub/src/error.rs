//! What can go wrong between the Hub and the cache, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Files that could not be fetched, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The address of the Hub is none.
    #[error(
        "`{endpoint}` is no address of a Hub: set HF_ENDPOINT to one like https://huggingface.co"
    )]
    Endpoint {
        /// As given.
        endpoint: String,
    },
    /// No client can be made on this system.
    #[error("no connection can be prepared: {reason}")]
    Client {
        /// What is missing.
        reason: String,
    },
    /// The licence must be accepted first.
    #[error("{repo} is gated: accept its licence at {page}, then {}", token_advice(*has_token))]
    Gated {
        /// `owner/name`.
        repo: String,
        /// Its page.
        page: String,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The token is not valid.
    #[error(
        "the Hub does not know the token ({said}): set HF_TOKEN to one of \
         https://huggingface.co/settings/tokens, or remove it"
    )]
    Token {
        /// What the server said.
        said: String,
    },
    /// Not with this token.
    #[error("{repo} may not be read ({said}): look at {page} with the account of the token")]
    Forbidden {
        /// `owner/name`.
        repo: String,
        /// Its page.
        page: String,
        /// What the server said.
        said: String,
    },
    /// The repository is not there, or not for everyone.
    #[error("{repo} is not at {page}{}: check the name; if it is private, {}",
        did_you_mean(nearest), token_advice(*has_token))]
    NoRepository {
        /// `owner/name`.
        repo: String,
        /// Where it would be.
        page: String,
        /// A name that may have been meant.
        nearest: Option<String>,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The repository has no such branch, tag or commit.
    #[error(
        "{repo} has no revision `{revision}`: its branches and tags are listed at {page}/tree/main"
    )]
    NoRevision {
        /// `owner/name`.
        repo: String,
        /// As asked for.
        revision: String,
        /// Its page.
        page: String,
    },
    /// The repository has no such file.
    #[error("{repo} has no file `{path}`{}", did_you_mean(nearest))]
    NoFile {
        /// `owner/name`.
        repo: String,
        /// As asked for.
        path: String,
        /// A file that may have been meant.
        nearest: Option<String>,
    },
    /// The repository has no weights in a form that is read here.
    #[error("{repo} has no weights as safetensors or PyTorch file{}", gguf_advice(gguf))]
    NoWeights {
        /// `owner/name`.
        repo: String,
        /// Its GGUF files.
        gguf: Vec<String>,
    },
    /// The repository has no tokenizer.
    #[error("{repo} has no tokenizer: expected tokenizer.json, or vocab.json and merges.txt")]
    NoTokenizer {
        /// `owner/name`.
        repo: String,
    },
    /// The list of a model's parts cannot be read.
    #[error("{repo}: {index} is no index: expected an object `weight_map` of tensors and files")]
    Index {
        /// `owner/name`.
        repo: String,
        /// The file.
        index: String,
    },
    /// Parts of a model are not in its repository.
    #[error("{repo}: {index} names files that are not there: {}", missing.join(", "))]
    MissingParts {
        /// `owner/name`.
        repo: String,
        /// The file that names them.
        index: String,
        /// All that are missing.
        missing: Vec<String>,
    },
    /// A file would be put outside of its folder.
    #[error("{repo} lists a file `{path}`, which leads out of its folder: it is not fetched")]
    BadPath {
        /// `owner/name`.
        repo: String,
        /// As listed.
        path: String,
    },
    /// The cache has nothing of it, and the network must not be used.
    #[error("{repo}@{revision} is not in {}, and offline nothing is fetched", cache.display())]
    Offline {
        /// `owner/name`.
        repo: String,
        /// As asked for.
        revision: String,
        /// The cache.
        cache: PathBuf,
    },
    /// No answer after all tries.
    #[error("{url} gives no answer after {tries} tr{}: {said}", if *tries == 1 { "y" } else { "ies" })]
    Unreachable {
        /// What was asked for.
        url: String,
        /// How often.
        tries: u32,
        /// What was said last.
        said: String,
    },
    /// The Hub has another file than the lock file.
    #[error(
        "{repo}: {path} is another file on the Hub than in the lock file, though the commit is the \
         same: do not trust it; if the lock file is wrong, remove its entry and fetch again"
    )]
    Changed {
        /// `owner/name`.
        repo: String,
        /// The file.
        path: String,
    },
    /// The bytes that came are not the file.
    #[error(
        "{path} came with the wrong bytes\n  expected {expected}\n  found    {found}\n  they are thrown \
         away: run the same command again"
    )]
    WrongBytes {
        /// Path in the repository.
        path: String,
        /// Size and hash.
        expected: String,
        /// Size and hash.
        found: String,
    },
    /// A file of the cache is damaged.
    #[error(
        "{path} is damaged in the cache\n  expected {expected}\n  found    {found}\n  delete {} and run \
         the same command again", file.display()
    )]
    Damaged {
        /// The blob.
        file: PathBuf,
        /// Path in the repository.
        path: String,
        /// Size and hash.
        expected: String,
        /// Size and hash.
        found: String,
    },
    /// A file of the cache cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the cache cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn token_advice(has_token: bool) -> &'static str {
    if has_token {
        "use the token of the account that may read it (HF_TOKEN)"
    } else {
        "set HF_TOKEN to a token of your account (or write it to HF_HOME/token)"
    }
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!(": did you mean `{name}`?"))
}

fn gguf_advice(gguf: &[String]) -> String {
    match gguf.first() {
        None => String::new(),
        Some(first) => {
            format!(": take one of its GGUF files with --file {first} ({})", gguf.join(", "))
        }
    }
}

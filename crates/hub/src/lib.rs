//! Files of the Hugging Face Hub into its cache: chosen, resumed, checked.
//!
//! [`Hub::fetch`] turns a [`plan::FetchRequest`] into a [`plan::FetchAnswer`]: it asks the Hub which
//! commit a revision stands for and which files it holds, chooses those that are needed
//! ([`mod@select`]), downloads what the cache lacks, and checks every byte before the cache gets it. The
//! cache has the layout of every other Hub client, so `transformers` opens what was fetched here and
//! the other way round.
//!
//! # What the `hf-hub` crate does, and what it does not
//!
//! `hf-hub` 1.0.0 asks the Hub's API (commit, files, licence). The bytes are fetched here, with the
//! `reqwest` that `hf-hub` stands on, because in that version
//!
//! * `download_file` starts `<etag>.incomplete` anew every time: no range is asked for, neither after a
//!   cut connection nor in the next run;
//! * the answer of the download itself is stored unseen: after a refusal (503, 403) the cache holds the
//!   page that says so, under the ETag of the file;
//! * `get_file_metadata` follows the redirect of a large file and then looks for `X-Repo-Commit` in
//!   the answer of the storage host, which has none;
//! * tries are repeated within fractions of a second, whatever `Retry-After` says;
//! * nothing compares bytes with the SHA-256 that is the ETag of a large file;
//! * a file that the server announces with `X-Xet-Hash` is fetched by the xet protocol, from the hosts
//!   that the server names, and there is no switch against it.
//!
//! So nothing here asks for xet: the Hub serves every file over plain HTTP as well, by a redirect to its
//! storage. A redirect is followed wherever it leads, but the token goes to `HF_ENDPOINT` alone.
//!
//! # Promises
//!
//! * A file of the cache is complete and was compared with its hash: the one of the lock file where there
//!   is one, the Hub's own (the ETag) where the file is a large one.
//! * A connection that is cut is taken up where it ended, in the same run and in the next.
//! * Every wait is bounded: [`Settings::tries`] tries in a row without a new byte end it.
//! * Without the network nothing is asked: [`plan::FetchRequest::offline`] answers from the cache.

mod cache;
mod client;
mod download;
mod error;
mod failure;
mod fetch;
pub mod select;
mod settings;

pub use error::HubError;
pub use fetch::{Hub, Step};
pub use settings::Settings;

//! The questions that are put to the Hub: what a revision holds, what a file is, its bytes.

use hf_hub::{HFClient, HFClientSync, split_id};
use plan::RepositoryKind;
use reqwest::blocking::{Client as HttpClient, RequestBuilder, Response};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use crate::failure::Failure;
use crate::{HubError, Settings};

const MAX_REDIRECTS: usize = 10;
const USER_AGENT: &str = concat!("slim-hub/", env!("CARGO_PKG_VERSION"));
const LINKED_ETAG: &str = "x-linked-etag";
const LINKED_SIZE: &str = "x-linked-size";

/// Asks the Hub, once a question.
pub(crate) struct Client {
    settings: Settings,
    endpoint: Url,
    api: HFClientSync,
    http: HttpClient,
}

/// What a revision of a repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    pub(crate) licence: Option<String>,
    pub(crate) files: Vec<String>,
}

/// What the Hub says of a file before it sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The name of its blob in the cache: a SHA-256 for large files, a git hash for small ones.
    pub(crate) etag: String,
    pub(crate) bytes: u64,
}

impl Metadata {
    /// The SHA-256 that the Hub promises; it does so for large files.
    pub(crate) fn sha256(&self) -> Option<&str> {
        let is_digest = self.etag.len() == 64 && self.etag.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then_some(self.etag.as_str())
    }
}

/// A file of a repository at a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) kind: RepositoryKind,
    pub(crate) repo: &'a str,
    pub(crate) commit: &'a str,
    pub(crate) path: &'a str,
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Result<Client, HubError> {
        let cannot = |reason: String| HubError::Client { reason };
        let endpoint = Url::parse(&settings.endpoint)
            .map_err(|_| HubError::Endpoint { endpoint: settings.endpoint.clone() })?;
        let for_api = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(settings.patience)
            .read_timeout(settings.patience)
            .build()
            .map_err(|error| cannot(error.to_string()))?;
        // Its own tries would come too soon after one another.
        let mut api = HFClient::builder().endpoint(&settings.endpoint).client(for_api);
        api = api.retry_max_attempts(0);
        if let Some(token) = &settings.token {
            api = api.token(token);
        }
        let api = api.build_sync().map_err(|error| cannot(error.to_string()))?;
        // Redirects are followed by hand, so that it is plain where the token goes.
        let http = HttpClient::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.patience)
            .build()
            .map_err(|error| cannot(error.to_string()))?;
        Ok(Client { settings, endpoint, api, http })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The page of a repository, for people.
    pub(crate) fn page(&self, kind: RepositoryKind, repo: &str) -> String {
        format!("{}/{}{repo}", self.settings.endpoint, prefix(kind))
    }

    /// Which commit a revision stands for, and its files.
    pub(crate) fn listing(
        &self,
        kind: RepositoryKind,
        repo: &str,
        revision: &str,
    ) -> Result<Listing, Failure> {
        let url = format!("{}/api/{}/{repo}", self.settings.endpoint, kind.plural());
        let (owner, name) = split_id(repo);
        let (sha, siblings, tags) = match kind {
            RepositoryKind::Model => {
                let info = self.api.model(owner, name).info().revision(revision).send();
                info.map(|info| (info.sha, info.siblings, info.tags))
            }
            RepositoryKind::Dataset => {
                let info = self.api.dataset(owner, name).info().revision(revision).send();
                info.map(|info| (info.sha, info.siblings, info.tags))
            }
        }
        .map_err(|error| Failure::api(&url, error))?;
        let commit = sha.filter(|commit| is_file_name(commit));
        let commit =
            commit.ok_or_else(|| Failure::malformed(&url, "the answer names no commit"))?;
        let licence = tags.unwrap_or_default().into_iter();
        let licence =
            licence.filter_map(|tag| Some(tag.strip_prefix("license:")?.to_owned())).next();
        let files = siblings.unwrap_or_default().into_iter().map(|file| file.rfilename).collect();
        Ok(Listing { commit, licence, files })
    }

    /// ETag and size of a file. For a large file the Hub answers with a redirect to its storage that
    /// carries both.
    pub(crate) fn metadata(&self, place: Place<'_>) -> Result<Metadata, Failure> {
        let url = self.resolve(place);
        let says_it = |response: &Response| response.headers().contains_key(LINKED_ETAG);
        let response = self.send(Method::HEAD, &url, |request| request, says_it)?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let etag = header(LINKED_ETAG).or_else(|| header(ETAG.as_str())).map(bare_etag);
        let bytes = header(LINKED_SIZE).or_else(|| header(CONTENT_LENGTH.as_str()));
        let bytes = bytes.and_then(|text| text.parse().ok());
        match (etag.filter(|etag| is_file_name(etag)), bytes) {
            (Some(etag), Some(bytes)) => Ok(Metadata { etag: etag.to_owned(), bytes }),
            _ => Err(Failure::malformed(
                url.as_str(),
                "the answer names no ETag and size of the file",
            )),
        }
    }

    /// The bytes of a file from an offset on; the value says where they really begin.
    pub(crate) fn bytes(&self, place: Place<'_>, from: u64) -> Result<(u64, Response), Failure> {
        let url = self.resolve(place);
        let range = |request: RequestBuilder| match from {
            0 => request,
            from => request.header(RANGE, format!("bytes={from}-")),
        };
        let response = self.send(Method::GET, &url, range, |_| false)?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok((0, response));
        }
        let begins_at = response.headers().get(CONTENT_RANGE).and_then(|range| {
            range.to_str().ok()?.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
        });
        match begins_at {
            Some(offset) => Ok((offset, response)),
            None => {
                Err(Failure::malformed(url.as_str(), "a part of the file without Content-Range"))
            }
        }
    }

    /// Sends a request and follows redirects, but for one that `is_answer`. The token goes to the
    /// endpoint alone.
    fn send(
        &self,
        method: Method,
        url: &Url,
        shape: impl Fn(RequestBuilder) -> RequestBuilder,
        is_answer: impl Fn(&Response) -> bool,
    ) -> Result<Response, Failure> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let request = self.http.request(method.clone(), url.clone());
            let mut request = shape(request.header(ACCEPT_ENCODING, "identity"));
            if let Some(token) = &self.settings.token
                && url.origin() == self.endpoint.origin()
            {
                request = request.bearer_auth(token);
            }
            let response = request.send();
            let response =
                response.map_err(|error| Failure::broken(url.as_str(), &error.without_url()))?;
            if response.status().is_success() || is_answer(&response) {
                return Ok(response);
            }
            let next = response.headers().get(LOCATION).and_then(|next| next.to_str().ok());
            match next.and_then(|next| url.join(next).ok()) {
                Some(next) if response.status().is_redirection() => url = next,
                _ => return Err(Failure::refused(response)),
            }
        }
        Err(Failure::malformed(url.as_str(), "too many redirects"))
    }

    fn resolve(&self, place: Place<'_>) -> Url {
        let Place { kind, repo, commit, path } = place;
        let mut url = self.endpoint.clone();
        // Only an address without a host has no segments, and an endpoint has a host.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(prefix(kind).split_terminator('/'));
            segments.extend(repo.split('/')).extend(["resolve", commit]).extend(path.split('/'));
        }
        url
    }
}

/// What stands in front of a repository's name in an address.
fn prefix(kind: RepositoryKind) -> &'static str {
    match kind {
        RepositoryKind::Model => "",
        RepositoryKind::Dataset => "datasets/",
    }
}

fn bare_etag(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// An ETag becomes a file of the cache.
fn is_file_name(etag: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !etag.is_empty() && !etag.starts_with('.') && etag.len() < 128 && etag.chars().all(plain)
}

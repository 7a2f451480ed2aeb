//! The whole story: ask, choose, download, check, keep.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use plan::{FetchAnswer, FetchRequest, LockedFile};

use crate::cache::{Folder, cannot_read, cannot_write, sha256};
use crate::client::{Client, Listing, Metadata, Place};
use crate::download::{Ended, download};
use crate::failure::{GaveUp, ask};
use crate::{HubError, Settings, select};

/// What a fetch is doing, for whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A file begins, of so many bytes; some are there from an earlier run.
    File {
        /// Its path in the repository.
        path: &'a str,
        /// Its size.
        bytes: u64,
        /// What an earlier run left of it.
        have: u64,
    },
    /// So many bytes of it are there.
    At {
        /// Bytes from the beginning.
        bytes: u64,
    },
    /// A file is being compared with its hash.
    Check {
        /// Its path in the repository.
        path: &'a str,
    },
    /// A try failed and the next one comes after a pause.
    Pause {
        /// What went wrong.
        why: &'a str,
        /// Time until the next try.
        pause: Duration,
    },
}

/// Fetches files of the Hub.
pub struct Hub {
    client: Client,
}

impl Hub {
    /// A client of the Hub; it asks nothing yet.
    ///
    /// # Errors
    /// An endpoint that is no address, or a system without the means of encryption.
    pub fn new(settings: Settings) -> Result<Hub, HubError> {
        Ok(Hub { client: Client::new(settings)? })
    }

    /// Brings the wanted files into the cache, or finds them there.
    ///
    /// # Errors
    /// [`HubError`] says what is missing, refused, damaged or unreachable, and what to do.
    pub fn fetch(
        &self,
        request: &FetchRequest,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<FetchAnswer, HubError> {
        let folder = Folder::new(&request.cache, request.kind, &request.repo);
        let mut fetch = Fetch { client: &self.client, folder, request, watch };
        if request.offline { fetch.in_cache() } else { fetch.through_network() }
    }
}

struct Fetch<'a> {
    client: &'a Client,
    folder: Folder,
    request: &'a FetchRequest,
    watch: &'a mut dyn FnMut(Step<'_>),
}

impl Fetch<'_> {
    fn through_network(&mut self) -> Result<FetchAnswer, HubError> {
        let FetchRequest { kind, repo, revision, locked, .. } = self.request;
        if !locked.is_empty() {
            let (commit, licence) = (revision.clone(), None);
            let files = locked.iter().map(|file| self.file(&commit, &file.path));
            let files = files.collect::<Result<_, _>>()?;
            return Ok(FetchAnswer { commit, licence, files });
        }
        let client = self.client;
        let question = || client.listing(*kind, repo, revision);
        let listing = ask(client.settings(), self.watch, question);
        let listing = listing.map_err(|gave_up| self.refusal(gave_up, None))?;
        let Listing { commit, licence, files: listed } = &listing;
        let files = self.selected(listed, commit, |fetch, path| fetch.file(commit, path))?;
        if revision != commit {
            self.folder.set_ref(revision, commit)?;
        }
        Ok(FetchAnswer { commit: commit.clone(), licence: licence.clone(), files })
    }

    /// What is there is hashed, nothing is asked.
    fn in_cache(&mut self) -> Result<FetchAnswer, HubError> {
        let FetchRequest { repo, revision, .. } = self.request;
        let commit = self.folder.commit_of(revision).filter(|c| self.folder.snapshot(c).is_dir());
        let commit = commit.ok_or_else(|| HubError::Offline {
            repo: repo.clone(),
            revision: revision.clone(),
            cache: self.request.cache.0.clone(),
        })?;
        let listed = self.folder.files(&commit)?;
        let files = self.selected(&listed, &commit, |fetch, path| fetch.hashed(&commit, path))?;
        Ok(FetchAnswer { commit, licence: None, files })
    }

    fn hashed(&mut self, commit: &str, path: &str) -> Result<LockedFile, HubError> {
        let named = self.folder.named(commit, path);
        let bytes = fs::metadata(&named).map_err(cannot_read(&named))?.len();
        // A large file's blob has its hash for a name.
        let etag = self.folder.etag(commit, path);
        let metadata = Metadata { etag: etag.unwrap_or_default(), bytes };
        let expected = Expected { bytes, sha256: metadata.sha256() };
        self.checked(&named, path, &expected, Damage::InCache)
    }

    /// Chooses files of a list and takes each of them, the parts that an index names included.
    fn selected(
        &mut self,
        listed: &[String],
        commit: &str,
        take: impl Fn(&mut Self, &str) -> Result<LockedFile, HubError>,
    ) -> Result<Vec<LockedFile>, HubError> {
        let repo = &self.request.repo;
        let mut chosen = select::files(repo, listed, &self.request.wanted)?;
        let mut taken = Vec::new();
        // The index goes first: it says what else there is.
        if let Some(at) = chosen.iter().position(|path| select::is_index(path)) {
            let index = chosen.remove(at);
            taken.push(take(self, &index)?);
            let path = self.folder.named(commit, &index);
            let text = fs::read_to_string(&path).map_err(cannot_read(&path))?;
            chosen.extend(select::parts(repo, &index, &text, listed)?);
        }
        for path in chosen {
            taken.push(take(self, &path)?);
        }
        taken.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(taken)
    }

    /// Brings one file into the cache, or finds it there; its hash is the right one.
    fn file(&mut self, commit: &str, path: &str) -> Result<LockedFile, HubError> {
        let FetchRequest { kind, repo, locked, .. } = self.request;
        if !select::is_inside(path) {
            return Err(HubError::BadPath { repo: repo.clone(), path: path.to_owned() });
        }
        let locked = locked.iter().find(|file| file.path == path);
        let named = self.folder.named(commit, path);
        if let Some(locked) = locked.filter(|_| named.exists()) {
            return self.checked(&named, path, &Expected::of(locked), Damage::InCache);
        }
        let (client, place) = (self.client, Place { kind: *kind, repo, commit, path });
        let metadata = ask(client.settings(), self.watch, || client.metadata(place));
        let metadata = metadata.map_err(|gave_up| self.refusal(gave_up, Some(path)))?;
        let promised = Expected { bytes: metadata.bytes, sha256: metadata.sha256() };
        let expected = locked.map_or(promised, Expected::of);
        if !promised.agrees_with(&expected) {
            return Err(HubError::Changed { repo: repo.clone(), path: path.to_owned() });
        }
        let _alone = self.folder.lock(&metadata.etag)?;
        let blob = self.folder.blob(&metadata.etag);
        let found = if blob.exists() {
            self.checked(&blob, path, &expected, Damage::InCache)?
        } else {
            let incomplete = self.folder.incomplete(&metadata.etag);
            let downloaded = download(client, place, &metadata, &incomplete, self.watch);
            downloaded.map_err(|ended| match ended {
                Ended::Local(error) => error,
                Ended::GaveUp(gave_up) => self.refusal(gave_up, Some(path)),
            })?;
            let found = self.checked(&incomplete, path, &expected, Damage::OnTheWay);
            // Bytes that are wrong are no beginning of the right ones.
            let found = found.inspect_err(|_| drop(fs::remove_file(&incomplete)))?;
            fs::rename(&incomplete, &blob).map_err(cannot_write(&blob))?;
            found
        };
        self.folder.link(commit, path, &metadata.etag)?;
        Ok(found)
    }

    /// Hashes a file and compares it with what is expected.
    fn checked(
        &mut self,
        file: &Path,
        path: &str,
        expected: &Expected<'_>,
        damage: Damage,
    ) -> Result<LockedFile, HubError> {
        (self.watch)(Step::Check { path });
        let (sha256, bytes) = sha256(file)?;
        let found = Expected { bytes, sha256: Some(&sha256) };
        if found.agrees_with(expected) {
            return Ok(LockedFile { path: path.to_owned(), sha256, bytes });
        }
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(match damage {
            Damage::OnTheWay => HubError::WrongBytes { path: path.to_owned(), expected, found },
            Damage::InCache => {
                // A name in a snapshot is a link: what is damaged is the blob.
                let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
                HubError::Damaged { file, path: path.to_owned(), expected, found }
            }
        })
    }

    /// What a refusal means for the person who asked.
    fn refusal(&self, GaveUp { failure, tries }: GaveUp, path: Option<&str>) -> HubError {
        let FetchRequest { kind, repo, revision, known, .. } = self.request;
        let page = self.client.page(*kind, repo);
        let repo = repo.clone();
        let said = failure.said();
        let Settings { endpoint, token, .. } = self.client.settings();
        let has_token = token.is_some();
        let no_repository = |repo: String, page| {
            let nearest = plan::nearest(&repo, known.iter().map(String::as_str));
            let nearest = nearest.filter(|&nearest| nearest != repo).map(str::to_owned);
            HubError::NoRepository { repo, page, nearest, has_token }
        };
        match failure.code.as_deref() {
            Some("GatedRepo") => return HubError::Gated { repo, page, has_token },
            Some("RepoNotFound") => return no_repository(repo, page),
            Some("RevisionNotFound") => {
                return HubError::NoRevision { repo, revision: revision.clone(), page };
            }
            _ => {}
        }
        // The storage refuses for reasons of its own.
        let status = failure.status.filter(|_| failure.url.starts_with(endpoint));
        match (status.map(|status| status.as_u16()), path) {
            (Some(401), _) if failure.message.contains("Invalid credentials") => {
                HubError::Token { said }
            }
            (Some(404), Some(path)) => {
                HubError::NoFile { repo, path: path.to_owned(), nearest: None }
            }
            (Some(401 | 404), _) => no_repository(repo, page),
            (Some(403), _) => HubError::Forbidden { repo, page, said },
            _ => HubError::Unreachable { url: failure.url, tries, said },
        }
    }
}

/// Where bytes became wrong.
#[derive(Clone, Copy)]
enum Damage {
    OnTheWay,
    InCache,
}

/// Size and hash of a file; the Hub promises the hash of large files only.
#[derive(Clone, Copy)]
struct Expected<'a> {
    bytes: u64,
    sha256: Option<&'a str>,
}

impl<'a> Expected<'a> {
    fn of(locked: &'a LockedFile) -> Expected<'a> {
        Expected { bytes: locked.bytes, sha256: Some(&locked.sha256) }
    }

    fn agrees_with(&self, other: &Expected<'_>) -> bool {
        let same_hash = self.sha256.zip(other.sha256).is_none_or(|(a, b)| a == b);
        self.bytes == other.bytes && same_hash
    }
}

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)?;
        self.sha256.map_or(Ok(()), |sha256| write!(f, ", sha256 {sha256}"))
    }
}

//! The bytes of one file, taken up where an earlier try left off.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::cache::cannot_write;
use crate::client::{Client, Metadata, Place};
use crate::failure::{Failure, GaveUp, Tries};
use crate::{HubError, Step};

const BUFFER_BYTES: usize = 1 << 18;

/// What ends a download.
pub(crate) enum Ended {
    /// Asking again has no use.
    GaveUp(GaveUp),
    /// The file cannot be written.
    Local(HubError),
}

/// One attempt: what it brought is in the file, however it ended.
enum Attempt {
    /// The answer ended, or broke.
    Remote(Failure),
    Local(std::io::Error),
}

/// Writes the file at `incomplete` until it has all its bytes, and makes sure that they are on the
/// disk. What is there already is kept: only the rest is asked for.
pub(crate) fn download(
    client: &Client,
    place: Place<'_>,
    metadata: &Metadata,
    incomplete: &Path,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<(), Ended> {
    let local = |error| Ended::Local(cannot_write(incomplete)(error));
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(incomplete);
    let mut file = open.map_err(local)?;
    let mut have = file.metadata().map_err(local)?.len();
    if have > metadata.bytes {
        file.set_len(0).map_err(local)?;
        have = 0;
    }
    watch(Step::File { path: place.path, bytes: metadata.bytes, have });
    let mut tries = Tries::new(client.settings());
    // How far any try has come: a server that knows no ranges begins again and again.
    let mut furthest = have;
    while have < metadata.bytes {
        match attempt(client, place, metadata.bytes, &mut file, &mut have, watch) {
            Ok(()) => {}
            Err(Attempt::Local(error)) => return Err(local(error)),
            Err(Attempt::Remote(failure)) => {
                let brought = have > furthest;
                furthest = furthest.max(have);
                tries.again(failure, brought, watch).map_err(Ended::GaveUp)?;
            }
        }
    }
    file.sync_all().map_err(local)
}

/// Asks once for what is missing; `have` counts along.
fn attempt(
    client: &Client,
    place: Place<'_>,
    bytes: u64,
    file: &mut File,
    have: &mut u64,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<(), Attempt> {
    let (begins_at, mut response) = client.bytes(place, *have).map_err(Attempt::Remote)?;
    let url = response.url().to_string();
    // A server that knows no ranges sends the whole file: then it begins anew.
    if begins_at > *have {
        let what = format!("asked for the bytes from {have} on, got those from {begins_at} on");
        return Err(Attempt::Remote(Failure::malformed(&url, what)));
    }
    *have = begins_at;
    file.set_len(begins_at).map_err(Attempt::Local)?;
    file.seek(SeekFrom::Start(begins_at)).map_err(Attempt::Local)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let n_bytes = match response.read(&mut buffer) {
            Ok(n_bytes) => n_bytes,
            Err(error) => return Err(Attempt::Remote(Failure::broken(&url, &error))),
        };
        if n_bytes as u64 > bytes - *have {
            let what = format!("more than the {bytes} bytes that were promised");
            return Err(Attempt::Remote(Failure::malformed(&url, what)));
        }
        if n_bytes == 0 {
            break;
        }
        file.write_all(&buffer[..n_bytes]).map_err(Attempt::Local)?;
        *have += n_bytes as u64;
        watch(Step::At { bytes: *have });
    }
    if *have == bytes {
        return Ok(());
    }
    let ended = std::io::Error::other(format!("the connection ended at {have} of {bytes} bytes"));
    Err(Attempt::Remote(Failure::broken(&url, &ended)))
}

//! A final name has the whole of a file or what it had before; nothing else is left behind.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use files::{Draft, FolderDraft, WriteError};

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_file_is_written_whole_and_over_an_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/report.html");
    files::create_folders(path.parent().unwrap()).unwrap();
    for text in ["first", "second, and longer"] {
        files::write(&path, text.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(names(path.parent().unwrap()), BTreeSet::from(["report.html".to_owned()]));
    }
}

/// A writer that stops half-way, as on a full disk or at an error of the caller's own.
#[test]
fn a_broken_write_leaves_the_older_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let half = |path: &Path| -> Result<(), WriteError> {
        let mut draft = Draft::begin(path)?;
        let full = |source| WriteError { action: "write", path: path.to_owned(), source };
        draft.file().write_all(b"<html><bo").map_err(full)?;
        Err(full(io::Error::from(io::ErrorKind::StorageFull)))
    };
    half(&path).unwrap_err();
    assert_eq!(names(folder.path()), BTreeSet::new());
    files::write(&path, b"whole").unwrap();
    half(&path).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(names(folder.path()).len(), 1);
}

#[test]
fn a_name_that_cannot_be_taken_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::create_dir_all(taken.join("by a folder")).unwrap();
    let error = files::write(&taken, b"x").unwrap_err();
    assert_eq!(error.action, "rename");
    assert_eq!(names(folder.path()), BTreeSet::from(["taken".to_owned()]));
    let error = files::write(&folder.path().join("no/such.md"), b"x").unwrap_err();
    let expected = format!("cannot create {}", folder.path().join("no/such.md").display());
    assert_eq!(error.to_string(), expected);
    assert!(files::write(Path::new("/"), b"x").is_err());
}

#[test]
fn many_writers_of_one_name_leave_one_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("order.json");
    // A leftover of a process that was killed keeps its name, and is in nobody's way.
    let leftover = format!(".order.json.{}.0{}", files::Process::own(), files::TEMPORARY);
    assert_eq!(files::owner_of(&leftover).as_ref(), Some(files::Process::own()));
    assert_eq!(files::owner_of("order.json"), None);
    fs::write(folder.path().join(&leftover), "half").unwrap();
    let texts: Vec<String> = (0..8).map(|n| format!("{n}").repeat(100_000 + n)).collect();
    thread::scope(|scope| {
        for text in &texts {
            scope.spawn(|| files::write(&path, text.as_bytes()).unwrap());
        }
    });
    assert!(texts.contains(&fs::read_to_string(&path).unwrap()));
    assert_eq!(names(folder.path()), BTreeSet::from([leftover, "order.json".to_owned()]));
}

#[cfg(unix)]
#[test]
fn what_is_written_is_readable_as_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
    files::write(&ours, b"x").unwrap();
    fs::write(&plain, b"x").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
}

#[test]
fn a_folder_appears_whole_or_not_at_all() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/model");
    let draft = FolderDraft::begin(&path).unwrap();
    files::write(&draft.folder().join("one"), b"1").unwrap();
    assert!(!path.exists());
    draft.finish().unwrap();
    assert_eq!(names(&path), BTreeSet::from(["one".to_owned()]));

    // One that is there is not touched, and one that is given up leaves nothing behind.
    let error = FolderDraft::begin(&path).unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
    let other = path.with_file_name("other");
    let given_up = FolderDraft::begin(&other).unwrap();
    files::write(&given_up.folder().join("two"), b"2").unwrap();
    drop(given_up);
    assert_eq!(names(path.parent().unwrap()), BTreeSet::from(["model".to_owned()]));

    // A name that is taken meanwhile stays as it is.
    let late = FolderDraft::begin(&other).unwrap();
    fs::create_dir(&other).unwrap();
    assert_eq!(late.finish().unwrap_err().source.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(
        names(path.parent().unwrap()),
        BTreeSet::from(["model".to_owned(), "other".to_owned()])
    );
}

/// Where a folder can be made nothing is left of the question; where it cannot, that is the answer.
#[test]
fn a_place_is_tried_and_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/b/model");
    files::refuse_what_cannot_be_made(&path).unwrap();
    assert_eq!(names(place.path()), BTreeSet::new());
    fs::write(place.path().join("file"), b"").unwrap();
    let error = files::refuse_what_cannot_be_made(&place.path().join("file/model")).unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::NotADirectory);
}

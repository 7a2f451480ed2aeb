//! Whatever stops the program while it writes, no file has its final name and half of its content.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::fixtures::Results;
use crate::pictures::write_grid;

/// What the report leaves beside the tables, by name.
fn written(results: &Results) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(results.path().join("run")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let endings = ["md", "html", "svg"];
    let own =
        files.filter(|path| path.extension().is_some_and(|own| endings.iter().any(|e| *e == own)));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    own.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

/// Runs the program where no file may be larger than so many blocks of 512 bytes, as on a disk that is
/// full. Whoever writes more gets an error, or is killed by the signal where it `may_kill`.
fn with_limit(results: &Results, blocks: usize, may_kill: bool) -> Output {
    let trap = if may_kill { "" } else { "trap '' XFSZ; " };
    let script = format!("{trap}ulimit -f {blocks}; exec \"$0\" --results run");
    Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_report")])
        .current_dir(results.path())
        .output()
        .unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_under_a_final_name() {
    let whole = Results::new();
    write_grid(&whole, false);
    whole.printed(&["--results", "run"]);
    let expected = written(&whole);
    for name in ["report.md", "report.html", "dial.svg", "static-and-dynamic.svg"] {
        assert!(expected.contains_key(name), "{name}");
    }
    let largest = expected.values().map(Vec::len).max().unwrap();
    for may_kill in [false, true] {
        // Somewhere between nothing and everything fits; shells count in 512 or in 1024 bytes.
        for share in [0, 1, 2, 4, 8] {
            let results = Results::new();
            write_grid(&results, false);
            let output = with_limit(&results, largest * share / 8 / 1024, may_kill);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{share} of 8: {errors}");
            if !may_kill {
                assert_eq!(output.status.code(), Some(4), "{errors}");
                assert!(errors.contains("error: cannot write run/"), "{errors}");
            }
            for (name, bytes) in written(&results) {
                assert!(bytes == expected[&name], "{name} is cut: {} bytes", bytes.len());
            }
        }
    }
}

/// A page that cannot be replaced stays as it was.
#[test]
fn a_page_that_cannot_be_replaced_is_an_error_and_leaves_no_other() {
    let results = Results::new();
    write_grid(&results, false);
    let html = results.path().join("run/report.html");
    fs::create_dir_all(html.join("in the way")).unwrap();
    let output = results.report(&["--results", "run"]);
    assert_eq!(output.status.code(), Some(4));
    let errors = String::from_utf8(output.stderr).unwrap();
    let expected = "error: cannot write run/report.html: choose another place with --out FILE.md";
    assert!(errors.starts_with(expected), "{errors}");
    let entries = fs::read_dir(results.path().join("run")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.collect::<Vec<_>>().iter().any(|name| name.ends_with(files::TEMPORARY)));
}

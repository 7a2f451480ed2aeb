//! Damaged and hostile files: an error that names the file and what does not fit, before anything of the
//! size that they claim is made.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::path::{Path, PathBuf};

use checkpoints::{GgufFile, LoadError, Source as _, open_folder};
use common::{Gguf, bin_of, safetensors, safetensors_with, words};
use safetensors::Dtype;
use tempfile::TempDir;

fn folder_with(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn folder_error(files: &[(&str, &[u8])]) -> LoadError {
    match open_folder(folder_with(files).path()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// What is said of a folder whose only file is this.
fn safetensors_error(bytes: &[u8]) -> String {
    let message = folder_error(&[("model.safetensors", bytes)]).to_string();
    assert!(message.contains("model.safetensors is damaged"), "{message}");
    message
}

fn gguf_error(bytes: &[u8]) -> String {
    let folder = folder_with(&[("model.gguf", bytes)]);
    let Err(error) = GgufFile::open(&folder.path().join("model.gguf")) else {
        panic!("it was opened")
    };
    let message = error.to_string();
    assert!(message.contains("model.gguf"), "{message}");
    message
}

fn one_safetensor() -> Vec<u8> {
    safetensors(&[("t", Dtype::F32, vec![2, 2], words(&[1.0, 2.0, 3.0, 4.0]))])
}

fn one_bin() -> Vec<u8> {
    bin_of(&[("t", vec![2, 2], vec![1.0, 2.0, 3.0, 4.0])])
}

fn one_gguf() -> Gguf {
    let values = words(&[1.0, 2.0, 3.0, 4.0]);
    Gguf::default().text("general.architecture", "llama").tensor("t", 0, &[2, 2], &values)
}

#[test]
fn a_folder_without_weights_says_what_was_expected() {
    let message = folder_error(&[("config.json", b"{}")]).to_string();
    for expected in ["holds no model", "model.safetensors", "pytorch_model.bin", ".gguf"] {
        assert!(message.contains(expected), "{message}");
    }
}

/// Every missing shard is named, for both formats.
#[test]
fn all_missing_shards_are_named() {
    for (kind, index) in [("safetensors", "model"), ("bin", "pytorch_model")] {
        let name = |shard| format!("{index}-0000{shard}-of-00003.{kind}");
        let map = format!(
            r#"{{"weight_map": {{"a": "{}", "b": "{}", "c": "{}", "d": "{}"}}}}"#,
            name(1),
            name(2),
            name(3),
            name(3),
        );
        let index = format!("{index}.{kind}.index.json");
        let here = if kind == "bin" { one_bin() } else { one_safetensor() };
        let error = folder_error(&[(&index, map.as_bytes()), (&name(2), &here)]);
        let LoadError::MissingShards { index: path, missing } = &error else { panic!("{error}") };
        assert!(path.ends_with(&index));
        assert_eq!(*missing, [name(1), name(3)]);
        assert!(error.to_string().contains(&format!("{}, {}", name(1), name(3))), "{error}");
    }
}

#[test]
fn an_index_that_lies_is_refused() {
    let index = |map: &str| format!(r#"{{"weight_map": {map}}}"#).into_bytes();
    let shard = one_safetensor();
    let with = |map: &str| {
        let index = index(map);
        folder_error(&[("model.safetensors.index.json", &index), ("a.safetensors", &shard)])
            .to_string()
    };
    let message = with(r#"{"t": "a.safetensors", "u": "a.safetensors"}"#);
    assert!(message.contains("says that a.safetensors holds tensor `u`"), "{message}");
    for outside in ["../a.safetensors", "/a.safetensors", "x/a.safetensors", ".", ""] {
        let message = with(&format!(r#"{{"t": "{outside}"}}"#));
        assert!(message.contains(&format!("names `{outside}`, which is no file")), "{message}");
    }
    let twice = folder_error(&[
        ("model.safetensors.index.json", &index(r#"{"t": "a.safetensors", "u": "b.safetensors"}"#)),
        ("a.safetensors", &shard),
        ("b.safetensors", &shard),
    ]);
    let message = twice.to_string();
    assert!(message.contains("b.safetensors is damaged: it holds tensor `t`"), "{message}");
    let broken = folder_error(&[("model.safetensors.index.json", b"{\"weight_map\": [1]}")]);
    assert!(broken.to_string().contains("it is not an index of shards"), "{broken}");
}

/// No proper beginning of a file of any format is taken for the file.
#[test]
fn truncated_files_are_refused_wherever_they_end() {
    let whole = one_safetensor();
    for length in 0..whole.len() {
        safetensors_error(&whole[..length]);
    }
    let whole = one_bin();
    for length in 0..whole.len() {
        let error = folder_error(&[("pytorch_model.bin", &whole[..length])]).to_string();
        assert!(error.contains("pytorch_model.bin is damaged"), "{length}: {error}");
    }
    let whole = one_gguf().finish();
    // The last bytes only fill the file up to its alignment.
    let padding = 16;
    for length in 0..whole.len() - padding {
        let error = gguf_error(&whole[..length]);
        assert!(error.contains("is damaged"), "{length}: {error}");
    }
}

#[test]
fn a_header_of_absurd_length_is_refused() {
    for length in [u64::MAX, 1 << 62, 1 << 40, 200] {
        let mut file = one_safetensor();
        file[..8].copy_from_slice(&length.to_le_bytes());
        let message = safetensors_error(&file);
        assert!(message.contains(&format!("its header has {length} bytes")), "{message}");
    }
}

#[test]
fn safetensors_that_overlap_leave_gaps_or_overflow_are_refused() {
    let tensor = |name: &str, shape: &str, start: u64, end: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let headers = [
        // Overlap, gap, wrong order of offsets, a shape of another size, a product beyond 64 bits.
        format!("{{{},{}}}", tensor("a", "[2]", 0, 8), tensor("b", "[2]", 4, 12)),
        format!("{{{},{}}}", tensor("a", "[1]", 0, 4), tensor("b", "[1]", 8, 12)),
        format!("{{{}}}", tensor("a", "[1]", 8, 4)),
        format!("{{{}}}", tensor("a", "[4]", 0, 12)),
        format!("{{{}}}", tensor("a", "[4294967296,4294967296]", 0, 12)),
        // A tensor far beyond the end, and one that says so twice.
        format!("{{{}}}", tensor("a", "[4611686018427387904]", 0, 1 << 63)),
        format!("{{{},{}}}", tensor("a", "[1]", 0, 4), tensor("a", "[2]", 4, 12)),
        "[]".to_owned(),
        "{\"a\":".repeat(10_000),
    ];
    for header in headers {
        safetensors_error(&safetensors_with(&header, &[0; 12]));
    }
}

/// Counts and lengths of a GGUF header that no file could hold.
#[test]
fn absurd_counts_of_gguf_are_refused() {
    let file = |tensors: u64, entries: u64, rest: &[u8]| {
        [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &entries.to_le_bytes(), rest].concat()
    };
    for absurd in [u64::MAX, 1 << 60, 1 << 32, 1 << 20] {
        let message = gguf_error(&file(absurd, 0, &[0; 64]));
        assert!(message.contains(&format!("speaks of {absurd} tensors")), "{message}");
        let message = gguf_error(&file(0, absurd, &[0; 64]));
        assert!(message.contains(&format!("speaks of {absurd} entries")), "{message}");
        let message = gguf_error(&file(0, 1, &[&absurd.to_le_bytes()[..], &[0; 64]].concat()));
        assert!(message.contains(&format!("speaks of {absurd} bytes")), "{message}");
        for (kind, what) in [(8_u32, "texts"), (4, "numbers")] {
            let list = [&kind.to_le_bytes()[..], &absurd.to_le_bytes()].concat();
            let message = gguf_error(&one_gguf().raw("key", 9, &list).finish());
            assert!(message.contains(&format!("speaks of {absurd} {what}")), "{message}");
        }
    }
}

#[test]
fn a_gguf_table_that_does_not_fit_its_file_is_refused() {
    let wrong = |change: fn(Gguf) -> Gguf| gguf_error(&change(one_gguf()).finish());
    type Case = (fn(Gguf) -> Gguf, &'static str);
    let cases: [Case; 10] = [
        (|f| f.count("general.alignment", 0), "`general.alignment` is not a power of two"),
        (|f| f.count("general.alignment", 48), "`general.alignment` is not a power of two"),
        (|f| f.tensor("u", 0, &[1 << 40], &[]), "tensor `u` with shape [1099511627776] reaches"),
        (|f| f.tensor("u", 0, &[1 << 40, 1 << 40], &[]), "tensor `u` of type F32 has shape"),
        (|f| f.tensor("u", 2, &[2, 33], &[0; 64]), "tensor `u` of type Q4_0 has shape [2, 33]"),
        // A single number in blocks of 32: found by the mutations.
        (|f| f.tensor("u", 2, &[], &[]), "tensor `u` of type Q4_0 has shape []"),
        (|f| f.tensor("u", 0, &[1, 1, 1, 1, 1], &[0; 4]), "tensor `u` has 5 dimensions"),
        (|f| f.tensor("t", 0, &[1], &[0; 4]), "holds tensor `t` twice"),
        (|f| f.text("general.architecture", "llama"), "holds `general.architecture` twice"),
        (|f| f.raw("key", 13, &[0; 8]), "`key` has type 13"),
    ];
    for (change, expected) in cases {
        let message = wrong(change);
        assert!(message.contains("is damaged") && message.contains(expected), "{message}");
    }
    // The second tensor is moved onto the first.
    let mut file = one_gguf().tensor("u", 0, &[1], &[0; 4]).finish();
    let at = file.windows(8).rposition(|word| word == 32_u64.to_le_bytes()).unwrap();
    file[at..at + 8].fill(0);
    assert!(gguf_error(&file).contains("tensors `u` and `t` overlap"));
}

/// Found by fuzzing: a query projection that is a single number has no rows to put in order.
#[test]
fn rows_of_heads_that_are_not_there_are_refused() {
    let one = words(&[1.0]);
    let cases: [(u32, &[usize], usize); 4] =
        [(2, &[], 1), (2, &[0, 4], 0), (0, &[4, 1], 4), (3, &[4, 1], 4)];
    for (heads, shape, values) in cases {
        let file = Gguf::default()
            .text("general.architecture", "llama")
            .count("llama.attention.head_count", heads)
            .tensor("blk.0.attn_q.weight", 0, shape, &one.repeat(values));
        let folder = folder_with(&[("model.gguf", &file.finish())]);
        let file = GgufFile::open(&folder.path().join("model.gguf")).unwrap();
        let error = file.values("model.layers.0.self_attn.q_proj.weight").unwrap_err().to_string();
        let expected = format!("`llama.attention.head_count`: is {heads}, which does not divide");
        assert!(error.contains("model.gguf") && error.contains(&expected), "{error}");
    }
}

#[test]
fn gguf_of_another_kind_says_what_it_is() {
    let message = gguf_error(&one_gguf().tensor("u", 20, &[32], &[0; 18]).finish());
    assert!(message.contains("tensor `u` has type number 20 of ggml; F32, F16"), "{message}");
    let message = gguf_error(&Gguf::default().text("general.architecture", "gemma2").finish());
    let expected = "architecture `gemma2` is not supported, the nearest that is: `gemma3`";
    assert!(message.contains(expected), "{message}");
    let message = gguf_error(&Gguf::default().finish());
    assert!(message.contains("field `general.architecture`: is missing"), "{message}");
    let mut old = one_gguf().finish();
    old[4] = 1;
    assert!(gguf_error(&old).contains("format has version 1"));
    old[0] = b'X';
    assert!(gguf_error(&old).contains("does not start with `GGUF`"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let path: PathBuf = Path::new("no-such-folder").join("model.gguf");
    let Err(error) = GgufFile::open(&path) else { panic!("it was opened") };
    assert!(error.to_string().starts_with("cannot read no-such-folder/model.gguf: "), "{error}");
}

//! PyTorch's `.bin`: what torch saved (`models/tests/golden/pytorch/make.py`), and what must be refused.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    io::{Cursor, Write as _},
    path::Path,
};

use checkpoints::{LoadError, Source, open_folder};
use common::{DICT, END, bin, contiguous, entry, floats, golden, tensor, text, words};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A folder with one file of weights.
fn open_bytes(bytes: &[u8]) -> Result<Box<dyn Source>, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pytorch_model.bin"), bytes).unwrap();
    open_folder(folder.path())
}

fn message(bytes: &[u8]) -> String {
    let Err(error) = open_bytes(bytes) else { panic!("it was opened") };
    let message = error.to_string();
    assert!(message.contains("pytorch_model.bin"), "{message}");
    message
}

fn golden_message(file: &str) -> String {
    message(&std::fs::read(golden("pytorch").join(file)).unwrap())
}

#[test]
fn every_view_holds_what_torch_finds_in_it() {
    let source = open_folder(&golden("pytorch")).unwrap();
    let expected = floats(&golden("pytorch/tensors.safetensors"));
    assert!(expected.len() >= 12);
    for (name, (shape, values)) in expected {
        assert_eq!(source.shape(&name).unwrap(), shape, "{name}");
        assert_eq!(source.values(&name).unwrap(), values, "{name}");
    }
    let conversion = |name: &str| source.conversion(name).map(|c| c.to_string());
    assert_eq!(conversion("plain").as_deref(), Some("F32"));
    assert_eq!(conversion("transposed_half").as_deref(), Some("F16 → F32"));
    assert_eq!(conversion("bfloat").as_deref(), Some("BF16 → F32"));
}

#[test]
fn a_buffer_of_integers_is_an_error_only_when_it_is_read() {
    let source = open_folder(&golden("pytorch")).unwrap();
    for (name, kind) in [("mask", "BOOL"), ("bytes", "U8"), ("positions", "I64"), ("double", "F64")]
    {
        assert!(source.shape(name).is_some());
        assert_eq!(source.conversion(name), None);
        let message = source.values(name).unwrap_err().to_string();
        let expected = format!("tensor `{name}` has type {kind}; F32, F16 and BF16 are read");
        assert!(message.contains("pytorch_model.bin") && message.contains(&expected), "{message}");
    }
}

#[test]
fn shards_are_read_through_their_index() {
    let source = open_folder(&golden("pytorch-sharded")).unwrap();
    let expected = floats(&golden("pytorch/tensors.safetensors"));
    assert_eq!(source.names(), ["bfloat", "half", "parameter", "plain"]);
    for name in source.names() {
        assert_eq!(source.values(&name).unwrap(), expected[&name].1, "{name}");
    }
    assert!(source.file_of("bfloat").ends_with("pytorch_model-00002-of-00002.bin"));
}

#[test]
fn safetensors_come_before_pickles() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden("pytorch");
    let copy = |from: &Path, to: &str| std::fs::copy(from, folder.path().join(to)).unwrap();
    copy(&golden.join("pytorch_model.bin"), "pytorch_model.bin");
    copy(&golden.join("tensors.safetensors"), "model.safetensors");
    let source = open_folder(folder.path()).unwrap();
    assert!(source.file_of("plain").ends_with("model.safetensors"));
}

#[test]
fn what_is_not_a_tensor_is_refused_by_its_name() {
    let refusals = [
        ("calls.bin", "its pickle holds `posix.system`, where only tensors are read"),
        ("hidden-call.bin", "its pickle holds `posix.system`, where only tensors are read"),
        ("module.bin", "its pickle holds `torch.nn.modules.linear.Linear`"),
        ("training.bin", "its pickle holds a dictionary as `state_dict`"),
    ];
    for (file, expected) in refusals {
        let message = golden_message(file);
        assert!(message.contains(expected), "{file}: {message}");
        assert!(message.contains("nothing of it was run"), "{message}");
    }
    assert!(!Path::new("was-run").exists());
}

#[test]
fn the_format_before_1_6_says_how_to_convert_it() {
    let message = golden_message("legacy.bin");
    assert!(message.contains("format from before 1.6"), "{message}");
    assert!(message.contains("torch.save(torch.load(path, weights_only=True), path)"), "{message}");
}

/// One f32 tensor `t` of shape `[2, 2]` whose pickle is changed by `change`.
fn one_tensor(change: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let entry = entry("t", "FloatStorage", "0", &[2, 2], &contiguous(&[2, 2]));
    let pickle = change([DICT, &entry, END].concat());
    bin(&pickle, &[("0", &words(&[1.0, 2.0, 3.0, 4.0]))])
}

#[test]
fn the_hand_made_file_is_right_where_nothing_is_wrong() {
    let source = open_bytes(&one_tensor(|pickle| pickle)).unwrap();
    assert_eq!(source.shape("t").unwrap(), [2, 2]);
}

#[test]
fn views_must_lie_in_their_storage() {
    /// Length of the storage, offset, shape, strides, and what is said of them.
    type Case = (usize, usize, &'static [usize], &'static [usize], &'static str);
    let views: [Case; 5] = [
        (4, 1, &[2, 2], &[2, 1], "beyond the 4 numbers"),
        (4, 0, &[2, 2], &[4, 1], "beyond the 4 numbers"),
        (5, 0, &[2, 2], &[2, 1], "should hold 5 numbers, but has 16 bytes"),
        (4, 0, &[1 << 20, 1 << 20], &[0, 0], "more than the 4 numbers"),
        (4, 0, &[2, 2], &[1], "with strides [1]"),
    ];
    for (length, offset, shape, strides, expected) in views {
        let tensor = tensor("FloatStorage", "0", length, offset, shape, strides);
        let pickle = [DICT, &text("t"), &tensor, END].concat();
        let message = message(&bin(&pickle, &[("0", &[0; 16])]));
        assert!(message.contains("tensor `t`") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_storage_that_is_missing_is_named() {
    let entry = entry("t", "FloatStorage", "7", &[2], &[1]);
    let message = message(&bin(&[DICT, &entry, END].concat(), &[("0", &[0; 8])]));
    assert!(message.contains("tensor `t`: its storage `7` is missing"), "{message}");
}

/// torch does not compress; an archive that does could hold far more than its size.
#[test]
fn compressed_archives_are_refused() {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    archive.start_file("m/data.pkl", deflated).unwrap();
    archive.write_all(&[DICT, &b"K\x01".repeat(1 << 20), END].concat()).unwrap();
    let message = message(&archive.finish().unwrap().into_inner());
    assert!(message.contains("entry `m/data.pkl` of its archive is compressed"), "{message}");
}

/// Instructions that other pickles have and that dictionaries of tensors do not.
#[test]
fn unknown_instructions_and_names_are_refused() {
    let cases: [(&[u8], &str); 6] = [
        (b"\x80\x04\x95\0\0\0\0\0\0\0\0}.", "instruction 0x95"),
        (b"\x80\x02ios\nsystem\n.", "instruction 0x69"),
        (b"\x80\x02cbuiltins\neval\n.", "`builtins.eval`"),
        (b"\x80\x02ctorch\nQInt8Storage\n.", "`torch.QInt8Storage`"),
        (b"\x80\x02K\x01.", "an integer at its root"),
        (b"\x80\x02}(K\x01K\x02u.", "an integer as the name of an entry"),
    ];
    for (pickle, expected) in cases {
        let message = message(&bin(pickle, &[]));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn broken_pickles_are_damage() {
    let cases: [(&[u8], &str); 9] = [
        (b"\x80\x02", "1 bytes expected, 0 are left"),
        (b"\x80\x02X\xff\xff\xff\xff", "4294967295 bytes expected"),
        (b"\x80\x02.", "too little on the stack"),
        (b"\x80\x02(.", "too little on the stack"),
        (b"\x80\x02t.", "finds no mark"),
        (b"\x80\x02h\x05.", "nothing was kept as 5"),
        (b"\x80\x02]K\x01s.", "too little on the stack"),
        (b"\x80\x02}(K\x01u.", "a name without a value"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "called with 0 arguments"),
    ];
    for (pickle, expected) in cases {
        let message = message(&bin(pickle, &[]));
        assert!(message.contains("is damaged") && message.contains(expected), "{message}");
    }
}

/// Each fetch from the memo puts the last list twice into a new one: 2^60 entries for who copies them,
/// and a list 60 deep for who follows them.
#[test]
fn a_pickle_that_doubles_itself_costs_nothing() {
    let doublings = b"](h\0h\0eq\0".repeat(60);
    let pickle = [b"\x80\x02]q\0", &doublings[..], b"."].concat();
    assert!(message(&bin(&pickle, &[])).contains("a list at its root"));
    let deep = [b"\x80\x02)".to_vec(), vec![0x85; 1 << 20], b".".to_vec()].concat();
    assert!(message(&bin(&deep, &[])).contains("a tuple at its root"));
}

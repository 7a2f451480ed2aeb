//! The cheap, repeatable side of fuzzing (`fuzz/` is the other): good files with bits turned, parts cut,
//! lost or doubled, and numbers made absurd. Opening and reading them may fail, but never panics and
//! never takes memory that the file could not fill.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "why it skipped")]

mod common;

use std::path::Path;

use checkpoints::{GgufFile, Source, open_folder};
use common::{golden, safetensors, words};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{RngSeed, TestRunner},
};
use safetensors::Dtype;

/// The largest file that is changed has 40 kB.
const MOST_MEMORY: u64 = 96 << 20;

#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Lose(Index, u8),
    Double(Index, u8),
    /// A number of one to eight bytes.
    Number(Index, u64, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let number = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(1 << 31),
        Just(1 << 40),
        Just(1 << 62),
        0..1000_u64,
        any::<u64>(),
    ];
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        1 => at().prop_map(Change::Cut),
        1 => (at(), 1..64_u8).prop_map(|(at, length)| Change::Lose(at, length)),
        1 => (at(), 1..64_u8).prop_map(|(at, length)| Change::Double(at, length)),
        4 => (at(), number, 1..=8_usize).prop_map(|(at, number, width)| Change::Number(at, number, width)),
    ]
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        let part = |at: usize, length: u8| at..(at + usize::from(length)).min(file.len());
        match self {
            Self::Flip(at, bit) => {
                let at = at.index(file.len());
                file[at] ^= 1 << bit;
            }
            Self::Cut(at) => file.truncate(at.index(file.len())),
            Self::Lose(at, length) => drop(file.drain(part(at.index(file.len()), *length))),
            Self::Double(at, length) => {
                let part = part(at.index(file.len()), *length);
                let copy = file[part.clone()].to_vec();
                drop(file.splice(part.start..part.start, copy));
            }
            Self::Number(at, number, width) => {
                let at = at.index(file.len());
                let end = (at + width).min(file.len());
                file[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
        }
    }
}

/// Reads everything that is in a checkpoint; whatever goes wrong is an error with a message.
fn read_all(source: &dyn Source) {
    for name in source.names() {
        let values: Option<usize> = source.shape(&name).map(|shape| shape.iter().product());
        match source.values(&name) {
            Ok(read) => assert_eq!(Some(read.len()), values),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Changes the head of the file, where its claims are, or any part of it.
fn mutate(file: &[u8], head: usize, cases: u32, open: impl Fn(&[u8])) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    };
    let changes = (vec(change(), 1..4), any::<bool>());
    let run = TestRunner::new(config).run(&changes, |(changes, anywhere)| {
        let split = if anywhere { file.len() } else { head.min(file.len()) };
        let mut changed = file[..split].to_vec();
        changes.iter().for_each(|change| change.apply(&mut changed));
        changed.extend_from_slice(&file[split..]);
        open(&changed);
        Ok(())
    });
    run.unwrap();
    check_memory();
}

fn check_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else {
        println!("memory is not measured: this system does not tell a process its peak");
        return;
    };
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kibibytes << 10 < MOST_MEMORY, "{kibibytes} kB");
}

fn in_folder(name: &str) -> impl Fn(&[u8]) {
    let (folder, name) = (tempfile::tempdir().unwrap(), name.to_owned());
    move |bytes| {
        std::fs::write(folder.path().join(&name), bytes).unwrap();
        if let Ok(source) = open_folder(folder.path()) {
            read_all(source.as_ref());
        }
    }
}

#[test]
fn safetensors_files() {
    let file = safetensors(&[
        ("a", Dtype::F32, vec![2, 3], words(&[0.5; 6])),
        ("b", Dtype::BF16, vec![5], vec![0; 10]),
        ("c", Dtype::I64, vec![1], vec![0; 8]),
    ]);
    mutate(&file, 256, 4000, in_folder("model.safetensors"));
}

#[test]
fn indexes() {
    let folder = tempfile::tempdir().unwrap();
    let file = safetensors(&[("a", Dtype::F32, vec![2], words(&[0.5; 2]))]);
    std::fs::write(folder.path().join("a.safetensors"), file).unwrap();
    let index = br#"{"metadata": {"total_size": 8}, "weight_map": {"a": "a.safetensors"}}"#;
    mutate(index, index.len(), 2000, |bytes| {
        std::fs::write(folder.path().join("model.safetensors.index.json"), bytes).unwrap();
        if let Ok(source) = open_folder(folder.path()) {
            read_all(source.as_ref());
        }
    });
}

#[test]
fn pickles() {
    let file = std::fs::read(golden("pytorch/pytorch_model.bin")).unwrap();
    mutate(&file, 2048, 4000, in_folder("pytorch_model.bin"));
}

#[test]
fn gguf_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let open = |path: &Path| {
        let Ok(file) = GgufFile::open(path) else { return };
        drop((file.fields(), file.vocabulary()));
        read_all(&file);
    };
    for (name, head) in [("types.gguf", 900), ("llama-rope.gguf", 1700)] {
        let file = std::fs::read(golden("gguf").join(name)).unwrap();
        mutate(&file, head, 3000, |bytes| {
            std::fs::write(&path, bytes).unwrap();
            open(&path);
        });
    }
}

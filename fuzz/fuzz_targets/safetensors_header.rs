//! A safetensors file, or (where the first byte is odd) an index and the shard that it may name: the
//! index ends at the first zero byte.

#![no_main]

use checkpoints::open_folder;
use libfuzzer_sys::fuzz_target;
use slim_fuzz::{FOLDER, read_all, remove, write};

const SINGLE: &str = "model.safetensors";

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    if kind % 2 == 0 {
        write(SINGLE, rest);
    } else {
        remove(SINGLE);
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        write("model.safetensors.index.json", &rest[..end]);
        write("a.safetensors", rest.get(end + 1..).unwrap_or_default());
    }
    if let Ok(source) = open_folder(&FOLDER) {
        read_all(source.as_ref());
    }
});

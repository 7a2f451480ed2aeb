//! A GGUF file: header, fields of config.json, tokenizer, tensors.

#![no_main]

use checkpoints::GgufFile;
use libfuzzer_sys::fuzz_target;
use slim_fuzz::{FOLDER, read_all, write};

const FILE: &str = "model.gguf";

fuzz_target!(|bytes: &[u8]| {
    write(FILE, bytes);
    let Ok(file) = GgufFile::open(&FOLDER.join(FILE)) else { return };
    drop((file.fields(), file.vocabulary()));
    read_all(&file);
});

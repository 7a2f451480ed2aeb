//! A PyTorch file, or (where the first byte is odd) a pickle that is put into one together with three
//! storages.

#![no_main]

use std::io::{Cursor, Write as _};

use checkpoints::open_folder;
use libfuzzer_sys::fuzz_target;
use slim_fuzz::{FOLDER, read_all, write};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let entries: [(&str, &[u8]); 4] =
        [("m/data.pkl", pickle), ("m/data/0", &[0; 64]), ("m/data/1", &[0; 24]), ("m/data/2", &[])];
    for (name, bytes) in entries {
        archive.start_file(name, stored).expect("an entry");
        archive.write_all(bytes).expect("its bytes");
    }
    archive.finish().expect("an archive").into_inner()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let archived = (kind % 2 == 1).then(|| archive(rest));
    write("pytorch_model.bin", archived.as_deref().unwrap_or(rest));
    if let Ok(source) = open_folder(&FOLDER) {
        read_all(source.as_ref());
    }
});

//! What the fuzz targets share: a folder in memory, and reading all of a checkpoint.

use std::{fs, path::PathBuf, process, sync::LazyLock};

use checkpoints::Source;

/// A folder of this process, in memory where the system has a place for that.
pub static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = parent.join(format!("slim-fuzz-{}", process::id()));
    fs::create_dir_all(&folder).expect("a folder for the files");
    folder
});

/// Puts a file into the folder.
pub fn write(name: &str, bytes: &[u8]) {
    fs::write(FOLDER.join(name), bytes).expect("a file in the folder");
}

/// Takes a file out of the folder, if it is there.
pub fn remove(name: &str) {
    drop(fs::remove_file(FOLDER.join(name)));
}

/// Reads every tensor; as many values must come as its shape says.
pub fn read_all(source: &dyn Source) {
    for name in source.names() {
        let expected: Option<usize> = source.shape(&name).map(|shape| shape.iter().product());
        if let Ok(values) = source.values(&name) {
            assert_eq!(Some(values.len()), expected, "{name}");
        }
    }
}

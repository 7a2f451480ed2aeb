//! config.json beside weights that may or may not be what it describes: the sizes of the model, then the
//! model.

#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use models::{Device, inspect, load};
use slim_fuzz::{FOLDER, write};

/// The weights of a golden folder; the seeds hold its config.
const WEIGHTS: &[u8] =
    include_bytes!("../../crates/models/tests/golden/llama-untied/model.safetensors");

static WEIGHTS_WRITTEN: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    WEIGHTS_WRITTEN.call_once(|| write("model.safetensors", WEIGHTS));
    write("config.json", bytes);
    if inspect(&FOLDER).is_ok() {
        drop(load(&FOLDER, &Device::flex()));
    }
});

//! Writes every kind of cut of the small random models of every family, and what the model in memory gives
//! for some ids, for other programs to open (`bench/peer/check_slim.py`, `cargo xtask check slim`).
//!
//!     cargo run --release -p export --example families -- OUT

#![allow(clippy::unwrap_used, reason = "a program of tests")]

#[path = "../tests/cases/mod.rs"]
mod cases;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use cases::{cuts_of, families, gguf_files, ids, logits, model, name, ragged_channels};
use cuts::Slim;
use export::{Beside, ExportError, Form, Settings, Subject, Watch, export};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

/// Where everything goes, and what there is.
struct Place {
    out: PathBuf,
    entries: Vec<Value>,
    refused: Vec<String>,
}

impl Place {
    /// One model in one form, with the logits that it should give.
    fn add(&mut self, slim: &Slim, source: &Path, [family, cut, form]: [&str; 3], uniform: bool) {
        let whole = models::inspect(source).unwrap();
        let folder = self.out.join(family).join(format!("{cut}-{form}"));
        let subject = Subject { slim, source, whole: &whole };
        let settings = Settings { uniform, ..Settings::new(&folder, Form::named(form).unwrap()) };
        let made = match export(&subject, &settings, &Beside::default(), &Watch::default()) {
            Ok(made) => made,
            Err(error @ (ExportError::Save(_) | ExportError::Form { .. })) => {
                self.refused.push(format!("{family}, {cut}, {form}: {error}"));
                return;
            }
            Err(error) => panic!("{family}, {cut}, {form}: {error}"),
        };
        let expected = folder.with_extension("safetensors");
        let mut ids = ids(&*slim.model);
        // llama.cpp has no windows in these families: a context is as short as one.
        if made.notes.iter().any(|note| note.contains("see a window of 16 tokens")) {
            ids.truncate(16);
        }
        write_expected(&expected, &ids, &logits(&*slim.model, &ids));
        let mut entry = json!({
            "family": family, "cut": cut, "form": form, "folder": folder, "expected": expected,
        });
        // llama.cpp looks its GELU up in a table of half floats.
        if family.starts_with("gemma3") && form.starts_with("gguf") {
            entry["bound"] = json!(1e-2);
        }
        self.entries.push(entry);
    }
}

fn write_expected(path: &Path, ids: &[u32], logits: &[f32]) {
    let ids_bytes: Vec<u8> = ids.iter().flat_map(|id| (*id as i64).to_le_bytes()).collect();
    let bytes: Vec<u8> = logits.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![ids.len(), logits.len() / ids.len()];
    let tensors = BTreeMap::from([
        ("ids", TensorView::new(Dtype::I64, vec![ids.len()], &ids_bytes).unwrap()),
        ("logits", TensorView::new(Dtype::F32, shape, &bytes).unwrap()),
    ]);
    safetensors::serialize_to_file(tensors, None, path).unwrap();
}

fn main() {
    let out = std::env::args_os().nth(1).map(PathBuf::from).expect("a folder to write into");
    fs::create_dir_all(&out).unwrap();
    let mut place = Place { out, entries: Vec::new(), refused: Vec::new() };
    for source in families() {
        let family = name(&source);
        let dense = Slim::dense(model(&source));
        for (cut, slim) in cuts_of(&dense) {
            place.add(&slim, &source, [&family, cut, "f32"], false);
            if cut.contains("bits") {
                place.add(&slim, &source, [&family, cut, "packed-f32"], false);
            }
        }
        if let Some(slim) = ragged_channels(&dense) {
            place.add(&slim, &source, [&family, "ragged", "f32"], false);
            place.add(&slim, &source, [&family, "ragged-uniform", "f32"], true);
        }
    }
    let llama_cpp = ["llama", "qwen", "mistral"];
    let folders = families()
        .into_iter()
        .filter(|source| llama_cpp.iter().any(|own| name(source).starts_with(own)));
    for source in folders.chain(gguf_files()) {
        let family = name(&source);
        let dense = Slim::dense(model(&source));
        for (cut, slim) in cuts_of(&dense) {
            place.add(&slim, &source, [&family, cut, "gguf-f32"], false);
        }
    }
    let all = json!({ "entries": place.entries, "refused": place.refused });
    fs::write(place.out.join("manifest.json"), format!("{all:#}\n")).unwrap();
    let (n, refused) = (place.entries.len(), place.refused.len());
    eprintln!("{n} models written, {refused} refused");
}

//! What is written is read again here with the same numbers, for every family and every kind of cut; and
//! what a form cannot say is refused with a sentence.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod cases;

use std::{
    fs,
    path::{Path, PathBuf},
};

use cases::{
    apart, cuts_of, families, fewer_channels, half_of_neurons, ids, linearised, logits, model,
    name, ragged_channels, rounded, rounding,
};
use cuts::{Rounding, Slim};
use export::{
    Beside, Card, ExportError, Form, Settings, StepWords, Subject, Watch, Written, export,
};
use models::{Device, Model, load};

fn form(name: &str) -> Form {
    Form::named(name).unwrap()
}

fn written(slim: &Slim, source: &Path, settings: &Settings<'_>) -> Result<Written, ExportError> {
    let whole = models::inspect(source).unwrap();
    let subject = Subject { slim, source, whole: &whole };
    export(&subject, settings, &Beside::default(), &Watch::default())
}

fn read(folder: &Path) -> Box<dyn Model> {
    load(folder, &Device::flex()).unwrap_or_else(|e| panic!("{e}")).model
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A folder of a test, with room for many models.
struct Place(tempfile::TempDir, usize);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), 0)
    }

    fn next(&mut self) -> PathBuf {
        self.1 += 1;
        self.0.path().join(self.1.to_string())
    }
}

/// With the same bits: the weights are those of the model in memory.
#[test]
fn every_cut_of_every_family_is_read_again() {
    let mut place = Place::new();
    for folder in families() {
        let dense = Slim::dense(model(&folder));
        for (cut, slim) in cuts_of(&dense) {
            let (of, out) = (format!("{}, {cut}", name(&folder)), place.next());
            let result = written(&slim, &folder, &Settings::new(&out, form("f32")));
            let made = result.unwrap_or_else(|e| panic!("{of}: {e}"));
            let again = read(&out);
            let ids = ids(&*slim.model);
            let most = apart(&logits(&*again, &ids), &logits(&*slim.model, &ids));
            assert!(most <= 1e-6, "{of}: {most}");
            assert_eq!(again.facts().layers, slim.model.facts().layers, "{of}");
            assert_eq!(made.files.len(), 2, "{of}: {:?}", made.files);
            let says = |word: &str| made.notes.iter().any(|note| note.contains(word));
            assert_eq!(says("sparse"), cut.contains("weights") || cut == "all-at-once", "{of}");
            assert_eq!(says("few bits"), cut.contains("bits"), "{of}");
            assert_eq!(says("two factors"), cut == "low-rank", "{of}");
        }
    }
}

/// Half the widths make half the numbers, in the shapes and in what the config says.
#[test]
fn uniform_widths_are_smaller_shapes() {
    let mut place = Place::new();
    for folder in families() {
        let dense = Slim::dense(model(&folder));
        let before = dense.model.facts();
        if let Some(slim) = half_of_neurons(&dense) {
            let out = place.next();
            let made = written(&slim, &folder, &Settings::new(&out, form("f32"))).unwrap();
            assert_eq!(read(&out).facts().neurons, before.neurons.div_ceil(2), "{}", name(&folder));
            // What is stored of Zamba2 does not count that adapters get smaller with their block.
            if !name(&folder).starts_with("zamba2") {
                assert_eq!(made.parameters, slim.storage.parameters(), "{}", name(&folder));
            }
        }
        if let Some(slim) = fewer_channels(&dense) {
            let out = place.next();
            let made = written(&slim, &folder, &Settings::new(&out, form("f32"))).unwrap();
            let channels = read(&out).facts().state.unwrap().channels;
            assert!(channels < before.state.unwrap().channels, "{}", name(&folder));
            assert!(made.parameters < before.parameters as u64, "{}", name(&folder));
        }
    }
}

/// Where layers keep different numbers of channels they get the width of before, or that of the widest; the
/// numbers of the model stay as they are.
#[test]
fn ragged_widths_are_filled_up_with_zeros() {
    let mut place = Place::new();
    for folder in families() {
        let dense = Slim::dense(model(&folder));
        let Some(slim) = ragged_channels(&dense) else { continue };
        let widths: Vec<usize> =
            slim.model.mixers().iter().map(|own| own.shape().channels).collect();
        if widths.iter().all(|own| *own == widths[0]) {
            continue;
        }
        let (before, widest) =
            (dense.model.facts().state.unwrap().channels, *widths.iter().max().unwrap());
        for (uniform, expected) in [(false, before), (true, widest)] {
            let (of, out) = (format!("{}, {uniform}", name(&folder)), place.next());
            let settings = Settings { uniform, ..Settings::new(&out, form("f32")) };
            let made = written(&slim, &folder, &settings).unwrap();
            let again = read(&out);
            assert_eq!(again.facts().state.unwrap().channels, expected, "{of}");
            let ids = ids(&*slim.model);
            let most = apart(&logits(&*again, &ids), &logits(&*slim.model, &ids));
            // The norm and the scan run over more zeros, in another order: rounding.
            assert!(most <= 1e-5, "{of}: {most}");
            let note = made.notes.iter().find(|note| note.contains("state channels")).unwrap();
            assert!(note.contains(&format!("{expected}")) && note.contains("zeros"), "{note}");
        }
    }
}

#[test]
fn number_types_are_as_asked() {
    let mut place = Place::new();
    for family in ["llama", "opt", "zamba2"] {
        let folder = families().into_iter().find(|own| name(own) == family).unwrap();
        let slim = Slim::dense(model(&folder));
        let ids = ids(&*slim.model);
        // Steps of 2^-11 and 2^-8 of every weight, through some layers.
        for (asked, bound, bytes) in [("f16", 0.02, 2), ("bf16", 0.2, 2), ("f32", 0.0, 4)] {
            let out = place.next();
            let made = written(&slim, &folder, &Settings::new(&out, form(asked))).unwrap();
            let most = apart(&logits(&*read(&out), &ids), &logits(&*slim.model, &ids));
            assert!(most <= bound, "{family}, {asked}: {most}");
            assert!(asked == "f32" || most > 0.0, "{family}, {asked}");
            let weights = made.files.iter().find(|file| file.name == "model.safetensors").unwrap();
            let numbers = bytes * made.parameters;
            assert!((numbers..numbers + 20_000).contains(&weights.bytes), "{asked}");
            let config = fs::read_to_string(out.join("config.json")).unwrap();
            let named = match asked {
                "f16" => "\"torch_dtype\": \"float16\"",
                "bf16" => "\"torch_dtype\": \"bfloat16\"",
                _ => "\"torch_dtype\": \"float32\"",
            };
            assert!(config.contains(named), "{config}");
        }
    }
}

#[test]
fn shards_are_read_through_their_index() {
    let mut place = Place::new();
    let folder = families().into_iter().find(|own| name(own) == "qwen2").unwrap();
    let slim = Slim::dense(model(&folder));
    let out = place.next();
    let settings = Settings { shard_bytes: 10_000, ..Settings::new(&out, form("f32")) };
    let made = written(&slim, &folder, &settings).unwrap();
    let shards = made.files.iter().filter(|file| file.name.ends_with(".safetensors"));
    assert!(shards.count() > 2, "{:?}", made.files);
    let ids = ids(&*slim.model);
    assert!(logits(&*read(&out), &ids) == logits(&*slim.model, &ids));
}

#[test]
fn a_folder_that_exists_stays_as_it_is() {
    let place = Place::new();
    let folder = families().into_iter().find(|own| name(own) == "llama").unwrap();
    let slim = Slim::dense(model(&folder));
    let out = place.0.path().join("mine");
    fs::create_dir(&out).unwrap();
    let error = written(&slim, &folder, &Settings::new(&out, form("f32"))).unwrap_err();
    assert!(error.to_string().contains("it is there already"), "{error}");
    assert_eq!(names(&out), Vec::<String>::new());
    assert_eq!(names(place.0.path()), ["mine"]);
}

/// Stopped or refused half-way, nothing is left.
#[test]
fn nothing_is_left_of_what_was_stopped() {
    let place = Place::new();
    let folder = families().into_iter().find(|own| name(own) == "llama").unwrap();
    let (slim, whole) = (Slim::dense(model(&folder)), models::inspect(&folder).unwrap());
    let subject = Subject { slim: &slim, source: &folder, whole: &whole };
    let out = place.0.path().join("mine");
    let watch = Watch { progress: &|_, _| {}, stop: &|| true };
    let settings = Settings::new(&out, form("f32"));
    let error = export(&subject, &settings, &Beside::default(), &watch).unwrap_err();
    assert!(matches!(error, ExportError::Stopped), "{error}");
    assert_eq!(names(place.0.path()), Vec::<String>::new());
}

#[test]
fn what_no_format_can_say_is_refused() {
    let mut place = Place::new();
    let folder = |own: &str| families().into_iter().find(|path| name(path) == own).unwrap();
    let mut refused = |slim: &Slim, family: &str, asked: &str| {
        let out = place.next();
        let result = written(slim, &folder(family), &Settings::new(&out, form(asked)));
        assert!(!out.exists());
        result.unwrap_err().to_string()
    };
    let dense = |family: &str| Slim::dense(model(&folder(family)));
    let error = refused(&linearised(&dense("llama")), "llama", "f32");
    assert!(error.contains("layer 0 is a linear map"), "{error}");
    let error = refused(&dense("llama"), "llama", "packed-f16");
    assert!(error.contains("cut=bits"), "{error}");
    let odd = Rounding { bits: 4, group: 7 };
    let error = refused(&rounded(&dense("llama"), "rtn", odd), "llama", "packed-f16");
    assert!(error.contains("groups of 7 do not fill"), "{error}");
    let gpt2 = dense("gpt2");
    let error = refused(&rounded(&gpt2, "rtn", rounding(&gpt2, 4)), "gpt2", "packed-f16");
    assert!(error.contains("input first"), "{error}");
    let llama = dense("llama");
    let late = half_of_neurons(&rounded(&llama, "rtn", Rounding { bits: 4, group: 4 })).unwrap();
    let error = refused(&late, "llama", "packed-f16");
    assert!(error.contains("lies on no grid") && error.contains("last step"), "{error}");
    for (family, word) in [("opt", "OPTForCausalLM"), ("mamba2", "Mamba2"), ("llama-relu", "ReLU")]
    {
        let error = refused(&dense(family), family, "gguf-f16");
        assert!(error.contains(word), "{error}");
    }
    let narrow = half_of_neurons(&dense("qwen2")).unwrap();
    let error = refused(&narrow, "qwen2", "gguf-q8_0");
    assert!(error.contains("blocks of 32 do not fill"), "{error}");
}

/// The card says what was done and what not; no word of it is empty.
#[test]
fn the_card_tells_recipe_command_and_hashes() {
    let mut place = Place::new();
    let folder = families().into_iter().find(|own| name(own) == "llama").unwrap();
    let slim = half_of_neurons(&Slim::dense(model(&folder))).unwrap();
    let out = place.next();
    let card = Card {
        source: "llama".to_owned(),
        license: Some("mit".to_owned()),
        command: "cargo xtask slim llama --out here".to_owned(),
        code: ["abc".to_owned(), "def".to_owned()],
        steps: vec![StepWords {
            text: "cut=ffn,sparsity=0.5".to_owned(),
            phrase: "half".to_owned(),
        }],
        recipe: serde_json::json!({"steps": []}),
        seed: 3,
        calibration: None,
        hashes: vec![("weights".to_owned(), "0123".to_owned())],
        stored: [slim.storage.parameters(), slim.storage.bytes()],
        measured: None,
    };
    let settings = Settings { card: Some(&card), ..Settings::new(&out, form("f16")) };
    let made = written(&slim, &folder, &settings).unwrap();
    let text = fs::read_to_string(out.join("README.md")).unwrap();
    for part in [
        "license: mit",
        "cargo xtask slim llama --out here",
        "1. `cut=ffn,sparsity=0.5`: half",
        "Seed 3",
        "Nothing was measured",
        "| weights | `0123` |",
        &made.files[0].sha256,
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let about: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(out.join("slim.json")).unwrap()).unwrap();
    assert_eq!(about["format"], "f16");
    assert_eq!(about["files"].as_array().unwrap().len(), made.files.len());
}

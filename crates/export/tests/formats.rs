//! GGUF files and packed matrices: what is in them, read by other code than wrote them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod cases;

use std::path::Path;

use cases::{
    apart, cuts_of, families, gguf_files, half_of_neurons, ids, logits, model, name, rounded,
    rounding, sparse, without_layers,
};
use cuts::{Matrix, Pattern, Slim, cut};
use export::{Beside, Form, Settings, Subject, Watch, Written, export};
use models::{Device, load};
use safetensors::SafeTensors;

fn written(slim: &Slim, source: &Path, out: &Path, form: &str) -> Written {
    let whole = models::inspect(source).unwrap();
    let subject = Subject { slim, source, whole: &whole };
    let settings = Settings::new(out, Form::named(form).unwrap());
    export(&subject, &settings, &Beside::default(), &Watch::default())
        .unwrap_or_else(|e| panic!("{}: {e}", source.display()))
}

fn refused_by_llama_cpp(slim: &Slim, source: &Path, out: &Path) {
    let whole = models::inspect(source).unwrap();
    let subject = Subject { slim, source, whole: &whole };
    let settings = Settings::new(out, Form::named("gguf-f32").unwrap());
    let refused = export(&subject, &settings, &Beside::default(), &Watch::default()).unwrap_err();
    assert!(refused.to_string().contains("queries as wide as the model"), "{refused}");
    assert!(!out.exists(), "a refused model leaves nothing behind");
}

/// The families that llama.cpp has, read again by our own reader of GGUF.
#[test]
fn gguf_files_are_read_again() {
    let place = tempfile::tempdir().unwrap();
    let mut n = 0;
    let is_written = |of: &str| ["llama", "qwen", "mistral"].iter().any(|own| of.starts_with(own));
    let folders = families().into_iter().filter(|folder| {
        // One has another activation than llama.cpp has, and one stretches its frequencies by other numbers
        // than Llama 3, which llama.cpp reads and we do not.
        is_written(&name(folder)) && !["llama-relu", "llama-rope"].contains(&&*name(folder))
    });
    for source in folders.chain(gguf_files()) {
        let of = name(&source);
        let dense = Slim::dense(model(&source));
        for (cut, slim) in cuts_of(&dense) {
            // Which layers see a window then comes at no period.
            if of.starts_with("gemma3") && ["layers", "layers-2", "all-at-once"].contains(&cut) {
                continue;
            }
            // Queries then are not as wide as the model.
            if of.starts_with("qwen2") && cut == "heads" {
                refused_by_llama_cpp(&slim, &source, &place.path().join("refused"));
                continue;
            }
            // A Mistral's file says a context as short as its window.
            let ids: Vec<u32> = ids(&*slim.model).into_iter().take(4).collect();
            for (form, bound) in [("gguf-f32", 2e-6), ("gguf-f16", 0.02)] {
                let out = place.path().join(n.to_string());
                n += 1;
                let made = written(&slim, &source, &out, form);
                let file = made.files.iter().find(|file| file.name.ends_with(".gguf")).unwrap();
                let again = load(&out.join(&file.name), &Device::flex())
                    .unwrap_or_else(|e| panic!("{of}, {cut}: {e}"));
                let most = apart(&logits(&*again.model, &ids), &logits(&*slim.model, &ids));
                assert!(most <= bound, "{of}, {cut}, {form}: {most}");
            }
        }
    }
    assert!(n > 100, "{n} files");
}

/// Blocks of few bits: what is read is near what was written, and smaller.
#[test]
fn gguf_blocks_are_near() {
    let place = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/qwen2-silu");
    let dense = Slim::dense(model(&source));
    // So many that whole blocks fill the rows.
    let sets = vec![(0..320).collect(); dense.model.ffns().len()];
    let smaller = cut(&*dense.model, &sets);
    let smaller = Slim { storage: dense.storage.after_surgery(&*smaller), model: smaller };
    let slim = sparse(&smaller, Pattern::Share(0.3));
    let ids: Vec<u32> = ids(&*slim.model);
    let dense = logits(&*slim.model, &ids);
    let spread = dense.iter().fold(0.0_f32, |most, own| most.max(own.abs()));
    let mut last = u64::MAX;
    for (form, share) in [("gguf-f16", 0.001), ("gguf-q8_0", 0.02), ("gguf-q4_0", 0.3)] {
        let out = place.path().join(form);
        let made = written(&slim, &source, &out, form);
        let file = made.files.iter().find(|file| file.name.ends_with(".gguf")).unwrap();
        assert!(file.bytes < last, "{form}");
        last = file.bytes;
        let again = load(&out.join(&file.name), &Device::flex()).unwrap().model;
        let most = apart(&logits(&*again, &ids), &dense);
        assert!(most <= share * spread, "{form}: {most} of {spread}");
    }
}

/// Bits of a row of words, from the low end of the first.
fn unpacked(words: &[u32], bits: u32, n: usize) -> Vec<u32> {
    let bit = |at: usize| words[at / 32] >> (at % 32) & 1;
    let number = |i: usize| (0..bits as usize).map(|b| bit(i * bits as usize + b) << b).sum();
    (0..n).map(number).collect()
}

/// Bit by bit as the layout has it, `ŵ = s·(q − z)` is the rounded matrix again.
#[test]
fn packed_matrices_are_the_rounded_ones() {
    let place = tempfile::tempdir().unwrap();
    for family in ["llama", "opt", "mamba2", "zamba2", "qwen3"] {
        let folder = families().into_iter().find(|own| name(own) == family).unwrap();
        let dense = Slim::dense(model(&folder));
        for (bits, method) in [(4, "rtn"), (8, "rtn"), (3, "gptq"), (4, "gptq")] {
            let rounding = rounding(&dense, bits);
            let slim = rounded(&dense, method, rounding);
            let out = place.path().join(format!("{family}-{bits}-{method}"));
            written(&slim, &folder, &out, "packed-f32");
            // Our own reader takes the words for the numbers that they stand for.
            let ids = ids(&*slim.model);
            let again = load(&out, &Device::flex()).unwrap_or_else(|e| panic!("{family}: {e}"));
            let most = apart(&logits(&*again.model, &ids), &logits(&*slim.model, &ids));
            assert!(most <= 1e-5, "{family}, {bits} bits, {method}: {most}");
            let bytes = std::fs::read(out.join("model.safetensors")).unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let words = |name: &str| -> (Vec<u32>, Vec<usize>) {
                let view = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
                let words = view.data().chunks_exact(4);
                let words = words.map(|own| u32::from_le_bytes(own.try_into().unwrap()));
                (words.collect(), view.shape().to_vec())
            };
            for of in (0..slim.model.facts().layers).flat_map(|layer| slim.model.linears(layer)) {
                let matrix = Matrix::of(&of);
                let module = matrix.name.strip_suffix(".weight").unwrap();
                let groups = matrix.columns / rounding.group;
                let (levels, shape) = words(&format!("{module}.weight_packed"));
                let (scales, _) = words(&format!("{module}.weight_scale"));
                let (zeros, zeros_shape) = words(&format!("{module}.weight_zero_point"));
                assert_eq!(shape[0], matrix.rows);
                assert_eq!(zeros_shape[1], groups);
                let mut most = 0.0_f32;
                for (row, level) in levels.chunks_exact(shape[1]).enumerate() {
                    for (column, q) in unpacked(level, bits, matrix.columns).into_iter().enumerate()
                    {
                        let group = column / rounding.group;
                        let column_of = |word: usize| zeros[word * groups + group];
                        let down: Vec<u32> = (0..zeros_shape[0]).map(column_of).collect();
                        let z = unpacked(&down, bits, matrix.rows)[row];
                        let s = f32::from_bits(scales[row * groups + group]);
                        let w = s * (q as f32 - z as f32);
                        most = most.max((w - matrix.row(row)[column]).abs());
                    }
                }
                assert!(most <= 1e-6, "{family}, {bits} bits, {method}, {module}: {most}");
            }
        }
    }
}

/// Layers that went leave the names of the others behind, and bits are still found.
#[test]
fn packed_matrices_follow_their_layers() {
    let place = tempfile::tempdir().unwrap();
    let folder = families().into_iter().find(|own| name(own) == "qwen2").unwrap();
    let dense = Slim::dense(model(&folder));
    let less = without_layers(&dense, &[0]);
    let slim = rounded(&less, "rtn", rounding(&less, 4));
    let made = written(&slim, &folder, &place.path().join("less"), "packed-f16");
    assert!(made.notes.is_empty(), "{:?}", made.notes);
    let half = half_of_neurons(&dense).unwrap();
    let group = rounding(&half, 4);
    written(&rounded(&half, "rtn", group), &folder, &place.path().join("half"), "packed-f16");
}

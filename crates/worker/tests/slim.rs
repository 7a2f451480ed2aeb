//! `worker slim`: a written model gives the numbers of a cell of its recipe; what cannot be said is refused
//! before anything is cut; what is stopped leaves nothing.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use common::repository;
use plan::{
    CalibrationText, CellRequest, ModelInput, OrderProvenance, Protocol, Recipe, SlimAnswer,
    SlimEvent, SlimFormat, SlimRequest, SlimText, TextInput, TimeSteps,
};
use serde_json::Value;

fn model(name: &str) -> PathBuf {
    repository().join("data/models").join(name)
}

fn recipe(steps: &[&str]) -> Recipe {
    Recipe::new(steps.iter().map(|step| step.parse().unwrap()).collect(), 1).unwrap()
}

fn calibration() -> PathBuf {
    repository().join("data/stories/narrative.calibration.jsonl")
}

fn request(name: &str, steps: &[&str], format: SlimFormat, out: &Path) -> SlimRequest {
    let recipe = recipe(steps);
    let text = TextInput {
        name: "stories".to_owned(),
        path: calibration(),
        sha256: "0".to_owned(),
        reading: Default::default(),
    };
    SlimRequest {
        model: ModelInput {
            name: name.to_owned(),
            path: model(name),
            sha256: "1".to_owned(),
            tokenizer_sha256: "2".to_owned(),
            planned: false,
            tokenizer: None,
            time_steps: TimeSteps::default(),
        },
        calibration: recipe.needs_calibration().then_some(SlimText {
            text,
            limit: Some(4),
            window_tokens: Some(256),
        }),
        recipe,
        out: out.to_owned(),
        format,
        uniform: false,
        shard_bytes: None,
        device: Default::default(),
        provenance: OrderProvenance {
            revision: "revision".to_owned(),
            code_version: "code".to_owned(),
            command: "cargo xtask slim".to_owned(),
        },
        measured: None,
        dry_run: false,
    }
}

fn worker(command: &str, request: &impl serde::Serialize) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request.json");
    fs::write(&path, serde_json::to_string(request).unwrap()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args([command, "--request"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its standard input stays open until it is through.
    let lifeline = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(lifeline);
    output
}

fn slim(request: &SlimRequest) -> Result<SlimAnswer, String> {
    let output = worker("slim", request);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let events = String::from_utf8(output.stdout).unwrap();
    match serde_json::from_str(events.lines().last().unwrap()).unwrap() {
        SlimEvent::Written(answer) => Ok(answer),
        other => panic!("{other:?} comes last"),
    }
}

fn loss(model: &Path, recipe: Recipe) -> f64 {
    let calibration = recipe.needs_calibration().then(|| CalibrationText {
        path: calibration(),
        reading: Default::default(),
        limit: Some(4),
        window_tokens: Some(256),
    });
    let request = CellRequest {
        model: model.to_owned(),
        dataset: repository().join("data/stories/narrative.test.jsonl"),
        reading: Default::default(),
        protocol: Protocol::Perplexity { window_tokens: 128 },
        task: None,
        recipe,
        offset: None,
        compare: None,
        limit: Some(4),
        calibration,
        device: Default::default(),
        time_steps: TimeSteps::default(),
        decode: false,
        json: true,
    };
    let output = worker("cell", &request);
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    answer["nll_nats"].as_f64().unwrap()
}

/// The same number to the last bit in F32: the weights are the same, and so is the order of sums.
#[test]
fn a_written_model_gives_the_numbers_of_its_cell() {
    let place = tempfile::tempdir().unwrap();
    let neurons = "cut=ffn,score=magnitude,sparsity=0.5";
    for (at, (name, steps, format)) in [
        ("qwen2-silu", vec![neurons, "cut=layers,method=drop,score=last,n=1"], SlimFormat::F32),
        ("opt-relu", vec!["cut=rotate", "cut=bits,method=gptq,bits=4,group=32"], SlimFormat::F32),
        ("mamba2", vec!["cut=state,score=ghost,sparsity=0.5"], SlimFormat::F32),
        ("zamba2", vec![neurons, "cut=weights,method=sparsegpt,sparsity=0.5"], SlimFormat::F32),
        ("qwen2-silu", vec![neurons], SlimFormat::GgufF32),
        ("qwen2-silu", vec!["cut=heads,score=impact,sparsity=0.5"], SlimFormat::F32),
        ("opt-relu", vec!["cut=heads,score=magnitude,sparsity=0.5"], SlimFormat::F32),
    ]
    .into_iter()
    .enumerate()
    {
        let out = place.path().join(at.to_string());
        let request = request(name, &steps, format, &out);
        let answer = slim(&request).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.folder, out);
        assert!(answer.parameters <= answer.parameters_before || name == "opt-relu", "{name}");
        let file = answer.files.iter().find(|file| file.ends_with(".gguf"));
        let readable = file.map_or(out.clone(), |file| out.join(file));
        let (before, after) =
            (loss(&model(name), request.recipe.clone()), loss(&readable, recipe(&[])));
        assert!((after / before - 1.0).abs() < 1e-7, "{name}: {before} and {after}");
        let card = fs::read_to_string(out.join("README.md")).unwrap();
        for step in request.recipe.cuts() {
            assert!(card.contains(&step.to_string()), "{card}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_the_cuts() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    // A dry run says the same, and neither comes to a cut.
    let refused_at = |name: &str, steps: &[&str], format: SlimFormat, out: &Path| {
        let [error, dry] = [false, true].map(|dry_run| {
            let output =
                worker("slim", &SlimRequest { dry_run, ..request(name, steps, format, out) });
            let events = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(!output.status.success() && !events.contains("cutting"), "{events}");
            String::from_utf8_lossy(&output.stderr).into_owned()
        });
        assert_eq!(error, dry);
        assert!(!out.exists(), "{error}");
        error
    };
    let refused = |name: &str, steps: &[&str], format| refused_at(name, steps, format, &out);
    let cut = "cut=weights,method=sparsegpt,sparsity=0.5";
    let error = refused("opt-relu", &[cut], SlimFormat::GgufF16);
    assert!(error.contains("OPTForCausalLM is none of the families"), "{error}");
    let error = refused("qwen2-relu-l1", &[cut], SlimFormat::GgufF16);
    assert!(error.contains("SiLU") && error.contains("ReLU"), "{error}");
    let error = refused("qwen2-silu", &[], SlimFormat::PackedF16);
    assert!(error.contains("cut=bits"), "{error}");
    let linear = "cut=layers,method=linearise,layer=1";
    let error = refused("qwen2-silu", &[linear], SlimFormat::F32);
    assert!(error.contains("a linear map in the place of a layer"), "{error}");
    let (half, rounded) = ("cut=ffn,score=weight,sparsity=0.5", "cut=bits,method=rtn,bits=4");
    let error = refused("qwen2-silu", &[rounded], SlimFormat::PackedF16);
    assert!(error.contains("344 inputs, which groups of 64 do not fill"), "{error}");
    let of_eight = format!("{rounded},group=8");
    let error = refused("qwen2-silu", &[half, &of_eight], SlimFormat::PackedF16);
    assert!(error.contains("172 inputs, which groups of 8 do not fill"), "{error}");
    let error = refused("qwen2-silu", &[half], SlimFormat::GgufQ8);
    assert!(error.contains("rows of 172 numbers, which blocks of 32 do not fill"), "{error}");
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused_at("qwen2-silu", &[half], SlimFormat::F32, &file.join("out"));
    assert!(error.contains("cannot create"), "{error}");
    let skip = "skip=ffn,score=magnitude,sparsity=0.5";
    let error = refused("qwen2-silu", &[skip], SlimFormat::F32);
    assert!(error.contains("no checkpoint"), "{error}");
    // What fits is not refused.
    let of_four = format!("{rounded},group=4");
    let fits = place.path().join("fits");
    slim(&request("qwen2-silu", &[half, &of_four], SlimFormat::PackedF16, &fits)).unwrap();
    fs::create_dir(&out).unwrap();
    let error = slim(&request("qwen2-silu", &[], SlimFormat::F32, &out)).unwrap_err();
    assert!(error.contains("it is there already"), "{error}");
}

/// Its standard input is the line that it hangs on: where that ends it stops, and no folder is there.
#[test]
fn a_worker_that_is_left_alone_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let request =
        request("zamba2", &["cut=weights,method=sparsegpt,sparsity=0.5"], SlimFormat::F32, &out);
    let path = place.path().join("request.json");
    fs::write(&path, serde_json::to_string(&request).unwrap()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(["slim", "--request"])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(plan::exit::STOPPED));
    let names: Vec<_> =
        fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["request.json"]);
}

/// A GGUF file becomes a folder with a tokenizer.json that gives the same ids.
#[test]
fn a_gguf_file_becomes_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let (gguf, folder) = (place.path().join("gguf"), place.path().join("folder"));
    let first = slim(&request("qwen2-silu", &[], SlimFormat::GgufF32, &gguf)).unwrap();
    let file = first.files.iter().find(|file| file.ends_with(".gguf")).unwrap();
    let mut back = request("qwen2-silu", &[], SlimFormat::F32, &folder);
    back.model.path = gguf.join(file);
    let answer = slim(&back).unwrap();
    assert!(answer.files.iter().any(|file| file == "tokenizer.json"), "{answer:?}");
    assert!(answer.notes.is_empty(), "{answer:?}");
    let numbers =
        [model("qwen2-silu"), gguf.join(file), folder].map(|path| loss(&path, recipe(&[])));
    assert!(numbers.iter().all(|own| *own == numbers[0]), "{numbers:?}");
}

//! `check slim`: models that `slim` writes, opened by transformers and by llama.cpp with no code of ours, and
//! read again here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use plan::exit::DONE;
use serde_json::{Value, json};

use crate::build::cargo;
use crate::exit::OTHER;
use crate::python;
use crate::report::status;
use crate::workspace::Workspace;

/// Arguments of `check slim`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A Python with the packages of bench/peer/requirements-slim.txt and -llama.txt [default: one that is
    /// made, target/slim-venv]
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// Fail where Python or its packages are missing, or llama.cpp does not compile, instead of skipping;
    /// without a C++ compiler llama.cpp is skipped all the same
    #[arg(long)]
    require: bool,
}

/// A model that the command writes.
struct Asked {
    name: &'static str,
    model: &'static str,
    steps: &'static [&'static str],
    calibrate: &'static [&'static str],
    format: &'static str,
    /// What the command is asked besides.
    more: &'static [&'static str],
    /// The text on which it is measured in memory and as written.
    measured: Option<&'static str>,
}

const STORIES: &[&str] = &[
    "--calibrate",
    "data/stories/narrative.calibration.jsonl",
    "--calibrate-window",
    "256",
    "--calibrate-limit",
    "16",
];
const TEST: &str = "data/stories/narrative.test.jsonl";

/// Every format and part, on the small models that lie in the repository.
const ASKED: &[Asked] = &[
    Asked {
        name: "qwen2-half",
        model: "data/models/qwen2-silu",
        steps: &["cut=ffn,score=magnitude,sparsity=0.5"],
        calibrate: STORIES,
        format: "f32",
        more: &["--shard-size", "1MB"],
        measured: Some(TEST),
    },
    Asked {
        name: "opt-pairs",
        model: "data/models/opt-relu",
        steps: &["cut=weights,method=wanda,pattern=2:4", "cut=layers,method=drop,score=last,n=1"],
        calibrate: STORIES,
        format: "f16",
        more: &[],
        measured: None,
    },
    Asked {
        name: "mamba2-state",
        model: "data/models/mamba2",
        steps: &["cut=state,score=ghost,sparsity=0.5", "cut=rotate"],
        calibrate: STORIES,
        format: "f32",
        more: &[],
        measured: Some(TEST),
    },
    Asked {
        name: "zamba2-both",
        model: "data/models/zamba2",
        steps: &["cut=ffn,score=impact,sparsity=0.5", "cut=low-rank,method=svd,rank=64"],
        calibrate: STORIES,
        format: "bf16",
        more: &["--uniform"],
        measured: None,
    },
    Asked {
        name: "qwen2-int4",
        model: "data/models/qwen2-silu",
        steps: &["cut=bits,method=gptq,bits=4,group=8"],
        calibrate: STORIES,
        format: "packed-f16",
        more: &[],
        measured: Some(TEST),
    },
    Asked {
        name: "qwen2-int4-f32",
        model: "data/models/qwen2-silu",
        steps: &["cut=bits,method=gptq,bits=4,group=8"],
        calibrate: STORIES,
        format: "f32",
        more: &[],
        measured: Some(TEST),
    },
    Asked {
        name: "qwen2-gguf",
        model: "data/models/qwen2-silu",
        steps: &["cut=ffn,score=magnitude,sparsity=0.3", "cut=layers,method=drop,score=last,n=1"],
        calibrate: STORIES,
        format: "gguf-f32",
        more: &[],
        measured: Some(TEST),
    },
];

/// The model of real weights, where they are here.
const SMOLLM2: &[Asked] = &[
    Asked {
        name: "smollm2-sparse",
        model: "smollm2",
        steps: &["cut=weights,method=magnitude,sparsity=0.3"],
        calibrate: &[],
        format: "f16",
        more: &[],
        measured: None,
    },
    Asked {
        name: "smollm2-gguf",
        model: "smollm2",
        steps: &[],
        calibrate: &[],
        format: "gguf-f32",
        more: &[],
        measured: None,
    },
    Asked {
        name: "smollm2-gguf-q8",
        model: "smollm2",
        steps: &["cut=weights,method=magnitude,sparsity=0.3"],
        calibrate: &[],
        format: "gguf-q8_0",
        more: &[],
        measured: None,
    },
    Asked {
        name: "smollm2-gguf-q4",
        model: "smollm2",
        steps: &[],
        calibrate: &[],
        format: "gguf-q4_0",
        more: &[],
        measured: None,
    },
];

/// Runs the check; the value is its exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let python = match &args.python {
        Some(python) => python.clone(),
        None => {
            let requirements = workspace.root().join("bench/peer/requirements-slim.txt");
            match python::environment(workspace, "slim-venv", &requirements) {
                Ok(python) => python,
                Err(error) if args.require => return Err(error),
                Err(error) => {
                    eprintln!("skipped: slim: no Python with its packages: {error:#}");
                    return Ok(DONE);
                }
            }
        }
    };
    let has_llama = has_llama_cpp(workspace, args, &python)?;
    let work = workspace.root().join("target/slim");
    if work.exists() {
        fs::remove_dir_all(&work).context("cannot clear what an earlier check left")?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let families = work.join("families");
    let mut example = cargo();
    example.args(["run", "--release", "--locked", "-p", "export", "--example", "families", "--"]);
    example.arg(&families).current_dir(workspace.root());
    ensure!(status(&mut example)? == DONE, "the small random models were not written");
    let sides = Sides { workspace, work: &work };
    let mut all = ASKED.iter().collect::<Vec<_>>();
    let lock = workspace.models_lock()?;
    let smollm2 = lock.find("smollm2").map(|entry| workspace.cache().join(&entry.file));
    match smollm2.filter(|path| path.exists()) {
        Some(_) => all.extend(SMOLLM2),
        None => eprintln!("skipped: SmolLM2 is not there: run `cargo xtask fetch smollm2`"),
    }
    let manifest = work.join("manifest.json");
    let written = sides.write(&all)?;
    fs::write(&manifest, format!("{written:#}")).context("cannot write the manifest")?;
    let mut check = Command::new(&python);
    check.arg(workspace.root().join("bench/peer/check_slim.py"));
    check.arg(families.join("manifest.json")).arg(&manifest);
    if !has_llama {
        check.arg("--without-llama-cpp");
    }
    // Python would leave its compiled scripts beside them.
    let code = status(check.env("PYTHONDONTWRITEBYTECODE", "1"))?;
    Ok(if code == DONE { DONE } else { OTHER })
}

/// Whether llama.cpp is there; it comes as source that is compiled once.
fn has_llama_cpp(workspace: &Workspace, args: &Args, python: &Path) -> Result<bool> {
    let has = |python: &Path| {
        let output = Command::new(python).args(["-c", "import llama_cpp"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if has(python) {
        return Ok(true);
    }
    let requirements = workspace.root().join("bench/peer/requirements-llama.txt");
    let compiles = Command::new("c++").arg("--version").output().is_ok();
    if args.python.is_none() && compiles {
        eprintln!("compiling llama.cpp for {}, once: some minutes", python.display());
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "-q", "-r"]).arg(&requirements);
        // What reads pictures is no part of this.
        pip.env("CMAKE_ARGS", "-DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF");
        if python::succeed(&mut pip).is_ok() && has(python) {
            return Ok(true);
        }
        ensure!(!args.require, "llama.cpp cannot be had: see {}", requirements.display());
    }
    eprintln!("skipped: llama.cpp is not there: see {}", requirements.display());
    Ok(false)
}

struct Sides<'a> {
    workspace: &'a Workspace,
    work: &'a Path,
}

impl Sides<'_> {
    fn ours(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(words).current_dir(self.workspace.root());
        Ok(command)
    }

    /// Writes all models, and what to compare each with.
    fn write(&self, all: &[&Asked]) -> Result<Value> {
        let (mut entries, mut perplexities) = (Vec::new(), Vec::new());
        for asked in all {
            let out = self.work.join("models").join(asked.name);
            let mut slim = self.ours(&["slim", asked.model])?;
            for step in asked.steps {
                slim.args(["--step", step]);
            }
            slim.args(asked.calibrate).args(asked.more);
            slim.args(["--format", asked.format]).arg("--out").arg(&out);
            ensure!(status(&mut slim)? == DONE, "{} was not written", asked.name);
            let readable = match asked.format.starts_with("gguf") {
                true => gguf_in(&out)?,
                false => out.clone(),
            };
            if asked.format.starts_with("gguf") {
                perplexities.push(self.perplexity(asked, &out, &readable)?);
            } else {
                entries.push(self.logits(asked, &out)?);
            }
            if let Some(text) = asked.measured {
                self.same_cell(asked, &readable, text)?;
            }
        }
        Ok(json!({ "entries": entries, "perplexities": perplexities }))
    }

    /// Logits that we read off the written folder; of packed matrices those of their twin.
    fn logits(&self, asked: &Asked, out: &Path) -> Result<Value> {
        let twin = self.work.join("models").join(format!("{}-f32", asked.name));
        let is_packed = asked.format.starts_with("packed");
        let entry = json!({
            "family": asked.name, "cut": asked.format, "form": asked.format, "folder": out,
        });
        let mut entry = entry.as_object().cloned().unwrap_or_default();
        if is_packed {
            entry.insert("twin".to_owned(), json!(twin));
            return Ok(Value::Object(entry));
        }
        let expected = out.with_extension("safetensors");
        let ids: Vec<String> = (0..40).map(|i| (i * i % 97 + i).to_string()).collect();
        let mut logits = self.ours(&["logits", "--tokens", &ids.join(" ")])?;
        logits.arg("--model").arg(out).arg("--out").arg(&expected);
        ensure!(status(&mut logits)? == DONE, "{} gives no logits", asked.name);
        entry.insert("expected".to_owned(), json!(expected));
        entry.insert("ids".to_owned(), json!((0..40).map(|i| i * i % 97 + i).collect::<Vec<_>>()));
        Ok(Value::Object(entry))
    }

    /// The number of a cell on the model in memory and on the one that was written.
    fn same_cell(&self, asked: &Asked, readable: &Path, text: &str) -> Result<()> {
        let mut numbers = Vec::new();
        for is_written in [false, true] {
            let mut cell = self.ours(&["cell", "--dataset", text, "--protocol", "ppl-128"])?;
            cell.args(["--limit", "8", "--json"]);
            match is_written {
                true => {
                    cell.arg("--model").arg(readable);
                }
                false => {
                    cell.arg("--model").arg(asked.model);
                    for step in asked.steps {
                        cell.args(["--step", step]);
                    }
                    cell.args(asked.calibrate);
                }
            }
            let answer = python::object(&mut cell)?;
            numbers.push(answer["nll_nats"].as_f64().context("a cell without a loss")?);
        }
        let ratio = (numbers[1] / numbers[0] - 1.0).abs();
        println!("{}: loss in memory {}, as written {}", asked.name, numbers[0], numbers[1]);
        // Half floats round scales and all that is not packed.
        let bound = if asked.format.ends_with("16") { 1e-3 } else { 1e-5 };
        ensure!(ratio <= bound, "{}: a cell gives another number as written", asked.name);
        Ok(())
    }

    /// A plain text, and our perplexity of its first two windows on the GGUF file.
    fn perplexity(&self, asked: &Asked, out: &Path, file: &Path) -> Result<Value> {
        const WINDOW: usize = 256;
        let is_small = asked.model.starts_with("data/");
        let text = match is_small {
            true => stories(&self.workspace.root().join(TEST))?,
            false => fs::read_to_string(self.workspace.root().join("LICENSE-APACHE"))
                .context("cannot read the licence")?,
        };
        let plain = out.with_extension("txt");
        fs::write(&plain, &text).context("cannot write a text")?;
        let document = out.with_extension("jsonl");
        fs::write(&document, format!("{}\n", json!({ "text": text })))
            .context("cannot write a text")?;
        let protocol = format!("ppl-{WINDOW}");
        let mut cell = self.ours(&["cell", "--protocol", &protocol, "--limit", "2", "--json"])?;
        cell.arg("--model").arg(file).arg("--dataset").arg(&document);
        let answer = python::object(&mut cell)?;
        // Whose tokenizer.json says which ids the text has.
        let tokenizer = match is_small {
            true => self.workspace.root().join(asked.model),
            false => self.work.join("models/smollm2-sparse"),
        };
        Ok(json!({
            "name": asked.name, "form": asked.format, "file": file, "text": plain, "window": WINDOW,
            "tokenizer": tokenizer.join("tokenizer.json"),
            "ours": answer["perplexity"].as_f64().context("a cell without a perplexity")?,
        }))
    }
}

/// The documents of a file in one.
fn stories(path: &Path) -> Result<String> {
    let all =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let texts = all.lines().take(20).map(|line| {
        let document: Value = serde_json::from_str(line).context("a line is no JSON")?;
        Ok(document["text"].as_str().context("a document has no text")?.to_owned())
    });
    Ok(texts.collect::<Result<Vec<_>>>()?.join("\n\n"))
}

/// The GGUF file of a folder.
fn gguf_in(folder: &Path) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = paths.find(|path| path.extension().is_some_and(|ending| ending == "gguf"));
    found.with_context(|| format!("{} holds no GGUF file", folder.display()))
}

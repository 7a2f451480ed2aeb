//! The model card: what was done to which model, how to do it again, what was measured and what was not.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

use crate::{ExportError, Form, Written, entries::write_json};

/// A step of a recipe in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepWords {
    /// As `--step` takes it.
    pub text: String,
    /// What it does, as the rest of a sentence.
    pub phrase: String,
}

/// What a card tells besides what was written.
#[derive(Clone, Debug)]
pub struct Card {
    /// The model that was cut, as it was named.
    pub source: String,
    /// The licence that its card names.
    pub license: Option<String>,
    /// The command that made the folder.
    pub command: String,
    /// The revision and the digest of the code that did.
    pub code: [String; 2],
    /// The cuts, in their order.
    pub steps: Vec<StepWords>,
    /// The recipe as results have it.
    pub recipe: Value,
    /// Seed of everything random.
    pub seed: u64,
    /// The text that was looked at, and how much of it.
    pub calibration: Option<String>,
    /// What went in, with SHA-256.
    pub hashes: Vec<(String, String)>,
    /// Numbers that storing the model takes, and bytes, by the formula of docs/SPEC.md section 11.
    pub stored: [u64; 2],
    /// Tables of measured cells, Markdown; none where nothing was measured.
    pub measured: Option<String>,
}

impl Card {
    /// Writes `README.md` and `slim.json`.
    pub(crate) fn write(
        &self,
        folder: &Path,
        written: &Written,
        form: Form,
    ) -> Result<(), ExportError> {
        let files: Vec<Value> = written
            .files
            .iter()
            .map(|own| json!({ "name": own.name, "bytes": own.bytes, "sha256": own.sha256 }))
            .collect();
        let about = json!({
            "source": self.source,
            "recipe": self.recipe,
            "seed": self.seed,
            "calibration": self.calibration,
            "format": form.to_string(),
            "command": self.command,
            "revision": self.code[0],
            "code_version": self.code[1],
            "inputs": self.hashes.iter().map(|(what, sha256)| json!({ "what": what, "sha256": sha256 }))
                .collect::<Vec<_>>(),
            "files": files,
            "parameters": written.parameters,
            "stored": { "parameters": self.stored[0], "bytes": self.stored[1] },
            "notes": written.notes,
        });
        write_json(&folder.join("slim.json"), &about)?;
        Ok(files::write(&folder.join("README.md"), self.text(written, form).as_bytes())?)
    }

    /// The card in Markdown, with the header that the Hub reads.
    pub fn text(&self, written: &Written, form: Form) -> String {
        let parts = [
            self.head(written, form),
            self.recipe_part(),
            self.use_part(written, form),
            stored(self, written, form),
            self.measured_part(),
            self.hashes_part(written),
        ];
        parts.join("\n")
    }

    fn head(&self, written: &Written, form: Form) -> String {
        let name = written.folder.file_name().unwrap_or_default().to_string_lossy();
        let license = self.license.as_ref().map(|own| format!("license: {own}\n"));
        let bytes: u64 = written.files.iter().map(|own| own.bytes).sum();
        format!(
            "---\n{}pipeline_tag: text-generation\ntags:\n- pruned\n---\n\n# {name}\n\n`{}` after {} of \
             [Slim](#how-it-was-made): {:.2} M parameters, {:.2} MB as {form}.\n",
            license.unwrap_or_default(),
            self.source,
            match self.steps.len() {
                1 => "one cut".to_owned(),
                n => format!("{n} cuts"),
            },
            written.parameters as f64 / 1e6,
            bytes as f64 / 1e6,
        )
    }

    fn recipe_part(&self) -> String {
        let mut text = "## How it was made\n\n".to_owned();
        for (index, step) in self.steps.iter().enumerate() {
            let _ = writeln!(text, "{}. `{}`: {}", index + 1, step.text, step.phrase);
        }
        let _ = writeln!(text, "\nSeed {}.", self.seed);
        if let Some(calibration) = &self.calibration {
            let _ = writeln!(text, "Chosen and fitted on {calibration}.");
        }
        let [revision, version] = &self.code;
        let _ = writeln!(
            text,
            "\n```\n{}\n```\n\nRevision {revision}, code {version}. `slim.json` has the same for programs.",
            self.command
        );
        text
    }

    fn use_part(&self, written: &Written, form: Form) -> String {
        let name = written.folder.file_name().unwrap_or_default().to_string_lossy();
        let code = match form {
            Form::Gguf(dtype) => {
                format!("llama-cli -m {name}/model-{}.gguf", dtype.name().to_lowercase())
            }
            Form::Folder(_) | Form::Packed(_) => format!(
                "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
                 model = AutoModelForCausalLM.from_pretrained(\"{name}\")\n\
                 tokenizer = AutoTokenizer.from_pretrained(\"{name}\")"
            ),
        };
        let needs = match form {
            Form::Packed(_) => "\nNeeds the package `compressed-tensors`.\n",
            _ => "",
        };
        format!("## How to run it\n\n```\n{code}\n```\n{needs}")
    }

    fn measured_part(&self) -> String {
        let measured = self.measured.as_ref().map_or_else(
            || {
                "Nothing was measured of this model: neither perplexity nor any task. \
                 `cargo xtask cell --model THIS_FOLDER --dataset wikitext2 --protocol ppl-1024` measures it.\n"
                    .to_owned()
            },
            Clone::clone,
        );
        format!("## What was measured\n\n{measured}")
    }

    fn hashes_part(&self, written: &Written) -> String {
        let mut text = "## Hashes\n\n| what | SHA-256 |\n| --- | --- |\n".to_owned();
        for (what, sha256) in &self.hashes {
            let _ = writeln!(text, "| {what} | `{sha256}` |");
        }
        for file in &written.files {
            let _ = writeln!(text, "| `{}`, {} bytes | `{}` |", file.name, file.bytes, file.sha256);
        }
        text
    }
}

fn stored(card: &Card, written: &Written, form: Form) -> String {
    let [parameters, bytes] = card.stored;
    let mut text = format!(
        "## What is stored\n\nThe recipe leaves {parameters} numbers, which take {bytes} bytes with their \
         indices, scales and zeros (docs/SPEC.md section 11). This folder holds {} numbers as {form}.\n",
        written.parameters
    );
    if !written.notes.is_empty() {
        text.push('\n');
    }
    for note in &written.notes {
        let _ = writeln!(text, "* {note}.");
    }
    text
}

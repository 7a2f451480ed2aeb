//! `logits`: a model's logits for given tokens, to compare with another framework.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use plan::DeviceName;

use crate::build;
use crate::exit::Exit;
use crate::inputs::{Reads, model_problems};
use crate::report::status;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask logits --model data/cache/SmolLM2-135M-Instruct.Q4_1.gguf \\
      --tokens \"1 2 3\" --out logits.safetensors
  cargo xtask logits --model path/to/hf-folder --tokens \"1 2 3\" --out all.safetensors --hidden";

/// Arguments of `logits`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A GGUF file or a Hugging Face folder; no tokenizer is needed
    #[arg(long, value_name = "DIR_OR_GGUF")]
    model: PathBuf,
    /// Token ids, separated by spaces or commas
    #[arg(long, value_name = "IDS")]
    tokens: String,
    /// The file to write
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    /// Also write `h` of every prunable site
    #[arg(long)]
    hidden: bool,
    /// Where to compute: cpu, cuda:0 or wgpu:0 (the first use builds for it)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
}

/// Runs the command; the value is the worker's exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let tokens = parse_tokens(&args.tokens)?;
    let folder = args.out.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let message = format!("--out: the folder {} does not exist", folder.display());
        return Err(Exit::usage(message).into());
    }
    let problems = model_problems(workspace, &args.model, Reads::Weights);
    if !problems.is_empty() {
        return Err(Exit::inputs(format!("--model: {}", problems.join("\n  "))).into());
    }
    let mut command = Command::new(build::worker_for(workspace, args.device)?);
    command.arg("logits").arg("--model").arg(&args.model);
    command.arg("--tokens").arg(tokens).arg("--out").arg(&args.out);
    command.arg("--device").arg(args.device.to_string());
    if args.hidden {
        command.arg("--hidden");
    }
    status(&mut command)
}

/// Token ids in one form, separated by single spaces.
fn parse_tokens(text: &str) -> Result<String, Exit> {
    let is_separator = |c: char| c.is_whitespace() || c == ',';
    let words: Vec<&str> = text.split(is_separator).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err(Exit::usage("--tokens: expected at least one token id"));
    }
    match words.iter().find(|word| word.parse::<u32>().is_err()) {
        Some(bad) => Err(Exit::usage(format!("--tokens: `{bad}` is not a token id"))),
        None => Ok(words.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_ids() {
        assert_eq!(parse_tokens(" 1,2  3,\n4 ").unwrap(), "1 2 3 4");
        for bad in ["", " , ", "1 two", "-1", "1.5", "99999999999"] {
            assert!(parse_tokens(bad).is_err(), "{bad:?}");
        }
    }
}

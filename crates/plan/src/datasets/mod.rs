//! The texts and the items of tasks that are known by name: where they lie, and where on the Hub.

mod choices;

use crate::{Protocol, Reading, TaskName, TextShape};

/// A text known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDataset {
    /// The name used in pipelines and columns.
    pub name: &'static str,
    /// Path relative to the data folder; of the items of a task, to the folder of tasks.
    pub file: &'static str,
    /// The multiple-choice task whose items these are; none of a text.
    pub task: Option<&'static str>,
    /// Where `fetch --dataset` finds it.
    pub hub: HubText,
}

/// A text of the Hub: one file of a dataset repository, and how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubText {
    /// `owner/name`.
    pub repo: &'static str,
    /// The file.
    pub path: &'static str,
    /// What an entry of the file is, and how many entries count.
    pub reading: Reading,
}

const fn rows(repo: &'static str, path: &'static str) -> HubText {
    HubText { repo, path, reading: Reading { shape: Some(TextShape::Rows), documents: None } }
}

const fn documents(repo: &'static str, path: &'static str, documents: Option<usize>) -> HubText {
    HubText { repo, path, reading: Reading { shape: Some(TextShape::Documents), documents } }
}

/// Documents that are read of a shard of C4 (some 45,000 in the validation shard): the first 1,100,
/// the number that GPTQ, SparseGPT and Wanda evaluate on.
const C4_DOCUMENTS: Option<usize> = Some(1_100);

/// Documents that are read of the test part of the Pile mirror, which has 10,000.
const PILE_DOCUMENTS: Option<usize> = Some(1_000);

const WIKITEXT: &str = "Salesforce/wikitext";
const C4: &str = "allenai/c4";
/// EleutherAI's own copy of the Pile's test split is one plain file of 1.3 GB. This filtered subset
/// (Kaddour, arXiv 2304.08442) is Parquet of some 30 MB, and its test and validation parts are
/// separate: the one is evaluated, the other calibrates. Being filtered, it has other perplexities
/// than the Pile's test split.
const PILE: &str = "JeanKaddour/minipile";

/// Every known text. The data folder is `SLIM_DATA`, else `data/texts` from the workspace root; what is
/// not there is looked for in the Hub's cache.
pub const TEXTS: &[KnownDataset] = &[
    text(
        "wikitext2",
        "wikitext2/wiki.test.raw",
        rows(WIKITEXT, "wikitext-2-raw-v1/test-00000-of-00001.parquet"),
    ),
    text(
        "wikitext2-valid",
        "wikitext2/wiki.valid.raw",
        rows(WIKITEXT, "wikitext-2-raw-v1/validation-00000-of-00001.parquet"),
    ),
    text(
        "c4",
        "c4/validation.jsonl",
        documents(C4, "en/c4-validation.00000-of-00008.json.gz", C4_DOCUMENTS),
    ),
    text(
        "c4-train",
        "c4/train.jsonl",
        documents(C4, "en/c4-train.00000-of-01024.json.gz", C4_DOCUMENTS),
    ),
    text(
        "pile",
        "pile/test.jsonl",
        documents(PILE, "data/test-00000-of-00001-010a6231c4b54d31.parquet", PILE_DOCUMENTS),
    ),
    text(
        "pile-calibration",
        "pile/calibration.jsonl",
        documents(PILE, "data/validation-00000-of-00001-a2192e61a091cecb.parquet", None),
    ),
    text(
        "lambada",
        "lambada/lambada_test.jsonl",
        documents("EleutherAI/lambada_openai", "data/lambada_test_en.jsonl", None),
    ),
];

const fn text(name: &'static str, file: &'static str, hub: HubText) -> KnownDataset {
    KnownDataset { name, file, task: None, hub }
}

/// Everything that is known by name: texts, then the items of tasks.
pub fn all() -> impl Iterator<Item = &'static KnownDataset> {
    TEXTS.iter().chain(choices::CHOICES).chain(choices::MMLU)
}

/// The known text or set of items of this name.
pub fn find(name: &str) -> Option<KnownDataset> {
    all().copied().find(|known| known.name == name)
}

/// Known items belong to one task, and known texts to none; a name that is not known may be anything.
///
/// # Errors
/// What the name stands for, where the protocol asks for something else.
pub fn check_protocol(name: &str, protocol: Protocol) -> Result<(), String> {
    let Some(known) = find(name) else { return Ok(()) };
    if known.task == protocol.task().map(TaskName::as_str) {
        return Ok(());
    }
    Err(match known.task {
        Some(task) => format!("`{name}` holds items of a task: use `choice-{task}`"),
        None => format!("`{name}` is a text and has no items of `{protocol}`"),
    })
}

/// All known names, in the order of [`all`].
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|known| known.name)
}

/// The known names that fit a screen: all but the subjects of MMLU, for which one stands.
pub fn examples() -> impl Iterator<Item = &'static str> {
    let one_subject = choices::MMLU.iter().take(1);
    TEXTS.iter().chain(choices::CHOICES).chain(one_subject).map(|known| known.name)
}

/// The multiple-choice tasks whose items are known, each once.
pub fn tasks() -> impl Iterator<Item = &'static str> {
    let mut seen = std::collections::BTreeSet::new();
    all().filter_map(|known| known.task).filter(move |task| seen.insert(*task))
}

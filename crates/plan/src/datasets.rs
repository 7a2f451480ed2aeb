//! The texts that are known by name, and where they lie in the data folder.

/// A text known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDataset {
    /// The name used in pipelines and columns.
    pub name: &'static str,
    /// Path relative to the data folder.
    pub file: &'static str,
}

/// Every known text. The data folder is `SLIM_DATA`, else `../shared/data` from the workspace root.
pub const KNOWN: &[KnownDataset] = &[
    KnownDataset { name: "wikitext2", file: "wikitext2/wiki.test.raw" },
    KnownDataset { name: "wikitext2-valid", file: "wikitext2/wiki.valid.raw" },
    KnownDataset { name: "c4", file: "c4/validation.jsonl" },
    KnownDataset { name: "c4-train", file: "c4/train.jsonl" },
    KnownDataset { name: "pile", file: "pile/test.jsonl" },
    KnownDataset { name: "pile-calibration", file: "pile/calibration.jsonl" },
    KnownDataset { name: "lambada", file: "lambada/lambada_test.jsonl" },
];

/// The known text of this name.
pub fn find(name: &str) -> Option<KnownDataset> {
    KNOWN.iter().copied().find(|known| known.name == name)
}

/// All known names, in the order of [`KNOWN`].
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name)
}

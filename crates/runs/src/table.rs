//! The tables of a run, and which of them a cell's results belong in.

use std::fmt;
use std::str::FromStr;

use plan::{Measure, UnknownName};
use serde::{Deserialize, Serialize};

/// The tables of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// One row per window of text.
    Windows,
    /// One row per item.
    Items,
    /// One row per item and choice.
    Choices,
    /// One row per FFN site and neuron.
    Neurons,
    /// One row per state site and channel.
    Channels,
    /// One row per FFN site and lag.
    Overlaps,
    /// One row per layer: how linear it is.
    Blocks,
    /// One row per layer and principal direction of the residual stream.
    Directions,
    /// One row per attention, query head and bucket of distance or place.
    Attention,
    /// One row per layer: what it would predict if it were the last.
    Lens,
    /// One row per failed cell.
    Failures,
}

impl Table {
    /// Every table.
    pub const ALL: &'static [Table] = &[
        Table::Windows,
        Table::Items,
        Table::Choices,
        Table::Neurons,
        Table::Channels,
        Table::Overlaps,
        Table::Blocks,
        Table::Directions,
        Table::Attention,
        Table::Lens,
        Table::Failures,
    ];

    /// The table of a cell's results.
    pub fn of(cell: &plan::Cell) -> Table {
        let Some(step) = cell.recipe.observation() else {
            return match cell.protocol.measure() {
                Measure::MeanLoss => Table::Windows,
                Measure::Proportion => Table::Items,
                Measure::Choice => Table::Choices,
            };
        };
        match (step.kind().name, step.name("observation")) {
            (_, Some("overlap")) => Table::Overlaps,
            (_, Some("linearity")) => Table::Blocks,
            (_, Some("directions")) => Table::Directions,
            ("kv", _) => Table::Attention,
            (_, Some("lens")) => Table::Lens,
            ("state", _) => Table::Channels,
            _ => Table::Neurons,
        }
    }

    /// The folder of the table within a run.
    pub fn folder(self) -> &'static str {
        match self {
            Table::Windows => "windows",
            Table::Items => "items",
            Table::Choices => "choices",
            Table::Neurons => "neurons",
            Table::Channels => "channels",
            Table::Overlaps => "overlaps",
            Table::Blocks => "blocks",
            Table::Directions => "directions",
            Table::Attention => "attention",
            Table::Lens => "lens",
            Table::Failures => "failures",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.folder())
    }
}

impl FromStr for Table {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = || Table::ALL.iter().map(|table| table.folder());
        let found = Table::ALL.iter().copied().find(|table| table.folder() == name);
        found.ok_or_else(|| UnknownName::new("table", name, known()))
    }
}

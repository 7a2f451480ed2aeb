//! What the importance atlas compares: the scores of neurons and channels, and what was measured of them besides.

use plan::Part;
use serde::{Serialize, Serializer};
use tables::{ChannelRow, NeuronRow};

/// A number that every neuron or every channel may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// The score `magnitude`.
    Magnitude,
    /// The score `weight`.
    Weight,
    /// The score `impact`.
    Impact,
    /// The score `energy`.
    Energy,
    /// The score `wanda`.
    Wanda,
    /// The score `taylor`.
    Taylor,
    /// The score `fisher`.
    Fisher,
    /// The score `ghost`.
    Ghost,
    /// The score `ghost-factored`.
    GhostFactored,
    /// The score `state-weight`.
    StateWeight,
    /// The score `state-taylor`.
    StateTaylor,
    /// Mean of H² over tokens, summed over the heads of the group and p.
    StateEnergy,
    /// Rise of the mean NLL when it alone is dropped.
    Ablation,
    /// The same of a channel, in every other window, in `read` mode.
    AblationRead,
    /// The same in `write` mode.
    AblationWrite,
    /// Tokens after which half of what was written to a channel is left, each head weighted by what
    /// it holds of the channel.
    HalfLife,
}

use Quantity::*;

/// What is compared pair by pair, of each part; the order is that of the tables.
const OF_FFN: &[Quantity] = &[Magnitude, Weight, Impact, Energy, Wanda, Taylor, Fisher, Ablation];
const OF_STATE: &[Quantity] =
    &[StateWeight, StateEnergy, GhostFactored, Ghost, StateTaylor, Ablation];

impl Quantity {
    /// Everything that a row may hold.
    pub const ALL: [Quantity; 16] = [
        Magnitude,
        Weight,
        Impact,
        Energy,
        Wanda,
        Taylor,
        Fisher,
        Ghost,
        GhostFactored,
        StateWeight,
        StateTaylor,
        StateEnergy,
        Ablation,
        AblationRead,
        AblationWrite,
        HalfLife,
    ];

    /// What is compared pair by pair.
    pub fn compared(part: Part) -> &'static [Quantity] {
        match part {
            Part::Ffn => OF_FFN,
            Part::State => OF_STATE,
            // What is observed of attention is no score of units.
            Part::Heads | Part::Kv => &[],
        }
    }

    /// What tells whether what is large is important: the size of a part's units, against each of these.
    pub fn size_against(part: Part) -> Vec<(Quantity, Quantity)> {
        match part {
            Part::Ffn => [Weight, Impact, Ablation].map(|other| (Magnitude, other)).to_vec(),
            Part::State => {
                [StateEnergy, Ghost, Ablation].map(|other| (StateWeight, other)).to_vec()
            }
            Part::Heads | Part::Kv => Vec::new(),
        }
    }

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Magnitude => "magnitude",
            Weight => "weight",
            Impact => "impact",
            Energy => "energy",
            Wanda => "wanda",
            Taylor => "taylor",
            Fisher => "fisher",
            Ghost => "ghost",
            GhostFactored => "ghost-factored",
            StateWeight => "state-weight",
            StateTaylor => "state-taylor",
            StateEnergy => "state-energy",
            Ablation => "ablation",
            AblationRead => "ablation-read",
            AblationWrite => "ablation-write",
            HalfLife => "half-life",
        }
    }

    /// Whether it is the same on every text.
    pub fn is_of_weights(self) -> bool {
        matches!(self, Weight | StateWeight)
    }

    /// The number of a neuron.
    pub fn of_neuron(self, row: &NeuronRow) -> Option<f64> {
        match self {
            Magnitude => row.magnitude,
            Weight => row.weight,
            Impact => row.impact,
            Energy => row.energy,
            Wanda => row.wanda,
            Taylor => row.taylor,
            Fisher => row.fisher,
            Ablation => row.ablation,
            _ => None,
        }
    }

    /// The number of a state channel.
    pub fn of_channel(self, row: &ChannelRow) -> Option<f64> {
        match self {
            Ghost => row.ghost,
            GhostFactored => row.ghost_factored,
            StateWeight => row.state_weight,
            StateTaylor => row.state_taylor,
            // A site without tokens has no mean.
            StateEnergy if row.tokens == 0 => None,
            StateEnergy => row.state_energy.map(|sum| sum / row.tokens as f64),
            Ablation => row.ablation,
            AblationRead => row.ablation_read,
            AblationWrite => row.ablation_write,
            HalfLife => row.half_life_tokens,
            _ => None,
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

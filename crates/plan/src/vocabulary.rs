//! The closed vocabularies: policies, scores, commit rules and parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::UnknownName;

/// Defines an enum whose variants have one text each, used for display, parsing and serde alike.
macro_rules! vocabulary {
    (
        $(#[$meta:meta])*
        $name:ident, $what:literal {
            $( $(#[$variant_meta:meta])* $variant:ident => $text:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub enum $name {
            $( $(#[$variant_meta])* $variant ),+
        }

        impl $name {
            /// Every variant, in the order of the vocabulary.
            pub const ALL: &'static [$name] = &[$( $name::$variant ),+];
            /// The text of every variant, in the same order.
            pub const NAMES: &'static [&'static str] = &[$( $text ),+];

            /// The text that stands for this variant in files, columns and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $( $name::$variant => $text ),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $( $text => Ok($name::$variant), )+
                    _ => Err(UnknownName::new($what, text, Self::NAMES.iter().copied())),
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.as_str().to_owned()
            }
        }

        impl TryFrom<String> for $name {
            type Error = UnknownName;

            fn try_from(text: String) -> Result<Self, UnknownName> {
                text.parse()
            }
        }
    };
}

vocabulary! {
    /// How the time steps of a Zamba2 model are limited.
    TimeSteps, "rule of time steps" {
        /// Raised to `time_step_min`, as transformers does with whole sequences.
        Transformers => "transformers",
        /// Not at all, as the original code has it, unless `time_step_limit` says so.
        Original => "original",
    }
}

impl Default for TimeSteps {
    /// What published numbers rest on.
    fn default() -> Self {
        Self::Transformers
    }
}

vocabulary! {
    /// How the kept set of a site is chosen over time.
    Policy, "policy" {
        /// Nothing is dropped.
        Dense => "dense",
        /// One kept set per site for the whole run, chosen on calibration text.
        Static => "static",
        /// The kept set is chosen again for every token.
        Dynamic => "dynamic",
        /// Tokens of one commitment window share one kept set.
        Window => "window",
        /// Nothing is dropped; scores are measured and stored (the importance atlas).
        Observe => "observe",
    }
}

vocabulary! {
    /// What ranks the neurons or state channels of a site; larger means keep. `w_i` are the weights
    /// leaving neuron i, `g = ∂(mean NLL)/∂h`; the symbols of the state are those of docs/SPEC.md section 5.
    Score, "score" {
        /// `Σ_t |h_ti|`
        Magnitude => "magnitude",
        /// `‖w_i‖₂`
        Weight => "weight",
        /// `Σ_t |h_ti|·‖w_i‖₂`
        Impact => "impact",
        /// `Σ_t h_ti²`
        Energy => "energy",
        /// `‖h_·i‖₂·‖w_i‖₁`
        Wanda => "wanda",
        /// `|Σ_t g_ti·h_ti|`: first order, true gradient of the loss.
        Taylor => "taylor",
        /// `Σ_t (g_ti·h_ti)²`
        Fisher => "fisher",
        /// Seeded uniform: the control that every grid carries.
        Random => "random",
        /// Minus `magnitude`: the other control.
        Reversed => "reversed",
        /// State: `sqrt(mean_t Σ_heads Σ_p H²·C'²)`, what reading the channel adds to the output.
        Ghost => "ghost",
        /// State: `mean(H²)·mean(C'²)`, the earlier prototype of `ghost`.
        GhostFactored => "ghost-factored",
        /// State: `‖W_B[n]‖₂·‖W_C[n]‖₂`, the magnitude baseline.
        StateWeight => "state-weight",
        /// State: `|Σ_t C'_t·∂(mean NLL)/∂C'_t|`, first order.
        StateTaylor => "state-taylor",
        /// Cache: `Σ_h a(t, h, s)`, the attention that a token pays the position.
        Attention => "attention",
        /// Cache: `Σ_h a(t, h, s)·‖v_s‖₂`, the measured effect.
        AttentionValue => "attention-value",
        /// Cache: `‖k_s‖₂`
        KeySize => "key-size",
        /// Cache: minus `‖k_s‖₂`.
        KeySizeReversed => "key-size-reversed",
        /// Cache: `‖v_s‖₂`
        ValueSize => "value-size",
        /// Cache: `s`, the latest positions.
        Recency => "recency",
        /// Cache: the attention of all tokens so far, over what was kept then.
        Accumulated => "accumulated",
    }
}

/// What has to be known before a score can be worked out, from cheap to dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// The weights, or nothing at all: a static cut needs no calibration text.
    Nothing,
    /// Activations of a forward pass.
    Forward,
    /// What enters the maps or layers that are changed, layer by layer, in the model as it then is.
    Inputs,
    /// Gradients of the loss, which only a calibration text can give.
    Gradient,
}

impl Score {
    /// What the score rests on.
    pub fn needs(self) -> Needs {
        match self {
            Score::Weight | Score::StateWeight | Score::Random => Needs::Nothing,
            Score::Taylor | Score::Fisher | Score::StateTaylor => Needs::Gradient,
            _ => Needs::Forward,
        }
    }

    /// Whether the score ranks what that part is made of.
    pub fn ranks(self, part: Part) -> bool {
        use Score::*;
        let is_of_state = matches!(self, Ghost | GhostFactored | StateWeight | StateTaylor);
        let is_of_cache = matches!(
            self,
            Attention
                | AttentionValue
                | KeySize
                | KeySizeReversed
                | ValueSize
                | Recency
                | Accumulated
        );
        self == Random
            || match part {
                Part::Ffn => !is_of_state && !is_of_cache,
                Part::State => is_of_state,
                Part::Heads => matches!(self, Magnitude | Impact | Taylor),
                Part::Kv => is_of_cache,
            }
    }
}

vocabulary! {
    /// What a dynamic or windowed set of state channels acts on.
    Mode, "mode" {
        /// `C'`: a skipped channel keeps its memory, the error lives as long as the set.
        Read => "read",
        /// `B'` and `C'`: what is not written stays missing.
        Write => "write",
    }
}

vocabulary! {
    /// The activations on which a layer's state channels are scored for a static set.
    Recalibration, "recalibration" {
        /// Layers in order, each on activations that already passed the cut layers below.
        Sequential => "sequential",
        /// All layers on those of the dense model.
        OneShot => "one-shot",
    }
}

vocabulary! {
    /// What the policy `observe` measures.
    Observation, "observation" {
        /// Every score that a forward pass gives.
        Forward => "forward",
        /// The scores that need gradients of the loss.
        Gradient => "gradient",
        /// What dropping one neuron or channel alone does to the loss, on a seeded sample.
        Ablation => "ablation",
        /// How fast the per-token kept sets of neurons change, by lag.
        Overlap => "overlap",
    }
}

vocabulary! {
    /// What a claim expects of the tables.
    Predicate, "predicate" {
        /// The perplexity is at least so many times that of dense.
        PerplexityAtLeast => "perplexity-at-least",
        /// The perplexity is at most so many times that of dense.
        PerplexityAtMost => "perplexity-at-most",
        /// The accuracy is that of dense, within a margin (an equivalence test).
        AccuracyUnchanged => "accuracy-unchanged",
        /// The accuracy is below that of dense by more than a margin.
        AccuracyFalls => "accuracy-falls",
        /// The perplexity never falls as the commitment window grows.
        DialRises => "dial-rises",
        /// The correlation of two scores is the same on every corpus, within a margin.
        CorrelationSame => "correlation-same",
        /// A set chosen by one score or policy costs more than one chosen by another.
        CostsMore => "costs-more",
        /// A set chosen by one score or policy costs no more than one chosen by another.
        CostsNoMore => "costs-no-more",
        /// The deeper a layer, the better a linear map stands for it.
        LinearityGrows => "linearity-grows",
        /// Directions of large variance are not those that the loss minds.
        DirectionsDisagree => "directions-disagree",
        /// A part is at most such a share of the model.
        ShareAtMost => "share-at-most",
    }
}

vocabulary! {
    /// Of what a part of a model is a share.
    Whole, "whole" {
        /// The stored parameters.
        Parameters => "parameters",
        /// The operations of a token.
        Operations => "operations",
        /// The bytes that mixers carry from token to token.
        StateBytes => "state-bytes",
    }
}

vocabulary! {
    /// With what the predictions of a cell are compared, beside the text.
    Compare, "comparison" {
        /// The dense model: the Jensen–Shannon divergence of every prediction.
        Dense => "dense",
    }
}

vocabulary! {
    /// How a commitment window's kept set is chosen.
    Rule, "rule" {
        /// Scores summed over the window's own tokens; looks ahead.
        WindowMean => "window-mean",
        /// Scores of the window's first token; causal.
        FirstToken => "first-token",
        /// Scores summed over the window before; causal.
        PreviousWindow => "previous-window",
        /// Scores summed over the first prompt tokens, then held.
        Prompt => "prompt",
        /// The set chosen on calibration text, as in the static policy.
        Calibration => "calibration",
        /// A seeded random set per window: the control.
        Random => "random",
    }
}

vocabulary! {
    /// What an entry of a text file is.
    TextShape, "shape" {
        /// A row of WikiText as the Hub has it: a line with its newline, empty where it is blank.
        Rows => "rows",
        /// A whole document, or an item of a last-word task.
        Documents => "documents",
    }
}

vocabulary! {
    /// What is pruned.
    Part, "part" {
        /// The feed-forward block: scratch work, recomputed for every token.
        Ffn => "ffn",
        /// The recurrent state of a Mamba-2 mixer: memory, carried from token to token.
        State => "state",
        /// Attention heads: scratch work, recomputed for every token.
        Heads => "heads",
        /// The cached positions of attention: memory.
        Kv => "kv",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse::<Policy>().unwrap(), *policy);
        }
        for rule in Rule::ALL {
            let json = serde_json::to_string(rule).unwrap();
            assert_eq!(json, format!("\"{rule}\""));
            assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), *rule);
        }
    }
}

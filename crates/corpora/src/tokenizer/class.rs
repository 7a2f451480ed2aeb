//! The tokenizer classes of transformers: which one reads a folder, and the special tokens that it has
//! where no file names them.
//!
//! After `AutoTokenizer` and the classes of the families here, transformers 5.23.

/// A class, as far as ids depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Gpt2,
    Qwen2,
    GptNeoX,
    Llama,
    Gemma,
    /// `TokenizersBackend`: what the files say and nothing else.
    Generic,
}

/// What decides the class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'a> {
    /// `tokenizer_class` of tokenizer_config.json, else of config.json.
    pub(super) class: Option<&'a str>,
    /// `model_type` of config.json.
    pub(super) model_type: Option<&'a str>,
    /// Whether tokenizer.json cuts into bytes.
    pub(super) byte_level: bool,
}

impl Class {
    /// The class that reads a folder; the name of one that is not known here is given back.
    pub(super) fn of(said: Said<'_>) -> Result<Self, String> {
        let registered = said.model_type.and_then(Self::registered);
        let Some(name) = said.class else { return Ok(registered.unwrap_or(Self::Generic)) };
        let named = Self::named(name);
        // Mistral's own class is not read by transformers without a further library.
        if said.model_type == Some("mistral") {
            return Ok(Self::Generic);
        }
        // transformers does not believe what such folders say.
        if said.model_type == Some("qwen2") {
            return Ok(Self::Qwen2);
        }
        // Folders of Llama 3 name the class of Llama 2.
        if named == Some(Self::Llama) && said.byte_level {
            return Ok(Self::Generic);
        }
        named.ok_or_else(|| name.to_owned())
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name.strip_suffix("Fast").unwrap_or(name) {
            "GPT2Tokenizer" => Self::Gpt2,
            "Qwen2Tokenizer" => Self::Qwen2,
            "GPTNeoXTokenizer" => Self::GptNeoX,
            "LlamaTokenizer" => Self::Llama,
            "GemmaTokenizer" => Self::Gemma,
            "PreTrainedTokenizer" | "TokenizersBackend" | "PythonBackend" => Self::Generic,
            _ => return None,
        })
    }

    /// What a family has where its folder names no class.
    fn registered(model_type: &str) -> Option<Self> {
        Some(match model_type {
            "opt" | "gpt2" => Self::Gpt2,
            "qwen2" | "qwen3" => Self::Qwen2,
            "mamba2" => Self::GptNeoX,
            "gemma3" | "gemma3_text" => Self::Gemma,
            _ => return None,
        })
    }

    /// Special tokens by name.
    pub(super) fn defaults(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Self::Gpt2 => &[("unk_token", END), ("bos_token", END), ("eos_token", END)],
            Self::Qwen2 => &[("unk_token", END), ("eos_token", END), ("pad_token", END)],
            Self::GptNeoX => &[
                ("unk_token", END),
                ("bos_token", END),
                ("eos_token", END),
                ("pad_token", "<|padding|>"),
            ],
            Self::Llama => &[("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")],
            Self::Gemma => &[
                ("unk_token", "<unk>"),
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Self::Generic => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_the_one_that_transformers_takes() {
        let of = |class, model_type, byte_level| Class::of(Said { class, model_type, byte_level });
        assert_eq!(of(None, Some("opt"), false), Ok(Class::Gpt2));
        assert_eq!(of(None, Some("llama"), false), Ok(Class::Generic));
        assert_eq!(of(Some("GPT2Tokenizer"), Some("llama"), true), Ok(Class::Gpt2));
        assert_eq!(of(Some("PreTrainedTokenizerFast"), Some("qwen2"), true), Ok(Class::Qwen2));
        assert_eq!(of(Some("PreTrainedTokenizerFast"), Some("qwen3"), true), Ok(Class::Generic));
        assert_eq!(of(Some("LlamaTokenizerFast"), Some("llama"), false), Ok(Class::Llama));
        assert_eq!(of(Some("LlamaTokenizer"), Some("llama"), true), Ok(Class::Generic));
        assert_eq!(of(Some("LlamaTokenizer"), Some("mistral"), false), Ok(Class::Generic));
        let unknown = of(Some("RobertaTokenizer"), None, false);
        assert_eq!(unknown, Err("RobertaTokenizer".to_owned()));
    }
}

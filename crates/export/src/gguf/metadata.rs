//! The metadata of a file: the keys of llama.cpp's converter, and what of a model they cannot say.

use checkpoints::{GgufFamily, GgufType, GgufValue};
use models::{Activation, Divided, Saved, SavedDecoder};
use serde_json::{Map, Value};

use super::GgufTokenizer;

/// What decides the metadata.
pub(super) struct Facts<'a> {
    pub(super) family: GgufFamily,
    pub(super) decoder: &'a SavedDecoder,
    pub(super) saved: &'a Saved,
    pub(super) class: &'a str,
}

type Metadata = Vec<(String, GgufValue)>;

impl Facts<'_> {
    fn is_gemma(&self) -> bool {
        self.family.key() == "gemma3"
    }

    /// Refuses what llama.cpp computes otherwise than the model; what is left to be said.
    pub(super) fn check(&self) -> Result<Vec<String>, String> {
        let SavedDecoder { activation, windows, ropes, .. } = self.decoder;
        let usual = if self.is_gemma() { Activation::GeluTanh } else { Activation::Silu };
        if *activation != usual {
            let [usual, own] = [usual, *activation].map(name_of);
            return Err(format!(
                "llama.cpp computes {usual} in the blocks of this family, and this model has {own}: choose \
                 f32, f16 or bf16"
            ));
        }
        let has_biases = self.saved.tensors.iter().any(|tensor| tensor.name.ends_with(".bias"));
        if has_biases && ["qwen3", "gemma3"].contains(&self.family.key()) {
            return Err(format!("llama.cpp has no biases in the family {}", self.family.key()));
        }
        let (queries, d_model) = (self.decoder.heads * self.decoder.head_dim, self.d_model());
        if self.family.key() == "qwen2" && queries != d_model {
            return Err(format!(
                "llama.cpp wants queries as wide as the model in the family qwen2, and these heads are \
                 {queries} wide together, the model {d_model}: choose f32, f16 or bf16, or cut no heads"
            ));
        }
        if self.is_gemma() {
            self.check_gemma()?;
            return Ok(Vec::new());
        }
        if ropes.len() > 1 {
            return Err("its layers have several kinds of frequencies".to_owned());
        }
        match windows.iter().flatten().min() {
            None => Ok(Vec::new()),
            // Every sequence that fits is seen whole.
            Some(window) => Ok(vec![format!(
                "layers see a window of {window} tokens, which llama.cpp does not do in this family: the file \
                 says that a context has at most {window}"
            )]),
        }
    }

    fn check_gemma(&self) -> Result<(), String> {
        let usual = 1.0 / (self.query_width() as f32).sqrt();
        let own = self.decoder.scale;
        if (own / usual - 1.0).abs() > 1e-6 {
            return Err(format!(
                "its queries are scaled by {own}, and llama.cpp scales those of a model with so many layers \
                 and heads by {usual}: choose f32, f16 or bf16"
            ));
        }
        if matches!(self.decoder.ropes.first(), Some(rope) if matches!(rope.divided, Divided::Each(_)))
        {
            return Err(
                "llama.cpp divides frequencies of this family by one number only".to_owned()
            );
        }
        match self.period() {
            Some(_) => Ok(()),
            None => Err("llama.cpp lets every so many layers see the whole context, and those that are left \
                         of this model do not come at such a period: drop others, or none"
                .to_owned()),
        }
    }

    /// What llama.cpp takes the scale of queries from: it tells the largest model by its layers.
    fn query_width(&self) -> usize {
        const LAYERS_OF_27B: usize = 62;
        match self.decoder.windows.len() {
            LAYERS_OF_27B => self.d_model() / self.decoder.heads,
            _ => self.decoder.head_dim,
        }
    }

    /// The first tensor is the embedding.
    fn d_model(&self) -> usize {
        self.saved.tensors.first().and_then(|tensor| tensor.shape.last()).copied().unwrap_or(1)
    }

    /// Of Gemma: every so many layers one sees everything. One more than there are where none does.
    fn period(&self) -> Option<usize> {
        let windows = &self.decoder.windows;
        let fits = |period: &usize| {
            windows.iter().enumerate().all(|(at, own)| own.is_none() == ((at + 1) % period == 0))
        };
        (1..=windows.len() + 1).find(fits)
    }

    /// All of it, and what there is to say of the tokenizer.
    pub(super) fn metadata(
        &self,
        config: &Map<String, Value>,
        tokenizer: Option<&GgufTokenizer>,
        dtype: GgufType,
    ) -> (Metadata, Vec<String>) {
        let text = |text: &str| GgufValue::Text(text.to_owned());
        let file_type = match dtype {
            GgufType::F32 => 0,
            GgufType::F16 => 1,
            GgufType::Q4_0 => 2,
            GgufType::Q8_0 => 7,
        };
        let mut all = vec![
            ("general.architecture".to_owned(), text(self.family.key())),
            ("general.type".to_owned(), text("model")),
            ("general.name".to_owned(), text(self.class)),
            ("general.file_type".to_owned(), GgufValue::U32(file_type)),
            ("general.quantization_version".to_owned(), GgufValue::U32(2)),
        ];
        let mut own =
            |name: &str, value| all.push((format!("{}.{name}", self.family.key()), value));
        let count = |count: usize| GgufValue::U32(u32::try_from(count).unwrap_or(u32::MAX));
        let said = |field: &str| {
            config
                .get(field)
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0)
        };
        let decoder = self.decoder;
        let window = decoder.windows.iter().flatten().min().copied();
        let positions = match window.filter(|_| !self.is_gemma()) {
            Some(window) => decoder.positions.min(window),
            None => decoder.positions,
        };
        let vocabulary = said("vocab_size");
        own("vocab_size", count(vocabulary));
        own("context_length", count(positions));
        own("embedding_length", count(said("hidden_size")));
        own("block_count", count(decoder.windows.len()));
        own("feed_forward_length", count(said("intermediate_size")));
        own("attention.head_count", count(decoder.heads));
        own("attention.head_count_kv", count(decoder.kv_heads));
        own("attention.key_length", count(decoder.head_dim));
        own("attention.value_length", count(decoder.head_dim));
        own("attention.layer_norm_rms_epsilon", GgufValue::F32(decoder.rms_norm_eps as f32));
        own("rope.dimension_count", count(decoder.head_dim));
        if let Some(first) = decoder.ropes.first() {
            own("rope.freq_base", GgufValue::F32(first.theta as f32));
            if let Divided::By(factor) = first.divided {
                own("rope.scaling.type", text("linear"));
                own("rope.scaling.factor", GgufValue::F32(factor as f32));
            }
        }
        if let (true, Some(local)) = (self.is_gemma(), decoder.ropes.get(1)) {
            own("rope.freq_base_swa", GgufValue::F32(local.theta as f32));
            own("attention.sliding_window", count(window.unwrap_or(0)));
            own("attention.sliding_window_pattern", count(self.period().unwrap_or(1)));
        }
        let (tokenizer, notes) = GgufTokenizer::entries(tokenizer, vocabulary);
        all.extend(tokenizer);
        (all, notes)
    }
}

fn name_of(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "ReLU",
        Activation::Silu => "SiLU",
        Activation::Gelu => "GELU",
        Activation::GeluTanh => "the tanh form of GELU",
    }
}

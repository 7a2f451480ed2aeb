//! What a finished model is worth on text of the test split, beside the baselines that see a token or
//! three.

use std::collections::BTreeMap;

use models::{Architecture, Parameters};
use stories::{Distances, NGram, Question, Register, Split, Stories, StoryError};
use tokenizers::Tokenizer;

use crate::{
    loss::StepError,
    measure::{Measured, is_last_right, measure},
    recipe::Recipe,
    text::encode,
};

/// Documents of each register.
const DOCUMENTS: usize = 200;
/// Passages of the last-word task: 20 cycles of all distances with every question.
const ITEMS: usize = 1200;
/// Training sequences that the baselines are counted on; more change their figures in the third digit.
const BASELINE_SEQUENCES: usize = 4000;
/// Distances are told in bins of this many sentences.
const BIN: u32 = 4;

/// Right answers among so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) right: u64,
    pub(crate) n: u64,
}

impl Count {
    fn add(&mut self, right: bool) {
        self.right += u64::from(right);
        self.n += 1;
    }
}

/// The result of the exam.
#[derive(Clone, Debug)]
pub(crate) struct Exam {
    /// Of every register: name, perplexity of the model, of the unigram and of the 3-gram.
    pub(crate) perplexities: Vec<(&'static str, [f64; 3])>,
    pub(crate) last_words: Count,
    /// The 3-gram's.
    pub(crate) baseline: Count,
    pub(crate) by_question: Vec<(&'static str, Count)>,
    /// First and last distance of each bin, sentences.
    pub(crate) by_distance: Vec<([u32; 2], Count)>,
    /// Activity on the documents of all registers.
    pub(crate) activity: Measured,
}

/// Runs it.
pub(crate) fn exam(
    recipe: &Recipe,
    architecture: &Architecture,
    parameters: &Parameters,
    tokenizer: &Tokenizer,
    train: &[Vec<u32>],
) -> Result<Exam, ExamError> {
    let stories = Stories::new(recipe.corpus.seed);
    let vocabulary = tokenizer.get_vocab_size(true);
    let train = &train[..train.len().min(BASELINE_SEQUENCES)];
    let [unigram, trigram] = [1, 3].map(|order| NGram::train(order, vocabulary, train));
    let documents_of = |register| -> Result<Vec<Vec<u32>>, StoryError> {
        let documents = stories.documents(Split::Test, register).take(DOCUMENTS);
        documents.map(|document| encode(tokenizer, &document.text)).collect()
    };
    let (mut perplexities, mut all) = (Vec::new(), Vec::new());
    for register in Register::ALL {
        let documents = documents_of(register)?;
        let nats = measure(architecture, parameters, &documents, &[])?.nats;
        let baselines = [&unigram, &trigram].map(|model| model.loss(&documents).perplexity());
        perplexities.push((register.name(), [nats.exp(), baselines[0], baselines[1]]));
        all.extend(documents);
    }
    let items: Vec<_> = stories.items(Split::Test, Distances::ALL).take(ITEMS).collect();
    let ids = items.iter().map(|item| encode(tokenizer, &item.text));
    let ids: Vec<Vec<u32>> = ids.collect::<Result<_, _>>()?;
    let right = is_last_right(architecture, parameters, &ids)?;
    let (mut last_words, mut baseline) = (Count::default(), Count::default());
    let mut by_question: BTreeMap<Question, Count> = BTreeMap::new();
    let mut by_bin: BTreeMap<u32, Count> = BTreeMap::new();
    for ((item, ids), right) in items.iter().zip(&ids).zip(right) {
        last_words.add(right);
        baseline.add(trigram.predicts_last(ids, 1));
        by_question.entry(item.question).or_default().add(right);
        by_bin.entry((item.distance_sentences - 1) / BIN).or_default().add(right);
    }
    Ok(Exam {
        perplexities,
        last_words,
        baseline,
        by_question: by_question.into_iter().map(|(q, count)| (q.name(), count)).collect(),
        by_distance: by_bin
            .into_iter()
            .map(|(bin, count)| ([bin * BIN + 1, (bin + 1) * BIN], count))
            .collect(),
        activity: measure(architecture, parameters, &all, &[])?,
    })
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ExamError {
    /// The texts.
    #[error(transparent)]
    Story(#[from] StoryError),
    /// The model.
    #[error(transparent)]
    Step(#[from] StepError),
}

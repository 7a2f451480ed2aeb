//! The corpus's own tokenizer: byte-level BPE, trained on the train split of all registers.

use std::path::Path;

use tokenizers::{
    AddedToken, Tokenizer,
    models::{TrainerWrapper, bpe::BPE, bpe::BpeTrainer},
    pre_tokenizers::byte_level::ByteLevel,
    processors::template::TemplateProcessing,
};

use crate::{Split, Stories, StoryError};

/// Stands in front of every text that is encoded, whatever the family of the model that reads it, so
/// that all families see the same ids and the first word has something to be predicted from.
pub const BEGINNING: &str = "<|endoftext|>";

/// Most entries of the vocabulary.
pub const VOCABULARY: usize = 2000;

/// Documents that the tokenizer is trained on: every word of the grammar is among them many times.
const DOCUMENTS: usize = 15_000;

/// Trains the tokenizer of a corpus.
///
/// The alphabet is all 256 bytes, so any text can be encoded; pieces are cut as GPT-2's (a word takes
/// the space in front of it along). Training stops at [`VOCABULARY`] entries or when every word of
/// the text has one of its own. [`BEGINNING`] has id 0 and is put in front by the post-processor.
///
/// # Errors
/// [`StoryError::Tokenizer`] with what the library refuses.
pub fn train_tokenizer(stories: Stories) -> Result<Tokenizer, StoryError> {
    let texts = stories.mixture(Split::Train).take(DOCUMENTS).map(|document| document.text);
    let beginning = AddedToken::from(BEGINNING, true);
    let trainer = BpeTrainer::builder()
        .vocab_size(VOCABULARY)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![beginning])
        .build();
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    tokenizer.train(&mut TrainerWrapper::BpeTrainer(trainer), texts).map_err(refused)?;
    let id = tokenizer.token_to_id(BEGINNING).ok_or_else(|| refused("no special token"))?;
    let template = TemplateProcessing::builder()
        .try_single(format!("{BEGINNING} $A"))
        .map_err(refused)?
        .special_tokens(vec![(BEGINNING.to_owned(), id)])
        .build()
        .map_err(refused)?;
    tokenizer.with_post_processor(Some(template));
    Ok(tokenizer)
}

/// Writes an ordinary `tokenizer.json`.
///
/// # Errors
/// [`StoryError::Tokenizer`] or [`StoryError::Write`].
pub fn save_tokenizer(tokenizer: &Tokenizer, path: &Path) -> Result<(), StoryError> {
    let json = tokenizer.to_string(true).map_err(refused)?;
    Ok(::files::write(path, json.as_bytes())?)
}

fn refused(error: impl std::fmt::Display) -> StoryError {
    StoryError::Tokenizer { reason: error.to_string() }
}

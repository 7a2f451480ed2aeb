//! From a model in memory to a folder.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use checkpoints::Dtype;
use cuts::{Slim, Storage};
use files::FolderDraft;
use models::{Model, ModelFacts, SaveError, Saved, config_text, saved_config};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    Ahead, Beside, Card, ExportError, Form, Watch, ahead, entries,
    entries::Entry,
    form::torch_name,
    gguf, notes, packed,
    widths::{fitted, has_one_width_of_heads, with_all_heads},
};

/// What is written.
pub struct Subject<'a> {
    /// The cut model, and what is stored of it.
    pub slim: &'a Slim,
    /// The file or folder that it was made of.
    pub source: &'a Path,
    /// Sizes of the model there.
    pub whole: &'a ModelFacts,
}

/// How it is written.
pub struct Settings<'a> {
    /// The folder to be made.
    pub out: &'a Path,
    /// In which form.
    pub form: Form,
    /// Whether layers of different widths get that of the widest, and not the one before the cut.
    pub uniform: bool,
    /// Most bytes of one file of weights.
    pub shard_bytes: u64,
    /// The card to be written, where there is one.
    pub card: Option<&'a Card>,
}

impl<'a> Settings<'a> {
    /// Most bytes of one file of weights where nothing else is said, as transformers has it.
    pub const SHARD_BYTES: u64 = 50_000_000_000;

    /// The usual ones.
    pub fn new(out: &'a Path, form: Form) -> Self {
        Self { out, form, uniform: false, shard_bytes: Self::SHARD_BYTES, card: None }
    }
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its name in the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, as lower-case hex.
    pub sha256: String,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The folder.
    pub folder: PathBuf,
    /// Every file but the card, sorted by name.
    pub files: Vec<WrittenFile>,
    /// Numbers in all tensors.
    pub parameters: u64,
    /// The fields of `config.json` that follow from the model, as they are now.
    pub fields: Map<String, Value>,
    /// What the format could not say as it was meant, and what was done.
    pub notes: Vec<String>,
}

/// Writes a model. The folder appears whole or not at all.
///
/// # Errors
/// A folder that is there already, a model that the form cannot say, and what the disk refuses.
pub fn export(
    subject: &Subject<'_>,
    settings: &Settings<'_>,
    beside: &Beside,
    watch: &Watch<'_>,
) -> Result<Written, ExportError> {
    let Subject { slim, source, whole } = subject;
    let draft = FolderDraft::begin(settings.out)?;
    let (model, of_widths) = fitted(&*slim.model, whole, settings.uniform);
    let mut notes = of_widths;
    let saved = saved(&*model, whole.heads, &mut notes)?;
    let mut config = saved_config(source, &saved)?;
    config.extend(beside.fields.clone());
    notes.extend(saved.notes.clone());
    notes.extend(notes::of_matrices(&slim.storage, settings.form));
    match settings.form {
        Form::Folder(dtype) | Form::Packed(dtype) => {
            write_folder(draft.folder(), slim, &saved, config, (settings, dtype), watch)?;
            for file in &beside.files {
                files::write(&draft.folder().join(&file.name), &file.bytes)?;
            }
            notes.extend(beside.notes.clone());
        }
        Form::Gguf(dtype) => {
            let made = gguf::write(draft.folder(), &saved, &config, beside, dtype, watch)?;
            notes.extend(made);
        }
    }
    let written = Written {
        folder: settings.out.to_owned(),
        files: hashed(draft.folder())?,
        parameters: saved.tensors.iter().map(|tensor| tensor.len() as u64).sum(),
        fields: saved.fields.clone(),
        notes,
    };
    if let Some(card) = settings.card {
        card.write(draft.folder(), &written, settings.form)?;
    }
    draft.finish()?;
    Ok(written)
}

/// What the checkpoint holds. Where layers keep different numbers of heads, or the class cannot have fewer,
/// all are written.
fn saved(
    model: &dyn Model,
    heads: Option<[usize; 2]>,
    notes: &mut Vec<String>,
) -> Result<Saved, SaveError> {
    let layers: Vec<usize> = (0..model.facts().layers).collect();
    let reason = match model.save(&layers) {
        _ if !has_one_width_of_heads(model) => {
            "layers keep different heads, and the format has one number for all layers".to_owned()
        }
        Err(error @ SaveError::Heads { .. }) => error.to_string(),
        other => return other,
    };
    let Some(heads) = heads else { return model.save(&layers) };
    let (padded, note) = with_all_heads(model, heads, &reason);
    notes.push(note);
    padded.save(&layers)
}

/// Refuses what can be refused before a model is cut: a folder that is there already or cannot be made, a
/// form that the family does not have, matrices that the form will not hold.
///
/// # Errors
/// As [`export`].
pub fn check(
    model: &dyn Model,
    source: &Path,
    settings: &Settings<'_>,
    ahead: &Ahead,
) -> Result<(), ExportError> {
    files::refuse_what_is_there(settings.out)?;
    files::refuse_what_cannot_be_made(settings.out)?;
    let facts = model.facts();
    let layers: Vec<usize> = (0..facts.layers).collect();
    let saved = model.save(&layers)?;
    let config = saved_config(source, &saved)?;
    let checked = match settings.form {
        Form::Gguf(dtype) => gguf::check(&saved, &config)
            .and_then(|()| ahead::blocks(&saved, dtype.block(), &facts, ahead)),
        Form::Packed(_) => ahead::packed(&saved, &Storage::of(model), &facts, ahead),
        Form::Folder(_) => Ok(()),
    };
    checked.map_err(|reason| ExportError::Form { form: settings.form.to_string(), reason })
}

fn write_folder(
    folder: &Path,
    slim: &Slim,
    saved: &Saved,
    mut config: Map<String, Value>,
    (settings, dtype): (&Settings<'_>, Dtype),
    watch: &Watch<'_>,
) -> Result<(), ExportError> {
    // Both names are read by all releases that read one, and two that differ by none.
    config.remove("dtype");
    // A packed source was read as plain numbers.
    config.remove("quantization_config");
    config.insert("torch_dtype".to_owned(), torch_name(dtype).into());
    let all = match settings.form {
        Form::Packed(_) => {
            let (all, said) = packed::entries(saved, &slim.storage, dtype)?;
            config.insert("quantization_config".to_owned(), said);
            all
        }
        _ => saved.tensors.iter().map(|tensor| Entry::plain(tensor, dtype)).collect(),
    };
    entries::write(folder, all, settings.shard_bytes, watch)?;
    Ok(files::write(&folder.join("config.json"), config_text(&config).as_bytes())?)
}

/// Every file of a folder, sorted.
fn hashed(folder: &Path) -> Result<Vec<WrittenFile>, ExportError> {
    let failed = |source| ExportError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let failed = |source| ExportError::Read { path: path.clone(), source };
        let mut file = fs::File::open(&path).map_err(failed)?;
        let (mut hasher, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
        loop {
            let n = file.read(&mut buffer).map_err(failed)?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
            bytes += n as u64;
        }
        let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push(WrittenFile { name, bytes, sha256 });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

//! SHA-256 of files and of model folders, and which of their files count.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// A digest as lower-case hex.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of a file, as lower-case hex.
pub(crate) fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n_bytes => hasher.update(&buffer[..n_bytes]),
        }
    }
}

/// The digests of a model folder.
pub(crate) struct Digests {
    /// Over `config.json` and the weights.
    pub(crate) weights: String,
    /// Over the files of the tokenizer, or of the one file that it has; none where there is none.
    pub(crate) tokenizer: Option<String>,
}

/// The digests of a model folder from the names of its files and the SHA-256 of each.
///
/// The digest over several files is the SHA-256 over one line `NAME SHA256\n` a file, sorted by name.
pub(crate) fn digests<E>(
    names: &[String],
    sha256: impl Fn(&str) -> Result<String, E>,
) -> Result<Digests, E> {
    let over = |names: Vec<&str>| {
        let mut hasher = Sha256::new();
        for name in names {
            hasher.update(format!("{name} {}\n", sha256(name)?));
        }
        Ok(hex(&hasher.finalize()))
    };
    let has_config = names.iter().any(|name| name == CONFIG);
    let mut weights: Vec<&str> = has_config.then_some(CONFIG).into_iter().collect();
    weights.extend(weight_names(names));
    weights.sort_unstable();
    let tokenizer = match tokenizer_names(names).as_slice() {
        [] => None,
        [file] => Some(sha256(file)?),
        files => Some(over(files.to_vec())?),
    };
    Ok(Digests { weights: over(weights)?, tokenizer })
}

/// The file that says what a model is.
pub(crate) const CONFIG: &str = "config.json";

/// The weights of a model folder: safetensors where there are any, else PyTorch files.
pub(crate) fn weight_names(names: &[String]) -> Vec<&str> {
    let ending_with = |ending: &str| -> Vec<&str> {
        names.iter().map(String::as_str).filter(|name| name.ends_with(ending)).collect()
    };
    let safetensors = ending_with(".safetensors");
    if safetensors.is_empty() { ending_with(".bin") } else { safetensors }
}

/// What ids depend on, sorted: a vocabulary in one of its forms, and what says more of it. config.json is
/// among them since the family decides how an old vocabulary is read. Empty where there is no vocabulary.
pub(crate) fn tokenizer_names(names: &[String]) -> Vec<&str> {
    let has = |name: &&str| names.iter().any(|other| other == *name);
    let forms: [&[&str]; 3] =
        [&["tokenizer.json"], &["merges.txt", "vocab.json"], &["tokenizer.model"]];
    let Some(form) = forms.into_iter().find(|form| form.iter().all(has)) else {
        return Vec::new();
    };
    let beside = [CONFIG, "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"];
    let mut found: Vec<&str> = form.iter().copied().chain(beside.into_iter().filter(has)).collect();
    found.sort_unstable();
    found
}

/// The names of the files of a folder, sorted.
pub(crate) fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests_of(names: &[&str]) -> (String, Option<String>) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let Digests { weights, tokenizer } =
            digests(&names, |name| Ok::<_, io::Error>(format!("<{name}>"))).unwrap();
        (weights, tokenizer)
    }

    #[test]
    fn only_what_decides_numbers_enters() {
        let over = |names: &[&str]| {
            let lines: String = names.iter().map(|name| format!("{name} <{name}>\n")).collect();
            hex(&Sha256::digest(lines))
        };
        let whole = ["config.json", "m.safetensors", "tokenizer.json"];
        let more = ["README.md", "merges.txt", "pytorch_model.bin", "vocab.json"];
        let (weights, tokenizer) = digests_of(&whole);
        assert_eq!(digests_of(&[&whole[..], &more].concat()), (weights.clone(), tokenizer.clone()));
        assert_eq!(tokenizer, Some(over(&["config.json", "tokenizer.json"])));
        assert_eq!(weights, over(&["config.json", "m.safetensors"]));
        let (old, tokenizer) = digests_of(&[&more[..], &["config.json"]].concat());
        assert_ne!(old, weights);
        assert_eq!(tokenizer, Some(over(&["config.json", "merges.txt", "vocab.json"])));
        // Every file beside a vocabulary may change ids.
        let beside = ["added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"];
        let (_, tokenizer) = digests_of(&[&beside[..], &["tokenizer.model"]].concat());
        let all = [&beside[..2], &["tokenizer.model"], &beside[2..]].concat();
        assert_eq!(tokenizer, Some(over(&all)));
        let (_, none) = digests_of(&["config.json", "m.safetensors", "vocab.json"]);
        assert_eq!(none, None);
    }
}

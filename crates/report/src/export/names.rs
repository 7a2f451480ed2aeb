//! Names as lm-evaluation-harness has them: of tasks, models and files.

use plan::Recipe;
use sha2::{Digest, Sha256};

use crate::format::utc;

/// Bytes of the longest name of a folder.
const LONGEST: usize = 200;

/// `arc_easy` of `arc-easy`; whatever else is no letter or digit is one underscore.
pub(super) fn task(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        match character.is_ascii_alphanumeric() {
            true => text.push(character),
            false if text.ends_with('_') => {}
            false => text.push('_'),
        }
    }
    text.trim_matches('_').to_owned()
}

/// The model with what was done to it; dense is the model itself.
pub(super) fn model(model: &str, recipe: &Recipe) -> String {
    match recipe.is_dense() {
        true => model.to_owned(),
        false => format!("{model} {}", recipe.text().replace(" + ", "+")),
    }
}

/// A model's name as that of a folder: what the harness's `sanitize_model_name` replaces, and blanks. A name
/// that is too long ends in a part of its hash.
pub(super) fn folder(model_name: &str) -> String {
    let mut text = String::new();
    let mut was_replaced = false;
    for character in model_name.chars() {
        let is_replaced = "\"<>:/|\\?*[] ".contains(character) || character.is_control();
        match is_replaced {
            true if was_replaced => {}
            true => text.push_str("__"),
            false => text.push(character),
        }
        was_replaced = is_replaced;
    }
    if text.len() <= LONGEST {
        return text;
    }
    let hash = Sha256::digest(model_name);
    let hash = hash.iter().take(4).map(|byte| format!("{byte:02x}"));
    let end = (0..=LONGEST - 9).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}-{}", &text[..end], hash.collect::<String>())
}

/// `2026-11-22T03-18-04.000000`, in UTC: `datetime.isoformat()` with hyphens for colons.
pub(super) fn timestamp(ms: i64) -> String {
    let second = utc(ms).replace(" UTC", "").replace(' ', "T").replace(':', "-");
    format!("{second}.{:03}000", ms.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_harness_and_safe() {
        assert_eq!(task("mmlu-high-school-biology"), "mmlu_high_school_biology");
        assert_eq!(task("piqa (my items)"), "piqa_my_items");
        assert_eq!(folder("org/model"), "org__model");
        assert_eq!(
            folder("m cut=weights,method=wanda,pattern=2:4"),
            "m__cut=weights,method=wanda,pattern=2__4"
        );
        let (a, b) = (folder(&"é".repeat(300)), folder(&"é".repeat(301)));
        assert!(a.len() <= LONGEST && b.len() <= LONGEST && a != b);
        assert_eq!(timestamp(1_795_317_484_012), "2026-11-22T03-18-04.012000");
    }
}

//! The pictures of the pages: those that the report draws of the small models.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// The run that is drawn, and the pictures that pages show.
const RUN: &str = "quick";
const PICTURES: [&str; 2] = ["static-and-dynamic.svg", "dial.svg"];

/// Copies the pictures to docs/quick, or says where they differ in more than numbers.
pub(super) fn bring(workspace: &Workspace, results: &Path, check: bool) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for name in PICTURES {
        let drawn = results.join(RUN).join(name);
        if !drawn.is_file() {
            eprintln!("{name}: left as it is: {} is not there", workspace.show(&drawn));
            continue;
        }
        let shown = workspace.root().join("docs").join(RUN).join(name);
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let new = read(&drawn)?;
        if check {
            let (is, would_be) = (labels(&read(&shown)?), labels(&new));
            if is != would_be {
                problems.push(format!(
                    "docs/{RUN}/{name} is not the picture that the report draws: its words are \
                     {is:?}, not {would_be:?}"
                ));
            }
        } else if fs::read_to_string(&shown).ok().as_ref() != Some(&new) {
            fs::write(&shown, new).with_context(|| format!("cannot write {}", shown.display()))?;
            eprintln!("wrote {}", workspace.show(&shown));
        }
    }
    Ok(problems)
}

/// The words of a picture with `#` for each digit, sorted, since some stand where their value is.
fn labels(svg: &str) -> Vec<String> {
    let texts = svg.split("<text").skip(1);
    let texts = texts.filter_map(|rest| rest.split_once('>')?.1.split_once("</text"));
    let words = texts.map(|(words, _)| words.trim());
    let words = words.filter(|words| words.contains(char::is_alphabetic));
    let masked = words.map(|words| words.replace(|letter: char| letter.is_ascii_digit(), "#"));
    let mut masked: Vec<String> = masked.collect();
    masked.sort();
    masked
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn labels_are_words() {
        let svg = "<svg><text x=\"1\">\nqwen2\n</text><text>1.5</text><title>t</title>\
                   <text y=\"2\">dense = 1</text></svg>";
        assert_eq!(labels(svg), ["dense = #", "qwen#"]);
    }
}

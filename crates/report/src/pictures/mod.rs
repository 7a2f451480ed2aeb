//! The pictures of a report: SVG text, made of the same rows as its tables.
//!
//! A picture says which text and sparsity it shows, and names the models that it leaves out. It is
//! readable without colour, and what was to be drawn and failed or is missing is hatched. Each has a
//! table of exactly the numbers that are drawn. The same tables give the same bytes.

mod atlas;
mod axes;
mod canvas;
mod choose;
mod correlations;
mod dial;
mod inks;
mod last_word;
mod loss_and_speed;
mod marks;
mod overlap;
mod picture;
mod quadrants;
mod ratios;
mod recall;
mod sheet;
mod sparsity_and_loss;
mod static_and_dynamic;
mod stored_bytes;
mod strips;
mod tasks;
mod words;

use anyhow::{Context, Result};
use evidence::Sweeps;
use judgement::Summary;

pub(crate) use self::picture::{Content, Picture};
use crate::document::Line;

/// The pictures of a run, those of the post first. `prefix` tells runs apart whose pictures stand in
/// one page.
///
/// # Errors
/// When `plotters` refuses to draw.
pub(crate) fn of(summary: &Summary, sweeps: &Sweeps, prefix: &str) -> Result<Vec<Picture>> {
    type Draw = fn(&Summary, &str) -> Result<Content>;
    let of_run: [(&'static str, Draw); 8] = [
        ("correlations", correlations::draw),
        ("static-and-dynamic", static_and_dynamic::draw),
        ("last-word", last_word::draw),
        ("dial", dial::draw),
        ("quadrants", quadrants::draw),
        ("atlas", atlas::draw),
        ("recall", recall::draw),
        ("overlap", overlap::draw),
    ];
    let mut pictures = Vec::new();
    for (name, draw) in of_run {
        let content = draw(summary, &id_of(prefix, name));
        let content = content.with_context(|| format!("cannot draw {name}"))?;
        pictures.push(Picture { name, content });
    }
    // A run that cuts no weights has nothing to say of them.
    if !summary.recipes.is_empty() {
        let name = "stored-bytes";
        let content = stored_bytes::draw(summary, &id_of(prefix, name));
        let content = content.with_context(|| format!("cannot draw {name}"))?;
        pictures.push(Picture { name, content });
    }
    if !summary.speed.is_empty() {
        let name = "loss-and-speed";
        let content = loss_and_speed::draw(summary, &id_of(prefix, name));
        let content = content.with_context(|| format!("cannot draw {name}"))?;
        pictures.push(Picture { name, content });
    }
    if !summary.task_tables.is_empty() {
        let name = "tasks";
        let content = tasks::draw(summary, &id_of(prefix, name));
        let content = content.with_context(|| format!("cannot draw {name}"))?;
        pictures.push(Picture { name, content });
    }
    let name = "sparsity-and-loss";
    let content = sparsity_and_loss::draw(sweeps, &id_of(prefix, name));
    let content = content.with_context(|| format!("cannot draw {name}"))?;
    pictures.push(Picture { name, content });
    for picture in &mut pictures {
        let made_by = summary.command.as_deref().filter(|_| picture.name != name);
        if let Content::Drawn { caption, .. } = &mut picture.content {
            *caption = commands(caption, made_by, &summary.folder);
        }
    }
    Ok(pictures)
}

/// A caption with the command that made the run, where it is known, and the one that drew the picture.
fn commands(caption: &Line, made_by: Option<&str>, folder: &str) -> Line {
    let caption = caption.clone();
    let caption = match made_by {
        Some(command) => caption.text(" Made by ").code(command).text(", drawn by "),
        None => caption.text(" Drawn by "),
    };
    caption.code(format!("cargo xtask report --results {folder}")).text(".")
}

/// An id that no other element of a page has: ids are letters, digits and hyphens, everything else
/// becomes its number.
fn id_of(prefix: &str, name: &str) -> String {
    let mut id = "picture-".to_owned();
    for character in prefix.chars().chain(name.chars()) {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => id.push(character),
            other => id.push_str(&format!("_{:x}_", u32::from(other))),
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn ids_are_plain_and_of_one_picture() {
        assert_eq!(id_of("", "dial"), "picture-dial");
        assert_eq!(id_of("run 2-", "dial"), "picture-run_20_2-dial");
        assert_ne!(id_of("a b", "c"), id_of("a_20_b", "c"));
    }
}

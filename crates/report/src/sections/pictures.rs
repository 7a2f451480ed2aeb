//! Pictures in a page: each with its caption, links to the tables that hold its numbers, and exactly the
//! numbers that are drawn behind a click.

use crate::document::{Block, Figure, Line};
use crate::pictures::{Content, Picture};

/// The pictures that open the page: what each model pays, and how that rises with the window.
const OPENING: [&str; 2] = ["static-and-dynamic", "dial"];

/// The pictures that open the page, where they are drawn. The files of pictures have their names, with
/// `prefix` before them.
pub(super) fn opening(pictures: &[Picture], prefix: &str) -> Vec<Block> {
    let own = pictures.iter().filter(|picture| OPENING.contains(&picture.name));
    own.flat_map(|picture| of_picture(picture, prefix)).collect()
}

/// The others, and why some are not drawn.
pub(super) fn others(pictures: &[Picture], prefix: &str) -> Vec<Block> {
    let others = pictures.iter().filter(|picture| !OPENING.contains(&picture.name));
    let mut blocks = vec![Block::heading(2, "More pictures")];
    blocks.extend(others.flat_map(|picture| of_picture(picture, prefix)));
    let reasons = pictures.iter().filter_map(|picture| match &picture.content {
        Content::Nothing { reason } => {
            Some(Line::new().code(picture.name).text(format!(": {reason}.")))
        }
        Content::Drawn { .. } => None,
    });
    let reasons: Vec<Line> = reasons.collect();
    if !reasons.is_empty() {
        blocks.extend([Block::paragraph("Pictures without data:"), Block::List(reasons)]);
    }
    blocks
}

fn of_picture(picture: &Picture, prefix: &str) -> Vec<Block> {
    let Content::Drawn { svg, alternative, caption, tables, numbers } = &picture.content else {
        return Vec::new();
    };
    let mut caption = caption.clone();
    for (position, heading) in tables.iter().enumerate() {
        caption = match position {
            0 => caption.line_break().text("Its numbers stand in: "),
            _ => caption.text(", "),
        };
        caption = caption.link(heading);
    }
    if !tables.is_empty() {
        caption = caption.text(".");
    }
    let figure = Figure {
        file: format!("{prefix}{}.svg", picture.name),
        svg: svg.clone(),
        alternative: alternative.clone(),
        caption,
    };
    let summary = "The numbers of this picture".to_owned();
    let numbers = Block::Fold { summary, blocks: vec![Block::Table(numbers.clone())] };
    vec![Block::Figure(figure), numbers]
}

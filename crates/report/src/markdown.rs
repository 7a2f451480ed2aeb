//! A page as Markdown that also reads well in a terminal: every column of a table padded to one width.
//! Text from elsewhere does not act as Markdown.

use crate::document::{Align, Block, Field, Figure, Inline, Line, Table, Target, anchor, one_line};
use crate::format::short;

/// The blocks of a page, a blank line between every two.
pub(crate) fn render<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> String {
    blocks.into_iter().map(block).collect::<Vec<_>>().join("\n")
}

/// One block with the end of its last line.
fn block(own: &Block) -> String {
    match own {
        Block::Heading { level, text, .. } => {
            format!("{} {}\n", "#".repeat(usize::from(*level)), plain(text))
        }
        Block::Paragraph(text) => format!("{}\n", line(text)),
        Block::Warning(text) => format!("**WARNING: {}**\n", plain(text)),
        Block::Findings(sentences) => {
            sentences.iter().map(|text| format!("- {}\n", plain(text))).collect()
        }
        Block::List(items) => items.iter().map(|item| format!("- {}\n", line(item))).collect(),
        Block::Table(own) => table(own),
        Block::Figure(Figure { file, alternative, caption, .. }) => {
            let image = format!("![{}]({})", plain(alternative), link_target(file));
            format!("{image}\n\n{}\n", line(caption))
        }
        Block::Fold { summary, blocks } => {
            let (summary, inside) = (in_html(summary), render(blocks));
            format!("<details><summary>{summary}</summary>\n\n{inside}\n</details>\n")
        }
    }
}

fn line(own: &Line) -> String {
    own.pieces().iter().map(inline).collect()
}

fn inline(own: &Inline) -> String {
    match own {
        Inline::Text(text) => with_edges(text),
        Inline::Code(text) => code(text),
        Inline::Strong(text) => format!("**{}**", plain(text)),
        Inline::Link { text, target: Target::Heading(heading) } => {
            format!("[{}](#{})", plain(text), anchor(heading))
        }
        Inline::Break => "\n".to_owned(),
    }
}

/// Plain text that keeps the blanks at its ends, for other pieces stand there.
fn with_edges(text: &str) -> String {
    let is_blank = |own: Option<char>| own.is_some_and(char::is_whitespace);
    let (before, after) = (is_blank(text.chars().next()), is_blank(text.chars().last()));
    let edge = |is_there: bool| if is_there { " " } else { "" };
    match plain(text) {
        words if words.is_empty() => edge(before).to_owned(),
        words => format!("{}{words}{}", edge(before), edge(after)),
    }
}

fn table(own: &Table) -> String {
    let shown = own.shown();
    let head: Vec<String> = shown.iter().map(|(_, name, _)| in_table(&plain(name))).collect();
    let rows = own.rows().map(|row| shown.iter().map(|(column, ..)| field(&row[*column])));
    let rows: Vec<Vec<String>> = rows.map(Iterator::collect).collect();
    let width = |column: usize| {
        let fields = rows.iter().map(|row| row[column].chars().count());
        fields.chain([head[column].chars().count(), 3]).max().unwrap_or(3)
    };
    let widths: Vec<usize> = (0..shown.len()).map(width).collect();
    let sides = || shown.iter().map(|(_, _, align)| *align).zip(&widths);
    let padded = |row: &[String]| {
        let fields = row.iter().zip(sides()).map(|(text, (align, &width))| match align {
            Align::Left => format!("{text:<width$}"),
            Align::Right => format!("{text:>width$}"),
        });
        format!("| {} |\n", fields.collect::<Vec<_>>().join(" | "))
    };
    let rule = sides().map(|(align, &width)| match align {
        Align::Left => "-".repeat(width),
        Align::Right => format!("{}:", "-".repeat(width - 1)),
    });
    let rule = format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
    let rows: String = rows.iter().map(|row| padded(row)).collect();
    format!("{}{rule}{rows}", padded(&head))
}

fn field(own: &Field) -> String {
    in_table(&match own {
        Field::Text(text) => plain(text),
        Field::Number(text) => one_line(text),
        Field::Code(text) => code(text),
        Field::Cell(id) => code(short(id)),
        Field::Cells(ids) => ids.iter().map(|id| code(short(id))).collect::<Vec<_>>().join(" "),
        Field::File(file) if is_plain(file) => format!("[{file}]({file})"),
        Field::File(file) => code(file),
    })
}

/// One line of text that cannot break out of a table.
fn in_table(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Whether a file's name can stand in a link as it is.
fn is_plain(file: &str) -> bool {
    file.chars().all(|own| own.is_ascii_alphanumeric() || "-_./".contains(own))
}

/// A file's name as the target of an image; one with spaces or brackets needs angle brackets.
fn link_target(file: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_.".contains(character);
    if file.chars().all(plain) { file.to_owned() } else { format!("<{file}>") }
}

fn in_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `text` on one line, so that all its characters are seen: none begins code, HTML, an entity, emphasis
/// or a link.
fn plain(text: &str) -> String {
    let line = one_line(text);
    let mut result = String::with_capacity(line.len());
    let (mut before, mut rest) = (None, line.chars().peekable());
    while let Some(character) = rest.next() {
        if acts(before, character, rest.peek().copied()) {
            result.push('\\');
        }
        result.push(character);
        before = Some(character);
    }
    result
}

/// Whether a character would act between these two.
fn acts(before: Option<char>, character: char, after: Option<char>) -> bool {
    let is_word = |own: Option<char>| own.is_some_and(char::is_alphanumeric);
    match character {
        '\\' | '`' | '*' | '~' => true,
        // Before a blank or a digit it begins nothing.
        '<' => after.is_some_and(|after| after.is_alphabetic() || "/!?".contains(after)),
        '_' => !(is_word(before) && is_word(after)),
        '&' => after.is_some_and(|after| after == '#' || after.is_alphabetic()),
        '(' => before == Some(']'),
        _ => false,
    }
}

/// `text` as inline code, whatever it holds.
fn code(text: &str) -> String {
    let text = one_line(text);
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    match longest {
        0 => format!("`{text}`"),
        longest => {
            let fence = "`".repeat(longest + 1);
            format!("{fence} {text} {fence}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_does_not_act() {
        for (text, shown) in [
            ("a_b at layer 3: x < y & z [1, 2]", "a_b at layer 3: x < y & z [1, 2]"),
            ("p <0.05 </a <!-- <?", "p <0.05 \\</a \\<!-- \\<?"),
            ("<script>\n`x`", "\\<script> \\`x\\`"),
            ("&amp; &#60; *b* _i_", "\\&amp; \\&#60; \\*b\\* \\_i\\_"),
            ("[x](javascript:y) \\", "[x]\\(javascript:y) \\\\"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn code_is_fenced_by_more_backticks_than_it_holds() {
        assert_eq!(code("0a1b"), "`0a1b`");
        assert_eq!(code("a `` b"), "``` a `` b ```");
    }

    #[test]
    fn blanks_between_pieces_stay() {
        let own = Line::new().text("made by ").code("x").text(", ").strong("now").line_break();
        assert_eq!(line(&own.text(" then").link("A b")), "made by `x`, **now**\n then[A b](#a-b)");
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let columns = [("κ", Align::Left), ("n", Align::Right), ("note", Align::Left)];
        let mut table = Table::new(columns);
        table.push([Field::number("0.95"), Field::number("7")]);
        table.push([Field::text("a|b\nc"), Field::number("10000")]);
        let lines = [
            "| κ      |     n |",
            "| ------ | ----: |",
            "| 0.95   |     7 |",
            "| a\\|b c | 10000 |",
        ];
        assert_eq!(block(&Block::Table(table)), lines.join("\n") + "\n");
    }

    #[test]
    fn blocks_are_a_blank_line_apart_and_folds_hold_blocks() {
        let inside = vec![Block::paragraph("a"), Block::list(["b", "c"])];
        let blocks = [
            Block::heading(1, "T"),
            Block::Fold { summary: "2 < 3".to_owned(), blocks: inside },
            Block::Warning("x_".to_owned()),
        ];
        let page = "# T\n\n<details><summary>2 &lt; 3</summary>\n\na\n\n- b\n- c\n\n</details>\n\n\
                    **WARNING: x\\_**\n";
        assert_eq!(render(&blocks), page);
    }
}

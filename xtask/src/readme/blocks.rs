//! Parts of a page between `<!-- begin: NAME (command) -->` and `<!-- end: NAME -->`.

use anyhow::{Context, Result, bail, ensure};

/// Names and commands of a page's blocks, in its order.
///
/// # Errors
/// A begin without its end, and the other way round.
pub(super) fn markers(page: &str) -> Result<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    let mut open: Option<&str> = None;
    for line in page.lines() {
        if let Some(words) = between(line, "begin: ") {
            ensure!(open.is_none(), "a block begins inside another: {line}");
            let (name, command) = words
                .strip_suffix(')')
                .and_then(|words| words.split_once(" ("))
                .with_context(|| format!("a marker is `begin: NAME (command)`, not {line}"))?;
            found.push((name, command));
            open = Some(name);
        } else if let Some(name) = between(line, "end: ") {
            ensure!(open == Some(name), "no block {name} is open: {line}");
            open = None;
        }
    }
    if let Some(name) = open {
        bail!("block {name} has no end");
    }
    Ok(found)
}

/// The page with another text in one of its blocks.
pub(super) fn replaced(page: &str, name: &str, text: &str) -> Result<String> {
    let mut lines = page.lines();
    let (mut new, mut is_found) = (String::new(), false);
    let begin = format!("begin: {name} (");
    while let Some(line) = lines.next() {
        new += line;
        new.push('\n');
        if line.starts_with(&format!("<!-- {begin}")) {
            is_found = true;
            new += text.trim_end();
            new.push('\n');
            let end = lines.find(|line| between(line, "end: ") == Some(name));
            new += end.with_context(|| format!("block {name} has no end"))?;
            new.push('\n');
        }
    }
    ensure!(is_found, "there is no block {name}");
    Ok(new)
}

/// `<!-- WORD text -->`
fn between<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix("<!-- ")?.strip_prefix(word)?.strip_suffix(" -->")
}

#[cfg(test)]
mod tests {
    use super::{markers, replaced};

    const PAGE: &str = "# A\n<!-- begin: one (cargo a (b)) -->\nold\n<!-- end: one -->\nrest\n\
                        <!-- begin: two (c) -->\n<!-- end: two -->\n";

    #[test]
    fn blocks_are_found_and_replaced() {
        assert_eq!(markers(PAGE).unwrap(), [("one", "cargo a (b)"), ("two", "c")]);
        let new = replaced(PAGE, "one", "new\nlines\n").unwrap();
        assert_eq!(new, PAGE.replace("old", "new\nlines"));
        assert_eq!(replaced(&new, "one", "old").unwrap(), PAGE);
        let new = replaced(PAGE, "two", "x").unwrap();
        assert!(new.ends_with("(c) -->\nx\n<!-- end: two -->\n"), "{new}");
        assert!(replaced(PAGE, "three", "x").is_err());
    }

    #[test]
    fn broken_markers_are_refused() {
        for page in [
            "<!-- begin: one (c) -->\n",
            "<!-- end: one -->\n",
            "<!-- begin: one -->\n<!-- end: one -->\n",
            "<!-- begin: one (c) -->\n<!-- begin: two (c) -->\n<!-- end: two -->\n<!-- end: one -->\n",
        ] {
            assert!(markers(page).is_err(), "{page}");
        }
    }
}

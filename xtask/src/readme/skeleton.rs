//! What must agree between a page as it is and as it would be written: all but the digits.

use super::blocks::markers;

/// Where two texts of one page have other tables in their blocks.
pub(super) fn differences(page: &str, is: &str, would_be: &str) -> Vec<String> {
    let names = markers(is).unwrap_or_default();
    let mut told = Vec::new();
    for (name, command) in names {
        let (is, would_be) = (skeleton(block(is, name)), skeleton(block(would_be, name)));
        if is.is_empty() {
            told.push(format!("{page}: block {name} is empty: it is made by `{command}`"));
        } else if let Some((is, would_be)) = first_difference(&is, &would_be) {
            told.push(format!(
                "{page}: block {name} has {is}, and would be written with {would_be}"
            ));
        }
    }
    told
}

/// The lines of a block.
fn block<'a>(page: &'a str, name: &str) -> &'a str {
    let begin = page.find(&format!("<!-- begin: {name} (")).unwrap_or(page.len());
    let rest = &page[begin..];
    let (start, end) = (rest.find('\n'), rest.find(&format!("<!-- end: {name} -->")));
    start.zip(end).map_or("", |(start, end)| &rest[start + 1..end])
}

/// The rows of tables with `#` for each value, and one line for all that is no table: which sentences a
/// report prints depends on what it measured.
fn skeleton(block: &str) -> Vec<String> {
    let lines: Vec<&str> = block.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(row) = line.strip_prefix('|') else {
            if rows.last().is_none_or(|last| last != "text") {
                rows.push("text".to_owned());
            }
            continue;
        };
        let is_head = !lines[..index].last().is_some_and(|line| line.starts_with('|'));
        let fields = row.trim_end_matches('|').split('|').map(str::trim).enumerate();
        let fields = fields.map(|(column, field)| {
            let is_value = column > 0 && field.contains(|letter: char| letter.is_ascii_digit());
            if is_value && !is_head { "#" } else { field }
        });
        rows.push(fields.collect::<Vec<_>>().join(" | "));
    }
    rows
}

fn first_difference(is: &[String], would_be: &[String]) -> Option<(String, String)> {
    let n_rows = is.len().max(would_be.len());
    let at = |rows: &[String], index: usize| {
        rows.get(index).map_or_else(|| "no more rows".to_owned(), |row| format!("{row:?}"))
    };
    (0..n_rows).map(|index| (at(is, index), at(would_be, index))).find(|(is, own)| is != own)
}

#[cfg(test)]
mod tests {
    use super::differences;

    fn page(table: &str) -> String {
        format!("# A\n<!-- begin: t (c) -->\nAt 5 %.\n\n{table}<!-- end: t -->\n")
    }

    #[test]
    fn digits_may_differ_and_nothing_else() {
        let is = page("| model | κ=.9 |\n| --- | --: |\n| a 1 | 2.50 × |\n| b | – |\n");
        let other = |from: &str, to: &str| differences("p", &is, &is.replace(from, to));
        assert!(other("2.50", "17,031").is_empty());
        assert!(other("5 %", "six %").is_empty());
        for (from, to) in
            [("κ=.9", "κ=.8"), ("a 1", "a 2"), ("–", "1"), ("| b | – |\n", ""), ("2.50 ×", "–")]
        {
            let told = other(from, to);
            assert_eq!(told.len(), 1, "{from} {to}: {told:?}");
            assert!(told[0].starts_with("p: block t has"), "{told:?}");
        }
        let empty = "<!-- begin: t (c) -->\n<!-- end: t -->\n";
        assert!(differences("p", empty, &is)[0].contains("is empty"));
    }
}

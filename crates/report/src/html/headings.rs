//! The headings of a page: their ids, where links lead to, and the table of contents.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::document::{Block, anchor, one_line};
use crate::format::count;

/// So many levels stand in the table of contents, the second one folded.
const LEVELS: u8 = 2;

/// One heading.
pub(super) struct Heading {
    /// 1 for the title.
    pub(super) level: u8,
    pub(super) text: String,
    /// Unique in the page.
    pub(super) id: String,
}

/// All headings of a page, in their order.
pub(super) struct Headings {
    pub(super) all: Vec<Heading>,
    /// The id that an anchor stands for within the n-th title's part of the page.
    ids: BTreeMap<(usize, String), String>,
}

impl Headings {
    /// The headings of some blocks. Of several with one anchor the later ones are numbered, as GitHub does;
    /// ids in `taken` belong to others.
    pub(super) fn of(blocks: &[&Block], mut taken: BTreeSet<String>) -> Headings {
        let mut headings = Headings { all: Vec::new(), ids: BTreeMap::new() };
        let mut part = 0;
        for block in blocks {
            let Block::Heading { level, text, .. } = block else { continue };
            part += usize::from(*level == 1);
            let base = anchor(text);
            let numbered = (1..).map(|number| format!("{base}-{number}"));
            let mut candidates = [base.clone()].into_iter().chain(numbered);
            let id = candidates.find(|id| taken.insert(id.clone())).unwrap_or_default();
            headings.ids.entry((part, base)).or_insert_with(|| id.clone());
            headings.all.push(Heading { level: *level, text: one_line(text), id });
        }
        headings
    }

    /// The id that a link to `anchor` means in the part of the `part`-th title: every run of a page
    /// has its own `pictures`.
    pub(super) fn resolve<'a>(&'a self, part: usize, anchor: &'a str) -> &'a str {
        self.ids.get(&(part, anchor.to_owned())).map_or(anchor, String::as_str)
    }

    /// The title of the page.
    pub(super) fn title(&self) -> &str {
        self.all.iter().find(|heading| heading.level == 1).map_or("Report", |first| &first.text)
    }

    /// A list of links, and below each a folded one; a single title is not in it, for everything is below
    /// it.
    pub(super) fn contents(&self) -> Markup {
        let n_titles = self.all.iter().filter(|heading| heading.level == 1).count();
        let highest = if n_titles > 1 { 1 } else { 2 };
        let levels = highest..highest + LEVELS;
        let shown = self.all.iter().filter(|own| levels.contains(&own.level));
        let shown: Vec<&Heading> = shown.collect();
        html! {
            ul {
                @for group in shown.chunk_by(|_, next| next.level > highest) {
                    li { (link(group[0])) (folded(&group[1..])) }
                }
            }
        }
    }
}

fn link(heading: &Heading) -> Markup {
    html! { a href=(format!("#{}", heading.id)) { (heading.text) } }
}

/// What stands below one heading, behind a click.
fn folded(headings: &[&Heading]) -> Markup {
    if headings.is_empty() {
        return html! {};
    }
    html! {
        details.more {
            summary { (count(headings.len(), "part")) }
            ul { @for heading in headings { li { (link(heading)) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headings by their levels and texts.
    fn headings(all: &[(u8, &str)], taken: BTreeSet<String>) -> Headings {
        let blocks: Vec<Block> =
            all.iter().map(|(level, text)| Block::heading(*level, *text)).collect();
        Headings::of(&blocks.iter().collect::<Vec<_>>(), taken)
    }

    #[test]
    fn equal_headings_are_numbered_as_github_does() {
        let all = [
            (1, "A"),
            (2, "Pictures"),
            (2, "Pictures 1"),
            (1, "B"),
            (2, "Pictures"),
            (2, "cell 00"),
        ];
        let headings = headings(&all, BTreeSet::from(["cell-00".to_owned()]));
        let ids: Vec<String> = headings.all.into_iter().map(|heading| heading.id).collect();
        assert_eq!(ids, ["a", "pictures", "pictures-1", "b", "pictures-2", "cell-00-1"]);
    }

    #[test]
    fn the_contents_have_two_levels_and_the_second_is_folded() {
        let contents = |all: &[(u8, &str)]| headings(all, BTreeSet::new()).contents().into_string();
        let one = contents(&[(1, "T"), (2, "A"), (3, "B"), (4, "C"), (3, "D"), (2, "E")]);
        let expected = "<ul><li><a href=\"#a\">A</a><details class=\"more\"><summary>2 parts</summary>\
                        <ul><li><a href=\"#b\">B</a></li><li><a href=\"#d\">D</a></li></ul></details>\
                        </li><li><a href=\"#e\">E</a></li></ul>";
        assert_eq!(one, expected);
        let two = contents(&[(1, "T"), (2, "A"), (3, "B"), (1, "U")]);
        assert!(two.contains("1 part") && two.contains("#a") && !two.contains("#b"), "{two}");
    }

    #[test]
    fn a_link_leads_to_its_own_part() {
        let all = [(1, "A"), (2, "T · x"), (1, "B"), (2, "T · x")];
        let headings = headings(&all, BTreeSet::new());
        assert_eq!(headings.resolve(1, "t--x"), "t--x");
        assert_eq!(headings.resolve(2, "t--x"), "t--x-1");
        assert_eq!(headings.resolve(2, "nowhere"), "nowhere");
    }
}

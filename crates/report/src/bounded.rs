//! How much of its tables a page holds: a page of any run opens at once, and what does not stand on it lies
//! beside it as Parquet.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tables::{Shown, write_shown};

use crate::document::{Block, Field, Line, Table};

/// Rows of one table that stand on a page.
const TABLE_ROWS: usize = 500;
/// Rows of all tables of a page together; every table has its first, however many there are.
const PAGE_ROWS: usize = 6_000;
/// Tables of the same columns, of some of which only the beginning stands on the page.
pub(crate) struct Spilled {
    /// Beside the page.
    file: PathBuf,
    columns: Vec<String>,
    /// Each with the heading that it stands below.
    tables: Vec<(String, Table)>,
}

impl Spilled {
    /// Writes all rows of its tables into `beside`, numbers as they are shown.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn write(&self, beside: &Path) -> Result<()> {
        let path = beside.join(&self.file);
        let heading = |(heading, table): &(String, Table)| {
            std::iter::repeat_n(Some(heading.clone()), table.n_rows()).collect::<Vec<_>>()
        };
        let mut columns =
            vec![Shown::Texts("table".to_owned(), self.tables.iter().flat_map(heading).collect())];
        columns.extend((0..self.columns.len()).map(|place| self.column(place)));
        write_shown(&path, &columns).with_context(|| format!("cannot write {}", path.display()))
    }

    fn column(&self, place: usize) -> Shown {
        let rows = || self.tables.iter().flat_map(|(_, table)| table.rows());
        let texts: Vec<String> = rows().map(|row| words(&row[place])).collect();
        let number = |text: &String| text.parse::<f64>().ok().filter(|value| value.is_finite());
        let is_number = |(row, text): (&[Field], &String)| {
            matches!(row[place], Field::Number(_)) && (text.is_empty() || number(text).is_some())
        };
        let name = match self.columns[place].as_str() {
            "" => "row".to_owned(),
            name => name.to_owned(),
        };
        match rows().zip(&texts).all(is_number) {
            true => Shown::Numbers(name, texts.iter().map(number).collect()),
            false => {
                let is_there = |text: String| Some(text).filter(|text| !text.is_empty());
                Shown::Texts(name, texts.into_iter().map(is_there).collect())
            }
        }
    }
}

/// A field as it stands in a file; cells with their whole ids.
fn words(field: &Field) -> String {
    match field {
        Field::Text(text) | Field::Number(text) | Field::Code(text) => text.trim().to_owned(),
        Field::Cell(id) | Field::File(id) => id.clone(),
        Field::Cells(ids) => ids.join(" "),
    }
}

/// Shortens the tables of a page; `folder` is where the whole of each goes.
pub(crate) fn bound(blocks: Vec<Block>, folder: &str) -> (Vec<Block>, Vec<Spilled>) {
    let mut sizes = Vec::new();
    blocks.iter().for_each(|block| measure(block, &mut sizes));
    let mut bounds = Bounds {
        most: most(sizes, TABLE_ROWS, PAGE_ROWS),
        folder,
        heading: "table".to_owned(),
        spilled: Vec::new(),
    };
    let blocks = bounds.all(blocks);
    (blocks, bounds.spilled)
}

fn measure(block: &Block, sizes: &mut Vec<usize>) {
    match block {
        Block::Table(table) => sizes.push(table.n_rows()),
        Block::Fold { blocks, .. } => blocks.iter().for_each(|block| measure(block, sizes)),
        _ => {}
    }
}

/// How many rows of each table stand on the page: as many as fit when every table has at most as many, so
/// that small tables are whole before a large one has more.
fn most(mut sizes: Vec<usize>, of_table: usize, of_page: usize) -> usize {
    sizes.sort_unstable();
    let mut left = of_page;
    let n_tables = sizes.len();
    for (place, size) in sizes.into_iter().enumerate() {
        let equal = left / (n_tables - place);
        if size > equal {
            return equal.clamp(1, of_table);
        }
        left -= size;
    }
    of_table
}

struct Bounds<'a> {
    most: usize,
    folder: &'a str,
    /// The last heading.
    heading: String,
    spilled: Vec<Spilled>,
}

impl Bounds<'_> {
    fn all(&mut self, blocks: Vec<Block>) -> Vec<Block> {
        blocks.into_iter().flat_map(|block| self.one(block)).collect()
    }

    fn one(&mut self, block: Block) -> Vec<Block> {
        match block {
            Block::Heading { level, text, begins_section } => {
                self.heading.clone_from(&text);
                vec![Block::Heading { level, text, begins_section }]
            }
            Block::Fold { summary, blocks } => {
                vec![Block::Fold { summary, blocks: self.all(blocks) }]
            }
            Block::Table(table) if table.n_rows() > self.most => self.shortened(table),
            other => vec![other],
        }
    }

    fn shortened(&mut self, table: Table) -> Vec<Block> {
        let columns: Vec<String> = table.names().map(str::to_owned).collect();
        let known = self.spilled.iter().position(|own| own.columns == columns);
        let place = known.unwrap_or_else(|| {
            let number = self.spilled.len() + 1;
            let file = PathBuf::from(format!("{}/tables-{number}.parquet", self.folder));
            self.spilled.push(Spilled { file, columns, tables: Vec::new() });
            number - 1
        });
        let own = &mut self.spilled[place];
        let (n, n_shown) = (table.n_rows(), self.most);
        let told = match n_shown {
            1 => "The first".to_owned(),
            _ => format!("The first {n_shown}"),
        };
        let note = Line::new().text(format!("{told} of {n} rows; all of them are in "));
        let note = note.code(own.file.display().to_string());
        let first = table.first(n_shown);
        own.tables.push((self.heading.clone(), table));
        vec![Block::Table(first), Block::Paragraph(note.text("."))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Align;

    #[test]
    fn small_tables_are_whole_before_large_ones_have_more() {
        assert_eq!(most(vec![], 5, 20), 5);
        assert_eq!(most(vec![9, 1], 5, 20), 5);
        assert_eq!(most(vec![2, 2, 2], 5, 20), 5);
        assert_eq!(most(vec![3, 9, 9, 9, 9], 5, 20), 4);
        assert_eq!(most(vec![9; 10], 5, 20), 2);
        assert_eq!(most(vec![9; 100], 5, 20), 1);
    }

    proptest::proptest! {
        /// Never more rows than a page may have, unless there are more tables than that.
        #[test]
        fn a_page_is_bounded(sizes in proptest::collection::vec(0_usize..40, 0..30)) {
            let most = most(sizes.clone(), 25, 100);
            let shown = |most: usize| sizes.iter().map(|size| *size.min(&most)).sum::<usize>();
            proptest::prop_assert!(shown(most) <= 100);
            let is_whole = sizes.iter().all(|size| *size <= most);
            proptest::prop_assert!(most == 25 || is_whole || shown(most + 1) > 100);
        }
    }

    fn table(n: usize) -> Block {
        let columns = [("κ", Align::Right), ("policy", Align::Left), ("cell", Align::Left)];
        let mut table = Table::new(columns).home();
        for row in 0..n {
            let number = if row == 1 { Field::empty() } else { Field::number(format!("{row}.5")) };
            table.push([number, Field::text(format!("p{row}")), Field::cell("0123456789abcdef")]);
        }
        Block::Table(table)
    }

    #[test]
    fn what_does_not_stand_on_the_page_lies_beside_it() {
        let inside = vec![Block::heading(3, "A / b"), table(TABLE_ROWS + 1)];
        let fold = Block::Fold { summary: "more".to_owned(), blocks: inside };
        let blocks = vec![Block::heading(2, "T"), table(3), fold];
        let (blocks, spilled) = bound(blocks, "report");
        assert_eq!(blocks[1], table(3));
        let Block::Fold { blocks, .. } = &blocks[2] else { panic!("{blocks:?}") };
        assert_eq!(blocks[1], table(TABLE_ROWS));
        let note = crate::markdown::render([&blocks[2]]);
        assert_eq!(
            note,
            "The first 500 of 501 rows; all of them are in `report/tables-1.parquet`.\n"
        );
        let folder = tempfile::tempdir().unwrap();
        spilled[0].write(folder.path()).unwrap();
        let path = folder.path().join("report/tables-1.parquet");
        let frame = tables::Frame::read(&path, None).unwrap();
        let numbers = frame.f64s("κ").unwrap();
        assert_eq!((numbers.len(), numbers[0], numbers[1]), (501, Some(0.5), None));
        assert_eq!(frame.texts("table").unwrap()[0].as_deref(), Some("A / b"));
        assert_eq!(frame.texts("policy").unwrap()[500].as_deref(), Some("p500"));
        assert_eq!(frame.texts("cell").unwrap()[7].as_deref(), Some("0123456789abcdef"));
    }
}

//! The files of a report: each run's page as Markdown and as HTML, its pictures, the atlas's tables.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use evidence::Sweeps;
use judgement::claims::Assessment;

use crate::bounded::Spilled;
use crate::document::Block;
use crate::html::{self, Cells};
use crate::pictures::{Content, Picture};
use crate::report::Report;
use crate::sections::{overview, page};
use crate::{atlas_tables, bounded, markdown, pictures};

/// A run's page.
pub(crate) struct Page<'a> {
    report: &'a Report,
    /// Stands before the names of files where several runs have theirs in one folder.
    prefix: String,
    pictures: Vec<Picture>,
    /// What it says.
    blocks: Vec<Block>,
    /// Tables of which it has only the beginning.
    spilled: Vec<Spilled>,
}

/// The folder of the tables that do not stand on a page whole.
const SPILLED: &str = "report";

/// The pages of all runs; `in_one_folder` where their files are to lie together.
///
/// # Errors
/// When a picture cannot be drawn.
pub(crate) fn of<'a>(
    runs: &'a [Report],
    sweeps: &Sweeps,
    in_one_folder: bool,
) -> Result<Vec<Page<'a>>> {
    let page = |report: &'a Report| {
        let prefix = match report.run.folder.file_name() {
            Some(name) if in_one_folder && runs.len() > 1 => format!("{}-", name.to_string_lossy()),
            _ => String::new(),
        };
        let pictures = pictures::of(&report.summary, sweeps, &prefix)?;
        let blocks = page::page(report, &pictures, &prefix);
        let (blocks, spilled) = bounded::bound(blocks, &format!("{prefix}{SPILLED}"));
        Ok(Page { report, prefix, pictures, blocks, spilled })
    };
    runs.iter().map(page).collect()
}

/// What was written: the page to open, and what lies beside it.
pub(crate) struct Written {
    pub(crate) html: PathBuf,
    /// `report.md`, `8 pictures`.
    pub(crate) beside: Vec<String>,
}

impl Written {
    fn of(file: &Path, n_pictures: usize, n_tables: usize, n_spilled: usize) -> Written {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let others = [
            (n_pictures, ["picture", "pictures"]),
            (n_tables, ["table of the atlas", "tables of the atlas"]),
            (n_spilled, ["file of longer tables", "files of longer tables"]),
        ];
        let others = others.into_iter().filter(|(n, _)| *n > 0);
        let others =
            others.map(|(n, [one, many])| format!("{n} {}", if n == 1 { one } else { many }));
        let beside = [name].into_iter().chain(others).collect();
        Written { html: file.with_extension("html"), beside }
    }
}

/// All pages one after the other, behind the one about all of them where there is one.
pub(crate) fn whole<'a>(overview: &'a [Block], pages: &'a [Page<'_>]) -> Vec<&'a Block> {
    overview.iter().chain(pages.iter().flat_map(|page| &page.blocks)).collect()
}

/// The page about several runs, whose own pages have the rows of the cells that it names; nothing for one.
pub(crate) fn overview(
    folder: &Path,
    reports: &[Report],
    claims: Option<&Assessment>,
) -> Vec<Block> {
    match reports.len() {
        0 | 1 => Vec::new(),
        _ => overview::page(folder, reports, claims),
    }
}

/// Writes blocks as one file, with the pictures and tables of `pages` beside it.
pub(crate) fn write_one(file: &Path, blocks: &[&Block], pages: &[Page<'_>]) -> Result<Written> {
    let (mut n_pictures, mut n_tables, mut n_spilled) = (0, 0, 0);
    for page in pages {
        let folder = files::folder_of(file);
        n_pictures += page.write_pictures(file)?;
        n_tables += page.write_tables(folder)?;
        page.spilled.iter().try_for_each(|table| table.write(folder))?;
        n_spilled += page.spilled.len();
    }
    write(file, markdown::render(blocks.iter().copied()).as_bytes())?;
    let cells = Cells::of(pages.iter().map(|page| &page.report.summary)).on(blocks);
    write(&file.with_extension("html"), html::render(blocks, &cells).as_bytes())?;
    Ok(Written::of(file, n_pictures, n_tables, n_spilled))
}

/// Writes each page into its run's folder, with everything else beside it; the value is of the last one.
pub(crate) fn write_each(pages: &[Page<'_>]) -> Result<Option<Written>> {
    let write = |page: &Page<'_>| {
        let blocks: Vec<&Block> = page.blocks.iter().collect();
        let file = page.report.run.folder.join("report.md");
        write_one(&file, &blocks, std::slice::from_ref(page))
    };
    Ok(pages.iter().map(write).collect::<Result<Vec<_>>>()?.pop())
}

impl Page<'_> {
    /// Writes the pictures beside `page`; the value is their number.
    fn write_pictures(&self, page: &Path) -> Result<usize> {
        let mut n = 0;
        for Picture { name, content } in &self.pictures {
            if let Content::Drawn { svg, .. } = content {
                let file = page.with_file_name(format!("{}{name}.svg", self.prefix));
                write(&file, svg.as_bytes())?;
                n += 1;
            }
        }
        Ok(n)
    }

    fn write_tables(&self, folder: &Path) -> Result<usize> {
        let summary = &self.report.summary;
        let written =
            atlas_tables::write(&summary.atlas, &summary.attention, folder, &self.prefix)?;
        Ok(written.len())
    }
}

/// Writes a file, which has its name only when it is whole.
///
/// # Errors
/// When it cannot be written, with what to do.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    files::write(file, bytes).with_context(|| {
        format!("cannot write {}: choose another place with --out FILE.md", file.display())
    })
}
